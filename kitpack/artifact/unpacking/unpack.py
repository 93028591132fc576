"""A bundle becomes files: all of them, or none.

Everything is fetched and verified into a staging folder on the same file system first; what is already in place is not
fetched. Only then do files move to where they belong (:mod:`kitpack.artifact.unpacking.install`). An interrupted unpack
leaves the staging folder behind, and the same command continues from it.
"""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.dialects import Layer
from kitpack.artifact.paths import check_tree
from kitpack.artifact.select import EVERYTHING, Selection
from kitpack.artifact.unpacking.conflicts import refuse_changes, refuse_obstacles
from kitpack.artifact.unpacking.install import TREE, move_back, move_in
from kitpack.artifact.unpacking.installed import Installed, InstalledFile, is_unchanged
from kitpack.artifact.unpacking.linking import is_linkable, may_stay, read_only
from kitpack.artifact.unpacking.staging import archive_key, open_staging, stage, staged_file
from kitpack.content.copy import leased
from kitpack.content.events import OnEvent, ignore
from kitpack.content.store.durable import sync_folder, sync_tree
from kitpack.content.store.folder import blob_path
from kitpack.errors import NotFoundError

__all__ = ["Unpacked", "unpack"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What an unpack did.

    Attributes:
        written: Paths that were written.
        kept: Paths that were already as they should be.
        removed: Paths of an earlier bundle that this one does not have, without those that were there before it.
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
    link: Path | None = None,
    jobs: int = 4,
    on_event: OnEvent = ignore,
) -> Unpacked:
    """Write the files of a bundle into a folder, or nothing when it fails.

    A folder that holds another version becomes exactly this one: files of the other that this one lacks are removed.
    Files that the user made or changed are never touched unless ``overwrite`` says so, nor are files removed that were
    there with the same bytes before kitpack came.

    Args:
        bundle: What to unpack.
        folder: Where to; made when missing.
        reference: What the user called it, for the record.
        only: The files to write; the others are left as they are.
        overwrite: Whether changed files may be replaced, or removed when this version lacks them.
        link: The layout whose weights get a second name in the folder, read-only, instead of being copied.
        jobs: Layers fetched at the same time.
        on_event: Told about progress, from several threads.

    Raises:
        FileConflictError: When files would be overwritten that were changed, or something else is in the way.
        UnsafePathError: When a path in the bundle is not safe.
        UnpackError: When the files would be beyond all proportion, or part of the folder is on another file system, or
            weights cannot be linked.
        IntegrityError, NotFoundError: When content is damaged or missing.
        StoreError: When another process is unpacking into the folder, or its record is damaged.
    """
    _refuse_nameless(bundle)
    layers = [read_only(layer) if link else layer for layer in bundle.layers if only.may_reach_into(layer)]
    check_tree([layer.path for layer in layers if layer.verbatim])
    plain = {layer.path: staged_file(layer) for layer in layers if layer.verbatim}
    with leased(bundle.source), open_staging(folder) as staging:
        before = _found(folder, staging, overwrite=overwrite)
        kept = _in_place(folder, before, layers, only, link)
        refuse_obstacles(folder, plain, _removable(_leaving(before, plain, only)))  # before hours are spent on fetching
        if not overwrite:
            refuse_changes(folder, before, {path: file for path, file in plain.items() if path not in kept})
        staged = stage(bundle, layers, kept, staging, only, jobs, on_event, link)
        new = {**kept, **staged}
        only.check([*new], bundle.layers)
        leaving = _leaving(before, new, only)
        gone = _removable(leaving)
        refuse_obstacles(folder, new, gone)
        if not overwrite:
            refuse_changes(folder, before, {**staged, **gone})
            new = _adopted(folder, before, kept, staged)
        ours = _described(bundle, reference, staging / TREE, new, staged)
        record = _record(bundle, reference, before.without(leaving), ours, _whole_archives(layers, new, only))
        _install(folder, staging, record, sorted(staged), sorted(gone), kept)
        _settle(folder, staging, record, ours)
    return Unpacked(written=tuple(sorted(staged)), kept=tuple(sorted(kept)), removed=tuple(sorted(gone)))


def _found(folder: Path, staging: Path, *, overwrite: bool) -> Installed:
    """What was unpacked into the folder before, when all that broke off is undone."""
    move_back(folder, staging)
    before = Installed.load(folder) or Installed()
    return before.unstamped() if overwrite else before  # whoever says so may know of damage that no stamp shows


