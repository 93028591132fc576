"""Requests that upload a blob: one piece, a stream or chunks, in the order of the specification.

Spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import web

from kitpack.content.store.folder import blob_path, touch
from kitpack.content.store.stored import open_blob
from kitpack.errors import IntegrityError, InvalidDigestError, NotFoundError
from kitpack.oci.digest import Digest
from kitpack.server.names import refuse_host
from kitpack.server.problems import RefusedError
from kitpack.server.receiving import receive
from kitpack.server.served import Served
from kitpack.server.threads import Threads
from kitpack.server.uploads import Session, Uploads

__all__ = ["BlobPushes"]

_CHUNK = re.compile(r"(?:bytes )?([0-9]{1,18})-([0-9]{1,18})")
_ALGORITHMS = ("sha256", "sha512")
_LOOKS, _LOOK_EVERY = 25, 0.02
_SYNC_EVERY = 16 << 20


class BlobPushes:
    """The requests of uploads.

    Args:
        served: The layout.
        uploads: The open sessions.
        threads: Where disk work runs.
        common: Headers of every answer.
    """

    def __init__(self, served: Served, uploads: Uploads, threads: Threads, common: Mapping[str, str]) -> None:
        self._served = served
        self._uploads = uploads
        self._threads = threads
        self._common = common

    async def begin(self, request: web.BaseRequest, repository: str) -> web.StreamResponse:
        """POST: take a blob over, take it in whole, or open a session for it.

        Raises:
            RefusedError: When the digest, its algorithm or the repository cannot be.
        """
        refuse_host(repository)
        query = request.rel_url.query
        if "mount" in query:
            mounted = Digest.parse(query["mount"])
            if await self._threads.write(partial(_take_over, self._served, mounted)):
                return self._created(repository, mounted)
        whole = Digest.parse(query["digest"]) if "digest" in query and "mount" not in query else None
        algorithm = whole.algorithm if whole else query.get("digest-algorithm", "sha256")
        if algorithm not in _ALGORITHMS:
            raise InvalidDigestError(f"digest-algorithm={algorithm[:40]!r} is not known; expected sha256 or sha512")
        session = await self._threads.write(partial(self._uploads.begin, repository, algorithm))
        if whole is None:
            self._uploads.release(session)
            return web.Response(status=202, headers=self._state(session))
        return await self._take_whole(request, session, whole)

    async def go_on(self, request: web.BaseRequest, repository: str, session_id: str) -> web.StreamResponse:
        """PATCH: take in the next chunk, or as much as comes.

        Raises:
            RefusedError: When it is not the next one; the session stays.
        """
        async with self._using(repository, session_id) as session:
            await self._append(request, session)
            return web.Response(status=202, headers=self._state(session))

    async def finish(self, request: web.BaseRequest, repository: str, session_id: str) -> web.StreamResponse:
        """PUT: take in the last bytes, if there are any, and let everything become a blob.

        Raises:
            RefusedError: When the bytes are not the next ones, or do not have the digest.
        """
        wanted = Digest.parse(request.rel_url.query.get("digest", ""))
        async with self._using(repository, session_id) as session:
            await self._append(request, session)
            await self._threads.write(partial(self._uploads.finish, session, wanted))
            return self._created(repository, wanted)

    async def state(self, repository: str, session_id: str) -> web.StreamResponse:
        """GET: say how much has arrived, even while more arrives.

        Raises:
            RefusedError: When there is no such session.
        """
        session = await self._idle(repository, session_id)
        return web.Response(status=204, headers=self._state(session))

    async def cancel(self, repository: str, session_id: str) -> web.StreamResponse:
        """DELETE: forget the session.

        Raises:
            RefusedError: When there is no such session, or it is in use.
        """
        async with self._using(repository, session_id) as session:
            await self._threads.write(partial(self._uploads.drop, session))
            return web.Response(status=204, headers=self._common)

    @asynccontextmanager
    async def _using(self, repository: str, session_id: str) -> AsyncIterator[Session]:
        """Use a session alone; a disk that takes no more ends it, as what it holds is no longer known."""
        await self._idle(repository, session_id)
        session = self._uploads.claim(repository, session_id)
        try:
            yield session
        except ConnectionError:
            raise
        except OSError:
            await self._threads.write(partial(self._uploads.drop, session))
            raise
        finally:
            self._uploads.release(session)

    async def _idle(self, repository: str, session_id: str) -> Session:
        """A session, if possible after the request that used it has ended: its connection may just have broken off."""
        session = self._uploads.find(repository, session_id)
        for _ in range(_LOOKS):
            if not session.is_busy:
                break
            await asyncio.sleep(_LOOK_EVERY)
        return session

    async def _take_whole(self, request: web.BaseRequest, session: Session, wanted: Digest) -> web.StreamResponse:
        try:
            await self._append(request, session)
            await self._threads.write(partial(self._uploads.finish, session, wanted))
        except BaseException:
            await self._threads.write(partial(self._uploads.drop, session))  # nobody knows it, so nobody can go on
            raise
        return self._created(session.repository, wanted)

    async def _append(self, request: web.BaseRequest, session: Session) -> None:
        length = _check_chunk(request, session, self._state(session))
        before = session.size

        async with _synced_meanwhile(self._threads, session) as go_on:

            async def take(data: bytes) -> None:
                await self._threads.write(partial(session.append, data))
                await go_on()

            await receive(request, take)
        if length is not None and session.size - before != length:
            await self._threads.write(partial(self._uploads.drop, session))
            raise RefusedError(
                400,
                "SIZE_INVALID",
                f"{session.size - before} bytes arrived in a chunk of {length}; the upload has ended",
            )

    def _created(self, repository: str, digest: Digest) -> web.StreamResponse:
        place = {"Location": f"/v2/{repository}/blobs/{digest}", "Docker-Content-Digest": str(digest)}
        return web.Response(status=201, headers={**self._common, **place})

    def _state(self, session: Session) -> dict[str, str]:
        """How far a session has come, and where it goes on."""
        return {
            **self._common,
            "Location": f"/v2/{session.repository}/blobs/uploads/{session.id}",
            "Range": f"0-{max(session.size - 1, 0)}",
            "Docker-Upload-UUID": session.id,
        }


@asynccontextmanager
async def _synced_meanwhile(threads: Threads, session: Session) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Let the disk work while more bytes arrive, so that little is left to wait for in the end.

    Yields what is to be called after every batch. A disk that fails says so once, so nothing it says may be lost.
    """
    running: list[asyncio.Future[None]] = []
    synced = session.size

    async def go_on() -> None:
        nonlocal synced
        if session.size - synced < _SYNC_EVERY or (running and not running[0].done()):
            return
        if running:
            await running.pop()
        synced = session.size
        running.append(asyncio.ensure_future(threads.sync(session.sync)))

    try:
        yield go_on
    finally:
        if running:
            await running.pop()


