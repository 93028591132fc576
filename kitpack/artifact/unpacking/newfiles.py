"""Small files written beside those of their user: all of them or none, and nothing of the user's is lost by the way."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from kitpack.errors import FileConflictError, UnsafePathError

__all__ = ["write_new"]


def write_new(folder: Path, files: Iterable[tuple[str, bytes]], *, force: bool = False) -> tuple[str, ...]:
    """Write files below a folder, which is made when it is not there.

    A file that is there already with the same bytes is left alone.

    Args:
        folder: The folder.
        files: Paths with forward slashes, relative to it, and their bytes.
        force: Whether files with other bytes are replaced.

    Returns:
        The paths of the files that were written.

    Raises:
        FileConflictError: When there are other files in their places; nothing was written.
        UnsafePathError: When a path leads out of the folder; nothing was written.
        OSError: When they cannot be written; what was there is there again.
    """
    wanted = dict(files)
    for path in wanted:
        _require_inside(folder, path)
    new = {path: raw for path, raw in wanted.items() if not _is_there(folder / path, raw)}
    changed = [path for path in new if os.path.lexists(folder / path)]
    # A folder, or a link that a file would be written through, is nothing to replace however much it is wanted.
    stuck = [path for path in changed if (folder / path).is_dir() or not force]
    if stuck:
        raise _conflict(folder, stuck, force=force)
    if new:
        _write_all(folder, new, force=force)
    return tuple(new)


def _require_inside(folder: Path, path: str) -> None:
    parts = PurePosixPath(path).parts
    outside = not parts or path.startswith("/") or ".." in parts or "\\" in path
    parent = (folder / path).parent
    if outside or not parent.resolve().is_relative_to(folder.resolve()):
        raise UnsafePathError(f"{path!r} is no path below {folder}", hint="choose another folder with -o")


def _is_there(place: Path, raw: bytes) -> bool:
    if place.is_symlink() or not place.is_file() or place.stat().st_size != len(raw):
        return False
    return place.read_bytes() == raw


def _conflict(folder: Path, paths: Sequence[str], *, force: bool) -> FileConflictError:
    shown = ", ".join(str(folder / path) for path in paths[:5]) + (f" and {len(paths) - 5} more" * (len(paths) > 5))
    if force:
        return FileConflictError(f"folders stand where files belong: {shown}", hint="choose another folder with -o")
    return FileConflictError(
        f"there already, with other content: {shown}; nothing was written",
        hint="choose another folder with -o, or replace them with --force",
    )


def _write_all(folder: Path, files: dict[str, bytes], *, force: bool) -> None:
    made = _make_folders(folder)
    staging = folder / f".kitpack-{os.urandom(8).hex()}"
    placed: list[Path] = []
    saved: list[tuple[Path, Path]] = []
    try:
        staging.mkdir()
        for number, raw in enumerate(files.values()):
            (staging / f"new-{number}").write_bytes(raw)
        for number, path in enumerate(files):
            place, old = folder / path, staging / f"old-{number}"
            made += _make_folders(place.parent)
            if force and os.path.lexists(place):
                place.rename(old)
                saved.append((old, place))
            _place(staging / f"new-{number}", place)
            placed.append(place)
    except BaseException:
        for place in placed:
            place.unlink(missing_ok=True)
        for old, place in saved:
            old.rename(place)
        shutil.rmtree(staging, ignore_errors=True)
        _remove_folders(made)
        raise
    shutil.rmtree(staging, ignore_errors=True)


def _place(new: Path, place: Path) -> None:
    """Give a file its name, unless somebody else has taken it in the meantime."""
    try:
        os.link(new, place)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV):
            raise
        with place.open("xb") as file:  # a disk without links
            file.write(new.read_bytes())


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; those that were made, the innermost last."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def _remove_folders(folders: Sequence[Path]) -> None:
    for folder in reversed(folders):
        try:
            folder.rmdir()
        except OSError:  # somebody has put something there in the meantime
            return
