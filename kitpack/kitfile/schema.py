"""The Kitfile's schema, and what it finds wrong, in words an author can act on."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from kitpack.errors import Issue
from kitpack.oci.jsontext import Json, JsonObject, parse_object

if TYPE_CHECKING:
    from jsonschema import ValidationError

__all__ = ["MAX_FAULTS", "Locator", "definition", "kitfile_schema", "nearest", "validate"]

MAX_FAULTS = 100
"""Faults after which looking for more helps nobody."""

Locator: TypeAlias = Callable[[Sequence[str | int], bool], tuple[int, int]]
"""Finds the line and column of the value at a path of keys and indexes; of its key, when the second argument says so."""

_SCHEMA_NAME = "kitfile.schema.json"
_NOT_PACKED = {
    "mcpServers": "kitpack does not pack MCP servers",
    "remotePath": "kitpack does not pack data that stays in a bucket",
    "remoteHash": "kitpack does not pack data that stays in a bucket",
    "digest": "the digest of a layer is found out by packing",
    "diffId": "the digest of a layer is found out by packing",
}
_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


@cache
def kitfile_schema() -> JsonObject:
    """The one schema: beside this module in an installed kitpack, at the root in a checkout."""
    shipped = resources.files("kitpack.kitfile") / _SCHEMA_NAME
    if shipped.is_file():
        return parse_object(shipped.read_bytes())
    return parse_object((Path(__file__).parents[2] / _SCHEMA_NAME).read_bytes())


def definition(name: str) -> JsonObject:
    """A part of the schema by its name under ``$defs``; all of them for an empty name."""
    parts = kitfile_schema()["$defs"]
    found = parts[name] if name and isinstance(parts, dict) else parts
    return found if isinstance(found, dict) else {}


def validate(data: Json, locate: Locator, name: str) -> list[Issue]:
    """Hold plain data against the schema.

    Args:
        data: The Kitfile as JSON would hold it.
        locate: Finds the place of a value.
        name: The file, as the user would type it.

    Returns:
        The first :data:`MAX_FAULTS` faults, each once.
    """
    from jsonschema import Draft202012Validator

    try:
        errors = list(islice(Draft202012Validator(kitfile_schema()).iter_errors(data), MAX_FAULTS))
    except RecursionError:
        return [Issue(path=name, message="a JSON Schema in it is nested too deeply to be checked")]
    found = (issue for error in errors for issue in _translated(error, locate, name))
    return list(dict.fromkeys(found))


def nearest(word: str, allowed: Sequence[str]) -> str:
    """The allowed word that was probably meant, or an empty string. Case does not matter."""
    lowered = {one.lower(): one for one in allowed}
    found = difflib.get_close_matches(word.lower()[:120], lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else ""


def _translated(error: ValidationError, locate: Locator, name: str) -> Iterator[Issue]:
    path = [step for step in error.absolute_path if isinstance(step, str | int)]
    if error.validator == "additionalProperties":
        yield from _unknown_keys(error, path, locate, name)
        return
    message, hint = _explained(error, path)
    line, column = locate(path, error.validator == "required")
    yield Issue(path=name, line=line, column=column, message=_placed(path, message), hint=hint)


def _unknown_keys(error: ValidationError, path: list[str | int], locate: Locator, name: str) -> Iterator[Issue]:
    allowed = list(error.schema["properties"])
    for key in error.instance:
        if key in allowed:
            continue
        line, column = locate([*path, key], True)  # noqa: FBT003
        message = f"unknown key {_shown(key)}; allowed here: {', '.join(allowed)}"
        meant = nearest(key, allowed)
        hint = f"did you mean {meant!r}?" if meant else ""
        if key in _NOT_PACKED:
            message, hint = f"{key}: {_NOT_PACKED[key]}", "take it out of the Kitfile"
        yield Issue(path=name, line=line, column=column, message=_placed(path, message), hint=hint)


def _explained(error: ValidationError, path: Sequence[str | int]) -> tuple[str, str]:
    """What was found and expected, and what to write instead."""
    wanted = error.validator_value
    match error.validator:
        case "required":
            missing = ", ".join(key for key in wanted if key not in error.instance)
            return f"{missing} is missing", f"add `{missing}: {'1.0.0' if missing == 'manifestVersion' else '…'}`"
        case "type":
            return _wrong_type(error.instance, [wanted] if isinstance(wanted, str) else wanted, path)
        case "enum":
            meant = nearest(str(error.instance), [str(one) for one in wanted])
            return (
                f"expected {' or '.join(map(str, wanted))}, found {_shown(error.instance)}",
                f"write {meant}" if meant else "",
            )
        case "minLength":
            return "expected text, found an empty string", "write something, or remove the key"
        case "maxLength":
            return f"expected at most {wanted} characters, found {len(error.instance)}", ""
        case "pattern":
            return f"{_shown(error.instance)} has characters that are not allowed here", _about(error)
    return f"{_shown(error.instance)} is not allowed here: {error.validator} {_shown(wanted)}", _about(error)


def _wrong_type(value: Json, wanted: Sequence[str], path: Sequence[str | int]) -> tuple[str, str]:
    message = f"expected {' or '.join(_KINDS.get(one, one) for one in wanted)}, found {_kind(value)}"
    key = path[-1] if path else ""
    if "array" in wanted and isinstance(value, str):
        return message, f"write a list: {key}: [{json.dumps(value[:60], ensure_ascii=False)}]"
    if "array" in wanted and isinstance(value, dict):
        return message, "put a dash before its first key: `- path: …`"
    if "object" in wanted and isinstance(value, str) and isinstance(key, int):
        return message, f"write `- path: {value[:60]}`"
    if wanted == ["object"] and isinstance(value, list) and path:
        return message, "remove the dash"
    return message, ""


def _kind(value: Json) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text {_shown(value)}" if value else "an empty string"
    if isinstance(value, int | float):
        return f"the number {value}"
    return {dict: "a mapping", list: "a list"}.get(type(value), "nothing")


def _about(error: ValidationError) -> str:
    text = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    return str(text)


def _shown(value: Json) -> str:
    """A value in a message: short, and harmless on a terminal."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _placed(path: Sequence[str | int], message: str) -> str:
    """The message with the way to the value before it, such as ``prompts[2].variables``."""
    way = "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    return f"{way}: {message}" if way else message
