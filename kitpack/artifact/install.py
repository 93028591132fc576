"""Verified files move from the staging folder to where they belong; a failure on the way moves them back."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from kitpack.artifact.paths import printable
from kitpack.errors import FileConflictError

__all__ = ["move_into", "refuse_links"]


def refuse_links(folder: Path, paths: Iterable[str]) -> None:
    """Make sure that no file would be written through a link, or through something that is no folder.

    Raises:
        FileConflictError: When something other than a folder stands where a folder must be.
    """
    parents = {str(parent) for path in paths for parent in PurePosixPath(path).parents if str(parent) != "."}
    for parent in sorted(parents):
        with suppress(FileNotFoundError, NotADirectoryError):
            if not stat.S_ISDIR((folder / parent).lstat().st_mode):
                raise FileConflictError(
                    f"{folder / printable(parent)} is not a folder, but the bundle has files below that path",
                    hint="move it away, or unpack into another folder",
                )


def move_into(folder: Path, tree: Path, displaced: Path, paths: Sequence[str], remove: Sequence[str]) -> None:
    """Move files of a staged tree into a folder, and files that are to go out of it.

    Args:
        folder: The target folder.
        tree: The staged files, under the same paths; on the same file system.
        displaced: A folder beside the tree for what was there before.
        paths: The files to move in.
        remove: The files to move out.

    Raises:
        OSError: When a move fails; everything is back in its place then.
    """
    undo: list[Callable[[], object]] = []
    try:
        for path in [*remove, *paths]:
            _move(folder / path, displaced / path, undo)
        for path in paths:
            _move(tree / path, folder / path, undo)
    except BaseException:
        for step in reversed(undo):
            step()
        raise
    _prune(folder, remove)


def _move(source: Path, target: Path, undo: list[Callable[[], object]]) -> None:
    if not os.path.lexists(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
    undo.append(lambda: target.rename(source))


def _prune(folder: Path, removed: Sequence[str]) -> None:
    """Remove the folders that the removed files leave empty."""
    parents = {str(parent) for path in removed for parent in PurePosixPath(path).parents if str(parent) != "."}
    for parent in sorted(parents, key=len, reverse=True):
        with suppress(OSError):  # not empty, or gone already
            (folder / parent).rmdir()
