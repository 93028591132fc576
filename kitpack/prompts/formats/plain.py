"""Prompts that are their own text: plain, with Jinja's places for values, or with names in single braces.

The text is one message. When its first line that is not blank is a role alone on its line, such as ``user:``, lines
like that divide it into several; blank lines around each are left out then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import islice

from kitpack.document.faults import Faults
from kitpack.prompts.prompt import ROLES, Message

__all__ = ["markers_in", "read_plain", "trimmed"]

_MARKER = re.compile(rf"^({'|'.join(ROLES)}):[ \t]*$", re.MULTILINE)
_MAX_MESSAGES = 1000
_BLANK = re.compile(r"(?:[ \t]*\n)*")


def read_plain(
    body: str,
    line: int,
    role: str,
    faults: Faults,
    *,
    enclosed: Callable[[str], Mapping[int, str]] | None = None,
) -> tuple[Message, ...]:
    """Read the messages of a text.

    Args:
        body: The text below the front matter.
        line: The line of the file on which it starts.
        role: Who speaks when the text does not say; system when this is empty.
        faults: Takes what is wrong.
        enclosed: Tells which lines of a text, counted from 0, are inside of a block of its template, and in which: a
            block cannot reach from one message into another. Lines inside of a ``comment`` are no markers.

    Returns:
        The messages, at least one.
    """
    found = _MARKER.search(body)
    if found is None or body[: found.start()].strip():
        return (_whole(body, line, role),)
    inside = enclosed(body) if enclosed else {}
    markers = [
        one
        for one in markers_in(_MARKER, body, line, faults)
        if inside.get(body.count("\n", 0, one.start())) != "comment"
    ]
    if not markers:
        return (_whole(body, line, role),)
    if role:
        faults.add(0, 0, f"role: {role} stands in the front matter, and {found[0].strip()} in the text", "remove one")
    for one in markers:
        number = body.count("\n", 0, one.start())
        if block := inside.get(number):
            message = f"the role marker {one[0].strip()!r} is inside of {block}; each message is rendered by itself"
            faults.add(line + number, 1, message, "end the block above the marker")
    ends = [*(one.start() for one in markers[1:]), len(body)]
    return tuple(_part(body, one, end, line, faults) for one, end in zip(markers, ends, strict=True))


def markers_in(pattern: re.Pattern[str], body: str, line: int, faults: Faults) -> list[re.Match[str]]:
    """The markers that divide a text; a fault when they are more than any prompt has."""
    found = list(islice(pattern.finditer(body), _MAX_MESSAGES + 1))
    if len(found) > _MAX_MESSAGES:
        faults.add(line, 1, f"more than {_MAX_MESSAGES} messages", "a prompt of that size is a dataset")
    return found[:_MAX_MESSAGES]


def trimmed(text: str, line: int) -> tuple[str, int]:
    """A text without the blank lines around it, and the line on which it starts now."""
    above = _BLANK.match(text)
    start = above.end() if above else 0
    return text[start:].rstrip(), line + text.count("\n", 0, start)


def _whole(body: str, line: int, role: str) -> Message:
    """All of the text, to its last line break; only blank lines between it and the front matter are left out."""
    above = _BLANK.match(body) if line > 1 else None
    start = above.end() if above else 0
    return Message(role=role or "system", template=body[start:], line=line + body.count("\n", 0, start))


def _part(body: str, marker: re.Match[str], end: int, line: int, faults: Faults) -> Message:
    first = line + body.count("\n", 0, marker.start())
    text, start = trimmed(body[marker.end() + 1 : end], first + 1)
    if not text:
        faults.add(first, 1, f"nothing follows {marker[0].strip()!r}", "write the message, or remove the marker")
    return Message(role=marker[1], template=text, line=start)
