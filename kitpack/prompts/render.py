"""The filling of prompts with values.

Each message is filled by itself, in its role, which was read from the template alone: no value can end a message,
begin another, or be read as a template. What a template may do is bounded, see :mod:`kitpack.prompts.meter`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeAlias

from kitpack.errors import RenderError
from kitpack.oci.jsontext import JsonObject
from kitpack.prompts.meter import ExhaustedError, Limits, Meter
from kitpack.prompts.pieces import braces, handlebars, join_pieces
from kitpack.prompts.prompt import Message, Prompt
from kitpack.prompts.values import Accept, accept_values
from kitpack.prompts.variables import JINJA

__all__ = ["Filter", "Spoken", "render"]

Filter: TypeAlias = Callable[..., object]
"""A filter that an application brings: it takes a value, and gives what is written for it."""

_Fill: TypeAlias = Callable[[JsonObject, Meter], str]
_LIMITS = Limits()
_KEPT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A message as a model gets it.

    Attributes:
        role: Who speaks.
        content: What is said.
    """

    role: str
    content: str = field(repr=False)


def render(
    prompt: Prompt,
    values: Mapping[str, object],
    *,
    filters: Mapping[str, Filter] | None = None,
    limits: Limits = _LIMITS,
) -> tuple[Spoken, ...]:
    """Fill a prompt.

    Args:
        prompt: The prompt.
        values: What it is filled with, by name: plain data.
        filters: The functions for the filters that the prompt leaves to its application.
        limits: How far the templates may go.

    Returns:
        Its messages.

    Raises:
        RenderError: When values are missing, unknown, or do not fit; or when a template fails or goes too far.
    """
    ready = _ready(prompt)
    given = ready.accept(values)
    meter = Meter(limits, _functions(prompt, filters or {}))
    spoken, left = [], limits.output
    try:
        for role, fill in ready.messages:
            content = fill(given, meter)
            left -= len(content)
            if left < 0:
                raise RenderError(f"{prompt.name} has more than {limits.output} characters", hint="raise Limits.output")
            spoken.append(Spoken(role=role, content=content))
    except ExhaustedError as error:
        raise RenderError(f"{prompt.name}: {error}") from None
    return tuple(spoken)


def _functions(prompt: Prompt, filters: Mapping[str, Filter]) -> Mapping[str, Filter]:
    """The functions that are brought, each of which the prompt has to expect.

    Raises:
        RenderError: When one is missing, or more are brought.
    """
    if not prompt.filters and not filters:
        return filters
    expected = {name for name, pattern in prompt.filters.items() if not pattern}
    if missing := sorted(expected - filters.keys()):
        hint = f"render(…, filters={{{missing[0]!r}: function}})"
        raise RenderError(f"{prompt.name} needs filters from its application: {', '.join(missing)}", hint=hint)
    if unknown := sorted(filters.keys() - expected):
        raise RenderError(f"{prompt.name} leaves no such filters to its application: {', '.join(unknown)}")
    return filters


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A prompt whose templates are compiled."""

    prompt: Prompt
    accept: Accept
    messages: tuple[tuple[str, _Fill], ...]


_CACHE: dict[int, _Ready] = {}
_LOCK = Lock()


def _ready(prompt: Prompt) -> _Ready:
    """The compiled prompt; it keeps the prompt alive, so that no other can get its identity."""
    found = _CACHE.get(id(prompt))
    if found is not None and found.prompt is prompt:
        return found
    messages = tuple((message.role, _fill_of(prompt, message)) for message in prompt.messages)
    made = _Ready(prompt=prompt, accept=accept_values(prompt), messages=messages)
    with _LOCK:
        while len(_CACHE) >= _KEPT:
            del _CACHE[next(iter(_CACHE))]
        _CACHE[id(prompt)] = made
    return made


def _fill_of(prompt: Prompt, message: Message) -> _Fill:
    """How a message is filled, in the notation of its prompt."""
    text, where = message.template, (prompt.path, message.line)
    if prompt.format in JINJA:
        from kitpack.prompts.includes import resolve
        from kitpack.prompts.jinja import compile_template
        from kitpack.prompts.sandbox import fill

        included = {path: one.text for path, one in prompt.includes.items()}
        template = compile_template(text, prompt.path, tuple(prompt.filters.items()), included, resolve)
        return lambda values, meter: fill(template, values, meter, message.line)
    if prompt.format == "text":
        return lambda _values, _meter: text
    lenient = prompt.format == "dotprompt"
    pieces = tuple((handlebars if lenient else braces)(text))
    return lambda values, meter: join_pieces(pieces, values, meter, where, lenient=lenient)