def _check_chunk(request: web.BaseRequest, session: Session, state: Mapping[str, str]) -> int | None:
    """The number of bytes a chunk promises, or None; it must begin where the session ends."""
    header = request.headers.get("Content-Range")
    if header is None:
        return None
    found = _CHUNK.fullmatch(header.strip())
    if found is None or int(found[1]) > int(found[2]) + 1:
        raise RefusedError(400, "BLOB_UPLOAD_INVALID", f"Content-Range: {header[:80]!r}: expected FIRST-LAST")
    start, length = int(found[1]), int(found[2]) + 1 - int(found[1])
    if start != session.size:
        raise RefusedError(
            416, "BLOB_UPLOAD_INVALID", f"the chunk begins at {start}; expected {session.size}", headers=state
        )
    if request.content_length not in (None, length):
        raise RefusedError(
            400, "SIZE_INVALID", f"Content-Range promises {length} bytes, Content-Length {request.content_length}"
        )
    return length


def _take_over(served: Served, digest: Digest) -> bool:
    """Whether a blob is here already; if so, it is kept until a manifest names it."""
    with served.layout.lease():
        try:
            open_blob(served.root, digest).close()
        except (NotFoundError, IntegrityError):
            return False
        touch(blob_path(served.root, digest))
    served.expect_name(digest)
    return True
