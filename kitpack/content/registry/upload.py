"""Sending blobs to a registry: a session, one streamed PUT, and nothing stored that is not what it should be.

When a connection breaks off, the registry is asked how much has arrived, and gets the rest in chunks; from then on
large blobs go in chunks. A registry that does not count what arrives (its ``Range`` does not advance by what was sent)
gets every blob in one piece again.

Spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from kitpack.content.registry.auth import actions
from kitpack.content.registry.exchange import Answer, Body
from kitpack.content.registry.origin import absolute, shown
from kitpack.content.registry.outgoing import LocalReadError, Outgoing
from kitpack.content.registry.retry import TransientError
from kitpack.content.target import Opener
from kitpack.errors import AuthError, DeniedError, KitpackError, NotFoundError, RegistryError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest

if TYPE_CHECKING:
    from kitpack.content.registry.transport import Transport

__all__ = ["CHUNK", "Uploads"]

CHUNK = 16 << 20
"""Bytes of a chunk: what a further break costs at most. Smaller blobs are always sent in one piece."""

_MOST_CHUNK = 1 << 30
_MOUNT_REFUSALS = frozenset({400, 401, 403, 404, 405})
_CHUNK_REFUSALS = frozenset({400, 404, 405, 411, 416, 501})
_MAX_FRUITLESS = 5
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """An upload that is under way.

    Attributes:
        place: Where the next bytes go.
        received: How many the registry has.
        chunk: The bytes it wants in a chunk.
    """

    place: str
    received: int = 0
    chunk: int = CHUNK


class Uploads:
    """The way of blobs into one repository. Safe to share between threads.

    Args:
        transport: The way to the registry.
        repository: The name of the repository.
    """

    def __init__(self, transport: Transport, repository: str) -> None:
        self._transport = transport
        self._repository = repository
        self._scopes: Sequence[str] = (actions(repository, "pull", "push"),)
        self._is_chunkable = True
        self._has_broken = False

    def send(self, descriptor: Descriptor, open_at: Opener, is_there: Callable[[], bool], source: str = "") -> bool:
        """Store a blob.

        The bytes are hashed on their way. When they turn out not to be what the descriptor says, the last of them is
        not sent, so no registry can store them.

        Args:
            descriptor: What is sent.
            open_at: Where its bytes are.
            is_there: Asks whether the blob is there after all: an answer can be lost when all is done.
            source: Another repository of the registry that has it, to take it over from; empty for none.

        Returns:
            Whether bytes were sent; False when the registry took them over.

        Raises:
            IntegrityError: When the local bytes are not what the descriptor says.
            OSError: When they cannot be read.
            RegistryError: When the registry does not take them.
        """
        tries = count()

        def attempt() -> bool:
            is_first = next(tries) == 0
            if not is_first and is_there():
                return True
            session = self._mount(descriptor.digest, source) if is_first and source else self._begin()
            if session is None:
                return False
            self._fill(session, Outgoing(descriptor, open_at))
            return True

        try:
            return self._transport.retry.run(attempt)
        except LocalReadError as failure:
            raise failure.error from None

    def _mount(self, digest: Digest, source: str) -> _Session | None:
        """Take a blob over from another repository; a session when the registry would rather have the bytes."""
        url = f"{self._uploads}?{urlencode({'mount': str(digest), 'from': source})}"
        scopes = (*self._scopes, actions(source, "pull"))
        try:
            with self._transport.request_once(
                "POST", url, scopes=scopes, expect={201, 202, *_MOUNT_REFUSALS}
            ) as answer:
                if answer.status == 201:
                    return None
                if answer.status == 202 and "mount=" not in answer.headers.get("Location", ""):  # as zot did once
                    return _opened(answer)
        except (AuthError, DeniedError):  # whoever may write here need not be allowed to read there
            pass
        return self._begin()

    @property
    def _uploads(self) -> str:
        return f"/v2/{self._repository}/blobs/uploads/"

    def _begin(self) -> _Session:
        with self._transport.request("POST", self._uploads, scopes=self._scopes, expect={202}) as answer:
            return _opened(answer)

    def _fill(self, session: _Session, outgoing: Outgoing) -> None:
        """Send the bytes of a blob in one piece, or in chunks once there is a reason to."""
        if self._has_broken and self._is_chunkable and outgoing.descriptor.size > session.chunk:
            self._send_chunks(session, outgoing)
        else:
            self._send_whole(session, outgoing)

    def _send_whole(self, session: _Session, outgoing: Outgoing) -> None:
        try:
            self._finish(session, outgoing)
        except TransientError as failure:
            self._has_broken = True
            if not self._is_chunkable or outgoing.descriptor.size <= session.chunk:
                self._cancel(session)
                raise
            self._send_chunks(self._found_again(session, outgoing, failure), outgoing)
        except BaseException:
            self._cancel(session)
            raise

    def _send_chunks(self, session: _Session, outgoing: Outgoing) -> None:
        """Send what is missing, chunk by chunk; a break costs the rest of one."""
        fruitless = 0
        while True:
            try:
                while session.received < outgoing.descriptor.size:
                    session = self._patch(session, outgoing)
                    fruitless = 0
                self._finish(session, outgoing)
            except TransientError as failure:
                fruitless += 1
                if fruitless >= _MAX_FRUITLESS:
                    self._cancel(session)
                    raise
                self._transport.retry.pause(fruitless - 1, failure.wait)
                session = self._found_again(session, outgoing, failure)
            except BaseException as error:  # noqa: BLE001 - raised again, in the words of who has to decide
                self._cancel(session)
                raise self._refused(error) from None
            else:
                return

    def _refused(self, error: BaseException) -> BaseException:
        """What a registry does not take in many pieces it may take in one."""
        if isinstance(error, NotFoundError):
            error = RegistryError(error.message, status=404)
        if isinstance(error, RegistryError) and error.status in _CHUNK_REFUSALS:
            self._is_chunkable = False
            return TransientError(error)
        return error

    def _patch(self, session: _Session, outgoing: Outgoing) -> _Session:
        """Send one chunk.

        Raises:
            RegistryError: With a status of 416 when the registry does not say that it has all of it.
        """
        start = session.received
        length = min(session.chunk, outgoing.descriptor.size - start)
        body = Body(size=length, open=lambda: outgoing.open(start, length))
        with self._transport.request_once(
            "PATCH",
            session.place,
            scopes=self._scopes,
            headers={"Content-Range": f"{start}-{start + length - 1}"},
            body=body,
            expect={201, 202, 204},
        ) as answer:
            found = _received(answer)
            if found != start + length:
                raise RegistryError(
                    f"{answer.method} {shown(answer.url)}: a chunk of {length} bytes is lost", status=416
                )
            return replace(session, place=_location(answer), received=found)

    def _found_again(self, session: _Session, outgoing: Outgoing, failure: TransientError) -> _Session:
        """Ask how much has arrived before a connection broke.

        Raises:
            TransientError: That failure, when the registry does not know, or says what cannot be.
        """
        with (
            contextlib.suppress(KitpackError, TransientError),
            self._transport.request(
                "GET", session.place, scopes=self._scopes, expect={204, *range(400, 500)}
            ) as answer,
        ):
            received = _received(answer) if answer.status == 204 else 0
            if received > 1 and session.received <= received <= outgoing.hashed:
                return replace(session, place=_location(answer), received=received)
        self._cancel(session)
        raise failure

    def _finish(self, session: _Session, outgoing: Outgoing) -> None:
        """Send what is missing, which may be nothing, and name the digest."""
        descriptor = outgoing.descriptor
        url = f"{session.place}{'&' if '?' in session.place else '?'}digest={quote(str(descriptor.digest), safe='')}"
        body = Body(size=descriptor.size - session.received, open=lambda: outgoing.open(session.received))
        if body.size == 0:
            body = Body.of_bytes(b"" if session.received else outgoing.empty(), body.media_type)
        with self._transport.request_once("PUT", url, scopes=self._scopes, body=body, expect={201, 404}) as answer:
            if answer.status == 404:
                raise _forgotten(answer)

    def _cancel(self, session: _Session) -> None:
        """Tell the registry that nothing more comes. It may not understand; then it forgets the session by itself."""
        with contextlib.suppress(KitpackError, TransientError):
            self._transport.request_once("DELETE", session.place, scopes=self._scopes, expect=range(200, 500)).close()


def _opened(answer: Answer) -> _Session:
    least = answer.headers.get("OCI-Chunk-Min-Length", "")[:12]
    wanted = int(least) if least.isascii() and least.isdigit() else 0
    return _Session(place=_location(answer), chunk=min(max(CHUNK, wanted), _MOST_CHUNK))


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


def _received(answer: Answer) -> int:
    """The number of bytes that a registry says to have; one and none look the same."""
    found = _RANGE.fullmatch(answer.headers.get("Range", "").strip()[:40])
    return int(found[1]) + 1 if found else 0
