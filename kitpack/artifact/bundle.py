"""A read-only view of a bundle, wherever it is and whoever packed it.

Reads what kitpack, KitOps (ModelKit and ModelPack), modctl and Docker write, and plain artifacts whose layers have
titles. Only what is asked for is fetched: the view itself needs the manifest, the config and the Kitfile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from kitpack.artifact.decompress import Limits, decompressed, is_archive
from kitpack.artifact.extract import read_members
from kitpack.artifact.paths import safe_path
from kitpack.content.target import Source, fetch_bytes, fetch_manifest
from kitpack.content.verify import VerifyingStream
from kitpack.errors import InvalidManifestError, NotFoundError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.jsontext import Json, JsonObject, parse_object
from kitpack.oci.manifest import Manifest
from kitpack.oci.mediatypes import (
    ANNOTATION_FILE_METADATA,
    ANNOTATION_FILEPATH,
    ANNOTATION_KITFILE,
    ANNOTATION_LAYER_SUBTYPE,
    ANNOTATION_ROLE,
    ANNOTATION_TITLE,
    INDEX_TYPES,
    KITOPS_CONFIG,
)

__all__ = ["Bundle", "Layer", "Text"]

ROLES = ("model", "model-part", "code", "dataset", "doc", "prompt", "config", "kitfile")
TEXT_LIMIT = 1 << 20
"""Bytes above which a prompt is listed but not read: no prompt is a megabyte long."""

_LEGACY_FILEPATH = "org.cnai.model.filepath"
_UNPACK = "io.deis.oras.content.unpack"
_SECTION_ROLES = {"code": "code", "datasets": "dataset", "docs": "doc", "prompts": "prompt"}
_BASE_ROLES = {
    "weight": "model",
    "weight.config": "model-part",
    "model": "model",
    "modelpart": "model-part",
    "code": "code",
    "dataset": "dataset",
    "doc": "doc",
    "docs": "doc",
    "gguf": "model",
    "safetensors": "model",
    "mmproj": "model-part",
    "license": "doc",
}
_VENDORS = ("application/vnd.cncf.model.", "application/vnd.kitops.modelkit.", "application/vnd.docker.ai.")


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
    """

    path: str
    role: str
    descriptor: Descriptor
    mode: int
    archived: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A small file, read.

    Attributes:
        path: Its path in the bundle.
        size: Its number of bytes.
        text: Its text; None when it is too long to be read here or is not UTF-8.
    """

    path: str
    size: int
    text: str | None


class Bundle:
    """A bundle at a source.

    Args:
        source: Where it is.
        descriptor: Its manifest.

    Raises:
        NotFoundError, IntegrityError: When the manifest is missing or not what its digest says.
        InvalidManifestError: When it is an index, or no manifest at all.
    """

    def __init__(self, source: Source, descriptor: Descriptor) -> None:
        self.source = source
        self.manifest: Manifest = fetch_manifest(source, descriptor)
        self.descriptor = self.manifest.descriptor
        if self.manifest.media_type in INDEX_TYPES:
            raise InvalidManifestError(
                f"{descriptor.digest} is an index of several manifests, not a bundle",
                hint="name one of them by its digest",
            )

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that have a path, in the manifest's order.

        Raises:
            UnsafePathError: When a path could write outside a folder.
        """
        return tuple(self._layers())

    @cached_property
    def config(self) -> JsonObject:
        """The config blob; empty when it is not JSON."""
        if self.manifest.config is None:
            return {}
        try:
            return parse_object(fetch_bytes(self.source, self.manifest.config))
        except ValueError:
            return {}

    @cached_property
    def declared(self) -> JsonObject:
        """The Kitfile in KitOps' JSON form, as the packer embedded it; empty when there is none."""
        if ANNOTATION_KITFILE in self.manifest.annotations:
            try:
                return parse_object(self.manifest.annotations[ANNOTATION_KITFILE].encode())
            except ValueError as error:
                raise InvalidManifestError(f"annotation {ANNOTATION_KITFILE}: {error}") from None
        is_modelkit = self.manifest.config is not None and self.manifest.config.media_type == KITOPS_CONFIG
        return self.config if is_modelkit else {}

    @cached_property
    def kitfile(self) -> str:
        """The Kitfile's text, byte for byte when kitpack packed it; empty when there is none."""
        for layer in self.layers:
            if layer.role == "kitfile":
                return fetch_bytes(self.source, layer.descriptor).decode("utf-8", "replace")
        return json.dumps(self.declared, ensure_ascii=False, indent=2) if self.declared else ""

    @property
    def size(self) -> int:
        """The bytes of everything under the manifest."""
        return sum(child.size for child in self.manifest.successors)

    def prompts(self) -> list[Text]:
        """The full text of every prompt, in the manifest's order, fetching nothing else.

        Raises:
            NotFoundError, IntegrityError: When a prompt's layer is missing or damaged.
        """
        return self.texts(layer for layer in self.layers if layer.role == "prompt")

    def texts(self, layers: Iterable[Layer]) -> list[Text]:
        """The small files of some layers, read."""
        return [text for layer in layers for text in self._texts(layer)]

    def read(self, path: str) -> bytes:
        """One small file of the bundle that is a layer of its own.

        Raises:
            NotFoundError: When there is none.
        """
        for layer in self.layers:
            if layer.path == path and not layer.archived:
                return fetch_bytes(self.source, layer.descriptor)
        raise NotFoundError(f"the bundle has no file {path!r}")

    def _texts(self, layer: Layer) -> Iterator[Text]:
        descriptor = layer.descriptor
        if descriptor.size > TEXT_LIMIT:
            yield Text(path=layer.path, size=descriptor.size, text=None)
        elif not layer.archived:
            yield _text(layer.path, fetch_bytes(self.source, descriptor))
        else:
            with self.source.fetch(descriptor) as raw, VerifyingStream(raw, descriptor) as proven:
                members = read_members(decompressed(proven, descriptor.media_type), Limits(file_bytes=TEXT_LIMIT))
                found = [_text(one.path, one.stream.read()) for one in members if one.is_file]
                proven.drain()
            yield from found

    def _layers(self) -> Iterator[Layer]:
        sections = dict(_sections(self.declared))
        for descriptor in self.manifest.layers:
            path, role = sections.get(str(descriptor.digest), ("", ""))
            path = _annotated_path(descriptor) or path
            if not path:
                continue
            metadata = _metadata(descriptor)
            yield Layer(
                path=path if path == "." else safe_path(path),
                role=_role(descriptor, role),
                descriptor=descriptor,
                mode=_mode(metadata),
                archived=_is_archived(descriptor),
            )


