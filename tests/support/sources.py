"""Sources that watch, fail or lie, around one that does not."""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Callable, Collection
from typing import BinaryIO

from kitpack.content.target import Source
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest

__all__ = ["Watched"]


class Watched:
    """A source that counts what is fetched from it.

    Args:
        source: Where the content is.
        fail_at: The number of the fetch, counted from 1, that fails; 0 for none.
        failure: Makes what that fetch raises.
        short: Whether that fetch delivers half of the bytes before it fails.
        damaged: What is delivered with one wrong byte, or one byte if it should have none.
    """

    def __init__(
        self,
        source: Source,
        *,
        fail_at: int = 0,
        failure: Callable[[], BaseException] = lambda: OSError("the wire broke"),
        short: bool = False,
        damaged: Collection[Digest] = (),
    ) -> None:
        self.fetched: Counter[Digest] = Counter()
        self._source = source
        self._fail_at = fail_at
        self._failure = failure
        self._short = short
        self._damaged = damaged
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        """How often something was fetched."""
        return self.fetched.total()

    def resolve(self, reference: str) -> Descriptor:
        return self._source.resolve(reference)

    def exists(self, descriptor: Descriptor) -> bool:
        return self._source.exists(descriptor)

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        with self._lock:
            self.fetched[descriptor.digest] += 1
            failing = self.total == self._fail_at
        if failing and not self._short:
            raise self._failure()
        with self._source.fetch(descriptor) as stream:
            data = stream.read()
        if descriptor.digest in self._damaged:
            data = bytes([data[0] ^ 1]) + data[1:] if data else b"x"
        if failing:
            return _Broken(data[offset : offset + (len(data) - offset) // 2], self._failure)
        return io.BytesIO(data[offset:])


class _Broken(io.BytesIO):
    """Some bytes, and then a failure instead of the end."""

    def __init__(self, data: bytes, failure: Callable[[], BaseException]) -> None:
        super().__init__(data)
        self._failure = failure

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        if not block:
            raise self._failure()
        return block
