"""A Kitfile and its files become one manifest.

The same Kitfile and files give the same digest on every machine: no clock, no user, no order of a file system, no mode
bits but the executable one. The format is CNCF ModelPack (https://github.com/modelpack/model-spec), one raw layer per
file, with the annotation that lets KitOps read it too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Protocol

from kitpack.artifact.packing.archive import TarMember, tar_of
from kitpack.artifact.packing.kitops import kitops_kitfile
from kitpack.artifact.packing.layers import PackedLayer
from kitpack.artifact.packing.plan import PlannedLayer, plan_layers
from kitpack.content.copy import leased
from kitpack.content.digests import Digests, Stamp
from kitpack.content.events import Counted, Event, OnEvent, ignore
from kitpack.content.sidebyside import side_by_side
from kitpack.content.target import Adds, Opener, Recalls, Target, opener_of
from kitpack.errors import PackError
from kitpack.kitfile.ignore import IgnoreRules
from kitpack.kitfile.model import Kitfile
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import Json, JsonObject, encode
from kitpack.oci.manifest import Manifest, build_manifest
from kitpack.oci.mediatypes import (
    ANNOTATION_FILE_METADATA,
    ANNOTATION_FILEPATH,
    ANNOTATION_KITFILE,
    ANNOTATION_LAYER_SUBTYPE,
    ANNOTATION_ROLE,
    ANNOTATION_TITLE,
    MODEL_CONFIG,
    MODEL_MANIFEST,
    model_layer,
)

__all__ = ["Store", "pack"]

MAX_MANIFEST = 1 << 20
"""Bytes that a manifest of ours may have; registries start to refuse at four times that."""


class Store(Target, Adds, Protocol):
    """A target that also takes in bytes whose digest is not known yet."""


def pack(  # noqa: PLR0913 - the last two are optional
    kitfile: Kitfile,
    folder: Path,
    store: Store,
    *,
    ignored: IgnoreRules,
    follow_symlinks: bool = False,
    created: int | None = None,
    jobs: int = 2,
    known: Digests | None = None,
    on_event: OnEvent = ignore,
) -> Descriptor:
    """Build the artifact in a store, untagged.

    Every file is read once, while it goes into the store; or not at all, when its digest is known and the store has it.

    Args:
        kitfile: What the author declares.
        folder: The folder its paths start from.
        store: Where the artifact goes.
        ignored: What to leave out.
        follow_symlinks: Whether links may lead to folders and out of the folder.
        created: Seconds since 1970 to record; None for no time at all.
        jobs: Files read at the same time.
        known: The digests of files that were read before; made before the call, and saved by it.
        on_event: Told about progress, from several threads.

    Returns:
        The descriptor of the manifest.

    Raises:
        PackError: When the files are not as the Kitfile says, or change while they are read.
        UnsafePathError: When a path could not be unpacked on every machine.
    """
    known = known or Digests(None)
    planned = plan_layers(kitfile, folder, ignored, follow_symlinks=follow_symlinks)
    with leased(store):
        add = partial(_add, store, known)
        added = side_by_side(add, planned, jobs, on_event)
        kitfile_layer = _kitfile_layer(kitfile, store)
        layers = _without_twins(add, added, kitfile_layer, on_event)
        manifest = _manifest(kitfile, layers, kitfile_layer, store, created)
        store.push(manifest.descriptor, opener_of(manifest.raw))
        known.save()
    return manifest.descriptor


def _add(store: Adds, known: Digests, planned: PlannedLayer, on_event: OnEvent) -> PackedLayer:
    stamp = planned.stamp
    opener, size = _bytes_of(planned)
    digest = _recalled(store, known, stamp, size, opener)
    if digest:
        on_event(Event(kind="skipped", name=planned.path, size=size))
    else:
        digest, size = _read(store, planned.path, size, opener, on_event)
        known.remember(stamp, digest, size)
    media_type = model_layer(planned.base, "tar" if planned.archived else "raw")
    return PackedLayer(planned, Descriptor(media_type=media_type, digest=digest, size=size))


def _recalled(store: Adds, known: Digests, stamp: Stamp, size: int, opener: Opener) -> Digest | None:
    """The digest of a layer that need not be read."""
    found = known.find(stamp)
    if found is None or found[1] != size or not isinstance(store, Recalls):
        return None
    return found[0] if store.recall(*found, opener) else None


def _read(store: Adds, path: str, size: int, opener: Opener, on_event: OnEvent) -> tuple[Digest, int]:
    counted = Counted(opener, path, size, on_event)
    digest, stored = store.add(counted)
    counted.fall_silent()
    on_event(Event(kind="finished", name=path, size=stored))
    return digest, stored


def _bytes_of(planned: PlannedLayer) -> tuple[Opener, int]:
    if not planned.archived:
        return planned.files[0].open_at, planned.files[0].size
    members = [
        TarMember(path=file.path, open_at=file.open_at, size=file.size, mode=file.mode) for file in planned.files
    ]
    tar = tar_of(members)
    return tar.open_at, tar.size


def _without_twins(
    add: Callable[[PlannedLayer, OnEvent], PackedLayer],
    added: Sequence[PackedLayer],
    kitfile_layer: Descriptor,
    on_event: OnEvent,
) -> list[PackedLayer]:
    """Readers that file layers by digest lose one of two equal ones, so every later twin goes into a tar of its own.

    A copy of the Kitfile counts as a twin of it.
    """
    seen = {kitfile_layer.digest}
    result = []
    for layer in added:
        unique = layer if layer.descriptor.digest not in seen else add(layer.planned.as_archive(), on_event)
        seen.add(unique.descriptor.digest)
        result.append(unique)
    return result


def _kitfile_layer(kitfile: Kitfile, store: Target) -> Descriptor:
    plain = Descriptor.of_bytes(model_layer("doc"), kitfile.raw)
    store.push(plain, opener_of(kitfile.raw))
    name = kitfile.path
    return plain.annotated({**_file_annotations(name, 0o644, plain.size), ANNOTATION_ROLE: "kitfile"})


def _manifest(
    kitfile: Kitfile, layers: Sequence[PackedLayer], kitfile_layer: Descriptor, store: Target, created: int | None
) -> Manifest:
    descriptors = [*(_annotated(layer) for layer in layers), kitfile_layer]
    config = encode(_config(kitfile, layers, descriptors, created))
    config_descriptor = Descriptor.of_bytes(MODEL_CONFIG, config)
    store.push(config_descriptor, opener_of(config))
    manifest = build_manifest(
        artifact_type=MODEL_MANIFEST,
        config=config_descriptor,
        layers=descriptors,
        annotations=_annotations(kitfile, layers, created),
    )
    if len(manifest.raw) > MAX_MANIFEST:
        raise PackError(
            f"the manifest of {len(layers)} layers would have {len(manifest.raw)} bytes; {MAX_MANIFEST} are safe",
            hint="list folders instead of single files, so that they can become archives",
        )
    return manifest


def _annotated(layer: PackedLayer) -> Descriptor:
    planned = layer.planned
    if planned.archived:
        name = "bundle" if planned.path == "." else planned.path
        annotations = {ANNOTATION_FILEPATH: planned.path, ANNOTATION_TITLE: f"{name}.tar"}
    else:
        annotations = _file_annotations(planned.path, planned.files[0].mode, layer.descriptor.size)
    annotations[ANNOTATION_ROLE] = planned.role
    if planned.role == "prompt":
        annotations[ANNOTATION_LAYER_SUBTYPE] = "prompt"
    return layer.descriptor.annotated(annotations)


def _file_annotations(path: str, mode: int, size: int) -> dict[str, str]:
    metadata = {
        "name": PurePosixPath(path).name,
        "mode": mode,
        "uid": 0,
        "gid": 0,
        "size": size,
        "mtime": "0001-01-01T00:00:00Z",  # Go's zero time, which readers take for "none"
        "typeflag": 0,
    }
    return {
        ANNOTATION_FILEPATH: path,
        ANNOTATION_TITLE: path,
        ANNOTATION_FILE_METADATA: json.dumps(metadata, ensure_ascii=False, separators=(",", ":")),
    }


def _config(
    kitfile: Kitfile, layers: Sequence[PackedLayer], descriptors: Sequence[Descriptor], created: int | None
) -> JsonObject:
    """The config of the ModelPack spec; its schema allows no members of our own.

    Spec: https://github.com/modelpack/model-spec/blob/main/docs/config.md
    """
    package = kitfile.package
    descriptor: JsonObject = {
        "createdAt": None if created is None else _rfc3339(created),
        "authors": [*package.authors],
        "name": package.name,
        "version": package.version,
        "licenses": [*([package.license] if package.license else [])],
        "title": package.name,
        "description": package.description,
    }
    diff_ids: list[Json] = [str(one.digest) for one in descriptors]
    return {
        "descriptor": {key: value for key, value in descriptor.items() if value},
        "config": {"format": form} if (form := _model_format(kitfile, layers)) else {},
        "modelfs": {"type": "layers", "diffIds": diff_ids},
    }


def _model_format(kitfile: Kitfile, layers: Sequence[PackedLayer]) -> str:
    if kitfile.model and kitfile.model.format:
        return kitfile.model.format
    suffixes = (PurePosixPath(layer.planned.path).suffix.lower() for layer in layers if layer.planned.base == "weight")
    return next((suffix[1:] for suffix in suffixes if suffix in {".gguf", ".safetensors", ".onnx"}), "")


def _annotations(kitfile: Kitfile, layers: Sequence[PackedLayer], created: int | None) -> dict[str, str]:
    package = kitfile.package
    known = {
        "org.opencontainers.image.created": "" if created is None else _rfc3339(created),
        "org.opencontainers.image.title": package.name,
        "org.opencontainers.image.version": package.version,
        "org.opencontainers.image.description": package.description,
        "org.opencontainers.image.licenses": package.license,
        ANNOTATION_KITFILE: encode(kitops_kitfile(kitfile, layers)).decode(),
    }
    return {key: value for key, value in known.items() if value}


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
