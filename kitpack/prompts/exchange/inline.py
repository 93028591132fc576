"""Prompts in one piece, for tools that know no bundles: the texts that a prompt takes in, written into it."""

from __future__ import annotations

import re
from dataclasses import replace

from kitpack.prompts.includes import resolve
from kitpack.prompts.prompt import Message, Prompt

__all__ = ["inlined"]

_INCLUDE = re.compile(r"\{%(-?)\+?\s*include\s+(?:\"([^\"]*)\"|'([^']*)')\s*(?:with context\s*)?\+?(-?)%\}")
_DEPTH = 32
_EATS_BEFORE, _EATS_AFTER = "{{- '' }}", "{{ '' -}}"


def inlined(prompt: Prompt, notes: list[str]) -> Prompt:
    """The same prompt with the texts that it takes in where they are taken in.

    Args:
        prompt: The prompt.
        notes: Told about each text, and about those that are taken in under a condition of their own.
    """
    if not prompt.includes:
        return prompt
    messages = tuple(
        Message(role=one.role, template=_filled(one.template, prompt.path, prompt), line=one.line)
        for one in prompt.messages
    )
    notes.append(f"{prompt.name}: the texts of {', '.join(sorted(prompt.includes))} are written into it")
    if any(re.search(r"\{%[-+]?\s*(?:include|import|from)\b", one.template) for one in messages):
        notes.append(f"{prompt.name}: another text is still taken in by its path, and has to be brought along")
    return replace(prompt, messages=messages, includes={})


def _filled(template: str, path: str, prompt: Prompt, depth: int = 0) -> str:
    def text_of(found: re.Match[str]) -> str:
        include = prompt.includes.get(resolve(path, found[2] or found[3] or ""))
        if include is None or depth > _DEPTH:
            return found[0]
        text = _filled(include.text, include.path, prompt, depth + 1)
        return f"{_EATS_BEFORE * bool(found[1])}{text}{_EATS_AFTER * bool(found[4])}"

    return _INCLUDE.sub(text_of, template)
