"""Bundles that stand in a folder: what packing it would make, and what is left of what was unpacked there.

Nothing is written. Weights that an unpack left behind are not read again as long as nobody wrote to them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.dialects import Layer
from kitpack.artifact.unpacking.installed import Installed, InstalledFile, hash_file, is_unchanged
from kitpack.artifact.unpacking.staging import archive_key
from kitpack.content.events import Counted
from kitpack.content.inplace import InPlace
from kitpack.content.nearest import Nearest
from kitpack.content.target import Opener, opener_of
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import build_manifest
from kitpack.oci.mediatypes import (
    ANNOTATION_FILE_METADATA,
    ANNOTATION_FILEPATH,
    ANNOTATION_ROLE,
    EMPTY_CONFIG,
    MODEL_MANIFEST,
    model_layer,
)

__all__ = ["Standing", "left_of"]


class Standing(InPlace):
    """What a folder would be packed into; knows the digests of the files that an unpack wrote and nobody touched.

    Args:
        folder: The folder.
        installed: What was unpacked into it, if anything.
    """

    def __init__(self, folder: Path, installed: Installed | None = None) -> None:
        super().__init__()
        self._folder = folder
        self._files = installed.files if installed else {}

    def add(self, open_at: Opener) -> tuple[Digest, int]:
        """See :meth:`kitpack.content.target.Adds.add`."""
        if not isinstance(open_at, Counted):
            return super().add(open_at)
        known = self._files.get(open_at.name)
        # An archive is called after the one file in it, and is larger than that.
        if known is None or known.size != open_at.size or not is_unchanged(self._folder / open_at.name, known):
            return super().add(open_at)
        return self.keep(Digest.parse(known.digest), known.size, open_at)


def left_of(folder: Path, installed: Installed, like: Bundle | None = None) -> Bundle:
    """What is left of the files that were unpacked into a folder, as a bundle.

    Args:
        folder: The folder.
        installed: What was unpacked into it.
        like: A bundle whose archives may be in the folder; those that are whole and unchanged are one layer again. When
            it is the very bundle that was unpacked, what was left out then counts as unchanged.
    """
    store = InPlace()
    whole = dict(_whole_archives(folder, installed, like)) if like else {}
    inside = {path for _, paths in whole.values() for path in paths}
    is_origin = like is not None and str(like.descriptor.digest) == installed.digest
    layers = [layer.descriptor for layer, _ in whole.values()]
    if like and is_origin:
        layers += [layer.descriptor for layer in like.layers if _was_left_out(layer, installed)]
    for path, file in sorted(installed.files.items()):
        location = folder / path
        if path not in inside and location.is_file() and not location.is_symlink():
            layers.append(_layer(store, path, file, location))
    config = Descriptor.of_bytes(EMPTY_CONFIG, b"{}")
    store.push(config, opener_of(b"{}"))
    annotations = like.manifest.annotations if like and is_origin else {}
    manifest = build_manifest(artifact_type=MODEL_MANIFEST, config=config, layers=layers, annotations=annotations)
    store.push(manifest.descriptor, opener_of(manifest.raw))
    return Bundle(Nearest(store, like.source) if like else store, manifest.descriptor)


def _was_left_out(layer: Layer, installed: Installed) -> bool:
    key = archive_key(layer)
    return layer.path not in installed.files and all(file.archive != key for file in installed.files.values())


def _whole_archives(folder: Path, installed: Installed, like: Bundle) -> Iterator[tuple[str, tuple[Layer, set[str]]]]:
    for layer in like.layers:
        files = installed.of_archive(archive_key(layer), folder) if layer.archived else {}
        if files:
            yield layer.path, (layer, set(files))


def _layer(store: InPlace, path: str, file: InstalledFile, location: Path) -> Descriptor:
    unchanged = is_unchanged(location, file)
    digest = Digest.parse(file.digest if unchanged else hash_file(location))
    found = location.stat()
    store.keep(digest, found.st_size, partial(_open, location))
    metadata = {"name": PurePosixPath(path).name, "mode": found.st_mode & 0o777}
    return Descriptor(media_type=model_layer("code"), digest=digest, size=found.st_size).annotated(
        {ANNOTATION_FILEPATH: path, ANNOTATION_ROLE: file.role, ANNOTATION_FILE_METADATA: json.dumps(metadata)}
    )


def _open(location: Path, offset: int) -> BinaryIO:
    stream = location.open("rb", buffering=0)
    stream.seek(offset)
    return cast("BinaryIO", stream)
