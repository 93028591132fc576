"""Channels at ``kitpack serve``: who may ask, and how the request gets to where it is answered."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from aiohttp import web

from kitpack.content.registry.origin import is_loopback
from kitpack.errors import KitpackError
from kitpack.releases.home import Home
from kitpack.server.access import Passwords, user_of
from kitpack.server.channels import MAX_BODY, Answered, Asked, Channels, ForbiddenError, refusal
from kitpack.server.problems import RefusedError
from kitpack.server.receiving import read_all
from kitpack.server.served import Served
from kitpack.server.threads import Threads

__all__ = ["ChannelRequests"]

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


class ChannelRequests:
    """Answers requests about channels of a layout.

    Whoever has a password may ask; where nobody needs one, only this machine may, and no proxy on it for others.

    Args:
        served: The layout.
        threads: Where work runs that may wait.
        passwords: Who may come in; None for everybody on this machine.
        log: Told in one line about every change.
    """

    def __init__(
        self, served: Served, threads: Threads, passwords: Passwords | None, log: Callable[[str], None]
    ) -> None:
        def home_of(repository: str) -> Home:
            return Home(target=served.layout, prefix=f"{repository}:", label=repository)

        self._channels = Channels(home_of, read_only=served.read_only)
        self._threads = threads
        self._passwords = passwords
        self._log = log

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request; what is refused here is so in the words of channels, not of registries."""
        try:
            answered = await self._answered(request)
        except RefusedError as error:
            answered = refusal(ForbiddenError(error.status, error.message, headers=error.headers))
        except KitpackError as error:
            answered = refusal(error)
        if answered.told:
            self._log(answered.told)
        response = web.Response(status=answered.status, body=answered.body, headers=answered.headers)
        if answered.status >= 400 and request.body_exists:
            response.force_close()  # its body may not have been read
        return response

    async def _answered(self, request: web.BaseRequest) -> Answered:
        asked = Asked(
            method=request.method,
            path=request.rel_url.raw_path,
            query=request.rel_url.raw_query_string,
            headers={name.lower(): value for name, value in request.headers.items()},
            client=request.remote or "",
        )
        actor = await self._actor(asked)
        self._channels.check(asked)
        if asked.method != "POST":
            return await self._threads.read(partial(self._channels.answer, asked, actor))
        body = await read_all(request, MAX_BODY)
        return await self._threads.write(partial(self._channels.answer, asked, actor, body))

    async def _actor(self, asked: Asked) -> str:
        """Who asks.

        Raises:
            ForbiddenError: When they may not.
        """
        if self._passwords is None:
            if not is_loopback(asked.client) or any(name in asked.headers for name in _FORWARDED):
                raise ForbiddenError(
                    403,
                    "without passwords, only this machine may ask about channels",
                    hint="kitpack serve --htpasswd FILE asks for passwords",
                )
            return "localhost"
        authorization = asked.headers.get("authorization", "")
        if not await self._threads.check(partial(self._passwords.admits, authorization)):
            raise ForbiddenError(
                401,
                "the user or the password is wrong" if authorization else "this needs a user and a password",
                hint="send them as HTTP Basic authentication",
                headers={"WWW-Authenticate": 'Basic realm="kitpack", charset="UTF-8"'},
            )
        return user_of(authorization)
