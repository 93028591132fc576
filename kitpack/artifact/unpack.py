"""A bundle becomes files: all of them, or none.

Everything is fetched and verified into a staging folder on the same file system first; what is already in place is not
fetched. Only then do files move to where they belong (:mod:`kitpack.artifact.install`). An interrupted unpack leaves
the staging folder behind, and the same command continues from it.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from kitpack.artifact.bundle import Bundle, Layer
from kitpack.artifact.dialects import read_layer
from kitpack.artifact.install import move_into, refuse_links
from kitpack.artifact.installed import Installed, InstalledFile, hash_file, is_unchanged
from kitpack.artifact.paths import check_tree
from kitpack.artifact.select import EVERYTHING, Selection
from kitpack.content.copy import leased
from kitpack.content.durable import make_folders, sync_folder
from kitpack.content.events import Counted, Event, OnEvent, ignore
from kitpack.content.folder import INGEST, blob_path
from kitpack.content.ingest import store_blob
from kitpack.content.locks import exclusive
from kitpack.content.sidebyside import side_by_side
from kitpack.content.verify import VerifyingStream
from kitpack.errors import FileConflictError, RegistryError, StoreError
from kitpack.oci.digest import BLOCK

__all__ = ["Unpacked", "unpack"]

STAGING = ".kitpack-staging"


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
        FileConflictError: When files would be overwritten that were changed, naming them all; nothing is written.
        UnsafePathError: When a path in the bundle is not safe; nothing is written.
        IntegrityError, NotFoundError: When content is damaged or missing; nothing is written.
    """
    before = Installed.load(folder) or Installed()
    layers = [layer for layer in bundle.layers if only.may_reach_into(layer)]
    plain = {layer.path: _file_of(layer) for layer in layers if layer.verbatim}
    check_tree(plain)
    refuse_links(folder, plain)
    kept = _in_place(folder, before, layers)
    if not overwrite:
        _refuse_conflicts(folder, before, {path: file for path, file in plain.items() if path not in kept})
    with leased(bundle.source), _staging(folder) as staging:
        wanted = [layer for layer in layers if not _is_kept(layer, kept)]
        staged = _stage(bundle, wanted, staging, only, jobs, on_event)
        new = {**kept, **staged}
        only.check([*new], bundle.layers)
        check_tree(new)
        refuse_links(folder, new)
        gone = {path: file for path, file in before.files.items() if path not in new and only.covers(file.role, path)}
        if not overwrite:
            _refuse_conflicts(folder, before, {**staged, **gone})
        others = {path: file for path, file in before.files.items() if path not in new and path not in gone}
        record = Installed(
            reference=reference,
            digest=str(bundle.descriptor.digest),
            files=others,
            archives={**before.archives, **_whole_archives(layers, new, only)},
        )
        _install(folder, staging, sorted(staged), sorted(gone))
        _save(folder, record, new)
    return Unpacked(written=tuple(sorted(staged)), kept=tuple(sorted(kept)), removed=tuple(sorted(gone)))


def _in_place(folder: Path, before: Installed, layers: Sequence[Layer]) -> dict[str, InstalledFile]:
    """The files that are there already, so that nothing need be fetched for them."""
    kept: dict[str, InstalledFile] = {}
    for layer in layers:
        file = _file_of(layer)
        if not layer.verbatim:
            kept.update(before.of_archive(file.digest, folder))
        elif is_unchanged(folder / layer.path, before.stamped(layer.path, file)):
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
        digest=str(layer.descriptor.digest), size=layer.descriptor.size, mode=layer.mode, role=layer.role
    )


def _refuse_conflicts(folder: Path, before: Installed, files: Mapping[str, InstalledFile]) -> None:
    """Refuse to touch what the user made or changed; what already equals the new content is no conflict."""
    changed = [path for path, file in sorted(files.items()) if _is_foreign(folder / path, before.files.get(path), file)]
    if changed:
        shown = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        raise FileConflictError(
            f"{folder} has files that kitpack did not unpack, or that were changed since: {shown}",
            hint="move them away, unpack into another folder, or replace them with --overwrite",
        )


