"""Files that are sent while the next ones are still being hashed.

``push DIR REF`` packs into this: it keeps nothing, as :class:`~kitpack.content.inplace.InPlace`, and a large file is on
its way to the target as soon as its digest is known. What is small, or was known before, waits for
:func:`kitpack.content.copy.copy`, which asks the target about all of that at once. Nothing is named before that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from kitpack.content.copy import copy_blob
from kitpack.content.events import Counted, Event, OnEvent, ignore
from kitpack.content.inplace import InPlace
from kitpack.content.sidebyside import cores
from kitpack.content.target import Opener, Target
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import ANNOTATION_TITLE, OCTET_STREAM

__all__ = ["Onward"]

LARGE = 8 << 20
"""Bytes from which on it pays to ask for one blob alone."""


class Onward(InPlace):
    """Content that stays where it is, and is on its way already.

    Args:
        target: Where it goes.
        may_begin: Asked once, when there is something to send: whether anything may be sent before all is known.
        jobs: Blobs sent at the same time.
        on_event: Told about what is sent, from several threads.
    """

    def __init__(
        self, target: Target, may_begin: Callable[[], bool], *, jobs: int = 4, on_event: OnEvent = ignore
    ) -> None:
        super().__init__()
        self._may_begin = may_begin
        self._allowed: bool | None = None
        self._target = target
        self._on_event = on_event
        self._hashing = threading.Semaphore(max(1, cores() // 2))  # the others are for what is on its way
        self._sending = threading.Semaphore(jobs)
        self._guard = threading.Lock()
        self._begun: set[Digest] = set()

    def add(self, open_at: Opener) -> tuple[Digest, int]:
        """See :meth:`kitpack.content.target.Adds.add`; returns when the target has the content, if it is large."""
        with self._hashing:
            digest, size = super().add(open_at)
        if size >= LARGE and isinstance(open_at, Counted) and self._claim(digest):
            self._send(digest, size, open_at)
        return digest, size

    def has_delivered(self, descriptor: Descriptor, target: Target) -> bool:
        """See :meth:`kitpack.content.target.Delivers.has_delivered`. To be asked when all has been added."""
        return target is self._target and descriptor.digest in self._begun

    def _claim(self, digest: Digest) -> bool:
        """Whether it is the caller's to send."""
        with self._guard:
            if self._allowed is None:
                self._allowed = self._may_begin()
            if not self._allowed or digest in self._begun:
                return False
            self._begun.add(digest)
            return True

    def _send(self, digest: Digest, size: int, counted: Counted) -> None:
        heard = counted.fall_silent()

        def tell(event: Event) -> None:
            heard(Event(kind="moved", name=counted.name))  # whoever listened may want all of this to end
            self._on_event(event)

        blob = Descriptor(media_type=OCTET_STREAM, digest=digest, size=size)
        with self._sending:
            copy_blob(self, blob.annotated({ANNOTATION_TITLE: counted.name}), self._target, tell)
