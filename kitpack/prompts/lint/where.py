"""Where things stand: from a place in a message to a line of the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kitpack.prompts.prompt import Message, Prompt

__all__ = ["Text", "head_line", "key_line", "spot", "texts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A whole text that travels with a prompt: its own file, or one that it takes in.

    Attributes:
        path: Its path in the bundle; empty for the prompt's own file.
        text: What it says.
        line: The number of its first line.
    """

    path: str
    text: str
    line: int = 1

    def at(self, offset: int) -> tuple[int, int]:
        """The line and column of a character, both counted from 1."""
        line, column = _line_and_column(self.text, offset)
        return self.line + line, column + 1


def texts(prompt: Prompt) -> Iterator[Text]:
    """Everything a prompt says, whole files with their comments and front matter."""
    if prompt.source:
        yield Text(path="", text=prompt.source)
    else:
        yield from (Text(path="", text=message.template, line=message.line) for message in prompt.messages)
    yield from (Text(path=path, text=include.text) for path, include in sorted(prompt.includes.items()))


def spot(prompt: Prompt, message: Message, offset: int) -> tuple[int, int]:
    """The line and column of a character of a message; the column is 0 where the file is written otherwise.

    In YAML and JSON, a message's text is not what stands in the file: it is looked for.
    """
    down, column = _line_and_column(message.template, offset)
    lines, wanted = prompt.source.split("\n"), message.template.split("\n")[down].strip()
    guess = message.line + down
    for number in (guess, *range(message.line, len(lines) + 1)):
        if 1 <= number <= len(lines) and wanted and wanted in lines[number - 1]:
            start = lines[number - 1].index(wanted)
            indent = len(message.template.split("\n")[down]) - len(message.template.split("\n")[down].lstrip())
            return number, start + max(column - indent, 0) + 1
    return (guess if not prompt.source or guess <= len(lines) else message.line), 0


def key_line(prompt: Prompt, key: str, inner: str = "") -> int:
    """The line of a key of the front matter, or else the line on which the prompt begins.

    Args:
        prompt: Whose front matter.
        key: The key, such as ``variables``.
        inner: What is looked for below the key, such as the name of a variable.
    """
    first = prompt.lines.get(key)
    if first is None:
        return head_line(prompt)
    lines = prompt.source.split("\n")
    last = min((line for line in prompt.lines.values() if line > first), default=len(lines) + 1)
    whole = re.compile(rf"(?<![\w.-]){re.escape(inner)}(?![\w-])")
    below = (line for line in range(first, min(last, len(lines) + 1)) if whole.search(lines[line - 1]))
    return next(below, first) if inner else first


def head_line(prompt: Prompt) -> int:
    """The line for what is missing: the first key of the front matter, or the first line of text."""
    return min(prompt.lines.values(), default=prompt.messages[0].line if prompt.messages else 1)


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    """The line and column of a character, both counted from 0."""
    before = text[:offset]
    return before.count("\n"), offset - (before.rfind("\n") + 1)
