"""Comparing values by what they mean."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitpack.oci.jsontext import Json
from kitpack.prompts.valuediff import canonical, diff_values

_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0]) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1.0}, []),
        ({"a": 1}, {"a": True}, [("a", "changed", 1, True)]),
        ({"a": 1}, {"a": "1"}, [("a", "changed", 1, "1")]),
        ({"a": None}, {}, [("a", "removed", None, None)]),
        ({}, {"a": {"b": 1}}, [("a", "added", None, {"b": 1})]),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, [("a.b.c", "changed", 1, 2)]),
        ({"a.b": {"": 1}}, {"a.b": {"": 2}}, [('"a.b".""', "changed", 1, 2)]),
        ({"a": [1, 2, 3]}, {"a": [1, 3]}, [("a[1]", "removed", 2, None)]),
        ({"a": [1, 3]}, {"a": [0, 1, 3, 4]}, [("a[0]", "added", None, 0), ("a[3]", "added", None, 4)]),
        ({"a": [{"n": 1}, {"n": 2}]}, {"a": [{"n": 1}, {"n": 3}]}, [("a[1].n", "changed", 2, 3)]),
        ([1], {"a": 1}, [("", "changed", [1], {"a": 1})]),
        ("x", "y", [("", "changed", "x", "y")]),
    ],
)
def test_differences(before: Any, after: Any, expected: list[tuple[Any, ...]]) -> None:
    found = diff_values(before, after)
    assert [(one.path, one.kind, one.before, one.after) for one in found] == expected


@given(_values, _values)
def test_only_what_means_the_same_does_not_differ(before: Json, after: Json) -> None:
    assert (diff_values(before, after) == []) == (canonical(before) == canonical(after))
    assert diff_values(before, before) == []


def test_hostile_values_do_not_take_long() -> None:
    deep: Json = 1
    for _ in range(60):
        deep = [deep, {"a": deep}] if not isinstance(deep, list) else [deep]
    started = time.process_time()
    assert diff_values([0, 1] * 50_000, [1, 0] * 50_000)
    assert diff_values(deep, [deep])
    assert time.process_time() - started < 10
