"""Comparing texts line by line."""

from __future__ import annotations

import difflib
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitpack.prompts.textdiff import LineChange, diff_lines

_text = st.text("ab\n\r@-+ \u2028\x0c", max_size=30) | st.text(max_size=20)
_NO_BREAK = " (no line break at the end)"


def _scattered(seed: int, kinds: int) -> str:
    """A megabyte of a few lines in any order."""
    chosen = random.Random(seed).choices(range(kinds), k=280_000)
    return "".join(f"{number:x}\n" for number in chosen)


def _side(changes: list[LineChange], kinds: set[str]) -> str:
    """One of the two texts, put together again from a comparison that shows all of it."""
    lines = [change.text for change in changes if change.kind in kinds]
    return "".join(line.removesuffix(_NO_BREAK) if line.endswith(_NO_BREAK) else f"{line}\n" for line in lines)


@given(_text, _text)
def test_only_equal_texts_have_no_difference_and_a_full_comparison_holds_both(before: str, after: str) -> None:
    changes = diff_lines(before, after, context=1000)
    assert (changes == []) == (before == after)
    if changes:
        assert _side(changes, {"same", "removed"}) == before
        assert _side(changes, {"same", "added"}) == after


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "", []),
        ("a\n", "a\n", []),
        ("", "a\n", [LineChange("gap", "-0,0 +1"), LineChange("added", "a")]),
        ("a\n", "", [LineChange("gap", "-1 +0,0"), LineChange("removed", "a")]),
        (
            "a\n",
            "a",
            [LineChange("gap", "-1 +1"), LineChange("removed", "a"), LineChange("added", f"a{_NO_BREAK}")],
        ),
        (
            f"a{_NO_BREAK}\n",
            "a",
            [
                LineChange("gap", "-1 +1"),
                LineChange("removed", f"a{_NO_BREAK}"),
                LineChange("added", f"a{_NO_BREAK}"),
            ],
        ),
        (
            "a\r\n",
            "a\n",
            [LineChange("gap", "-1 +1"), LineChange("removed", "a\r", ((1, 2),)), LineChange("added", "a")],
        ),
        (
            "--- x\n",
            "+++ y\n",
            [LineChange("gap", "-1 +1"), LineChange("removed", "--- x"), LineChange("added", "+++ y")],
        ),
        (
            "@@ 1\n",
            "@@ 2\n",
            [
                LineChange("gap", "-1 +1"),
                LineChange("removed", "@@ 1", ((3, 4),)),
                LineChange("added", "@@ 2", ((3, 4),)),
            ],
        ),
    ],
)
def test_differences(before: str, after: str, expected: list[LineChange]) -> None:
    assert diff_lines(before, after) == expected


def test_neighbours_are_shown_and_the_rest_is_left_out() -> None:
    before = [f"line {number}" for number in range(50)]
    after = [*before[:10], "new", *before[11:40], *before[41:]]
    changes = diff_lines("\n".join(before), "\n".join(after), context=1)
    assert [change.kind for change in changes] == [
        *("gap", "same", "removed", "added", "same"),
        *("gap", "same", "removed", "same"),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\n" * 500_000, "\n" * 500_001),
        ("a\nb\n" * 250_000, "b\na\n" * 250_000),
        ("x" * 1_000_000, "y" * 1_000_000),
        ("".join(f"{n}\n" for n in range(100_000)), "".join(f"{n}\n" for n in range(100_000, 0, -1))),
        (_scattered(1, 128), _scattered(2, 128)),
        ("".join(f"{n}\nx{n}\n" for n in range(70_000)), "".join(f"{n}\ny{n}\n" for n in range(70_000))),
    ],
    ids=["empty lines", "two lines in turn", "one line", "all turned round", "few lines scattered", "every other line"],
)
def test_a_megabyte_of_prompt_does_not_take_long(before: str, after: str) -> None:
    started = time.process_time()
    assert diff_lines(before, after)
    assert time.process_time() - started < 20


def test_one_change_in_a_megabyte_of_repeated_lines_is_found() -> None:
    text = _scattered(1, 128)
    changed = f"{text}\nfirst\nb\nc\nd\n", f"{text}\nsecond\nb\nc\nd\n"
    assert [(one.kind, one.text) for one in diff_lines(*changed, context=1)] == [
        ("gap", "-280001,3 +280001,3"),
        ("same", ""),
        ("removed", "first"),
        ("added", "second"),
        ("same", "b"),
    ]


def test_what_is_too_large_says_how_large_it_is() -> None:
    before, after = f"same\n{_scattered(1, 128)}end\n", f"same\n{_scattered(2, 128)}more\nend\n"
    (change,) = diff_lines(before, after)
    assert change == LineChange("gap", "-2,280000 +2,280001 too large to compare line by line")


@given(st.text("ab\n", max_size=60), st.text("ab\n", max_size=60), st.integers(0, 3))
def test_ordinary_texts_are_compared_as_python_does(before: str, after: str, context: int) -> None:
    lines = [[f"{line}\n" for line in text.split("\n")] for text in (before, after)]
    expected = [
        line.strip("@ \n") if line[0] == "@" else line[:-1]
        for line in difflib.unified_diff(lines[0], lines[1], n=context)
    ]
    signs = {"gap": "", "same": " ", "removed": "-", "added": "+"}
    found = diff_lines("".join(lines[0]), "".join(lines[1]), context=context)
    assert [signs[one.kind] + one.text for one in found] == expected[2:]
