"""What applications loaded from registries, kept so that they start without one.

::

    loaded/                  below the data home
    ├ blobs/sha256/44136f…     manifests, Kitfiles, prompts, configs, weights: once for all versions
    ├ ingest/                  content on its way in; partial files wait here to be continued
    ├ references/2cf24d….json  what a reference stood for, by its hash; the file's time: when that was verified
    ├ bundles/sha256-….json    the bundles that were loaded; the file's time: when last
    ├ weights/sha256-…/        the weights of a bundle under their own paths, hard links where that is possible
    ├ proven/sha256-….json     the stamp of a file of weights when its bytes were last read and proven
    └ gc.lock                  locked while content is in use, and while what nobody uses is removed

Nothing in it is believed: small content is proven by each read, weights by each change of their stamps. What is damaged
is fetched again. Any number of processes may use it at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from kitpack.content.store.durable import make_folders, write_whole
from kitpack.content.store.folder import GC_LOCK, INGEST, LOADED, blob_path, is_stored
from kitpack.content.store.ingest import store_blob
from kitpack.content.store.locks import Lease
from kitpack.content.store.stored import open_blob
from kitpack.content.target import opener_of, verified_blocks
from kitpack.errors import IntegrityError, InvalidManifestError, NotFoundError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import JsonObject, encode, parse_object
from kitpack.settings import Settings

__all__ = ["Cache", "Remembered"]

_REFERENCES = "references"
_BUNDLES = "bundles"
_WEIGHTS = "weights"
_PROVEN = "proven"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What a reference stood for when its registry was last asked.

    Attributes:
        reference: The reference.
        manifest: The manifest.
        verified: When the registry said so.
    """

    reference: str
    manifest: Descriptor
    verified: datetime


class Cache:
    """The folder of loaded bundles. Making the object touches nothing on the disk.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lease = Lease(root / GC_LOCK, root.is_dir)

    @classmethod
    def of(cls, settings: Settings) -> Cache:
        """The one below the data home."""
        return cls(settings.home / LOADED)

    def lease(self) -> AbstractContextManager[None]:
        """Keep away whoever removes unused content, until the context ends."""
        return self._lease.hold()

    def read(self, descriptor: Descriptor) -> bytes | None:
        """Small content, proven; None when it is not here, or damaged."""
        try:
            with open_blob(self.root, descriptor.digest, descriptor.size) as stream:
                return b"".join(verified_blocks(stream, descriptor))
        except (NotFoundError, IntegrityError, NotADirectoryError):
            return None

    def keep(self, descriptor: Descriptor, data: bytes) -> None:
        """Take in small content that has been proven.

        Raises:
            OSError: When the folder cannot be written.
        """
        self.begin()
        store_blob(self.root, descriptor, opener_of(data))

    def blob(self, descriptor: Descriptor) -> Path | None:
        """The file of large content, not proven; None when it is not here."""
        path = blob_path(self.root, descriptor.digest)
        return path if is_stored(path, descriptor.size) else None

    def recall(self, reference: str) -> Remembered | None:
        """What a reference stood for when it was last verified."""
        return _remembered(self._reference_path(reference), reference)

    def remember(self, reference: str, manifest: Descriptor) -> None:
        """Note that a reference stands for a manifest now; last of all, when everything is here.

        Raises:
            OSError: When the folder cannot be written.
        """
        path, known = self._reference_path(reference), self.recall(reference)
        if known and known.manifest == manifest.plain():
            os.utime(path)
        else:
            self.write(path, {"reference": reference, "manifest": manifest.plain().to_dict()})

    def bundle(self, digest: Digest) -> Descriptor | None:
        """The manifest of a bundle that was loaded before."""
        return _read_descriptor(self.root / _BUNDLES / _file_name(digest))

    def use(self, manifest: Descriptor) -> None:
        """Note that a bundle is in use, which spares it from being removed as unused.

        Raises:
            OSError: When the folder cannot be written.
        """
        path = self.root / _BUNDLES / _file_name(manifest.digest)
        try:
            os.utime(path)
        except FileNotFoundError:
            self.write(path, manifest.plain().to_dict())

    def weights_folder(self, digest: Digest) -> Path:
        """Where the weights of a bundle stand, or will."""
        return self.root / _WEIGHTS / f"{digest.algorithm}-{digest.hex}"

    def proven_path(self, digest: Digest) -> Path:
        """Where the stamp of proven weights is noted."""
        return self.root / _PROVEN / _file_name(digest)

    def write(self, path: Path, value: JsonObject) -> None:
        """Write a small file below the folder, whole or not at all.

        Raises:
            OSError: When the folder cannot be written.
        """
        self.begin()
        make_folders(path.parent)
        write_whole(path, encode(value), self.root / INGEST)

    def remembered(self) -> Iterator[tuple[Path, Remembered]]:
        """All references, with the files that remember them."""
        for path in _files(self.root / _REFERENCES):
            if found := _remembered(path):
                yield path, found

    def bundles(self) -> Iterator[tuple[Path, Descriptor]]:
        """All bundles, with the files that list them; the time of such a file is when it was last in use."""
        for path in _files(self.root / _BUNDLES):
            if found := _read_descriptor(path):
                yield path, found

    def begin(self) -> None:
        """Make the folder for content on its way in, and hold the lease on it if one was taken before."""
        make_folders(self.root / INGEST)
        self._lease.catch_up()

    def _reference_path(self, reference: str) -> Path:
        return self.root / _REFERENCES / f"{sha256(reference.encode()).hexdigest()}.json"


def _file_name(digest: Digest) -> str:
    return f"{digest.algorithm}-{digest.hex}.json"


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.glob("*.json"))
    except OSError:
        return []


def _remembered(path: Path, reference: str = "") -> Remembered | None:
    """What a file remembers; None when it is missing or damaged, which is the same to a cache."""
    with suppress(OSError, ValueError, InvalidManifestError, KeyError):
        value, verified = parse_object(path.read_bytes()), path.stat().st_mtime
        manifest, name = Descriptor.from_dict(value["manifest"]), value["reference"]
        if isinstance(name, str) and reference in ("", name) and manifest.is_manifest:
            return Remembered(reference=name, manifest=manifest, verified=datetime.fromtimestamp(verified, UTC))
    return None


def _read_descriptor(path: Path) -> Descriptor | None:
    with suppress(OSError, ValueError, InvalidManifestError):
        found = Descriptor.from_dict(parse_object(path.read_bytes()))
        return found if found.is_manifest else None
    return None
