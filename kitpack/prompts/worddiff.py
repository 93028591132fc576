"""Which words of changed lines have changed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kitpack.prompts.matching import Matcher, Patience, TooLongError

__all__ = ["Spans", "changed_words"]

Spans: TypeAlias = tuple[tuple[int, int], ...]
"""Ranges of a line, each from its first character to the one after its last, counted from 0 in code points."""

_LONGEST = 20_000
"""Characters of a block above which nobody looks for single words."""

_STEPS_PER_CHARACTER = 2

_NOTHING_IN_COMMON = 0.7
"""The part of a line that may be marked; when more of it is new, the line is simply another one."""

_SHORT = 2
"""Characters that two texts share by chance: a comma or ``is`` between two changes is marked with them."""

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"  # written without spaces: each letter is a word
_WORD = re.compile(rf"\{{\{{|\}}\}}|\{{%|%\}}|\d+(?:[.,]\d+)*|[^\W{_UNSPACED}]+|[^\s]")
_WORD_OR_SPACE = re.compile(rf"{_WORD.pattern}|\s")


@dataclass(frozen=True, slots=True)
class _Word:
    line: int
    start: int
    end: int
    text: str


def changed_words(old: Sequence[str], new: Sequence[str], patience: Patience) -> tuple[list[Spans], list[Spans]]:
    """Compare lines that were replaced by other lines, word by word, wherever the lines are broken.

    Args:
        old: The lines that went.
        new: The lines that came.
        patience: What it may cost, together with other comparisons.

    Returns:
        For each line, old and new, what of it changed. Nothing is marked in a line that is new as a whole, and nowhere
        when there are too many words.
    """
    nothing: tuple[list[Spans], list[Spans]] = ([()] * len(old), [()] * len(new))
    length = max(sum(map(len, side)) for side in (old, new))
    if not old or not new or length > _LONGEST:
        return nothing
    try:
        patience.spend(length * _STEPS_PER_CHARACTER)
        words, kept = _compared(old, new, patience)
    except TooLongError:
        return nothing
    return (
        [_spans(line, *one) for line, one in zip(old, _by_line(words[0], kept[0], len(old)), strict=True)],
        [_spans(line, *one) for line, one in zip(new, _by_line(words[1], kept[1], len(new)), strict=True)],
    )


def _compared(
    old: Sequence[str], new: Sequence[str], patience: Patience
) -> tuple[tuple[list[_Word], list[_Word]], tuple[set[int], set[int]]]:
    """The words of both sides, and which of them stayed; where all did, the spaces between them count as words."""
    words = _words(old, _WORD), _words(new, _WORD)
    if [word.text for word in words[0]] == [word.text for word in words[1]]:
        words = _words(old, _WORD_OR_SPACE), _words(new, _WORD_OR_SPACE)
    return words, _kept(*words, patience)


def _words(lines: Sequence[str], pattern: re.Pattern[str]) -> list[_Word]:
    return [
        _Word(number, found.start(), found.end(), found[0])
        for number, line in enumerate(lines)
        for found in pattern.finditer(line)
    ]


def _kept(old: Sequence[_Word], new: Sequence[_Word], patience: Patience) -> tuple[set[int], set[int]]:
    """The words, by their number, that both sides have."""
    matcher = Matcher([word.text for word in old], [word.text for word in new], patience)
    blocks = matcher.get_matching_blocks()
    return (
        {number for block in blocks for number in range(block.a, block.a + block.size)},
        {number for block in blocks for number in range(block.b, block.b + block.size)},
    )


def _by_line(words: Sequence[_Word], kept: set[int], lines: int) -> list[tuple[list[_Word], list[bool]]]:
    """The words of each line, and whether each of them is new."""
    found: list[tuple[list[_Word], list[bool]]] = [([], []) for _ in range(lines)]
    for number, word in enumerate(words):
        found[word.line][0].append(word)
        found[word.line][1].append(number not in kept)
    return found


def _spans(line: str, words: Sequence[_Word], changed: list[bool]) -> Spans:
    length = sum(word.end - word.start for word in words)
    marked = sum(word.end - word.start for word, new in zip(words, changed, strict=True) if new)
    if not marked or marked > length * _NOTHING_IN_COMMON:
        return ()
    return tuple(_joined(line, words, changed))


def _joined(line: str, words: Sequence[_Word], changed: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """The ranges of changed words; those with next to nothing between them are one."""
    start = end = -1
    between = 0
    for word, new in zip(words, changed, strict=True):
        if not new:
            between += word.end - word.start
            continue
        if end >= 0 and between > _SHORT:
            yield start, _whole(line, end)
            start = word.start
        elif end < 0:
            start = word.start
        end, between = word.end, 0
    yield start, _whole(line, end)


def _whole(line: str, end: int) -> int:
    """The end of a range, moved behind the marks that belong to its last letter."""
    while end < len(line) and (unicodedata.category(line[end])[0] == "M" or line[end] in "\u200d\ufe0e\ufe0f"):
        end += 1
    return end
