"""The places in a template that are not plain text, in every notation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from kitpack.prompts.prompt import Format

__all__ = ["Tag", "guarded", "mentions", "plain", "tags_of"]


@dataclass(frozen=True, slots=True)
class Tag:
    """A place for a value, a statement, or a comment.

    Attributes:
        kind: What it is.
        start: Where it starts in the template.
        end: Where it ends.
        inner: What stands between its delimiters, without spaces at both ends.
    """

    kind: Literal["value", "statement", "comment"]
    start: int
    end: int
    inner: str

    @property
    def word(self) -> str:
        """The first word of it: of a statement, which one it is."""
        return (self.inner.split(maxsplit=1) or [""])[0]


_JINJA = re.compile(
    r"(?P<comment>\{#.*?#\})"
    r"|(?P<raw>\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\})"
    r"|(?P<statement>\{%.*?%\})"
    r"|(?P<value>\{\{.*?\}\})",
    re.DOTALL,
)
_BRACES = re.compile(r"(?P<literal>\{\{|\}\})|(?P<value>\{\w+\})")
_HANDLEBARS = re.compile(
    r"(?P<comment>\{\{!--.*?--\}\}|\{\{![^}]*\}\})|(?P<statement>\{\{[#/>].*?\}\})|(?P<value>\{\{.*?\}\})", re.DOTALL
)
_NOTATIONS = {
    "jinja": _JINJA,
    "prompty": _JINJA,
    "chat": _JINJA,
    "braces": _BRACES,
    "dotprompt": _HANDLEBARS,
}
_OPENING = {"if", "for", "macro", "call", "filter", "block", "#if", "#unless", "#each", "#with"}


@lru_cache(maxsize=256)
def tags_of(form: Format, template: str) -> tuple[Tag, ...]:
    """What in a template is not plain text, in order; what Jinja is told to leave raw is plain text."""
    notation = _NOTATIONS.get(form)
    return tuple(_tags(notation, template)) if notation else ()


def plain(form: Format, template: str) -> str:
    """A template with blanks in place of what is not plain text, every character where it was."""
    parts, at = list[str](), 0
    for tag in tags_of(form, template):
        parts += [template[at : tag.start], re.sub("[^\n]", " ", template[tag.start : tag.end])]
        at = tag.end
    return "".join([*parts, template[at:]])


def guarded(form: Format, template: str, offset: int) -> bool:
    """Whether a place in a template stands in a block that may be left out: in a condition or a loop."""
    depth = 0
    for tag in tags_of(form, template):
        if tag.start > offset:
            break
        if tag.kind == "statement":
            depth += (tag.word in _OPENING) - tag.word.startswith(("end", "/"))
    return depth > 0


def mentions(form: Format, template: str, name: str) -> list[Tag]:
    """The tags that name a variable, comments left out."""
    whole = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)")
    return [tag for tag in tags_of(form, template) if tag.kind != "comment" and whole.search(_unquoted(tag.inner))]


def _tags(notation: re.Pattern[str], template: str) -> Iterator[Tag]:
    for found in notation.finditer(template):
        if found.lastgroup in ("value", "statement", "comment"):
            inner = found[0].strip("{}").strip("%#!-+ \t\r\n") if notation is _JINJA else found[0].strip("{}").strip()
            kind: Literal["value", "statement", "comment"] = "value"
            if found.lastgroup != "value":
                kind = "statement" if found.lastgroup == "statement" else "comment"
            yield Tag(kind, *found.span(), inner)


def _unquoted(code: str) -> str:
    """Code without what its strings say."""
    return re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "''", code)
