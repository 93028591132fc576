"""Content that stays where it is: a source over files that were hashed, not copied.

``push DIR REF`` packs into this and copies from it, so that no second copy of the weights ever exists on the disk.
"""

from __future__ import annotations

from typing import BinaryIO

from kitpack.content.target import Opener, verified_blocks
from kitpack.errors import InvalidDigestError, NotFoundError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import BLOCK, Digest

__all__ = ["InPlace"]


class InPlace:
    """A target that remembers how to open bytes instead of keeping them."""

    def __init__(self) -> None:
        self._openers: dict[Digest, tuple[Opener, int]] = {}
        self._manifests: dict[Digest, Descriptor] = {}
        self._tags: dict[str, Descriptor] = {}

    def resolve(self, reference: str) -> Descriptor:
        """See :meth:`kitpack.content.target.Source.resolve`."""
        if reference in self._tags:
            return self._tags[reference]
        try:
            return self._manifests[Digest.parse(reference)]
        except (InvalidDigestError, KeyError):
            raise NotFoundError(f"{reference!r} was not packed") from None

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        """See :meth:`kitpack.content.target.Source.fetch`."""
        try:
            open_at, _ = self._openers[descriptor.digest]
        except KeyError:
            raise NotFoundError(f"{descriptor.digest} was not packed") from None
        return open_at(offset)

    def exists(self, descriptor: Descriptor) -> bool:
        """See :meth:`kitpack.content.target.Source.exists`."""
        return self._openers.get(descriptor.digest, (None, -1))[1] == descriptor.size

    def push(self, descriptor: Descriptor, open_at: Opener) -> None:
        """See :meth:`kitpack.content.target.Target.push`."""
        with open_at(0) as stream:
            for _ in verified_blocks(stream, descriptor):
                pass
        self._openers[descriptor.digest] = (open_at, descriptor.size)
        if descriptor.is_manifest:
            self._manifests[descriptor.digest] = descriptor.plain()

    def tag(self, descriptor: Descriptor, reference: str) -> None:
        """See :meth:`kitpack.content.target.Target.tag`."""
        self._tags[reference] = self.resolve(str(descriptor.digest))

    def add(self, open_at: Opener) -> tuple[Digest, int]:
        """See :meth:`kitpack.content.target.Adds.add`."""
        size = 0
        hasher = Digest.of_bytes(b"").hasher()
        with open_at(0) as stream:
            while block := stream.read(BLOCK):
                size += len(block)
                hasher.update(block)
        return self.keep(Digest("sha256", hasher.hexdigest()), size, open_at)

    def keep(self, digest: Digest, size: int, open_at: Opener) -> tuple[Digest, int]:
        """Remember how to open bytes whose digest somebody has found out already."""
        self._openers[digest] = (open_at, size)
        return digest, size

    def recall(self, digest: Digest, size: int, open_at: Opener) -> bool:
        """See :meth:`kitpack.content.target.Recalls.recall`. Whoever fetches the content proves it."""
        self.keep(digest, size, open_at)
        return True
