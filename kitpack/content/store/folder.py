"""The skeleton of an OCI image layout: which file stands where, whether a folder is a layout, how one begins.

Spec: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kitpack.content.store.durable import make_folders, write_whole
from kitpack.content.store.locks import exclusive
from kitpack.errors import InvalidDigestError, NotFoundError, StoreError
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import encode, parse_object
from kitpack.oci.mediatypes import OCI_INDEX

__all__ = [
    "DIGESTS",
    "GC_LOCK",
    "INDEX",
    "INDEX_LOCK",
    "INGEST",
    "LOADED",
    "MARKER",
    "begin_layout",
    "blob_path",
    "is_layout",
    "is_stored",
    "require_layout",
    "stored_blobs",
    "touch",
]

MARKER = "oci-layout"
INDEX = "index.json"
BLOBS = "blobs"
INGEST = "ingest"
INDEX_LOCK = "index.lock"
GC_LOCK = "gc.lock"
LOADED = "loaded"
"""Where applications keep what they loaded from registries, in the local store's folder but no part of the layout."""

DIGESTS = "digests"
"""Where the digests of files that were packed are remembered; likewise."""

_VERSION = "1.0.0"
_UNFINISHED = frozenset({INDEX, INGEST, INDEX_LOCK, GC_LOCK, LOADED, DIGESTS, "pins", "remotes"})


def blob_path(root: Path, digest: Digest) -> Path:
    """Where the blob of a digest stands."""
    return root / BLOBS / digest.algorithm / digest.hex


def is_stored(path: Path, size: int) -> bool:
    """Whether a regular file of exactly this size stands there."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


def touch(path: Path) -> None:
    """Make a blob young again, so that garbage collection spares it until something names it."""
    with suppress(OSError):  # a read-only store, or another user's file: nobody collects the first, they own the second
        os.utime(path, follow_symlinks=False)


def stored_blobs(root: Path) -> Iterator[tuple[Digest, os.stat_result]]:
    """Everything under ``blobs`` that is named like a blob, in the order of the names; other files are passed over."""
    with suppress(FileNotFoundError):
        for folder in sorted((root / BLOBS).iterdir()):
            if folder.is_dir():
                yield from _blobs_of(folder)


def is_layout(root: Path) -> bool:
    """Whether a folder is an image layout; False when there is nothing at all yet.

    Raises:
        StoreError: When it is something else, or a layout of another version.
    """
    raw = _marker(root)
    if raw is None:
        foreign = _foreign_names(root)
        raw = _marker(root)  # somebody may have begun the layout while we looked around
        if raw is None and foreign:
            raise StoreError(
                f"{root} is not an OCI image layout: it holds {min(foreign)!r}, but no file {MARKER!r}",
                hint="name an empty or new folder, or one that holds a layout",
            )
    if raw is not None:
        _check_version(root / MARKER, raw)
    return raw is not None


def require_layout(root: Path) -> None:
    """Make sure that there is a layout to read from.

    Raises:
        NotFoundError: When there is nothing yet.
        StoreError: As :func:`is_layout`.
    """
    if not is_layout(root):
        raise NotFoundError(
            f"there is no store at {root} yet",
            hint="`kitpack pack DIR -t NAME:TAG` or `kitpack pull REF` begins one",
        )


def begin_layout(root: Path) -> None:
    """Turn a missing or empty folder into a layout; an existing layout stays as it is.

    The marker comes last: whoever sees it sees a whole layout. Whoever begins at the same time waits.

    Raises:
        StoreError: As :func:`is_layout`.
    """
    if is_layout(root):
        return
    make_folders(root / INGEST)
    with exclusive(root / INDEX_LOCK):
        if not (root / INDEX).exists():
            write_whole(
                root / INDEX, encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}), root / INGEST
            )
        if not (root / MARKER).exists():
            write_whole(root / MARKER, encode({"imageLayoutVersion": _VERSION}), root / INGEST)


def _blobs_of(folder: Path) -> Iterator[tuple[Digest, os.stat_result]]:
    for path in sorted(folder.iterdir()):
        with suppress(InvalidDigestError, FileNotFoundError):
            yield Digest.parse(f"{folder.name}:{path.name}"), path.lstat()


def _marker(root: Path) -> bytes | None:
    try:
        return (root / MARKER).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _foreign_names(root: Path) -> set[str]:
    """What stands in a folder and is not left over from an attempt to begin a layout."""
    try:
        return {path.name for path in root.iterdir()} - _UNFINISHED
    except FileNotFoundError:
        return set()
    except NotADirectoryError:
        raise StoreError(f"{root} is a file; expected a folder with an OCI image layout") from None


def _check_version(path: Path, raw: bytes) -> None:
    try:
        version = parse_object(raw).get("imageLayoutVersion")
    except ValueError as error:
        raise StoreError(
            f"{path} is damaged: {error}", hint=f'it must read {{"imageLayoutVersion":"{_VERSION}"}}'
        ) from None
    if version != _VERSION:
        raise StoreError(
            f"{path} says version {str(version)[:40]!r}; expected {_VERSION!r}",
            hint="read it with the tool that wrote it, for example skopeo or oras",
        )
