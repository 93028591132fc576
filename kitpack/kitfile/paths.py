"""Paths as they stand in a Kitfile, judged without looking at the disk; and the reading of what an author wrote."""

from __future__ import annotations

import errno
import os
import posixpath
import re
import stat
from collections.abc import Collection
from pathlib import Path

__all__ = ["normal_path", "owner_of", "path_fault", "read_bounded"]

_DRIVE = re.compile(r"[A-Za-z]:/")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# Control characters break lines and terminals; bidirectional marks let a path look like another one.
_ODD = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def normal_path(text: str) -> str:
    """The one spelling of a path: no ``./``, no double or trailing slash; the folder itself is ``.``."""
    return posixpath.normpath(text)


def owner_of(path: str, entries: Collection[str]) -> str | None:
    """Whose a file is: of the paths of entries that are above it, or are it, the longest; None when it is nobody's."""
    while path not in entries and path != ".":
        path = path.rpartition("/")[0] or "."
    return path if path in entries else None


def path_fault(text: str) -> tuple[str, str] | None:
    """What is wrong with a path, and what to write instead; None for a good one."""
    if odd := _ODD.search(text):
        return f"the path has the character U+{ord(odd[0]):04X} in it", "rename the file"
    if _ADDRESS.match(text):
        return f"{_shown(text)} is an address; a Kitfile names files and folders", "download it beside the Kitfile"
    if "\\" in text:
        return f"the path {_shown(text)} has a backslash in it", f"write {text.replace(chr(92), '/')[:80]}"
    if text != text.strip():
        return f"the path {_shown(text)} starts or ends with a space", f"write {text.strip()[:80]}"
    return _fault_outside(text)


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a file up to one byte more than a limit; what is no ordinary file could keep its reader waiting for ever.

    Raises:
        OSError: When it cannot be read, or is a pipe, a device or the like.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not an ordinary file", str(path))
        with open(handle, "rb", closefd=False) as file:
            return file.read(limit + 1)
    finally:
        os.close(handle)


def _fault_outside(text: str) -> tuple[str, str] | None:
    if text.startswith("/") or _DRIVE.match(text):
        return (
            f"the path {_shown(text)} is absolute; paths start at the Kitfile's folder",
            "write it relative to the Kitfile",
        )
    if normal_path(text).split("/")[0] == "..":
        return f"the path {_shown(text)} leaves the Kitfile's folder", "move the file below the Kitfile"
    return None


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 80 else f"{text[:77]!r}…"
