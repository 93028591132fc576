"""Verified files move from the staging folder to where they belong; what fails or is killed on the way is undone.

::

    STAGING/tree         the files on their way in, and with them the new record of the folder, which goes last
    STAGING/displaced    what was in the folder before and has to make way
    STAGING/moving.json  written before the first move: what is needed to take all of them back

Until the record is in its place nothing counts as done: :func:`move_back` puts everything back where it was.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from kitpack.artifact.installed import RECORD_NAME
from kitpack.content.store.durable import write_whole
from kitpack.oci.jsontext import Json, JsonObject, encode, parse_object

__all__ = ["TREE", "files_below", "folders_above", "is_moving", "move_back", "move_in"]

TREE = "tree"
_DISPLACED = "displaced"
_JOURNAL = "moving.json"


def move_in(folder: Path, staging: Path, paths: Sequence[str], remove: Sequence[str], modes: Mapping[str, int]) -> None:
    """Move the files of the staged tree, and the record beside them, into a folder.

    Args:
        folder: The target folder.
        staging: The staging folder, on the same file system.
        paths: The files to move in.
        remove: The files to move out.
        modes: The permission bits of files that stay, where they are others now.

    Raises:
        OSError: When a move fails; everything is back in its place then.
    """
    write_whole(staging / _JOURNAL, encode(_journal(folder, paths, modes)), staging)
    try:
        _move_all(folder, staging, paths, remove, modes)
    except BaseException:
        move_back(folder, staging)
        raise


def move_back(folder: Path, staging: Path) -> None:
    """Undo moves that did not come to their end, and forget those that did."""
    if is_moving(staging):
        _undo(folder, staging, parse_object((staging / _JOURNAL).read_bytes()))
    shutil.rmtree(staging / _DISPLACED, ignore_errors=True)
    (staging / _JOURNAL).unlink(missing_ok=True)


def is_moving(staging: Path) -> bool:
    """Whether moves began and did not come to their end."""
    return (staging / _JOURNAL).exists() and (staging / TREE / RECORD_NAME).exists()


def folders_above(paths: Iterable[str]) -> list[str]:
    """Every folder that holds one of the files, from the top down."""
    return sorted({str(parent) for path in paths for parent in PurePosixPath(path).parents if str(parent) != "."})


def files_below(top: Path) -> Iterator[str]:
    """The paths, relative to a folder, of everything below it that is no folder; links are not followed."""
    for above, folders, files in os.walk(top):
        for name in [*files, *(one for one in folders if (Path(above) / one).is_symlink())]:
            yield (Path(above) / name).relative_to(top).as_posix()


def _journal(folder: Path, paths: Sequence[str], modes: Mapping[str, int]) -> JsonObject:
    made = [path for path in folders_above(paths) if not (folder / path).is_dir()]
    now: dict[str, Json] = {path: stat.S_IMODE((folder / path).lstat().st_mode) for path in modes}
    return {"paths": list[Json](paths), "made": list[Json](made), "modes": now}


def _undo(folder: Path, staging: Path, journal: JsonObject) -> None:
    for path in map(str, _list(journal["paths"])):
        if os.path.lexists(folder / path) and not os.path.lexists(staging / TREE / path):
            _move(folder / path, staging / TREE / path)
    _remove_empty(folder, map(str, _list(journal["made"])))
    for path in list(files_below(staging / _DISPLACED)):
        _move(staging / _DISPLACED / path, folder / path)
    for path, mode in _object(journal["modes"]).items():
        if isinstance(mode, int):
            (folder / path).chmod(mode)


def _move_all(
    folder: Path, staging: Path, paths: Sequence[str], remove: Sequence[str], modes: Mapping[str, int]
) -> None:
    displaced = staging / _DISPLACED
    _displace(folder, displaced, remove)
    _remove_empty(folder, folders_above(remove))  # a folder may become a file
    _displace(folder, displaced, [*paths, RECORD_NAME])
    for path, mode in modes.items():
        (folder / path).chmod(mode)
    for path in [*paths, RECORD_NAME]:
        _move(staging / TREE / path, folder / path)


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


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
