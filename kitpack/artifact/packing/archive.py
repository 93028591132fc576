"""Writing tar archives whose bytes depend on nothing but names, modes and contents.

The bytes are those that KitOps writes for the same files (Go's ``archive/tar``, fixed owner, time zero, every folder
listed before its content), so blobs packed by either tool are the same blob. Nothing is written anywhere: an archive
is an opener that produces its bytes from any offset on, and a file is opened only when its bytes are due.

Spec: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html (ustar and pax interchange formats)
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from kitpack.artifact.paths import check_tree, safe_path, shown
from kitpack.content.target import Opener
from kitpack.content.verify import BlockStream
from kitpack.errors import ChangedFileError
from kitpack.oci.digest import BLOCK

__all__ = ["Tar", "TarMember", "tar_of"]

RECORD = 512
END = bytes(2 * RECORD)

_NAME, _PREFIX = 100, 155
_OWNER = 1000  # KitOps' uid; its group is 0
_FOLDER_MODE = 0o755
_MAX_OCTAL_SIZE = 8**11 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TarMember:
    """A file to put into an archive.

    Attributes:
        path: Where it will stand, relative to the root of the bundle.
        open_at: Opens its content at a byte offset.
        size: Its length in bytes.
        mode: Its permission bits; other bits are dropped.
    """

    path: str
    open_at: Opener
    size: int
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class _Entry:
    """A member, or a folder (without one), and where in the archive it starts and ends."""

    path: str
    start: int
    end: int
    member: TarMember | None

    @property
    def header(self) -> bytes:
        if self.member is None:
            return _header(self.path, 0, _FOLDER_MODE, b"5")
        return _header(self.path, self.member.size, self.member.mode & 0o777, b"0")


@dataclass(frozen=True, slots=True)
class Tar:
    """An archive that is nowhere: its bytes are made when they are read."""

    _entries: Sequence[_Entry]

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return _end_of(self._entries)

    def open_at(self, offset: int) -> BinaryIO:
        """Open it at any offset; see :data:`kitpack.content.target.Opener`.

        Returns:
            A stream, which raises :class:`ChangedFileError` when a file is shorter or longer than its member says.
        """
        if offset < 0:
            raise ValueError(f"an offset cannot be negative: {offset}")
        first = max(0, bisect_right(self._entries, offset, key=lambda entry: entry.start) - 1)
        return io.BufferedReader(BlockStream(_archive(self._entries, first, offset)), BLOCK)


def tar_of(members: Sequence[TarMember]) -> Tar:
    """The archive of these members, in any order.

    Raises:
        UnsafePathError: When a path, or two of them together, could not be unpacked everywhere.
    """
    return Tar(_layout(members))


def _layout(members: Sequence[TarMember]) -> list[_Entry]:
    paths = [safe_path(member.path) for member in members]
    check_tree(paths)
    entries: list[_Entry] = []
    end = 0
    for path, member in _walk(dict(zip(paths, members, strict=True))):
        size = _size(member)
        start, end = end, end + _header_size(path, size) + _padded(size)
        entries.append(_Entry(path, start, end, member))
    return entries


def _size(member: TarMember | None) -> int:
    if member is None:
        return 0
    if member.size < 0:
        raise ValueError(f"{shown(member.path)}: a size cannot be negative: {member.size}")
    return member.size


def _walk(members: dict[str, TarMember]) -> Iterator[tuple[str, TarMember | None]]:
    """Folders before their content, names in byte order: the order of Go's ``filepath.Walk``."""
    seen: set[str] = set()
    for path in sorted(members, key=lambda path: path.split("/")):
        for folder in _folders_above(path):
            if folder not in seen:
                seen.add(folder)
                yield folder, None
        yield path, members[path]


def _folders_above(path: str) -> Iterable[str]:
    return (path[:index] for index, char in enumerate(path) if char == "/")


def _end_of(entries: Sequence[_Entry]) -> int:
    return (entries[-1].end if entries else 0) + len(END)


def _archive(entries: Sequence[_Entry], first: int, offset: int) -> Generator[bytes, None, None]:
    for index in range(first, len(entries)):
        entry = entries[index]
        if offset < entry.end:
            yield from _entry_bytes(entry, max(0, offset - entry.start))
    yield END[max(0, offset - _end_of(entries) + len(END)) :]


