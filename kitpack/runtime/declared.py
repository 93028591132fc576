"""One version of a prompt as it is declared in Python: what it says, what is wrong with it, which file it becomes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.exchange.shape import Draft

__all__ = ["Filter", "PromptStatus", "PromptVersion", "draft_of_version", "faults_of_version"]

Filter: TypeAlias = "str | Callable[[Json], object]"
"""A format string for one value, or a function that only this application has."""

_FAMILY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_NUMBERED = re.compile(r"_v[0-9]+\Z", re.IGNORECASE)
_FEWEST_WORDS = 2  # "fix" and "update" are no reasons


class PromptStatus(StrEnum):
    """What a version is to its family."""

    ACTIVE = "active"
    SHADOW = "shadow"
    DEPRECATED = "deprecated"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVersion:
    """One version of a prompt.

    Attributes:
        family: The feature it serves.
        version: Its number, counted from 1.
        system: What the model is told to be; a template.
        user_template: What the user says; a template.
        model: The model it is tuned for.
        provider: Whose model that is.
        max_tokens: Tokens that an answer may have; None to leave that to the caller.
        temperature: How freely the model chooses its words; None likewise.
        status: What it is to its family.
        changelog: Why it differs from the version before; required from version 2 on.
        key: The family and the version as one word, ``family_v2``; by default made from those, else it must agree.
        description: What it is for.
        variables: A JSON Schema of its variables, or a list of their names; by default those that it uses.
        output: A JSON Schema of the answer.
        parameters: Further sampling parameters.
        untrusted: The names of variables whose values users control.
        sensitive: The names of variables whose values are never recorded.
        filters: Filters of its own, besides those of the registry.
        metadata: Whatever else is to be said about it.
    """

    family: str
    version: int
    system: str = ""
    user_template: str = ""
    model: str = ""
    provider: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    status: PromptStatus = PromptStatus.ACTIVE
    changelog: str = ""
    key: str = ""
    description: str = ""
    variables: Json = field(default=None, hash=False)
    output: JsonObject | None = field(default=None, hash=False)
    parameters: JsonObject = field(default_factory=dict, hash=False)
    untrusted: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    filters: Mapping[str, Filter] = field(default_factory=dict, hash=False)
    metadata: JsonObject = field(default_factory=dict, hash=False)


def faults_of_version(prompt: PromptVersion) -> Iterator[tuple[str, str]]:
    """What is wrong with a version by itself: what was found, and what to do about it."""
    if not _FAMILY.fullmatch(prompt.family) or _NUMBERED.search(prompt.family):
        yield f"{prompt.family[:100]!r} is no name for a family", "letters, digits and _ - . without _vN at the end"
    if type(prompt.version) is not int or prompt.version < 1:
        yield f"the version is {prompt.version!r}, not a whole number from 1 on", "count versions: 1, 2, 3"
    elif prompt.key not in ("", expected := f"{prompt.family}_v{prompt.version}"):
        yield f"the key {prompt.key!r} disagrees with family and version: {expected!r}", "leave the key out"
    elif prompt.version > 1 and len(prompt.changelog.split()) < _FEWEST_WORDS:
        said = repr(prompt.changelog) if prompt.changelog.strip() else "missing"
        yield f"the changelog of version {prompt.version} is {said}", "say why it differs from the version before"
    if prompt.status not in [*PromptStatus]:
        yield f"the status is {prompt.status!r}", f"one of: {', '.join(PromptStatus)}"
    if not prompt.system.strip() and not prompt.user_template.strip():
        yield "it says nothing: both system and user_template are empty", "give it one of them"
    yield from _parameter_faults(prompt)


def _parameter_faults(prompt: PromptVersion) -> Iterator[tuple[str, str]]:
    tokens, temperature = prompt.max_tokens, prompt.temperature
    if tokens is not None and (type(tokens) is not int or tokens < 1):
        yield f"max_tokens is {tokens!r}, not a whole number from 1 on", "leave it out, or say how long answers may be"
    if temperature is not None and not _is_temperature(temperature):
        yield f"the temperature is {temperature!r}, not a number from 0 on", "leave it out, or write 0.4"
    twice = sorted({"max_tokens", "temperature"} & prompt.parameters.keys())
    if twice:
        yield f"{' and '.join(twice)} stand in the parameters, too", "say them once"


def _is_temperature(value: float) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0


def draft_of_version(prompt: PromptVersion, name: str, filters: Mapping[str, Filter]) -> Draft:
    """The file that a version becomes.

    Args:
        prompt: A version without faults.
        name: What the prompt is called in a bundle.
        filters: The filters that it uses; of functions, only the name goes along.
    """
    said = {"temperature": prompt.temperature, "max_tokens": prompt.max_tokens}
    parameters: JsonObject = {key: value for key, value in said.items() if value is not None}
    facts: JsonObject = {"family": prompt.family, "provider": prompt.provider, "status": str(prompt.status)}
    keys: JsonObject = {
        "description": prompt.description,
        "version": str(prompt.version),
        "model": prompt.model,
        "parameters": {**parameters, **prompt.parameters},
        "variables": prompt.variables,
        "output": prompt.output,
        "untrusted": [*prompt.untrusted],
        "sensitive": [*prompt.sensitive],
        "filters": {key: one if isinstance(one, str) else None for key, one in sorted(filters.items())},
        "changelog": prompt.changelog,
        "metadata": {**{key: value for key, value in facts.items() if value}, **prompt.metadata},
    }
    texts = (("system", prompt.system), ("user", prompt.user_template))
    messages = tuple((role, _trimmed(text)) for role, text in texts if text.strip())
    return Draft(name=name, messages=messages, keys=keys)


def _trimmed(text: str) -> str:
    """Without the blank lines that quotes in Python leave around a text, which no file would have."""
    return re.sub(r"\A(?:[ \t]*\n)+|(?:\n[ \t]*)+\Z", "", text)
