"""Bytes go from file to file inside the kernel, where it can do that.

They are not read into this process and written out again; a file system that can share blocks between files copies
nothing at all. A stream over a file takes part by having ``send_to``; all others are read and written.
"""

from __future__ import annotations

import errno
import io
import os
from typing import BinaryIO, Protocol, runtime_checkable

from kitpack.content.store.durable import write_all
from kitpack.oci.digest import BLOCK

__all__ = ["SendsToFile", "copy_range", "send"]

_CANNOT = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF})


@runtime_checkable
class SendsToFile(Protocol):
    """A stream whose bytes can go to a file by a shorter way than through ``read``."""

    def send_to(self, fd: int, count: int) -> int:
        """Move the next bytes to an open file, at its position.

        Args:
            fd: The file.
            count: The most bytes to move.

        Returns:
            How many were moved; none only at the end of the stream.
        """
        ...


def send(stream: BinaryIO, fd: int, count: int) -> int:
    """Move the next bytes of any stream to an open file; see :meth:`SendsToFile.send_to`."""
    if isinstance(stream, SendsToFile):
        return stream.send_to(fd, count)
    if isinstance(stream, io.BufferedReader) and isinstance(stream.raw, io.FileIO):
        start = stream.tell()  # what it has read ahead counts as not read
        moved = copy_range(stream.raw.fileno(), fd, count, start)
        stream.seek(start + moved)
        return moved
    block = stream.read(min(BLOCK, count))
    write_all(fd, block)
    return len(block)


def copy_range(source: int, target: int, count: int, start: int | None = None) -> int:
    """Copy bytes between two open files, at the position of the target.

    Args:
        source: Where they come from.
        target: Where they go.
        count: The most bytes to copy.
        start: The offset in the source; None takes its position, and moves it.

    Returns:
        How many were copied; none only at the end of the source.
    """
    if hasattr(os, "copy_file_range"):  # not on macOS
        try:
            if copied := os.copy_file_range(source, target, count, start):
                return copied
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
    # some file systems copy nothing and call it success, so the end is the end only when reading says so
    wanted = min(BLOCK, count)
    block = os.read(source, wanted) if start is None else os.pread(source, wanted, start)
    write_all(target, block)
    return len(block)
