"""Content in memory: the reference implementation of a target, and the place where small bundles are tested."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from kitpack.content.target import Opener, verified_blocks
from kitpack.errors import InvalidDigestError, NotFoundError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest

__all__ = ["Memory"]


class Memory:
    """A target whose bytes vanish with the process."""

    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {}
        self._manifests: dict[Digest, Manifest] = {}
        self._tags: dict[str, Descriptor] = {}

    def resolve(self, reference: str) -> Descriptor:
        """See :meth:`kitpack.content.target.Source.resolve`."""
        if reference in self._tags:
            return self._tags[reference]
        try:
            return self._manifests[Digest.parse(reference)].descriptor
        except (InvalidDigestError, KeyError):
            raise NotFoundError(f"{reference!r} is not in memory") from None

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        """See :meth:`kitpack.content.target.Source.fetch`."""
        try:
            return io.BytesIO(self._blobs[descriptor.digest][offset:])
        except KeyError:
            raise NotFoundError(f"{descriptor.digest} is not in memory") from None

    def exists(self, descriptor: Descriptor) -> bool:
        """See :meth:`kitpack.content.target.Source.exists`."""
        return len(self._blobs.get(descriptor.digest, b"")) == descriptor.size and descriptor.digest in self._blobs

    def push(self, descriptor: Descriptor, open_at: Opener) -> None:
        """See :meth:`kitpack.content.target.Target.push`."""
        if self.exists(descriptor) and (descriptor.digest in self._manifests or not descriptor.is_manifest):
            return
        with open_at(0) as stream:
            data = b"".join(verified_blocks(stream, descriptor))
        if descriptor.is_manifest:
            self._add_manifest(Manifest.parse(data, descriptor.media_type, descriptor.digest))
        self._blobs[descriptor.digest] = data

    def tag(self, descriptor: Descriptor, reference: str) -> None:
        """See :meth:`kitpack.content.target.Target.tag`."""
        if descriptor.digest not in self._manifests:
            raise NotFoundError(f"{descriptor.digest} is not a manifest in memory")
        self._tags[reference] = descriptor.plain()

    def untag(self, reference: str) -> None:
        """See :meth:`kitpack.content.target.Deletes.untag`."""
        if self._tags.pop(reference, None) is None:
            raise NotFoundError(f"there is no tag {reference!r} in memory")

    def tags(self) -> Iterator[str]:
        """See :meth:`kitpack.content.target.ListsTags.tags`."""
        yield from sorted(self._tags)

    def referrers(self, subject: Descriptor, artifact_type: str = "") -> Iterator[Descriptor]:
        """See :meth:`kitpack.content.target.ListsReferrers.referrers`."""
        for manifest in self._manifests.values():
            found = manifest.subject
            if found and found.digest == subject.digest and artifact_type in ("", manifest.kind):
                yield replace(manifest.descriptor, artifact_type=manifest.kind, annotations=dict(manifest.annotations))

    def add(self, open_at: Opener) -> tuple[Digest, int]:
        """See :meth:`kitpack.content.target.Adds.add`."""
        with open_at(0) as stream:
            data = stream.read()
        digest = Digest.of_bytes(data)
        self._blobs[digest] = data
        return digest, len(data)

    def _add_manifest(self, manifest: Manifest) -> None:
        missing = [child for child in manifest.successors if not self.exists(child)]
        if missing:
            raise NotFoundError(f"the manifest names {missing[0].digest}, which is not in memory")
        self._manifests[manifest.descriptor.digest] = manifest
