"""JSON Schema: what it finds wrong, in words an author can act on. The only place that knows jsonschema.

No schema is ever fetched: a reference that leads out of the schema itself is a fault.

Spec: https://json-schema.org/draft/2020-12
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias, cast

from kitpack.document.effort import TooMuchError, bounded, counted
from kitpack.document.faults import MAX_FAULTS
from kitpack.errors import Issue
from kitpack.oci.jsontext import Json, JsonObject

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

__all__ = ["Locator", "breaches", "nearest", "shown", "validate"]

Locator: TypeAlias = Callable[[Sequence[str | int], bool], tuple[int, int]]
"""Finds the line and column of the value at a path of keys and indexes, or of its key when asked for that."""

_JOINED = re.compile(r"([A-Za-z][A-Za-z0-9_-]*):([^\s/:].*)")
_SIMPLE = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./-]{0,59}")
_SHOWN = 30
_TOO_MUCH = "too much"
_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


def validate(
    data: Json, schema: JsonObject, locate: Locator, name: str, *, refused: Mapping[str, str] | None = None
) -> list[Issue]:
    """Hold plain data against a schema.

    Args:
        data: The document as JSON would hold it.
        schema: The schema.
        locate: Finds the place of a value.
        name: The file, as the user would type it.
        refused: Keys that others know and this kind of document does not take, and why.

    Returns:
        The first :data:`~kitpack.document.faults.MAX_FAULTS` faults, each once.
    """
    found = (issue for breach in _breaches(data, schema) for issue in _issues(breach, locate, name, refused or {}))
    try:
        return list(dict.fromkeys(found))
    except RecursionError:
        return [Issue(path=name, message="a JSON Schema in it is nested too deeply to be checked")]


def breaches(data: Json, schema: JsonObject) -> list[str]:
    """What is wrong with data that stands in no file, in words that say where: ``customer.tier: expected text, …``."""
    return [issue.message for issue in validate(data, schema, lambda _path, _key: (0, 0), "")]


def nearest(word: str, allowed: Sequence[str]) -> str:
    """The allowed word that was probably meant, or an empty string. Case does not matter."""
    lowered = {one.lower(): one for one in allowed}
    found = difflib.get_close_matches(word.lower()[:120], lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Breach:
    """A broken rule: its keyword, what the schema wants, what was found, where, and the schemas around the rule."""

    keyword: str
    wanted: Json
    found: Json
    path: list[str | int]
    shape: JsonObject
    schema: JsonObject


def _breaches(data: Json, schema: JsonObject) -> Iterator[_Breach]:
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
    from referencing.exceptions import Unresolvable

    # The registry is named because jsonschema's own default would go and fetch what a reference leads to; and what a
    # schema says that it is would bring back the validator that counts nothing.
    told = {key: rule for key, rule in schema.items() if key != "$schema"}
    errors = _validator()(told, registry=REGISTRY).iter_errors(data)
    try:
        with counted():
            found = [_breach(error, schema) for error in islice(errors, MAX_FAULTS)]
        yield from found
    except TooMuchError as error:
        yield _Breach(keyword=_TOO_MUCH, wanted=str(error), found=None, path=[], shape={}, schema=schema)
    except Unresolvable as error:
        yield _Breach(keyword="$ref", wanted=str(error.ref), found=None, path=[], shape={}, schema=schema)


@lru_cache(maxsize=1)
def _validator() -> type[Validator]:
    """The checks of JSON Schema, whose work is bounded."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    made = extend(Draft202012Validator, bounded(Draft202012Validator.VALIDATORS))  # type: ignore[no-untyped-call]
    return cast("type[Validator]", made)


def _breach(error: ValidationError, schema: JsonObject) -> _Breach:
    return _Breach(
        keyword=str(error.validator),
        wanted=cast("Json", error.validator_value),
        found=cast("Json", error.instance),
        path=list(error.absolute_path),
        shape=_object(cast("Json", error.schema)),
        schema=schema,
    )


