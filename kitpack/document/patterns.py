"""How much work a pattern can be, told before it is tried: nothing can stop Python's matching once it has started.

Matching is slow where a text can be divided among repetitions in many ways. ``a*a*`` can divide ``n`` letters in ``n``
ways, ``a*=a*`` in one. So the repetitions are counted that can take in each other's characters, and what follows from
that for a text of some length is an upper bound, or close to one. Patterns that repeat a repetition are not counted,
but refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

__all__ = ["MAX_WORK", "Work", "is_doubtful", "work_of"]

MAX_WORK = 2e8
"""Steps, the most that matching may take: about three seconds."""


@dataclass(frozen=True, slots=True)
class Work:
    """The steps that matching a text of ``n`` characters can take: ``2 ** choices * n ** degree``.

    Attributes:
        choices: How often it is tried one way or another, as a power of two; infinite where nobody can say.
        degree: How many repetitions can share the text among them.
    """

    choices: float
    degree: int

    def fits(self, length: int) -> bool:
        """Whether a text of so many characters can be matched."""
        ways = self.choices + _DEAR if self.choices else 0.0
        return ways + self.degree * math.log2(max(length, 2)) <= math.log2(MAX_WORK)


_Signs: TypeAlias = frozenset[str]

_TOKEN = re.compile(
    r"(?P<one>\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<repeat>(?:[*+?]|\{(?:[0-9]+,?[0-9]*|,[0-9]*)\})[?+]?)"
    r"|(?P<back>\\[1-9]|\(\?P=|\(\?\()"
    r"|(?P<edge>\\[AbBZ]|[\^$]|\(\?[a-zA-Z]+\)|\(\?#[^)]*\))"
    r"|(?P<open>\((?:\?(?:P?<[=!]?[^)>]*>?|[a-zA-Z-]*:|[=!>]))?)"
    r"|(?P<close>\))"
    r"|(?P<or>\|)"
    r"|(?P<sign>\\(?:x..|u.{4}|U.{8}|0..|.)|.)",
    re.DOTALL,
)
_DOUBTFUL = re.compile(r"\A\^?\[|--|&&|~~|\|\|")
_SAMPLE = "".join(map(chr, range(9, 127))) + "\u00a0éßΩж中ー٣²\u2028🎉"
_DEAR = 4  # another way to match is about sixteen times as much work as another character
_FEW = 10
_MOST_TIMES = 100


@dataclass(slots=True)
class _Part:
    """A sign or a group, how often it stands there, and what is in it."""

    signs: _Signs = frozenset()
    ways: list[list[_Part]] | None = None
    least: int = 1
    most: float = 1

    def within(self) -> Iterator[_Part]:
        """Itself and all that is in it."""
        yield self
        for way in self.ways or ():
            for part in way:
                yield from part.within()


@lru_cache(maxsize=256)
def work_of(pattern: str) -> Work:
    """How much work a pattern can be that is searched for in a text.

    Args:
        pattern: A regular expression that compiles.
    """
    ways = _parsed(pattern)
    if ways is None:
        return Work(math.inf, 0)
    counting = _Counting()
    counting.group(_Part(ways=[_until_sure(way) for way in ways]), [])
    is_fixed = len(ways) == 1 and pattern.startswith(("^", r"\A"))
    return Work(counting.choices, counting.degree + counting.repeats + (not is_fixed))


def is_doubtful(pattern: str) -> bool:
    """Whether a set in a pattern may be read as more than a set some day; Python warns of those that it compiles."""
    sets = (token[0] for token in _TOKEN.finditer(pattern) if token.lastgroup == "one")
    return any(_DOUBTFUL.search(re.sub(r"\\.", "x", one[1:-1])) for one in sets)


def _until_sure(way: list[_Part]) -> list[_Part]:
    """An alternative without the end that cannot fail: nothing is tried again for it."""
    parts = list(way)
    while parts and not parts[-1].least:
        parts.pop()
    if parts and parts[-1].ways is None:
        parts[-1] = replace(parts[-1], most=parts[-1].least)
    return parts


def _parsed(pattern: str) -> list[list[_Part]] | None:
    """The alternatives of a pattern; None when it refers back to what it matched."""
    flags = re.DOTALL | (re.IGNORECASE if re.search(r"\(\?[a-zA-Z]*i", pattern) else re.NOFLAG)
    stack: list[list[list[_Part]]] = [[[]]]
    for token in _TOKEN.finditer(pattern):
        match token.lastgroup:
            case "back":
                return None
            case "or":
                stack[-1].append([])
            case "edge":
                stack[-1][-1].append(_Part(ways=[]))
            case "open":
                stack.append([[]])
            case "close" if len(stack) > 1:
                ways = stack.pop()
                stack[-1][-1].append(_Part(ways=ways))
            case "repeat" if stack[-1][-1]:
                _repeat(stack[-1][-1][-1], token[0])
            case "one" | "sign":
                stack[-1][-1].append(_Part(signs=_signs(token[0], flags)))
    return stack[0]


def _repeat(part: _Part, written: str) -> None:
    if written[0] in "*+?":
        part.least, part.most = int(written[0] == "+"), 1 if written[0] == "?" else math.inf
        return
    least, comma, most = written.rstrip("?+").strip("{}").partition(",")
    part.least = int(least or 0)
    part.most = int(most) if most else math.inf if comma else part.least


@lru_cache(maxsize=1024)
def _signs(written: str, flags: int) -> _Signs:
    """The characters, of a sample, that a sign or a set stands for."""
    try:
        one = re.compile(written, flags)
    except re.error:
        return frozenset(_SAMPLE)
    return frozenset(filter(one.fullmatch, _SAMPLE)) or frozenset({written})


@dataclass(slots=True)
class _Counting:
    choices: float = 0.0
    degree: int = 0
    repeats: int = 0

    def group(self, group: _Part, open_: list[_Signs]) -> list[_Signs]:
        """Count one turn of a group.

        Args:
            group: The group.
            open_: What the repetitions before it can take in, those that may go on into it.

        Returns:
            The same for what comes behind it.
        """
        ways = [[]] if group.ways is None else group.ways
        self.choices += math.log2(len(ways) or 1)
        after: list[_Signs] = []
        for way in ways or [[]]:
            now = open_
            for part in way:
                now = self.part(part, now)
            after = _united(after, now)
        return after

    def part(self, part: _Part, open_: list[_Signs]) -> list[_Signs]:
        """Count a part, likewise."""
        varies = part.most - part.least
        if part.ways is None:
            return self._run(part.signs, open_, part.least, varies)
        if varies and part.most > _FEW:
            return self._many(part, open_)
        self.choices += math.log2(varies + 1)
        if part.least > _MOST_TIMES and any(one.most != one.least or len(one.ways or ()) > 1 for one in part.within()):
            self.choices = math.inf
        for turn in range(min(int(part.most), _MOST_TIMES)):
            entered = self.group(part, open_)
            open_ = entered if turn < part.least else _united(open_, entered)
        return open_

    def _many(self, part: _Part, open_: list[_Signs]) -> list[_Signs]:
        """A group that repeats: harmless only when each turn of it can match in one way."""
        inner = [one for way in part.ways or () for one in way]
        if len(part.ways or ()) > 1 or any(one.most != one.least for top in inner for one in top.within()):
            self.choices = math.inf
        signs = frozenset[str]().union(*(one.signs for one in part.within()))
        return self._run(signs, open_, part.least, part.most - part.least)

    def _run(self, signs: _Signs, open_: list[_Signs], least: int, varies: float) -> list[_Signs]:
        shares = any(one & signs for one in open_)
        if least:  # what has to stand there ends every repetition that cannot take it in
            open_ = [one for one in open_ if one & signs]
        if not varies:
            return open_
        if varies < _FEW:
            self.choices += math.log2(varies + 1) if shares else 0
        else:
            self.degree += shares
            self.repeats = 1
        return [*open_, signs]


def _united(some: list[_Signs], more: list[_Signs]) -> list[_Signs]:
    return [*some, *(one for one in more if one not in some)]
