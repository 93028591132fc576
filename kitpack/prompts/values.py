"""The values that a prompt is filled with: made plain, completed, and held against the prompt's schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from kitpack.document.fastcheck import Check, quick_check
from kitpack.document.schema import breaches, nearest
from kitpack.errors import RenderError
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.keys import object_of
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.variables import required_of

__all__ = ["Accept", "accept_values"]

Accept: TypeAlias = Callable[[Mapping[str, object]], JsonObject]
"""Takes values and gives them back plain and complete; raises RenderError with everything that is wrong with them."""

_MAX_DEPTH = 64
_SHOWN = 20
_SCALARS = frozenset({str, int, float, bool, type(None)})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    name: str
    schema: JsonObject
    properties: JsonObject
    required: frozenset[str]
    defaults: JsonObject
    is_closed: bool
    fits: Check | None


def accept_values(prompt: Prompt) -> Accept:
    """Make the function that looks at the values for a prompt each time it is rendered."""
    schema, properties = prompt.variables, object_of(prompt.variables.get("properties"))
    rules = _Rules(
        name=prompt.name,
        schema=schema,
        properties=properties,
        required=frozenset(required_of(schema)),
        defaults={name: object_of(one)["default"] for name, one in properties.items() if "default" in object_of(one)},
        is_closed=schema.get("additionalProperties", False) is False,
        fits=quick_check(schema) if schema else None,
    )
    return lambda values: _accept(values, rules)


def _accept(values: Mapping[str, object], rules: _Rules) -> JsonObject:
    if rules.fits and rules.fits(values):  # type: ignore[arg-type]  # it says yes to nothing but a plain mapping
        return {**rules.defaults, **values} if rules.defaults else values  # type: ignore[return-value,dict-item]
    given: JsonObject = {
        name: value if value.__class__ in _SCALARS else _plain(value, name, 0)  # type: ignore[misc]
        for name, value in values.items()
    }
    if rules.defaults:
        given = {**rules.defaults, **given}
    if rules.fits and rules.fits(given):
        return given
    _refuse_missing_and_unknown(given, rules)
    if rules.schema and (wrong := breaches(given, rules.schema)):
        raise RenderError(f"the values for {rules.name} do not fit: {_listed(wrong)}")
    return given


def _refuse_missing_and_unknown(given: JsonObject, rules: _Rules) -> None:
    missing = sorted(rules.required - given.keys())
    unknown = sorted(given.keys() - rules.properties.keys()) if rules.is_closed else []
    if not missing and not unknown:
        return
    parts = [f"missing: {', '.join(missing)}"] if missing else []
    if unknown:
        known = ", ".join(sorted(rules.properties)) or "none"
        parts.append(f"unknown: {_listed([name[:80] for name in unknown], ', ')} (its variables: {known[:400]})")
    guesses = {name: nearest(name, list(rules.properties)) for name in unknown}
    hint = "; ".join(f"{name[:40]}: did you mean {meant}?" for name, meant in guesses.items() if meant)
    raise RenderError(
        f"{rules.name} cannot be rendered; {'; '.join(parts)}", missing=missing, unknown=unknown, hint=hint
    )


def _listed(words: Sequence[str], between: str = "; ") -> str:
    more = f"{between}and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return between.join(words[:_SHOWN]) + more


def _plain(value: object, name: str, depth: int) -> Json:
    """A value as JSON has it; what is so already is taken as it is.

    Raises:
        RenderError: When it is something else, such as an object with methods of its own.
    """
    if value.__class__ in _SCALARS:
        return cast("Json", value)
    if depth > _MAX_DEPTH:
        raise RenderError(f"the value of {name} is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        return {_key(key, name): _plain(member, name, depth + 1) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member, name, depth + 1) for member in value]
    return _plain_scalar(value, name)


def _plain_scalar(value: object, name: str) -> Json:
    """Text and numbers of a kind of their own, such as enumerations and marked-up text, without what they can do."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    kind = type(value).__name__
    raise RenderError(
        f"the value of {name} has a {kind} in it; expected text, numbers, truths, lists and mappings",
        hint="pass plain data, such as str(value) or dataclasses.asdict(value)",
    )


def _key(key: object, name: str) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    raise RenderError(f"the value of {name} has the key {str(key)[:40]!r}, which is not text")
