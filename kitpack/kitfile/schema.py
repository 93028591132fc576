"""The Kitfile's schema, and what it finds wrong, in words an author can act on."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from kitpack.errors import Issue
from kitpack.oci.jsontext import Json, JsonObject, parse_object

if TYPE_CHECKING:
    from jsonschema import ValidationError

__all__ = ["MAX_FAULTS", "Locator", "definition", "kitfile_schema", "nearest", "validate"]

MAX_FAULTS = 100
"""Faults after which looking for more helps nobody."""

Locator: TypeAlias = Callable[[Sequence[str | int], bool], tuple[int, int]]
"""Finds the line and column of the value at a path of keys and indexes, or of its key when asked for that."""

_SCHEMA_NAME = "kitfile.schema.json"
_NOT_PACKED = {
    "mcpServers": "kitpack does not pack MCP servers",
    "remotePath": "kitpack does not pack data that stays in a bucket",
    "remoteHash": "kitpack does not pack data that stays in a bucket",
    "digest": "the digest of a layer is found out by packing",
    "diffId": "the digest of a layer is found out by packing",
}
_JOINED = re.compile(r"([A-Za-z][A-Za-z0-9_-]*):([^\s/:].*)")
_SIMPLE = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./-]{0,59}")
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
    found = (issue for error in errors for issue in _issues(_breach(error), locate, name))
    return list(dict.fromkeys(found))


def nearest(word: str, allowed: Sequence[str]) -> str:
    """The allowed word that was probably meant, or an empty string. Case does not matter."""
    lowered = {one.lower(): one for one in allowed}
    found = difflib.get_close_matches(word.lower()[:120], lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Breach:
    """A broken rule: its keyword, what the schema wants, what was found, where, and the schema around the rule."""

    keyword: str
    wanted: Json
    found: Json
    path: list[str | int]
    shape: JsonObject


def _breach(error: ValidationError) -> _Breach:
    return _Breach(
        keyword=str(error.validator),
        wanted=cast("Json", error.validator_value),
        found=cast("Json", error.instance),
        path=list(error.absolute_path),
        shape=cast("JsonObject", error.schema) if isinstance(error.schema, dict) else {},
    )


def _issues(breach: _Breach, locate: Locator, name: str) -> Iterator[Issue]:
    if breach.keyword == "additionalProperties":
        yield from _unknown_keys(breach, locate, name)
        return
    message, hint = _explained(breach)
    line, column = locate(breach.path, breach.keyword == "required")
    yield Issue(path=name, line=line, column=column, message=_placed(breach.path, message), hint=hint)


def _unknown_keys(breach: _Breach, locate: Locator, name: str) -> Iterator[Issue]:
    allowed = _words(breach.shape.get("properties"))
    for key in _words(breach.found):
        if key in allowed:
            continue
        line, column = locate([*breach.path, key], True)  # noqa: FBT003
        message = f"unknown key {_shown(key)}; allowed here: {', '.join(allowed)}"
        meant = nearest(key, allowed)
        hint = f"did you mean {meant!r}?" if meant else ""
        if key in _NOT_PACKED:
            message, hint = f"{key}: {_NOT_PACKED[key]}", "take it out of the Kitfile"
        yield Issue(path=name, line=line, column=column, message=_placed(breach.path, message), hint=hint)


def _explained(breach: _Breach) -> tuple[str, str]:
    """What was found and expected, and what to write instead."""
    wanted, found = _words(breach.wanted), _shown(breach.found)
    hint = str(breach.shape.get("description", ""))
    match breach.keyword:
        case "required":
            missing = ", ".join(key for key in wanted if key not in _words(breach.found))
            message = f"{missing} is missing"
            hint = f"add `{missing}: {'1.0.0' if missing == 'manifestVersion' else '…'}`"
        case "type":
            message, hint = _wrong_type(breach.found, wanted, breach)
        case "enum":
            message, hint = _not_one_of(breach.found, wanted)
        case "anyOf" if breach.path[-1:] == ["type"]:
            message, hint = _not_one_of(breach.found, list(_KINDS))
        case "minLength":
            message, hint = "expected text, found an empty string", "write something, or remove the key"
        case "maxLength":
            message = f"expected at most {breach.wanted} characters, found {len(str(breach.found))}"
        case "pattern":
            message = f"{found} has characters that are not allowed here"
        case _:
            message = f"{found} is not allowed here: {breach.keyword} is {_shown(breach.wanted)}"
    return message, hint


def _not_one_of(found: Json, allowed: Sequence[str]) -> tuple[str, str]:
    meant = nearest(str(found), allowed)
    return f"expected {' or '.join(allowed)}, found {_shown(found)}", f"write {meant}" if meant else ""


def _words(value: Json) -> list[str]:
    """The words of a rule that names one or more, or the keys of a mapping."""
    return [value] if isinstance(value, str) else [str(one) for one in value] if isinstance(value, list | dict) else []


def _wrong_type(value: Json, wanted: Sequence[str], breach: _Breach) -> tuple[str, str]:
    path = breach.path
    message = f"expected {' or '.join(_KINDS.get(one, one) for one in wanted)}, found {_kind(value)}"
    key = path[-1] if path else ""
    if isinstance(value, str) and (joined := _JOINED.fullmatch(value)):
        return message, f"a key needs a space after its colon: `{joined[1]}: {joined[2][:60]}`"
    if "array" in wanted and isinstance(value, str):
        return message, f"write a list: {key}: [{_entry(value, breach.shape)}]"
    if "array" in wanted and isinstance(value, dict):
        return message, "put a dash before its first key: `- path: …`"
    if "object" in wanted and isinstance(value, str) and isinstance(key, int):
        return message, f"write `- path: {value[:60]}`"
    if wanted == ["object"] and isinstance(value, list) and path:
        return message, "remove the dash"
    return message, ""


def _entry(text: str, shape: JsonObject) -> str:
    """The text as a member of a list, which is an entry with a path where the schema refers to one."""
    quoted = json.dumps(text[:60], ensure_ascii=False)
    items = shape.get("items")
    if isinstance(items, dict) and "$ref" in items:
        return f"{{path: {text if _SIMPLE.fullmatch(text) else quoted}}}"
    return quoted


def _kind(value: Json) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text {_shown(value)}" if value else "an empty string"
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else "nothing"


def _shown(value: Json) -> str:
    """A value in a message: short, and harmless on a terminal."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _placed(path: Sequence[str | int], message: str) -> str:
    """The message with the way to the value before it, such as ``prompts[].variables``; its line says which one."""
    way = "".join("[]" if isinstance(step, int) else f".{_shown(step).strip(chr(39))}" for step in path).lstrip(".")
    return f"{way}: {message}" if way else message
