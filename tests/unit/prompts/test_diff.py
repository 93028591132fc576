"""Comparing prompts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitpack.prompts.diff import LineChange, diff_lines

_text = st.text("ab\n\r@-+ \u2028\x0c", max_size=30) | st.text(max_size=20)
_NO_BREAK = " (no line break at the end)"


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
            [LineChange("gap", "-1 +1"), LineChange("removed", "a\r"), LineChange("added", "a")],
        ),
        (
            "--- x\n",
            "+++ y\n",
            [LineChange("gap", "-1 +1"), LineChange("removed", "--- x"), LineChange("added", "+++ y")],
        ),
        (
            "@@ 1\n",
            "@@ 2\n",
            [LineChange("gap", "-1 +1"), LineChange("removed", "@@ 1"), LineChange("added", "@@ 2")],
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
    ],
    ids=["empty lines", "two lines in turn", "one line", "all turned round"],
)
def test_a_megabyte_of_prompt_does_not_take_long(before: str, after: str) -> None:
    started = time.process_time()
    assert diff_lines(before, after)
    assert time.process_time() - started < 20
