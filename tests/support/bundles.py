"""Tiny bundles for tests: a few bytes, a manifest over them, and the same digests every time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from kitpack.content.target import Target, opener_of
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.jsontext import JsonObject, encode
from kitpack.oci.manifest import Manifest, build_manifest
from kitpack.oci.mediatypes import ANNOTATION_FILEPATH, EMPTY_CONFIG, OCI_INDEX, OCTET_STREAM

ARTIFACT_TYPE = "application/vnd.example.bundle.v1+json"
CONFIG = b"{}"


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that look random and are the same every time."""
    return random.Random(seed).randbytes(size)


def blob_of(data: bytes, media_type: str = OCTET_STREAM) -> Descriptor:
    """Describe a blob."""
    return Descriptor.of_bytes(media_type, data)


def push_blob(target: Target, data: bytes, media_type: str = OCTET_STREAM) -> Descriptor:
    """Push a blob and describe it."""
    descriptor = blob_of(data, media_type)
    target.push(descriptor, opener_of(data))
    return descriptor


def manifest_of(
    files: Mapping[str, bytes],
    *,
    subject: Descriptor | None = None,
    artifact_type: str = ARTIFACT_TYPE,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """The manifest of some files; nothing is pushed."""
    return build_manifest(
        artifact_type=artifact_type,
        config=blob_of(CONFIG, EMPTY_CONFIG),
        layers=[blob_of(data).annotated({ANNOTATION_FILEPATH: path}) for path, data in files.items()],
        annotations=annotations or {},
        subject=subject,
    )


def push_manifest(target: Target, manifest: Manifest, tag: str = "") -> Descriptor:
    """Push a manifest whose content is there, and tag it if a tag is given."""
    target.push(manifest.descriptor, opener_of(manifest.raw))
    if tag:
        target.tag(manifest.descriptor, tag)
    return manifest.descriptor


def push_artifact(
    target: Target,
    files: Mapping[str, bytes],
    tag: str = "",
    *,
    subject: Descriptor | None = None,
    artifact_type: str = ARTIFACT_TYPE,
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:
    """Push files, the config and the manifest over them, and tag it if a tag is given."""
    for data in files.values():
        push_blob(target, data)
    push_blob(target, CONFIG, EMPTY_CONFIG)
    manifest = manifest_of(files, subject=subject, artifact_type=artifact_type, annotations=annotations)
    return push_manifest(target, manifest, tag)


def index_of(manifests: Sequence[Descriptor]) -> Manifest:
    """An index over manifests; nothing is pushed."""
    value: JsonObject = {"schemaVersion": 2, "mediaType": OCI_INDEX}
    value["manifests"] = [one.to_dict() for one in manifests]
    return Manifest.parse(encode(value), OCI_INDEX)
