"""Rules about templates that do less than they seem to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from kitpack.prompts.lint.findings import Around, Found
from kitpack.prompts.lint.tags import Tag, plain, tags_of
from kitpack.prompts.lint.where import spot
from kitpack.prompts.prompt import Prompt

__all__ = ["empty_messages", "plain_braces", "unreachable"]

_TRUE = re.compile(r"(?:true|True|not false|not False|[1-9]\d*|'[^']+'|\"[^\"]+\")")
_FALSE = re.compile(r"(?:false|False|none|None|not true|not True|0|''|\"\")")
_WORD = re.compile(r"(?<![\w.'\"])\w+")
_EMPTY = re.compile(r"\w+(?:\s*,\s*\w+)*\s+in\s+(?:\[\s*\]|\(\s*\)|\{\s*\}|range\(\s*0\s*\)|''|\"\")")
_LOOKS_FILLED = re.compile(
    r"\{\{-?\s*[A-Za-z_][\w.]*\s*(?:\|[^{}]*)?-?\}\}|\{%-?\s*(?:if|for|include|set|endif|endfor)\b[^{}]*%\}"
)


def empty_messages(prompt: Prompt, around: Around) -> Iterator[Found]:  # noqa: ARG001
    """Find messages that say nothing, whatever they are filled with."""
    for message in prompt.messages:
        if message.template.strip():
            says = plain(prompt.format, message.template).strip()
            shown = any(tag.kind != "comment" for tag in tags_of(prompt.format, message.template))
            if says or shown:
                continue
        what = f"the {message.role} message is empty"
        yield Found(rule="prompt-empty-message", message=what, line=message.line)


def plain_braces(prompt: Prompt, around: Around) -> Iterator[Found]:  # noqa: ARG001
    """Find places for values in a text that is not filled with any; one finding per message is enough."""
    if prompt.format not in ("text", "braces"):
        return
    for message in prompt.messages:
        if found := _LOOKS_FILLED.search(message.template):
            line, column = spot(prompt, message, found.start())
            text = f"{found[0]} stays as it is: the file is {_NOTATIONS[prompt.format]}"
            yield Found(rule="prompt-plain-braces", message=text, line=line, column=column)


_NOTATIONS = {"text": "plain text", "braces": "written with single braces"}


def unreachable(prompt: Prompt, around: Around) -> Iterator[Found]:  # noqa: ARG001
    """Find branches that are never taken, macros that are never called, and values that are never used."""
    if prompt.format not in ("jinja", "prompty", "chat"):
        return
    for message in prompt.messages:
        tags = [tag for tag in tags_of(prompt.format, message.template) if tag.kind != "comment"]
        for tag, text in [*_branches(tags), *_idle(tags, [one.text for one in prompt.includes.values()])]:
            line, column = spot(prompt, message, tag.start)
            yield Found(rule="prompt-unreachable", message=text, line=line, column=column)


def _branches(tags: list[Tag]) -> Iterator[tuple[Tag, str]]:
    """Conditions that are always the same, and those that repeat an earlier one of the same chain."""
    chains: list[list[str]] = []
    for tag in (tag for tag in tags if tag.kind == "statement"):
        word, condition = tag.word, tag.inner.removeprefix(tag.word).strip()
        if word == "if":
            chains.append([])
        if word in ("if", "elif") and chains:
            yield from ((tag, text) for text in _never(condition, chains[-1]))
            chains[-1].append(condition)
        elif word == "else" and chains and any(_TRUE.fullmatch(one) for one in chains[-1]):
            yield tag, "this else is never reached: a condition before it always holds"
        elif word == "endif" and chains:
            chains.pop()
        elif word == "for":
            chains.append([])
            if _EMPTY.fullmatch(condition):
                yield tag, f"{{% {tag.inner} %}} loops over nothing"
        elif word == "endfor" and chains:
            chains.pop()


def _never(condition: str, before: list[str]) -> Iterator[str]:
    if any(_TRUE.fullmatch(one) for one in before):
        yield "this branch is never reached: a condition before it always holds"
    elif _FALSE.fullmatch(condition):
        yield f"{condition} never holds: what follows is never part of the prompt"
    elif condition in before:
        yield f"{condition} was asked before in the same chain: this branch is never reached"


def _idle(tags: list[Tag], included: list[str]) -> Iterator[tuple[Tag, str]]:
    """Macros and values that nothing uses, nor any text that is taken in."""
    words = Counter(word for text in (*(tag.inner for tag in tags), *included) for word in _WORD.findall(text))
    for tag in tags:
        made = re.match(r"(?P<word>set|macro)\s+(?P<name>\w+)\b", tag.inner) if tag.kind == "statement" else None
        if made is None:
            continue
        if words[made["name"]] == _WORD.findall(tag.inner).count(made["name"]):
            verb = "is never called" if made["word"] == "macro" else "is set and never used"
            yield tag, f"{made['name']} {verb}"
