"""Rules about what a prompt has to say in every version: a change of one line must not lose a rule of the law."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kitpack.prompts.lint.findings import Around, Found
from kitpack.prompts.lint.where import head_line, key_line
from kitpack.prompts.prompt import Prompt

__all__ = ["promises_dropped", "promises_kept"]

_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_SHOWN = 80


def promises_kept(prompt: Prompt, around: Around) -> Iterator[Found]:
    """Find texts that a prompt must contain and does not; how its lines are broken does not matter."""
    del around
    said = [_one_line(text) for text in _spoken(prompt)]
    for text in prompt.must_contain:
        if not any(_one_line(text) in one for one in said):
            line = key_line(prompt, "must_contain", text.split("\n")[0].strip()[:_SHOWN])
            yield Found(rule="prompt-must-contain", message=f"no message says {text[:_SHOWN]!r}", line=line)


def promises_dropped(prompt: Prompt, around: Around) -> Iterator[Found]:
    """Find texts that the version before had to contain and this one need not."""
    if around.previous is None:
        return
    kept = {_one_line(text) for text in prompt.must_contain}
    for text in around.previous.must_contain:
        if _one_line(text) not in kept:
            line = prompt.lines.get("must_contain") or head_line(prompt)
            message = f"the version before had to say {text[:_SHOWN]!r}, and this one need not"
            yield Found(rule="prompt-must-contain-dropped", message=message, line=line)


def _spoken(prompt: Prompt) -> Iterator[str]:
    """What stands in messages and in texts they take in; a comment is not said to a model."""
    is_plain = prompt.format in ("text", "braces")
    for text in (*(one.template for one in prompt.messages), *(one.text for one in prompt.includes.values())):
        yield text if is_plain else _COMMENT.sub(" ", text)


def _one_line(text: str) -> str:
    return " ".join(text.split())
