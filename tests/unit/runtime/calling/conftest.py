"""A server of models, and ways to ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any, TypeAlias

import pytest

from kitpack.runtime.calling.call import acall, astream, call, stream
from kitpack.runtime.calling.provider import Kind, Provider, Retries, provider
from kitpack.runtime.calling.reply import Chunk, Reply
from kitpack.settings import ModelAccess
from tests.support.model_server import ModelServer, model_server

KEY = "sk-test-0123456789abcdef"
NOTHING = ModelAccess()

Way: TypeAlias = Callable[..., Reply]


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with model_server() as server:
        yield server


def at(models: ModelServer, kind: Kind = "openai", **changes: Any) -> Provider:
    """The server as a provider that is asked once, and again without delay where a test says so."""
    known: dict[str, Any] = {"key": KEY, "retries": Retries(tries=3, first=0.0), "access": NOTHING}
    base = models.url if kind == "anthropic" else f"{models.url}/v1"
    return provider(base, kind=kind, **(known | changes))


def _ask(asked: Provider, messages: Any, **options: Any) -> Reply:
    return call(asked, messages, **options)


def _ask_in_loop(asked: Provider, messages: Any, **options: Any) -> Reply:
    return asyncio.run(acall(asked, messages, **options))


def _last(chunks: list[Chunk]) -> Reply:
    reply = chunks[-1].reply
    assert reply is not None
    assert all(chunk.reply is None for chunk in chunks[:-1])
    assert "".join(chunk.text for chunk in chunks) == reply.text
    return reply


def _stream(asked: Provider, messages: Any, **options: Any) -> Reply:
    return _last(list(stream(asked, messages, **options)))


def _stream_in_loop(asked: Provider, messages: Any, **options: Any) -> Reply:
    async def collected() -> list[Chunk]:
        async with aclosing(astream(asked, messages, **options)) as chunks:
            return [chunk async for chunk in chunks]

    return _last(asyncio.run(collected()))


WHOLE = {"call": _ask, "acall": _ask_in_loop}
PIECES = {"stream": _stream, "astream": _stream_in_loop}
EVERY = WHOLE | PIECES


@pytest.fixture(params=list(WHOLE))
def whole(request: pytest.FixtureRequest) -> Way:
    """Both ways to get an answer at once."""
    return WHOLE[request.param]


@pytest.fixture(params=list(PIECES))
def pieces(request: pytest.FixtureRequest) -> Way:
    """Both ways to get an answer in pieces."""
    return PIECES[request.param]


@pytest.fixture(params=list(EVERY))
def ask(request: pytest.FixtureRequest) -> Way:
    """All four ways to get an answer."""
    return EVERY[request.param]
