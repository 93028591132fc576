"""Sending blobs to a registry: a session, one streamed PUT, and nothing stored that is not what it should be.

Spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#post-then-put
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import quote, urlencode

from kitpack.content.registry.exchange import Answer, Body
from kitpack.content.registry.origin import absolute, shown
from kitpack.content.registry.retry import TransientError
from kitpack.content.target import Opener
from kitpack.errors import IntegrityError, KitpackError, RegistryError
from kitpack.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from kitpack.content.registry.transport import Transport

__all__ = ["mount_blob", "upload_blob"]

_HINT = "if a file was changed since it was packed, pack again; if not, the store is damaged: `kitpack verify` tells"
_MOUNT_REFUSALS = frozenset({400, 403, 404, 405})


def upload_blob(
    transport: Transport, repository: str, scopes: Sequence[str], descriptor: Descriptor, open_at: Opener
) -> None:
    """Send a blob in one request, starting over with a fresh session when that fails by chance.

    The bytes are hashed on their way. When they turn out not to be what the descriptor says, the last of them is not
    sent, so no registry can store them.

    Raises:
        IntegrityError: When the local bytes are not what the descriptor says.
        OSError: When they cannot be read.
        RegistryError: When the registry does not take them.
    """

    def attempt() -> None:
        session = _begin(transport, repository, scopes)
        try:
            _put(transport, session, scopes, descriptor, open_at)
        except BaseException:
            _cancel(transport, session, scopes)
            raise

    try:
        transport.retry.run(attempt)
    except _LocalReadError as failure:
        raise failure.error from None


def mount_blob(
    transport: Transport, repository: str, scopes: Sequence[str], descriptor: Descriptor, source: str
) -> bool:
    """Take a blob over from another repository; False when the registry would rather have the bytes."""
    query = urlencode({"mount": str(descriptor.digest), "from": source})
    with transport.request(
        "POST", f"{_uploads(repository)}?{query}", scopes=scopes, expect={201, 202, *_MOUNT_REFUSALS}
    ) as answer:
        if answer.status != 202:
            return answer.status == 201
        with contextlib.suppress(RegistryError):
            _cancel(transport, _location(answer), scopes)
    return False


def _uploads(repository: str) -> str:
    return f"/v2/{repository}/blobs/uploads/"


def _begin(transport: Transport, repository: str, scopes: Sequence[str]) -> str:
    with transport.request("POST", _uploads(repository), scopes=scopes, expect={202}) as answer:
        return _location(answer)


def _put(transport: Transport, session: str, scopes: Sequence[str], descriptor: Descriptor, open_at: Opener) -> None:
    url = f"{session}{'&' if '?' in session else '?'}digest={quote(str(descriptor.digest), safe='')}"
    body = Body(size=descriptor.size, open=lambda: _Proven(open_at(0), descriptor).as_stream())
    if descriptor.size == 0:
        body = Body.of_bytes(_empty(open_at, descriptor), body.media_type)
    answer = transport.request_once("PUT", url, scopes=scopes, body=body, expect={201, 404})
    with answer:
        if answer.status == 404:
            raise _forgotten(answer)


def _forgotten(answer: Answer) -> Exception:
    """A session can expire, or be unknown to the replica that answers: a fresh one may do."""
    body = answer.error_body()
    error = answer.failure(body)
    if "BLOB_UPLOAD_UNKNOWN" in body.codes:
        return TransientError(RegistryError(error.message, status=404, codes=body.codes))
    return error


def _location(answer: Answer) -> str:
    """Where to send the bytes. It may be at another host, which gets no credentials then (CVE-2026-50151)."""
    location = answer.headers.get("Location", "")
    if not location:
        raise RegistryError(
            f"{answer.method} {shown(answer.url)} opened an upload without saying where", status=answer.status
        )
    return absolute(answer.url, location).partition("#")[0]


def _cancel(transport: Transport, session: str, scopes: Sequence[str]) -> None:
    """Tell the registry that nothing more comes. It may not understand; then it forgets the session by itself."""
    with contextlib.suppress(KitpackError, TransientError):
        transport.request_once("DELETE", session, scopes=scopes, expect=range(200, 500)).close()


def _empty(open_at: Opener, descriptor: Descriptor) -> bytes:
    with _Proven(open_at(0), descriptor) as stream:
        return stream.read()


class _LocalReadError(Exception):
    """A local file that cannot be read, kept from being taken for a failure of the network."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class _Proven(io.RawIOBase):
    """Local bytes on their way out, proven before the last of them leaves."""

    def __init__(self, stream: BinaryIO, descriptor: Descriptor) -> None:
        super().__init__()
        self._stream = stream
        self._descriptor = descriptor
        self._hasher = descriptor.digest.hasher()
        self._left = descriptor.size

    def as_stream(self) -> BinaryIO:
        return cast("BinaryIO", self)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        block = self._read_local(wanted) if wanted else b""
        self._hasher.update(block)
        self._left -= len(block)
        if wanted and not block:
            raise IntegrityError(f"{self._descriptor.digest}: the last {self._left} bytes are missing here", hint=_HINT)
        if not self._left and (block or not self._descriptor.size):
            self._prove()
        return block

    def close(self) -> None:
        self._stream.close()
        super().close()

    def _prove(self) -> None:
        if not self._descriptor.digest.matches(self._hasher) or self._read_local(1):
            raise IntegrityError(
                f"expected {self._descriptor.digest} and {self._descriptor.size} bytes, found other bytes",
                hint=_HINT,
            )

    def _read_local(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except OSError as error:
            raise _LocalReadError(error) from error