def _text(path: str, data: bytes) -> Text:
    try:
        return Text(path=path, size=len(data), text=data.decode("utf-8"))
    except UnicodeDecodeError:
        return Text(path=path, size=len(data), text=None)


def _sections(declared: Mapping[str, Json]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Path and role of every entry of a Kitfile in JSON form, under the digest of its layer."""
    model = declared.get("model")
    if isinstance(model, dict):
        yield from _entry(model, "model")
        for part in _objects(model.get("parts")):
            yield from _entry(part, "model-part")
    for section, role in _SECTION_ROLES.items():
        for entry in _objects(declared.get(section)):
            yield from _entry(entry, role)


def _objects(value: Json) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _entry(entry: JsonObject, role: str) -> Iterator[tuple[str, tuple[str, str]]]:
    digest, path = entry.get("digest"), entry.get("path")
    if isinstance(digest, str) and isinstance(path, str):
        yield digest, (path, role)


def _annotated_path(descriptor: Descriptor) -> str:
    names = descriptor.annotations
    return names.get(ANNOTATION_FILEPATH) or names.get(_LEGACY_FILEPATH) or names.get(ANNOTATION_TITLE) or ""


def _role(descriptor: Descriptor, declared: str) -> str:
    annotated = descriptor.annotations.get(ANNOTATION_ROLE, "")
    if annotated in ROLES:
        return annotated
    if descriptor.annotations.get(ANNOTATION_LAYER_SUBTYPE) == "prompt":
        return "prompt"
    vendor = next((one for one in _VENDORS if descriptor.media_type.startswith(one)), None)
    base = descriptor.media_type.removeprefix(vendor).partition(".v")[0] if vendor else ""
    return declared or _BASE_ROLES.get(base, "file")


def _is_archived(descriptor: Descriptor) -> bool:
    if descriptor.annotations.get(_UNPACK) == "true":
        return True
    named_by_vendor = descriptor.media_type.startswith(_VENDORS[:2])
    return named_by_vendor and is_archive(descriptor.media_type)


def _metadata(descriptor: Descriptor) -> JsonObject:
    try:
        return parse_object(descriptor.annotations.get(ANNOTATION_FILE_METADATA, "{}").encode())
    except ValueError:
        return {}


def _mode(metadata: JsonObject) -> int:
    mode = metadata.get("mode")
    return mode & 0o777 if isinstance(mode, int) and mode & 0o777 else 0o644
