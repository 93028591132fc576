"""Prompty's ``.prompty`` files, version 2 and the older spelling where it says the same.

Nothing is read from the environment or from other files while a prompt is read: ``${env:…}`` and ``${file:…}`` are
faults, but for the connection, which is the application's business and left alone.

Spec: https://prompty.ai
"""

from __future__ import annotations

import re

from kitpack.document.faults import Faults
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.formats.plain import markers_in, trimmed
from kitpack.prompts.frontmatter import Said, Written, read_said, split
from kitpack.prompts.keys import PARAMETERS, object_of, text_of
from kitpack.prompts.prompt import Message

__all__ = ["read_prompty"]

_TEXT: JsonObject = {"type": "string"}
_MAPPING: JsonObject = {"type": "object"}
_EITHER: JsonObject = {"type": ["object", "string"]}
_DECLARED: JsonObject = {"type": ["object", "array"]}
_TEXTS: JsonObject = {"type": "array", "items": _TEXT}
_SHAPE: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(("name", "displayName", "description", "version", "kind"), _TEXT),
        **dict.fromkeys(("authors", "tags", "untrusted", "sensitive", "must_contain"), _TEXTS),
        "changelog": _TEXT,
        "metadata": _MAPPING,
        "model": _EITHER,
        "inputs": _DECLARED,
        "outputs": _DECLARED,
        "tools": {"type": ["array", "object"]},
        "template": _EITHER,
        "sample": {"type": ["object", "string"]},
    },
}
_SAME = ("name", "description", "version", "changelog", "tools", "untrusted", "sensitive", "must_contain")
_KINDS = {
    "string": "string",
    "str": "string",
    "integer": "integer",
    "int": "integer",
    "float": "number",
    "number": "number",
    "boolean": "boolean",
    "bool": "boolean",
    "array": "array",
    "list": "array",
    "object": "object",
    "dict": "object",
}
_MARKER = re.compile(
    r"^[ \t]*(?:#[ \t]*)?(system|developer|user|assistant|tool)(\[[^\]\n]*\])?[ \t]*:[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
_OUTSIDE = re.compile(r"\$\{(?:env|file):[^}]*\}")


def read_prompty(text: str, faults: Faults) -> Written:
    """Read a ``.prompty`` file.

    Args:
        text: Its text.
        faults: Takes what is wrong.
    """
    front, body, line = split(text)
    said = read_said(front, _SHAPE, faults, closed=front != text) if front is not None else None
    return Written(messages=_messages(body, line, faults), said=_translated(said, faults) if said else Said())


def _messages(body: str, line: int, faults: Faults) -> tuple[Message, ...]:
    found: list[Message] = []
    role, start = "system", 0
    for marker in [*markers_in(_MARKER, body, line, faults), None]:
        inner, first = trimmed(body[start : marker.start() if marker else None], line + body.count("\n", 0, start))
        if inner:
            found.append(Message(role=role, template=inner, line=first))
        if marker is None:
            break
        role, start = marker[1].lower(), min(marker.end() + 1, len(body))
        if marker[2]:
            number = line + body.count("\n", 0, marker.start())
            faults.add(number, 1, f"the attributes {marker[2][:40]!r} of a role are not supported", "remove them")
    return tuple(found)


def _translated(said: Said, faults: Faults) -> Said:
    """The same in kitpack's own keys."""
    data = said.data
    result: JsonObject = {key: data[key] for key in _SAME if key in data}
    metadata = dict(object_of(data.get("metadata")))
    if "version" not in result and isinstance(metadata.get("version"), str | int | float):
        result["version"] = str(metadata.pop("version"))
    metadata |= {key: data[key] for key in ("displayName", "authors", "tags", "sample") if key in data}
    model, parameters = _model(data.get("model"), metadata)
    result |= {"model": model} if model else {}
    result |= {"parameters": parameters} if parameters else {}
    if "inputs" in data:
        result["variables"] = _object_schema(data["inputs"], said, faults, "inputs")
    if "outputs" in data:
        result["output"] = _object_schema(data["outputs"], said, faults, "outputs")
    result |= {"metadata": metadata} if metadata else {}
    _check_template(data.get("template"), said, faults)
    _check_outside({key: value for key, value in data.items() if key != "model"}, said, faults)
    return Said(data=result, root=said.root)


def _model(value: Json, metadata: JsonObject) -> tuple[str, JsonObject]:
    """The model's name and its parameters; who provides it is noted among the rest."""
    if isinstance(value, str):
        return value, {}
    model = object_of(value)
    configuration = object_of(model.get("configuration"))
    options = object_of(model.get("options")) or object_of(model.get("parameters"))
    extra = object_of(options.get("additionalProperties"))
    parameters = {PARAMETERS.get(key, key): one for key, one in options.items() if key != "additionalProperties"}
    for key in ("provider", "apiType", "api"):
        if key in model:
            metadata[key] = model[key]
    name = text_of(model.get("id")) or text_of(configuration.get("name"))
    return name or text_of(configuration.get("azure_deployment")), {**parameters, **extra}


def _object_schema(value: Json, said: Said, faults: Faults, key: str) -> JsonObject:
    """A JSON Schema from inputs or outputs in any of their three spellings."""
    properties: JsonObject = {}
    required: list[Json] = []
    entries = (
        [(text_of(object_of(one).get("name")), one, index) for index, one in enumerate(value)]
        if isinstance(value, list)
        else [(name, one, name) for name, one in object_of(value).items()]
    )
    for name, entry, step in entries:
        if not name:
            faults.add(*said.place(key, step), "name is missing", "add `name: …`")
            continue
        properties[name] = _property(entry, said, faults, (key, step))
        if not isinstance(entry, dict) or ("default" not in entry and entry.get("required") is not False):
            required.append(name)
    return {"type": "object", "properties": properties, "required": required}


def _property(entry: Json, said: Said, faults: Faults, path: tuple[str | int, ...]) -> JsonObject:
    if not isinstance(entry, dict):
        return {**_kind_of(entry), "examples": [entry]} if entry is not None else {}
    kind = text_of(entry.get("kind")) or text_of(entry.get("type"))
    if kind and kind not in _KINDS:
        faults.add(*said.place(*path), f"the kind {kind[:40]!r} is not supported; expected {', '.join(_KINDS)}")
    schema: JsonObject = {"type": _KINDS[kind]} if kind in _KINDS else {}
    for ours, theirs in (("description", "description"), ("default", "default"), ("enum", "enumValues")):
        if theirs in entry:
            schema[ours] = entry[theirs]
    for theirs in ("example", "sample"):
        if theirs in entry:
            schema["examples"] = [entry[theirs]]
    if isinstance(entry.get("items"), dict):
        schema["items"] = _property(entry["items"], said, faults, (*path, "items"))
    if isinstance(entry.get("properties"), dict | list):
        inner = _object_schema(entry["properties"], said, faults, "properties")
        schema |= {name: inner[name] for name in ("properties", "required")}
    return schema


def _kind_of(value: Json) -> JsonObject:
    """The type that a bare value stands for; it is an example, which no rendering ever uses."""
    kinds: list[tuple[type, str]] = [(bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")]
    return next(({"type": name} for kind, name in kinds if isinstance(value, kind)), {"type": "array"})


def _check_template(value: Json, said: Said, faults: Faults) -> None:
    template = object_of(value)
    parts = template.get("format"), template.get("parser")
    named = [text_of(part) or text_of(object_of(part).get("kind")) for part in parts]
    for name in [text_of(value), *named]:
        if name not in ("", "jinja2", "prompty"):
            faults.add(*said.place("template"), f"the template format {name[:40]!r} is not supported; expected jinja2")


def _check_outside(data: JsonObject, said: Said, faults: Faults) -> None:
    stack: list[tuple[tuple[str | int, ...], Json]] = [((), data)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            stack += [((*path, key), one) for key, one in value.items()]
        elif isinstance(value, list):
            stack += [((*path, index), one) for index, one in enumerate(value)]
        elif isinstance(value, str) and (found := _OUTSIDE.search(value)):
            faults.add(*said.place(*path), f"{found[0][:60]} is not read", "make it a variable, or write it out")
