"""Streams that prove what passes through them.

::

    proof = VerifyingStream(source.fetch(layer), layer)
    with proof:
        ...                # read what is needed, into temporary files
        proof.drain()      # raises unless every byte was right; only now may anything get its final name
"""

from __future__ import annotations

import io
from collections.abc import Generator
from typing import TYPE_CHECKING, BinaryIO, Protocol

from kitpack.content.target import verified_blocks
from kitpack.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["BlockStream", "Readable", "VerifyingStream"]


class Readable(Protocol):
    """All that reading in one pass needs; ``BinaryIO`` and the streams below have it."""

    def read(self, size: int = ..., /) -> bytes:
        """At most this many bytes, fewer where that is easier, none at the end."""
        ...


class BlockStream(io.RawIOBase):
    """A stream made of blocks that are produced one after another.

    A failure of the producer is raised again by every later read, so that it can never look like the end.

    Args:
        blocks: The content, in blocks of any size; closed together with the stream.
    """

    def __init__(self, blocks: Generator[bytes, None, None]) -> None:
        super().__init__()
        self._blocks = blocks
        self._rest = memoryview(b"")
        self._failure: Exception | None = None

    def readable(self) -> bool:
        """See :meth:`io.IOBase.readable`."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """See :meth:`io.RawIOBase.readinto`."""
        if self.closed:
            raise ValueError("the stream is closed")
        target = memoryview(buffer).cast("B")
        if not self._rest and len(target):
            self._rest = memoryview(self._next_block())
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def drain(self) -> None:
        """Read what is left and forget it."""
        if self.closed:
            raise ValueError("the stream is closed")
        self._rest = memoryview(b"")
        while self._next_block():
            pass

    def close(self) -> None:
        """Close the producer as well; more than once is fine."""
        if not self.closed:
            self._rest = memoryview(b"")
            self._blocks.close()
        super().close()

    def _next_block(self) -> bytes:
        """The next block with something in it; an empty one at the end."""
        if self._failure is not None:
            raise self._failure
        try:
            return next(filter(None, self._blocks), b"")
        except Exception as error:
            self._failure = error
            raise


class VerifyingStream(BlockStream):
    """The bytes of a stream, proven against a descriptor.

    Args:
        stream: Where the bytes come from, from their beginning; closed together with this stream.
        descriptor: What they have to be.

    Raises:
        IntegrityError: By the read that meets the end, or by :meth:`drain`, when size or digest differ; as soon as
            there are too many bytes. Nothing read before that may be trusted.
    """

    def __init__(self, stream: BinaryIO, descriptor: Descriptor) -> None:
        super().__init__(_proven(stream, descriptor))
        self._stream = stream

    def close(self) -> None:
        """Close the underlying stream as well."""
        super().close()
        self._stream.close()


def _proven(stream: BinaryIO, descriptor: Descriptor) -> Generator[bytes, None, None]:
    yield from verified_blocks(stream, descriptor)
