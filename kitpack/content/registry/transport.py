"""HTTP as registries need it: authorised, redirected by hand, repeated with patience.

Everything that decides who gets to see credentials, and what is tried again, stands here; single requests are sent
by :mod:`kitpack.content.registry.wire`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container, Mapping, Sequence
from types import TracebackType
from typing import Self

from kitpack.content.registry.auth import Tokens
from kitpack.content.registry.credentials import Credential, find
from kitpack.content.registry.exchange import Answer, Body
from kitpack.content.registry.failures import tidied
from kitpack.content.registry.origin import Origin, absolute, api_host, is_loopback, shown
from kitpack.content.registry.retry import TRANSIENT_STATUSES, Retry, TransientError, retry_after
from kitpack.content.registry.wire import Wire
from kitpack.errors import AuthError, RegistryError
from kitpack.settings import Settings

__all__ = ["Transport"]

_log = logging.getLogger(__name__)

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAFE = frozenset({"GET", "HEAD"})
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})
_MAX_TOKEN_ANSWER = 1 << 20


class Transport:
    """The way to one registry: its connections, its tokens, its manners. Safe to share between threads.

    Args:
        registry: Host and port, as in references.
        settings: Certificates, plain HTTP, jobs, and where credentials are.
        credential: What to log in with instead of what is stored, to try it out.
        sleep: Waits so many seconds.
        clock: Seconds since 1970, to read dates in ``Retry-After``.
        timeouts: Seconds to wait for a connection, and for the next bytes.
    """

    def __init__(
        self,
        registry: str,
        settings: Settings,
        *,
        credential: Credential | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        timeouts: tuple[float, float] = (10.0, 60.0),
    ) -> None:
        self.registry = registry
        self.base = f"{_scheme(registry, settings)}://{api_host(registry)}"
        self.retry = Retry(sleep=sleep)
        self._origin = Origin.of(self.base)
        self._clock = clock
        self._warnings: set[str] = set()
        self._wire = Wire(settings, timeouts)
        self._tokens = Tokens(
            self._origin,
            registry,
            credential=lambda repository: credential or find(settings, registry, repository),
            ask=self._ask_token_server,
            clock=time.monotonic,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. The transport may still be used, and opens new ones then."""
        self._wire.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        scopes: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        expect: Container[int] = (200,),
        stay: bool = False,
        limit: int | None = None,
    ) -> Answer:
        """Ask the registry, or where it led, and return an answer of an expected status.

        Args:
            method: The HTTP method.
            url: A path at the registry, or an absolute address the registry gave. Credentials go to the registry alone.
            scopes: What it is about, see :func:`kitpack.content.registry.auth.actions`.
            headers: Further headers.
            body: What to send.
            expect: The statuses that are no failure.
            stay: Whether a redirect away from the registry is returned instead of followed.
            limit: The number of bytes up to which the body is loaded at once, as part of what is repeated; without it
                the body stays on the wire.

        Raises:
            AuthError, DeniedError, RateLimitedError, UnreachableError, RegistryError, NotFoundError: When it fails.
        """
        target = absolute(self.base, url)

        def attempt() -> Answer:
            answer = self._authorised(method, target, scopes, headers or {}, body, stay=stay)
            return _loaded(self._checked(answer, expect), limit)

        return self.retry.run(attempt, tries=None if method in _REPEATABLE else 1)

    def request_once(
        self,
        method: str,
        url: str,
        *,
        scopes: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        expect: Container[int] = (200,),
    ) -> Answer:
        """As :meth:`request`, for a caller who has to start over further back when it fails.

        Raises:
            TransientError: When trying again may help.
            AuthError, DeniedError, UnreachableError, RegistryError, NotFoundError: When it will not.
        """
        answer = self._authorised(method, absolute(self.base, url), scopes, headers or {}, body, stay=False)
        return self._checked(answer, expect)

    def _authorised(
        self,
        method: str,
        url: str,
        scopes: Sequence[str],
        headers: Mapping[str, str],
        body: Body | None,
        *,
        stay: bool,
    ) -> Answer:
        proof = self._tokens.header(scopes)
        answer = self._follow(method, url, headers, body, proof, stay=stay)
        if answer.status != 401 or answer.strayed:
            return answer
        challenge = answer.headers.get("WWW-Authenticate", "")
        if not challenge:
            return answer
        answer.close()
        proof = self._tokens.renew(scopes, challenge, proof)
        return self._follow(method, url, headers, body, proof, stay=stay)

    def _follow(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None, proof: str, *, stay: bool
    ) -> Answer:
        strayed = Origin.of(url) != self._origin
        for _ in range(_MAX_REDIRECTS + 1):
            sent = {**headers, "Authorization": proof} if proof and not strayed else headers
            answer = self._wire.send(method, url, sent, body, strayed=strayed)
            location = answer.headers.get("Location", "")
            if answer.status not in _REDIRECTS or not location:
                return answer
            target = self._redirected(answer, location)
            leaves = Origin.of(target) != self._origin
            if stay and leaves:
                return answer
            answer.close()
            # Once away, always away: whoever the registry led to must not lead us back with its credentials.
            strayed = strayed or leaves
            url = target
        raise RegistryError(f"{method} {shown(url)}: more than {_MAX_REDIRECTS} redirects")

    def _redirected(self, answer: Answer, location: str) -> str:
        try:
            if answer.method not in _SAFE and answer.status not in {307, 308}:
                raise RegistryError(
                    f"{answer.method} {shown(answer.url)} was answered with {answer.status}, "
                    "a redirect that drops what was sent",
                    status=answer.status,
                )
            return absolute(answer.url, location)
        except RegistryError:
            answer.close()
            raise

    def _checked(self, answer: Answer, expect: Container[int]) -> Answer:
        self._log_warnings(answer)
        encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
        encoded = answer.status < 300 and encoding not in {"identity", ""}
        if answer.status in expect and not encoded:
            return answer
        with answer:
            if answer.status in expect:
                raise RegistryError(f"{shown(answer.url)} sent {encoding} though the bytes as they are were asked for")
            error = answer.failure()
            if answer.status == 401 and answer.strayed:
                raise AuthError(
                    f"{error.message}; the credentials of {self.registry} are not for that place", status=401
                )
            if isinstance(error, RegistryError) and answer.status in TRANSIENT_STATUSES:
                raise TransientError(error, retry_after(answer.headers.get("Retry-After", ""), self._clock()))
            raise error

    def _ask_token_server(self, method: str, url: str, headers: Mapping[str, str], form: bytes) -> tuple[int, bytes]:
        body = Body.of_bytes(form, headers.get("Content-Type", "")) if method == "POST" else None
        strayed = Origin.of(url).host != self._origin.host

        def attempt() -> tuple[int, bytes]:
            with self._wire.send(method, url, headers, body, strayed=strayed) as answer:
                if answer.status in TRANSIENT_STATUSES:
                    wait = retry_after(answer.headers.get("Retry-After", ""), self._clock())
                    failed = answer.failure()
                    raise TransientError(
                        failed if isinstance(failed, RegistryError) else RegistryError(str(failed)), wait
                    )
                return answer.status, answer.read(_MAX_TOKEN_ANSWER)

        return self.retry.run(attempt)

    def _log_warnings(self, answer: Answer) -> None:
        text = tidied(answer.headers.get("Warning", ""))
        if text.startswith("299 ") and text not in self._warnings:
            self._warnings.add(text)
            _log.warning("%s: %s", self.registry, text.partition('"')[2].rstrip('"') or text)


def _scheme(registry: str, settings: Settings) -> str:
    """Plain HTTP for this machine, where TLS protects nothing, unless an authority for it is named; and on request."""
    if settings.plain_http & {"*", registry}:
        return "http"
    return "http" if is_loopback(Origin.of(f"https://{registry}").host) and settings.ca_file is None else "https"


def _loaded(answer: Answer, limit: int | None) -> Answer:
    if limit is not None:
        try:
            answer.load(limit)
        except BaseException:
            answer.abandon()
            raise
    return answer
