"""The folder where files wait until all of them have arrived and have been proven.

It is on the target's file system, in the target folder or, until that exists, beside it. Nobody but its owner may look
into it, and it is not believed: whatever is found there from an earlier try is proven again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.decompress import DEFAULT_LIMITS
from kitpack.artifact.dialects import Layer, read_layer
from kitpack.artifact.extract import Member
from kitpack.artifact.paths import MAX_DEPTH, Tree, shown
from kitpack.artifact.select import Selection
from kitpack.artifact.unpacking.install import TREE, is_moving
from kitpack.artifact.unpacking.installed import InstalledFile, hash_file
from kitpack.artifact.unpacking.linking import is_linkable, link_blob, refuse_unlinkable
from kitpack.content.copy import blaming
from kitpack.content.events import Counted, Event, OnEvent
from kitpack.content.sidebyside import side_by_side
from kitpack.content.store.durable import make_folders, sync_folder
from kitpack.content.store.folder import blob_path, is_stored
from kitpack.content.store.ingest import store_blob
from kitpack.content.store.locks import exclusive
from kitpack.content.verify import VerifyingStream
from kitpack.errors import FileConflictError, RegistryError, StoreError, UnpackError, UnsafePathError
from kitpack.oci.digest import BLOCK

__all__ = ["archive_key", "open_staging", "stage", "staged_beside", "staged_file"]

STAGING = ".kitpack-staging"
_LOCK = "lock"
_READABLE = 0o400


@contextmanager
def open_staging(folder: Path) -> Iterator[Path]:
    """A folder on the target's file system for what is not whole yet, for one process at a time.

    It outlives a lost connection and a killed process, so that the next try fetches only what is missing; when the
    bundle turns out to be bad, or all is done, it goes.

    Raises:
        FileConflictError: When the target is no folder, or something else stands where the staging folder must be.
        StoreError: When another process is unpacking into the target.
    """
    _refuse_file(folder)
    beside = staged_beside(folder)
    staging = folder / STAGING if folder.exists() else beside
    busy = StoreError(f"another kitpack is unpacking into {folder}", hint="wait for it to end, then try again")
    if staging != beside and _is_private(beside):
        _sweep(beside, busy)
    _make_private(staging, busy)
    try:
        with exclusive(staging / _LOCK, busy=busy):
            try:
                yield staging
            except (RegistryError, KeyboardInterrupt):
                raise
            except BaseException:
                if not is_moving(staging):  # else it holds the user's files
                    shutil.rmtree(staging, ignore_errors=True)
                raise
            shutil.rmtree(staging, ignore_errors=True)
    finally:
        with suppress(OSError):  # it is empty if not even the lock could be made
            staging.rmdir()


def staged_beside(folder: Path) -> Path:
    """Where files wait for a folder that is not there yet; no longer a name than the folder's own may be."""
    return folder.parent / f"{STAGING}-{sha256(os.fsencode(folder.name)).hexdigest()[:16]}"


def staged_file(layer: Layer) -> InstalledFile:
    """The file that a layer is."""
    return InstalledFile(
        digest=str(layer.descriptor.digest), size=layer.descriptor.size, mode=layer.mode | _READABLE, role=layer.role
    )


def archive_key(layer: Layer) -> str:
    """What a record calls a layer that is not a file itself; equal for layers that become the same files."""
    place = layer.root if layer.archived else layer.path
    return f"{layer.descriptor.digest} {place}" if place else str(layer.descriptor.digest)


def stage(
    bundle: Bundle,
    layers: Sequence[Layer],
    kept: Mapping[str, InstalledFile],
    staging: Path,
    only: Selection,
    jobs: int,
    on_event: OnEvent,
    link: Path | None = None,
) -> dict[str, InstalledFile]:
    """Bring every file that is not in place, verified, to its path below ``tree``; say what they are.

    Args:
        bundle: Where the bytes come from.
        layers: What is wanted of it.
        kept: The files that are in place.
        staging: The staging folder.
        only: The members of archives to write.
        jobs: Layers fetched at the same time.
        on_event: Told about progress, from several threads.
        link: The layout that weights are linked from.

    Raises:
        UnpackError: When the files would be beyond all proportion to the bundle.
        UnsafePathError: When two files cannot stand side by side.
    """
    if link:
        refuse_unlinkable(link, layers, staging)
    tree = staging / TREE
    shutil.rmtree(tree, ignore_errors=True)  # left by a try that ended; its blobs are worth keeping, its order is not
    tree.mkdir()
    names = Tree()
    for path in {*kept, *(layer.path for layer in layers if layer.verbatim)}:
        _admit(names, path)
    there = {*kept, *(file.archive for file in kept.values())}
    wanted = [layer for layer in layers if (layer.path if layer.verbatim else archive_key(layer)) not in there]
    plain = [layer for layer in wanted if layer.verbatim]
    budget = _Budget.of(wanted)
    budget.spend(sum(layer.descriptor.size for layer in plain))
    linked = [layer for layer in plain if link and is_linkable(layer)]
    copied = [layer for layer in plain if not (link and is_linkable(layer))]
    blobs = {layer.descriptor.digest: layer for layer in copied}
    side_by_side(partial(_fetch, bundle, staging), blobs.values(), jobs, on_event)
    if link:
        side_by_side(partial(link_blob, link, tree), linked, jobs, on_event)
    staged: dict[str, InstalledFile] = {}
    for layer in wanted:
        if not layer.verbatim:
            writing = _Writing(tree=tree, names=names, budget=budget, only=only)
            staged.update(_extract(bundle, layer, writing, on_event))
    _place_all(copied, staging)
    return {**staged, **{layer.path: staged_file(layer) for layer in plain}}


