"""Channels over HTTP, for teams that wire a rollback to a button: what is asked, and what is answered.

==============================================  ================================================================
``POST /channels/{repo}/{channel}/rollback``    rolls back; the body is empty or JSON with ``reason``, ``to`` and
                                                ``expect``. Who does it is whoever is logged in.
``GET /channels/{repo}/{channel}/history``      the log of a channel, the newest record first; ``?limit=N``
``GET /channels/{repo}``                        where every version stands, what is live at each channel
==============================================  ================================================================

An error is JSON with ``error``: ``type``, ``message`` and ``hint``. 404: there is no such bundle, channel or version.
409: what is live is not what was expected, somebody else was faster, the tag was moved by other means, the log is
broken, nothing is left to go back to, or the release is archived. 422: the body, or a part of it, cannot be read.

Nothing here knows how requests arrive: :mod:`kitpack.server.channelrequests` is for ``kitpack serve``,
:mod:`kitpack.server.asgi` for servers of others. Everything here may wait for a disk or a registry.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qs, unquote

from kitpack.errors import (
    InvalidDigestError,
    InvalidReferenceError,
    KitpackError,
    NotFoundError,
    RegistryError,
    ReleaseError,
    UsageError,
)
from kitpack.oci.jsontext import JsonObject, parse_object
from kitpack.oci.reference import is_tag
from kitpack.releases.change import rollback
from kitpack.releases.gates import BUILT_IN, Policy, build_gates
from kitpack.releases.goal import goal_of
from kitpack.releases.home import Home
from kitpack.releases.log import read_last
from kitpack.releases.record import log_prefix
from kitpack.releases.report import log_report, record_report, status_report
from kitpack.releases.status import read_versions
from kitpack.releases.writing import Author
from kitpack.server.names import is_repository

__all__ = ["MAX_BODY", "Answered", "Asked", "Channels", "ForbiddenError", "HomeOf", "is_about_channels", "refusal"]

MAX_BODY = 64 << 10
"""Bytes of a body above which it is not read."""

_FIELDS = frozenset({"reason", "to", "expect"})
_MAX_FIELD = 4000
_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

HomeOf: TypeAlias = Callable[[str], Home]
"""Where the releases of a bundle are kept, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request.

    Attributes:
        method: Its method.
        path: Its path as it came, with escapes, without the query.
        query: What came behind the question mark.
        headers: Its headers; names in lower case.
        client: The address it came from, as far as known.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    client: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer.

    Attributes:
        status: The HTTP status.
        body: JSON.
        headers: Its headers.
        told: What was changed, in one line for a log; empty when nothing was.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: dict(_HEADERS))
    told: str = ""


