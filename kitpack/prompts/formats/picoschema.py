"""Picoschema, dotprompt's short way to write a JSON Schema.

Spec: https://google.github.io/dotprompt/reference/picoschema/
"""

from __future__ import annotations

import re

from kitpack.oci.jsontext import Json, JsonObject

__all__ = ["BadPicoschemaError", "from_picoschema"]

_SCALARS = frozenset({"string", "integer", "number", "boolean", "null"})
_FULL = _SCALARS | {"object", "array"}
_KEY = re.compile(r"([^?()\s]+)(\?)?(?:\(\s*(array|object|enum|\*)?\s*(?:,\s*(.*?)\s*)?\))?")
_MAX_DEPTH = 30


class BadPicoschemaError(Exception):
    """Something that is no Picoschema: where, and what was found."""

    def __init__(self, path: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


def from_picoschema(value: Json) -> JsonObject:
    """Read a schema in either way of writing.

    Args:
        value: Picoschema, or a JSON Schema, which has a ``type`` or ``properties`` of its own.

    Raises:
        BadPicoschemaError: When it is neither.
    """
    if isinstance(value, dict) and value.get("type") in _FULL:
        return value
    if isinstance(value, dict) and isinstance(value.get("properties"), dict):
        return {"type": "object", **value}
    return _schema(value, ())


def _schema(value: Json, path: tuple[str, ...]) -> JsonObject:
    if len(path) > _MAX_DEPTH:
        raise BadPicoschemaError(path, f"nested more than {_MAX_DEPTH} deep")
    if isinstance(value, str):
        return _scalar(value, path)
    if isinstance(value, dict):
        return _mapping(value, path)
    raise BadPicoschemaError(path, "expected the name of a type, or a mapping of fields")


def _scalar(text: str, path: tuple[str, ...]) -> JsonObject:
    kind, _, description = (part.strip() for part in text.partition(","))
    if kind != "any" and kind not in _SCALARS:
        known = ", ".join(sorted(_SCALARS))
        raise BadPicoschemaError(path, f"{kind[:60]!r} is not a type; expected any, {known}")
    schema: JsonObject = {} if kind == "any" else {"type": kind}
    return _described(schema, description)


def _mapping(fields: JsonObject, path: tuple[str, ...]) -> JsonObject:
    properties: JsonObject = {}
    required: list[Json] = []
    schema: JsonObject = {"type": "object", "properties": properties, "required": required}
    others: JsonObject | bool = False
    for key, value in fields.items():
        if key == "(*)":
            others = _schema(value, (*path, key))
            continue
        found = _KEY.fullmatch(key)
        if found is None:
            raise BadPicoschemaError((*path, key), f"{key[:60]!r} is not a field, such as `name?(array, what it is)`")
        name, optional, kind, description = found.groups()
        member = _described(_member(value, kind, (*path, key)), description or "")
        properties[name] = _nullable(member) if optional else member
        if not optional:
            required.append(name)
    schema["additionalProperties"] = others
    return schema


def _member(value: Json, kind: str | None, path: tuple[str, ...]) -> JsonObject:
    if kind == "array":
        return {"type": "array", "items": _schema(value, path)}
    if kind == "enum":
        if not isinstance(value, list) or not value:
            raise BadPicoschemaError(path, "an enum is a list of its values")
        return {"enum": value}
    if kind == "object" and not isinstance(value, dict):
        raise BadPicoschemaError(path, "an object is a mapping of fields")
    return _schema(value, path)


def _nullable(schema: JsonObject) -> JsonObject:
    """What may be left out may be null as well."""
    if isinstance(values := schema.get("enum"), list):
        return {**schema, "enum": [*values, None] if None not in values else values}
    kind = schema.get("type")
    return {**schema, "type": [kind, "null"]} if isinstance(kind, str) and kind != "null" else schema


def _described(schema: JsonObject, description: str) -> JsonObject:
    return {**schema, "description": description} if description else schema
