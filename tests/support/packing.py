"""Packing in tests: a Kitfile and files, written, packed and looked at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.packing.pack import Store, pack
from kitpack.content.events import OnEvent, ignore
from kitpack.content.memory import Memory
from kitpack.content.target import opener_of
from kitpack.kitfile.ignore import IgnoreRules
from kitpack.kitfile.load import find_kitfile, load_kitfile
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import build_manifest
from kitpack.oci.mediatypes import ANNOTATION_FILEPATH, EMPTY_CONFIG, MODEL_MANIFEST

__all__ = ["HEAD", "bundle_of", "layered", "pack_folder", "write_files"]

HEAD = "manifestVersion: 1.0.0\npackage: {name: tiny}\n"
"""The beginning of every Kitfile."""


def write_files(folder: Path, files: Mapping[str, bytes | str], kitfile: str = "") -> Path:
    """Write files below a folder, and their Kitfile if one is given after its head; return the folder."""
    for path, data in files.items():
        location = folder / path
        location.parent.mkdir(parents=True, exist_ok=True)
        location.write_bytes(data.encode() if isinstance(data, str) else data)
    if kitfile:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Kitfile").write_text(HEAD + kitfile)
    return folder


def pack_folder(
    folder: Path,
    store: Store | None = None,
    *,
    follow_symlinks: bool = False,
    created: int | None = None,
    kitfile: Path | None = None,
    jobs: int = 2,
    on_event: OnEvent = ignore,
) -> tuple[Store, Descriptor]:
    """Pack a folder as it is, without the checks that the command makes before."""
    target: Store = Memory() if store is None else store
    packed = pack(
        load_kitfile(kitfile or find_kitfile(folder)),
        folder,
        target,
        ignored=IgnoreRules.load(folder),
        follow_symlinks=follow_symlinks,
        created=created,
        jobs=jobs,
        on_event=on_event,
    )
    return target, packed


def bundle_of(folder: Path, store: Store | None = None, *, follow_symlinks: bool = False) -> Bundle:
    """Pack a folder and look at the bundle."""
    return Bundle(*pack_folder(folder, store, follow_symlinks=follow_symlinks))


def layered(*layers: tuple[str, bytes, str], algorithm: str = "sha256", **annotations: str) -> Bundle:
    """A bundle that kitpack would not pack: layers with a path, bytes and media type, as they are."""
    store = Memory()
    descriptors = []
    for path, data, media_type in layers:
        digest = Digest.of_bytes(data, algorithm)
        plain = Descriptor(media_type=media_type, digest=digest, size=len(data))
        store.push(plain, opener_of(data))
        descriptors.append(plain.annotated({ANNOTATION_FILEPATH: path, **annotations}))
    config = Descriptor.of_bytes(EMPTY_CONFIG, b"{}")
    store.push(config, opener_of(b"{}"))
    manifest = build_manifest(artifact_type=MODEL_MANIFEST, config=config, layers=descriptors, annotations={})
    store.push(manifest.descriptor, opener_of(manifest.raw))
    return Bundle(store, manifest.descriptor)
