"""A quick yes for plain values that fit a JSON Schema.

Values are checked each time a prompt is rendered, mostly against schemas that say little: text, a number, one of a
few words. Such schemas become plain functions. A function only ever says yes, and then the value is JSON's own: text,
numbers, lists and mappings of exactly those types. Whatever is not plainly good, and every schema with a rule that is
not known here, is left to the full check, which also has the words for what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import TypeAlias

from kitpack.document.patterns import work_of
from kitpack.oci.jsontext import Json, JsonObject

__all__ = ["Check", "is_json", "quick_check"]

Check: TypeAlias = Callable[[Json], bool]
"""Says whether a value plainly fits."""

_SCALARS = frozenset({str, int, float, bool, type(None)})
_TEXTS = frozenset({str})
_MAX_DEPTH = 64
_TYPES: dict[str, Check] = {
    "string": lambda value: value.__class__ is str,
    "integer": lambda value: value.__class__ is int,
    "number": lambda value: value.__class__ is int or value.__class__ is float,
    "boolean": lambda value: value.__class__ is bool,
    "null": lambda value: value is None,
    "array": lambda value: value.__class__ is list and is_json(value),
    "object": lambda value: value.__class__ is dict and is_json(value),
}
_WORDS_ONLY = frozenset(
    {"title", "description", "default", "examples", "deprecated", "$comment", "$schema", "$id", "$defs"}
)


def is_json(value: object, depth: int = 0) -> bool:
    """Whether a value is JSON's own, all the way down; what is nested very deeply is not."""
    if value.__class__ in _SCALARS:
        return True
    if depth > _MAX_DEPTH:
        return False
    if value.__class__ is list:
        members: Collection[object] = value
    elif value.__class__ is dict and _TEXTS.issuperset(map(type, value)):
        members = value.values()
    else:
        return False
    return _SCALARS.issuperset(map(type, members)) or all(is_json(member, depth + 1) for member in members)


def quick_check(schema: Json, definitions: JsonObject | None = None) -> Check | None:
    """Make the function for a schema; None when it has rules that are left to the full check.

    Where only a part of it has such rules, the function says yes to what does not come to that part.

    Args:
        schema: The schema.
        definitions: What its references ``#/$defs/NAME`` lead to, from a schema of our own: somebody else's could
            refer to each other until nobody can write it down.
    """
    return _made(schema, definitions or {}, frozenset())


def _made(schema: Json, definitions: JsonObject, above: frozenset[str]) -> Check | None:
    """The function for a part of a schema that stands in some definitions."""
    if schema is True:
        return is_json
    if not isinstance(schema, dict):
        return None
    rules = {key: rule for key, rule in schema.items() if key not in _WORDS_ONLY and not key.startswith("x-")}
    checks: list[Check | None] = []
    if "$ref" in rules:
        checks.append(_referred(rules.pop("$ref"), definitions, above))
    if rules.keys() - _RULES.keys():
        return None

    def inner(part: Json) -> Check:
        return _made(part, definitions, above) or _never

    if rules.get("type") == "object":
        checks.append(_mapping(rules, inner))
    elif rules.get("type") == "array":
        checks.append(_list(rules, inner))
    elif rules.keys() & {"properties", "required", "additionalProperties", "items"}:
        return None
    else:
        checks += [_RULES[key](rule) for key, rule in rules.items()]
    known = [check for check in checks or [is_json] if check]
    return _all(known) if len(known) >= len(checks) else None


def _never(_: Json) -> bool:
    return False


def _referred(reference: Json, definitions: JsonObject, above: frozenset[str]) -> Check | None:
    name = str(reference).removeprefix("#/$defs/")
    if name == reference or name not in definitions or name in above:
        return None
    return _made(definitions[name], definitions, above | {name})


def _all(checks: list[Check]) -> Check:
    match checks:
        case [one]:
            return one
        case [one, two]:
            return lambda value: one(value) and two(value)
        case _:
            return lambda value: all(check(value) for check in checks)


def _mapping(rules: JsonObject, inner: Callable[[Json], Check]) -> Check | None:
    shapes, required = rules.get("properties", {}), rules.get("required", [])
    if not isinstance(shapes, dict) or not isinstance(required, list) or rules.keys() - _OF_MAPPINGS:
        return None
    others = rules.get("additionalProperties", True)
    get, other = {name: inner(shape) for name, shape in shapes.items()}.get, inner(others)
    names = frozenset(map(str, required))

    def check(value: Json) -> bool:
        if value.__class__ is not dict or not names <= value.keys():
            return False
        return all(name.__class__ is str and get(name, other)(member) for name, member in value.items())

    return check


def _list(rules: JsonObject, inner: Callable[[Json], Check]) -> Check | None:
    if rules.keys() - {"type", "items"}:
        return None
    member = inner(rules.get("items", True))
    return lambda value: value.__class__ is list and all(map(member, value))


def _type(rule: Json) -> Check | None:
    if isinstance(rule, str):
        return _TYPES.get(rule)
    checks = [_TYPES.get(str(one)) for one in rule] if isinstance(rule, list) else []
    known = [check for check in checks if check]
    return (lambda value: any(check(value) for check in known)) if known and len(known) == len(checks) else None


def _enum(rule: Json) -> Check | None:
    words = frozenset(one for one in rule if isinstance(one, str)) if isinstance(rule, list) else frozenset[str]()
    return lambda value: value.__class__ is str and value in words


def _length(rule: Json, compare: Callable[[int, int], bool]) -> Check | None:
    if not isinstance(rule, int):
        return None
    return lambda value: value.__class__ is str and compare(len(value), rule)


def _pattern(rule: Json) -> Check | None:
    try:
        search = re.compile(rule).search if isinstance(rule, str) else None
    except (re.error, RecursionError, OverflowError):
        return None
    if search is None:
        return None
    fits = work_of(str(rule)).fits
    return lambda value: value.__class__ is str and fits(len(value)) and search(value) is not None


_OF_MAPPINGS = frozenset({"type", "properties", "required", "additionalProperties"})
_RULES: dict[str, Callable[[Json], Check | None]] = {
    "type": _type,
    "enum": _enum,
    "maxLength": lambda rule: _length(rule, lambda size, most: size <= most),
    "pattern": _pattern,
    "minLength": lambda rule: _length(rule, lambda size, least: size >= least),
    **dict.fromkeys(("properties", "required", "additionalProperties", "items"), lambda _: None),
}
