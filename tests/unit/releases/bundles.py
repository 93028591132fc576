"""Releases for tests: a few bytes and a version."""

from __future__ import annotations

from kitpack.content.target import Target, opener_of, publish
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.manifest import Manifest, build_manifest
from kitpack.oci.mediatypes import MODEL_CONFIG, MODEL_MANIFEST, model_layer

__all__ = ["push_release", "release_of"]

_CONFIG = b'{"modelfs":{"type":"layers","diffIds":[]}}'


def release_of(version: str) -> Manifest:
    """The manifest of a release with one layer of its own; nothing is pushed."""
    return build_manifest(
        artifact_type=MODEL_MANIFEST,
        config=Descriptor.of_bytes(MODEL_CONFIG, _CONFIG),
        layers=[Descriptor.of_bytes(model_layer("code"), f"prompt of {version}".encode())],
        annotations={"org.opencontainers.image.version": version},
    )


def push_release(target: Target, version: str, prefix: str = "") -> Manifest:
    """Push a release under its version."""
    manifest = release_of(version)
    for descriptor, data in zip(manifest.successors, (_CONFIG, f"prompt of {version}".encode()), strict=True):
        target.push(descriptor, opener_of(data))
    publish(target, manifest, f"{prefix}{version}")
    return manifest
