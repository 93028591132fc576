"""Rules about variables: what is declared, what is used, and whether the declaration can be right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kitpack.document.schema import breaches, nearest
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.lint.findings import Around, Found
from kitpack.prompts.lint.tags import mentions
from kitpack.prompts.lint.where import key_line, spot
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.variables import names_of

__all__ = ["schemas", "undeclared_variables", "unused_variables"]


def undeclared_variables(prompt: Prompt, around: Around) -> Iterator[Found]:  # noqa: ARG001
    """Find names in templates that the declaration does not know."""
    declared = _properties(prompt)
    for name in sorted(names_of(prompt) - set(declared)) if prompt.declared else ():
        meant = nearest(name, sorted(declared))
        line, column = _first_use(prompt, name)
        yield Found(
            rule="prompt-undeclared-variable",
            message=f"the template uses {name}, which is not declared",
            line=line,
            column=column,
            hint=f"did you mean {meant}? if not, list it under `variables:`" if meant else "",
        )


def unused_variables(prompt: Prompt, around: Around) -> Iterator[Found]:  # noqa: ARG001
    """Find declared names that no template uses."""
    for name in sorted(set(_properties(prompt)) - names_of(prompt)) if prompt.declared else ():
        line = key_line(prompt, "variables", name)
        message = f"{name} is declared, and no message uses it"
        yield Found(rule="prompt-unused-variable", message=message, line=line)


def schemas(prompt: Prompt, around: Around) -> Iterator[Found]:  # noqa: ARG001
    """Find schemas that are valid, and cannot mean what they say."""
    for key, schema in (("variables", prompt.variables), ("output", prompt.output or {})):
        for where, message in _contradictions(schema):
            found = f"{key}{'.' * bool(where)}{where}: {message}"
            line = key_line(prompt, key, where)
            yield Found(rule="prompt-invalid-schema", message=found, line=line)


def _contradictions(schema: JsonObject) -> Iterator[tuple[str, str]]:
    """Where a schema contradicts itself, and how."""
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    required = schema.get("required")
    closed = schema.get("additionalProperties") is False
    for name in required if isinstance(required, list) and (known or closed) else ():
        if isinstance(name, str) and name not in known:
            yield "", f"{name!r} is required, and no property"
    for name, one in known.items():
        if isinstance(one, dict):
            yield from ((name, message) for message in _own_faults(one))


def _own_faults(schema: Mapping[str, Json]) -> Iterator[str]:
    """What is wrong with the schema of one value."""
    if schema.get("enum") == []:
        yield "an empty enum accepts nothing"
    for low, high in (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")):
        least, most = schema.get(low), schema.get(high)
        if isinstance(least, int | float) and isinstance(most, int | float) and least > most:
            yield f"{low} {least} is above {high} {most}"
    if "default" in schema and (faults := breaches(schema["default"], dict(schema))):
        yield f"its own default is refused: {faults[0]}"


def _properties(prompt: Prompt) -> Mapping[str, Json]:
    properties = prompt.variables.get("properties")
    return properties if isinstance(properties, dict) else {}


def _first_use(prompt: Prompt, name: str) -> tuple[int, int]:
    for message in prompt.messages:
        if tags := mentions(prompt.format, message.template, name):
            return spot(prompt, message, tags[0].start)
    return prompt.messages[0].line, 0
