"""Two sources of the same content: names from the far one, bytes from the near one where it has them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import BinaryIO

from kitpack.content.copy import leased
from kitpack.content.target import Source
from kitpack.errors import ContentError
from kitpack.oci.descriptor import Descriptor

__all__ = ["Nearest"]


class Nearest:
    """A source that asks a far place only for what a near one lacks.

    Content is named by its digest and proven by whoever reads it, so it does not matter which of the two delivers it.

    Args:
        near: The cheap one, usually the local store.
        far: The one that decides what a name means.
    """

    def __init__(self, near: Source, far: Source) -> None:
        self._near = near
        self._far = far

    def resolve(self, reference: str) -> Descriptor:
        """See :meth:`kitpack.content.target.Source.resolve`."""
        return self._far.resolve(reference)

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        """See :meth:`kitpack.content.target.Source.fetch`."""
        source = self._near if self.is_near(descriptor) else self._far
        return source.fetch(descriptor, offset)

    def exists(self, descriptor: Descriptor) -> bool:
        """See :meth:`kitpack.content.target.Source.exists`."""
        return self.is_near(descriptor) or self._far.exists(descriptor)

    def lease(self) -> AbstractContextManager[None]:
        """See :meth:`kitpack.content.target.Leases.lease`."""
        return leased(self._near, self._far)

    def is_near(self, descriptor: Descriptor) -> bool:
        """Whether content is in the near place, so that reading it costs next to nothing."""
        try:
            return self._near.exists(descriptor)
        except (ContentError, OSError):  # a damaged store is no reason to fail while the far place is well
            return False
