"""A document as a tree whose every node knows its place, and its reading as plain values.

YAML guesses types from how text looks, and every version guesses differently: ``1.10`` becomes ``1.1``, ``no`` becomes
false, ``12:30`` becomes 750. Here the schema says where text is expected, and text it stays. Elsewhere the core schema
of YAML 1.2 decides, which is JSON's idea of types and holds no surprises.

Spec: https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kitpack.oci.jsontext import Json, JsonObject

__all__ = ["MAX_DEPTH", "MAX_NODES", "Fields", "Items", "Node", "Report", "Scalar", "core_value", "locate", "to_json"]

MAX_DEPTH = 64
"""How deep lists and mappings may nest: no author needs more, and deeper ones are a way to exhaust a stack."""

MAX_NODES = 100_000
"""How many values a document may have."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ZERO = re.compile(r"\x00")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_MAX_DIGITS = 25  # far more than any parameter has; beyond it, Python's own conversion becomes a way to waste time


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text: ``plain`` when it stands there without quotes. Lines and columns are counted from 1."""

    line: int
    column: int
    text: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    line: int
    column: int
    members: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping with unique keys."""

    line: int
    column: int
    members: dict[str, tuple[Scalar, Node]]


Node: TypeAlias = Scalar | Items | Fields

Report: TypeAlias = Callable[[int, int, str, str], None]
"""Takes a fault: its line, its column, what was found and expected, and what to write instead."""


def to_json(node: Node, shape: JsonObject, definitions: JsonObject, report: Report) -> Json:
    """Read a tree as plain values.

    Args:
        node: The tree.
        shape: The part of the schema that describes it; it decides only where text is text. Text with a
            ``contentMediaType`` is a document of its own, which may hold whatever it likes but NUL.
        definitions: What the schema's references lead to.
        report: Called with everything that has no plain value.
    """
    shape = _resolved(shape, definitions)
    if isinstance(node, Scalar):
        return _scalar(node, shape, report)
    if isinstance(node, Items):
        inner = _object(shape.get("items"))
        return [to_json(member, inner, definitions, report) for member in node.members]
    known = _object(shape.get("properties"))
    values = {
        key: to_json(member, _object(known.get(key)), definitions, report) for key, (_, member) in node.members.items()
    }
    return {key: value for key, value in values.items() if value is not None or key not in known}


def core_value(text: str) -> Json:
    """What unquoted text means by YAML 1.2's core schema.

    Raises:
        ValueError: When it is a number that JSON cannot hold.
    """
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a number JSON can hold")
    if _BASED.fullmatch(text) or _INT.fullmatch(text):
        return _integer(text)
    return _number(text) if _FLOAT.fullmatch(text) else text


def locate(root: Node, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
    """Find the line and column of a value, or of the last thing above it that exists.

    Args:
        root: The tree.
        path: The keys and indexes that lead to the value.
        key: Whether the place of the value's key is wanted instead.
    """
    node, place = root, (root.line, root.column)
    for step in path:
        if isinstance(node, Fields) and step in node.members:
            name, node = node.members[str(step)]
            place = (name.line, name.column) if key else (node.line, node.column)
        elif isinstance(node, Items) and isinstance(step, int) and step < len(node.members):
            node = node.members[step]
            place = (node.line, node.column)
    return place


def _resolved(shape: JsonObject, definitions: JsonObject) -> JsonObject:
    reference = shape.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        return _object(definitions[reference.removeprefix("#/$defs/")])
    return shape


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _scalar(node: Scalar, shape: JsonObject, report: Report) -> Json:
    is_text, refused = shape.get("type") == "string", _ZERO if "contentMediaType" in shape else _CONTROL
    if _SURROGATE.search(node.text):
        report(node.line, node.column, "half of a surrogate pair is not a character", "write the character itself")
        return ""
    if is_text and (odd := refused.search(node.text)):
        report(node.line, node.column, f"the control character U+{ord(odd[0]):04X} has no place here", "remove it")
    if not node.plain:
        return node.text
    if is_text:
        return None if node.text in _NULL else node.text
    try:
        return core_value(node.text)
    except ValueError as error:
        report(node.line, node.column, str(error), f'as text, write it in quotes: "{node.text[:40]}"')
        return 0


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits is not one")
    return int(text, 0) if _BASED.fullmatch(text) else int(text)


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is larger than any number JSON can hold")
    return value
