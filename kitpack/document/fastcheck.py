"""A quick yes for plain values that fit a JSON Schema.

Values are checked each time a prompt is rendered, mostly against schemas that say little: text, a number, one of a
few words. Such schemas become plain functions. A function only ever says yes, and then the value is JSON's own: text,
numbers, lists and mappings of exactly those types. Whatever is not plainly good, and every schema with a rule that is
not known here, is left to the full check, which also has the words for what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

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
_WORDS_ONLY = frozenset({"title", "description", "default", "examples", "deprecated", "$comment", "$schema", "$id"})


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


def quick_check(schema: Json) -> Check | None:
    """Make the function for a schema; None when it has rules that are left to the full check."""
    if schema is True:
        return is_json
    if not isinstance(schema, dict):
        return None
    rules = {key: rule for key, rule in schema.items() if key not in _WORDS_ONLY and not key.startswith("x-")}
    if rules.keys() - _RULES.keys():
        return None
    if rules.get("type") == "object":
        made = _mapping(rules)
    elif rules.get("type") == "array":
        made = _list(rules)
    elif rules.keys() & {"properties", "required", "additionalProperties", "items"}:
        return None
    else:
        made = [_RULES[key](rule) for key, rule in rules.items()] or [is_json]
    checks = [check for check in made if check]
    return _all(checks) if len(checks) == len(made) else None


def _all(checks: list[Check]) -> Check:
    match checks:
        case [one]:
            return one
        case [one, two]:
            return lambda value: one(value) and two(value)
        case _:
            return lambda value: all(check(value) for check in checks)


def _mapping(rules: JsonObject) -> list[Check | None]:
    shapes, required = rules.get("properties", {}), rules.get("required", [])
    others = rules.get("additionalProperties", True)
    made = {name: quick_check(shape) for name, shape in shapes.items()} if isinstance(shapes, dict) else {"": None}
    known = {name: check for name, check in made.items() if check}
    other = None if others is False else quick_check(others)
    if len(known) < len(made) or (other is None and others is not False) or rules.keys() - _OF_MAPPINGS:
        return [None]
    get, names = known.get, frozenset(map(str, required)) if isinstance(required, list) else frozenset[str]()

    def check(value: Json) -> bool:
        if value.__class__ is not dict or not names <= value.keys():
            return False
        for name, member in value.items():
            one = get(name, other)
            if one is None or name.__class__ is not str or not one(member):
                return False
        return True

    return [check]


def _list(rules: JsonObject) -> list[Check | None]:
    inner = quick_check(rules.get("items", True))
    if inner is None or rules.keys() - {"type", "items"}:
        return [None]
    return [lambda value: value.__class__ is list and all(map(inner, value))]


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


_OF_MAPPINGS = frozenset({"type", "properties", "required", "additionalProperties"})
_RULES: dict[str, Callable[[Json], Check | None]] = {
    "type": _type,
    "enum": _enum,
    "maxLength": lambda rule: _length(rule, lambda size, most: size <= most),
    "minLength": lambda rule: _length(rule, lambda size, least: size >= least),
    **dict.fromkeys(("properties", "required", "additionalProperties", "items"), lambda _: None),
}
