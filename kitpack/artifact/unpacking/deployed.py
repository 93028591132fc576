"""A folder of releases on a host, one of which is live.

::

    DIR/current               a link to the release that is live, switched in one step
    DIR/releases/2cf24dba5fb0 a release, named by its digest; read-only weights are shared with the others
    DIR/deployments.jsonl     what became live when, see :mod:`kitpack.artifact.unpacking.deploylog`
    DIR/.deploy.lock          held while something changes

A release stands under its name only when it is whole. Until then it is built beside, under a name with a dot, and what
makes way gets such a name first, too: whatever is interrupted, everything below ``releases`` without a dot is whole.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.select import EVERYTHING, Selection
from kitpack.artifact.unpacking.deploylog import Entry, append_entry, read_entries
from kitpack.artifact.unpacking.inherit import SharingBundle, inherit, load_record, steady
from kitpack.artifact.unpacking.install import is_moving
from kitpack.artifact.unpacking.installed import RECORD_NAME, is_unchanged
from kitpack.artifact.unpacking.staging import STAGING
from kitpack.artifact.unpacking.unpack import unpack
from kitpack.content.events import OnEvent, ignore
from kitpack.content.store.durable import make_folders, sync_folder
from kitpack.content.store.locks import exclusive
from kitpack.errors import FileConflictError, StoreError
from kitpack.oci.digest import Digest

__all__ = ["Built", "ReleaseFolder", "release_name"]

CURRENT = "current"
RELEASES = "releases"
LOG = "deployments.jsonl"
_LOCK = ".deploy.lock"
_BUILDING = ".building-"
_GOING = ".going-"
_SWITCHING = ".current-"
_NAME = re.compile(r"[0-9a-f]{12}(\.[0-9a-f]{6})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What it took to bring a release to its place.

    Attributes:
        written: Bytes of files that came from the source.
        shared: Bytes of files that were taken over from earlier releases.
    """

    written: int = 0
    shared: int = 0


def release_name(digest: Digest, only: Selection = EVERYTHING) -> str:
    """The name of a release's folder; another choice among its files is another folder."""
    words = [*sorted(only.roles), *sorted(only.patterns)]
    return f"{digest.short}.{sha256(repr(words).encode()).hexdigest()[:6]}" if words else digest.short


