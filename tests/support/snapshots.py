"""What is in a folder, to the last bit that matters."""

from __future__ import annotations

import os
import stat
from pathlib import Path

__all__ = ["snapshot"]

Snapshot = dict[str, tuple[str, int, bytes]]


def snapshot(folder: Path, *without: str) -> Snapshot:
    """Kind, permission bits and content of everything below a folder; links are not followed.

    Args:
        folder: The folder; a missing one is empty.
        without: Names directly in the folder that do not count.
    """
    found: Snapshot = {}
    for above, folders, files in os.walk(folder):
        if Path(above) == folder:
            folders[:] = [name for name in folders if name not in without]
        for name in [*folders, *files]:
            path = Path(above) / name
            if path.relative_to(folder).as_posix() in without:
                continue
            found[path.relative_to(folder).as_posix()] = _described(path)
    return found


def _described(path: Path) -> tuple[str, int, bytes]:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "link", 0, os.fsencode(path.readlink())
    if stat.S_ISDIR(mode):
        return "folder", stat.S_IMODE(mode), b""
    return "file", stat.S_IMODE(mode), path.read_bytes()
