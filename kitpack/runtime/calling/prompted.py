"""Asking a model what a rendered prompt says, with what the prompt was tuned for."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypedDict

from kitpack.errors import UsageError
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.runtime.calling.asking import Speech
from kitpack.runtime.calling.attributes import reply_attributes
from kitpack.runtime.calling.call import acall, astream, call, stream
from kitpack.runtime.calling.models import is_exact
from kitpack.runtime.calling.provider import Provider, provider
from kitpack.runtime.calling.reply import Chunk, Reply
from kitpack.runtime.identity import Identity
from kitpack.runtime.telemetry import annotate_span, request_attributes

if TYPE_CHECKING:
    from kitpack.runtime.calling.wire import AsyncConnections, Connections

__all__ = ["Rendering", "Wishes", "acall_prompt", "astream_prompt", "call_prompt", "stream_prompt"]

_log = logging.getLogger(__name__)

_PACKED = "bundle"


class Rendering(Protocol):
    """A prompt that was filled with values, as :class:`kitpack.runtime.served.Rendered` is one."""

    @property
    def spoken(self) -> Sequence[Speech]:
        """The messages."""

    @property
    def parameters(self) -> JsonObject:
        """The sampling parameters that the prompt was tuned for."""

    @property
    def model(self) -> str:
        """The model that it was tuned for: a name, a glob, ``bundle``, or empty."""

    @property
    def identity(self) -> Identity:
        """Which prompt it is."""

    @property
    def output(self) -> JsonObject | None:
        """A JSON Schema of the answer."""

    @property
    def tools(self) -> Json:
        """The tools that the model may call."""

    def active(self) -> AbstractContextManager[None]:
        """Say in logs and traces that it is being served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What an application decides about a call that a prompt leaves open, or gets overruled in.

    Attributes:
        model: The model to ask; empty for the one that the prompt names.
        parameters: Sampling parameters that win over the prompt's; None takes one of those away.
        constrained: Whether the endpoint is asked to make the answer keep to the prompt's output schema. The answer
            is compared with the schema in any case.
    """

    model: str = ""
    parameters: Mapping[str, Json] | None = None
    constrained: bool = False


def call_prompt(
    rendered: Rendering, asked: Provider | str, wishes: Wishes | None = None, connections: Connections | None = None
) -> Reply:
    """Ask a model what a prompt says, and wait for the whole answer.

    Args:
        rendered: The prompt, filled with values.
        asked: Who is asked, or the name or address that :func:`~kitpack.runtime.calling.provider.provider` takes.
        wishes: What the application decides.
        connections: Connections that stay open.

    Raises:
        UsageError: When no one model is named, or a parameter cannot be sent.
        ModelError, ModelAuthError, ModelBusyError: When there is no answer.
    """
    terms = _terms(rendered, wishes or Wishes())
    with rendered.active():
        reply = call(
            _provider(asked),
            rendered.spoken,
            **terms,
            connections=connections,
        )
        return _judged(rendered, terms, reply)


async def acall_prompt(
    rendered: Rendering,
    asked: Provider | str,
    wishes: Wishes | None = None,
    connections: AsyncConnections | None = None,
) -> Reply:
    """As :func:`call_prompt`, in an event loop."""
    terms = _terms(rendered, wishes or Wishes())
    with rendered.active():
        reply = await acall(
            _provider(asked),
            rendered.spoken,
            **terms,
            connections=connections,
        )
        return _judged(rendered, terms, reply)


def stream_prompt(
    rendered: Rendering, asked: Provider | str, wishes: Wishes | None = None, connections: Connections | None = None
) -> Generator[Chunk, None, None]:
    """As :func:`call_prompt`, handing out the answer as it arrives; the last piece has the whole reply.

    What is wrong with the call is raised here; nothing is sent before the first piece is asked for.
    """
    terms = _terms(rendered, wishes or Wishes())
    pieces = stream(
        _provider(asked),
        rendered.spoken,
        **terms,
        connections=connections,
    )
    return _judging(rendered, terms, pieces)


def astream_prompt(
    rendered: Rendering,
    asked: Provider | str,
    wishes: Wishes | None = None,
    connections: AsyncConnections | None = None,
) -> AsyncGenerator[Chunk, None]:
    """As :func:`stream_prompt`, in an event loop."""
    terms = _terms(rendered, wishes or Wishes())
    pieces = astream(
        _provider(asked),
        rendered.spoken,
        **terms,
        connections=connections,
    )
    return _async_judging(rendered, terms, pieces)


class _Terms(TypedDict):
    """What a model is asked for besides the messages."""

    model: str
    target: str
    parameters: JsonObject
    tools: Json
    output: JsonObject | None


def _terms(rendered: Rendering, wishes: Wishes) -> _Terms:
    target = "" if rendered.model == _PACKED else rendered.model
    if not wishes.model and not is_exact(target):
        tuned = f"the prompt is tuned for {rendered.model!r}" if rendered.model else "the prompt names no model"
        raise UsageError(f"{tuned}, and it was not said which one to ask", hint="name it: model=, or --model NAME")
    return _Terms(
        model=wishes.model or target,
        target=target,
        parameters={**rendered.parameters, **(wishes.parameters or {})},
        tools=rendered.tools,
        output=rendered.output if wishes.constrained else None,
    )


def _provider(asked: Provider | str) -> Provider:
    return provider(asked) if isinstance(asked, str) else asked


def _judging(rendered: Rendering, terms: _Terms, pieces: Generator[Chunk, None, None]) -> Generator[Chunk, None, None]:
    try:
        for chunk in pieces:
            yield chunk if chunk.reply is None else Chunk(reply=_judged(rendered, terms, chunk.reply))
    finally:
        pieces.close()


async def _async_judging(
    rendered: Rendering, terms: _Terms, pieces: AsyncGenerator[Chunk, None]
) -> AsyncGenerator[Chunk, None]:
    try:
        async for chunk in pieces:
            yield chunk if chunk.reply is None else Chunk(reply=_judged(rendered, terms, chunk.reply))
    finally:
        await pieces.aclose()


def _judged(rendered: Rendering, terms: _Terms, reply: Reply) -> Reply:
    """The answer with the prompt it is one to, and held against the prompt's output schema."""
    sent = {name: value for name, value in terms["parameters"].items() if name not in reply.ignored}
    annotate_span({**request_attributes(terms["model"], sent), **reply_attributes(reply)})
    data, faults = _held_against(rendered.output, reply)
    if faults:
        _log.warning("%s: the answer is not what the prompt says it is: %s", rendered.identity, faults[0])
    return replace(reply, identity=rendered.identity, data=data, output_faults=faults)


def _held_against(schema: JsonObject | None, reply: Reply) -> tuple[Json, tuple[str, ...]]:
    if schema is None or reply.tool_calls:
        return None, ()
    from kitpack.document.schema import breaches

    value: Json = reply.text
    if schema.get("type") != "string":
        try:
            value = json.loads(reply.text)
        except (ValueError, RecursionError):
            return None, ("it is not JSON",)
    return value, tuple(breaches(value, schema))