def _leaving(before: Installed, new: Mapping[str, InstalledFile], only: Selection) -> dict[str, InstalledFile]:
    """The files of the earlier bundle that this one lacks."""
    return {path: file for path, file in before.files.items() if path not in new and only.covers(file.role, path)}


def _removable(leaving: Mapping[str, InstalledFile]) -> dict[str, InstalledFile]:
    return {path: file for path, file in leaving.items() if not file.adopted}


def _adopted(
    folder: Path, before: Installed, kept: Mapping[str, InstalledFile], staged: Mapping[str, InstalledFile]
) -> dict[str, InstalledFile]:
    """Mark the files that were the user's before, with the same bytes: they are not kitpack's to remove."""
    new = {**kept, **staged}
    mine = {path for path in new if path not in before.files and (folder / path).is_file()}
    return {path: replace(file, adopted=file.adopted or path in mine) for path, file in new.items()}


def _refuse_nameless(bundle: Bundle) -> None:
    """Refuse what has no files at all, such as a container image; it must not look like an empty bundle."""
    if bundle.manifest.layers and not bundle.layers:
        raise NotFoundError(
            f"none of the {len(bundle.manifest.layers)} layers of {bundle.descriptor.digest} says which file it is",
            hint="it is something else than a bundle; see `kitpack inspect`",
        )


def _in_place(
    folder: Path, before: Installed, layers: Sequence[Layer], only: Selection, link: Path | None
) -> dict[str, InstalledFile]:
    """The files that are there already, so that nothing need be fetched for them."""
    kept: dict[str, InstalledFile] = {}
    for layer in layers:
        file = staged_file(layer)
        if not layer.verbatim:
            whole = only.covers(layer.role, layer.path)
            members = before.of_archive(archive_key(layer), folder).items()
            found = {path: one for path, one in members if whole or only.covers(layer.role, path)}
            modes = {path: one.mode if layer.archived else file.mode for path, one in found.items()}
            found = {path: replace(one, role=layer.role, mode=modes[path]) for path, one in found.items()}
        elif is_unchanged(location := folder / layer.path, known := before.recalled(layer.path, file)):
            blob = blob_path(link, layer.descriptor.digest) if link and is_linkable(layer) else None
            found = {layer.path: known} if may_stay(location, file.mode, blob) else {}
        else:
            found = {}
        kept.update((path, one.stamped(folder / path)) for path, one in found.items())
    return kept


def _whole_archives(layers: Sequence[Layer], files: Mapping[str, InstalledFile], only: Selection) -> dict[str, int]:
    counts = Counter(file.archive for file in files.values())
    whole = [layer for layer in layers if not layer.verbatim and only.covers(layer.role, layer.path)]
    return {archive_key(layer): counts[archive_key(layer)] for layer in whole}


def _install(
    folder: Path,
    staging: Path,
    record: Installed,
    staged: Sequence[str],
    gone: Sequence[str],
    kept: Mapping[str, InstalledFile],
) -> None:
    sync_tree(staging / TREE)
    record.save(staging / TREE, staging)
    if folder.exists():
        modes = {path: file.mode for path, file in kept.items() if file.mode != _mode(folder / path)}
        move_in(folder, staging, staged, gone, modes)
    else:
        (staging / TREE).rename(folder)  # the whole bundle appears at once
    sync_folder(folder)


def _mode(location: Path) -> int:
    return stat.S_IMODE(location.lstat().st_mode)


def _described(
    bundle: Bundle, reference: str, tree: Path, new: Mapping[str, InstalledFile], staged: Collection[str]
) -> dict[str, InstalledFile]:
    """The files as the record knows them: with their bundle and their stamps."""
    origin = reference or str(bundle.descriptor.digest)
    stamped = {path: file.stamped(tree / path) if path in staged else file for path, file in new.items()}
    return {path: replace(file, origin=origin) for path, file in stamped.items()}


def _record(
    bundle: Bundle, reference: str, before: Installed, ours: Mapping[str, InstalledFile], archives: Mapping[str, int]
) -> Installed:
    return Installed(
        reference=reference,
        digest=str(bundle.descriptor.digest),
        files={**before.files, **ours},
        archives={**before.archives, **archives},
    )


def _settle(folder: Path, staging: Path, record: Installed, ours: Mapping[str, InstalledFile]) -> None:
    """Note the change times after the moves. All is done already: without them, the next unpack reads those files."""
    with suppress(OSError):
        settled = {path: file.settled(folder / path) for path, file in ours.items()}
        if settled != ours:
            replace(record, files={**record.files, **settled}).save(folder, staging)
