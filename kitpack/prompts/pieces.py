"""Templates that hold nothing but names: single braces, and the plain part of Handlebars."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from kitpack.errors import RenderError
from kitpack.prompts.meter import Meter

__all__ = ["Found", "Piece", "Place", "braces", "handlebars", "join_pieces", "names_in"]


@dataclass(frozen=True, slots=True)
class Found:
    """A fault of a template: its line, counted from 1, what was found, and what to write instead."""

    line: int
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A place for a value: the way to it, the first step of which is a variable, and its line, counted from 1."""

    path: tuple[str, ...]
    line: int


Piece: TypeAlias = str | Place | Found
"""A stretch of a template: text, a place for a value, or a fault."""

_BRACES = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}|[{}]")
_NAME = re.compile(r"[^\W\d]\w*")
_STACHES = re.compile(r"(\\?)\{\{(\{?)([^{}]*)(\}?)\}\}|\{\{")
_WAY = re.compile(r"\s*([^\W\d]\w*(?:\.[^\W\d][\w-]*)*)\s*")


def braces(text: str) -> Iterator[Piece]:
    """Read a template with names in single braces; two braces stand for one."""
    end, line = 0, 1
    for found in _BRACES.finditer(text):
        yield text[end : found.start()]
        line += text.count("\n", end, found.start())
        end = found.end()
        if found[0] in ("{{", "}}"):
            yield found[0][0]
        elif found[1] is not None and _NAME.fullmatch(found[1]):
            yield Place((found[1],), line)
        else:
            yield Found(line, *_brace_fault(found[0]))
    yield text[end:]


def handlebars(text: str) -> Iterator[Piece]:
    """Read a template with names in double braces; whatever else Handlebars offers is a fault."""
    end, line = 0, 1
    for found in _STACHES.finditer(text):
        yield text[end : found.start()]
        line += text.count("\n", end, found.start())
        yield _stache(found, line)
        line += found[0].count("\n")
        end = found.end()
    yield text[end:]


def _stache(found: re.Match[str], line: int) -> Piece:
    escaped, opened, inside, closed = found.groups()
    if inside is None:
        return Found(line, "the place that starts with '{{' has no end", "close it with }}; a name holds no braces")
    if inside.startswith("!") and not (escaped or opened):
        return ""
    way = _WAY.fullmatch(inside)
    if way and not escaped and bool(opened) == bool(closed) and way[1] not in _WORDS:
        return Place(tuple(way[1].split(".")), line)
    return Found(line, f"{found[0][:60]!r} is not supported", _advice(inside.strip()))


_WORDS = frozenset({"else", "this", "history", "role", "media", "section", "json", "true", "false", "null"})


def _advice(inside: str) -> str:
    word = inside.lstrip("#/^~&> ").split(" ")[0][:20]
    return f'kitpack fills {{{{name}}}} and {{{{role "user"}}}}; for {word or "more"}, write a .jinja file'


def _brace_fault(text: str) -> tuple[str, str]:
    if text in "{}":
        return f"a single {text} is no place for a value", f"for the sign itself, write {text * 2}"
    inside = text[1:-1]
    name = re.split(r"[.\[!:]", inside)[0].strip()
    hint = f"write {{{name}}}" if _NAME.fullmatch(name) else "for the sign itself, write {{"
    return f"{text[:60]!r} is not a name in braces", hint


def names_in(pieces: Iterator[Piece]) -> frozenset[str]:
    """The variables that a template wants."""
    return frozenset(piece.path[0] for piece in pieces if isinstance(piece, Place))


def join_pieces(
    pieces: tuple[Piece, ...], values: Mapping[str, object], meter: Meter, where: tuple[str, int], *, lenient: bool
) -> str:
    """Fill a template.

    Args:
        pieces: The template, without faults.
        values: Plain values by name.
        meter: Counts what is written.
        where: The file, and the line on which the template starts, for messages.
        lenient: Whether nothing is written for a variable that was not given, as Handlebars does.

    Raises:
        RenderError: When there is no value for a place.
    """
    texts = []
    for piece in pieces:
        if isinstance(piece, Place):
            value = _value(piece, values, where, lenient=lenient)
            meter.weigh(value)
            texts.append("" if lenient and value is None else str(value))
        elif isinstance(piece, str):
            texts.append(piece)
    return "".join(texts)


def _value(place: Place, values: Mapping[str, object], where: tuple[str, int], *, lenient: bool) -> object:
    found: object = values
    for index, step in enumerate(place.path):
        if isinstance(found, Mapping) and step in found:
            found = found[step]
        elif lenient and not index:
            return None
        else:
            path, line = where
            raise RenderError(f"{path}:{place.line + line - 1}: '{'.'.join(place.path[: index + 1])}' is undefined")
    return found
