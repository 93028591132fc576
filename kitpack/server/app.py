"""Every request, from its first line to its answer: who may come in, what is asked for, and what went wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial

from aiohttp import web

from kitpack.errors import KitpackError
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest
from kitpack.oci.reference import is_tag
from kitpack.server.access import Passwords
from kitpack.server.blobs import delete_blob, find_blob, send_blob
from kitpack.server.channelrequests import ChannelRequests
from kitpack.server.channels import is_about_channels
from kitpack.server.conditions import Conditions, etag_of, is_known
from kitpack.server.discovery import Found, Referrers, list_repositories, list_tags
from kitpack.server.manifests import Push, delete, pull, push
from kitpack.server.names import Endpoint, parse_path
from kitpack.server.pages import Wanted
from kitpack.server.problems import RefusedError, error_body, refusal_of
from kitpack.server.pushing import BlobPushes
from kitpack.server.receiving import is_kept_waiting, read_all
from kitpack.server.served import Served
from kitpack.server.threads import Threads
from kitpack.server.uploads import Uploads

__all__ = ["Registry"]

_COMMON = {
    "Docker-Distribution-Api-Version": "registry/2.0",
    "Server": "kitpack",
    "X-Content-Type-Options": "nosniff",
}
_READING = frozenset({"GET", "HEAD"})
_METHODS = {
    "base": _READING,
    "catalog": _READING,
    "tags": _READING,
    "referrers": _READING,
    "manifest": _READING | {"PUT", "DELETE"},
    "blob": _READING | {"DELETE"},
    "uploads": frozenset({"POST"}),
    "session": frozenset({"GET", "PATCH", "PUT", "DELETE"}),
}


class Registry:
    """A layout as a registry: answers one request after the other.

    Args:
        served: The layout.
        uploads: The open sessions.
        threads: Where work runs that may wait.
        passwords: Who may come in; None for everybody.
        log: Told in one line about every change.
        verbose: Whether it is told about every request, too.
    """

    def __init__(
        self,
        served: Served,
        uploads: Uploads,
        threads: Threads,
        *,
        passwords: Passwords | None = None,
        log: Callable[[str], None],
        verbose: bool = False,
    ) -> None:
        self._running = 0
        self._is_stopping = False
        self._is_idle = asyncio.Event()
        self._served = served
        self._threads = threads
        self._passwords = passwords
        self._log = log
        self._verbose = verbose
        self._referrers = Referrers(served)
        self._pushes = BlobPushes(served, uploads, threads, _COMMON)
        self._channels = ChannelRequests(served, threads, passwords, log)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request, whatever happens."""
        started = time.monotonic()
        self._running += 1
        self._is_idle.clear()
        try:
            response = await self._answer_to(request)
        finally:
            self._running -= 1
            if not self._running:
                self._is_idle.set()
        if self._verbose:
            took = (time.monotonic() - started) * 1000
            self._log(f"{request.method} {request.path_qs} {response.status} {took:.0f} ms")
        return response

    async def stop(self) -> None:
        """Send new requests away, and wait until the others are answered."""
        self._is_stopping = True
        if self._running:
            await self._is_idle.wait()

    async def _answer_to(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._admitted(request)
        except ConnectionError:
            raise  # nobody is there to be answered
        except (KitpackError, OSError) as error:
            refusal = refusal_of(error)
            if refusal is not error and refusal.status >= 500:
                self._log(f"failed: {request.method} {request.path}: {error}")
            return self._refusal(request, refusal)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not end the connection without a word
            self._log(f"failed: {request.method} {request.path}: {type(error).__name__}: {error}")
            return self._refusal(request, RefusedError(500, "UNKNOWN", "the registry failed", close=True))

    async def _admitted(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._is_stopping:
            raise RefusedError(
                503, "UNKNOWN", "the registry is being stopped", headers={"Retry-After": "5"}, close=True
            )
        if is_about_channels(request.rel_url.raw_path):
            return await self._channels.handle(request)
        if self._passwords:
            await self._check_password(request, self._passwords)
        endpoint = parse_path(request.rel_url.raw_path)
        allowed = _METHODS[endpoint.kind]
        if request.method not in allowed:
            listed = ", ".join(sorted(allowed))
            raise RefusedError(
                405,
                "UNSUPPORTED",
                f"{request.method[:20]} means nothing here; expected {listed}",
                headers={"Allow": listed},
            )
        if request.method not in _READING or endpoint.kind == "session":
            self._check_change(request)
        return await self._answer(request, endpoint)

    async def _answer(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        match endpoint.kind:
            case "manifest":
                return await self._manifest(request, endpoint)
            case "blob":
                return await self._blob(request, endpoint)
            case "uploads":
                return await self._pushes.begin(request, endpoint.repository)
            case "session":
                return await self._session(request, endpoint)
            case "base":
                return web.Response(body=b"{}", content_type="application/json", headers=_COMMON)
        found = await self._threads.read(self._look(endpoint, request.rel_url.query))
        return web.Response(body=found.body, headers={**_COMMON, **found.headers, "Content-Type": found.media_type})

    def _look(self, endpoint: Endpoint, query: Mapping[str, str]) -> Callable[[], Found]:
        """How to find the list that is asked for."""
        wanted = Wanted.of(query)
        if endpoint.kind == "catalog":
            return partial(list_repositories, self._served, wanted)
        if endpoint.kind == "tags":
            return partial(list_tags, self._served, endpoint.repository, wanted)
        subject = Digest.parse(endpoint.selector)
        return partial(self._referrers.page, endpoint.repository, subject, query.get("artifactType", ""), wanted)

    async def _manifest(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        if request.method == "PUT":
            return await self._put_manifest(request, endpoint)
        if request.method == "DELETE":
            conditions = Conditions.of(request.headers)
            await self._threads.write(partial(delete, self._served, endpoint.repository, endpoint.selector, conditions))
            self._changed("deleted", _shown(endpoint.repository, endpoint.selector))
            return web.Response(status=202, headers=_COMMON)
        found = await self._threads.read(partial(pull, self._served, endpoint.repository, endpoint.selector))
        headers = _about(found)
        if is_known(request.headers, found.digest):
            return web.Response(status=304, headers=headers)
        return web.Response(body=found.raw, headers={**headers, "Content-Type": found.media_type})

    async def _put_manifest(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        pushed = Push(
            raw=await read_all(request),
            media_type=request.headers.get("Content-Type", "").partition(";")[0].strip(),
            tags=request.rel_url.query.getall("tag", []),
            conditions=Conditions.of(request.headers),
        )
        repository, selector = endpoint.repository, endpoint.selector
        stored = await self._threads.write(partial(push, self._served, repository, selector, pushed))
        headers = {**_about(stored), "Location": f"/v2/{repository}/manifests/{stored.digest}"}
        if stored.subject:
            headers["OCI-Subject"] = str(stored.subject.digest)
        if pushed.tags:
            headers["OCI-Tag"] = ", ".join(dict.fromkeys(pushed.tags))
        for name in [selector] if is_tag(selector) else dict.fromkeys([*pushed.tags]) or [selector]:
            self._changed("pushed", _shown(repository, name), str(stored.digest) if is_tag(name) else "")
        return web.Response(status=201, headers=headers)

    async def _blob(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        digest = Digest.parse(endpoint.selector)
        if request.method == "DELETE":
            await self._threads.write(partial(delete_blob, self._served, digest))
            self._changed("deleted blob", str(digest))
            return web.Response(status=202, headers=_COMMON)
        file = await self._threads.read(partial(find_blob, self._served, digest))
        with file:
            return await send_blob(request, file, digest, _COMMON, self._threads)

    async def _session(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        repository, session = endpoint.repository, endpoint.selector
        match request.method:
            case "PATCH":
                return await self._pushes.go_on(request, repository, session)
            case "PUT":
                return await self._pushes.finish(request, repository, session)
            case "DELETE":
                return await self._pushes.cancel(repository, session)
        return await self._pushes.state(repository, session)

    async def _check_password(self, request: web.BaseRequest, passwords: Passwords) -> None:
        authorization = request.headers.get("Authorization", "")
        if not await self._threads.check(partial(passwords.admits, authorization)):
            raise RefusedError(
                401,
                "UNAUTHORIZED",
                "the user or the password is wrong"
                if authorization
                else "this registry asks for a user and a password",
                headers={"WWW-Authenticate": 'Basic realm="kitpack", charset="UTF-8"'},
            )

    def _check_change(self, request: web.BaseRequest) -> None:
        if self._served.read_only:
            raise RefusedError(405, "UNSUPPORTED", "this registry is read-only", headers={"Allow": "GET, HEAD"})
        if "Origin" in request.headers:
            raise RefusedError(403, "DENIED", "web pages may not change anything here; registry clients send no Origin")
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise RefusedError(415, "UNSUPPORTED", "send the bytes as they are, without a Content-Encoding")

    def _refusal(self, request: web.BaseRequest, error: RefusedError) -> web.StreamResponse:
        headers = {**_COMMON, **error.headers, "Content-Type": "application/json"}
        response = web.Response(status=error.status, body=error_body(error), headers=headers)
        if error.close or is_kept_waiting(request):
            response.force_close()
        return response

    def _changed(self, what: str, name: str, digest: str = "") -> None:
        self._log(" ".join(filter(None, (what, name, digest))))


def _about(manifest: Manifest) -> dict[str, str]:
    return {**_COMMON, "Docker-Content-Digest": str(manifest.digest), "ETag": etag_of(manifest.digest)}


def _shown(repository: str, selector: str) -> str:
    return f"{repository}{':' if is_tag(selector) else '@'}{selector}"
