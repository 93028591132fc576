"""The author's folder: which regular files it holds, and their bytes as they were when the packing began."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from kitpack.artifact.paths import MAX_DEPTH, printable, safe_path
from kitpack.content.kernelcopy import copy_range
from kitpack.errors import ChangedFileError, PackError, UnsafePathError
from kitpack.kitfile.ignore import IgnoreRules

__all__ = ["SourceFile", "walk_files"]

_STORE_MARK = "oci-layout"

EXECUTABLE = 0o755
PLAIN = 0o644
"""The two modes that are packed, as in git: what else a mode says comes from the umask of the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A regular file below the author's folder.

    Attributes:
        path: Its path below the folder, forward slashes.
        location: Where it is.
        size: Its number of bytes when it was found.
        mode: 0o755 when its owner may execute it, else 0o644.
        stamp: What changes when somebody writes to it.
        changed: When anything about it changed last, its name and its mode included: nanoseconds since 1970.
    """

    path: str
    location: str
    size: int
    mode: int
    stamp: tuple[int, ...]
    changed: int

    @property
    def times(self) -> tuple[int, int]:
        """When somebody wrote to it, and when anything about it changed: nanoseconds since 1970."""
        return self.stamp[-1], self.changed

    def open_at(self, offset: int) -> BinaryIO:
        """Open the file; see :data:`kitpack.content.target.Opener`.

        Raises:
            ChangedFileError: Here or while reading, when it is no longer the file that was found.
        """
        try:
            file = io.FileIO(self.location)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise self._changed() from None
        if _stamp(os.fstat(file.fileno())) != self.stamp:
            file.close()
            raise self._changed()
        file.seek(offset)
        return cast("BinaryIO", _Unchanged(file, self))

    def _changed(self) -> ChangedFileError:
        return ChangedFileError(
            f"{printable(self.path)} changed while it was being packed",
            hint="wait until nothing writes to it, then run the same command again",
        )


class _Unchanged(io.RawIOBase):
    """A file that makes sure at its end that nobody wrote to it meanwhile."""

    def __init__(self, file: io.FileIO, source: SourceFile) -> None:
        self._file = file
        self._source = source

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a memoryview is what io passes
        return self._checked(self._file.readinto(buffer) or 0, len(buffer))

    def send_to(self, fd: int, count: int) -> int:
        """See :meth:`kitpack.content.kernelcopy.SendsToFile.send_to`."""
        return self._checked(copy_range(self._file.fileno(), fd, count), count)

    def _checked(self, count: int, wanted: int) -> int:
        if not count and wanted and _stamp(os.fstat(self._file.fileno())) != self._source.stamp:
            raise self._source._changed()  # noqa: SLF001
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def walk_files(
    folder: Path, start: str, ignored: IgnoreRules, *, follow_symlinks: bool = False
) -> Iterator[SourceFile]:
    """All files at or below a path of the folder, in byte order of their paths.

    Args:
        folder: The author's folder.
        start: A path below it; ``.`` for all of it.
        ignored: What to leave out below it.
        follow_symlinks: Whether links may lead to folders, and out of the author's folder.

    Raises:
        PackError: When something is neither a file nor a folder, or a link leads where it may not.
        UnsafePathError: When a name cannot be unpacked everywhere.
    """
    walk = _Walk(str(folder.resolve()), ignored, follow_symlinks)
    if start == ".":
        yield from walk.at("", ())
    else:
        walk.check_folders_above(start)
        yield from walk.at(start, ())


@dataclass(frozen=True, slots=True)
class _Walk:
    root: str
    ignored: IgnoreRules
    follow_symlinks: bool

    def check_folders_above(self, path: str) -> None:
        """Refuse a path that leads through a link out of the author's folder."""
        parent = Path(self.root, path).parent.resolve()
        if not self.follow_symlinks and not parent.is_relative_to(self.root):
            raise _leads_away(path, parent)

    def at(self, path: str, parents: tuple[tuple[int, int], ...]) -> Iterator[SourceFile]:
        location = f"{self.root}/{path}" if path else self.root
        try:
            found = os.lstat(location)
        except (FileNotFoundError, NotADirectoryError):
            raise PackError(f"{printable(path)} does not exist") from None
        if stat.S_ISLNK(found.st_mode):
            found = self._linked(path, location)
        if stat.S_ISDIR(found.st_mode):
            yield from self._below(path, found, parents)
        elif stat.S_ISREG(found.st_mode):
            yield _source_file(path, location, found)
        else:
            raise PackError(f"{printable(path)} is neither a file nor a folder", hint="list it in .kitignore")

    def _below(self, path: str, found: os.stat_result, parents: tuple[tuple[int, int], ...]) -> Iterator[SourceFile]:
        identity = (found.st_dev, found.st_ino)
        if identity in parents:
            raise PackError(f"{printable(path)} is a link to a folder above itself", hint="list it in .kitignore")
        if len(parents) >= MAX_DEPTH:
            raise PackError(
                f"{printable(path[:200])}… is a folder {MAX_DEPTH} names deep; no file may be deeper than that"
            )
        names = _sorted_names(f"{self.root}/{path}")
        if (_STORE_MARK, False) in names:
            raise PackError(
                f"{printable(path or '.')} is a store of bundles (an OCI image layout), which does not belong into one",
                hint="list it in .kitignore, or keep the store elsewhere (KITPACK_HOME)",
            )
        for name, is_folder in names:
            child = f"{path}/{name}" if path else name
            if not (self.ignored.covers(child) if is_folder else self.ignored.matches(child)):
                yield from self.at(child, (*parents, identity))

    def _linked(self, path: str, location: str) -> os.stat_result:
        try:
            real = Path(location).resolve(strict=True)
        except (OSError, RuntimeError):
            raise PackError(f"{printable(path)} is a link that leads nowhere", hint="remove it") from None
        found = real.stat()
        inside = real.is_relative_to(self.root) and stat.S_ISREG(found.st_mode)
        if not inside and not self.follow_symlinks:
            raise _leads_away(path, real)
        return found


def _leads_away(path: str, real: Path) -> PackError:
    return PackError(
        f"{printable(path)} is a link to {printable(str(real))}; links are followed to files inside the folder",
        hint="copy what it leads to, list it in .kitignore, or pack with --follow-symlinks",
    )


def _sorted_names(folder: str) -> list[tuple[str, bool]]:
    """Names in byte order, folders as if they ended in a slash, so that whole paths come out in byte order."""
    with os.scandir(folder) as entries:
        named = [(entry.name, _is_folder(entry)) for entry in entries]
    return sorted(named, key=lambda one: os.fsencode(one[0] + "/" * one[1]))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to what nobody may see
        return False


def _source_file(path: str, location: str, found: os.stat_result) -> SourceFile:
    if safe_path(path) != path:
        raise UnsafePathError(f"{printable(path)} is not a path that can be packed")
    return SourceFile(
        path=path,
        location=location,
        size=found.st_size,
        mode=EXECUTABLE if found.st_mode & stat.S_IXUSR else PLAIN,
        stamp=_stamp(found),
        changed=found.st_ctime_ns,
    )


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
