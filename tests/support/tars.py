"""Tar archives built byte by byte, so that they can say what no honest tool writes."""

from __future__ import annotations

END = bytes(1024)
USTAR = b"ustar\x0000"
GNU = b"ustar  \0"


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def header(
    name: bytes,
    size: int = 0,
    kind: bytes = b"0",
    *,
    mode: bytes = b"0000644\0",
    size_field: bytes | None = None,
    link: bytes = b"",
    magic: bytes = USTAR,
    prefix: bytes = b"",
    checksum: bytes | None = None,
    signed: bool = False,
) -> bytes:
    """One record; ``size_field`` and ``checksum`` overrule what would be right."""
    stated = size_field if size_field is not None else b"%011o\0" % size
    front = b"".join((name.ljust(100, b"\0"), mode, b"0001750\0", b"0000000\0", stated, b"%011o\0" % 0))
    back = b"".join((kind, link.ljust(100, b"\0"), magic, bytes(80), prefix.ljust(155, b"\0"), bytes(12)))
    fields = front + b" " * 8 + back
    total = sum(fields) - (256 * sum(byte > 127 for byte in fields) if signed else 0)
    record = front + (checksum if checksum is not None else b"%06o\0 " % total) + back
    assert len(record) == 512
    return record


def file(name: bytes, data: bytes = b"", *, kind: bytes = b"0", magic: bytes = USTAR, prefix: bytes = b"") -> bytes:
    return header(name, len(data), kind, magic=magic, prefix=prefix) + padded(data)


def folder(name: bytes) -> bytes:
    return header(name, kind=b"5", mode=b"0000755\0")


def record(key: str, value: str) -> bytes:
    """A pax record with its own length in front."""
    text = f" {key}={value}\n".encode("utf-8", "surrogateescape")
    length = len(text) + 1
    while len(str(length)) + len(text) != length:
        length += 1
    return str(length).encode() + text


def pax(data: bytes, kind: bytes = b"x") -> bytes:
    """An extension header holding these bytes."""
    return header(b"PaxHeaders.0/x", len(data), kind) + padded(data)


def long_name(name: bytes) -> bytes:
    """A GNU long name for the header that follows."""
    return header(b"././@LongLink", len(name) + 1, b"L", magic=GNU) + padded(name + b"\0")
