"""A read-only view of a bundle, wherever it is and whoever packed it.

Reads what kitpack, KitOps (ModelKit and ModelPack), modctl and Docker write, and plain artifacts whose layers have
titles. Only what is asked for is fetched: the view itself needs the manifest, the config and the Kitfile.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from kitpack.artifact.decompress import Limits
from kitpack.artifact.dialects import KITFILE_CONFIGS, Layer, read_layer, read_layers
from kitpack.artifact.extract import Member
from kitpack.content.target import Source, fetch_bytes, fetch_manifest
from kitpack.content.verify import VerifyingStream
from kitpack.errors import IntegrityError, InvalidManifestError, NotFoundError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.jsontext import JsonObject, parse_object
from kitpack.oci.manifest import Manifest
from kitpack.oci.mediatypes import ANNOTATION_KITFILE, INDEX_TYPES

__all__ = ["Bundle", "Text"]

TEXT_LIMIT = 1 << 20
"""Bytes above which a prompt is listed but not read: no prompt is a megabyte long."""

READABLE_ARCHIVE = 16 << 20
"""Bytes above which an archive is not looked into: a thousand prompts that were packed as one are a megabyte or two."""

ARCHIVE_LIMIT = 64 << 20
"""Bytes that a compressed layer, or all prompts together, may become in memory."""

TEXTS_LIMIT = 10_000
"""Members of archives that are read for their text; a layer with more than are left is listed as one."""


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
        return tuple(read_layers(self.manifest, self.declared))

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
        config = self.manifest.config
        return self.config if config is not None and config.media_type in KITFILE_CONFIGS else {}

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
        """The small files of some layers, read; of very many, the later ones only listed."""
        found: list[Text] = []
        total, left = 0, TEXTS_LIMIT
        for layer in layers:
            if total > ARCHIVE_LIMIT or not left:
                found.append(_listed(layer))
                continue
            texts, members = self._texts(layer, left)
            total += sum(text.size for text in texts)
            left -= members
            found += texts
        return found

    def read(self, path: str) -> bytes:
        """One small file of the bundle, if need be out of a small archive.

        Raises:
            NotFoundError: When there is none.
            IntegrityError: When it is too large to be read into memory, or damaged.
        """
        for layer in self.layers:
            if layer.path == path and layer.verbatim:
                return fetch_bytes(self.source, layer.descriptor)
        for layer in self.layers:
            if not layer.verbatim and _could_hold(layer, path):
                found = [one.stream.read() for one in self._members(layer) if one.is_file and one.path == path]
                if found:
                    return found[0]
        raise NotFoundError(f"the bundle has no file {path!r}")

    def _texts(self, layer: Layer, most: int) -> tuple[list[Text], int]:
        """The files of a layer, and how many members were read for them; when there are too many, only the layer."""
        if layer.descriptor.size > (TEXT_LIMIT if layer.verbatim else READABLE_ARCHIVE):
            return [_listed(layer)], 1
        if layer.verbatim:
            return [_text(layer.path, fetch_bytes(self.source, layer.descriptor))], 1
        texts, number = [], 0
        with closing(self._members(layer)) as members:
            for number, member in enumerate(members, 1):
                if number > most:
                    return [_listed(layer)], most
                if member.is_file:
                    texts.append(_text(member.path, member.stream.read()))
        return texts, number

    def _members(self, layer: Layer) -> Generator[Member, None, None]:
        """What is in a small layer that is an archive or compressed; proven when all of it has been taken."""
        descriptor = layer.descriptor
        if descriptor.size > READABLE_ARCHIVE:
            raise IntegrityError(
                f"{layer.path!r} is an archive of {descriptor.size} bytes; "
                f"at most {READABLE_ARCHIVE} are read into memory",
                hint="unpack it: kitpack unpack REF --only PATH",
            )
        with self.source.fetch(descriptor) as raw, VerifyingStream(raw, descriptor) as proven:
            yield from read_layer(proven, layer, Limits(total_bytes=ARCHIVE_LIMIT))
            proven.drain()


def _listed(layer: Layer) -> Text:
    return Text(path=layer.path, size=layer.descriptor.size, text=None)


def _text(path: str, data: bytes) -> Text:
    try:
        text = data.decode("utf-8") if len(data) <= TEXT_LIMIT else None
    except UnicodeDecodeError:
        text = None
    return Text(path=path, size=len(data), text=text)


def _could_hold(layer: Layer, path: str) -> bool:
    return layer.path in (".", path, *map(str, PurePosixPath(path).parents))
