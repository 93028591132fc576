"""Comments that silence a rule on their own line or the next one, and those that are in vain.

``{# kitpack: ignore=RULE #}`` in a template, ``# kitpack: ignore=RULE`` in front matter and YAML,
``<!-- kitpack: ignore=RULE -->`` in plain text and Markdown; several rules with commas between them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kitpack.document.schema import nearest
from kitpack.prompts.frontmatter import split
from kitpack.prompts.lint.findings import Found
from kitpack.prompts.lint.rules import RULES
from kitpack.prompts.prompt import Prompt

__all__ = ["Silence", "apply", "comment_for", "silences_of"]

_WORD = "kitpack:"
_ASKS = re.compile(r"kitpack:\s*ignore\s*=\s*(?P<rules>[\w-]+(?:\s*,\s*[\w-]+)*)")
_COMMENTS = {
    "template": re.compile(r"\{#-?\s*(?P<inner>kitpack:[^#]{0,200}?)\s{0,9}-?#\}"),
    "yaml": re.compile(r"(?:^|(?<=\s))#\s*(?P<inner>kitpack:[^#]{0,200}?)\s{0,9}$"),
    "markup": re.compile(r"<!--\s*(?P<inner>kitpack:.{0,200}?)\s{0,9}-->"),
}
_SHAPES = {
    "template": "{{# kitpack: ignore={} #}}",
    "yaml": "# kitpack: ignore={}",
    "markup": "<!-- kitpack: ignore={} -->",
}
_BODIES = {
    "jinja": ("template", "markup"),
    "prompty": ("template", "markup"),
    "dotprompt": ("markup",),
    "text": ("markup",),
    "braces": ("markup",),
}
_NEVER_SILENT = ("prompt-syntax", "prompt-unknown-rule", "prompt-unused-silence")


@dataclass(frozen=True, slots=True)
class Silence:
    """One rule that is not to speak about a line.

    Attributes:
        rule: Its id, as written.
        line: The line of the comment.
        column: Its column.
        lines: The lines it is about.
    """

    rule: str
    line: int
    column: int
    lines: tuple[int, ...]


def silences_of(prompt: Prompt) -> list[Silence]:
    """Every silence of a prompt's file."""
    lines, body = prompt.source.split("\n"), _body_line(prompt)
    found = [
        (number, comment)
        for number, line in enumerate(lines, 1)
        for kind in (_kinds(prompt, number, body) if _WORD in line else ())
        for comment in _COMMENTS[kind].finditer(line)
    ]
    alone = {number for number, comment in found if lines[number - 1].strip() == comment[0].strip()}
    below: dict[int, int] = {}  # the line a comment above it is about: the next one that is no such comment itself
    for number in sorted(alone, reverse=True):
        below[number] = below.get(number + 1, number + 1)
    return [
        Silence(rule.strip(), number, comment.start() + 1, (number, below.get(number, number)))
        for number, comment in found
        if (asked := _ASKS.fullmatch(comment["inner"]))
        for rule in asked["rules"].split(",")
    ]


def apply(found: Sequence[Found], silences: Sequence[Silence]) -> Iterator[Found]:
    """Leave out what is silenced, and find the silences that are in vain."""
    used = set[Silence]()
    about: defaultdict[tuple[str, int], set[Silence]] = defaultdict(set)
    for silence in silences:
        for line in silence.lines:
            about[silence.rule, line].add(silence)
    for one in found:
        hushing = about.get((one.rule, one.line), set()) if _can_be_silent(one) else set()
        used.update(hushing)
        if not hushing:
            yield one
    yield from (_vain(silence) for silence in silences if silence not in used)


def comment_for(prompt: Prompt, rule: str, line: int) -> str:
    """The comment that silences a rule on a line; empty where there can be none."""
    kinds = _kinds(prompt, line, _body_line(prompt)) if rule not in _NEVER_SILENT else ()
    return _SHAPES[kinds[0]].format(rule) if kinds else ""


def _kinds(prompt: Prompt, line: int, body: int) -> tuple[str, ...]:
    """What can be a comment on a line of a file whose front matter ends above the line ``body``."""
    if prompt.format == "chat":
        return () if prompt.path.lower().endswith(".json") else ("yaml",)
    if line < body:
        return ("yaml",)
    return _BODIES[prompt.format]


def _body_line(prompt: Prompt) -> int:
    """The line after the front matter."""
    return split(prompt.source.removeprefix("\ufeff"), comments=prompt.format == "dotprompt")[2]


def _can_be_silent(found: Found) -> bool:
    """Whether a comment can silence it: it stands in the prompt's own file, and is a matter of opinion."""
    return not found.path and found.rule not in _NEVER_SILENT


def _vain(silence: Silence) -> Found:
    if silence.rule in RULES:
        message = f"{silence.rule} finds nothing on this line or the next"
        return Found(rule="prompt-unused-silence", message=message, line=silence.line, column=silence.column)
    meant = nearest(silence.rule, list(RULES))
    return Found(
        rule="prompt-unknown-rule",
        message=f"there is no rule {silence.rule!r}",
        line=silence.line,
        column=silence.column,
        hint=f"did you mean {meant}?" if meant else "",
    )
