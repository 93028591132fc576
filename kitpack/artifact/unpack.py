"""A bundle becomes files: all of them, or none.

Everything is fetched and verified into a staging folder on the same file system first; what is already in place is not
fetched. Only then do files move to where they belong (:mod:`kitpack.artifact.install`). An interrupted unpack leaves
the staging folder behind, and the same command continues from it.
"""

from __future__ import annotations

import shutil
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.conflicts import refuse_changes, refuse_obstacles
from kitpack.artifact.dialects import Layer, read_layer
from kitpack.artifact.install import TREE, is_moving, move_back, move_in
from kitpack.artifact.installed import Installed, InstalledFile, hash_file, is_unchanged
from kitpack.artifact.paths import MAX_DEPTH, Tree, check_tree, shown
from kitpack.artifact.select import EVERYTHING, Selection
from kitpack.content.copy import blaming, leased
from kitpack.content.events import Counted, Event, OnEvent, ignore
from kitpack.content.sidebyside import side_by_side
from kitpack.content.store.durable import make_folders, sync_folder
from kitpack.content.store.folder import blob_path, is_stored
from kitpack.content.store.ingest import store_blob
from kitpack.content.store.locks import exclusive
from kitpack.content.verify import VerifyingStream
from kitpack.errors import NotFoundError, RegistryError, StoreError, UnsafePathError
from kitpack.oci.digest import BLOCK

__all__ = ["Unpacked", "unpack"]

