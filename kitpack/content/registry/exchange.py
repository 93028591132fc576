"""One request's body and one answer, as the rest of the room sees them: no HTTP library in sight."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from kitpack.content.registry.failures import MAX_ERROR_BODY, ErrorBody, failure
from kitpack.content.registry.origin import shown
from kitpack.content.registry.retry import TransientError
from kitpack.errors import KitpackError, RegistryError
from kitpack.oci.digest import BLOCK
from kitpack.oci.jsontext import JsonObject, parse_object

__all__ = ["Answer", "Body", "Stream", "media_type"]

_MAX_DRAINED = 64 << 10
_PATIENCE = 300.0  # seconds for a whole small body; without it a server could drip for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What to send, openable anew for every try.

    Attributes:
        size: The number of bytes.
        open: Opens them at the start.
        media_type: What they are.
    """

    size: int
    open: Callable[[], BinaryIO]
    media_type: str = "application/octet-stream"

    @classmethod
    def of_bytes(cls, data: bytes, media_type: str) -> Body:
        """A body that is already in memory."""
        return cls(size=len(data), open=lambda: io.BytesIO(data), media_type=media_type)


class Stream(Protocol):
    """What arrives after the headers."""

    def read1(self, limit: int) -> bytes:
        """Up to so many bytes, as they arrive; nothing at the end.

        Raises:
            TransientError: When the connection breaks before the announced end.
        """
        ...

    def close(self) -> None:
        """Give the connection back, or up when there is more on it."""
        ...


class Answer:
    """An answer whose body is still on the wire. A context manager: leaving it frees the connection.

    Attributes:
        method: What was asked.
        url: Who answered in the end, after redirects.
        status: The HTTP status.
        headers: The headers; names in any case.
        strayed: Whether a redirect led away from the registry.
        content: The whole body, once loaded.
    """

    def __init__(
        self, *, method: str, url: str, status: int, headers: Mapping[str, str], stream: Stream, strayed: bool
    ) -> None:
        self.method = method
        self.url = url
        self.status = status
        self.headers = headers
        self.strayed = strayed
        self.content = b""
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def size(self) -> int | None:
        """The announced number of bytes, or None."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    @property
    def media_type(self) -> str:
        """The content type without parameters."""
        return media_type(self.headers.get("Content-Type", ""))

    def read1(self, limit: int) -> bytes:
        """Up to so many bytes, as they arrive. See :meth:`Stream.read1`."""
        return self._stream.read1(limit)

    def load(self, limit: int) -> None:
        """Read the whole body into :attr:`content` and free the connection.

        Raises:
            RegistryError: When it is longer than the limit, or takes minutes to arrive.
            TransientError: When the connection breaks.
        """
        self.content = self.read(limit)
        self._stream.close()

    def read(self, limit: int) -> bytes:
        """The whole body. Raises as :meth:`load`."""
        data = self._read_up_to(limit + 1)
        if len(data) > limit:
            raise RegistryError(f"{self._name} was answered with more than {limit} bytes", status=self.status)
        return data

    def object(self) -> JsonObject:
        """The loaded body as a JSON object.

        Raises:
            RegistryError: When it is not one.
        """
        try:
            return parse_object(self.content)
        except ValueError as error:
            raise RegistryError(
                f"{self._name} was answered with {self.media_type or 'bytes'} that is not a JSON object: {error}",
                hint="is this the address of a registry?",
                status=self.status,
            ) from None

    def error_body(self) -> ErrorBody:
        """What the body says about a refusal; nothing when it cannot be read."""
        if self.method == "HEAD" or self.headers.get("Content-Encoding", "identity") != "identity":
            return ErrorBody()
        try:
            return ErrorBody.parse(self.content or self._read_up_to(MAX_ERROR_BODY), self.media_type)
        except (TransientError, RegistryError):
            return ErrorBody()

    def failure(self, body: ErrorBody | None = None) -> KitpackError:
        """The error this answer means to the person who asked."""
        return failure(method=self.method, url=self.url, status=self.status, body=body or self.error_body())

    def close(self) -> None:
        """Free the connection; a short rest is read, so that it can be used again."""
        if self.method == "HEAD" or (self.size or 0) <= _MAX_DRAINED:
            with contextlib.suppress(TransientError, RegistryError):
                self._read_up_to(_MAX_DRAINED)
        self._stream.close()

    def abandon(self) -> None:
        """Give up the connection: of a server that is too slow, not even a short rest is waited for."""
        self._stream.close()

    def _read_up_to(self, limit: int) -> bytes:
        parts: list[bytes] = []
        left, started = limit, time.monotonic()
        while left and (part := self._stream.read1(min(left, BLOCK))):
            parts.append(part)
            left -= len(part)
            if time.monotonic() - started > _PATIENCE:
                raise RegistryError(f"{self._name} is answered too slowly; given up after {_PATIENCE:.0f} s")
        return b"".join(parts)

    @property
    def _name(self) -> str:
        return f"{self.method} {shown(self.url)}"


def media_type(header: str) -> str:
    """A content type without its parameters, in lower case."""
    return header.partition(";")[0].strip().lower()
