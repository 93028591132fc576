"""What changed between two texts, line by line, and in the lines word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from kitpack.prompts.matching import Matcher, Patience, TooLongError
from kitpack.prompts.worddiff import Spans, changed_words

__all__ = ["LineChange", "diff_lines"]


@dataclass(frozen=True, slots=True)
class LineChange:
    """One line of a comparison.

    Attributes:
        kind: ``added``, ``removed``, ``same`` (shown for its neighbours' sake) or ``gap`` (lines left out here).
        text: The line without its line break; for a gap, where the next lines stand in both texts, or how many lines
            there are instead of a comparison that would take too long.
        spans: The ranges of the text that are new in it, or gone from it; empty when all of the line is.
    """

    kind: Literal["added", "removed", "same", "gap"]
    text: str
    spans: Spans = ()


_MAX_STEPS = 20_000_000
"""A few seconds. Prompts that people write take thousands; lines that repeat each other could be made to take days."""

_MAX_WORD_STEPS = 2_000_000
"""What looking for single words may cost in all."""


def diff_lines(before: str, after: str, *, context: int = 3, start: tuple[int, int] = (1, 1)) -> list[LineChange]:
    """Compare two texts.

    Args:
        before: The older text.
        after: The newer text.
        context: How many unchanged lines to show around a change.
        start: The numbers of their first lines, for texts that are parts of files.

    Returns:
        The changes in order; nothing when the texts are equal. A missing line break at the end counts as a change.
    """
    if before == after:
        return []
    old, new = _lines(before), _lines(after)
    try:
        return list(_changes(old, new, start, context))
    except TooLongError:
        first = _common(old, new)
        last = _common(old[first:][::-1], new[first:][::-1])
    above, below = max(first - context, 0), max(last - context, 0)
    moved = start[0] + above, start[1] + above
    try:
        return list(_changes(old[above : len(old) - below], new[above : len(new) - below], moved, context))
    except TooLongError:
        spans = (
            _span(start[0] + first, start[0] + len(old) - last),
            _span(start[1] + first, start[1] + len(new) - last),
        )
        return [LineChange("gap", f"-{spans[0]} +{spans[1]} too large to compare line by line")]


def _changes(old: Sequence[str], new: Sequence[str], start: tuple[int, int], context: int) -> Iterator[LineChange]:
    """The changes from one text to another, whose first lines have these numbers."""
    groups = list(Matcher(old, new, Patience(_MAX_STEPS)).get_grouped_opcodes(context))
    patience = Patience(_MAX_WORD_STEPS)
    for group in groups:
        (_, old_first, _, new_first, _), (_, _, old_last, _, new_last) = group[0], group[-1]
        spans = (
            _span(start[0] + old_first, start[0] + old_last),
            _span(start[1] + new_first, start[1] + new_last),
        )
        yield LineChange("gap", f"-{spans[0]} +{spans[1]}")
        for kind, old_first, old_last, new_first, new_last in group:
            if kind == "equal":
                yield from (LineChange("same", _shown(line)) for line in old[old_first:old_last])
            else:
                yield from _replaced(old[old_first:old_last], new[new_first:new_last], patience)


def _replaced(old: Sequence[str], new: Sequence[str], patience: Patience) -> Iterator[LineChange]:
    """Lines that went and lines that came in their place."""
    gone, come = changed_words([line.rstrip("\n") for line in old], [line.rstrip("\n") for line in new], patience)
    yield from (LineChange("removed", _shown(line), spans) for line, spans in zip(old, gone, strict=True))
    yield from (LineChange("added", _shown(line), spans) for line, spans in zip(new, come, strict=True))


def _span(first: int, last: int) -> str:
    """Where lines stand, as in a unified diff: the number of the first, and how many there are unless it is one."""
    count = last - first
    return f"{first}" if count == 1 else f"{first - (count == 0)},{count}"


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines are the same at the start."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))


def _lines(text: str) -> list[str]:
    """The lines with their breaks; unlike Python, editors and git take nothing but a line feed for a break."""
    return [line for line in re.split("(?<=\n)", text) if line]


def _shown(line: str) -> str:
    return line[:-1] if line.endswith("\n") else f"{line} (no line break at the end)"