STAGING = ".kitpack-staging"
_LOCK = "lock"
_READABLE = 0o400


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What an unpack did.

    Attributes:
        written: Paths that were written.
        kept: Paths that were already as they should be.
        removed: Paths of an earlier bundle that this one does not have.
    """

    written: tuple[str, ...]
    kept: tuple[str, ...]
    removed: tuple[str, ...]


def unpack(
    bundle: Bundle,
    folder: Path,
    *,
    reference: str = "",
    only: Selection = EVERYTHING,
    overwrite: bool = False,
    jobs: int = 4,
    on_event: OnEvent = ignore,
) -> Unpacked:
    """Write the files of a bundle into a folder.

    A folder that holds another version becomes exactly this one: files of the other that this one lacks are removed.
    Files that the user made or changed are never touched unless ``overwrite`` says so.

    Args:
        bundle: What to unpack.
        folder: Where to; made when missing.
        reference: What the user called it, for the record.
        only: The files to write; the others are left as they are.
        overwrite: Whether changed files may be replaced.
        jobs: Layers fetched at the same time.
        on_event: Told about progress, from several threads.

    Raises:
        FileConflictError: When files would be overwritten that were changed, naming them, or something else is in
            the way; nothing is written.
        StoreError: When another process is unpacking into the folder, or its record is damaged.
        UnsafePathError: When a path in the bundle is not safe; nothing is written.
        IntegrityError, NotFoundError: When content is damaged or missing; nothing is written.
    """
    _refuse_nameless(bundle)
    layers = [layer for layer in bundle.layers if only.may_reach_into(layer)]
    plain = {layer.path: _file_of(layer) for layer in layers if layer.verbatim}
    check_tree([layer.path for layer in layers if layer.verbatim])
    with leased(bundle.source), _staging(folder) as staging:
        move_back(folder, staging)
        before = Installed.load(folder) or Installed()
        if overwrite:  # whoever says so may know of damage that no stamp shows
            before = before.unstamped()
        kept = _in_place(folder, before, layers, only)
        refuse_obstacles(folder, plain, _leaving(before, plain, only))  # before hours are spent on fetching
        if not overwrite:
            refuse_changes(folder, before, {path: file for path, file in plain.items() if path not in kept})
        staged = _stage(bundle, layers, kept, staging, only, jobs, on_event)
        new = {**kept, **staged}
        only.check([*new], bundle.layers)
        gone = _leaving(before, new, only)
        refuse_obstacles(folder, new, gone)
        if not overwrite:
            refuse_changes(folder, before, {**staged, **gone})
        settled = {**_stamped(folder, kept), **_stamped(staging / TREE, staged)}
        archives = {**before.archives, **_whole_archives(layers, new, only)}
        _record(bundle, reference, before.without(gone), settled, archives).save(staging / TREE, staging)
        _install(folder, staging, sorted(staged), sorted(gone), kept)
    return Unpacked(written=tuple(sorted(staged)), kept=tuple(sorted(kept)), removed=tuple(sorted(gone)))


def _leaving(before: Installed, new: Mapping[str, InstalledFile], only: Selection) -> dict[str, InstalledFile]:
    """The files of the earlier bundle that this one lacks."""
    return {path: file for path, file in before.files.items() if path not in new and only.covers(file.role, path)}


def _refuse_nameless(bundle: Bundle) -> None:
    """Refuse what has no files at all, such as a container image; it must not look like an empty bundle."""
    if bundle.manifest.layers and not bundle.layers:
        raise NotFoundError(
            f"none of the {len(bundle.manifest.layers)} layers of {bundle.descriptor.digest} says which file it is",
            hint="it is something else than a bundle; see `kitpack inspect`",
        )


def _in_place(folder: Path, before: Installed, layers: Sequence[Layer], only: Selection) -> dict[str, InstalledFile]:
    """The files that are there already, so that nothing need be fetched for them."""
    kept: dict[str, InstalledFile] = {}
    for layer in layers:
        file = _file_of(layer)
        if not layer.verbatim:
            whole = only.covers(layer.role, layer.path)
            members = before.of_archive(file.digest, folder).items()
            kept.update((path, member) for path, member in members if whole or only.covers(member.role, path))
        elif is_unchanged(folder / layer.path, before.with_stamp(layer.path, file)):
            kept[layer.path] = file
    return kept


def _is_kept(layer: Layer, kept: Mapping[str, InstalledFile]) -> bool:
    return layer.path in kept or (not layer.verbatim and any(_came_from(layer, file) for file in kept.values()))


def _came_from(layer: Layer, file: InstalledFile) -> bool:
    return file.archive == str(layer.descriptor.digest)


def _whole_archives(layers: Sequence[Layer], files: Mapping[str, InstalledFile], only: Selection) -> dict[str, int]:
    whole = [layer for layer in layers if not layer.verbatim and only.covers(layer.role, layer.path)]
    return {str(layer.descriptor.digest): sum(_came_from(layer, file) for file in files.values()) for layer in whole}


def _file_of(layer: Layer) -> InstalledFile:
    return InstalledFile(
        digest=str(layer.descriptor.digest), size=layer.descriptor.size, mode=layer.mode | _READABLE, role=layer.role
    )


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A folder on the target's file system for what is not whole yet.

    It outlives a lost connection and a killed process, so that the next try fetches only what is missing; when the
    bundle turns out to be bad, or all is done, it goes.
    """
    beside = folder.parent / f"{STAGING}-{folder.name}"
    staging = folder / STAGING if folder.exists() else beside
    busy = StoreError(f"another kitpack is unpacking into {folder}", hint="wait for it to end, then try again")
    if staging != beside and beside.is_dir():
        _sweep(beside, busy)
    make_folders(staging)
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


def _sweep(staging: Path, busy: StoreError) -> None:
    """Remove what a process left that was killed when the folder had appeared."""
    with exclusive(staging / _LOCK, busy=busy):
        shutil.rmtree(staging, ignore_errors=True)


