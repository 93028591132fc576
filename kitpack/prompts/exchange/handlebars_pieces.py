"""Handlebars templates in pieces: plain characters and tags, without the space that tags eat."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kitpack.prompts.exchange.notation import text_to_jinja

__all__ = ["Tagged", "tagged_pieces"]

_COMMENT = r"\{\{!--(?:(?!\{\{!--).)*?--~?\}\}"  # what is never closed is searched for no further than the next one
_TAG = re.compile(
    rf"\\(\{{\{{)|({_COMMENT}|\{{\{{~?\{{(?:(?!\{{\{{).)*?\}}~?\}}\}}|\{{\{{(?:(?!\{{\{{).)*?\}}\}})", re.DOTALL
)
_INSIDE = re.compile(r"\{\{(~?)\{?\s*(.*?)\s*\}?(~?)\}\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Tagged:
    """Plain characters, or a tag: what stands between its braces, and whether it eats the space around it."""

    text: str
    line: int = 0
    column: int = 0
    tag: bool = False
    before: bool = False
    after: bool = False


def tagged_pieces(template: str, first_line: int) -> Iterator[Tagged]:
    """Read a template; plain characters come out as Jinja, so that none of them means anything there.

    Args:
        template: The template.
        first_line: The line of the file on which it starts.
    """
    return _trimmed(list(_pieces(template, first_line)))


def _pieces(template: str, first_line: int) -> Iterator[Tagged]:
    position = 0
    for found in _TAG.finditer(template):
        start = found.start()
        line = first_line + template.count("\n", 0, start)
        column = start - template.rfind("\n", 0, start)
        if found[1]:
            yield Tagged(template[position:start] + found[1], line)
        else:
            if start > position:
                yield Tagged(template[position:start], line)
            inside = _INSIDE.fullmatch(found[2])
            before, body, after = inside.groups() if inside else ("", found[2], "")
            yield Tagged(body, line, column, tag=True, before=bool(before), after=bool(after))
        position = found.end()
    if position < len(template):
        yield Tagged(template[position:])


def _trimmed(pieces: list[Tagged]) -> Iterator[Tagged]:
    """The pieces without the space that tags eat: by a tilde, or because they stand alone on their line.

    Plain characters come out as Jinja, so that none of them means anything there.
    """
    for number, piece in enumerate(pieces):
        if piece.tag:
            yield piece
            continue
        text = piece.text
        previous = pieces[number - 1] if number else None
        following = pieces[number + 1] if number + 1 < len(pieces) else None
        if previous and (previous.after or _alone(pieces, number - 1)):
            text = text.lstrip() if previous.after else re.sub(r"\A[ \t]*\n?", "", text, count=1)
        if following and (following.before or _alone(pieces, number + 1)):
            text = text.rstrip() if following.before else text.rstrip(" \t")
        yield Tagged(text_to_jinja(text, before_place=following is not None), piece.line)


def _alone(pieces: list[Tagged], number: int) -> bool:
    """Whether a tag that prints nothing has a line for itself."""
    tag = pieces[number]
    if not tag.text.startswith(("#", "/", "^", "!", ">")) and not re.match(r"else\b", tag.text):
        return False
    before = pieces[number - 1] if number else Tagged("\n")
    after = pieces[number + 1] if number + 1 < len(pieces) else Tagged("\n")
    if before.tag or after.tag:
        return False
    starts = re.search(r"(?:\A|\n)[ \t]*\Z" if number <= 1 else r"\n[ \t]*\Z", before.text)
    ends = re.match(r"[ \t]*(?:\n|\Z)" if number + 2 >= len(pieces) else r"[ \t]*\n", after.text)
    return bool(starts and ends)
