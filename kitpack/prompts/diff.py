"""What changed between two texts, line by line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import Literal

__all__ = ["LineChange", "diff_lines"]


@dataclass(frozen=True, slots=True)
class LineChange:
    """One line of a comparison.

    Attributes:
        kind: ``added``, ``removed``, ``same`` (shown for its neighbours' sake) or ``gap`` (lines left out here).
        text: The line without its line break; for a gap, where the next lines stand in both texts, or how many lines
            there are instead of a comparison that would take too long.
    """

    kind: Literal["added", "removed", "same", "gap"]
    text: str


_MAX_STEPS = 20_000_000
"""A few seconds. Prompts that people write take thousands; lines that repeat each other could be made to take days."""


def diff_lines(before: str, after: str, *, context: int = 3) -> list[LineChange]:
    """Compare two texts.

    Args:
        before: The older text.
        after: The newer text.
        context: How many unchanged lines to show around a change.

    Returns:
        The changes in order; nothing when the texts are equal. A missing line break at the end counts as a change.
    """
    if before == after:
        return []
    old, new = _lines(before), _lines(after)
    try:
        return list(_changes(old, new, 0, context))
    except _TooLongError:
        start = _common(old, new)
        end = _common(old[start:][::-1], new[start:][::-1])
    first, last = max(start - context, 0), max(end - context, 0)
    try:
        return list(_changes(old[first : len(old) - last], new[first : len(new) - last], first, context))
    except _TooLongError:
        spans = f"-{_span(start, len(old) - end)} +{_span(start, len(new) - end)}"
        return [LineChange("gap", f"{spans} too large to compare line by line")]


class _TooLongError(Exception):
    """The comparison would take too many steps."""


class _Matcher(difflib.SequenceMatcher[str]):
    """Python's matcher, which may take quadratic time at every level of its recursion, with an end to its patience."""

    b2j: dict[str, list[int]]  # where in the new text each line stands, but for those that are everywhere

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        super().__init__(None, old, new)
        self._steps_before = [0, *accumulate(1 + len(self.b2j.get(line, ())) for line in old)]
        self._left = _MAX_STEPS

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> difflib.Match:
        """See the base class.

        Raises:
            _TooLongError: When this search would be one too many.
        """
        end = len(self._steps_before) - 1 if ahi is None else ahi
        self._left -= self._steps_before[end] - self._steps_before[alo]
        if self._left < 0:
            raise _TooLongError
        return super().find_longest_match(alo, ahi, blo, bhi)


def _changes(old: Sequence[str], new: Sequence[str], start: int, context: int) -> Iterator[LineChange]:
    """The changes from one text to another, of which so many lines are left out at the start."""
    for group in _Matcher(old, new).get_grouped_opcodes(context):
        (_, old_first, _, new_first, _), (_, _, old_last, _, new_last) = group[0], group[-1]
        spans = _span(start + old_first, start + old_last), _span(start + new_first, start + new_last)
        yield LineChange("gap", f"-{spans[0]} +{spans[1]}")
        for kind, old_first, old_last, new_first, new_last in group:
            if kind == "equal":
                yield from (LineChange("same", _shown(line)) for line in old[old_first:old_last])
                continue
            yield from (LineChange("removed", _shown(line)) for line in old[old_first:old_last])
            yield from (LineChange("added", _shown(line)) for line in new[new_first:new_last])


def _span(first: int, last: int) -> str:
    """Where lines stand, as in a unified diff: the number of the first, and how many there are unless it is one."""
    count = last - first
    return f"{first + 1}" if count == 1 else f"{first + (count > 0)},{count}"


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines are the same at the start."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))


def _lines(text: str) -> list[str]:
    """The lines with their breaks; unlike Python, editors and git take nothing but a line feed for a break."""
    return [line for line in re.split("(?<=\n)", text) if line]


def _shown(line: str) -> str:
    return line[:-1] if line.endswith("\n") else f"{line} (no line break at the end)"
