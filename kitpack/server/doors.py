"""Connections: how many there may be, and how long one may be open without asking for anything.

The library gives up a connection that is idle between two requests, but waits forever for the rest of a first one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

__all__ = ["MOST_CONNECTIONS", "Doors"]

MOST_CONNECTIONS = 400
"""Connections open at the same time; each keeps a file open, and so does what is sent over it."""

_IDLE = 75.0
_BUFFER = 1 << 18

_silent = logging.getLogger("kitpack.server")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class Doors(web.Server):
    """Where connections come in, and from where requests go on.

    Args:
        answer: Answers a request.
        most: The number of connections that may be open.
        idle: Seconds after which one is closed that has no request, or has not sent all of its headers.
    """

    def __init__(
        self,
        answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        most: int = MOST_CONNECTIONS,
        idle: float = _IDLE,
    ) -> None:
        super().__init__(
            self._let_through,
            access_log=None,
            logger=_silent,
            keepalive_timeout=idle,
            auto_decompress=False,
            read_bufsize=_BUFFER,
        )
        self._answer = answer
        self._most = most
        self._idle = idle
        self._transports: dict[RequestHandler, asyncio.Transport] = {}
        self._waiting: dict[RequestHandler, float] = {}  # since when; the longest first

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Let somebody in; when there are too many, who has waited for longest without a request goes."""
        super().connection_made(handler, transport)
        self._transports[handler] = transport
        self._wait(handler)
        if len(self._transports) > self._most and self._waiting:
            self._show_out(next(iter(self._waiting)))

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        super().connection_lost(handler, exc)
        self._transports.pop(handler, None)
        self._waiting.pop(handler, None)

    def close_idle(self) -> None:
        """Close what has been without a request for too long; called every few seconds."""
        before = asyncio.get_running_loop().time() - self._idle
        for handler in [one for one, since in self._waiting.items() if since <= before]:
            self._show_out(handler)

    async def _let_through(self, request: web.BaseRequest) -> web.StreamResponse:
        handler = request.protocol
        self._waiting.pop(handler, None)
        try:
            return await self._answer(request)
        finally:
            if handler in self._transports:
                self._wait(handler)

    def _wait(self, handler: RequestHandler) -> None:
        self._waiting[handler] = asyncio.get_running_loop().time()

    def _show_out(self, handler: RequestHandler) -> None:
        self._waiting.pop(handler, None)
        transport = self._transports.pop(handler)
        handler.force_close()
        transport.abort()  # whatever it has not read yet, it does not get
