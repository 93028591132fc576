"""A layout while it is served: its catalog, the manifests that were asked for, and what must not be collected yet.

Manifests never change, so each is read and parsed once and kept, up to a bound. All functions here may wait for the
disk; they are called in threads.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock

from kitpack.content.store.folder import blob_path, is_stored, touch
from kitpack.content.store.layout import Layout
from kitpack.content.store.stored import read_manifest
from kitpack.errors import IntegrityError, InvalidManifestError, NotFoundError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest
from kitpack.server.catalog import Catalog, Catalogs
from kitpack.server.changes import Changes

__all__ = ["Served"]

_KEPT_BYTES = 16 << 20  # parsed, they take several times as much
_KEPT_MANIFESTS = 20_000
_TOUCH_EVERY = 60.0
_YOUNG_FOR = 24 * 3600.0
_MOST_TOUCHED = 10_000


class Served:
    """A layout that is being served.

    Args:
        root: Its folder.
        read_only: Whether nothing may be changed.
        clock: Seconds that only grow.
    """

    def __init__(self, root: Path, *, read_only: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.root = root
        self.layout = Layout(root, create=not read_only)
        self.read_only = read_only
        self.clock = clock
        self.changes = Changes(root)
        self._catalogs = Catalogs(root)
        self._lock = Lock()
        self._kept: OrderedDict[tuple[Digest, str], Manifest] = OrderedDict()
        self._kept_bytes = 0
        self._touched: dict[Digest, float] = {}
        self._young: dict[Digest, float] = {}

    @property
    def home(self) -> str:
        """The repository that bare tags belong to."""
        return self._catalogs.home

    def catalog(self) -> Catalog:
        """What the index says now."""
        return self._catalogs.current()

    def manifest(self, descriptor: Descriptor) -> Manifest:
        """Read a manifest, from memory if it was read before and its file is still there.

        Raises:
            NotFoundError: When it is not there.
            IntegrityError, InvalidManifestError: When it is damaged.
        """
        key = descriptor.digest, descriptor.media_type
        with self._lock:
            known = self._kept.get(key)
            if known:
                self._kept.move_to_end(key)
        if known and is_stored(blob_path(self.root, descriptor.digest), descriptor.size):
            return known
        manifest = read_manifest(self.root, descriptor)
        self._keep(key, manifest)
        return manifest

    def readable(self, descriptor: Descriptor) -> Manifest | None:
        """Read a manifest if it is there and is what it should be."""
        try:
            return self.manifest(descriptor)
        except (NotFoundError, IntegrityError, InvalidManifestError):
            return None

    def touch(self, digest: Digest) -> None:
        """Make a blob young, so that garbage collection spares it and what it names; at most once in a while."""
        now = self.clock()
        with self._lock:
            if now - self._touched.get(digest, -_TOUCH_EVERY) < _TOUCH_EVERY:
                return
            if len(self._touched) >= _MOST_TOUCHED:
                self._touched.clear()
            self._touched[digest] = now
        touch(blob_path(self.root, digest))

    def expect_name(self, digest: Digest) -> None:
        """Keep a blob young until a manifest names it, for a day at the most."""
        with self._lock:
            self._young[digest] = self.clock() + _YOUNG_FOR

    def named(self, digests: Iterable[Digest]) -> None:
        """A manifest names these blobs: they need no more care."""
        with self._lock:
            for digest in digests:
                self._young.pop(digest, None)

    def keep_young(self) -> None:
        """Touch every blob that waits for its name; called every few minutes."""
        now = self.clock()
        with self._lock:
            self._young = {digest: until for digest, until in self._young.items() if until > now}
            waiting = list(self._young)
        for digest in waiting:
            touch(blob_path(self.root, digest))

    def close(self) -> None:
        """Let go of open files."""
        self._catalogs.close()

    def _keep(self, key: tuple[Digest, str], manifest: Manifest) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = manifest
                self._kept_bytes += len(manifest.raw)
            while self._kept_bytes > _KEPT_BYTES or len(self._kept) > _KEPT_MANIFESTS:
                _, oldest = self._kept.popitem(last=False)
                self._kept_bytes -= len(oldest.raw)