def _entry_bytes(entry: _Entry, skip: int) -> Iterator[bytes]:
    header = entry.header
    yield header[skip:]
    if entry.member is not None:
        skip = max(0, skip - len(header))
        if skip <= entry.member.size:
            yield from _content(entry.member, skip)
        yield bytes(min(-entry.member.size % RECORD, entry.end - entry.start - len(header) - skip))


def _content(member: TarMember, skip: int) -> Iterator[bytes]:
    left = member.size - skip
    with member.open_at(skip) as stream:
        while left and (block := stream.read(min(BLOCK, left))):
            left -= len(block)
            yield block
        longer = not left and stream.read(1)
    if left or longer:
        change = "grew" if longer else f"lost {left} bytes"
        raise ChangedFileError(
            f"{shown(member.path)}: it had {member.size} bytes when packing began and {change} since",
            hint="pack again when nothing writes to it any more",
        )


def _header(path: str, size: int, mode: int, kind: bytes) -> bytes:
    """The header records of an entry, chosen as Go chooses: plain ustar where it suffices, else preceded by pax."""
    records = _pax_records(path, size)
    if not records:
        prefix, name = _split(path)
        return _record(name, mode=mode, owner=_OWNER, size=size, kind=kind, prefix=prefix, device=True)
    folder, slash, base = path.rpartition("/")
    extended = _ascii(f"{folder}{slash}PaxHeaders.0/{base}")[:_NAME].rstrip(b"/")
    stated = size if size <= _MAX_OCTAL_SIZE else 0
    return (
        _record(extended, mode=0, owner=0, size=len(records), kind=b"x")
        + records.ljust(_padded(len(records)), b"\0")
        + _record(_cut(_ascii(path)), mode=mode, owner=_OWNER, size=stated, kind=kind, device=True)
    )


def _header_size(path: str, size: int) -> int:
    records = _pax_records(path, size)
    return RECORD + (RECORD + _padded(len(records)) if records else 0)


def _pax_records(path: str, size: int) -> bytes:
    """The pax records an entry needs; none when a plain header can hold it."""
    long = len(path) > _NAME or not path.isascii()
    large = size > _MAX_OCTAL_SIZE
    if not large and (not long or _split(path)[0]):
        return b""
    return (_pax_record("path", path) if long else b"") + (_pax_record("size", str(size)) if large else b"")


def _pax_record(key: str, value: str) -> bytes:
    """One record; its own length, in decimal digits, is part of it."""
    text = f" {key}={value}\n".encode()
    length = len(text) + len(str(len(text)))
    length = len(text) + len(str(length))
    return str(length).encode() + text


def _split(path: str) -> tuple[bytes, bytes]:
    """Prefix and name: the last slash that leaves a prefix of at most 155 bytes, and 100 for the rest."""
    raw = path.encode()
    if len(raw) <= _NAME or not path.isascii():
        return b"", raw
    prefix, _, _ = raw[: _PREFIX + 1].rpartition(b"/")
    name = raw[len(prefix) + 1 :]
    return (prefix, name) if prefix and len(name) <= _NAME else (b"", raw)


def _record(
    name: bytes, *, mode: int, owner: int, size: int, kind: bytes, prefix: bytes = b"", device: bool = False
) -> bytes:
    head = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0" % (name.ljust(_NAME, b"\0"), mode, owner, 0, size, 0)
    tail = kind + bytes(100) + b"ustar\x0000" + bytes(64) + (b"0000000\0" * 2 if device else bytes(16))
    tail = (tail + prefix).ljust(RECORD - len(head) - 8, b"\0")
    checksum = sum(head) + sum(tail) + 8 * ord(" ")
    return head + b"%06o\0 " % checksum + tail


def _cut(name: bytes) -> bytes:
    """What of a long name goes into the name field; never a folder's look, a slash at the end, for a file."""
    field = name[:_NAME]
    if len(name) > _NAME and field.endswith(b"/"):
        stem = field.rstrip(b"/")
        return stem + b"\0" + field[len(stem) + 1 :]
    return field


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "ignore")


def _padded(size: int) -> int:
    return -(-size // RECORD) * RECORD
