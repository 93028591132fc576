"""A quick yes for plain values that fit a JSON Schema.

Values are checked each time a prompt is rendered, mostly against schemas that say little: text, a number, one of a
few words. Such schemas become plain functions. A function only ever says yes, and then the value is JSON's own: text,
numbers, lists and mappings of exactly those types. Whatever is not plainly good, and every schema with a rule that is
not known here, is left to the full check, which also has the words for what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeAlias

from kitpack.document.patterns import work_of
from kitpack.oci.jsontext import Json, JsonObject

__all__ = ["METASCHEMA", "Check", "is_json", "is_plain_schema", "quick_check"]

METASCHEMA = "https://json-schema.org/draft/2020-12/schema"
"""The schema of schemas."""

Check: TypeAlias = Callable[[Json], bool]
"""Says whether a value plainly fits."""

_SCALARS = frozenset({str, int, float, bool, type(None)})
_TEXTS = frozenset({str})
_MAX_DEPTH = 64
_MAX_PLAIN = 10
_TYPES: dict[str, Check] = {
    "string": lambda value: value.__class__ is str,
    "integer": lambda value: value.__class__ is int,
    "number": lambda value: value.__class__ is int or value.__class__ is float,
    "boolean": lambda value: value.__class__ is bool,
    "null": lambda value: value is None,
    "array": lambda value: value.__class__ is list and is_json(value),
    "object": lambda value: value.__class__ is dict and is_json(value),
}
_APART = ("object", "array", "string", "boolean", "null")
"""Types of which no value has two, and none is two in Python."""

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

    def inner(part: Json) -> Check:
        return _made(part, definitions, above) or _never

    checks: list[Check | None] = []
    if "$ref" in rules:
        checks.append(_referred(rules.pop("$ref"), definitions, above))
    checks += _by_kind(rules.get("type"), rules, inner)
    known = [check for check in checks or [is_json] if check]
    return _all(known) if len(known) >= len(checks) else None


def _by_kind(kind: Json, rules: JsonObject, inner: Callable[[Json], Check]) -> Iterator[Check | None]:
    """The functions of rules for values of one type, of several, or of any; None for what is not known here."""
    if "if" in rules and kind in _APART:
        yield from _conditional(str(kind), rules.pop("if"), rules.pop("then", True), inner)
    if isinstance(kind, list):
        yield _any_of([inner(_as_of(str(one), rules)) for one in kind])
    elif rules.keys() - _RULES.keys():
        yield None
    elif kind == "object":
        yield _mapping(rules, inner)
    elif kind == "array":
        yield _list(rules, inner)
    elif rules.keys() & _OF_KIND.keys():
        yield None
    else:
        yield from (_RULES[key](rule) for key, rule in rules.items())


def _as_of(kind: str, rules: JsonObject) -> JsonObject:
    """What rules for several types say about one of them."""
    return {key: rule for key, rule in rules.items() if _OF_KIND.get(key, kind) == kind} | {"type": kind}


def _conditional(kind: str, condition: Json, then: Json, inner: Callable[[Json], Check]) -> Iterator[Check | None]:
    """What ``if`` and ``then`` add for values of a type, where the condition is that they are of one."""
    wanted = condition.get("type") if isinstance(condition, dict) and len(condition) == 1 else None
    if wanted == kind:
        yield inner(then)
    elif wanted not in _APART:
        yield None


def _never(_: Json) -> bool:
    return False


def _any_of(checks: Sequence[Check]) -> Check:
    return lambda value: any(check(value) for check in checks)


def _referred(reference: Json, definitions: JsonObject, above: frozenset[str]) -> Check | None:
    if reference == METASCHEMA:
        return is_plain_schema
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


_OF_KIND = {"properties": "object", "required": "object", "additionalProperties": "object", "items": "array"}
_OF_MAPPINGS = frozenset({"type", *(key for key, kind in _OF_KIND.items() if kind == "object")})
_RULES: dict[str, Callable[[Json], Check | None]] = {
    "type": lambda rule: _TYPES.get(str(rule)),
    "enum": _enum,
    "maxLength": lambda rule: _length(rule, lambda size, most: size <= most),
    "pattern": _pattern,
    "minLength": lambda rule: _length(rule, lambda size, least: size >= least),
    **dict.fromkeys(_OF_KIND, lambda _: None),
}


def _is_count(rule: Json) -> bool:
    return isinstance(rule, int) and not isinstance(rule, bool) and rule >= 0


def _members(value: Json) -> Collection[Json]:
    return value.values() if isinstance(value, dict) else ()


def _are_unique_texts(value: Json) -> bool:
    return isinstance(value, list) and _TEXTS.issuperset(map(type, value)) and len(set(map(str, value))) == len(value)


_PLAIN: dict[str, Check] = {
    **dict.fromkeys(("title", "description"), _TYPES["string"]),
    **dict.fromkeys(("required", "enum"), _are_unique_texts),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _TYPES["number"]),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_count),
    **dict.fromkeys(("x-kitpack-untrusted", "x-kitpack-sensitive"), _TYPES["boolean"]),
    "type": lambda rule: isinstance(rule, str) and rule in _TYPES,
    "properties": lambda rule: isinstance(rule, dict),
    "items": lambda rule: isinstance(rule, dict),
    "additionalProperties": lambda rule: isinstance(rule, bool | dict),
    "default": lambda _: True,
}


def is_plain_schema(schema: Json, depth: int = 0) -> bool:
    """Whether a schema says nothing but what most schemas say, which needs no metaschema, and takes no time."""
    if not isinstance(schema, dict) or depth > _MAX_PLAIN or schema.keys() - _PLAIN.keys():
        return isinstance(schema, bool)
    if not all(_PLAIN[key](rule) for key, rule in schema.items()):
        return False
    inner = [
        *_members(schema.get("properties")),
        *(schema[key] for key in ("items", "additionalProperties") if key in schema),
    ]
    return all(is_plain_schema(one, depth + 1) for one in inner)
