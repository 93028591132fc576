"""Templates from one notation into another, where both can say the same."""

from __future__ import annotations

import re

__all__ = ["braces_to_jinja", "text_to_jinja"]

_OPENING = re.compile(r"\{(?=[{%#])")
_BRACES = re.compile(r"(\{\{|\}\})|\{([^{}]*)\}")


def text_to_jinja(text: str, *, before_place: bool = False) -> str:
    """Plain characters as a Jinja template that renders to exactly them.

    Args:
        text: The characters.
        before_place: Whether a place for a value follows, whose braces a last brace would join.
    """
    escaped = _OPENING.sub("{{ '{' }}", text)
    return f"{escaped[:-1]}{{{{ '{{' }}}}" if before_place and escaped.endswith("{") else escaped


def braces_to_jinja(template: str) -> str:
    """A template with single braces around names as a Jinja template."""
    result, literal, position = [], "", 0
    for found in _BRACES.finditer(template):
        literal += template[position : found.start()] + (found[1] or "")[:1]
        position = found.end()
        if found[1] is None:
            result += [text_to_jinja(literal, before_place=True), f"{{{{ {found[2].strip()} }}}}"]
            literal = ""
    return "".join([*result, text_to_jinja(literal + template[position:])])
