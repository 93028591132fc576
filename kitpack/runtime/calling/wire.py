"""Single HTTP requests to endpoints of models, and what their failures mean. The only importer of ``httpx2``.

What is done with the requests is written once, as coroutines over a :class:`~kitpack.runtime.calling.line.Line`. Those
of :class:`Connections` wait in place, so that such a coroutine never gives way, and needs no event loop.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from kitpack._version import __version__
from kitpack.content.registry.origin import is_loopback
from kitpack.errors import ModelError, UsageError
from kitpack.runtime.calling.failures import cut_off
from kitpack.runtime.calling.line import Arriving, NotConnectedError, Sent
from kitpack.runtime.calling.provider import origin_of, shown

try:
    import httpx2
except ImportError:
    raise UsageError(
        "models are called over httpx2, which is not installed", hint="pip install 'kitpack[call]'"
    ) from None

__all__ = ["AsyncConnections", "Connections"]

_UNKNOWN_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_PLAIN_ANSWERS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
_FAILURES = (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError)
_NOT_CONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class Connections:
    """Connections that stay open between calls, for those who wait in place. Safe to share between threads.

    Used as a context, or closed by :meth:`close`; a call that is given none opens its own and closes it.

    Args:
        sleep: Waits so many seconds.
    """

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._clients: dict[tuple[str, bool, Path | None], httpx2.Client] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; later calls open new ones."""
        while self._clients:
            self._clients.popitem()[1].close()

    async def pause(self, seconds: float) -> None:
        """Wait in place."""
        self._sleep(seconds)

    async def send(self, request: Sent) -> Arriving:
        """See :class:`kitpack.runtime.calling.line.Line`."""
        try:
            client = self._client(request)
            return _Arriving(client.send(_request(client, request), stream=True), request.url)
        except _FAILURES as error:
            failed = _no_answer(request.url, error)
        raise failed  # outside of the handler, so that it does not bring along the request with the key

    def _client(self, request: Sent) -> httpx2.Client:
        key = _client_key(request)
        known = self._clients.get(key)
        if known is not None:
            return known
        made = httpx2.Client(verify=_context(request), trust_env=not key[1])
        kept = self._clients.setdefault(key, made)
        if kept is not made:  # another thread was faster
            made.close()
        return kept


class AsyncConnections:
    """Connections that stay open between calls, for those who wait in an event loop, and belong to that loop.

    Used as a context, or closed by :meth:`close`; a call that is given none opens its own and closes it.

    Args:
        sleep: Waits so many seconds; by default as the event loop does.
    """

    def __init__(self, sleep: Callable[[float], Coroutine[object, object, None]] | None = None) -> None:
        self._sleep = sleep
        self._clients: dict[tuple[str, bool, Path | None], httpx2.AsyncClient] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; later calls open new ones."""
        while self._clients:
            await self._clients.popitem()[1].aclose()

    async def pause(self, seconds: float) -> None:
        """Let others work meanwhile."""
        import anyio

        await (self._sleep or anyio.sleep)(seconds)

    async def send(self, request: Sent) -> Arriving:
        """See :class:`kitpack.runtime.calling.line.Line`."""
        import anyio

        try:
            client = self._client(request)
            with anyio.fail_after(request.timeouts.total):
                return _AsyncArriving(await client.send(_request(client, request), stream=True), request.url)
        except _FAILURES as error:
            failed = _no_answer(request.url, error)
        raise failed

    def _client(self, request: Sent) -> httpx2.AsyncClient:
        key = _client_key(request)
        if key not in self._clients:
            self._clients[key] = httpx2.AsyncClient(verify=_context(request), trust_env=not key[1])
        return self._clients[key]


class _Arriving:
    def __init__(self, response: httpx2.Response, url: str) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response, self._url = response, url
        self._pieces = response.iter_raw()

    async def read(self, seconds: float) -> bytes:  # noqa: ARG002 - nothing but the socket ends waiting in place
        try:
            return next(self._pieces, b"")
        except _FAILURES as error:
            failed = cut_off(self._url, _reason(error))
        raise failed

    async def close(self) -> None:
        self._response.close()


class _AsyncArriving:
    def __init__(self, response: httpx2.Response, url: str) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response, self._url = response, url
        self._pieces = response.aiter_raw()

    async def read(self, seconds: float) -> bytes:
        import anyio

        try:
            with anyio.fail_after(seconds):
                return await anext(self._pieces, b"")
        except _FAILURES as error:
            failed = cut_off(self._url, _reason(error))
        raise failed

    async def close(self) -> None:
        await self._response.aclose()


def _request(client: httpx2.Client | httpx2.AsyncClient, request: Sent) -> httpx2.Request:
    common = {"User-Agent": f"kitpack/{__version__}", "Accept-Encoding": "identity", "Content-Type": "application/json"}
    waits = request.timeouts
    return client.build_request(
        "POST",
        request.url,
        headers={**common, **request.headers},
        content=request.body,
        timeout=httpx2.Timeout(
            connect=min(waits.connect, waits.total),
            read=min(waits.read, waits.total),
            write=min(waits.read, waits.total),
            pool=min(waits.connect, waits.total),
        ),
    )


def _client_key(request: Sent) -> tuple[str, bool, Path | None]:
    """What two requests must share to share connections. No proxy ever sees what stays on this machine."""
    scheme, host, _ = origin_of(request.url)
    return scheme, is_loopback(host), request.ca_file


def _context(request: Sent) -> ssl.SSLContext | bool:
    if not request.url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and is not asked to
    return ssl.create_default_context(cafile=request.ca_file) if request.ca_file else True


def _no_answer(url: str, error: Exception) -> Exception:
    """What to raise when no answer came: whether to try again depends on whether anything was sent."""
    place = shown(url)
    if not isinstance(error, _NOT_CONNECTED):
        return ModelError(f"{place} did not answer: {_reason(error)}", hint=_lasting(error) or "ask again")
    failed = ModelError(
        f"{place} cannot be reached: {_reason(error)}",
        hint=_lasting(error) or "check the address, the network, and whether the server is running",
    )
    final = _lasting(error) or any(map(_is_unknown_host, _causes(error)))
    return failed if final else NotConnectedError(failed)


def _lasting(error: Exception) -> str:
    """What to do about a failure that will not pass by itself; an empty string when it may."""
    text = " ".join(map(str, _causes(error)))
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "to trust a private certificate authority, name its PEM file in KITPACK_CA_FILE"
    if any(sign in text.upper().replace(" ", "_") for sign in _PLAIN_ANSWERS):
        return "if this endpoint speaks plain HTTP, its address begins with http://"
    return ""


def _is_unknown_host(cause: BaseException) -> bool:
    return isinstance(cause, socket.gaierror) and cause.errno in _UNKNOWN_HOST


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it stands for, from the outside in."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo and len(seen) < 50:
        cause = todo.pop(0)
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        todo += [*getattr(cause, "exceptions", ()), cause.__cause__, cause.__context__]


def _reason(error: Exception) -> str:
    """The one sentence in it that a person understands."""
    chain = list(_causes(error))
    if any(isinstance(cause, TimeoutError | httpx2.TimeoutException) for cause in chain):
        return "nothing came in time"
    for cause in reversed(chain):
        if _is_unknown_host(cause):
            return "the host name is not known"
        if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError | socket.gaierror) and cause.errno:
            return os.strerror(cause.errno)
    if isinstance(error, httpx2.RemoteProtocolError):
        return "the connection was closed too early"
    told = next((cause for cause in reversed(chain) if isinstance(cause, ssl.SSLError)), error)
    return " ".join(str(told).split())[:200] if told is not error else type(error).__name__
