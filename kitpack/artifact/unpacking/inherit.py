"""What a new release takes over from those that were deployed before it, instead of fetching it.

Weights and datasets of deployed releases are read-only, and one file with several names: a hard link costs nothing.
Everything else is copied, since somebody may edit it in one release, which must not reach into the others; where the
file system can, the copy shares its blocks.

A new name, or one name less, changes a file's change time and nothing else, in all releases that share it. Their
records note change times, so that nobody has to read gigabytes to know that they are unchanged: :func:`steady` keeps
those records true.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.dialects import Layer
from kitpack.artifact.paths import check_tree
from kitpack.artifact.select import Selection
from kitpack.artifact.unpacking.installed import Installed, InstalledFile, hash_file, is_unchanged
from kitpack.artifact.unpacking.staging import archive_key, staged_file
from kitpack.content.store.durable import make_folders, sync_file
from kitpack.errors import StoreError
from kitpack.oci.digest import Digest

__all__ = ["SharingBundle", "inherit", "load_record", "steady"]

_LINKED = frozenset({"model", "model-part", "dataset"})
_WRITABLE = 0o222
_FICLONE = 0x40049409  # Linux: share the blocks of another file of the same file system


class SharingBundle(Bundle):
    """A bundle whose weights and datasets become read-only files, so that releases can share them."""

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """See :attr:`kitpack.artifact.bundle.Bundle.layers`."""
        return tuple(replace(one, mode=one.mode & ~_WRITABLE) if one.role in _LINKED else one for one in super().layers)


def inherit(bundle: Bundle, only: Selection, folder: Path, earlier: Sequence[Path], reference: str = "") -> int:
    """Bring into a folder what earlier releases have of a bundle, with a record of it for whoever unpacks the rest.

    Args:
        bundle: The bundle.
        only: What is wanted of it.
        folder: Where to; nothing of the bundle is there yet.
        earlier: The folders of earlier releases, the most promising first.
        reference: What the bundle is called, for the record.

    Returns:
        The bytes that were taken over.

    Raises:
        UnsafePathError: When a path of the bundle is not safe.
    """
    layers = [layer for layer in bundle.layers if only.may_reach_into(layer)]
    check_tree([layer.path for layer in layers if layer.verbatim])
    taking = _Taking(folder, earlier)
    for layer in layers:
        if layer.verbatim:
            taking.take_file(layer)
        elif only.covers(layer.role, layer.path):
            taking.take_archive(layer)
    record = Installed(
        reference=reference,
        digest=str(bundle.descriptor.digest),
        files={path: file.stamped(folder / path) for path, file in taking.taken.items()},
        archives=taking.archives,
    )
    record.save(folder, folder)
    return sum(file.size for file in taking.taken.values())


def load_record(folder: Path) -> Installed | None:
    """The record of a release; None when there is none, or it cannot be read."""
    try:
        return Installed.load(folder)
    except (StoreError, OSError):
        return None


@contextmanager
def steady(releases: Sequence[Path], scratch: Path) -> Iterator[None]:
    """Keep the records of releases true while files that they share get or lose a name.

    Args:
        releases: Their folders; one that is gone at the end is passed over.
        scratch: A folder of the same file system for what is not whole yet.
    """
    before = {folder: record for folder in releases if (record := load_record(folder))}
    known = {folder: _unchanged(folder, record) for folder, record in before.items()}
    try:
        yield
    finally:
        for folder, record in before.items():
            with suppress(OSError):  # at worst, those files have to be read next time
                files = {path: record.files[path].settled(folder / path) for path in known[folder]}
                if any(file != record.files[path] for path, file in files.items()):
                    replace(record, files={**record.files, **files}).save(folder, scratch)


def _unchanged(folder: Path, record: Installed) -> list[str]:
    """The files whose stamps say that nobody touched them."""
    found = []
    for path, file in record.files.items():
        with suppress(OSError):
            if file.stamped(folder / path).stamp == file.stamp:
                found.append(path)
    return found


class _Taking:
    """Files on their way from earlier releases into a new one."""

    def __init__(self, folder: Path, earlier: Sequence[Path]) -> None:
        self.taken: dict[str, InstalledFile] = {}
        self.archives: dict[str, int] = {}
        self._folder = folder
        self._records = [(one, record) for one in earlier if (record := load_record(one))]
        self._known: dict[str, list[tuple[Path, InstalledFile]]] = {}
        for one, record in self._records:
            for path, file in record.files.items():
                self._known.setdefault(file.digest, []).append((one / path, file))

    def take_file(self, layer: Layer) -> None:
        """Take over a file that is a layer, wherever it stands in the earlier releases."""
        wanted = staged_file(layer)
        for location, known in self._known.get(wanted.digest, []):
            if is_unchanged(location, known) and self._take(location, layer.path, wanted):
                self.taken[layer.path] = wanted
                return

    def take_archive(self, layer: Layer) -> None:
        """Take over all files of an archive, or none."""
        key = archive_key(layer)
        for folder, record in self._records:
            files = record.of_archive(key, folder)
            came = [path for path, file in files.items() if self._take(folder / path, path, file)]
            if files and len(came) == len(files):
                self.taken.update({path: replace(file, role=layer.role) for path, file in files.items()})
                self.archives[key] = len(files)
                return
            for path in came:
                (self._folder / path).unlink()

    def _take(self, location: Path, path: str, wanted: InstalledFile) -> bool:
        target = self._folder / path
        try:
            make_folders(target.parent)
            return (wanted.role in _LINKED and _linked(location, target, wanted)) or _copied(location, target, wanted)
        except OSError:  # something of the bundle stands in the way: whoever unpacks the rest says what
            return False


def _linked(location: Path, target: Path, wanted: InstalledFile) -> bool:
    """Give a file that nobody may write to a second name; where that cannot be, it is copied."""
    if stat.S_IMODE(location.lstat().st_mode) != wanted.mode or wanted.mode & _WRITABLE:
        return False
    try:
        os.link(location, target, follow_symlinks=False)
    except OSError:  # too many names, or a file system without them
        return False
    return True


def _copied(location: Path, target: Path, wanted: InstalledFile) -> bool:
    """Copy a file, and prove the copy."""
    with location.open("rb") as source, target.open("xb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), _FICLONE, source.fileno())
        except OSError:
            shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        os.fchmod(copy.fileno(), wanted.mode)
        sync_file(copy.fileno())
    if hash_file(target, Digest.parse(wanted.digest).algorithm) == wanted.digest:
        return True
    target.unlink()
    return False
