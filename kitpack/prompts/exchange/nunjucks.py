"""Nunjucks templates, as promptfoo has them, in Jinja and back: the same language but for a handful of words.

Spec: https://mozilla.github.io/nunjucks/templating.html
"""

from __future__ import annotations

import re

__all__ = ["jinja_to_nunjucks", "nunjucks_to_jinja"]

_TAG = re.compile(r"\{\{(?:(?!\{\{).)*?\}\}|\{%(?:(?!\{%).)*?%\}", re.DOTALL)
_STRING = re.compile(r"(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')")
_PAIRS = re.compile(r"(\bfor\s+\w+\s*,\s*\w+\s+in\s+[\w.\[\]]+)(\s*-?%\}|\s+if\b|\Z)")
_ITEMS = re.compile(r"(\bfor\s+\w+\s*,\s*\w+\s+in\s+[\w.\[\]]+)\.items\(\)")
_CALL = re.compile(r"\.\w+\(")
_INWARD = ((r"\|(\s*)dump\b", r"|\1tojson"), (r"(\{%-?\s*)elseif\b", r"\1elif"), (r"([=!])==", r"\1="))
_OUTWARD = ((r"\|(\s*)tojson\b", r"|\1dump"),)


def nunjucks_to_jinja(template: str) -> tuple[str, tuple[str, ...]]:
    """A Nunjucks template in Jinja, and notes about what differs."""
    notes: dict[str, None] = {}

    def change(found: re.Match[str]) -> str:
        tag = _outside_strings(found[0], _INWARD)
        if re.search(r"\benv\.", tag):
            notes["env. is a variable like any other here: nothing is read from the environment"] = None
        paired, count = _PAIRS.subn(r"\1.items()\2", tag)
        if count:
            notes["loops over pairs are read as loops over the items of a mapping"] = None
        return paired

    return _TAG.sub(change, template), tuple(notes)


def jinja_to_nunjucks(template: str) -> tuple[str, tuple[str, ...]]:
    """A Jinja template in Nunjucks, and notes about what Nunjucks may not know."""
    notes: dict[str, None] = {}

    def change(found: re.Match[str]) -> str:
        tag = _outside_strings(_ITEMS.sub(r"\1", found[0]), _OUTWARD)
        if call := _CALL.search(_STRING.sub("''", tag)):
            notes[f"{call[0]}…) is a method of Python, which Nunjucks does not have"] = None
        return tag

    return _TAG.sub(change, template), tuple(notes)


def _outside_strings(tag: str, changes: tuple[tuple[str, str], ...]) -> str:
    parts = _STRING.split(tag)
    for number in range(0, len(parts), 2):
        for pattern, replacement in changes:
            parts[number] = re.sub(pattern, replacement, parts[number])
    return "".join(parts)
