"""What the layers of an artifact are, in the words of every tool that writes such artifacts.

=====================  =============================================================================================
who                    says
=====================  =============================================================================================
kitpack, modctl 0.2    path and metadata in annotations, ``application/vnd.cncf.model.*`` types
modctl before 0.2      the same with ``cnai`` instead of ``cncf``
KitOps, both modes     a Kitfile as JSON, whose entries name layers by digest; since 2025 paths in annotations as well
KitOps before 0.5      entries without digests, in the order of the layers; names in an archive are relative to the
                       folder above its path (and before that, as ``jozu``, to its path)
Docker Model Runner    path and metadata in annotations, ``application/vnd.docker.ai.*`` types; archives fill the root
oras                   titles; a folder is always tar and gzip, under whatever type the user gave
=====================  =============================================================================================

Specs: https://github.com/modelpack/model-spec/blob/main/docs/annotations.md and
https://github.com/kitops-ml/kitops/blob/main/pkg/artifact/kitfile.md
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from kitpack.artifact.decompress import DEFAULT_LIMITS, Limits, decompressed, is_archive, is_compressed
from kitpack.artifact.extract import Member, read_members
from kitpack.artifact.paths import safe_path
from kitpack.content.verify import Readable
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.jsontext import Json, JsonObject, parse_object
from kitpack.oci.manifest import Manifest
from kitpack.oci.mediatypes import (
    ANNOTATION_FILE_METADATA,
    ANNOTATION_FILEPATH,
    ANNOTATION_LAYER_SUBTYPE,
    ANNOTATION_ROLE,
    ANNOTATION_TITLE,
    KITOPS_CONFIG,
    OCTET_STREAM,
)

__all__ = ["KITFILE_CONFIGS", "Layer", "read_layer", "read_layers"]

KITFILE_CONFIGS = (KITOPS_CONFIG, "application/vnd.jozu.model.config.v1+json")
"""Configs that are a Kitfile in JSON form."""

ROLES = ("model", "model-part", "code", "dataset", "doc", "prompt", "config", "kitfile")

_DOCKER, _JOZU = "application/vnd.docker.ai.", "application/vnd.jozu."
_VENDORS = (
    "application/vnd.cncf.model.",
    "application/vnd.cnai.model.",
    "application/vnd.kitops.modelkit.",
    _DOCKER,
    _JOZU,
)
_OLD_FILEPATH = "org.cnai.model.filepath"
_OLD_FILE_METADATA = "org.cnai.model.file.metadata+json"
_UNPACK = "io.deis.oras.content.unpack"
_ORAS_FOLDER = "application/vnd.oci.image.layer.v1.tar+gzip"

_PLAIN = 0o644

_SECTION_ROLES = {"code": "code", "datasets": "dataset", "docs": "doc", "prompts": "prompt", "mcpServers": "code"}
_BASE_ROLES = {
    "weight": "model",
    "weight.config": "model-part",
    "code": "code",
    "dataset": "dataset",
    "doc": "doc",
    # KitOps
    "model": "model",
    "modelpart": "model-part",
    "docs": "doc",
    "mcpb": "code",
    "model.content": "model",
    "model.code": "code",
    "dataset.content": "dataset",
    # Docker
    "gguf": "model",
    "gguf.v3.lora": "model-part",
    "safetensors": "model",
    "dduf": "model",
    "mmproj": "model-part",
    "chat.template.jinja": "model-part",
    "model.file": "model-part",
    "vllm.config.tar": "model-part",
    "dir.tar": "model-part",
    "license": "doc",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer as a reader sees it.

    Attributes:
        path: The file it is, or the folder its archive fills; a safe relative path.
        role: ``model``, ``model-part``, ``prompt``, ``config``, ``dataset``, ``code``, ``doc`` or ``kitfile``; ``file``
            when nobody said.
        descriptor: Where its bytes are.
        mode: The permission bits of the file.
        archived: Whether it is an archive of files.
        verbatim: Whether its bytes are those of the file, neither archived nor compressed.
        root: The folder that the names in its archive start from; empty for that of the bundle.
        encoding: The media type that tells how to decode it.
    """

    path: str
    role: str
    descriptor: Descriptor
    mode: int
    archived: bool
    verbatim: bool = True
    root: str = ""
    encoding: str = ""


def read_layers(manifest: Manifest, declared: JsonObject) -> Iterator[Layer]:
    """The layers that have a path, in the manifest's order.

    Args:
        manifest: Whose layers.
        declared: The Kitfile in KitOps' JSON form; empty when there is none.

    Raises:
        UnsafePathError: When a path could write outside a folder.
        UnsupportedError: When a layer is compressed in a way kitpack cannot read.
    """
    entries = _Entries(declared)
    for descriptor in manifest.layers:
        path, role, root = entries.find(descriptor)
        archived, encoding = _form(descriptor)
        if archived and descriptor.media_type.startswith(_DOCKER):
            path = "."
        if path:
            yield Layer(
                path=_normal(path) if archived else safe_path(path),
                role=_role(descriptor, role),
                descriptor=descriptor,
                mode=_mode(descriptor),
                archived=archived,
                verbatim=not archived and not is_compressed(encoding),
                root=root,
                encoding=encoding,
            )


