"""Descriptors: what a piece of content is, how long, and under which digest.

Spec: https://github.com/opencontainers/image-spec/blob/main/descriptor.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kitpack.errors import InvalidDigestError, InvalidManifestError
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.oci.mediatypes import is_manifest

__all__ = ["Descriptor", "parse_annotations"]

MAX_SIZE = (1 << 63) - 1
_KNOWN = frozenset({"mediaType", "digest", "size", "annotations", "artifactType"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A typed, sized address of content.

    Attributes:
        media_type: What the bytes are.
        digest: Their digest.
        size: Their number.
        annotations: Strings about the content in the place where this descriptor stands.
        artifact_type: The kind of artifact, when the content is its manifest.
        extra: Members kitpack does not know (``urls``, ``platform``, ``data``, …), kept as they are.
    """

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str = ""
    extra: Mapping[str, Json] = field(default_factory=dict, hash=False)

    @classmethod
    def of_bytes(cls, media_type: str, data: bytes) -> Descriptor:
        """Describe bytes that are already in memory."""
        return cls(media_type=media_type, digest=Digest.of_bytes(data), size=len(data))

    @classmethod
    def from_dict(cls, value: Json) -> Descriptor:
        """Read a descriptor from parsed JSON.

        Raises:
            InvalidManifestError: When a member is missing or of the wrong type, or the size is out of range.
        """
        if not isinstance(value, dict):
            raise InvalidManifestError(f"expected a descriptor object, found {_name(value)}")
        try:
            digest = Digest.parse(_text(value, "digest"))
        except InvalidDigestError as error:
            raise InvalidManifestError(f"descriptor: {error.message}") from None
        return cls(
            media_type=_text(value, "mediaType"),
            digest=digest,
            size=_size(value.get("size")),
            annotations=parse_annotations(value.get("annotations")),
            artifact_type=_text(value, "artifactType") if "artifactType" in value else "",
            extra={key: member for key, member in value.items() if key not in _KNOWN},
        )

    def to_dict(self) -> JsonObject:
        """The descriptor as JSON, members in the order of the spec, unknown ones last."""
        result: JsonObject = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.annotations:
            result["annotations"] = dict(self.annotations)
        if self.artifact_type:
            result["artifactType"] = self.artifact_type
        result.update(self.extra)
        return result

    @property
    def is_manifest(self) -> bool:
        """Whether the content names other content."""
        return is_manifest(self.media_type)

    def plain(self) -> Descriptor:
        """The same content without what only its place says about it."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=self.size)

    def annotated(self, annotations: Mapping[str, str]) -> Descriptor:
        """The same content with these annotations instead."""
        return replace(self, annotations=dict(annotations))


def parse_annotations(value: Json) -> dict[str, str]:
    """Read an annotations member: a map of strings to strings, or nothing."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidManifestError(f"annotations: expected an object, found {_name(value)}")
    result: dict[str, str] = {}
    for key, member in value.items():
        if not isinstance(member, str):
            raise InvalidManifestError(f"annotation {key[:80]!r}: expected a string, found {_name(member)}")
        result[key] = member
    return result


def _text(value: JsonObject, key: str) -> str:
    member = value.get(key)
    if not isinstance(member, str) or not member:
        raise InvalidManifestError(f"descriptor: {key}: expected a string, found {_name(member)}")
    return member


def _size(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_SIZE:
        shown = value if isinstance(value, int | float) else _name(value)
        raise InvalidManifestError(f"descriptor: size: expected 0 to 2^63-1, found {shown}")
    return value


def _name(value: Json) -> str:
    return {type(None): "nothing", dict: "an object", list: "a list", str: "an empty string"}.get(
        type(value), type(value).__name__
    )
