"""Garbage collection of an image layout: what no name leads to any more is deleted, and nothing else.

Three things protect content: a way from the index to it, a lease that somebody holds, and youth. Where there is doubt,
because something that must be read cannot be read, nothing at all is deleted.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from kitpack.content.folder import GC_LOCK, INGEST, blob_path, stored_blobs
from kitpack.content.index import change_index, name_of
from kitpack.content.ingest import PARTIAL
from kitpack.content.layout import Layout
from kitpack.content.locks import exclusive, is_same_file, try_exclusive
from kitpack.content.target import fetch_bytes, fetch_manifest
from kitpack.errors import ContentError, InvalidManifestError, NotFoundError, StoreError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import MAX_MANIFEST_SIZE, Manifest

__all__ = ["GRACE", "Collected", "collect_garbage"]

GRACE = 600.0
"""Seconds for which content that nothing names yet is spared."""

_PARTIAL_GRACE = 7 * 86_400.0
_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}(?![0-9a-f])|sha512:[0-9a-f]{128}(?![0-9a-f])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What garbage collection deleted, or would delete.

    Attributes:
        blobs: Number of blobs deleted.
        bytes: Their bytes, and those of the leftovers.
        leftovers: Number of unfinished files deleted.
        referrers: Number of manifests dropped from the index because what they speak of is gone.
        kept: Number of blobs that stay.
        kept_bytes: Their bytes.
    """

    blobs: int = 0
    bytes: int = 0
    leftovers: int = 0
    referrers: int = 0
    kept: int = 0
    kept_bytes: int = 0


def collect_garbage(
    layout: Layout, *, grace: float = GRACE, dry_run: bool = False, now: Callable[[], float] = time.time
) -> Collected:
    """Delete what cannot be reached from the index.

    An entry without a name whose manifest has a subject lives as long as its subject; all other entries live, with
    everything they name. A *named* manifest keeps its subject too, so the release log keeps what was once live.

    Args:
        layout: The layout.
        grace: Seconds for which content that nothing names is spared; partial files are spared for seven days at least.
        dry_run: Only say what would be deleted.
        now: The clock, in seconds since 1970.

    Raises:
        NotFoundError: When there is no layout.
        StoreError: When the layout is in use, or a manifest that must be read is missing or damaged; nothing is deleted.
    """
    layout.index()  # a folder that is no layout gets no lock file
    with _alone(layout, dry_run=dry_run):
        return _collect(layout, young_since=now() - grace, partial_since=now() - max(grace, _PARTIAL_GRACE), dry=dry_run)


def _alone(layout: Layout, *, dry_run: bool) -> AbstractContextManager[None]:
    if dry_run:
        return nullcontext()
    busy = StoreError(
        f"{layout.path} is in use by another process or thread", hint="let it finish, then collect once more"
    )
    return exclusive(layout.path / GC_LOCK, busy=busy)


def _collect(layout: Layout, *, young_since: float, partial_since: float, dry: bool) -> Collected:
    marks = _Marks(layout)
    stored = dict(stored_blobs(layout.path))
    young = {digest for digest, found in stored.items() if found.st_mtime > young_since}
    dead = _mark(marks, layout.index().entries, young)
    _mark_young(marks, young, stored)
    doomed = {
        digest: found.st_size
        for digest, found in stored.items()
        if digest not in marks.digests | young and stat.S_ISREG(found.st_mode)
    }
    leftovers = list(_leftovers(layout.path / INGEST, young_since, partial_since, dry=dry))
    if not dry:
        _sweep(layout, dead, doomed, young_since)
    return Collected(
        blobs=len(doomed),
        bytes=sum(doomed.values()) + sum(leftovers),
        leftovers=len(leftovers),
        referrers=len(dead),
        kept=len(stored) - len(doomed),
        kept_bytes=sum(found.st_size for digest, found in stored.items() if digest not in doomed),
    )


@dataclass(slots=True)
class _Marks:
    """What has been found to be alive."""

    layout: Layout
    digests: set[Digest] = field(default_factory=set)
    _read: set[Descriptor] = field(default_factory=set)

    def follow(self, top: Descriptor) -> None:
        """Mark content and all that it names."""
        left = [top]
        while left:
            one = left.pop().plain()
            if one not in self._read:
                self._read.add(one)
                self.digests.add(one.digest)
                left.extend(self._named_by(one))

    def _named_by(self, one: Descriptor) -> Iterable[Descriptor]:
        if not one.is_manifest:
            return ()
        manifest = _read_manifest(self.layout, one)
        for child in manifest.manifests:
            if not child.is_manifest:
                self.guess(child)
        return manifest.successors

    def guess(self, one: Descriptor) -> None:
        """Mark whatever looks like a digest in content that names other content in a way kitpack does not know."""
        self.digests.add(one.digest)
        if one.size <= MAX_MANIFEST_SIZE:
            raw = _certain(self.layout, one, lambda: fetch_bytes(self.layout, one))
            self.digests.update(Digest.parse(match.group().decode()) for match in _DIGEST.finditer(raw))


def _mark(marks: _Marks, entries: Collection[Descriptor], young: Collection[Digest]) -> set[Digest]:
    """Mark what the index keeps alive and return the referrers that nothing does."""
    waiting: dict[Digest, tuple[Descriptor, Descriptor]] = {}
    for entry in entries:
        subject = _read_manifest(marks.layout, entry).subject if entry.is_manifest else None
        if not entry.is_manifest:
            marks.guess(entry)
        elif subject and not name_of(entry) and entry.digest not in young:
            waiting[entry.digest] = entry, subject
        else:
            marks.follow(entry)
            _mark_subject(marks, entry, subject)
    _mark_referrers(marks, waiting)
    return {digest for digest in waiting if digest not in marks.digests}


def _mark_subject(marks: _Marks, entry: Descriptor, subject: Descriptor | None) -> None:
    if subject and name_of(entry):
        with suppress(NotFoundError):
            marks.layout.fetch(subject).close()  # a subject that was never brought here keeps nothing
            marks.follow(subject)


def _mark_referrers(marks: _Marks, waiting: dict[Digest, tuple[Descriptor, Descriptor]]) -> None:
    """A referrer of something alive is alive, and so, in turn, are its own referrers."""
    alive = True
    while alive:
        alive = [entry for entry, subject in waiting.values() if subject.digest in marks.digests - {entry.digest} and entry.digest not in marks.digests]
        for entry in alive:
            marks.follow(entry)
