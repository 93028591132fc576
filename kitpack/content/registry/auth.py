"""Proving to a registry who is asking: Basic, and Bearer tokens from the token server it names.

Nothing is proven before the registry asks; then one token per set of scopes is fetched, kept until shortly before
it expires, and sent with every request. A refused token is renewed once, never in a loop.

Specs: https://distribution.github.io/distribution/spec/auth/token/ and …/auth/oauth/
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

from kitpack.content.registry.challenges import Challenge, check_realm, merge_scopes, parse_challenges
from kitpack.content.registry.credentials import Credential
from kitpack.content.registry.failures import ErrorBody
from kitpack.content.registry.origin import Origin, shown
from kitpack.errors import AuthError, DeniedError, RegistryError
from kitpack.oci.jsontext import Json, JsonObject, parse_object

__all__ = ["Ask", "Tokens", "actions", "repository_of"]

_CLIENT_ID = "kitpack"
_DEFAULT_LIFETIME = 60.0
_LONGEST_LIFETIME = 24 * 3600.0
_MARGIN = 5.0
_MAX_TOKEN = 64 << 10


class Ask(Protocol):
    """One exchange with a token server, repeated when it fails by chance. Redirects are not followed."""

    def __call__(self, method: str, url: str, headers: Mapping[str, str], form: bytes) -> tuple[int, bytes]:
        """Send the request and return the status and the body."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    header: str
    expires: float


def actions(repository: str, *names: str) -> str:
    """The scope of doing something in a repository, e.g. ``actions("team/bot", "pull", "push")``."""
    return f"repository:{repository}:{','.join(names)}"


def repository_of(scopes: Sequence[str]) -> str:
    """The repository that the first scope is about, or an empty string."""
    return scopes[0].partition(":")[2].rpartition(":")[0] if scopes else ""


