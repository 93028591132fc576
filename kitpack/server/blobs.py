"""Blobs: one pool for all repositories. Their bytes go from the disk to the network without passing through Python.

Within one machine there is no network, and the kernel hands large pieces of memory over faster than single pages of a
file: there, the bytes are read and written, which is a quarter faster, for as many clients as memory is spared for.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from functools import partial
from typing import BinaryIO

from aiohttp import web

from kitpack.content.registry.origin import is_loopback
from kitpack.content.store.durable import sync_folder
from kitpack.content.store.folder import blob_path
from kitpack.content.store.index import Index, change_index
from kitpack.content.store.stored import open_blob
from kitpack.errors import NotFoundError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import OCTET_STREAM
from kitpack.server.conditions import etag_of, is_known
from kitpack.server.problems import RefusedError
from kitpack.server.receiving import QUIET
from kitpack.server.served import Served
from kitpack.server.threads import Threads

__all__ = ["delete_blob", "find_blob", "range_of", "send_blob"]

_PIECE = 1 << 19
_PAGES = 8 << 20  # which a client has to take in before QUIET has passed
_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,20})\s*-\s*([0-9]{0,20})\s*", re.IGNORECASE)


def find_blob(served: Served, digest: Digest) -> BinaryIO:
    """Open a blob, which must be a regular file; the caller closes.

    Raises:
        RefusedError: When it is not here.
        IntegrityError: When something else stands there.
    """
    try:
        file = open_blob(served.root, digest)
    except NotFoundError:
        raise RefusedError(404, "BLOB_UNKNOWN", f"the blob {digest} is not here") from None
    served.touch(digest)
    return file


async def send_blob(
    request: web.BaseRequest, file: BinaryIO, digest: Digest, common: Mapping[str, str], threads: Threads
) -> web.StreamResponse:
    """Answer with a blob, or the part of it that was asked for.

    Args:
        request: The request.
        file: The open blob.
        digest: Its digest, which is all that can ever be at this address.
        common: Headers of every answer.
        threads: Where the disk is waited for.

    Raises:
        RefusedError: When the part is beyond the end.
    """
    size = os.fstat(file.fileno()).st_size
    tag = etag_of(digest)
    headers = {**common, "Docker-Content-Digest": str(digest), "ETag": tag, "Accept-Ranges": "bytes"}
    if is_known(request.headers, digest):
        return web.Response(status=304, headers=headers)
    is_partial = request.method == "GET" and request.headers.get("If-Range", tag) == tag
    wanted = range_of(request.headers.get("Range", ""), size) if is_partial else None
    start, stop = wanted or (0, size)
    response = web.StreamResponse(status=206 if wanted else 200, headers={**headers, "Content-Type": OCTET_STREAM})
    response.content_length = stop - start
    if wanted:
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    await response.prepare(request)
    if request.method == "GET" and stop > start:
        await _send(request, response, file, (start, stop), threads)
    await response.write_eof()
    return response


def range_of(header: str, size: int) -> tuple[int, int] | None:
    """The part of a blob that a header asks for.

    Args:
        header: The header; empty when there is none.
        size: The number of bytes there are.

    Returns:
        Where it begins and ends, or None for the whole: a header that asks for several parts, or makes no sense, is
        ignored, as the HTTP specification allows.

    Raises:
        RefusedError: When no byte of it is there.
    """
    found = _RANGE.fullmatch(header)
    if found is None or not (found[1] or found[2]):
        return None
    if found[1]:
        start, stop = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
    else:
        start, stop = max(size - int(found[2]), 0), size
    if start >= stop:
        raise RefusedError(
            416,
            "SIZE_INVALID",
            f"the range {header.strip()[:80]!r} is empty; the blob has {size} bytes",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, stop


def delete_blob(served: Served, digest: Digest) -> None:
    """Delete a blob at once, unless something that is listed needs it.

    Raises:
        RefusedError: When it is not here, or is needed, or nobody can tell.
    """

    def gone(index: Index) -> Index:
        if user := _user_of(served, index, digest):
            raise RefusedError(
                405, "DENIED", f"the blob {digest} is in use: {user}; delete that first", headers={"Allow": "GET, HEAD"}
            )
        path = blob_path(served.root, digest)
        try:
            path.unlink()
        except FileNotFoundError:
            raise RefusedError(404, "BLOB_UNKNOWN", f"the blob {digest} is not here") from None
        sync_folder(path.parent)
        return index

    change_index(served.root, gone)  # nothing is changed there, but nobody may list anything meanwhile
    served.named([digest])


async def _send(
    request: web.BaseRequest, response: web.StreamResponse, file: BinaryIO, part: tuple[int, int], threads: Threads
) -> None:
    transport, (start, stop) = request.transport, part
    if transport is None:
        raise ConnectionResetError("the client has gone")
    try:
        if _is_near(transport) and not threads.copies.locked():
            async with threads.copies:
                sent = await _copy(response, file, part, threads)
        else:
            sent = await _send_pages(transport, file, part)
    except OSError as error:  # the answer has begun: all that is left is to break it off
        transport.abort()
        raise ConnectionResetError(str(error)) from error
    if sent != stop - start:
        transport.abort()
        raise ConnectionResetError("the blob has become shorter")


async def _send_pages(transport: asyncio.Transport, file: BinaryIO, part: tuple[int, int]) -> int:
    """Let the kernel send, and return how much there was."""
    at, stop = part
    while at < stop:
        async with asyncio.timeout(QUIET):
            sent = await asyncio.get_running_loop().sendfile(transport, file, at, min(_PAGES, stop - at))
        if not sent:
            break
        at += sent
    return at - part[0]


def _is_near(transport: asyncio.Transport) -> bool:
    """Whether the client is on this machine."""
    peer = transport.get_extra_info("peername")
    return bool(peer) and is_loopback(str(peer[0]))


async def _copy(response: web.StreamResponse, file: BinaryIO, part: tuple[int, int], threads: Threads) -> int:
    """Read and write, and read the next piece while one is written; return how much there was."""
    at, stop = part

    def read_next() -> asyncio.Future[bytes]:
        return asyncio.ensure_future(threads.read(partial(os.pread, file.fileno(), min(_PIECE, stop - at), at)))

    reading = read_next()
    try:
        while data := await asyncio.shield(reading):
            at += len(data)
            reading = read_next()
            async with asyncio.timeout(QUIET):
                await response.write(data)
    finally:
        await asyncio.wait([reading])  # for as long, the file has to stay open
    return at - part[0]


def _user_of(served: Served, index: Index, digest: Digest) -> str:
    """What needs a blob, of all that is listed; an empty string when nothing does."""
    left, seen = [entry.plain() for entry in index.entries], set[Descriptor]()
    while left:
        one = left.pop()
        if one.digest == digest:
            return f"the manifest {digest} is listed"
        if one in seen or not one.is_manifest:
            continue
        seen.add(one)
        manifest = served.readable(one)
        if manifest is None:
            return f"the manifest {one.digest} cannot be read, and may need it"
        if any(child.digest == digest for child in manifest.successors):
            return f"the manifest {one.digest} needs it"
        left.extend(child.plain() for child in manifest.manifests)
    return ""
