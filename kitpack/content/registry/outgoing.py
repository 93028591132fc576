"""Local bytes on their way to a registry, proven before the last of them leaves."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

from kitpack.content.target import Opener
from kitpack.errors import IntegrityError
from kitpack.oci.descriptor import Descriptor

__all__ = ["LocalReadError", "Outgoing"]

_HINT = "if a file was changed since it was packed, pack again; if not, the store is damaged: `kitpack verify` tells"


class LocalReadError(Exception):
    """A local file that cannot be read, kept from being taken for a failure of the network."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Outgoing:
    """The bytes of one upload, which may leave in pieces; each byte is hashed when it is read for the first time.

    What is read once more, because the registry lost it, is not hashed again: the registry holds the digest against
    all that arrived.

    Args:
        descriptor: What they should be.
        open_at: Where they come from.

    Attributes:
        descriptor: What they should be.
        hashed: How many have been read so far.
    """

    def __init__(self, descriptor: Descriptor, open_at: Opener) -> None:
        self.descriptor = descriptor
        self._open_at = open_at
        self._hasher = descriptor.digest.hasher()
        self.hashed = 0

    def open(self, start: int = 0, size: int | None = None) -> BinaryIO:
        """Open a piece: so many bytes from an offset on, or all the rest.

        Raises:
            IntegrityError: Here or while it is read, when the bytes turn out not to be what the descriptor says; the
                last of them is not handed out then.
            LocalReadError: When they cannot be read.
        """
        count = self.descriptor.size - start if size is None else size
        return cast("BinaryIO", _Piece(self, self._open_at(start), start, count))

    def empty(self) -> bytes:
        """The bytes of an empty blob, proven to be none."""
        with self.open() as stream:
            return stream.read()

    def take(self, block: bytes, position: int, stream: BinaryIO) -> None:
        """Hash what is new in a block that begins at a position, and prove the whole with its last byte."""
        end = position + len(block)
        if end > self.hashed:
            self._hasher.update(memoryview(block)[max(self.hashed - position, 0) :])
            self.hashed = end
        if end == self.descriptor.size and (block or not end):
            self._prove(stream)

    def _prove(self, stream: BinaryIO) -> None:
        if not self.descriptor.digest.matches(self._hasher) or _read_local(stream, 1):
            raise IntegrityError(
                f"expected {self.descriptor.digest} and {self.descriptor.size} bytes, found other bytes", hint=_HINT
            )


class _Piece(io.RawIOBase):
    """A part of the bytes, read to its end once."""

    def __init__(self, outgoing: Outgoing, stream: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._outgoing = outgoing
        self._stream = stream
        self._position = start
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        block = _read_local(self._stream, wanted) if wanted else b""
        if wanted and not block:
            raise IntegrityError(
                f"{self._outgoing.descriptor.digest}: the last {self._left} bytes are missing here", hint=_HINT
            )
        if block or not self._outgoing.descriptor.size:
            self._outgoing.take(block, self._position, self._stream)
        self._position += len(block)
        self._left -= len(block)
        return block

    def close(self) -> None:
        self._stream.close()
        super().close()


def _read_local(stream: BinaryIO, size: int) -> bytes:
    """Read from this machine.

    Raises:
        LocalReadError: When that fails.
    """
    try:
        return stream.read(size)
    except OSError as error:
        raise LocalReadError(error) from error
