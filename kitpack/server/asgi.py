"""Channels for a server that a team has already: a small ASGI application to mount, without a framework.

::

    from kitpack.server.asgi import channels_app

    app.mount("/kitpack", channels_app("localhost:5000/team", authorize=who_is_it))
    # POST /kitpack/channels/assistant/production/rollback

Spec: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TypeAlias, cast
from urllib.parse import quote

from kitpack.content.store.layout import Layout
from kitpack.errors import InvalidReferenceError, NotFoundError
from kitpack.oci.reference import Reference
from kitpack.releases.home import Home
from kitpack.server.channels import MAX_BODY, Answered, Asked, Channels, ForbiddenError, HomeOf, refusal
from kitpack.settings import Settings

__all__ = ["App", "Authorize", "channels_app"]

Authorize: TypeAlias = Callable[[Asked], str]
"""Says who makes a request; an empty name stands for nobody (401), ``PermissionError`` for somebody who may not (403).
It is called in a thread, and may wait."""

Scope: TypeAlias = Mapping[str, object]
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, object]]]
Send: TypeAlias = Callable[[dict[str, object]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def channels_app(
    place: Layout | str, authorize: Authorize, *, read_only: bool = False, settings: Settings | None = None
) -> App:
    """An ASGI application that answers what :mod:`kitpack.server.channels` lists.

    Args:
        place: A layout, or a registry with what stands before the names of bundles in it, such as
            ``localhost:5000/team``.
        authorize: Says who makes a request, and whether they may.
        read_only: Whether rollbacks are refused.
        settings: The surroundings, for a registry; without them the environment decides.
    """
    home_of = partial(_in_layout, place) if isinstance(place, Layout) else _in_registry(place, settings)
    channels = Channels(home_of, read_only=read_only)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await _reply(await _answered(channels, authorize, _asked(scope), receive), send)
        else:
            await send({"type": "websocket.close"})

    return app


async def _answered(channels: Channels, authorize: Authorize, asked: Asked, receive: Receive) -> Answered:
    try:
        actor = await asyncio.to_thread(_actor, authorize, asked)
        channels.check(asked)
        body = await _body(receive) if asked.method == "POST" else b""
    except ForbiddenError as error:
        return refusal(error)
    return await asyncio.to_thread(channels.answer, asked, actor, body)


def _actor(authorize: Authorize, asked: Asked) -> str:
    try:
        actor = authorize(asked)
    except PermissionError as error:
        raise ForbiddenError(403, str(error) or "you may not do this") from None
    if not actor:
        raise ForbiddenError(401, "nobody is logged in", headers={"WWW-Authenticate": 'Bearer realm="kitpack"'})
    return actor


def _asked(scope: Scope) -> Asked:
    """A request; of its path, what stands behind the place where the application is mounted."""
    raw = scope.get("raw_path")
    path = raw.decode("ascii", "replace") if isinstance(raw, bytes) else quote(str(scope["path"]))
    mounted = quote(str(scope.get("root_path", "")))
    headers = cast("Iterable[tuple[bytes, bytes]]", scope["headers"])
    client = scope.get("client")
    query = scope.get("query_string", b"")
    return Asked(
        method=str(scope["method"]),
        path=path.removeprefix(mounted) if path.startswith(f"{mounted}/") else path,
        query=query.decode("ascii", "replace") if isinstance(query, bytes) else "",
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers},
        client=str(client[0]) if isinstance(client, tuple | list) else "",
    )


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ForbiddenError(400, "the body broke off")
        part = message.get("body", b"")
        body += part if isinstance(part, bytes) else b""
        if len(body) > MAX_BODY:
            raise ForbiddenError(413, f"the body is too large; at most {MAX_BODY} bytes are read")
        if not message.get("more_body"):
            return body


async def _reply(answered: Answered, send: Send) -> None:
    headers = {**answered.headers, "Content-Length": str(len(answered.body))}
    listed = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answered.status, "headers": listed})
    await send({"type": "http.response.body", "body": answered.body})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return


def _in_layout(layout: Layout, repository: str) -> Home:
    return Home(target=layout, prefix=f"{repository}:", label=repository)


def _in_registry(place: str, settings: Settings | None) -> HomeOf:
    from kitpack.content.registry.repository import Repository
    from kitpack.content.registry.transport import Transport

    known = settings or Settings.from_env()
    whole = Reference.parse_repository(f"{place}/x")
    if not whole.registry:
        raise InvalidReferenceError(f"{place} names no registry", hint="write HOST:PORT, or HOST:PORT/PREFIX")
    transport = Transport(whole.registry, known)

    def home_of(repository: str) -> Home:
        try:
            reference = Reference.parse_repository(f"{place}/{repository}")
        except InvalidReferenceError as error:
            raise NotFoundError(error.message) from None
        target = Repository(reference.registry, reference.repository, known, transport=transport)
        return Home(target=target, label=reference.name)

    return home_of
