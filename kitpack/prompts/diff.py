"""What changed between two texts, line by line."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["LineChange", "diff_lines"]


@dataclass(frozen=True, slots=True)
class LineChange:
    """One line of a comparison.

    Attributes:
        kind: ``added``, ``removed``, ``same`` (shown for its neighbours' sake) or ``gap`` (lines left out here).
        text: The line without its line break; for a gap, where the next lines stand in both texts.
    """

    kind: Literal["added", "removed", "same", "gap"]
    text: str


_KINDS: dict[str, Literal["added", "removed", "same"]] = {"+": "added", "-": "removed", " ": "same"}


def diff_lines(before: str, after: str, *, context: int = 3) -> list[LineChange]:
    """Compare two texts.

    Args:
        before: The older text.
        after: The newer text.
        context: How many unchanged lines to show around a change.

    Returns:
        The changes in order; nothing when the texts are equal. A missing line break at the end counts as a change.
    """
    lines = difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=context)
    return [
        LineChange("gap", line.strip("@ ")) if line.startswith("@@") else LineChange(_KINDS[line[0]], _shown(line[1:]))
        for index, line in enumerate(lines)
        if index > 1  # the first two name the files
    ]


def _lines(text: str) -> list[str]:
    """The lines with their breaks; unlike Python, editors and git take nothing but a line feed for a break."""
    return [line for line in re.split("(?<=\n)", text) if line]


def _shown(line: str) -> str:
    return line[:-1] if line.endswith("\n") else f"{line} (no line break at the end)"