def _issues(breach: _Breach, locate: Locator, name: str, refused: Mapping[str, str]) -> Iterator[Issue]:
    if breach.keyword == "additionalProperties":
        yield from _unknown_keys(breach, locate, name, refused)
        return
    message, hint = _explained(breach)
    line, column = locate(breach.path, breach.keyword == "required")
    yield Issue(path=name, line=line, column=column, message=_placed(breach.path, message), hint=hint)


def _unknown_keys(breach: _Breach, locate: Locator, name: str, refused: Mapping[str, str]) -> Iterator[Issue]:
    allowed = _words(breach.shape.get("properties"))
    patterns = _words(breach.shape.get("patternProperties"))
    for key in _words(breach.found):
        if key in allowed or any(re.search(pattern, key) for pattern in patterns):
            continue
        line, column = locate([*breach.path, key], True)  # noqa: FBT003
        message = f"unknown key {shown(key)}; allowed here: {', '.join(allowed)}"
        meant = nearest(key, allowed)
        hint = f"did you mean {meant!r}?" if meant else ""
        if key in refused:
            message, hint = f"{key}: {refused[key]}", "take it out"
        yield Issue(path=name, line=line, column=column, message=_placed(breach.path, message), hint=hint)


def _explained(breach: _Breach) -> tuple[str, str]:
    """What was found and expected, and what to write instead."""
    wanted, found = _words(breach.wanted), shown(breach.found)
    hint = str(breach.shape.get("description", ""))
    match breach.keyword:
        case "required":
            missing = ", ".join(key for key in wanted if key not in _words(breach.found))
            message = f"{missing} is missing"
            hint = f"add `{missing}: {_example(breach, missing)}`"
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
        case _ if breach.keyword == _TOO_MUCH:
            message = f"this cannot be held against its schema: {breach.wanted}"
        case "$ref":
            message = f"the reference {shown(breach.wanted)} leads nowhere in the schema"
        case _:
            message = f"{found} is not allowed here: {breach.keyword} is {shown(breach.wanted)}"
    return message, hint


def _not_one_of(found: Json, allowed: Sequence[str]) -> tuple[str, str]:
    meant = nearest(str(found), allowed)
    more = f" or {len(allowed) - _SHOWN} others" if len(allowed) > _SHOWN else ""
    expected = " or ".join(one[:80] for one in allowed[:_SHOWN])
    return f"expected {expected}{more}, found {shown(found)}", f"write {meant}" if meant else ""


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
        return message, f"write a list: {key}: [{_entry(value, breach)}]"
    if "array" in wanted and isinstance(value, dict):
        return message, "put a dash before its first key"
    if "object" in wanted and isinstance(value, str) and isinstance(key, int) and (first := _first(breach.shape)):
        return message, f"write `- {first}: {value[:60]}`"
    if wanted == ["object"] and isinstance(value, list) and path:
        return message, "remove the dash"
    return message, ""


def _entry(text: str, breach: _Breach) -> str:
    """The text as a member of a list, which is an entry with its one necessary key where the schema refers to one."""
    quoted = json.dumps(text[:60], ensure_ascii=False)
    first = _first(_object(breach.shape.get("items")), breach.schema)
    return f"{{{first}: {text if _SIMPLE.fullmatch(text) else quoted}}}" if first else quoted


def _first(shape: JsonObject, schema: JsonObject | None = None) -> str:
    """The key that a mapping needs before all others, or an empty string."""
    reference = str(shape.get("$ref", "")).removeprefix("#/$defs/")
    target = _object(_object((schema or {}).get("$defs")).get(reference)) or shape
    return next(iter(_words(target.get("required"))), "")


def _example(breach: _Breach, key: str) -> str:
    """A value that a key can have, when the schema lists them."""
    return next(iter(_words(_object(_object(breach.shape.get("properties")).get(key)).get("enum"))), "…")


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _kind(value: Json) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text {shown(value)}" if value else "an empty string"
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else "nothing"


def shown(value: Json) -> str:
    """Show a value in a message: short, and harmless on a terminal."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _placed(path: Sequence[str | int], message: str) -> str:
    """The message with the way to the value before it, such as ``prompts[].variables``; its line says which one."""
    way = "".join("[]" if isinstance(step, int) else f".{shown(step).strip(chr(39))}" for step in path).lstrip(".")
    return f"{way}: {message}" if way else message
