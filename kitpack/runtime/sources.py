"""Where the bytes of a loaded bundle come from: the cache, the local store, and last of all the registry."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from kitpack.content.store.layout import Layout
from kitpack.content.target import Source, fetch_bytes
from kitpack.errors import ContentError, IntegrityError, NotFoundError, StoreError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import MAX_MANIFEST_SIZE
from kitpack.runtime.cache import Cache

__all__ = ["Kept", "noting"]

_log = logging.getLogger("kitpack.runtime")


class Kept:
    """A source that keeps the small content it delivers, and delivers what it kept without asking anybody.

    Args:
        cache: Where it is kept.
        behind: Who is asked for what is not there, in this order; a damaged copy counts as none.
    """

    def __init__(self, cache: Cache, *behind: Source) -> None:
        self.cache = cache
        self.behind = behind
        self._proven: dict[Digest, bytes] = {}

    def resolve(self, reference: str) -> Descriptor:
        """See :meth:`kitpack.content.target.Source.resolve`: the last one behind decides what a name means."""
        if not self.behind:
            raise NotFoundError(f"{reference!r} cannot be resolved from the cache")
        return self.behind[-1].resolve(reference)

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        """See :meth:`kitpack.content.target.Source.fetch`."""
        if descriptor.size > MAX_MANIFEST_SIZE:
            return self._asked(descriptor).fetch(descriptor, offset)
        return io.BytesIO(self._small(descriptor)[offset:])

    def exists(self, descriptor: Descriptor) -> bool:
        """See :meth:`kitpack.content.target.Source.exists`."""
        return self.cache.blob(descriptor) is not None or any(one.exists(descriptor) for one in self.behind)

    def _small(self, descriptor: Descriptor) -> bytes:
        if descriptor.digest not in self._proven:
            kept = self.cache.read(descriptor)
            data = self._fetched(descriptor) if kept is None else kept
            if kept is None:
                with noting("keep what was loaded"):
                    self.cache.keep(descriptor, data)
            self._proven[descriptor.digest] = data
        return self._proven[descriptor.digest]

    def _fetched(self, descriptor: Descriptor) -> bytes:
        """The bytes from the first one behind that has them whole; a registry's refusal is not passed over."""
        failure: ContentError = self._lost(descriptor)
        for source in self.behind:
            try:
                return fetch_bytes(source, descriptor)
            except (NotFoundError, IntegrityError) as error:
                failure = self._lost(descriptor) if isinstance(source, Layout) else error
            except (StoreError, OSError):
                continue
        raise failure

    def _asked(self, descriptor: Descriptor) -> Source:
        for source in self.behind:
            with suppress(NotFoundError, IntegrityError, StoreError, OSError):
                if source.exists(descriptor):
                    return source
        raise self._lost(descriptor)

    def _lost(self, descriptor: Descriptor) -> NotFoundError:
        return NotFoundError(
            f"{descriptor.digest} is not in {self.cache.root}, or is damaged there",
            hint="load the bundle once with the registry within reach",
        )


@contextmanager
def noting(what: str) -> Iterator[None]:
    """Go on when the cache cannot be written, and say so in the log: an application works without it, too.

    Args:
        what: What could not be done, for the log.
    """
    try:
        yield
    except (OSError, StoreError) as error:
        _log.warning("could not %s: %s", what, error)