def read_layer(stream: Readable, layer: Layer, limits: Limits = DEFAULT_LIMITS) -> Iterator[Member]:
    """The files and folders in a layer that is an archive, or the one file in a compressed one.

    Args:
        stream: The layer's bytes from their beginning; left open.
        layer: A layer that is not verbatim.
        limits: What is too much.

    Raises:
        UnsafePathError, IntegrityError, UnpackError: As :func:`kitpack.artifact.extract.read_members`.
    """
    content = decompressed(stream, layer.encoding, limits)
    if not layer.archived:
        stream_of_file = cast("BinaryIO", content)  # what is compressed comes out of a buffered reader
        yield Member(path=layer.path, mode=layer.mode, size=-1, is_file=True, stream=stream_of_file)
        return
    for member in read_members(content, limits):
        yield replace(member, path=safe_path(f"{layer.root}/{member.path}")) if layer.root else member


@dataclass(frozen=True, slots=True)
class _Entry:
    """A path of a Kitfile, and the digest of its layer where the Kitfile says it."""

    path: str
    role: str
    digest: str


class _Entries:
    """The entries of a Kitfile in JSON form, found by what a manifest says about a layer."""

    def __init__(self, declared: JsonObject) -> None:
        self._by_digest: dict[str, _Entry] = {}
        self._by_place: dict[tuple[str, str], _Entry] = {}
        self._in_order: defaultdict[str, deque[_Entry]] = defaultdict(deque)
        for entry in _entries(declared):
            if entry.digest:
                self._by_digest.setdefault(entry.digest, entry)
                self._by_place[entry.digest, entry.path] = entry
            else:
                self._in_order[entry.role].append(entry)

    def find(self, descriptor: Descriptor) -> tuple[str, str, str]:
        """Path, declared role, and the folder that the names in the layer's archive start from."""
        path, digest = _annotated_path(descriptor), str(descriptor.digest)
        entry = self._by_place.get((digest, path)) or self._by_digest.get(digest)
        if entry or path:
            return path or (entry.path if entry else ""), entry.role if entry else "", ""
        waiting = self._in_order[_type_role(descriptor)]
        return _before_digests(waiting.popleft(), descriptor) if waiting else ("", "", "")


def _before_digests(entry: _Entry, descriptor: Descriptor) -> tuple[str, str, str]:
    path = _normal(entry.path)
    above = path if descriptor.media_type.startswith(_JOZU) else str(PurePosixPath(path).parent)
    return path, entry.role, "" if above == "." else above


def _entries(declared: JsonObject) -> Iterator[_Entry]:
    """Every entry that names files, sections in the order of their layers."""
    for model in (declared.get("model"), *_objects(declared.get("models"))):  # jozu had several
        if isinstance(model, dict):
            yield from _entry(model, "model")
            for part in _objects(model.get("parts")):
                yield from _entry(part, "model-part")
    for section, role in _SECTION_ROLES.items():
        for entry in _objects(declared.get(section)):
            yield from _entry(entry, role)


def _entry(entry: JsonObject, role: str) -> Iterator[_Entry]:
    digest, path = entry.get("digest", ""), entry.get("path")
    if isinstance(path, str) and isinstance(digest, str):
        yield _Entry(path, role, digest)


def _objects(value: Json) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _annotated_path(descriptor: Descriptor) -> str:
    names = descriptor.annotations
    return names.get(ANNOTATION_FILEPATH) or names.get(_OLD_FILEPATH) or names.get(ANNOTATION_TITLE) or ""


def _normal(path: str) -> str:
    """A safe path, or ``.`` for the folder of the bundle itself."""
    return "." if path in (".", "./") else safe_path(path)


def _role(descriptor: Descriptor, declared: str) -> str:
    annotated = descriptor.annotations.get(ANNOTATION_ROLE, "")
    if annotated in ROLES:
        return annotated
    if descriptor.annotations.get(ANNOTATION_LAYER_SUBTYPE) == "prompt":
        return "prompt"
    return declared or _type_role(descriptor)


def _type_role(descriptor: Descriptor) -> str:
    vendor = _vendor(descriptor)
    if not vendor:
        return "file"
    name = descriptor.media_type.removeprefix(vendor)
    return _BASE_ROLES.get(name) or _BASE_ROLES.get(name.partition(".v")[0], "file")


def _vendor(descriptor: Descriptor) -> str:
    return next((one for one in _VENDORS if descriptor.media_type.startswith(one)), "")


def _form(descriptor: Descriptor) -> tuple[bool, str]:
    """Whether a layer is an archive, and the media type to decode it by.

    A media type that only says ``tar`` is not believed: oras gives that of image layers to every file.
    """
    if descriptor.annotations.get(_UNPACK) == "true":
        return True, _ORAS_FOLDER
    if not _vendor(descriptor):
        return False, OCTET_STREAM
    return is_archive(descriptor.media_type), descriptor.media_type


def _mode(descriptor: Descriptor) -> int:
    names = descriptor.annotations
    try:
        metadata = parse_object((names.get(ANNOTATION_FILE_METADATA) or names.get(_OLD_FILE_METADATA) or "{}").encode())
    except ValueError:
        return _PLAIN
    mode = metadata.get("mode")
    return mode & 0o777 if isinstance(mode, int) and mode & 0o777 else _PLAIN
