"""Files that stand where a bundle was unpacked and are none of its own."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from kitpack.artifact.unpacking.install import files_below
from kitpack.artifact.unpacking.installed import Installed
from kitpack.kitfile.ignore import IgnoreRules

__all__ = ["find_extra"]

_BY_MACHINES = frozenset({"__pycache__", ".DS_Store", ".ipynb_checkpoints"})


def find_extra(folder: Path, installed: Installed) -> list[str]:
    """The files in a bundle's own folders that it does not have, in the order of their paths.

    Folders that a bundle brings are its own, with all below them: whoever reads all files of ``prompts`` reads what
    somebody put there. The top folder is not; a bundle is often unpacked beside other things. What machines leave
    behind, such as caches of compiled Python, does not count.

    Args:
        folder: The folder.
        installed: Its record.
    """
    tops = sorted({PurePosixPath(path).parts[0] for path in installed.files if "/" in path})
    found = [f"{top}/{one}" for top in tops if not (folder / top).is_symlink() for one in files_below(folder / top)]
    return sorted(path for path in found if path not in installed.files and not _is_left_behind(path))


def _is_left_behind(path: str) -> bool:
    return bool(_BY_MACHINES & set(path.split("/"))) or IgnoreRules().matches(path)