class Tokens:
    """The proofs one registry has accepted so far; safe to share between threads.

    Args:
        origin: Where the registry is.
        registry: What the user calls it.
        credential: Finds what the user has for a repository of it; asked only when the registry wants to know.
        ask: Talks to a token server.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        origin: Origin,
        registry: str,
        *,
        credential: Callable[[str], Credential | None],
        ask: Ask,
        clock: Callable[[], float],
    ) -> None:
        self._origin = origin
        self._registry = registry
        self._credential = credential
        self._ask = ask
        self._clock = clock
        self._proofs: dict[tuple[str, ...], _Proof] = {}
        self._lock = threading.Lock()

    def header(self, scopes: Sequence[str]) -> str:
        """The ``Authorization`` to send at once, or an empty string when the registry has not asked for one yet."""
        proof = self._proofs.get(tuple(scopes))
        return proof.header if proof and self._clock() < proof.expires else ""

    def renew(self, scopes: Sequence[str], challenge: str, refused: str) -> str:
        """Answer a 401.

        Args:
            scopes: What the request was about.
            challenge: The ``WWW-Authenticate`` header.
            refused: The ``Authorization`` that did not do; empty when there was none.

        Returns:
            The ``Authorization`` to try next.

        Raises:
            AuthError: When there is nothing to answer with, or it is what has just been refused.
        """
        with self._lock:  # threads refused together share one new token
            known = self.header(scopes)
            if known and known != refused:
                return known
            proof = self._prove(scopes, parse_challenges(challenge))
            if proof.header == refused:
                raise self._refused(f"{self._registry} does not accept the credentials stored for it")
            self._proofs[tuple(scopes)] = proof
            return proof.header

    def _prove(self, scopes: Sequence[str], challenges: Sequence[Challenge]) -> _Proof:
        credential = self._credential(repository_of(scopes))
        if credential and credential.registry_token:
            return _Proof(header=f"Bearer {_checked(credential.registry_token)}", expires=float("inf"))
        offered = {challenge.scheme: challenge for challenge in reversed(challenges)}
        if "bearer" in offered:
            return self._fetch_token(scopes, offered["bearer"], credential)
        if "basic" not in offered:
            names = ", ".join(offered) or "nothing"
            raise AuthError(f"{self._registry} asks for a login by {names[:100]}; expected Basic or Bearer", status=401)
        if credential is None or not credential.username:
            raise self._refused(f"{self._registry} wants a user name and a password, and none are stored for it")
        return _Proof(header=_basic(credential.username, credential.password), expires=float("inf"))

    def _fetch_token(self, scopes: Sequence[str], challenge: Challenge, credential: Credential | None) -> _Proof:
        realm = challenge.parameters.get("realm", "")
        check_realm(realm, self._origin)
        service = challenge.parameters.get("service", "")
        wanted = merge_scopes([*scopes, *challenge.parameters.get("scope", "").split()])
        asked = self._clock()
        status, raw = self._exchange(realm, service, wanted, credential)
        if status != 200:
            raise self._token_refusal(realm, status, ErrorBody.parse(raw), credential)
        return _read_token(raw, realm, asked)

    def _exchange(
        self, realm: str, service: str, scopes: Sequence[str], credential: Credential | None
    ) -> tuple[int, bytes]:
        if credential and credential.identity_token:
            status, raw = self._ask("POST", realm, _FORM, _refresh_form(service, scopes, credential))
            if status not in {404, 405}:  # token servers without OAuth2 know GET alone
                return status, raw
        headers = {"Accept": "application/json"}
        if credential and (credential.username or credential.identity_token):
            secret = credential.password or credential.identity_token
            headers["Authorization"] = _basic(credential.username or "<token>", secret)
        return self._ask("GET", _token_url(realm, service, scopes), headers, b"")

    def _token_refusal(self, realm: str, status: int, body: ErrorBody, credential: Credential | None) -> RegistryError:
        reason = f" ({body.text})" if body.text else ""
        message = f"the token server {shown(realm)} answered {status}{reason}"
        if 300 <= status < 400:
            return AuthError(f"{message}; credentials are not sent on to where it leads", status=status)
        if status == 403:
            return DeniedError(message, hint=self._hint, status=status, codes=body.codes)
        whose = "without a login" if credential is None else "for the stored credentials"
        return AuthError(f"{message} {whose}", hint=self._hint, status=status, codes=body.codes)

    def _refused(self, message: str) -> AuthError:
        return AuthError(message, hint=self._hint, status=401)

    @property
    def _hint(self) -> str:
        return f"log in: kitpack login {self._registry}"


_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


def _basic(username: str, password: str) -> str:
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode("ascii")


def _token_url(realm: str, service: str, scopes: Sequence[str]) -> str:
    parts = urlsplit(realm)
    query = urlencode(
        [*([("service", service)] if service else []), *(("scope", scope) for scope in scopes)], safe=":/,"
    )
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, query))), fragment=""))


def _refresh_form(service: str, scopes: Sequence[str], credential: Credential) -> bytes:
    form = {"grant_type": "refresh_token", "client_id": _CLIENT_ID, "service": service, "scope": " ".join(scopes)}
    return urlencode({**form, "refresh_token": credential.identity_token}).encode("ascii")


def _read_token(raw: bytes, realm: str, asked: float) -> _Proof:
    try:
        answer = parse_object(raw)
    except ValueError as error:
        raise AuthError(f"the token server {shown(realm)} did not answer with a token: {error}") from None
    token = answer.get("token") or answer.get("access_token")
    if not isinstance(token, str):
        raise AuthError(f"the token server {shown(realm)} answered without a token")
    return _Proof(header=f"Bearer {_checked(token)}", expires=asked + _lifetime(answer))


def _lifetime(answer: JsonObject) -> float:
    seconds: Json = answer.get("expires_in")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds <= 0:
        seconds = _DEFAULT_LIFETIME
    return max(min(seconds, _LONGEST_LIFETIME) - _MARGIN, 1.0)


def _checked(token: str) -> str:
    if not token.isascii() or not token.isprintable() or " " in token or len(token) > _MAX_TOKEN:
        raise AuthError("the token holds characters that no token has")
    return token
