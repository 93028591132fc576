"""One pattern of ``.kitignore``, matched in one pass over a path: no pattern can make that slow.

A regular expression would try every way in which its ``**`` can share a path, which takes hours for a handful of them.
Here all ways are followed at once, character by character, and what follows from where is remembered for the next path.

Spec: https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Pattern"]

_MAX_LENGTH = 1000
_MAX_REMEMBERED = 2000
_TOKEN = re.compile(
    r"(?P<deep>\*\*/?)|(?P<star>\*)|(?P<one>\?)|\\(?P<plain>.)|\[(?P<not>\^?)(?P<set>(?:\\.|[^\\\]])+)\]|(?P<char>.)",
    re.DOTALL,
)
_SPAN = re.compile(r"\\?(?P<low>.)(?:-\\?(?P<high>.))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a pattern.

    Attributes:
        kind: ``one`` character; a ``star`` within a name; ``deep``, any folders or none; or all the ``rest``.
        fits: Whether a character may stand there.
    """

    kind: Literal["one", "star", "deep", "rest"]
    fits: Callable[[str], object]


@dataclass(slots=True, eq=False)
class _State:
    """Where in a pattern one may be: before the piece of a number, or in the midst of a ``deep`` one (``~number``)."""

    places: frozenset[int]
    is_end: bool
    following: dict[str, _State] = field(default_factory=dict)


class Pattern:
    """A pattern in its normal form: relative, without ``.`` and empty names.

    Args:
        text: The pattern.

    Raises:
        ValueError: When it breaks the grammar, or is longer than any path.
    """

    def __init__(self, text: str) -> None:
        if len(text) > _MAX_LENGTH:
            raise ValueError(f"it is longer than {_MAX_LENGTH} characters")
        self._pieces = tuple(_without_repetitions(_piece(one, len(text)) for one in _TOKEN.finditer(text)))
        self._states: dict[frozenset[int], _State] = {}

    def covers(self, path: str) -> bool:
        """Whether the pattern matches a path, or a folder above it."""
        state = self._state({0})
        for index, char in enumerate(path):
            if index and char == "/" and state.is_end:
                return True
            if char not in state.following:
                state.following[char] = self._state(self._after(state, char))
            state = state.following[char]
            if not state.places:
                return False
        return bool(path) and state.is_end

    def _after(self, state: _State, char: str) -> set[int]:
        """The places one may be in after a character."""
        found = set[int]()
        for place in state.places:
            number = max(place, ~place)
            piece = self._pieces[number] if number < len(self._pieces) else None
            if piece is None or not piece.fits(char):
                continue
            if piece.kind == "one" or (piece.kind == "deep" and char == "/"):
                found.add(number + 1)
            if piece.kind != "one":
                found.add(~number if piece.kind == "deep" else number)
        return found

    def _state(self, places: set[int]) -> _State:
        """The state of these places, and of those behind pieces that may as well be nothing."""
        for place in sorted(places):
            while 0 <= place < len(self._pieces) and self._pieces[place].kind != "one":
                place += 1  # noqa: PLW2901 - a walk that starts at each
                places.add(place)
        key = frozenset(places)
        if len(self._states) > _MAX_REMEMBERED:
            self._forget()
        return self._states.setdefault(key, _State(key, len(self._pieces) in key))

    def _forget(self) -> None:
        for state in self._states.values():
            state.following.clear()
        self._states.clear()


def _without_repetitions(pieces: Iterable[_Piece]) -> Iterable[_Piece]:
    """The same pieces; a ``*`` after a ``*`` says nothing new, nor does a ``**`` after a ``**``."""
    last = ""
    for piece in pieces:
        if piece.kind == "one" or piece.kind != last:
            yield piece
        last = piece.kind


def _piece(token: re.Match[str], length: int) -> _Piece:
    if token["deep"]:
        return _Piece("rest" if token.end() == length else "deep", bool)
    if token["star"]:
        return _Piece("star", _is_in_a_name)
    if token["one"]:
        return _Piece("one", _is_in_a_name)
    if token["set"]:
        return _Piece("one", _set(token["not"], token["set"]))
    if token["char"] in {"[", "\\"}:
        raise ValueError("an open bracket, or a backslash at the end")
    return _Piece("one", (token["plain"] or token["char"]).__eq__)


def _is_in_a_name(char: str) -> bool:
    return char != "/"


def _set(negation: str, members: str) -> Callable[[str], object]:
    spans = "".join(map(_span, _SPAN.finditer(members)))
    try:
        return re.compile(f"(?!/)[{negation}{spans}]", re.DOTALL).fullmatch
    except re.error as error:
        raise ValueError(str(error)) from None


def _span(part: re.Match[str]) -> str:
    """One character of a set, or a range of them."""
    return re.escape(part["low"]) + (f"-{re.escape(part['high'])}" if part["high"] else "")
