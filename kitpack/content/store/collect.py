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

from kitpack.content.store.folder import GC_LOCK, INGEST, blob_path, is_stored, stored_blobs
from kitpack.content.store.index import change_index, name_of, repository_of
from kitpack.content.store.ingest import PARTIAL
from kitpack.content.store.layout import Layout
from kitpack.content.store.locks import exclusive, is_same_file, try_exclusive
from kitpack.content.store.stored import read_manifest
from kitpack.errors import ContentError, InvalidManifestError, StoreError
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
        untagged: Number of manifests dropped from the index because no tag leads to them.
        kept: Number of blobs that stay.
        kept_bytes: Their bytes.
        spared: Number of blobs among them that nothing names, but that are too young to be deleted.
    """

    blobs: int = 0
    bytes: int = 0
    leftovers: int = 0
    referrers: int = 0
    untagged: int = 0
    kept: int = 0
    kept_bytes: int = 0
    spared: int = 0


def collect_garbage(
    layout: Layout,
    *,
    grace: float = GRACE,
    untagged: bool = False,
    dry_run: bool = False,
    now: Callable[[], float] = time.time,
) -> Collected:
    """Delete what cannot be reached from the index.

    An entry without a name whose manifest has a subject lives as long as its subject; all other entries live, with
    everything they name. A *named* manifest keeps its subject too, so the release log keeps what was once live.

    A registry server lists what was pushed by digest, or has lost its tag, without a name and with its repository.
    Such entries live as well, so that they can be pulled by digest; ``untagged`` takes this from them.

    Args:
        layout: The layout.
        grace: Seconds for which content that nothing names is spared; partial files are spared for seven days at least.
        untagged: Whether what a repository lists without a tag is garbage unless something else leads to it.
        dry_run: Only say what would be deleted.
        now: The clock, in seconds since 1970.

    Raises:
        NotFoundError: When there is no layout.
        StoreError: When the layout is in use, or a manifest that must be read is missing or damaged;
            nothing is deleted then.
    """
    layout.index()  # a folder that is no layout gets no lock file
    with _alone(layout, dry_run=dry_run):
        since = now() - grace, now() - max(grace, _PARTIAL_GRACE)
        return _collect(layout, young_since=since[0], partial_since=since[1], untagged=untagged, dry=dry_run)


def _alone(layout: Layout, *, dry_run: bool) -> AbstractContextManager[None]:
    if dry_run:
        return nullcontext()
    busy = StoreError(
        f"{layout.path} is in use by another process or thread", hint="let it finish, then collect once more"
    )
    return exclusive(layout.path / GC_LOCK, busy=busy)


def _collect(layout: Layout, *, young_since: float, partial_since: float, untagged: bool, dry: bool) -> Collected:
    marks = _Marks(layout)
    stored = dict(stored_blobs(layout.path))
    young = {digest for digest, found in stored.items() if found.st_mtime > young_since}
    dead = _mark(marks, layout.index().entries, young, untagged=untagged)
    named = frozenset(marks.digests)
    for digest in young:
        marks.guess(digest)
    unnamed = {
        digest: found.st_size for digest, found in stored.items() if digest not in named and stat.S_ISREG(found.st_mode)
    }
    doomed = {digest: size for digest, size in unnamed.items() if digest not in marks.digests}
    if not dry:
        doomed = _sweep(layout, dead, doomed, young_since)
    leftovers = list(_leftovers(layout.path / INGEST, young_since, partial_since, dry=dry))
    return Collected(
        blobs=len(doomed),
        bytes=sum(doomed.values()) + sum(leftovers),
        leftovers=len(leftovers),
        referrers=sum(map(bool, dead.values())),
        untagged=sum(not subject for subject in dead.values()),
        kept=len(stored) - len(doomed),
        spared=len(unnamed.keys() - doomed.keys()),
        kept_bytes=sum(found.st_size for digest, found in stored.items() if digest not in doomed),
    )


@dataclass(slots=True)
class _Marks:
    """What has been found to be alive."""

    layout: Layout
    digests: set[Digest] = field(default_factory=set)
    _followed: set[Descriptor] = field(default_factory=set)
    _guessed: set[Digest] = field(default_factory=set)

    def follow(self, top: Descriptor) -> None:
        """Mark content and all that it names; what must be read for that must be readable."""
        left = [top]
        while left:
            one = left.pop().plain()
            if one not in self._followed:
                self._followed.add(one)
                self.digests.add(one.digest)
                left.extend(self._named_by(one))

    def guess(self, digest: Digest) -> None:
        """Mark content and whatever looks like a digest in it: for all that kitpack cannot or need not understand."""
        left = [digest]
        while left:
            one = left.pop()
            if one not in self._guessed:
                self._guessed.add(one)
                self.digests.add(one)
                left.extend(_digests_in(blob_path(self.layout.path, one)))

    def _named_by(self, one: Descriptor) -> Iterable[Descriptor]:
        if not one.is_manifest:
            return ()
        manifest = _read(self.layout, one)
        for child in manifest.manifests:
            if not child.is_manifest:
                self.guess(child.digest)
        return manifest.successors


def _mark(
    marks: _Marks, entries: Iterable[Descriptor], young: Collection[Digest], *, untagged: bool
) -> dict[Digest, Digest | None]:
    """Mark what the index keeps alive, and return what it lists that nothing keeps, each with its subject."""
    waiting: dict[Digest, tuple[Descriptor, Digest | None]] = {}
    for entry in entries:
        if not entry.is_manifest:
            marks.guess(entry.digest)
            continue
        subject = _read(marks.layout, entry).subject
        is_loose = not name_of(entry) and entry.digest not in young
        if is_loose and (subject or (untagged and repository_of(entry))):
            waiting[entry.digest] = entry, subject.digest if subject else None
            continue
        marks.follow(entry)
        if subject and is_stored(blob_path(marks.layout.path, subject.digest), subject.size):
            marks.follow(subject)
    _mark_referrers(marks, waiting)
    return {digest: subject for digest, (_, subject) in waiting.items() if digest not in marks.digests}


def _mark_referrers(marks: _Marks, waiting: dict[Digest, tuple[Descriptor, Digest | None]]) -> None:
    """A referrer of something alive is alive, and so in turn are its own referrers."""
    left = dict(waiting)
    while alive := [digest for digest, (_, subject) in left.items() if subject in marks.digests]:
        for digest in alive:
            marks.follow(left.pop(digest)[0])


def _read(layout: Layout, descriptor: Descriptor) -> Manifest:
    try:
        return read_manifest(layout.path, descriptor)
    except (ContentError, InvalidManifestError) as error:
        raise StoreError(
            f"nothing was deleted: {descriptor.digest} must be read to know what is in use, but {error.message}",
            hint="`kitpack verify` lists everything that is missing or damaged; bring it here again, "
            "or `kitpack remove` the name that needs it",
        ) from error


def _digests_in(path: Path) -> set[Digest]:
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_MANIFEST_SIZE:
            return set()
        with path.open("rb") as file:
            raw = file.read() if file.read(1) == b"{" else b""
    except FileNotFoundError:
        return set()
    return {Digest.parse(match.group().decode()) for match in _DIGEST.finditer(raw)}


def _sweep(
    layout: Layout, dead: Collection[Digest], doomed: dict[Digest, int], young_since: float
) -> dict[Digest, int]:
    """Delete, names before content, and return what was deleted."""
    if dead:
        change_index(layout.path, lambda index: index.without_unnamed(dead))
    deleted: dict[Digest, int] = {}
    for digest, size in doomed.items():
        path = blob_path(layout.path, digest)
        with suppress(FileNotFoundError):
            if path.lstat().st_mtime <= young_since:  # somebody who could not take a lease may have touched it
                path.unlink()
                deleted[digest] = size
    return deleted


def _leftovers(ingest: Path, young_since: float, partial_since: float, *, dry: bool) -> Iterator[int]:
    """Delete unfinished files that are old and that nobody writes, and say how long each was."""
    with suppress(FileNotFoundError):
        for path in sorted(ingest.iterdir()):
            old_before = partial_since if path.suffix == PARTIAL else young_since
            size = _abandoned(path, old_before, dry=dry)
            if size is not None:
                yield size


def _abandoned(path: Path, old_before: float, *, dry: bool) -> int | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None  # another user's, a link, or gone
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_mtime > old_before:
            return None
        if not try_exclusive(fd, path) or not is_same_file(fd, path):
            return None
        if not dry:
            path.unlink()
        return found.st_size
    finally:
        os.close(fd)
