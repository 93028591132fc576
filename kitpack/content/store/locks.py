"""Locks between processes, and between threads: ``flock`` on files that are never removed.

The kernel releases such a lock with the last descriptor of its process, so nothing is left locked by a crash. The
files themselves stay: a lock on a name that somebody else may remove protects nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kitpack.errors import StoreError

__all__ = ["Lease", "exclusive", "is_same_file", "try_exclusive"]

_CANNOT_LOCK = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
_CANNOT_WRITE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


@contextmanager
def exclusive(path: Path, *, busy: StoreError | None = None) -> Iterator[None]:
    """Hold a lock file alone.

    Args:
        path: The lock file; made when missing.
        busy: What to raise when somebody else holds it; None waits for them instead.

    Raises:
        StoreError: ``busy``, or when the file system cannot lock.
    """
    try:
        fd = os.open(path, _OPEN, 0o666)
    except FileNotFoundError:
        if busy:  # who held it has removed its folder, too
            raise busy from None
        raise
    try:
        locked = _flock(fd, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0), path)
        if busy and not (locked and is_same_file(fd, path)):  # who held it may have removed it at the end
            raise busy
        yield
    finally:
        os.close(fd)


def try_exclusive(fd: int, path: Path) -> bool:
    """Lock an open file if nobody else has; closing it releases the lock.

    Args:
        fd: The open file.
        path: Its name, for the message.

    Raises:
        StoreError: When the file system cannot lock.
    """
    return _flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, path)


def is_same_file(fd: int, path: Path) -> bool:
    """Whether a name still stands for an open file, which may have been renamed or removed before it was locked."""
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except FileNotFoundError:
        return False


class Lease:
    """A shared lock, counted: however many hold it in this object, the kernel sees one holder.

    Args:
        path: The lock file; made when missing.
        wanted: Says whether there is anything to lock yet. While it says no, holding the lease locks nothing;
            :meth:`catch_up` locks as soon as it says yes.
    """

    def __init__(self, path: Path, wanted: Callable[[], bool]) -> None:
        self._path = path
        self._wanted = wanted
        self._guard = threading.Lock()
        self._holders = 0
        self._fd: int | None = None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep everybody out who wants the lock alone, until the context ends.

        Raises:
            StoreError: When the file system cannot lock.
        """
        with self._guard:
            if not self._holders:
                self._fd = self._lock()
            self._holders += 1
        try:
            yield
        finally:
            self._leave()

    def catch_up(self) -> None:
        """Lock now what was not there yet when the lease was taken."""
        with self._guard:
            if self._holders and self._fd is None:
                self._fd = self._lock()

    def _leave(self) -> None:
        with self._guard:
            self._holders -= 1
            if not self._holders and self._fd is not None:
                os.close(self._fd)
                self._fd = None

    def _lock(self) -> int | None:
        fd = self._open() if self._wanted() else None
        if fd is not None:
            try:
                _flock(fd, fcntl.LOCK_SH, self._path)
            except BaseException:
                os.close(fd)
                raise
        return fd

    def _open(self) -> int | None:
        """Open the lock file as well as possible: where it can be neither made nor read, there is no lock to hold."""
        try:
            return os.open(self._path, _OPEN, 0o666)
        except OSError as error:
            if error.errno not in _CANNOT_WRITE:
                raise
        try:
            return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None


def _flock(fd: int, operation: int, path: Path) -> bool:
    try:
        fcntl.flock(fd, operation)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _CANNOT_LOCK:
            raise
        raise StoreError(
            f"{path} cannot be locked: {error.strerror}; a store needs a file system with flock",
            hint="keep the store on a local disk (KITPACK_HOME), or mount the network file system with locking",
        ) from error
    return True
