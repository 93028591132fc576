"""The digests of files, remembered from one process to the next, so that what nobody changed is not read again.

A file is known by its device, inode, size, modification and change time, never by its path or what a caller says of it.
As in git, a file that was changed just before anybody looked is not remembered: another change in the same tick of the
clock would not show. Nothing depends on what is remembered: what is damaged, cannot be read or cannot be written
counts as nothing, and whoever is to prove content (``verify``) does not ask here.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kitpack.content.store.durable import write_all
from kitpack.content.store.locks import exclusive
from kitpack.errors import StoreError
from kitpack.oci.digest import Digest

__all__ = ["Digests", "Stamp"]

MOST = 20_000
"""Entries that are kept; of more, those that were used last."""

_TABLE, _LOCK = "table", "lock"
_MAGIC = b"kitpack digests 1\n"
_ENTRY = struct.Struct(">32s32sQQ")  # key, digest, size, used
_CHECK = hashlib.sha256().digest_size
_LONGEST = len(_MAGIC) + 4 * MOST * _ENTRY.size + _CHECK

_GRANULE = 2_000_000_000
"""Nanoseconds in which a second change may get the same time as the first: two seconds, on FAT."""

_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What is the same as long as nobody has changed some files.

    Attributes:
        key: A hash over everything that counts.
        newest: The latest of their times, in nanoseconds since 1970.
    """

    key: bytes
    newest: int

    @classmethod
    def of(cls, parts: Iterable[tuple[object, ...]], times: Iterable[int]) -> Stamp:
        """The stamp of files.

        Args:
            parts: What counts: for each file, numbers and texts.
            times: All of their times, in nanoseconds since 1970.
        """
        hasher = hashlib.sha256()
        for part in parts:
            hasher.update(repr(part).encode())
        return cls(key=hasher.digest(), newest=max(times, default=0))


@dataclass(frozen=True, slots=True)
class _Entry:
    digest: bytes
    size: int
    used: int


class Digests:
    """What is known of files.

    Make it *before* looking at the files: only what was old then is remembered.

    Args:
        folder: The folder that it is kept in, made when needed; None remembers nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._began = time.time_ns()
        self._entries = _read(folder / _TABLE) if folder else {}
        self._news: dict[bytes, _Entry] = {}

    def find(self, stamp: Stamp) -> tuple[Digest, int] | None:
        """The SHA-256 digest and the number of bytes of what has this stamp; None when it has to be read."""
        entry = self._entries.get(stamp.key)
        if entry is None or not self._is_settled(stamp):
            return None
        now = self._began // 1_000_000_000
        if not entry.used <= now < entry.used + _DAY:
            self._news[stamp.key] = _Entry(entry.digest, entry.size, now)
        return Digest("sha256", entry.digest.hex()), entry.size

    def remember(self, stamp: Stamp, digest: Digest, size: int) -> None:
        """Keep what was found out, unless the files were changed too shortly before."""
        if self._is_settled(stamp) and digest.algorithm == "sha256":
            self._news[stamp.key] = _Entry(bytes.fromhex(digest.hex), size, self._began // 1_000_000_000)

    def save(self) -> None:
        """Add what is new to what others have found out meanwhile. Where that cannot be written, nothing happens."""
        if self._folder is None or not self._news:
            return
        with suppress(OSError, StoreError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with exclusive(self._folder / _LOCK):
                _write(self._folder / _TABLE, {**_read(self._folder / _TABLE), **self._news})
            self._news = {}

    def _is_settled(self, stamp: Stamp) -> bool:
        return stamp.newest < self._began - _GRANULE


def _read(path: Path) -> dict[bytes, _Entry]:
    """All entries; none when the file is not there or not whole."""
    raw = _raw(path)
    body, check = raw[:-_CHECK], raw[-_CHECK:]
    if not body.startswith(_MAGIC) or hashlib.sha256(body).digest() != check:
        return {}
    table = memoryview(body)[len(_MAGIC) :]
    if len(table) % _ENTRY.size:
        return {}
    return {key: _Entry(digest, size, used) for key, digest, size, used in _ENTRY.iter_unpack(table)}


def _raw(path: Path) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with suppress(OSError), os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if stat.S_ISREG(found.st_mode) and found.st_size <= _LONGEST:
            return file.read(_LONGEST)
    return b""


def _write(path: Path, entries: dict[bytes, _Entry]) -> None:
    """Replace the file at once. It need not survive a loss of power: what is not whole then is nothing."""
    kept = sorted(entries.items(), key=lambda one: one[1].used)[-MOST:]
    body = _MAGIC + b"".join(_ENTRY.pack(key, one.digest, one.size, one.used) for key, one in kept)
    fresh = path.with_name(f"{path.name}.new")  # whoever holds the lock is alone
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, body + hashlib.sha256(body).digest())
    finally:
        os.close(fd)
    fresh.replace(path)
