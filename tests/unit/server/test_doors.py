"""Who may come in, and who is shown out: connections without end, headers without end, readers that do not read."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from kitpack.server.doors import MOST_CONNECTIONS, Doors
from tests.support.bundles import noise
from tests.support.distribution import talking
from tests.support.serving import peak_memory, serve_process

BEGINNINGS = [b"", b"G", b"GET /v2/ HTTP/1.1\r\n", b"GET /v2/ HTTP/1.1\r\nHost: x\r\nA: b\r\n"]


class _Bell(Doors):
    """Doors that ring when somebody comes in."""

    came: asyncio.Event

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self.came.set()


class House:
    """A server with three places, where who asks for ``/slow`` is answered when the gate opens."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()
        self.doors = _Bell(self._answer, most=3, idle=0.0)
        self.doors.came = asyncio.Event()
        self.port = 0

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.set()
        if request.path == "/slow":
            await self.gate.wait()
        return web.Response(text="well")

    async def enter(self, beginning: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, send something, and be noticed."""
        self.doors.came.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(beginning)
        await writer.drain()
        await self.doors.came.wait()
        return reader, writer


@contextlib.asynccontextmanager
async def _open() -> AsyncIterator[House]:
    house = House()
    runner = web.ServerRunner(house.doors, shutdown_timeout=0)
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0)) as bound:
        house.port = bound.getsockname()[1]
        await web.SockSite(runner, bound).start()
        yield house
        house.gate.set()
        await runner.cleanup()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """What still comes until the connection ends."""
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""


def _run(story: Coroutine[None, None, None]) -> None:
    asyncio.run(story)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_who_never_ends_to_ask_is_shown_out(beginning: bytes) -> None:
    async def story() -> None:
        async with _open() as house:
            reader, writer = await house.enter(beginning)
            house.doors.close_idle()
            assert await _rest(reader) == b""
            writer.close()

    _run(story())


def test_who_is_being_answered_may_stay() -> None:
    async def story() -> None:
        async with _open() as house:
            reader, writer = await house.enter(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await house.asked.wait()
            house.doors.close_idle()
            house.gate.set()
            assert (await _rest(reader)).endswith(b"well")
            writer.close()

    _run(story())


def test_when_the_house_is_full_who_waits_for_longest_goes() -> None:
    async def story() -> None:
        async with _open() as house:
            busy, busy_writer = await house.enter(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await house.asked.wait()
            first, first_writer = await house.enter(b"GET")
            _, second_writer = await house.enter(b"GET")
            third, third_writer = await house.enter(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert await _rest(first) == b""
            assert (await _rest(third)).endswith(b"well")
            house.gate.set()
            assert (await _rest(busy)).endswith(b"well")
            for writer in (busy_writer, first_writer, second_writer, third_writer):
                writer.close()

    _run(story())


def test_readers_that_do_not_read_take_no_memory_and_keep_nobody_waiting(tmp_path: Path) -> None:
    """Nor do those who come from elsewhere, to whom the kernel sends what they read."""
    text = noise(20 << 20)
    with serve_process(home=tmp_path) as (process, url), contextlib.ExitStack() as stack, talking(url) as client:
        digest, parts = client.push_blob("a", text), urlsplit(url)
        assert client.get(f"/v2/a/blobs/{digest}").body == text
        before = peak_memory(process.pid)
        for _ in range(100):
            one = stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=30))
            one.sendall(f"GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert one.recv(1) == b"H"
        for start in (0, 1, len(text) - 3):
            assert client.get(f"/v2/a/blobs/{digest}", Range=f"bytes={start}-").body == text[start:]
        assert peak_memory(process.pid) - before < 40 << 20


def test_a_flood_of_connections_keeps_nobody_out(tmp_path: Path) -> None:
    with serve_process(home=tmp_path) as (_, url), contextlib.ExitStack() as stack:
        parts = urlsplit(url)
        with talking(url) as client:
            manifest = client.push_bundle("a", "v1", text=noise(1000))
        for number in range(MOST_CONNECTIONS + 100):
            one = stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=30))
            with contextlib.suppress(ConnectionError):
                one.sendall(BEGINNINGS[number % len(BEGINNINGS)])
        with talking(url) as client:
            assert client.has("a", manifest.digest)
            client.push_bundle("a", "v2", text=noise(1001))
