"""What a GGUF file says about its model: the header and the keys with their values, never a tensor.

The file may be damaged or made to harm. It is read once from its beginning, without seeking; every length is held
against what is left of the file and of a limit before anything is allocated for it; nothing is read past the last key.

Spec: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeAlias

from kitpack.errors import IntegrityError, UnsupportedError

__all__ = ["MAX_HEAD", "Scalar", "Stream", "Value", "read_gguf", "read_gguf_file"]

MAX_HEAD = 32 << 20
"""Bytes that the keys and values may have together; a vocabulary of 260,000 tokens with its merges has half of it."""

Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = "Scalar | tuple[Value, ...]"

_MAX_KEYS = 1 << 16
_MAX_KEY = (1 << 16) - 1  # by the spec
_MAX_STRING = 4 << 20  # a chat template has some kilobytes
_MAX_ITEMS = 1 << 20  # the most merges of any model known are half as many
_MAX_DEPTH = 4
_STEP = 64 << 10
_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LENGTH = struct.Struct("<Q")
_KIND = struct.Struct("<I")
_SIZES = {kind: struct.calcsize(f"<{code}") for kind, code in _FORMATS.items()} | {_STRING: 8, _ARRAY: 12}
"""The fewest bytes that a value of each type takes."""


class Stream(Protocol):
    """All that is needed of a file."""

    def read(self, size: int, /) -> bytes:
        """At most this many bytes, fewer where that is easier, none at the end."""
        ...


def read_gguf_file(path: Path, limit: int = MAX_HEAD) -> Iterator[tuple[str, Value]]:
    """The keys and values of a file on disk; see :func:`read_gguf`.

    Raises:
        OSError: When it cannot be read.
    """
    with path.open("rb") as file:
        yield from read_gguf(file, path.stat().st_size, limit)


def read_gguf(stream: Stream, size: int, limit: int = MAX_HEAD) -> Iterator[tuple[str, Value]]:
    """The keys and values of a GGUF file in their order, each read when it is asked for.

    What the model is stands before its vocabulary, so who only asks for the first gets it from a few kilobytes.

    Args:
        stream: The file, from its beginning; left open.
        size: Its number of bytes.
        limit: How many of them may be read.

    Raises:
        IntegrityError: When it is no GGUF file, damaged, cut off, or larger than the limits.
        UnsupportedError: When it is of a version that is not read here.
    """
    head = _Head(stream, size, limit)
    count = _read_start(head, size)
    seen: set[str] = set()
    for _ in range(count):
        key = head.string(_MAX_KEY)
        if key in seen:
            raise _damaged(f"the key {key[:80]!r} stands twice")
        seen.add(key)
        yield key, _read_value(head, head.number(_KIND), 0)


def _read_start(head: _Head, size: int) -> int:
    """Magic, version and counts; returns the number of keys."""
    if size < 24 or head.take(4) != b"GGUF":
        raise IntegrityError("this is not a GGUF file: it does not begin with one's header")
    _check_version(head.number(_KIND))
    tensors, keys = head.number(_LENGTH), head.number(_LENGTH)
    if tensors > size:
        raise _damaged(f"it claims {tensors} tensors in {size} bytes")
    if keys > _MAX_KEYS or keys * 13 > size:
        raise _damaged(f"it claims {keys} keys; at most {min(_MAX_KEYS, size // 13)} are possible")
    return keys


def _check_version(version: int) -> None:
    if version and not version & 0xFFFF:
        raise UnsupportedError(
            "this GGUF file is big-endian; only little-endian ones are read", hint="convert it again on another machine"
        )
    if version not in (2, 3):
        raise UnsupportedError(
            f"this GGUF file is of version {version}; versions 2 and 3 are read",
            hint="convert the model again with a current llama.cpp" if version < 2 else "",
        )


def _read_value(head: _Head, kind: int, depth: int) -> Value:
    if kind in _FORMATS:
        return head.numbers(kind, 1)[0]
    if kind == _STRING:
        return head.string(_MAX_STRING)
    if kind != _ARRAY:
        raise _damaged(f"there is no type of values {kind}")
    if depth == _MAX_DEPTH:
        raise _damaged(f"arrays are nested more than {_MAX_DEPTH} deep")
    return _read_array(head, depth)


def _read_array(head: _Head, depth: int) -> tuple[Value, ...]:
    kind, length = head.number(_KIND), head.number(_LENGTH)
    if kind not in _SIZES:
        raise _damaged(f"there is no type of values {kind}")
    if length > _MAX_ITEMS:
        raise _damaged(f"an array claims {length} items; at most {_MAX_ITEMS} are read")
    head.expect(length * _SIZES[kind])
    if kind in _FORMATS:
        return head.numbers(kind, length)
    if kind == _STRING:
        return tuple([head.string(_MAX_STRING) for _ in range(length)])
    return tuple([_read_value(head, _ARRAY, depth + 1) for _ in range(length)])


class _Head:
    """The beginning of a file, taken piece by piece."""

    def __init__(self, stream: Stream, size: int, limit: int) -> None:
        self._stream = stream
        self._size = size
        self._limit = limit
        self._unread = min(size, limit)
        self._block = b""
        self._at = 0

    def expect(self, count: int) -> None:
        """Make sure that so many more bytes can be there, before anything is done about them."""
        if count > len(self._block) - self._at + self._unread:
            if self._size > self._limit:
                raise IntegrityError(
                    f"the keys and values of the GGUF file exceed the {self._limit} bytes that are read"
                )
            raise _damaged("it ends before what it announces")

    def take(self, count: int) -> bytes:
        """Exactly so many bytes."""
        if count > len(self._block) - self._at:
            self.expect(count)
            self._fill(count)
        start = self._at
        self._at += count
        return self._block[start : self._at]

    def number(self, form: struct.Struct) -> int:
        """One unsigned integer."""
        found: int = form.unpack(self.take(form.size))[0]
        return found

    def numbers(self, kind: int, count: int) -> tuple[bool | int | float, ...]:
        """Numbers or booleans of one type."""
        return struct.unpack(f"<{count}{_FORMATS[kind]}", self.take(count * _SIZES[kind]))

    def string(self, most: int) -> str:
        """A string; what is not UTF-8 in it is replaced."""
        length = self.number(_LENGTH)
        if length > most:
            raise _damaged(f"a string claims {length} bytes; at most {most} are read")
        return self.take(length).decode("utf-8", "replace")

    def _fill(self, count: int) -> None:
        blocks, have = [self._block[self._at :]], len(self._block) - self._at
        while have < count:
            block = self._stream.read(min(max(_STEP, count - have), self._unread))
            if not block:
                raise _damaged("it ends before what it announces")
            blocks.append(block)
            have += len(block)
            self._unread -= len(block)
        self._block, self._at = b"".join(blocks), 0


def _damaged(what: str) -> IntegrityError:
    return IntegrityError(f"the GGUF file is damaged: {what}")
