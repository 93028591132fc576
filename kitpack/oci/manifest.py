"""Manifests and indexes: content that names other content.

A manifest is its bytes: the digest is taken over them, so they are kept and never written again from the values.

Specs: https://github.com/opencontainers/image-spec/blob/main/manifest.md and …/image-index.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kitpack.errors import InvalidManifestError
from kitpack.oci.descriptor import Descriptor, parse_annotations
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import Json, JsonObject, encode, parse_object
from kitpack.oci.mediatypes import INDEX_TYPES, MANIFEST_TYPES, OCI_INDEX, OCI_MANIFEST

__all__ = ["MAX_MANIFEST_SIZE", "Manifest", "build_manifest"]

MAX_MANIFEST_SIZE = 4 << 20
"""Bytes above which registries refuse a manifest, and kitpack does not read one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A parsed manifest or index together with its exact bytes.

    Attributes:
        raw: The bytes as stored.
        digest: What they are stored under.
        media_type: What they are.
        config: The config descriptor; None in an index.
        layers: The layers, in order; empty in an index.
        manifests: What an index lists, in order; empty in a manifest.
        subject: What this manifest says something about, if anything.
        artifact_type: Its declared kind, or an empty string.
        annotations: Strings about the whole.
    """

    raw: bytes = field(repr=False)
    digest: Digest
    media_type: str
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: bytes, media_type: str = "", digest: Digest | None = None) -> Manifest:
        """Read a manifest or index.

        Args:
            raw: Its exact bytes.
            media_type: What the place it came from calls it; empty when that place does not say.
            digest: What it is stored under there; by default its SHA-256.

        Raises:
            InvalidManifestError: When the bytes are too many, not strict JSON, not shaped as the spec demands, or
                could be read as both a manifest and an index (CVE-2021-41190).
        """
        if len(raw) > MAX_MANIFEST_SIZE:
            raise InvalidManifestError(f"a manifest of {len(raw)} bytes exceeds the limit of {MAX_MANIFEST_SIZE}")
        try:
            value = parse_object(raw)
        except ValueError as error:
            raise InvalidManifestError(f"not a manifest: {error}") from None
        found = _media_type(value, media_type)
        is_index = found in INDEX_TYPES
        return cls(
            raw=raw,
            digest=digest or Digest.of_bytes(raw),
            media_type=found,
            config=None if is_index else Descriptor.from_dict(value.get("config")),
            layers=() if is_index else _descriptors(value, "layers"),
            manifests=_descriptors(value, "manifests") if is_index else (),
            subject=Descriptor.from_dict(value["subject"]) if value.get("subject") is not None else None,
            artifact_type=_text(value, "artifactType"),
            annotations=parse_annotations(value.get("annotations")),
        )

    @property
    def descriptor(self) -> Descriptor:
        """What to put into an index to list this manifest."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.raw))

    @property
    def kind(self) -> str:
        """The artifact type, or by the spec's rule the media type of the config."""
        return self.artifact_type or (self.config.media_type if self.config else "")

    @property
    def successors(self) -> tuple[Descriptor, ...]:
        """Everything that must exist before this manifest may: config, layers, listed manifests. Not the subject."""
        return (*((self.config,) if self.config else ()), *self.layers, *self.manifests)


def build_manifest(
    *,
    artifact_type: str,
    config: Descriptor,
    layers: Sequence[Descriptor],
    annotations: Mapping[str, str],
    subject: Descriptor | None = None,
) -> Manifest:
    """Make an image manifest: the same arguments always give the same bytes."""
    value: JsonObject = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": artifact_type}
    value["config"] = config.to_dict()
    value["layers"] = [layer.to_dict() for layer in layers]
    if subject is not None:
        value["subject"] = subject.plain().to_dict()
    if annotations:
        value["annotations"] = dict(annotations)
    return Manifest.parse(encode(value), OCI_MANIFEST)


def _media_type(value: JsonObject, expected: str) -> str:
    if value.get("schemaVersion") != 2 or isinstance(value.get("schemaVersion"), bool | float):
        raise InvalidManifestError(f"schemaVersion: expected 2, found {repr(value.get('schemaVersion'))[:120]}")
    if "manifests" in value and ("layers" in value or "config" in value):
        raise InvalidManifestError("it has both manifests and layers, so it could be read as two different things")
    declared = _text(value, "mediaType")
    if declared and expected and declared != expected:
        raise InvalidManifestError(f"its mediaType is {declared[:120]!r}, but it was announced as {expected!r}")
    found = declared or expected or (OCI_INDEX if "manifests" in value else OCI_MANIFEST)
    if found not in (INDEX_TYPES if "manifests" in value else MANIFEST_TYPES):
        raise InvalidManifestError(f"its mediaType {found[:120]!r} does not fit its members")
    return found


def _text(value: JsonObject, key: str) -> str:
    member = value.get(key)
    if not isinstance(member, str | None):
        raise InvalidManifestError(f"{key}: expected a string, found {type(member).__name__}")
    return member or ""


def _descriptors(value: JsonObject, key: str) -> tuple[Descriptor, ...]:
    members: Json = value.get(key)
    if not isinstance(members, list):
        raise InvalidManifestError(f"{key}: expected a list, found {type(members).__name__}")
    return tuple(Descriptor.from_dict(member) for member in members)