def _stage(
    bundle: Bundle,
    layers: Sequence[Layer],
    kept: Mapping[str, InstalledFile],
    staging: Path,
    only: Selection,
    jobs: int,
    on_event: OnEvent,
) -> dict[str, InstalledFile]:
    """Bring every file that is not in place, verified, to its path below ``tree``; say what they are."""
    tree = staging / TREE
    shutil.rmtree(tree, ignore_errors=True)  # left by a try that ended; its blobs are worth keeping, its order is not
    tree.mkdir()
    names = Tree()
    for path in {*kept, *(layer.path for layer in layers if layer.verbatim)}:
        _admit(names, path)
    wanted = [layer for layer in layers if not _is_kept(layer, kept)]
    plain = [layer for layer in wanted if layer.verbatim]
    blobs = {layer.descriptor.digest: layer for layer in plain}
    side_by_side(partial(_fetch, bundle, staging), blobs.values(), jobs, on_event)
    staged: dict[str, InstalledFile] = {}
    for layer in wanted:
        if not layer.verbatim:
            staged.update(_extract(bundle, layer, tree, names, only, on_event))
    uses = Counter(layer.descriptor.digest for layer in plain)
    for layer in plain:
        uses[layer.descriptor.digest] -= 1
        _place(
            blob_path(staging, layer.descriptor.digest),
            tree / layer.path,
            layer.mode | _READABLE,
            last=not uses[layer.descriptor.digest],
        )
        staged[layer.path] = _file_of(layer)
    return staged


def _admit(names: Tree, path: str) -> None:
    if path.count("/") >= MAX_DEPTH:
        raise UnsafePathError(f"the path '{shown(path)}' is more than {MAX_DEPTH} names deep")
    names.add_file(path)


def _fetch(bundle: Bundle, staging: Path, layer: Layer, on_event: OnEvent) -> None:
    open_at = Counted(partial(bundle.source.fetch, layer.descriptor), layer.path, layer.descriptor.size, on_event)
    if not is_stored(blob_path(staging, layer.descriptor.digest), layer.descriptor.size):
        with blaming(layer.path):
            store_blob(staging, layer.descriptor, open_at)
    on_event(Event(kind="finished" if open_at.opened else "skipped", name=layer.path, size=layer.descriptor.size))


def _place(blob: Path, target: Path, mode: int, *, last: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if last:
        blob.rename(target)
    else:
        shutil.copyfile(blob, target)
    target.chmod(mode)


def _extract(
    bundle: Bundle, layer: Layer, tree: Path, names: Tree, only: Selection, on_event: OnEvent
) -> Iterator[tuple[str, InstalledFile]]:
    """Write the chosen members of an archive below a folder; a damaged archive ends with an error, never with files."""
    whole = only.covers(layer.role, layer.path)
    descriptor = layer.descriptor
    open_at = Counted(partial(bundle.source.fetch, descriptor), layer.path, descriptor.size, on_event)
    with blaming(layer.path), open_at(0) as raw, VerifyingStream(raw, descriptor) as proven:
        for member in read_layer(proven, layer):
            if member.is_file and (whole or only.covers(layer.role, member.path)):
                _admit(names, member.path)
                target = tree / member.path
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    shutil.copyfileobj(member.stream, file, BLOCK)
                target.chmod(member.mode | _READABLE)
                yield (
                    member.path,
                    InstalledFile(
                        digest=hash_file(target),
                        size=target.stat().st_size,
                        mode=member.mode | _READABLE,
                        role=layer.role,
                        archive=str(descriptor.digest),
                    ),
                )
        proven.drain()
    on_event(Event(kind="finished", name=layer.path, size=descriptor.size))


def _install(
    folder: Path, staging: Path, staged: Sequence[str], gone: Sequence[str], kept: Mapping[str, InstalledFile]
) -> None:
    if folder.exists():
        modes = {path: file.mode for path, file in kept.items() if file.mode != _mode(folder / path)}
        move_in(folder, staging, staged, gone, modes)
    else:
        (staging / TREE).rename(folder)  # the whole bundle appears at once
    sync_folder(folder)


def _mode(location: Path) -> int:
    return stat.S_IMODE(location.lstat().st_mode)


def _stamped(folder: Path, files: Mapping[str, InstalledFile]) -> dict[str, InstalledFile]:
    return {path: file.stamped(folder / path) for path, file in files.items()}


def _record(
    bundle: Bundle,
    reference: str,
    before: Installed,
    new: Mapping[str, InstalledFile],
    archives: Mapping[str, int],
) -> Installed:
    digest = str(bundle.descriptor.digest)
    ours = {path: replace(file, origin=reference or digest) for path, file in new.items()}
    return Installed(reference=reference, digest=digest, files={**before.files, **ours}, archives=archives)
