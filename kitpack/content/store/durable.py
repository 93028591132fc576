"""Files and folders that are still there after the power failed.

A name may appear only when the bytes behind it have reached the disk, and a name has reached the disk only when its
folder has. Everything a layout keeps is written through the few functions here.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from contextlib import suppress
from pathlib import Path

__all__ = [
    "begin_writing",
    "make_folders",
    "start_sync",
    "sync_file",
    "sync_folder",
    "sync_tree",
    "write_all",
    "write_whole",
]

_CANNOT_SYNC_FOLDERS = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})

_FEW, _WAITING = 8, 16


def make_folders(path: Path) -> None:
    """Make a folder and all that are missing above it, each of them durably."""
    if path.is_dir():
        return
    make_folders(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def begin_writing(fd: int, start: int, count: int) -> None:
    """Let the system begin to bring a part of a file to the disk, so that less is left when somebody waits for it.

    Nothing is promised: where the system takes no such hint, nothing happens.
    """
    if hasattr(os, "posix_fadvise"):  # not on macOS
        with suppress(OSError):
            # on Linux, what is not needed any more is written at once, and only what was written before is forgotten
            os.posix_fadvise(fd, start, count, os.POSIX_FADV_DONTNEED)


def sync_file(fd: int) -> None:
    """Wait until everything written to an open file is on the disk, not merely in its cache."""
    full: int | None = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: there, fsync stops at the drive's own cache
    if full is not None:
        try:
            fcntl.fcntl(fd, full)
        except OSError:
            pass  # network file systems do not know it; the usual call has to do
        else:
            return
    os.fsync(fd)


def start_sync(fd: int) -> None:
    """Bring what is written to an open file to the disk already, where that costs less than doing it all in the end.

    It takes as long as the disk does. Only :func:`sync_file` makes sure.
    """
    if sys.platform != "darwin":  # there, nothing less than what sync_file does has an effect
        os.fdatasync(fd)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC_FOLDERS:  # some FUSE file systems have no such call
            raise
    finally:
        os.close(fd)


def sync_tree(top: Path) -> None:
    """Wait until every file and folder below a folder, and the folder itself, are on the disk.

    Many wait at the same time, since a file system writes in one go what is asked for together. On macOS all of it is
    in the drive's own cache then, and reaches the disk with the next :func:`sync_file`.
    """
    from concurrent.futures import ThreadPoolExecutor  # late: it is slow to import

    places = [Path(above, name) for above, _, names in os.walk(top) for name in ("", *names)]
    if len(places) > _FEW:
        with ThreadPoolExecutor(max_workers=_WAITING) as pool:
            for _ in pool.map(_sync_place, places):
                pass
    else:
        for place in places:
            _sync_place(place)


def _sync_place(place: Path) -> None:
    if place.is_dir():
        sync_folder(place)
        return
    fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte: a disk that fills up takes a part first and refuses only the next call."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_whole(path: Path, data: bytes, scratch: Path) -> None:
    """Give a file new content at once: a reader sees all of the old bytes or all of the new ones.

    Args:
        path: The file.
        data: All of its bytes.
        scratch: A folder of the same file system for the bytes that have no name yet.
    """
    temporary = scratch / f"{path.name}.{os.urandom(8).hex()}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            write_all(fd, data)
            sync_file(fd)
        finally:
            os.close(fd)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