@dataclass(slots=True)
class _Budget:
    """The bytes that files may still take: each layer keeps to its limits, but thousands may share one small blob."""

    compressed: int
    total: int
    left: int

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> _Budget:
        compressed = sum({layer.descriptor.digest: layer.descriptor.size for layer in layers}.values())
        total = DEFAULT_LIMITS.bundle_ratio_from + DEFAULT_LIMITS.bundle_ratio * compressed
        return cls(compressed, total, total)

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise UnpackError(
                f"the bundle's {self.compressed} bytes would become more than {self.total} bytes of files",
                hint="no honest bundle grows like that; ask whoever packed it",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writing:
    """Where the members of archives go, beside which names, and how many bytes and which of them may."""

    tree: Path
    names: Tree
    budget: _Budget
    only: Selection

    def write(self, member: Member) -> tuple[str, int]:
        """Write a member to its path; its digest and size, taken while the bytes pass."""
        _admit(self.names, member.path)
        target = self.tree / member.path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            found = self._fill(file, member)
        target.chmod(member.mode | _READABLE)
        return found

    def _fill(self, file: BinaryIO, member: Member) -> tuple[str, int]:
        hasher, size = hashlib.sha256(), 0
        while block := member.stream.read(BLOCK):
            self.budget.spend(len(block))
            hasher.update(block)
            size += len(block)
            file.write(block)
        return f"{hasher.name}:{hasher.hexdigest()}", size


def _refuse_file(folder: Path) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        found = "a link that leads nowhere" if folder.is_symlink() and not folder.exists() else "not a folder"
        raise FileConflictError(
            f"{folder} is {found}; expected a folder or nothing", hint="move it away, or unpack into another folder"
        )


def _make_private(staging: Path, busy: StoreError) -> None:
    """Make the staging folder, or make sure that the one that is there is a folder and ours."""
    make_folders(staging.parent)
    try:
        staging.mkdir(0o700)
    except FileExistsError:
        if not os.path.lexists(staging):  # who held it has removed it
            raise busy from None
        if not _is_private(staging):
            raise FileConflictError(
                f"{staging} is not a folder of yours; kitpack needs that name while it unpacks", hint="move it away"
            ) from None
    else:
        sync_folder(staging.parent)


def _is_private(staging: Path) -> bool:
    try:
        found = staging.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _sweep(staging: Path, busy: StoreError) -> None:
    """Remove what a process left that was killed when the folder had appeared."""
    with exclusive(staging / _LOCK, busy=busy):
        shutil.rmtree(staging, ignore_errors=True)


def _admit(names: Tree, path: str) -> None:
    if path.count("/") >= MAX_DEPTH:
        raise UnsafePathError(f"the path '{shown(path)}' is more than {MAX_DEPTH} names deep")
    names.add_file(path)
    if names.entries > DEFAULT_LIMITS.members:
        raise UnpackError(f"the bundle has more than the {DEFAULT_LIMITS.members} files and folders allowed")


def _fetch(bundle: Bundle, staging: Path, layer: Layer, on_event: OnEvent) -> None:
    descriptor, digest = layer.descriptor, layer.descriptor.digest
    open_at = Counted(partial(bundle.source.fetch, descriptor), layer.path, descriptor.size, on_event)
    blob = blob_path(staging, digest)
    if not is_stored(blob, descriptor.size) or hash_file(blob, digest.algorithm) != str(digest):
        with blaming(layer.path):
            store_blob(staging, descriptor, open_at)
    on_event(Event(kind="finished" if open_at.opened else "skipped", name=layer.path, size=descriptor.size))


def _place_all(layers: Sequence[Layer], staging: Path) -> None:
    """Give every file its blob; the last of those that share one takes it, the others a copy."""
    uses = Counter(layer.descriptor.digest for layer in layers)
    for layer in layers:
        uses[layer.descriptor.digest] -= 1
        blob, target = blob_path(staging, layer.descriptor.digest), staging / TREE / layer.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if uses[layer.descriptor.digest]:
            shutil.copyfile(blob, target)
        else:
            blob.rename(target)
        target.chmod(layer.mode | _READABLE)


def _extract(bundle: Bundle, layer: Layer, writing: _Writing, on_event: OnEvent) -> Iterator[tuple[str, InstalledFile]]:
    """Write the chosen members of an archive below a folder; a damaged archive ends with an error, never with files."""
    only, descriptor = writing.only, layer.descriptor
    whole = only.covers(layer.role, layer.path)
    open_at = Counted(partial(bundle.source.fetch, descriptor), layer.path, descriptor.size, on_event)
    with blaming(layer.path), open_at(0) as raw, VerifyingStream(raw, descriptor) as proven:
        for member in read_layer(proven, layer):
            if member.is_file and (whole or only.covers(layer.role, member.path)):
                digest, size = writing.write(member)
                yield (
                    member.path,
                    InstalledFile(
                        digest=digest,
                        size=size,
                        mode=member.mode | _READABLE,
                        role=layer.role,
                        archive=archive_key(layer),
                    ),
                )
        proven.drain()
    on_event(Event(kind="finished", name=layer.path, size=descriptor.size))
