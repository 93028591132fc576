"""What nobody has loaded for a long time is removed from the cache of loaded bundles."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kitpack.content.store.folder import GC_LOCK, INGEST, blob_path, stored_blobs
from kitpack.content.store.locks import exclusive
from kitpack.errors import InvalidManifestError, StoreError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest
from kitpack.runtime.cache import Cache

__all__ = ["UNUSED", "Pruned", "prune"]

UNUSED = 30 * 86_400
"""Seconds after which a bundle that no application has loaded is removed."""

_GRACE = 7 * 86_400.0  # for what no bundle names: it may be on its way in, or wait to be continued


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was removed, or would be.

    Attributes:
        bundles: Number of bundles.
        bytes: The bytes of content that only they had.
        kept: Number of bundles that stay.
    """

    bundles: int = 0
    bytes: int = 0
    kept: int = 0


def prune(
    cache: Cache, *, unused: float = UNUSED, dry_run: bool = False, now: Callable[[], float] = time.time
) -> Pruned:
    """Remove bundles that no application has loaded for some time, and what only they had.

    Applications that still run keep what they have in memory, and open files; asked for weights anew, they fetch them.

    Args:
        cache: Where they are.
        unused: Seconds since a bundle was last loaded.
        dry_run: Only say what would be removed.
        now: The clock, in seconds since 1970.

    Raises:
        StoreError: When an application is loading something right now.
    """
    if not cache.root.is_dir():
        return Pruned()
    if dry_run:
        return _prune(cache, now() - unused, now() - _GRACE, dry_run=True)
    busy = StoreError(f"{cache.root} is in use by another process", hint="let it finish, then collect once more")
    with exclusive(cache.root / GC_LOCK, busy=busy):
        return _prune(cache, now() - unused, now() - _GRACE, dry_run=False)


def _prune(cache: Cache, unused_since: float, loose_since: float, *, dry_run: bool) -> Pruned:
    listed = list(cache.bundles())
    old = {one.digest: path for path, one in listed if path.stat().st_mtime < unused_since}
    named = {one.digest: _named(cache, one) for _, one in listed}
    alive = {digest for bundle, inside in named.items() if bundle not in old for digest in inside}
    dropped = {digest for bundle in old for digest in named[bundle]} - alive
    size = 0
    for digest, found in stored_blobs(cache.root):
        if digest in dropped or (digest not in alive and found.st_mtime < loose_since):
            size += found.st_size
            if not dry_run:
                blob_path(cache.root, digest).unlink(missing_ok=True)
                cache.proven_path(digest).unlink(missing_ok=True)
    if not dry_run:
        _forget(cache, old)
        _remove_leftovers(cache.root / INGEST, loose_since)
    return Pruned(bundles=len(old), bytes=size, kept=len(listed) - len(old))


def _forget(cache: Cache, old: dict[Digest, Path]) -> None:
    """Remove references before bundles, so that a crash leaves nothing that points nowhere."""
    for path, remembered in cache.remembered():
        if remembered.manifest.digest in old:
            path.unlink(missing_ok=True)
    for digest, path in old.items():
        shutil.rmtree(cache.weights_folder(digest), ignore_errors=True)
        path.unlink(missing_ok=True)


def _named(cache: Cache, manifest: Descriptor) -> set[Digest]:
    """A manifest and what it names; a manifest that is not here names nothing: all content can be fetched again."""
    raw = cache.read(manifest)
    with suppress(InvalidManifestError):
        if raw is not None:
            return {manifest.digest, *(one.digest for one in Manifest.parse(raw).successors)}
    return {manifest.digest}


def _remove_leftovers(ingest: Path, loose_since: float) -> None:
    with suppress(OSError):
        for path in _old(ingest, loose_since):
            path.unlink(missing_ok=True)


def _old(folder: Path, since: float) -> Iterator[Path]:
    yield from (path for path in folder.iterdir() if path.lstat().st_mtime < since)
