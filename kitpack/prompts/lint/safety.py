"""Rules about what others may have written into a prompt: its users, and whoever hides text in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

from kitpack.prompts.lint.findings import Around, Found
from kitpack.prompts.lint.tags import mentions
from kitpack.prompts.lint.where import Text, key_line, spot, texts
from kitpack.prompts.prompt import Message, Prompt
from kitpack.prompts.variables import names_of

__all__ = ["hidden_characters", "looks_untrusted", "untrusted_in_system"]

_OBEYED = ("system", "developer")
_DECIDES = ("if", "elif", "#if", "#unless")
_USERS_WORDS = re.compile(
    r"(?:^|_)(?:users?_?(?:input|message|query|question|text|prompt|request|name|comment|content|data)|query|question"
    r"|message|tickets?|comments?|reviews?|feedback|transcript|chat_?(?:history|log)|e?mail(?:_?(?:body|text|subject))?"
    r"|customer_?(?:name|message|input|text)|(?:un)?trusted_?input|search_?results?|web_?page|attachment|complaint"
    r"|conversation|utterance)$",
    re.IGNORECASE,
)
_SAFE_TYPES = ("integer", "number", "boolean", "null")


def untrusted_in_system(prompt: Prompt, around: Around) -> Iterator[Found]:  # noqa: ARG001
    """Find variables of users where the model takes orders."""
    for message in prompt.messages:
        if message.role in _OBEYED:
            alone = replace(prompt, messages=(message,))
            for name in sorted(names_of(alone) & prompt.untrusted):
                yield from _shown(prompt, message, name)


def _shown(prompt: Prompt, message: Message, name: str) -> Iterator[Found]:
    """Where the value of a variable gets into a message; a condition only decides about other text."""
    tags = mentions(prompt.format, message.template, name)
    showing = [tag for tag in tags if tag.word not in _DECIDES]
    if tags and not showing:
        return
    line, column = spot(prompt, message, showing[0].start) if showing else (message.line, 0)
    yield Found(
        rule="prompt-untrusted-in-system",
        message=f"{name} is untrusted and is filled into a {message.role} message",
        line=line,
        column=column,
    )


def looks_untrusted(prompt: Prompt, around: Around) -> Iterator[Found]:  # noqa: ARG001
    """Find variables that users probably write, of which the author says nothing."""
    properties = prompt.variables.get("properties")
    schemas = properties if isinstance(properties, dict) else {}
    for name in sorted(schemas):
        if name not in prompt.untrusted and _USERS_WORDS.search(name) and not _is_narrow(schemas[name]):
            message = f"{name} sounds as if users controlled it, and is not declared untrusted"
            yield Found(
                rule="prompt-looks-untrusted",
                message=message,
                line=key_line(prompt, "variables", name),
                hint=f"untrusted: [{', '.join([*sorted(prompt.untrusted), name])}], if users control it",
            )


def _is_narrow(schema: object) -> bool:
    """Whether a schema leaves no room for a sentence, or says outright that the value is trusted."""
    if not isinstance(schema, dict):
        return False
    return bool({"enum", "const"} & set(schema) or schema.get("type") in _SAFE_TYPES or "x-kitpack-untrusted" in schema)


def hidden_characters(prompt: Prompt, around: Around) -> Iterator[Found]:  # noqa: ARG001
    """Find characters that nobody sees and the model does."""
    for text in texts(prompt):
        yield from _hidden(text, _CONTROLS, "prompt-hidden-text")
        yield from _hidden(text, _WIDTHLESS, "prompt-zero-width")


_FLAG = "\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]{2,6}\U000e007f"
_CONTROLS = re.compile(
    f"{_FLAG}|(?P<bad>[\u202a-\u202e\u2066-\u2069]|[\U000e0000-\U000e007f]+|[\U000e0100-\U000e01ef]{{2,}})"
)
_WIDTHLESS = re.compile(
    "(?P<bad>[\u200b\u2060-\u2064\u180e\u115f\u1160\u3164\uffa0]+|(?<!^)\ufeff|\u00ad|[\u200c\u200d])"
)


def _hidden(text: Text, pattern: re.Pattern[str], rule: str) -> Iterator[Found]:
    for found in pattern.finditer(text.text):
        if not found["bad"] or _joins(text.text, found.start()):
            continue
        line, column = text.at(found.start())
        first = found["bad"][0]
        name = f"U+{ord(first):04X} {unicodedata.name(first, '')}".strip()
        more = f" and {len(found['bad']) - 1} more" if len(found["bad"]) > 1 else ""
        yield Found(rule=rule, message=f"a hidden character: {name}{more}", line=line, column=column, path=text.path)


def _joins(text: str, offset: int) -> bool:
    """Whether a joiner stands where scripts need it: after an emoji, or a letter of an alphabet other than Latin."""
    if text[offset] not in "\u200c\u200d" or not offset:
        return False
    before = text[offset - 1]
    return unicodedata.category(before) in ("So", "Sk", "Mn", "Mc", "Lo")