class ReleaseFolder:
    """A folder of releases. Making the object touches nothing on the disk.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._releases = path / RELEASES

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else from changing the folder, and remove what somebody left who was interrupted.

        Raises:
            StoreError: When somebody else is changing it.
        """
        make_folders(self._releases)
        busy = StoreError(f"another kitpack is deploying into {self.path}", hint="wait for it to end, then try again")
        with exclusive(self.path / _LOCK, busy=busy):
            for left in [*self._releases.glob(f"{_GOING}*"), *self._releases.glob(".kitpack.json.*.tmp")]:
                _remove(left)
            for left in self.path.glob(f"{_SWITCHING}*"):
                left.unlink()
            yield

    def current(self) -> str:
        """The name of the release that is live; empty when none is.

        Raises:
            FileConflictError: When something stands there that was not deployed.
        """
        link = self.path / CURRENT
        if not os.path.lexists(link):
            return ""
        target = link.readlink() if link.is_symlink() else Path()
        if target.parent != Path(RELEASES) or not _NAME.fullmatch(target.name):
            found = f"leads to {target}" if link.is_symlink() else "is not a link"
            raise FileConflictError(
                f"{link} {found}; expected a link to a release that was deployed into {self._releases}",
                hint="move it away, or deploy into a folder of its own",
            )
        return target.name

    def release(self, name: str) -> Path:
        """The folder of a release."""
        return self._releases / name

    def names(self) -> list[str]:
        """The releases that are there, the newest first. What else stands there is somebody's own, and stays."""
        if not self._releases.is_dir():
            return []
        found = [one for one in self._releases.iterdir() if _NAME.fullmatch(one.name) and _is_ours(one)]
        return [one.name for one in sorted(found, key=lambda one: one.stat().st_mtime_ns, reverse=True)]

    def holds(self, name: str, digest: Digest) -> bool:
        """Whether a release is there.

        Raises:
            StoreError: When another one is, under the same name.
        """
        folder = self.release(name)
        if not os.path.lexists(folder):
            return False
        if folder.is_symlink() or not folder.is_dir():
            raise StoreError(f"{folder} is no folder that was deployed", hint=f"move {folder} away")
        record = load_record(folder)
        if record and record.digest != str(digest):
            raise StoreError(f"{folder} holds {record.digest}, not {digest}", hint=f"move {folder} away")
        return True

    def is_whole(self, name: str) -> bool:
        """Whether every file of a release is as it was deployed; read are only those that somebody touched."""
        folder = self.release(name)
        record = load_record(folder)
        return record is not None and all(is_unchanged(folder / path, file) for path, file in record.files.items())

    def build(
        self,
        bundle: Bundle,
        name: str,
        *,
        reference: str = "",
        only: Selection = EVERYTHING,
        jobs: int = 4,
        on_event: OnEvent = ignore,
    ) -> Built:
        """Bring a release to its place; what earlier releases have of it is not fetched.

        An interrupted build is gone on with by the next one of the same release.

        Raises:
            UnpackError, IntegrityError, NotFoundError, RegistryError: As
                :func:`kitpack.artifact.unpacking.unpack.unpack`.
        """
        building = self._releases / f"{_BUILDING}{name}"
        sharing = SharingBundle(bundle.source, bundle.descriptor)
        live = self.current()
        earlier = [self.release(one) for one in sorted(self.names(), key=lambda one: one != live)]
        with steady(earlier, self._releases):
            self._clear(building)
            shared = inherit(sharing, only, building, earlier, reference)
        unpack(sharing, building, reference=reference, only=only, jobs=jobs, on_event=on_event)
        record = load_record(building)
        size = sum(file.size for file in record.files.values()) if record else 0
        for above, _, _ in os.walk(building):
            sync_folder(Path(above))
        building.rename(self.release(name))
        sync_folder(self._releases)
        return Built(written=size - shared, shared=shared)

    def mend(
        self, bundle: Bundle, name: str, *, reference: str = "", only: Selection = EVERYTHING, jobs: int = 4
    ) -> None:
        """Bring back what was changed or removed in a release since it was deployed. Raises as :meth:`build`."""
        sharing = SharingBundle(bundle.source, bundle.descriptor)
        unpack(sharing, self.release(name), reference=reference, only=only, overwrite=True, jobs=jobs)

    def switch(self, entry: Entry) -> None:
        """Write down that a release becomes live, and make it so: whoever reads ``current`` sees one or the other."""
        append_entry(self.path / LOG, entry)
        temporary = self.path / f"{_SWITCHING}{os.urandom(6).hex()}"
        temporary.symlink_to(Path(RELEASES) / entry.release)
        temporary.replace(self.path / CURRENT)
        sync_folder(self.path)

    def entries(self) -> list[Entry]:
        """What became live, oldest first."""
        return read_entries(self.path / LOG)

    def prune(self, keep: Collection[str]) -> list[str]:
        """Remove all releases but some, and what is left of builds that were given up.

        Returns:
            The names of those that were removed.
        """
        gone = [name for name in self.names() if name not in keep]
        staying = [self.release(name) for name in keep if self.release(name).is_dir()]
        for building in self._releases.glob(f"{_BUILDING}*"):
            building.rename(self._releases / f"{_GOING}{building.name}")
        for name in gone:
            self.release(name).rename(self._releases / f"{_GOING}{name}")
        left = list(self._releases.glob(f"{_GOING}*"))
        if left:
            with steady(staying, self._releases):
                _remove_all(left)
        return gone

    def _clear(self, building: Path) -> None:
        """Leave of an interrupted build only what it fetched: it is proven again, and the rest costs nothing."""
        if building.is_symlink():
            building.unlink()
        if is_moving(building / STAGING):  # half of it is in place already: begin anew
            shutil.rmtree(building)
        make_folders(building)
        for one in building.iterdir():
            if one.name != STAGING:
                _remove(one)


def _remove_all(folders: Sequence[Path]) -> None:
    for folder in folders:
        _remove(folder)


def _remove(path: Path) -> None:
    """Remove a folder with all in it, or a file; of a link, only the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and (folder / RECORD_NAME).is_file()
