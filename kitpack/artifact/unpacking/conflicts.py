"""What in a target folder belongs to the user, and must not be touched."""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from kitpack.artifact.paths import printable
from kitpack.artifact.unpacking.install import files_below, folders_above, other_file_system
from kitpack.artifact.unpacking.installed import Installed, InstalledFile, is_unchanged
from kitpack.errors import FileConflictError

__all__ = ["refuse_changes", "refuse_obstacles"]


def refuse_obstacles(folder: Path, arriving: Iterable[str], leaving: Collection[str]) -> None:
    """Make sure that nothing would be written or removed through a link, nor a folder be lost for a file.

    Args:
        folder: The target folder.
        arriving: The files of the bundle.
        leaving: The files of an earlier bundle that make way for them.

    Raises:
        FileConflictError: When something other than a folder stands where one must be, or the other way round.
        UnpackError: When something is mounted on the way.
    """
    arriving, going = tuple(arriving), frozenset(leaving)
    for path in folders_above([*arriving, *going]):
        mode = _mode(folder / path)
        if mode and not stat.S_ISDIR(mode) and (path not in going or stat.S_ISLNK(mode)):
            raise FileConflictError(
                f"{folder / printable(path)} is not a folder, but the bundle has files below that path",
                hint="move it away, or unpack into another folder",
            )
        if stat.S_ISDIR(mode) and (folder / path).lstat().st_dev != folder.stat().st_dev:
            raise other_file_system(folder / printable(path), folder)
    for path in arriving:
        if stat.S_ISDIR(_mode(folder / path)) and not _is_emptied(folder, path, going):
            raise FileConflictError(
                f"{folder / printable(path)} is a folder, but the bundle has a file of that name",
                hint="move it away, or unpack into another folder",
            )


def refuse_changes(folder: Path, before: Installed, files: Mapping[str, InstalledFile]) -> None:
    """Refuse to touch what the user made or changed; what already equals the new content is no conflict.

    Raises:
        FileConflictError: With the paths.
    """
    changed = [path for path, file in sorted(files.items()) if _is_foreign(folder / path, before.files.get(path), file)]
    if changed:
        shown = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        raise FileConflictError(
            f"{folder} has files that kitpack did not unpack, or that were changed since: {shown}",
            hint="move them away, unpack into another folder, or replace them with --overwrite",
        )


def _mode(location: Path) -> int:
    try:
        return location.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _is_emptied(folder: Path, path: str, going: frozenset[str]) -> bool:
    files = [f"{path}/{one}" for one in files_below(folder / path)]
    return bool(files) and going.issuperset(files)


def _is_foreign(location: Path, known: InstalledFile | None, new: InstalledFile) -> bool:
    mode = _mode(location)
    if not mode or stat.S_ISDIR(mode):  # folders in the way are refused, or emptied
        return False
    return not (known and is_unchanged(location, known)) and not is_unchanged(location, new)
