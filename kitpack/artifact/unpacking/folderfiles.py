"""The small files of a folder, each read when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from kitpack.errors import KitpackError, UnsafePathError
from kitpack.kitfile.paths import read_bounded

__all__ = ["FolderFiles"]

_MOST_FILES = 10_000
_MOST_BYTES = 4 << 20
_SKIPPED = frozenset({"node_modules", "__pycache__"})


class FolderFiles(Mapping[str, bytes]):
    """The bytes of a folder's files by path; hidden files and what links lead to outside of it are not there.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths = dict.fromkeys(sorted(_walk(folder)))

    def __getitem__(self, path: str) -> bytes:
        if path not in self._paths:
            raise KeyError(path)
        place = self._folder / path
        if not place.resolve().is_relative_to(self._folder.resolve()):
            raise UnsafePathError(f"{place} leads out of {self._folder}", hint="copy the file there")
        raw = read_bounded(place, _MOST_BYTES)
        if len(raw) > _MOST_BYTES:
            raise KitpackError(f"{place} has more than {_MOST_BYTES} bytes; no prompt has")
        return raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def _walk(folder: Path) -> Iterator[str]:
    seen = 0
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one not in _SKIPPED)
        for name in names:
            seen += 1
            if seen > _MOST_FILES:
                raise KitpackError(f"{folder} has more than {_MOST_FILES} files", hint="name the folder of the prompts")
            if not name.startswith("."):
                yield Path(above, name).relative_to(folder).as_posix()
