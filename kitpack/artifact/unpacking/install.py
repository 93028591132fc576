"""Verified files move from the staging folder to where they belong; what fails or is killed on the way is undone.

::

    STAGING/tree           the files on their way in, and with them the new record of the folder, which goes last
    STAGING/displaced-…    what was in the folder before and has to make way
    STAGING/moving.json    written before the first move: what is needed to take all of them back

Until the record is in its place nothing counts as done: :func:`move_back` puts everything back where it was. It has to
be called before anything else is staged: a journal that has served must be gone before there is a new record.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import cast

from kitpack.artifact.paths import safe_path
from kitpack.artifact.unpacking.installed import RECORD_NAME, read_own
from kitpack.content.store.durable import sync_folder, write_whole
from kitpack.errors import StoreError, UnpackError, UnsafePathError
from kitpack.oci.jsontext import Json, JsonObject, encode, parse_object

__all__ = ["TREE", "files_below", "folders_above", "is_moving", "move_back", "move_in", "other_file_system"]

TREE = "tree"
_DISPLACED = "displaced-"
_JOURNAL = "moving.json"
_DISPLACED_NAME = re.compile(r"displaced-[0-9a-f]{16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Journal:
    """What is needed to take moves back.

    Attributes:
        displaced: The name of the folder, of this journal only, for what has to make way.
        paths: The files that move in.
        made: The folders that are made for them.
        modes: The permission bits that files had whose bits change.
    """

    displaced: str
    paths: Sequence[str]
    made: Sequence[str]
    modes: Mapping[str, int]


def move_in(folder: Path, staging: Path, paths: Sequence[str], remove: Sequence[str], modes: Mapping[str, int]) -> None:
    """Move the files of the staged tree, and the record beside them, into a folder.

    Args:
        folder: The target folder.
        staging: The staging folder, on the same file system.
        paths: The files to move in.
        remove: The files to move out.
        modes: The permission bits of files that stay, where they are others now.

    Raises:
        UnpackError: When a part of the folder is on another file system; everything is back in its place then.
        OSError: When a move fails; everything is back in its place then.
    """
    journal = _Journal(
        displaced=f"{_DISPLACED}{os.urandom(8).hex()}",
        paths=paths,
        made=[path for path in folders_above(paths) if not (folder / path).is_dir()],
        modes={path: stat.S_IMODE((folder / path).lstat().st_mode) for path in modes},
    )
    write_whole(staging / _JOURNAL, _written(journal), staging)
    try:
        _move_all(folder, staging, journal, remove, modes)
    except BaseException as error:
        move_back(folder, staging)
        if isinstance(error, OSError) and error.errno == errno.EXDEV:
            raise other_file_system(_outside(staging, error) or folder, folder) from None
        raise


def move_back(folder: Path, staging: Path) -> None:
    """Undo moves that did not come to their end, and forget those that did.

    Raises:
        StoreError: When the journal of those moves is not one that kitpack wrote; nothing is moved then.
    """
    if is_moving(staging):
        _undo(folder, staging, _read(folder, staging))
    if os.path.lexists(staging / _JOURNAL):
        (staging / _JOURNAL).unlink()
        sync_folder(staging)  # it must not come back to speak of later moves
    for displaced in staging.glob(f"{_DISPLACED}*"):
        shutil.rmtree(displaced, ignore_errors=True)


def is_moving(staging: Path) -> bool:
    """Whether moves began and did not come to their end."""
    return os.path.lexists(staging / _JOURNAL) and os.path.lexists(staging / TREE / RECORD_NAME)


def other_file_system(place: str | Path, folder: Path) -> UnpackError:
    """The error about a part of the target folder into which nothing can be moved."""
    return UnpackError(
        f"{place} is on another file system than {folder}, so the bundle cannot appear there all at once",
        hint="unpack into a folder without mount points in it",
    )


def folders_above(paths: Iterable[str]) -> list[str]:
    """Every folder that holds one of the files, from the top down."""
    return sorted({str(parent) for path in paths for parent in PurePosixPath(path).parents if str(parent) != "."})


def files_below(top: Path) -> Iterator[str]:
    """The paths, relative to a folder, of everything below it that is no folder; links are not followed."""
    for above, folders, files in os.walk(top):
        for name in [*files, *(one for one in folders if (Path(above) / one).is_symlink())]:
            yield (Path(above) / name).relative_to(top).as_posix()


def _outside(staging: Path, error: OSError) -> str:
    """Which of the two places of a failed move is that of the user."""
    places = [str(place) for place in (error.filename2, error.filename) if place]
    return next((place for place in places if not Path(place).is_relative_to(staging)), "")


def _written(journal: _Journal) -> bytes:
    return encode(
        {
            "displaced": journal.displaced,
            "paths": list[Json](journal.paths),
            "made": list[Json](journal.made),
            "modes": dict[str, Json](journal.modes),
        }
    )


def _read(folder: Path, staging: Path) -> _Journal:
    """Read a journal and prove that taking back what it says stays within the two folders."""
    try:
        journal = _parsed(parse_object(read_own(staging / _JOURNAL)))
        if not _DISPLACED_NAME.fullmatch(journal.displaced):
            raise ValueError("no folder for displaced files")
        _refuse_links(staging, [f"{name}/x" for name in (TREE, journal.displaced)])
        back = [one for one in files_below(staging / journal.displaced) if one != RECORD_NAME]
        paths = [*journal.paths, *journal.made, *journal.modes, *back]
        if any(safe_path(path) != path for path in paths):
            raise ValueError("a path in another spelling")
        for top in (folder, staging / TREE):
            _refuse_links(top, paths)
    except (KeyError, TypeError, ValueError, UnsafePathError, StoreError) as error:
        raise StoreError(
            f"{staging / _JOURNAL}, which tells how to take back an unfinished unpack, is damaged: {error}",
            hint=f"look for your files in {staging}, then delete that folder and unpack again with --overwrite",
        ) from None
    return journal


def _parsed(value: JsonObject) -> _Journal:
    displaced, paths, made, modes = (value[name] for name in ("displaced", "paths", "made", "modes"))
    if not isinstance(displaced, str) or not isinstance(modes, dict) or not _all_are(int, modes.values()):
        raise TypeError("a field of another kind than expected")
    if not isinstance(paths, list) or not isinstance(made, list) or not _all_are(str, [*paths, *made]):
        raise TypeError("a list of something else than paths")
    return _Journal(
        displaced=displaced,
        paths=cast("list[str]", paths),
        made=cast("list[str]", made),
        modes={path: mode & 0o777 for path, mode in cast("dict[str, int]", modes).items()},
    )


def _all_are(kind: type, values: Iterable[Json]) -> bool:
    return all(isinstance(value, kind) for value in values)


def _refuse_links(top: Path, paths: Iterable[str]) -> None:
    for path in folders_above(paths):
        if (top / path).is_symlink():
            raise ValueError(f"{top / path} is a link")


def _undo(folder: Path, staging: Path, journal: _Journal) -> None:
    for path in journal.paths:
        if os.path.lexists(folder / path) and not os.path.lexists(staging / TREE / path):
            _move(folder / path, staging / TREE / path)
    _remove_empty(folder, journal.made)
    displaced = staging / journal.displaced
    for path in list(files_below(displaced)):
        _move(displaced / path, folder / path)
    for path, mode in journal.modes.items():
        if (folder / path).is_file() and not (folder / path).is_symlink():
            (folder / path).chmod(mode)


def _move_all(folder: Path, staging: Path, journal: _Journal, remove: Sequence[str], modes: Mapping[str, int]) -> None:
    displaced = staging / journal.displaced
    _displace(folder, displaced, remove)
    _remove_empty(folder, folders_above(remove))  # a folder may become a file
    _displace(folder, displaced, [*journal.paths, RECORD_NAME])
    for path, mode in modes.items():
        (folder / path).chmod(mode)
    for path in journal.paths:
        _move(staging / TREE / path, folder / path)
    for path in folders_above(journal.paths):
        sync_folder(folder / path)  # the record must not be there without what it tells of
    _move(staging / TREE / RECORD_NAME, folder / RECORD_NAME)


def _displace(folder: Path, displaced: Path, paths: Iterable[str]) -> None:
    for path in paths:
        if os.path.lexists(folder / path) and (not (folder / path).is_dir() or (folder / path).is_symlink()):
            _move(folder / path, displaced / path)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)


def _remove_empty(folder: Path, paths: Iterable[str]) -> None:
    for path in sorted(paths, reverse=True):
        with suppress(OSError):  # not empty, or gone already
            (folder / path).rmdir()
