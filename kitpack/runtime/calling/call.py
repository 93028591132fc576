"""Asking a model: at once or in pieces, waiting in place or in an event loop.

::

    from kitpack.runtime.calling.call import call
    from kitpack.runtime.calling.provider import provider

    reply = call(provider("http://localhost:8080/v1"), [{"role": "user", "content": "Hello"}], model="llama-3.1-8b")

Whoever asks often keeps the connections open: ``with Connections() as connections: call(…, connections=connections)``
(:mod:`kitpack.runtime.calling.wire`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING

from kitpack.oci.jsontext import Json, JsonObject
from kitpack.runtime.calling import anthropic, openai
from kitpack.runtime.calling.asking import Asked, Speech, asked, encoded
from kitpack.runtime.calling.exchange import Incoming, answered
from kitpack.runtime.calling.line import at_once
from kitpack.runtime.calling.opening import Question
from kitpack.runtime.calling.provider import Provider
from kitpack.runtime.calling.reply import Chunk, Reply

if TYPE_CHECKING:
    from kitpack.runtime.calling.wire import AsyncConnections, Connections

__all__ = ["acall", "astream", "call", "stream"]

_DIALECTS = {"openai": openai.DIALECT, "anthropic": anthropic.DIALECT}


def call(
    provider: Provider,
    messages: Sequence[Speech],
    *,
    model: str,
    parameters: Mapping[str, Json] | None = None,
    tools: Json = None,
    output: JsonObject | None = None,
    target: str = "",
    connections: Connections | None = None,
) -> Reply:
    """Ask a model, and wait for its whole answer.

    Args:
        provider: Who is asked.
        messages: What is said: values with ``role`` and ``content``, or objects as chat APIs take them.
        model: The model to ask.
        parameters: Sampling parameters by OpenAI's names, or by those that the endpoint has of its own. Plain values
            pass through; what the API has no word for is told in :attr:`Reply.ignored`.
        tools: Definitions of functions the model may call.
        output: A JSON Schema that the endpoint is asked to make the answer keep to; not every endpoint can.
        target: The model or class of models that the prompt is tuned for, to compare with the one that answers.
        connections: Connections that stay open; else one is opened, and closed afterwards.

    Raises:
        UsageError: When what is asked cannot be sent.
        ModelAuthError: When the endpoint does not accept the key.
        ModelBusyError: When it is overloaded, and waiting did not help.
        ModelError: When there is no answer for any other reason.
    """
    wanted = asked(messages, model=model, parameters=parameters, tools=tools, output=output)
    question = _question(provider, wanted, target)
    with ExitStack() as opened:
        return at_once(answered(connections or opened.enter_context(_connections()), question))


async def acall(
    provider: Provider,
    messages: Sequence[Speech],
    *,
    model: str,
    parameters: Mapping[str, Json] | None = None,
    tools: Json = None,
    output: JsonObject | None = None,
    target: str = "",
    connections: AsyncConnections | None = None,
) -> Reply:
    """As :func:`call`, in an event loop."""
    wanted = asked(messages, model=model, parameters=parameters, tools=tools, output=output)
    question = _question(provider, wanted, target)
    async with AsyncExitStack() as opened:
        line = await opened.enter_async_context(_async_connections()) if connections is None else connections
        return await answered(line, question)


def stream(
    provider: Provider,
    messages: Sequence[Speech],
    *,
    model: str,
    parameters: Mapping[str, Json] | None = None,
    tools: Json = None,
    output: JsonObject | None = None,
    target: str = "",
    connections: Connections | None = None,
) -> Generator[Chunk, None, None]:
    """Ask a model, and hand out its answer as it arrives; the last piece has the whole :class:`Reply`.

    Nothing is sent before the first piece is asked for. Whoever stops before the end closes the generator
    (``contextlib.closing``), which ends the answer. Once a piece was handed out nothing is tried again.

    Args and errors as those of :func:`call`; an answer that breaks off is a ModelError.
    """
    wanted = asked(messages, model=model, parameters=parameters, tools=tools, output=output, stream=True)
    return _pieces(_question(provider, wanted, target), connections)


def astream(
    provider: Provider,
    messages: Sequence[Speech],
    *,
    model: str,
    parameters: Mapping[str, Json] | None = None,
    tools: Json = None,
    output: JsonObject | None = None,
    target: str = "",
    connections: AsyncConnections | None = None,
) -> AsyncGenerator[Chunk, None]:
    """As :func:`stream`, in an event loop (``async for``, ``contextlib.aclosing``)."""
    wanted = asked(messages, model=model, parameters=parameters, tools=tools, output=output, stream=True)
    return _async_pieces(_question(provider, wanted, target), connections)


def _question(provider: Provider, wanted: Asked, target: str) -> Question:
    dialect = _DIALECTS[provider.kind]
    spoken = dialect.speak(provider, wanted)
    return Question(
        provider=provider,
        dialect=dialect,
        body=encoded(spoken.body),
        stream=wanted.stream,
        requested=wanted.model,
        target=target,
        ignored=spoken.ignored,
    )


def _pieces(question: Question, connections: Connections | None) -> Generator[Chunk, None, None]:
    with ExitStack() as opened:
        incoming = Incoming(connections or opened.enter_context(_connections()), question)
        try:
            while (chunk := at_once(incoming.advance())) is not None:
                yield chunk
        finally:
            at_once(incoming.close())


async def _async_pieces(question: Question, connections: AsyncConnections | None) -> AsyncGenerator[Chunk, None]:
    async with AsyncExitStack() as opened:
        line = await opened.enter_async_context(_async_connections()) if connections is None else connections
        incoming = Incoming(line, question)
        try:
            while (chunk := await incoming.advance()) is not None:
                yield chunk
        finally:
            await incoming.close()


def _connections() -> Connections:
    from kitpack.runtime.calling.wire import Connections

    return Connections()


def _async_connections() -> AsyncConnections:
    from kitpack.runtime.calling.wire import AsyncConnections

    return AsyncConnections()
