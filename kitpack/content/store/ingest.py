"""Bytes become a blob: they are proven and on the disk before they get their name.

Until then they stand in ``ingest/``. Bytes whose digest is known go to a file named after it, ``sha256-44136f….part``,
which stays behind when the transfer breaks off and is continued by the next attempt. Whoever writes it holds a lock on
it; a second writer of the same blob takes a file of its own.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kitpack.content.store.durable import make_folders, sync_file, sync_folder
from kitpack.content.store.folder import INGEST, blob_path, is_stored, touch
from kitpack.content.store.intake import hash_range, take_in
from kitpack.content.store.locks import is_same_file, try_exclusive
from kitpack.content.target import Opener
from kitpack.errors import IntegrityError, StoreError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["PARTIAL", "Draft", "add_blob", "open_draft", "publish", "settle", "store_blob"]

PARTIAL = ".part"
"""How the names of files end that a later attempt may continue."""

_NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.EISDIR})


@dataclass(frozen=True, slots=True)
class Draft:
    """A locked file in ``ingest/`` on its way to become a blob.

    Attributes:
        fd: The open file.
        path: Its name.
    """

    fd: int
    path: Path

    @property
    def is_resumable(self) -> bool:
        """Whether a later attempt can go on where this one ends."""
        return self.path.suffix == PARTIAL and os.fstat(self.fd).st_size > 0


def store_blob(root: Path, descriptor: Descriptor, open_at: Opener) -> None:
    """Write the blob of a descriptor, continuing what an earlier attempt left behind.

    What has arrived is kept for the next attempt when this one fails, except when the bytes are wrong.

    Args:
        root: The layout.
        descriptor: Digest and size of the blob.
        open_at: Where its bytes come from.

    Raises:
        IntegrityError: When the bytes are not what the descriptor says.
        StoreError: When a folder stands in the place of the blob.
    """
    with _draft(root, descriptor.digest) as draft:
        _fill(draft.fd, descriptor, open_at)
        publish(draft, blob_path(root, descriptor.digest))


def add_blob(root: Path, open_at: Opener) -> tuple[Digest, int]:
    """Write a blob whose digest shows only when all of its bytes have been read; they are read once.

    Args:
        root: The layout.
        open_at: Where its bytes come from.

    Returns:
        Its SHA-256 digest and its number of bytes.

    Raises:
        StoreError: When a folder stands in the place of the blob.
    """
    hasher = Digest("sha256", "").hasher()
    with _draft(root) as draft:
        with open_at(0) as stream:
            take_in(stream, draft.fd, hasher, sys.maxsize)
        digest = Digest("sha256", hasher.hexdigest())
        return digest, settle(root, draft, digest)


def open_draft(root: Path, suffix: str = ".tmp") -> Draft:
    """Open a locked file of our own in ``ingest/``; the caller publishes or removes it, and closes it.

    Args:
        root: The layout.
        suffix: How its name ends, for whoever looks for what a killed process left behind.
    """
    make_folders(root / INGEST)
    while True:
        path = root / INGEST / f"{os.urandom(16).hex()}{suffix}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with _closed_on_error(fd):
            try_exclusive(fd, path)  # nobody else knows the name: this tells garbage collection that it is in use
            if is_same_file(fd, path):  # else it was taken for a leftover before it was locked
                return Draft(fd, path)
        os.close(fd)


def settle(root: Path, draft: Draft, digest: Digest) -> int:
    """Let a draft whose digest is proven become a blob, unless the blob is there already; return its size in bytes.

    Raises:
        StoreError: When a folder stands in the place of the blob.
    """
    target, size = blob_path(root, digest), os.fstat(draft.fd).st_size
    if is_stored(target, size):
        touch(target)
        draft.path.unlink()
    else:
        publish(draft, target)
    return size


def publish(draft: Draft, target: Path) -> None:
    """Give proven bytes their name. Whatever file stood there had the same bytes, or was damaged.

    Raises:
        StoreError: When a folder stands there.
    """
    sync_file(draft.fd)
    os.fchmod(draft.fd, 0o444)
    os.utime(draft.fd)  # a continued file may be old, and garbage collection must not think so
    make_folders(target.parent)
    try:
        draft.path.replace(target)
    except IsADirectoryError:
        raise StoreError(
            f"{target} is a folder; expected a blob or nothing",
            hint=f"move it away: mv {target} {target.name[:12]}.moved",
        ) from None
    sync_folder(target.parent)


@contextmanager
def _draft(root: Path, digest: Digest | None = None) -> Iterator[Draft]:
    """Open the partial file of a digest, or a file of our own, and tidy up after a failure."""
    make_folders(root / INGEST)
    draft = (_open_partial(root, digest) if digest else None) or open_draft(root)
    try:
        yield draft
    except BaseException as error:
        if is_same_file(draft.fd, draft.path) and (isinstance(error, IntegrityError) or not draft.is_resumable):
            draft.path.unlink()
        raise
    finally:
        os.close(draft.fd)


def _open_partial(root: Path, digest: Digest) -> Draft | None:
    path = root / INGEST / f"{digest.algorithm}-{digest.hex}{PARTIAL}"
    for _ in range(3):  # once more when it became a blob, or was collected, between opening and locking
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno in _NOT_OURS:
                return None
            raise
        with _closed_on_error(fd):
            is_ours = stat.S_ISREG(os.fstat(fd).st_mode) and try_exclusive(fd, path)
            if is_ours and is_same_file(fd, path):
                return Draft(fd, path)
        os.close(fd)
        if not is_ours:
            return None
    return None


@contextmanager
def _closed_on_error(fd: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        os.close(fd)
        raise


def _fill(fd: int, descriptor: Descriptor, open_at: Opener) -> None:
    have = os.fstat(fd).st_size
    if 0 < have <= descriptor.size:
        try:
            _continue(fd, descriptor, open_at, have)
        except IntegrityError:
            pass  # what an earlier process left was not the beginning of this content: once more, from the first byte
        else:
            return
    os.ftruncate(fd, 0)
    _continue(fd, descriptor, open_at, 0)


def _continue(fd: int, descriptor: Descriptor, open_at: Opener, have: int) -> None:
    hasher = descriptor.digest.hasher()
    hash_range(fd, hasher, 0, have)
    os.lseek(fd, have, os.SEEK_SET)
    if have < descriptor.size or not have:
        _receive(fd, descriptor, open_at, have, hasher)
    if not descriptor.digest.matches(hasher):
        raise IntegrityError(f"expected {descriptor.digest}, received bytes of {hasher.name}:{hasher.hexdigest()}")


def _receive(fd: int, descriptor: Descriptor, open_at: Opener, have: int, hasher: _Hash) -> None:
    left = descriptor.size - have
    with open_at(have) as stream:
        left -= take_in(stream, fd, hasher, left)
        if not left and stream.read(1):
            raise IntegrityError(f"{descriptor.digest}: more bytes arrived than the {descriptor.size} expected")
    if left:
        raise IntegrityError(f"{descriptor.digest}: {descriptor.size} bytes were expected, {left} are missing")
