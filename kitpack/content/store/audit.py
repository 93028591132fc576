"""An audit of an image layout: is everything there, and is it what its name says?

Only faults are found, nothing is changed. Unfinished files in ``ingest/`` and blobs that nothing names are no faults.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from kitpack.content.store.folder import INDEX, blob_path, is_layout, stored_blobs
from kitpack.content.store.index import name_of, read_index
from kitpack.content.store.layout import Layout
from kitpack.content.store.stored import may_be_elsewhere, open_blob, read_manifest
from kitpack.errors import ContentError, InvalidManifestError, KitpackError, NotFoundError, StoreError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import BLOCK, Digest

__all__ = ["Finding", "Progress", "audit"]

_HEAL = "`kitpack verify --repair` moves it away; then pull or pack the bundle again"
_BRING = "pull or pack the bundle again"

Progress = Callable[[int, int], None]
"""Called with the bytes proven so far and the bytes there are; one call at a time, from any thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault of a layout.

    Attributes:
        path: The file it stands in, or that is missing.
        message: What was found and what was expected.
        hint: What to do about it.
        digest: The content it is about; None when it is about the layout as a whole.
        missing: Whether there is nothing, rather than something else.
    """

    path: str
    message: str
    hint: str = ""
    digest: Digest | None = None
    missing: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" + (f" ({self.hint})" if self.hint else "")


def audit(
    layout: Layout, descriptor: Descriptor | None = None, *, jobs: int = 2, progress: Progress | None = None
) -> Iterator[Finding]:
    """Find everything that is missing or damaged.

    Args:
        layout: The layout.
        descriptor: Look only at this manifest and what it names; None looks at the index and at every blob.
        jobs: Number of blobs hashed at the same time.
        progress: Told how far the hashing has come.

    Yields:
        The faults: first those of the index and the manifests, then those of bytes.

    Raises:
        NotFoundError: When there is no layout.
    """
    if not is_layout(layout.path):
        raise NotFoundError(f"there is no store at {layout.path}", hint="check KITPACK_HOME, or name the folder")
    with layout.lease():
        walk = _Walk(layout.path)
        yield from walk.named() if descriptor is None else walk.below(descriptor, str(descriptor.digest))
        stored = dict(stored_blobs(layout.path))
        chosen = stored if descriptor is None else {one: stored[one] for one in walk.seen if one in stored}
        sizes = {digest: found.st_size for digest, found in chosen.items() if digest not in walk.faulty}
        yield from _prove(layout.path, sizes, jobs, progress or _silent)


class _Walk:
    """A walk from manifests down to everything they name, which looks at each file once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._visited: set[Descriptor] = set()
        self.faulty: set[Digest] = set()

    @property
    def seen(self) -> frozenset[Digest]:
        return frozenset(one.digest for one in self._visited)

    def named(self) -> Iterator[Finding]:
        """The faults of the index and of all that it lists."""
        try:
            entries = read_index(self._root).entries
        except StoreError as error:
            yield Finding(path=str(self._root / INDEX), message=error.message, hint="put back a copy, or pull again")
            return
        for entry in entries:
            yield from self.below(entry, repr(name_of(entry)) if name_of(entry) else str(entry.digest))

    def below(self, top: Descriptor, needed_by: str) -> Iterator[Finding]:
        """The faults of one manifest and all that it names."""
        left = [top.plain()]
        while left:
            one = left.pop()
            if one in self._visited:
                continue
            self._visited.add(one)
            try:
                left.extend(child.plain() for child in reversed(self._children(one)))
            except (ContentError, InvalidManifestError) as error:
                self.faulty.add(one.digest)
                path = str(blob_path(self._root, one.digest))
                message = f"{_about(path, error)}; {needed_by} needs it"
                missing = isinstance(error, NotFoundError)
                hint = _BRING if missing else _HEAL
                yield Finding(path=path, message=message, hint=hint, digest=one.digest, missing=missing)

    def _children(self, one: Descriptor) -> tuple[Descriptor, ...]:
        if one.is_manifest:
            return read_manifest(self._root, one).successors
        try:
            open_blob(self._root, one.digest, one.size).close()
        except NotFoundError:
            if not may_be_elsewhere(one):
                raise
        return ()


def _prove(root: Path, sizes: dict[Digest, int], jobs: int, progress: Progress) -> Iterator[Finding]:
    """Hash blobs in threads; those that are not what their names say are yielded."""
    meter = _Meter(sum(sizes.values()), progress)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            yield from filter(None, pool.map(lambda digest: _fault_of(root, digest, meter), sizes))
        finally:
            meter.stopped = True
            pool.shutdown(cancel_futures=True)


def _fault_of(root: Path, digest: Digest, meter: _Meter) -> Finding | None:
    path = str(blob_path(root, digest))
    try:
        found = _hash(root, digest, meter)
    except ContentError as error:
        return Finding(path=path, message=_about(path, error), hint=_HEAL, digest=digest)
    except OSError as error:
        hint = _HEAL if error.errno == errno.EIO else "let this user read it"
        return Finding(path=path, message=f"cannot be read: {error.strerror}", hint=hint, digest=digest)
    if found in (digest, None):
        return None
    return Finding(path=path, message=f"holds bytes of {found}", hint=_HEAL, digest=digest)


def _hash(root: Path, digest: Digest, meter: _Meter) -> Digest | None:
    """The digest of a regular file; None when the audit was broken off."""
    hasher = digest.hasher()
    with open_blob(root, digest) as file:
        while block := file.read(BLOCK):
            hasher.update(block)
            meter.advance(len(block))
            if meter.stopped:
                return None
    return Digest(digest.algorithm, hasher.hexdigest())


def _about(path: str, error: KitpackError) -> str:
    return error.message.removeprefix(f"{path} ")


class _Meter:
    """Adds up what the threads have done."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.stopped = False
        self._total = total
        self._done = 0
        self._progress = progress
        self._lock = Lock()

    def advance(self, count: int) -> None:
        with self._lock:
            self._done += count
            self._progress(self._done, self._total)


def _silent(done: int, total: int) -> None:
    """Report to nobody."""
