"""Variables: found by syntax, declared in three ways, and compared by what they mean to callers."""

from __future__ import annotations

import pytest

from kitpack.errors import PromptError
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.parse import Declared, parse_prompt
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.variables import compare_outputs, compare_variables, names_of


def declared(variables: Json = None, output: Json = None, text: str = "x") -> Prompt:
    return parse_prompt(text.encode(), "a.j2", declared=Declared(variables=variables, output=output))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{{ a.b[c] | default(d) }}", "a c d"),
        ("{% for x, y in a.items() %}{{ x }}{{ y }}{{ loop.index }}{{ z }}{% endfor %}", "a z"),
        ("{% if a and not b is defined %}{% endif %}", "a b"),
        ("{% set a = b %}{{ a }}", "b"),
        ("{% macro m(x) %}{{ x }}{{ y }}{% endmacro %}{{ m(z) }}", "y z"),
        ("{% raw %}{{ a }}{% endraw %}{# {{ b }} #}{{ '{{ c }}' }}", ""),
        ("{{ range(a) }}{{ dict(b=c) }}{{ namespace() }}", "a c"),
        ("{% set ns = namespace(x=a) %}{{ ns.x }}", "a"),
        ("{{ a if b else c }}", "a b c"),
        ("{% for x in x %}{{ x }}{% endfor %}", "x"),
    ],
)
def test_names_are_told_by_the_syntax(text: str, names: str) -> None:
    prompt = parse_prompt(text.encode(), "a.j2")
    assert names_of(prompt) == set(names.split())
    assert prompt.variables["required"] == names.split()
    assert not prompt.declared


@pytest.mark.parametrize(
    ("written", "required"),
    [
        (["a", "b"], ["a", "b"]),
        ({"a": {"type": "string"}, "b": {"default": 1}}, ["a"]),
        ({"a": None, "b": True}, ["a", "b"]),
        ({"type": {"type": "string"}}, ["type"]),
        ({"type": "object", "properties": {"a": {}, "b": {"default": 1}}}, ["a"]),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]}, ["b"]),
        ({"type": "object", "properties": {"a": {}}, "required": []}, []),
        ({"type": "object"}, []),
    ],
)
def test_what_is_declared_is_required_unless_it_says_otherwise(written: Json, required: list[str]) -> None:
    prompt = declared(written)
    assert prompt.variables["required"] == required
    assert prompt.variables["additionalProperties"] is False
    assert prompt.declared


@pytest.mark.parametrize(
    "written", [{"a": "string"}, {"a": 3}, {"a b": {}}, {"properties": {"a": {}}, "required": ["a"]}]
)
def test_what_is_no_schema_is_a_fault(written: Json) -> None:
    with pytest.raises(PromptError):
        declared(written)


OBJECT: JsonObject = {"type": "object", "properties": {"x": {"type": "string"}}}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": {}}, {"a": {}}, []),
        ({"a": {}}, {"a": {"description": "d"}}, [("a", "changed", False)]),
        ({"a": {}}, {"a": {}, "b": {}}, [("b", "added", True)]),
        ({"a": {}}, {"a": {}, "b": {"default": 1}}, [("b", "added", False)]),
        ({"a": {}, "b": {}}, {"a": {}}, [("b", "removed", True)]),
        ({"a": {"type": "string"}}, {"a": {"type": "integer"}}, [("a", "retyped", True)]),
        ({"a": {"type": "integer"}}, {"a": {"type": "number"}}, [("a", "widened", False)]),
        ({"a": {"type": "number"}}, {"a": {"type": "integer"}}, [("a", "narrowed", True)]),
        ({"a": {"type": "string"}}, {"a": {"type": ["string", "null"]}}, [("a", "widened", False)]),
        ({"a": {}}, {"a": {"type": "string"}}, [("a", "narrowed", True)]),
        ({"a": {"enum": ["x"]}}, {"a": {"enum": ["x", "y"]}}, [("a", "widened", False)]),
        ({"a": {"enum": ["x", "y"]}}, {"a": {"enum": ["x"]}}, [("a", "narrowed", True)]),
        ({"a": {"enum": ["x"]}}, {"a": {"enum": ["y"]}}, [("a", "changed", True)]),
        ({"a": {}}, {"a": {"default": 1}}, [("a", "optional", False), ("a", "changed", False)]),
        ({"a": {"default": 1}}, {"a": {}}, [("a", "required", True), ("a", "changed", False)]),
        ({"a": {"minLength": 1}}, {"a": {"minLength": 2}}, [("a", "changed", True)]),
        ({"a": {}}, {"a": {"x-kitpack-sensitive": True}}, [("a", "changed", False)]),
        ({"a": OBJECT}, {"a": {**OBJECT, "required": ["x"]}}, [("a.x", "required", True)]),
        (
            {"a": {"type": "array", "items": {"type": "string"}}},
            {"a": {"type": "array", "items": {"type": "integer"}}},
            [("a[]", "retyped", True)],
        ),
    ],
)
def test_changes_are_told_by_what_they_mean_to_callers(
    before: Json, after: Json, expected: list[tuple[str, str, bool]]
) -> None:
    found = compare_variables(declared(before), declared(after))
    assert [(one.name, one.kind, one.breaks) for one in found] == expected
    assert all(one.text for one in found)


def _answer(*required: str, **properties: Json) -> JsonObject:
    return {"type": "object", "properties": properties, "required": [*required]}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, None, []),
        (None, _answer(), [("", "added", False)]),
        (_answer(), None, [("", "removed", True)]),
        (_answer("a", a={}), _answer("a", a={}, b={}), [("b", "added", False)]),
        (_answer("a", a={}), _answer(), [("a", "removed", True)]),
        (_answer("a", a={}), _answer(a={}), [("a", "optional", True)]),
        (_answer(a={}), _answer("a", a={}), [("a", "required", False)]),
        (_answer(a={"type": "integer"}), _answer(a={"type": "number"}), [("a", "widened", True)]),
        (_answer(a={"enum": ["x", "y"]}), _answer(a={"enum": ["x"]}), [("a", "narrowed", False)]),
        ({"type": "string"}, {"type": "array"}, [("", "retyped", True)]),
    ],
)
def test_changes_of_answers_are_told_by_what_they_mean_to_readers(
    before: Json, after: Json, expected: list[tuple[str, str, bool]]
) -> None:
    found = compare_outputs(declared(output=before), declared(output=after))
    assert [(one.name, one.kind, one.breaks) for one in found] == expected