class ForbiddenError(KitpackError):
    """A request that is refused whatever it asks for.

    Args:
        status: The HTTP status.
        message: Why.
        hint: What to do instead.
        headers: What the answer says besides.
    """

    def __init__(self, status: int, message: str, *, hint: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """What a path stands for: ``status``, ``history`` or ``rollback`` of what."""

    kind: str
    repository: str
    channel: str = ""


class Channels:
    """The channels of all bundles of one place.

    Args:
        home_of: Where the releases of a bundle are kept.
        read_only: Whether nothing may be changed.
    """

    def __init__(self, home_of: HomeOf, *, read_only: bool = False) -> None:
        self._home_of = home_of
        self._read_only = read_only

    def check(self, asked: Asked) -> None:
        """Refuse what need not be read to its end.

        Raises:
            ForbiddenError: When the path leads nowhere, the method does not fit, or a web page or somebody in front of
                a place that is only read wants to change something.
        """
        allowed = "POST" if _endpoint(asked.path).kind == "rollback" else "GET"
        if asked.method != allowed:
            raise ForbiddenError(
                405, f"{asked.method[:20]} means nothing here; expected {allowed}", headers={"Allow": allowed}
            )
        if allowed == "POST" and "origin" in asked.headers:
            raise ForbiddenError(
                403, "web pages may not change anything here", hint="let the page's own server make the request"
            )
        if allowed == "POST" and self._read_only:
            raise ForbiddenError(403, "this place is read-only", hint="roll back at the registry it comes from")

    def answer(self, asked: Asked, actor: str, body: bytes = b"") -> Answered:
        """Answer a request, whatever happens.

        Args:
            asked: The request.
            actor: Who makes it.
            body: Its body.
        """
        try:
            self.check(asked)
            endpoint = _endpoint(asked.path)
            home = self._home_of(endpoint.repository)
            if endpoint.kind == "rollback":
                return _roll_back(home, endpoint, actor, _wishes(body))
            value = _history(home, endpoint, asked.query) if endpoint.kind == "history" else _status(home, endpoint)
        except (KitpackError, OSError) as error:
            return refusal(error)
        return Answered(status=200, body=_written(value))


def is_about_channels(path: str) -> bool:
    """Whether a path is one of those here."""
    return path == "/channels" or path.startswith("/channels/")


def refusal(error: KitpackError | OSError) -> Answered:
    """What to answer when something failed."""
    if isinstance(error, OSError):
        error = KitpackError(f"this cannot be done here: {error.strerror or type(error).__name__}")
    headers = {**_HEADERS, **(error.headers if isinstance(error, ForbiddenError) else {})}
    value: JsonObject = {"type": type(error).__name__.removeprefix("_"), "message": error.message, "hint": error.hint}
    return Answered(status=_status_of(error), body=_written({"error": value}), headers=headers)


def _status_of(error: KitpackError) -> int:
    match error:
        case ForbiddenError():
            return error.status
        case NotFoundError():
            return 404
        case ReleaseError():
            return 409
        case InvalidReferenceError() | InvalidDigestError() | UsageError():
            return 422
        case RegistryError():
            return 502
    return 500


def _endpoint(path: str) -> _Endpoint:
    """What a path stands for; a bundle may have slashes in its name, a channel has none.

    Raises:
        ForbiddenError: When nothing can be there.
    """
    segments = [unquote(segment) for segment in path.split("/")]
    match segments[2:]:
        case [*name, channel, ("rollback" | "history") as kind] if name and is_tag(channel):
            endpoint = _Endpoint(kind, "/".join(name), channel)
        case [_, *_] as name:
            endpoint = _Endpoint("status", "/".join(name))
        case _:
            endpoint = _Endpoint("status", "")
    if not is_repository(endpoint.repository):
        raise ForbiddenError(
            404,
            f"there is nothing at {path[:200]!r}",
            hint="GET /channels/REPO, GET /channels/REPO/CHANNEL/history, POST /channels/REPO/CHANNEL/rollback",
        )
    return endpoint


def _wishes(body: bytes) -> Mapping[str, str]:
    """What a body asks for.

    Raises:
        ForbiddenError: When it cannot be read, or asks for something unknown.
    """
    hint = 'for example {"reason": "answers in French"}; "to" names a version or digest, "expect" what is live now'
    try:
        value = parse_object(body) if body.strip() else {}
    except ValueError as error:
        raise ForbiddenError(422, f"the body is no JSON object: {error}", hint=hint) from None
    found: dict[str, str] = {}
    for name, wish in value.items():
        if name not in _FIELDS:
            raise ForbiddenError(422, f"{name[:80]!r} is not known; expected reason, to or expect", hint=hint)
        if not isinstance(wish, str) or len(wish) > _MAX_FIELD:
            raise ForbiddenError(422, f"{name}: expected text of at most {_MAX_FIELD} characters", hint=hint)
        found[name] = wish
    return found


def _require_channel(home: Home, channel: str) -> None:
    if home.find(channel) is None and not any(home.tags(log_prefix(channel))):
        raise NotFoundError(
            f"there is no channel {channel!r} of {home.label}", hint=f"kitpack promote REF --to {channel} begins one"
        )


def _roll_back(home: Home, endpoint: _Endpoint, actor: str, wishes: Mapping[str, str]) -> Answered:
    channel, to = endpoint.channel, wishes.get("to", "")
    _require_channel(home, channel)
    author = Author(actor=actor, reason=wishes.get("reason", ""))
    goal = goal_of(home, channel, to) if to else ""
    gates = build_gates(Policy(), channel, BUILT_IN) if to else ()
    try:
        done = rollback(home, channel, author, to=goal, gates=gates, expect=wishes.get("expect", ""))
    except NotFoundError as error:
        if to:
            raise
        raise ReleaseError(error.message, hint=error.hint) from None  # the channel is there; what is not, is a way back
    record = done.record
    value: JsonObject = {"changed": done.changed, "notes": list(done.notes), "record": record_report(record)}
    told = f"rolled back {home.label}:{channel} {record.target} ({actor})" if done.changed else ""
    return Answered(status=200, body=_written(value), told=told)


def _history(home: Home, endpoint: _Endpoint, query: str) -> JsonObject:
    limit = parse_qs(query).get("limit", ["0"])[0]
    if not limit.isascii() or not limit.isdigit() or len(limit) > 9:
        raise ForbiddenError(422, f"limit={limit[:40]!r}: expected a number")
    _require_channel(home, endpoint.channel)
    return log_report(read_last(home, endpoint.channel, int(limit)), int(limit))


def _status(home: Home, endpoint: _Endpoint) -> JsonObject:
    if not any(home.tags()):
        raise NotFoundError(
            f"there is no bundle {endpoint.repository!r}", hint="GET /v2/_catalog lists those there are"
        )
    return status_report(read_versions(home))


def _written(value: JsonObject) -> bytes:
    """JSON in ASCII: a name that came in may hold anything."""
    return json.dumps(value).encode()
