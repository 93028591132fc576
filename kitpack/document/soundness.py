"""Whether a JSON Schema that an author wrote can be used: what the metaschema does not ask.

A schema in a bundle is data from somebody else. It may not make its reader fetch anything, and its patterns may not
take for ever on text that a third person wrote.

Spec: https://json-schema.org/draft/2020-12/json-schema-core
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from kitpack.document.fastcheck import METASCHEMA, is_plain_schema
from kitpack.document.patterns import is_doubtful, work_of
from kitpack.document.schema import shown, validate
from kitpack.oci.jsontext import Json, JsonObject

__all__ = ["Unsound", "schema_faults"]

Unsound: TypeAlias = tuple[tuple[str | int, ...], str, str]
"""Where in the schema, what was found, and what to write instead."""

_DATA = frozenset({"default", "const", "enum", "examples"})
_NAMED = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})
_MAX_PATTERN = 1000
_MIN_TEXT = 64
"""Characters of a text that every pattern has to be fit for."""


def schema_faults(schema: Json) -> list[Unsound]:
    """Find what is wrong with a schema, all of it."""
    if is_plain_schema(schema):
        return []
    places: list[tuple[str | int, ...]] = []

    def locate(path: Sequence[str | int], _: bool) -> tuple[int, int]:  # noqa: FBT001  # as a Locator is called
        places.append(tuple(path))
        return len(places), 1

    found = validate(schema, {"$ref": METASCHEMA}, locate, "")
    broken = [(places[issue.line - 1] if issue.line else (), issue.message, issue.hint) for issue in found]
    return broken or [one for path, shape in _shapes(schema, ()) for one in _unusable(shape, schema, path)]


def _shapes(value: Json, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], JsonObject]]:
    """The schemas inside of a schema that the metaschema found good, and itself."""
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _shapes(inner, (*path, index))
    if not isinstance(value, dict):
        return
    yield path, value
    for key, inner in value.items():
        if key in _NAMED and isinstance(inner, dict):
            for name, shape in inner.items():
                yield from _shapes(shape, (*path, key, name))
        elif key not in _DATA:
            yield from _shapes(inner, (*path, key))


def _unusable(shape: JsonObject, root: Json, path: tuple[str | int, ...]) -> Iterator[Unsound]:
    if path and "$schema" in shape:
        yield (*path, "$schema"), "$schema stands at the top of a schema, or nowhere", "take it out"
    for key in ("$ref", "$dynamicRef"):
        if key in shape:
            yield from _bad_reference(shape[key], root, (*path, key))
    pattern, named = shape.get("pattern"), shape.get("patternProperties")
    if isinstance(pattern, str):
        yield from _bad_pattern(pattern, (*path, "pattern"))
    for name in named if isinstance(named, dict) else ():
        yield from _bad_pattern(name, (*path, "patternProperties", name))


def _bad_reference(value: Json, root: Json, path: tuple[str | int, ...]) -> Iterator[Unsound]:
    text = str(value)
    if not (text == "#" or text.startswith("#/")):
        yield path, f"the reference {shown(text)} leads out of the schema", "refer to #/$defs/…"
    elif not _leads_somewhere(text, root):
        yield path, f"the reference {shown(text)} leads nowhere in the schema", "define it under $defs"


def _leads_somewhere(reference: str, root: Json) -> bool:
    found = root
    for step in reference.removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name[:9]) < len(found):
            found = found[int(name[:9])]
        else:
            return False
    return isinstance(found, dict | bool)


def _bad_pattern(pattern: str, path: tuple[str | int, ...]) -> Iterator[Unsound]:
    if is_doubtful(pattern[:_MAX_PATTERN]):
        message = f"a set in the pattern {shown(pattern)} has [, --, &&, ~~ or || in it"
        yield path, message, "put a backslash before it, for one day it may mean something else"
        return
    try:
        re.compile(pattern[:_MAX_PATTERN])
    except (re.error, OverflowError, RecursionError) as error:
        yield path, f"the pattern {shown(pattern)} is no regular expression: {error}", ""
        return
    if len(pattern) > _MAX_PATTERN:
        yield path, f"a pattern of more than {_MAX_PATTERN} characters", "make it simpler"
    elif not work_of(pattern).fits(_MIN_TEXT):
        yield path, f"the pattern {shown(pattern)} repeats repetitions, which can take for ever", "make it simpler"
