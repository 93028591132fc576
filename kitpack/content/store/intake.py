"""Bytes are written and hashed in one pass, on two cores when there are many.

One thread writes the file, another follows and hashes what has been written, read back from the system's cache: what
is hashed is what is stored, wherever it came from, and no byte has to wait for its hash.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue
from typing import TYPE_CHECKING, BinaryIO

from kitpack.content.kernelcopy import send
from kitpack.content.store.durable import begin_writing, write_all
from kitpack.oci.digest import BLOCK

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["hash_range", "take_in"]

_SMALL = 4 * BLOCK
"""Bytes for which no second thread is worth its start."""

_STRIDE = 8 * BLOCK
"""Bytes moved at a time inside the kernel."""

_AHEAD = 16
"""Strides that may wait for their hash: more, and they would have to be read back from the disk."""


def take_in(stream: BinaryIO, fd: int, hasher: _Hash, most: int) -> int:
    """Write the rest of a stream to an open file, and hash what was written.

    Args:
        stream: Where the bytes come from.
        fd: The file, open for reading and writing, at the position where they go.
        hasher: Gets every byte.
        most: The bytes after which to stop.

    Returns:
        How many were written. When something is raised, more may have been written than were hashed.
    """
    taken = 0
    while taken < min(_SMALL, most):
        block = stream.read(min(BLOCK, most - taken))
        if not block:
            return taken
        write_all(fd, block)
        hasher.update(block)
        taken += len(block)
    if taken == most:
        return taken
    with _follower(fd, hasher, os.lseek(fd, 0, os.SEEK_CUR)) as follow:
        while taken < most and (count := send(stream, fd, min(_STRIDE, most - taken))):
            taken += count
            follow(count)
    return taken


def hash_range(fd: int, hasher: _Hash, start: int, end: int) -> None:
    """Hash a part of a file, or less where the file ends before it; its position stays."""
    buffer = memoryview(bytearray(min(BLOCK, max(0, end - start))))
    while start < end and (count := _read_into(fd, buffer[: end - start], start)):
        hasher.update(buffer[:count])
        start += count


@contextmanager
def _follower(fd: int, hasher: _Hash, start: int) -> Iterator[Callable[[int], None]]:
    """Hash a file in another thread, as far as it is told; when the context ends well, all of that is hashed."""
    written: Queue[int] = Queue(_AHEAD)
    failures: list[BaseException] = []

    def run() -> None:
        position = start
        while count := written.get():
            if failures:  # whoever writes must not wait for a place in the queue
                continue
            try:
                hash_range(fd, hasher, position, position + count)
                begin_writing(fd, position, count)
                position += count
            except BaseException as failure:  # noqa: BLE001 - it is raised where somebody waits for it
                failures.append(failure)

    def follow(count: int) -> None:
        written.put(count)
        if failures:
            raise failures[0]

    thread = threading.Thread(target=run, name="kitpack-hash", daemon=True)
    thread.start()
    try:
        yield follow
    except BaseException as failure:
        failures.append(failure)  # nobody needs the rest of the hash
        raise
    finally:
        written.put(0)
        thread.join()
    if failures:
        raise failures[0]


def _read_into(fd: int, buffer: memoryview, offset: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(fd, [buffer], offset)
    block = os.pread(fd, len(buffer), offset)
    buffer[: len(block)] = block
    return len(block)
