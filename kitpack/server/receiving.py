"""The bytes of a request on their way to the disk: read by the event loop, written by threads, never all in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from aiohttp import web

from kitpack.oci.manifest import MAX_MANIFEST_SIZE
from kitpack.server.problems import RefusedError

__all__ = ["QUIET", "is_kept_waiting", "read_all", "receive", "welcome"]

QUIET = 300.0
"""Seconds without a byte after which a client is given up."""

_BATCH = 1 << 20

_welcomed: ContextVar[bool] = ContextVar("welcomed", default=False)  # each request is answered in a context of its own


async def receive(request: web.BaseRequest, take: Callable[[bytes], Awaitable[None]]) -> None:
    """Read the body of a request; while one batch is being written, the next is read.

    Args:
        request: The request.
        take: Writes a batch in a thread. Batches come one after the other.

    Raises:
        RefusedError: When the body breaks off or nothing arrives for long. What came before has been written.
    """
    writing: asyncio.Future[None] | None = None
    batch = bytearray()
    try:
        while data := await _next(request):
            batch += data
            if len(batch) >= _BATCH:
                if writing:
                    await writing
                writing, batch = asyncio.ensure_future(take(bytes(batch))), bytearray()
    finally:
        if writing:
            await writing
        if batch:
            await take(bytes(batch))


async def read_all(request: web.BaseRequest, limit: int = MAX_MANIFEST_SIZE) -> bytes:
    """Read the body of a request into memory.

    Raises:
        RefusedError: When it is larger than the limit, breaks off, or nothing arrives for long.
    """
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    await welcome(request)
    body = bytearray()
    while data := await _next(request):
        body += data
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


async def welcome(request: web.BaseRequest) -> None:
    """Tell a client that waits for it to send its bytes."""
    if is_kept_waiting(request):
        _welcomed.set(True)
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def is_kept_waiting(request: web.BaseRequest) -> bool:
    """Whether the client still waits to be told to send its bytes, and nobody can tell whether it will."""
    return request.headers.get("Expect", "").lower() == "100-continue" and not _welcomed.get()


async def _next(request: web.BaseRequest) -> bytes:
    """What has arrived; nothing at the end."""
    await welcome(request)
    try:
        async with asyncio.timeout(QUIET):
            return await request.content.readany()
    except TimeoutError:
        raise RefusedError(
            408, "SIZE_INVALID", f"nothing arrived for {QUIET:.0f} seconds; expected the rest of the body", close=True
        ) from None
    except web.RequestPayloadError as error:
        raise RefusedError(400, "SIZE_INVALID", f"the body broke off: {error}", close=True) from None


def _too_large(limit: int) -> RefusedError:
    return RefusedError(413, "SIZE_INVALID", f"the body is too large; a manifest has at most {limit} bytes")
