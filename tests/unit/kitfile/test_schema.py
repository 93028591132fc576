"""The one schema: well formed, strict, and fit for editors."""

from __future__ import annotations

from collections.abc import Iterator

from jsonschema import Draft202012Validator

from kitpack.kitfile.schema import definition, kitfile_schema
from kitpack.oci.jsontext import Json, JsonObject


def _objects(value: Json) -> Iterator[JsonObject]:
    if isinstance(value, dict):
        yield value
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from _objects(member)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(kitfile_schema())
    assert kitfile_schema()["$id"] == "urn:kitpack:kitfile:1"


def test_no_section_takes_unknown_keys() -> None:
    shapes = [shape for shape in _objects(kitfile_schema()) if shape.get("type") == "object" and "properties" in shape]
    assert len(shapes) == 11
    assert all(shape["additionalProperties"] is False for shape in shapes)


def test_every_key_explains_itself_to_an_editor() -> None:
    for shape in _objects(kitfile_schema()):
        for key, member in properties.items() if isinstance(properties := shape.get("properties"), dict) else []:
            assert isinstance(member, dict)
            reference = str(member.get("$ref", "")).removeprefix("#/$defs/")
            told = definition(reference) if reference else member
            assert told.get("title"), key
            assert told.get("description"), key


def test_a_key_that_is_missing_is_missing_alone() -> None:
    required = [shape["required"] for shape in _objects(kitfile_schema()) if "required" in shape]
    assert {str(keys) for keys in required} == {"['manifestVersion']", "['path']"}
