"""Reading tar archives that somebody else wrote, from a stream, as data that may lie.

Only files and folders are read. Whatever else tar can express (links, devices, sparse files, …) is refused, and so is
every archive that two readers could understand differently. Nothing is written here: a member is a checked path and a
bounded stream.

Specs: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html and
https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from kitpack.artifact.decompress import DEFAULT_LIMITS, Limits
from kitpack.artifact.paths import Tree, safe_path, shown
from kitpack.artifact.tarheader import (
    RECORD,
    Header,
    extension_size,
    is_extension,
    parse_extension,
    parse_header,
    shown_name,
)
from kitpack.content.verify import Readable
from kitpack.errors import IntegrityError, UnpackError
from kitpack.oci.digest import BLOCK

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Member", "read_members"]

_MAX_EXTENSION = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """A file or folder of an archive.

    Attributes:
        path: Its path, passed by :func:`kitpack.artifact.paths.safe_path`.
        mode: Its permission bits; no others.
        size: Its length in bytes; 0 for a folder.
        is_file: Whether it is a file; else it is a folder.
        stream: Its bytes, to be read before the next member is asked for; closed then.
    """

    path: str
    mode: int
    size: int
    is_file: bool
    stream: BinaryIO


def read_members(stream: Readable, limits: Limits = DEFAULT_LIMITS) -> Iterator[Member]:
    """The members of an archive in their order, while it arrives.

    After the last one the stream has been read to its end, so that checksums around it have been proven too.

    Args:
        stream: The archive, decompressed; never sought in, and left open.
        limits: What is too much.

    Raises:
        UnsafePathError: When a member is no file or folder, or its path, alone or beside another, is not safe.
        IntegrityError: When the archive is damaged or contradicts itself.
        UnpackError: When it exceeds the limits.
    """
    tree, total = Tree(), 0
    while (header := _next_header(stream)) is not None:
        total += header.size
        if not header.is_root:
            path = safe_path(header.path)
            _admit(tree, path, header, total, limits)
            body = _Body(stream, path, header.size)
            with io.BufferedReader(body) as content:
                yield Member(
                    path=path, mode=header.mode, size=header.size, is_file=not header.is_folder, stream=content
                )
            _skip(stream, body.left + -header.size % RECORD, path)
    _drain(stream, limits.trailing_bytes)


def _admit(tree: Tree, path: str, header: Header, total: int, limits: Limits) -> None:
    if header.is_folder:
        tree.add_folder(path)
    else:
        tree.add_file(path)
    if tree.entries > limits.members:
        raise UnpackError(f"the archive has more than the {limits.members} files and folders allowed")
    if header.size > limits.file_bytes:
        raise UnpackError(f"{shown(path)}: {header.size} bytes; at most {limits.file_bytes} are allowed for one file")
    if total > limits.total_bytes:
        raise UnpackError(f"{shown(path)}: with it the archive holds more than the {limits.total_bytes} bytes allowed")


class _Body(io.RawIOBase):
    """The bytes of one member and none of the next."""

    def __init__(self, stream: Readable, path: str, size: int) -> None:
        super().__init__()
        self._stream = stream
        self._path = path
        self.left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        target = memoryview(buffer).cast("B")
        wanted = min(len(target), self.left)
        data = self._stream.read(wanted) if wanted else b""
        if wanted and not data:
            raise _truncated(self._path, self.left)
        self.left -= len(data)
        target[: len(data)] = data
        return len(data)


def _next_header(stream: Readable) -> Header | None:
    """The next file or folder with what extension headers say about it; None at the end marker."""
    record = _header_record(stream)
    if record is None:
        return None
    if not is_extension(record):
        return parse_header(record)
    size = extension_size(record)
    if size > _MAX_EXTENSION:
        raise UnpackError(f"an extension header of {size} bytes; at most {_MAX_EXTENSION} are allowed")
    extension = parse_extension(record, _exactly(stream, size, shown_name(record)))
    _skip(stream, -size % RECORD, shown_name(record))
    following = _header_record(stream)
    if following is None or is_extension(following):
        raise IntegrityError("the archive has an extension header that belongs to no member")
    return parse_header(following, extension)


def _header_record(stream: Readable) -> bytes | None:
    record = _up_to(stream, RECORD)
    if len(record) < RECORD:
        raise IntegrityError("the archive is truncated: it ends without an end marker")
    if any(record):
        return record
    if any(_up_to(stream, RECORD)):
        raise IntegrityError("the archive has an empty record between its members")
    return None


def _exactly(stream: Readable, size: int, path: str) -> bytes:
    data = _up_to(stream, size)
    if len(data) < size:
        raise _truncated(path, size - len(data))
    return data


def _skip(stream: Readable, size: int, path: str) -> None:
    while size:
        block = stream.read(min(BLOCK, size))
        if not block:
            raise _truncated(path, size)
        size -= len(block)


def _up_to(stream: Readable, size: int) -> bytes:
    data = b""
    while len(data) < size and (block := stream.read(size - len(data))):
        data += block
    return data


def _drain(stream: Readable, limit: int) -> None:
    while block := stream.read(BLOCK):
        limit -= len(block)
        if limit < 0:
            raise UnpackError("the archive goes on long after its end marker")


def _truncated(path: str, missing: int) -> IntegrityError:
    return IntegrityError(f"the archive is truncated: {missing} bytes of {shown(path)} are missing")
