"""Plain values as YAML that people like to read, and that every reader of YAML takes for the same values.

Text that some version of YAML would take for a number, a truth value or a date stands in quotes; text of several
lines stands as a block wherever a block can hold it exactly; small collections stand on one line. Equal values give
equal bytes, and there is never an anchor, an alias or a tag.

Spec: https://yaml.org/spec/1.2.2/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from kitpack.oci.jsontext import Json, JsonObject

__all__ = ["emit"]

_WIDTH = 100
"""Columns up to which a small collection stands on one line."""

_BLOCK_LEVELS = 2
"""The upper levels, whose mappings take a line for each key: they are what the document is about."""

_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_PLAIN = re.compile(r"[^\W\d_](?:[^:#\n]|:(?=\S)|(?<=\S)#)*")
_PLAIN_INSIDE = re.compile(r"[^\W\d_](?:[^:#,?\[\]{}\n]|:(?=[^\s,\[\]{}])|(?<=\S)#)*")
_ODD = re.compile("[\x7f-\xa0\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufffe\uffff]")
_UNFIT_FOR_BLOCK = re.compile(r"\A\s|[ \t](?:\n|\Z)|\n\n\Z|[\x00-\x08\x0b-\x1f]")


def emit(value: JsonObject) -> str:
    """Write an object as one YAML document without a marker at its start, keys in the order given.

    Args:
        value: What to write; its numbers are finite.

    Returns:
        Lines that end with a line break; ``{}`` for an empty object.
    """
    lines = _fields(value, 0) if value else iter(["{}"])
    return "".join(f"{line}\n" for line in lines)


def _fields(value: JsonObject, level: int) -> Iterator[str]:
    for key, member in value.items():
        yield from _labelled(f"{_text(key)}:", member, level + 1)


def _labelled(label: str, value: Json, level: int) -> Iterator[str]:
    """The lines of a value after its key, or after the dash of a list."""
    if isinstance(value, str) and _is_block(value):
        yield f"{label} |{'' if value.endswith(chr(10)) else '-'}"
        yield from (f"  {line}" if line else "" for line in value.removesuffix("\n").split("\n"))
        return
    flat = _flat(value)
    open_mapping = isinstance(value, dict) and bool(value) and (level < _BLOCK_LEVELS or label == "-")
    if flat is not None and not open_mapping and (_is_small(value) or len(label) + 2 * level + len(flat) <= _WIDTH):
        yield f"{label} {flat}"
        return
    lines = list(_fields(value, level)) if isinstance(value, dict) else []
    if isinstance(value, list):
        lines = [line for one in value for line in _labelled("-", one, level + 1)]
    if label == "-":
        yield f"- {lines[0]}"
        lines = lines[1:]
    else:
        yield label
    yield from (f"  {line}" if line else "" for line in lines)


def _is_small(value: Json) -> bool:
    return not value or not isinstance(value, dict | list)


def _flat(value: Json, *, inside: bool = False) -> str | None:
    """The value on one line; None for blocks and lists of mappings, which are better read on lines of their own."""
    if isinstance(value, str):
        return None if _is_block(value) else _text(value, inside=inside)
    if not isinstance(value, dict | list):
        return _number(value) if isinstance(value, float) else json.dumps(value)
    if isinstance(value, dict):
        parts = [(f"{_text(key, inside=True)}: ", _flat(one, inside=True)) for key, one in value.items()]
    else:
        parts = [("", None if one and isinstance(one, dict) else _flat(one, inside=True)) for one in value]
    inner = [f"{label}{part}" for label, part in parts if part is not None]
    if len(inner) < len(parts):
        return None
    return f"{{{', '.join(inner)}}}" if isinstance(value, dict) else f"[{', '.join(inner)}]"


def _text(text: str, *, inside: bool = False) -> str:
    """The text as it is where that is beyond doubt, else in quotes, escaped as in JSON.

    Args:
        text: The text.
        inside: Whether it stands between brackets or braces, where more characters mean something.
    """
    plain = (_PLAIN_INSIDE if inside else _PLAIN).fullmatch(text) and text.isprintable()
    if plain and text.lower() not in _WORDS and not text.endswith((" ", ":")):
        return text
    return _ODD.sub(_escaped, json.dumps(text, ensure_ascii=False))


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _number(value: float) -> str:
    """A number as YAML 1.1 reads it, too: it wants a dot before every exponent."""
    written = json.dumps(value, allow_nan=False)
    return written if "." in written else written.replace("e", ".0e")


def _is_block(text: str) -> bool:
    """Whether a block keeps it: YAML changes odd characters, and editors remove spaces at the end of a line."""
    return "\n" in text and not (_UNFIT_FOR_BLOCK.search(text) or _ODD.search(text))
