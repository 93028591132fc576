"""Single HTTP requests over pooled connections, and what their failures mean. The only importer of ``requests``.

One adapter of requests is used, without a session. The adapter and urllib3's pools under it are made for threads; a
session is not, and it would add all that must not happen here: redirects followed with the first request's headers,
``.netrc``, cookies. The pool keeps as many connections as there are jobs, so that no worker waits for another.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from kitpack._version import __version__
from kitpack.content.registry.exchange import Answer, Body
from kitpack.content.registry.failures import tidied
from kitpack.content.registry.origin import Origin, is_loopback, shown
from kitpack.content.registry.retry import TransientError
from kitpack.errors import RegistryError, UnreachableError
from kitpack.oci.digest import BLOCK
from kitpack.settings import Settings

__all__ = ["Wire"]

_log = logging.getLogger(__name__)

_POOLS = 8  # hosts with connections kept open: the registry, its token server, its storage
_UNKNOWN_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_PLAIN_ANSWERS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")


class Wire:
    """The connections of one registry and of the places it leads to. Safe to share between threads.

    Args:
        settings: Certificates, and the number of jobs.
        timeouts: Seconds to wait for a connection, and for the next bytes.
    """

    def __init__(self, settings: Settings, timeouts: tuple[float, float]) -> None:
        self._settings = settings
        self._timeouts = timeouts
        self._adapters: dict[tuple[str, bool], HTTPAdapter] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections; later requests open new ones."""
        with self._lock:
            adapters, self._adapters = self._adapters, {}
        for adapter in adapters.values():
            adapter.close()

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None, *, strayed: bool = False
    ) -> Answer:
        """Send one request and return its answer, whatever its status. Redirects are not followed.

        Args:
            method: The HTTP method.
            url: An absolute address.
            headers: All headers but those every request has.
            body: What to send.
            strayed: Whether this is not the registry itself, which gets to see no client certificate then.

        Raises:
            TransientError: When no answer comes, and trying again may help.
            UnreachableError: When no answer comes, and never will.
        """
        common = {"User-Agent": f"kitpack/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
        try:
            prepared = requests.Request(method, url, headers={**common, **headers}).prepare()
        except (requests.RequestException, UnicodeError):  # whose text repeats the whole address
            raise RegistryError(f"{method} {shown(url)} cannot be sent: nothing can have this address") from None
        if body is None:
            return self._exchange(prepared, strayed=strayed)
        prepared.headers.update({"Content-Length": str(body.size), "Content-Type": body.media_type})
        with body.open() as stream:
            # An empty body must not be a stream: it would be sent in chunks, without a length.
            prepared.body = cast("bytes", stream) if body.size else b""
            return self._exchange(prepared, strayed=strayed, patience=self._timeouts[1] if body.size else 0.0)

    def _exchange(self, prepared: requests.PreparedRequest, *, strayed: bool, patience: float = 0.0) -> Answer:
        method, url = prepared.method or "", prepared.url or ""
        try:
            response = self._adapter(Origin.of(url).scheme, strayed=strayed).send(
                prepared,
                stream=True,
                # What is sent has the time of a connection: a server that writes to a slow disk needs more.
                timeout=(max(self._timeouts[0], patience), self._timeouts[1]),
                verify=str(self._settings.ca_file) if self._settings.ca_file else True,
                cert=None if strayed else _client_certificate(self._settings),
                proxies=_proxies(url),
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _no_answer(method, url, error) from None
        _log.debug("%s %s: %d", method, shown(url), response.status_code)
        return Answer(
            method=method,
            url=url,
            status=response.status_code,
            headers=response.headers,
            stream=_Arriving(response, method, url),
            strayed=strayed,
        )

    def _adapter(self, scheme: str, *, strayed: bool) -> HTTPAdapter:
        # Two TLS contexts: one that has loaded a client certificate would show it to everybody.
        key = (scheme, strayed)
        with self._lock:
            if key not in self._adapters:
                self._adapters[key] = _Adapter(self._settings, tls=scheme == "https")
            return self._adapters[key]


class _Adapter(HTTPAdapter):
    """requests' adapter with pools of the right size, large blocks, and the system's certificate authorities."""

    def __init__(self, settings: Settings, *, tls: bool) -> None:
        self._context = _tls_context(settings) if tls else None
        super().__init__(pool_connections=_POOLS, pool_maxsize=settings.jobs + 1)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: object) -> None:  # noqa: FBT001, FBT002
        """Make the pools; requests calls this."""
        extra = {"ssl_context": self._context} if self._context else {}
        super().init_poolmanager(connections, maxsize, block, blocksize=BLOCK, **extra, **options)

    def proxy_manager_for(self, proxy: str, **options: object) -> urllib3.ProxyManager:
        """Make the pools that lead through a proxy; requests calls this."""
        extra = {"ssl_context": self._context} if self._context else {}
        return cast("urllib3.ProxyManager", super().proxy_manager_for(proxy, blocksize=BLOCK, **extra, **options))


class _Arriving:
    """The body of an answer, as raw as it is on the wire."""

    def __init__(self, response: requests.Response, method: str, url: str) -> None:
        self._response = response
        self._method = method
        self._url = url

    def read1(self, limit: int) -> bytes:
        try:
            return cast("bytes", self._response.raw.read1(limit, decode_content=False) or b"")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _no_answer(self._method, self._url, error, begun=True) from None

    def close(self) -> None:
        self._response.close()


def _tls_context(settings: Settings) -> ssl.SSLContext:
    if settings.ca_file is None:
        return ssl.create_default_context()  # the system's authorities; requests adds those of certifi
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context  # requests adds those of the file


def _client_certificate(settings: Settings) -> tuple[str, str] | str | None:
    if settings.client_cert is None:
        return None
    if settings.client_key is None:
        return str(settings.client_cert)
    return str(settings.client_cert), str(settings.client_key)


def _proxies(url: str) -> dict[str, str]:
    """The proxies of the environment, which never see what stays on this machine."""
    return {} if is_loopback(Origin.of(url).host) else get_environ_proxies(url, no_proxy=None)


def _no_answer(method: str, url: str, error: Exception, *, begun: bool = False) -> TransientError | UnreachableError:
    chain = _causes(error)
    text = " ".join(map(str, chain))
    broken = f"the connection to {Origin.of(url)} broke" if begun else f"{Origin.of(url)} cannot be reached"
    message = f"{broken} ({method} {shown(url)}): {tidied(_without_query(url, _reason(chain)))}"
    if hint := _lasting(error, text):
        return UnreachableError(message, hint=hint)
    unreachable = UnreachableError(message, hint="check the address, the network, and whether the registry is running")
    return unreachable if any(map(_is_nobody, chain)) else TransientError(unreachable)


def _lasting(error: Exception, text: str) -> str:
    """What to do about a failure that will not pass by itself; an empty string when it may."""
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "to trust a private certificate authority, name its PEM file in KITPACK_CA_FILE"
    if any(sign in text.upper().replace(" ", "_") for sign in _PLAIN_ANSWERS):
        return "if this registry speaks plain HTTP, say so: --plain-http (KITPACK_PLAIN_HTTP)"
    if "ALERT" in text and ("CERTIFICATE" in text or "HANDSHAKE_FAILURE" in text):
        return "this registry may want a client certificate: KITPACK_CLIENT_CERT and KITPACK_CLIENT_KEY"
    if isinstance(error, requests.exceptions.InvalidSchema | requests.exceptions.InvalidProxyURL) or (
        isinstance(error, requests.exceptions.ProxyError) and any(map(_is_nobody, _causes(error)))
    ):
        return "check the proxy variables: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY"
    if not isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError) and "TLS" in text:
        return "check KITPACK_CA_FILE, KITPACK_CLIENT_CERT and KITPACK_CLIENT_KEY"
    return ""


def _is_nobody(cause: BaseException) -> bool:
    """Whether nobody listens at the address, or there is no address: waiting a second will not change that."""
    return isinstance(cause, ConnectionRefusedError) or _is_unknown_host(cause)


def _is_unknown_host(cause: BaseException) -> bool:
    """Whether the name has no address; that it cannot be looked up just now is another matter."""
    return isinstance(cause, socket.gaierror) and cause.errno in _UNKNOWN_HOST


def _causes(error: BaseException) -> list[BaseException]:
    """The error and everything it stands for, from the outside in."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        cause = todo.pop(0)
        if isinstance(cause, BaseException) and cause not in found and len(found) < 20:
            found.append(cause)
            todo += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
    return found


def _without_query(url: str, text: str) -> str:
    """The text without what stands behind the question mark of an address, where secrets live."""
    query = url.partition("?")[2]
    return text.replace(query, "…") if query else text


def _reason(chain: list[BaseException]) -> str:
    """The one sentence in it that a person understands."""
    for cause in reversed(chain):
        if _is_unknown_host(cause):
            return "the host name is not known"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    if any(isinstance(cause, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError) for cause in chain):
        return "no answer in time"
    return str(chain[-1]) or type(chain[-1]).__name__