def _is_foreign(location: Path, known: InstalledFile | None, new: InstalledFile) -> bool:
    if not location.is_symlink() and not location.exists():
        return False
    return not (known and is_unchanged(location, known)) and not is_unchanged(location, new)


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A folder on the target's file system for what is not whole yet.

    It outlives a lost connection and a killed process, so that the next try fetches only what is missing; when the
    bundle turns out to be bad, or all is done, it goes.
    """
    parent, name = (folder, STAGING) if folder.exists() else (folder.parent, f"{STAGING}-{folder.name}")
    staging = parent / name
    make_folders(staging / INGEST)
    busy = StoreError(f"another kitpack is unpacking into {folder}", hint="wait for it to end, then try again")
    with exclusive(staging / "lock", busy=busy):
        try:
            yield staging
        except (RegistryError, KeyboardInterrupt):
            raise
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        shutil.rmtree(staging, ignore_errors=True)


def _stage(
    bundle: Bundle, layers: Sequence[Layer], staging: Path, only: Selection, jobs: int, on_event: OnEvent
) -> dict[str, InstalledFile]:
    """Bring every wanted file, verified, to its path below ``tree``; say what they are."""
    tree = staging / "tree"
    shutil.rmtree(tree, ignore_errors=True)  # left by a try that ended; its blobs are worth keeping, its order is not
    tree.mkdir()
    plain = [layer for layer in layers if layer.verbatim]
    blobs = {layer.descriptor.digest: layer for layer in plain}
    side_by_side(partial(_fetch, bundle, staging), blobs.values(), jobs, on_event)
    staged: dict[str, InstalledFile] = {}
    for layer in layers:
        if not layer.verbatim:
            staged.update(_extract(bundle, layer, tree, only, on_event))
    uses = Counter(layer.descriptor.digest for layer in plain)
    for layer in plain:
        uses[layer.descriptor.digest] -= 1
        _place(
            blob_path(staging, layer.descriptor.digest),
            tree / layer.path,
            layer.mode,
            last=not uses[layer.descriptor.digest],
        )
        staged[layer.path] = _file_of(layer)
    return staged


def _fetch(bundle: Bundle, staging: Path, layer: Layer, on_event: OnEvent) -> None:
    open_at = Counted(partial(bundle.source.fetch, layer.descriptor), layer.path, layer.descriptor.size, on_event)
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
    bundle: Bundle, layer: Layer, tree: Path, only: Selection, on_event: OnEvent
) -> Iterator[tuple[str, InstalledFile]]:
    """Write the chosen members of an archive below a folder; a damaged archive ends with an error, never with files."""
    whole = only.covers(layer.role, layer.path)
    descriptor = layer.descriptor
    open_at = Counted(partial(bundle.source.fetch, descriptor), layer.path, descriptor.size, on_event)
    with open_at(0) as raw, VerifyingStream(raw, descriptor) as proven:
        for member in read_layer(proven, layer):
            if member.is_file and (whole or only.covers(layer.role, member.path)):
                target = tree / member.path
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    shutil.copyfileobj(member.stream, file, BLOCK)
                target.chmod(member.mode)
                yield (
                    member.path,
                    InstalledFile(
                        digest=hash_file(target),
                        size=target.stat().st_size,
                        mode=member.mode,
                        role=layer.role,
                        archive=str(descriptor.digest),
                    ),
                )
        proven.drain()
    on_event(Event(kind="finished", name=layer.path, size=descriptor.size))


def _install(folder: Path, staging: Path, staged: Sequence[str], gone: Sequence[str]) -> None:
    tree = staging / "tree"
    if folder.exists():
        move_into(folder, tree, staging / "displaced", staged, gone)
    else:
        tree.rename(folder)  # the whole bundle appears at once
    sync_folder(folder)


def _save(folder: Path, record: Installed, new: Mapping[str, InstalledFile]) -> None:
    settled = {path: file.settled(folder / path) for path, file in new.items()}
    replace(record, files={**record.files, **settled}).save(folder)
