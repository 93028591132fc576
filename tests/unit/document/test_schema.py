"""Schemas: their faults in words, their soundness, and the quick yes that never differs from the full check."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kitpack.document.fastcheck import METASCHEMA, is_json, quick_check
from kitpack.document.schema import breaches, nearest, validate
from kitpack.document.soundness import schema_faults
from kitpack.oci.jsontext import Json, JsonObject

SHAPE: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "required": ["version"],
    "properties": {
        "version": {"type": "string", "enum": ["1", "v1"]},
        "name": {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^[a-z]*$"},
        "docs": {"type": "array", "items": {"$ref": "#/$defs/doc"}},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "patternProperties": {"^x-": {}},
    "$defs": {"doc": {"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}}}},
}


@pytest.mark.parametrize(
    ("word", "meant"),
    [("licence", "license"), ("LICENSE", "license"), ("athors", "authors"), ("zzz", ""), ("", ""), ("x" * 100_000, "")],
)
def test_the_nearest_word_is_found_whatever_its_case(word: str, meant: str) -> None:
    assert nearest(word, ["name", "license", "authors"]) == meant


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "version is missing|add `version: 1`"),
        ({"version": "2"}, "expected 1 or v1, found '2'"),
        ({"version": "1", "nam": 1}, "unknown key 'nam'; allowed here: version, name, docs, tags|did you mean 'name'?"),
        ({"version": "1", "x-y": 1, "y": 1}, "unknown key 'y'"),
        ({"version": "1", "old": 1}, "old: it is gone|take it out"),
        ({"version": "1", "docs": "a b"}, 'write a list: docs: [{path: "a b"}]'),
        ({"version": "1", "tags": "a"}, 'write a list: tags: ["a"]'),
        ({"version": "1", "docs": ["a"]}, "docs[]: expected a mapping, found the text 'a'|write `- path: a`"),
        ({"version": "1", "docs": {"path": "a"}}, "put a dash before its first key"),
        ({"version": "1", "docs": [{}]}, "docs[]: path is missing|add `path: …`"),
        ({"version": "1", "name": ""}, "found an empty string"),
        ({"version": "1", "name": "abcdef"}, "expected at most 5 characters, found 6"),
        ({"version": "1", "name": "A"}, "characters that are not allowed"),
        (["version"], "expected a mapping, found a list"),
        ("version:1", "a key needs a space after its colon: `version: 1`"),
    ],
)
def test_what_is_wrong_is_told_in_words(data: Json, words: str) -> None:
    found = validate(data, SHAPE, lambda path, key: (1, 1), "K", refused={"old": "it is gone"})
    told = [f"{one.message} {one.hint}" for one in found]
    assert any(all(word in one for word in words.split("|")) for one in told), told
    assert len(found) == 1


def test_faults_are_placed_by_the_locator() -> None:
    data: JsonObject = {"version": "1", "docs": [{"path": 3}], "nme": 3}
    places: list[tuple[list[str | int], bool]] = []

    def locate(path: Sequence[str | int], key: bool) -> tuple[int, int]:
        places.append((list(path), key))
        return 4, 2

    found = validate(data, SHAPE, locate, "K")
    assert {(one.path, one.line, one.column) for one in found} == {("K", 4, 2)}
    assert sorted(places, key=str) == [(["docs", 0, "path"], False), (["nme"], True)]


def test_what_is_shown_cannot_harm_a_terminal() -> None:
    data: JsonObject = {"version": "1\x1b[31m", "\x1b]0;x\x07": 1, "name": "\u202e"}
    found = validate(data, SHAPE, lambda path, key: (1, 1), "K")
    assert len(found) == 3
    assert all(one.message.isprintable() for one in found)


def test_a_reference_is_never_fetched() -> None:
    assert breaches({}, {"$ref": "http://127.0.0.1:9/never"}) == [
        "the reference 'http://127.0.0.1:9/never' leads nowhere in the schema"
    ]


def test_a_schema_that_refers_to_itself_ends() -> None:
    assert breaches({}, {"$ref": "#"}) == ["a JSON Schema in it is nested too deeply to be checked"]


@pytest.mark.parametrize(
    ("schema", "path", "words"),
    [
        ({"type": "strng"}, ("type",), "write string"),
        ({"properties": {"a": {"type": "strng"}}}, ("properties", "a", "type"), "found 'strng'"),
        ({"properties": {"a": 3}}, ("properties", "a"), "expected"),
        ({"required": ["a", "a"]}, ("required",), "uniqueItems"),
        ({"items": {"pattern": "("}}, ("items", "pattern"), "no regular expression"),
        ({"pattern": "(a+)+b"}, ("pattern",), "take for ever"),
        ({"pattern": "(a|b)*$"}, ("pattern",), "take for ever"),
        ({"pattern": "(\\w+\\s?)*$"}, ("pattern",), "take for ever"),
        ({"pattern": "((a)*b){2,}"}, ("pattern",), "take for ever"),
        ({"pattern": "(a)\\1"}, ("pattern",), "take for ever"),
        ({"pattern": "a?" * 30 + "a" * 30}, ("pattern",), "take for ever"),
        ({"pattern": "^.*.*.*.*.*.*x$"}, ("pattern",), "take for ever"),
        (
            {"properties": {"a": {"$schema": "https://json-schema.org/draft/2020-12/schema"}}},
            ("properties", "a", "$schema"),
            "top",
        ),
        ({"pattern": "[a--z]"}, ("pattern",), "backslash"),
        ({"pattern": "[[a]"}, ("pattern",), "backslash"),
        ({"pattern": "x" * 1001}, ("pattern",), "more than 1000"),
        ({"patternProperties": {"(a*)*$": {}}}, ("patternProperties", "(a*)*$"), "take for ever"),
        ({"$ref": "other.json"}, ("$ref",), "leads out of the schema"),
        ({"anyOf": [{"$ref": "#/$defs/x"}]}, ("anyOf", 0, "$ref"), "leads nowhere"),
        ({"properties": {"a": {"$dynamicRef": "#x"}}}, ("properties", "a", "$dynamicRef"), "leads out"),
    ],
)
def test_an_unsound_schema_is_told_with_its_place(schema: Json, path: tuple[str | int, ...], words: str) -> None:
    found = schema_faults(schema)
    assert any(place == path and words in f"{message} {hint}" for place, message, hint in found), found


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"type": ["string", "null"], "pattern": "^[a-z(+]+(-[a-z])?$", "format": "date"},
        {"$defs": {"a/b~": {"type": "string"}}, "$ref": "#/$defs/a~1b~0"},
        {"anyOf": [{"type": "null"}, {"$ref": "#/anyOf/0"}]},
        {"properties": {"$ref": {"type": "string"}, "pattern": {"type": "string"}}},
        {"default": {"$ref": "elsewhere"}, "enum": [{"pattern": "("}], "const": {"$ref": 1}},
    ],
)
def test_a_sound_schema_has_no_faults(schema: Json) -> None:
    assert schema_faults(schema) == []


SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.sampled_from(["", "a", "b"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
KINDS = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])


def _schemas(more: Mapping[str, st.SearchStrategy[object]]) -> st.SearchStrategy[Json]:
    return st.recursive(
        st.booleans()
        | st.fixed_dictionaries({}, optional={"type": KINDS, "enum": st.lists(SCALARS, min_size=1, max_size=3)}),
        lambda inner: st.fixed_dictionaries(
            {},
            optional={
                "type": KINDS | st.lists(KINDS, min_size=1, max_size=2, unique=True),
                "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
                "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
                "additionalProperties": inner,
                "items": inner,
                "minLength": st.integers(0, 2),
                "maxLength": st.integers(0, 2),
                "description": st.just("d"),
                "minimum": st.integers(0, 2),
                **more,
            },
        ),
        max_leaves=5,
    )


SCHEMAS = _schemas({})
NAMING = _schemas(
    {
        "pattern": st.sampled_from(["^a", "b$", "^(a|b)$"]),
        "$ref": st.sampled_from(["#/$defs/a", "#/$defs/b", "#", METASCHEMA]),
        "if": st.fixed_dictionaries({"type": KINDS}),
        "then": SCHEMAS,
    }
)


@settings(max_examples=600, deadline=None)
@given(schema=NAMING, value=VALUES, definitions=st.dictionaries(st.sampled_from("ab"), NAMING, max_size=2))
def test_a_quick_yes_is_a_yes(schema: Json, value: Json, definitions: JsonObject) -> None:
    check = quick_check(schema, definitions)
    if check is not None and check(value):
        assert is_json(value)
        whole = {**schema, "$defs": definitions} if isinstance(schema, dict) else schema
        assert Draft202012Validator(whole).is_valid(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "a"),
        ({"enum": ["a"]}, "a"),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": ["string", "null"]}, None),
        ({}, {"a": [1, {"b": None}]}),
        (
            {"type": "object", "properties": {"a": {"type": "string", "maxLength": 3}}, "required": ["a"]},
            {"a": "abc", "b": [1]},
        ),
        ({"type": "object", "properties": {}, "additionalProperties": {"type": "number"}}, {"a": 1, "b": 1.5}),
        ({"type": "object", "properties": {"a": {"minimum": 1}, "b": {}}}, {"b": 1}),
        ({"type": "array", "items": {"$ref": "#/$defs/word"}}, ["a-b"]),
        ({"type": ["object", "array"], "items": {"type": "string"}, "required": ["a"]}, {"a": 1}),
        ({"type": ["object", "array"], "items": {"type": "string"}, "required": ["a"]}, ["a"]),
        (
            {"type": ["object", "array"], "if": {"type": "object"}, "then": {"$ref": METASCHEMA}},
            {"properties": {"days": {"type": "integer", "minimum": 0}}},
        ),
    ],
)
def test_what_is_common_is_quick(schema: Json, value: Json) -> None:
    check = quick_check(schema, {"word": {"type": "string", "pattern": "^[a-z-]+$"}})
    assert check is not None
    assert check(value)


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value", [Text("a"), [Text("a")], {"a": Text("b")}, {Text("a"): 1}, (1,), {1}, {1: 2}, object()]
)
def test_only_jsons_own_types_are_plain(value: object) -> None:
    assert not is_json(value)
    check = quick_check({"type": "object", "properties": {"v": {}}})
    assert check is not None
    assert not check({"v": value})  # type: ignore[dict-item]


@settings(max_examples=200, deadline=None)
@given(schema=SCHEMAS)
def test_a_schema_without_faults_is_one(schema: Json) -> None:
    found = schema_faults(schema)
    assert not found or not Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(schema)
    json.dumps(schema)
