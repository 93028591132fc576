"""Schemas that want all the time there is, and values that are held against them."""

from __future__ import annotations

import time

import pytest

from kitpack.document.schema import breaches
from kitpack.oci.jsontext import Json, JsonObject

SCHEMA = "https://json-schema.org/draft/2020-12/schema"
DOUBLING: JsonObject = {
    "$defs": {
        **{f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]} for n in range(40)},
        "a40": {},
    },
    "$ref": "#/$defs/a0",
}
ITSELF: JsonObject = {
    "properties": {"x": {"allOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/x"}]}},
    "$defs": {"x": {"items": {"allOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/x"}]}}},
}


def nested(depth: int) -> Json:
    value: Json = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        (DOUBLING, 1, "checks"),
        ({**DOUBLING, "$schema": SCHEMA}, 1, "checks"),
        (ITSELF, {"x": nested(40)}, "checks"),
        ({"pattern": "x*x*y"}, "x" * 100_000, "too long"),
        ({"patternProperties": {"x*x*y": {}}}, {"x" * 100_000: 1}, "too long"),
        ({"additionalProperties": False, "patternProperties": {"x*x*y": {}}}, {"x" * 100_000: 1}, "too long"),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"patternProperties": {"x*x*y": {}}}}, "unevaluatedProperties": False},
            {"x" * 100_000: 1},
            "too long",
        ),
    ],
)
def test_what_takes_too_long_is_given_up(schema: JsonObject, value: Json, words: str) -> None:
    began = time.monotonic()
    [said] = breaches(value, schema)
    assert words in said
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("value", "is_good"),
    [
        ([{"a": number} for number in range(20_000)], True),
        ([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1.0}], False),
        ([1, True], True),
        ([0, False, "", None, [], {}], True),
        ([[1], [True]], True),
        (["a", "a"], False),
        ("aa", True),
    ],
)
def test_things_that_must_differ_are_not_compared_with_each_other(value: Json, is_good: bool) -> None:
    assert bool(breaches(value, {"uniqueItems": True})) != is_good
    assert not breaches(value, {"uniqueItems": False})


def test_a_long_list_of_words_is_not_told_whole() -> None:
    [said] = breaches("x", {"enum": [f"word {number}" for number in range(5000)]})
    assert len(said) < 4000
    assert "others" in said
