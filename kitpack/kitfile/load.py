"""Kitfiles from text.

Every fault is reported, not only the first one, and each with its line and column.
"""

from __future__ import annotations

from functools import lru_cache
from os import PathLike
from pathlib import Path

from kitpack.document.faults import Faults, Kind, decoded
from kitpack.document.schema import validate
from kitpack.document.tree import locate, to_json
from kitpack.document.yamltext import read_yaml
from kitpack.errors import KitfileError, KitpackError, NotFoundError, PackError
from kitpack.kitfile.build import build, path_issues
from kitpack.kitfile.model import KITFILE_NAMES, Kitfile
from kitpack.kitfile.paths import read_bounded
from kitpack.kitfile.schema import NOT_PACKED, definition, kitfile_schema, plainly_fits

__all__ = ["MAX_SIZE", "find_kitfile", "load_folder", "load_kitfile", "parse_kitfile"]

MAX_SIZE = 1 << 20
"""Bytes above which a file is not a Kitfile, and is not read."""


def find_kitfile(folder: Path) -> Path:
    """Find the Kitfile of a folder.

    Raises:
        KitpackError: When there is none, or more than one.
        OSError: When the folder cannot be read.
    """
    # Not exists(): where case is ignored, one file answers to several names.
    present = {path.name for path in folder.iterdir() if path.is_file()}
    found = [folder / name for name in KITFILE_NAMES if name in present]
    if not found:
        raise KitpackError(f"there is no Kitfile in {folder}", hint=f"kitpack init {folder}")
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise KitpackError(f"{folder} has {len(found)} Kitfiles: {names}", hint=f"keep one: rm {found[-1]}")
    return found[0]


def load_kitfile(path: Path) -> Kitfile:
    """Read a Kitfile from disk.

    Raises:
        KitfileError: With all of its faults.
        OSError: When it cannot be read.
    """
    return parse_kitfile(read_bounded(path, MAX_SIZE), str(path))


def load_folder(folder: str | PathLike[str], kitfile: str | PathLike[str] | None = None) -> Kitfile:
    """Read the Kitfile of a folder.

    Raises:
        KitfileError: With every fault.
        PackError: When there is none, or more than one.
        NotFoundError: When there is no such folder.
    """
    if not Path(folder).is_dir():
        raise NotFoundError(f"{folder} is not a folder")
    try:
        found = Path(kitfile) if kitfile else find_kitfile(Path(folder))
    except KitpackError as error:
        raise PackError(error.message, hint=error.hint) from None
    return _parsed(read_bounded(found, MAX_SIZE), str(found))


@lru_cache(maxsize=1)
def _parsed(raw: bytes, name: str) -> Kitfile:
    """A Kitfile; one command asks for the same several times."""
    return parse_kitfile(raw, name)


def parse_kitfile(raw: bytes, name: str) -> Kitfile:
    """Read a Kitfile.

    Args:
        raw: Its exact bytes; the result keeps them.
        name: The file as the user would type it; stands in the faults.

    Raises:
        KitfileError: With all of its faults.
    """
    faults = Faults(name)
    kind = Kind(
        noun="a Kitfile",
        max_size=MAX_SIZE,
        too_large="a Kitfile names files, it does not hold them",
        empty=f"kitpack init --force {Path(name).parent}",
    )
    text = decoded(raw, kind, faults)
    root = None if text is None else read_yaml(text, kind, faults)
    if root is None:
        raise KitfileError(faults.ordered())
    data = to_json(root, kitfile_schema(), definition(""), faults.add)
    if not plainly_fits()(data):
        faults.issues += validate(
            data, kitfile_schema(), lambda path, key: locate(root, path, key=key), name, refused=NOT_PACKED
        )
    faults.issues += path_issues(data, root, name)
    if faults.issues:
        raise KitfileError(faults.ordered())
    return build(data, root, raw, Path(name).name)
