"""Weights get to where an application can open them: by a hard link where that is possible, proven, never twice.

A blob of the local store, or one that was downloaded into the cache, is read-only and named by its digest, so a second
name for the same file is as good as a copy of it. Reading tens of gigabytes at every start would help nobody: a file is
read and proven once, and again when its stamp (size, times, inode) tells that somebody touched it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.dialects import Layer
from kitpack.artifact.paths import check_tree
from kitpack.artifact.select import Selection
from kitpack.artifact.unpacking.installed import InstalledFile, is_unchanged
from kitpack.artifact.unpacking.staging import staged_file
from kitpack.artifact.unpacking.unpack import unpack
from kitpack.content.copy import blaming, leased
from kitpack.content.events import Counted, Event, OnEvent
from kitpack.content.sidebyside import side_by_side
from kitpack.content.store.durable import make_folders
from kitpack.content.store.folder import blob_path, is_stored
from kitpack.content.store.ingest import store_blob
from kitpack.content.store.layout import Layout
from kitpack.content.store.locks import exclusive
from kitpack.errors import FileConflictError, IntegrityError, NotFoundError
from kitpack.kitfile.classify import weight_rank
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.jsontext import parse_object
from kitpack.runtime.cache import Cache
from kitpack.runtime.sources import noting

__all__ = ["model_of", "place_weights"]

_ROLES = frozenset({"model", "model-part"})
_FICLONE = 0x40049409  # Linux: share the blocks of another file of the same file system


def place_weights(bundle: Bundle, cache: Cache, store: Layout | None, *, jobs: int, on_event: OnEvent) -> Path:
    """Bring the weights of a bundle to their paths below one folder, and say where the model is.

    Args:
        bundle: The bundle.
        cache: Where the folder is.
        store: A local store that may have the weights.
        jobs: Layers fetched or proven at the same time.
        on_event: Told about progress, from several threads.

    Raises:
        NotFoundError: When the bundle has no model.
        IntegrityError: When the bytes are not what was packed.
        RegistryError: When they have to be fetched and cannot be.
    """
    layers = [layer for layer in bundle.layers if layer.role in _ROLES]
    model, folder = model_of(bundle), cache.weights_folder(bundle.descriptor.digest)
    with noting("note that a bundle is in use"):
        cache.use(bundle.descriptor)
    make_folders(folder.parent)
    with cache.lease(), leased(bundle.source), exclusive(folder.with_suffix(".lock")):
        if all(layer.verbatim for layer in layers):
            check_tree([layer.path for layer in layers])
            placing = _Placing(bundle=bundle, cache=cache, store=store, folder=folder)
            side_by_side(placing.place, layers, jobs, on_event)
        else:
            _write_out(bundle, folder, jobs, on_event)
    if not (folder / model).exists():
        raise NotFoundError(f"{bundle.descriptor.digest} has no {model}, which its Kitfile says is the model")
    return folder / model


def model_of(bundle: Bundle) -> str:
    """The path of the model: what the Kitfile names, or else the file of weights that is the model itself.

    Raises:
        NotFoundError: When there is none.
    """
    declared = bundle.declared.get("model")
    path = declared.get("path") if isinstance(declared, dict) else None
    found = [layer for layer in bundle.layers if layer.role in _ROLES]
    if isinstance(path, str) and any(_may_hold(layer, str(PurePosixPath(path))) for layer in found):
        return str(PurePosixPath(path))
    models = [layer.path for layer in found if layer.role == "model"] or [layer.path for layer in found]
    if not models:
        raise NotFoundError(
            f"{bundle.descriptor.digest} has no model in it", hint="`kitpack inspect REF` shows what it has"
        )
    return min(models, key=weight_rank)


def _may_hold(layer: Layer, path: str) -> bool:
    """Whether a layer is a file or the archive of a folder that a path leads to, or through."""
    if path in (".", layer.path) or layer.path.startswith(f"{path}/"):
        return True
    return layer.archived and (layer.path == "." or path.startswith(f"{layer.path}/"))


def _write_out(bundle: Bundle, folder: Path, jobs: int, on_event: OnEvent) -> None:
    """Write out archives and compressed files, which cannot be linked; what is there and unchanged stays."""
    chosen = Selection(roles=_ROLES)
    try:
        unpack(bundle, folder, only=chosen, jobs=jobs, on_event=on_event)
    except FileConflictError:  # somebody changed them, but nobody is to change them here
        unpack(bundle, folder, only=chosen, overwrite=True, jobs=jobs, on_event=on_event)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placing:
    """Where weights come from and where they go."""

    bundle: Bundle
    cache: Cache
    store: Layout | None
    folder: Path

    def place(self, layer: Layer, on_event: OnEvent) -> None:
        """Bring one file to its path, or find it there unchanged."""
        target = self.folder / layer.path
        if not self._is_proven(target, layer):
            make_folders(target.parent)
            _make_way(target)
            blob = self._blob(layer, on_event)
            _link(blob, target)
            if not blob.samefile(target) and not self._is_proven(target, layer):  # a copy is another file
                raise IntegrityError(f"{target} is not what was copied there from {blob}")
            self._note(target, layer)
        on_event(Event(kind="finished", name=layer.path, size=layer.descriptor.size))

    def _blob(self, layer: Layer, on_event: OnEvent) -> Path:
        """A proven file with the bytes: in the local store, in the cache, or fetched into the cache."""
        descriptor = layer.descriptor
        for blob in self._candidates(descriptor):
            if self._is_proven(blob, layer):
                return blob
        open_at = Counted(partial(self.bundle.source.fetch, descriptor), layer.path, descriptor.size, on_event)
        self.cache.begin()
        with blaming(layer.path):
            store_blob(self.cache.root, descriptor, open_at)
        return blob_path(self.cache.root, descriptor.digest)

    def _candidates(self, descriptor: Descriptor) -> list[Path]:
        roots = [self.store.path] if self.store else []
        paths = [blob_path(root, descriptor.digest) for root in (*roots, self.cache.root)]
        return [path for path in paths if is_stored(path, descriptor.size)]

    def _is_proven(self, location: Path, layer: Layer) -> bool:
        """Whether a file has the right bytes; they are read only when its stamp is not the one that was noted."""
        known = self._noted(layer)
        if not is_unchanged(location, known):
            return False
        if known.stamped(location).stamp != known.stamp:
            self._note(location, layer)
        return True

    def _noted(self, layer: Layer) -> InstalledFile:
        plain = staged_file(layer)
        try:
            stamp = parse_object(self.cache.proven_path(layer.descriptor.digest).read_bytes())["stamp"]
        except (OSError, ValueError, KeyError):
            return plain
        numbers = [one for one in stamp if isinstance(one, int)] if isinstance(stamp, list) else []
        return replace(plain, stamp=(numbers[0], numbers[1], numbers[2])) if len(numbers) == 3 else plain

    def _note(self, location: Path, layer: Layer) -> None:
        stamp = staged_file(layer).stamped(location).stamp
        with noting("note that weights are proven"):
            self.cache.write(self.cache.proven_path(layer.descriptor.digest), {"stamp": list(stamp)})


def _make_way(target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)


def _link(blob: Path, target: Path) -> None:
    """Give a file a second name; where that cannot be, share its blocks; where that cannot be either, copy it."""
    try:
        os.link(blob, target)
    except OSError:  # another file system, too many names already, or a file of another user
        _clone(blob, target)


def _clone(blob: Path, target: Path) -> None:
    try:
        with blob.open("rb") as source, target.open("xb") as copy:
            fcntl.ioctl(copy.fileno(), _FICLONE, source.fileno())
    except OSError:
        target.unlink(missing_ok=True)
        shutil.copyfile(blob, target)
    target.chmod(0o444)
