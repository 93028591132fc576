"""Comparing datasets row by row."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitpack.artifact.inspecting.rowdiff import RowsDiff, diff_rows
from kitpack.artifact.inspecting.values import read_rows

_rows = st.lists(st.fixed_dictionaries({"q": st.integers(0, 3), "a": st.integers(0, 1)}), max_size=8)


def told(found: RowsDiff) -> list[tuple[str, str, int, int]]:
    return [(one.kind, one.key, one.row_before, one.row_after) for one in found.changes]


def test_rows_with_ids() -> None:
    before: list[Any] = [{"id": 1, "q": "a"}, {"id": 2, "q": "b"}, {"id": 3, "q": "c"}]
    after: list[Any] = [{"id": 3, "q": "c"}, {"id": 1, "q": "A"}, {"id": 4, "q": "d"}]
    found = diff_rows(before, after)
    assert told(found) == [("changed", "1", 1, 2), ("added", "4", 0, 3), ("removed", "2", 2, 0)]
    assert (found.column, found.added, found.removed, found.changed, found.moved) == ("id", 1, 1, 1, True)
    assert [(one.path, one.before, one.after) for one in found.changes[0].values] == [("q", "a", "A")]


@pytest.mark.parametrize(
    ("rows", "column"),
    [
        ([{"case_id": "x", "id": 1}, {"case_id": "y", "id": 1}], "case_id"),
        ([{"name": "x"}, {"name": "y"}], "name"),
        ([{"id": None}, {"id": 1}], ""),
        ([{"id": True}, {"id": False}], ""),
        ([{"id": ""}, {"id": "1"}], ""),
        ([{"id": 1}, {"id": "1"}], ""),
        ([{"id": 1}, "text"], ""),
        ([{"q": 1}, {"q": 2}], ""),
        ([], ""),
    ],
)
def test_what_identifies_rows(rows: list[Any], column: str) -> None:
    assert diff_rows(rows, rows).column == column


def test_ids_that_have_nothing_to_do_with_each_other_identify_nothing() -> None:
    found = diff_rows([{"id": 1, "q": "a", "a": "b"}], [{"id": 7, "q": "a", "a": "b"}])
    assert (found.column, told(found)) == ("", [("changed", "", 1, 1)])


def test_rows_without_ids_belong_together_by_what_they_hold() -> None:
    before: list[Any] = [{"q": "one", "a": "1"}, {"q": "two", "a": "2"}, "text", {"q": "two", "a": "2"}]
    after: list[Any] = [{"q": "two", "a": "2"}, {"q": "one", "a": "I"}, "other text", {"q": "new", "a": "x"}]
    assert told(diff_rows(before, after)) == [
        ("changed", "", 1, 2),
        ("added", "", 0, 3),
        ("added", "", 0, 4),
        ("removed", "", 3, 0),
        ("removed", "", 4, 0),
    ]


@given(_rows, _rows)
def test_counts_add_up(before: list[Any], after: list[Any]) -> None:
    found = diff_rows(before, after)
    assert found.rows_before + found.added - found.removed == found.rows_after
    assert (not found.changes and not found.moved) == (before == after) or found.moved
    assert diff_rows(before, before).changes == ()


def test_many_rows_do_not_take_long() -> None:
    numbers = random.Random(1)
    rows: list[Any] = [[{"q": numbers.random(), "a": numbers.randrange(3)} for _ in range(8000)] for _ in range(2)]
    started = time.process_time()
    assert diff_rows(*rows).added == 8000
    assert diff_rows(rows[0], [*rows[0][:300], *rows[1][:400], *rows[0][700:]]).rows_after == 8000
    assert time.process_time() - started < 10


ROWS = [{"q": "a", "n": 1}, {"q": "b,c", "n": 2}]


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("x.jsonl", "\ufeff" + "\n\n".join(map(json.dumps, ROWS)), ROWS),
        ("x.ndjson", "1\n2\n", [1, 2]),
        ("x.json", json.dumps(ROWS), ROWS),
        ("x.json", json.dumps({"tests": ROWS}), ROWS),
        ("x.csv", 'q,n\r\na,1\r\n\r\n"b,c",2\r\n', [{"q": "a", "n": "1"}, {"q": "b,c", "n": "2"}]),
        ("x.TSV", "q\tn\na\t1\n", [{"q": "a", "n": "1"}]),
        ("x.csv", "", []),
        ("x.yaml", "- {q: a, n: 1}\n- {q: 'b,c', n: 2}\n", ROWS),
        ("x.jsonl", "", []),
    ],
)
def test_formats(name: str, text: str, rows: list[Any]) -> None:
    assert read_rows(name, text.encode()) == rows


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("x.jsonl", b"{}\nnot json\n"),
        ("x.jsonl", b'{"a": 1, "a": 2}\n'),
        ("x.jsonl", b'{"a": NaN}\n'),
        ("x.jsonl", b'{"a": 1e999}\n'),
        ("x.jsonl", b"[" * 100_000),
        ("x.jsonl", b"[" * 80 + b"]" * 80),
        ("x.json", b'{"a": [], "b": 1}'),
        ("x.json", b"1" * 5000),
        ("x.csv", b"a,a\n1,2\n"),
        ("x.csv", b"a,b\n1\n"),
        ("x.csv", b'a,b\n"1,2\n'),
        ("x.csv", b"a\n" + b"x" * 200_000),
        ("x.csv", b"\xff\n"),
        ("x.yaml", b"- &a x\n- *a\n"),
        ("x.yaml", b"- [\n"),
        ("x.parquet", b"PAR1"),
    ],
)
def test_what_holds_no_rows_beyond_doubt(name: str, raw: bytes) -> None:
    with pytest.raises(ValueError):
        read_rows(name, raw)
