"""Dotprompt's ``.prompt`` files: front matter, and the plain part of Handlebars.

Text is put in for ``{{name}}`` and ``{{name.part}}``, and ``{{role "user"}}`` starts a message. Whatever else
Handlebars can do (conditions, loops, helpers, partials) is a fault that names its line.

Spec: https://google.github.io/dotprompt/reference/frontmatter/
"""

from __future__ import annotations

import re

from kitpack.document.faults import Faults
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.formats.picoschema import BadPicoschemaError, from_picoschema
from kitpack.prompts.formats.plain import markers_in, trimmed
from kitpack.prompts.frontmatter import Said, Written, read_said, split
from kitpack.prompts.keys import KEYS, PARAMETERS, object_of, text_of, texts_of
from kitpack.prompts.prompt import Message

__all__ = ["read_dotprompt"]

_TEXT: JsonObject = {"type": "string"}
_MAPPING: JsonObject = {"type": "object"}
_OURS = ("changelog", "untrusted", "sensitive", "must_contain", "version")
_SHAPE: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(("name", "variant", "version", "description", "model"), _TEXT),
        **dict.fromkeys(("config", "metadata", "ext", "toolDefs"), _MAPPING),
        "input": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"default": _MAPPING, "schema": {"type": ["object", "string"]}},
        },
        "output": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"format": _TEXT, "schema": {"type": ["object", "string"]}},
        },
        "tools": {"type": "array"},
        **{f"kitpack.{key}": object_of(KEYS["properties"]).get(key) for key in _OURS},
    },
    "patternProperties": {r"^[^.]+\..+$": True},
}
_ROLE = re.compile(r"\{\{\s*role\s+(?:\"([^\"}\n]*)\"|'([^'}\n]*)')\s*\}\}")
_ROLES = {"system": "system", "user": "user", "model": "assistant", "assistant": "assistant", "tool": "tool"}


def read_dotprompt(text: str, faults: Faults) -> Written:
    """Read a ``.prompt`` file.

    Args:
        text: Its text.
        faults: Takes what is wrong.
    """
    front, body, line = split(text, comments=True)
    said = read_said(front, _SHAPE, faults, closed=front != text) if front is not None else None
    messages = _messages(body, line, faults)
    return Written(messages=messages, said=_translated(said, faults) if said else Said())


def _messages(body: str, line: int, faults: Faults) -> tuple[Message, ...]:
    found: list[Message] = []
    role, start = "user", 0
    for marker in markers_in(_ROLE, body, line, faults):
        found += _message(role, body[start : marker.start()], line + body.count("\n", 0, start))
        word, start = marker[1] or marker[2] or "", marker.end()
        if word not in _ROLES:
            number = line + body.count("\n", 0, marker.start())
            faults.add(number, 1, f"expected a role ({', '.join(_ROLES)}), found {word[:40]!r}")
        role = _ROLES.get(word, "user")
    found += _message(role, body[start:], line + body.count("\n", 0, start))
    return tuple(found)


def _message(role: str, text: str, line: int) -> list[Message]:
    inner, first = trimmed(text, line)
    return [Message(role=role, template=inner, line=first)] if inner else []


def _translated(said: Said, faults: Faults) -> Said:
    """The same in kitpack's own keys."""
    data, result = said.data, dict[str, Json]()
    for key in ("name", "version", "description", "model", "tools"):
        if key in data:
            result[key] = data[key]
    result |= {key: data[f"kitpack.{key}"] for key in _OURS if f"kitpack.{key}" in data}
    if variant := text_of(data.get("variant")):
        result["metadata"] = {"variant": variant}
    config = object_of(data.get("config"))
    if config:
        result["parameters"] = {PARAMETERS.get(key, key): value for key, value in config.items()}
    if variables := _variables(object_of(data.get("input")), said, faults):
        result["variables"] = variables
    output = object_of(data.get("output"))
    if "schema" in output:
        result["output"] = _schema(output["schema"], said, faults, "output")
    rest: JsonObject = {key: data[key] for key in ("ext", "toolDefs") if key in data}
    rest |= {key: value for key, value in data.items() if "." in key and not key.startswith("kitpack.")}
    if rest or "metadata" in data:
        result["metadata"] = {**object_of(data.get("metadata")), **object_of(result.get("metadata")), **rest}
    return Said(data=result, root=said.root)


def _variables(given: JsonObject, said: Said, faults: Faults) -> JsonObject:
    defaults = object_of(given.get("default"))
    if "schema" not in given:
        return {name: {"default": value} for name, value in defaults.items()}
    schema = _schema(given["schema"], said, faults, "input")
    if schema.get("type") != "object":
        faults.add(*said.place("input", "schema"), "the schema of the input describes no mapping of variables")
        return {}
    properties = object_of(schema.get("properties"))
    for name in defaults:
        if name not in properties:
            faults.add(*said.place("input", "default", name), f"there is no variable {name[:80]!r} in the schema")
    known = {
        name: {**object_of(member), "default": defaults[name]} if name in defaults else member
        for name, member in properties.items()
    }
    required = [name for name in texts_of(schema.get("required")) if name not in defaults]
    return {**schema, "properties": known, "required": list[Json](required)}


def _schema(value: Json, said: Said, faults: Faults, key: str) -> JsonObject:
    try:
        return from_picoschema(value)
    except BadPicoschemaError as error:
        faults.add(*said.place(key, "schema", *error.path), error.message)
        return {}
