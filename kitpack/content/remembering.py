"""A source that fetches nothing small twice, for those who look at several bundles that share most of their content."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import BinaryIO

from kitpack.content.events import OnEvent, ignore
from kitpack.content.sidebyside import side_by_side
from kitpack.content.target import Source, fetch_bytes
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest

__all__ = ["Remembering"]


class Remembering:
    """A source that keeps the small content it has fetched.

    Args:
        source: Where the content is.
        known: Content by digest, which several sources may share: bytes that were proven are the same everywhere.
        limit: The number of bytes above which content passes through.
    """

    def __init__(self, source: Source, known: dict[Digest, bytes], limit: int) -> None:
        self._source = source
        self._known = known
        self._limit = limit

    def resolve(self, reference: str) -> Descriptor:
        """See :meth:`kitpack.content.target.Source.resolve`."""
        return self._source.resolve(reference)

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        """See :meth:`kitpack.content.target.Source.fetch`."""
        if descriptor.size > self._limit:
            return self._source.fetch(descriptor, offset)
        if descriptor.digest not in self._known:
            self._known[descriptor.digest] = fetch_bytes(self._source, descriptor, self._limit)
        return io.BytesIO(self._known[descriptor.digest][offset:])

    def exists(self, descriptor: Descriptor) -> bool:
        """See :meth:`kitpack.content.target.Source.exists`."""
        return descriptor.digest in self._known or self._source.exists(descriptor)

    def fetch_ahead(self, descriptors: Iterable[Descriptor], jobs: int) -> None:
        """Fetch what will be needed, several at a time; what is large or known already is left out.

        Raises:
            NotFoundError, IntegrityError: When some of it is missing or damaged.
        """
        wanted = {one.digest: one for one in descriptors if one.size <= self._limit and one.digest not in self._known}
        if len(wanted) > 1:
            side_by_side(self._fetch_one, wanted.values(), jobs, ignore)

    def _fetch_one(self, descriptor: Descriptor, _: OnEvent) -> None:
        self.fetch(descriptor).close()
