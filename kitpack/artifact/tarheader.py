"""One tar header and the extensions before it: 512 bytes of somebody else's claims, read strictly.

What is read: ustar, pax (``x``), GNU long names (``L``), and headers older than ustar. Owners, times and names of
groups are not looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kitpack.artifact.paths import shown
from kitpack.errors import IntegrityError, UnsafePathError

__all__ = [
    "RECORD",
    "Extension",
    "Header",
    "extension_size",
    "is_extension",
    "parse_extension",
    "parse_header",
    "shown_name",
]

RECORD = 512

_MAX_SHOWN = 1000  # bytes of a name that are looked at for a message
_MAX_SIZE = (1 << 63) - 1
_MAX_OCTAL_SIZE = 8**11 - 1
_OCTAL = re.compile(rb"[0-7]*")
_LENGTH = re.compile(rb"([1-9][0-9]{0,6}) ")

_PAX, _LONG_NAME = b"x", b"L"
_FOLDER, _FILES = b"5", (b"0", b"\0")
_REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"7": "a contiguous file",
    b"D": "a GNU folder listing",
    b"K": "a long link name",
    b"M": "the continuation of a multi-volume archive",
    b"S": "a sparse file",
    b"V": "a volume label",
    b"g": "a pax global header",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a header says about a file or folder.

    Attributes:
        path: Its path as written, not checked yet.
        mode: Its permission bits.
        size: Its length in bytes; 0 for a folder.
        is_folder: Whether it is a folder.
    """

    path: str
    mode: int
    size: int
    is_folder: bool

    @property
    def is_root(self) -> bool:
        """Whether it is the folder that was packed, which ``tar -c .`` lists as ``./``."""
        return self.is_folder and self.path[:1] == "." and set(self.path.split("/")) <= {"", "."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """What an extension header says about the header that follows; None where it says nothing."""

    path: bytes | None = None
    size: int | None = None


def is_extension(record: bytes) -> bool:
    """Whether the record speaks about the next one. Proves its checksum."""
    _check_sum(record)
    return _kind(record) in (_PAX, _LONG_NAME)


def parse_header(record: bytes, extension: Extension | None = None) -> Header:
    """Read the header of a file or folder.

    Args:
        record: Its 512 bytes; :func:`is_extension` has said no.
        extension: What came before it.

    Raises:
        UnsafePathError: When it announces anything but a file or folder, or its name is not UTF-8.
        IntegrityError: When a number in it is none, or contradicts another.
    """
    kind = _kind(record)
    if kind not in (_FOLDER, *_FILES):
        raise UnsafePathError(f"'{_shown(_raw_name(record, extension))}' is {_REFUSED.get(kind, _unknown(kind))}")
    path = _decoded(_raw_name(record, extension))
    is_folder = kind == _FOLDER or (kind == b"\0" and path.endswith("/"))
    size = _agreed_size(record, extension, path)
    if is_folder and size:
        raise IntegrityError(f"the folder '{shown(path)}' claims to hold {size} bytes itself")
    if path.endswith("/") and kind in _FILES and not is_folder:
        raise UnsafePathError(f"'{shown(path)}' is a file, but its name ends in a slash like that of a folder")
    return Header(path=path, mode=_number(record[100:108], "mode", path) & 0o777, size=size, is_folder=is_folder)


def extension_size(record: bytes) -> int:
    """The length in bytes of an extension header's data."""
    return _number(record[124:136], "size", shown_name(record))


def parse_extension(record: bytes, data: bytes) -> Extension:
    """Read the data of an extension header.

    Raises:
        UnsafePathError: When it announces a sparse file.
        IntegrityError: When it is malformed.
    """
    if _kind(record) == _LONG_NAME:
        return Extension(path=data.partition(b"\0")[0])
    records = _pax_records(data)
    if any(key.startswith(b"GNU.sparse.") for key in records):
        raise UnsafePathError(f"'{_shown(records.get(b'path', _raw_name(record)))}' is a sparse file")
    return Extension(path=records.get(b"path"), size=_pax_size(records.get(b"size")))


def shown_name(record: bytes) -> str:
    """The name in a header's own field, fit for a message."""
    return _shown(_raw_name(record))


def _kind(record: bytes) -> bytes:
    return record[156:157]


def _unknown(kind: bytes) -> str:
    return f"of an unknown kind ({_shown(kind)})"


def _check_sum(record: bytes) -> None:
    stated = _number(record[148:156], "checksum", "")
    fields = record[:148] + b" " * 8 + record[156:]
    # Some old writers summed up signed bytes.
    if stated not in (sum(fields), sum(fields) - 256 * sum(byte > 127 for byte in fields)):
        raise IntegrityError(f"the archive is damaged: the checksum of the header of '{shown_name(record)}' is wrong")


def _raw_name(record: bytes, extension: Extension | None = None) -> bytes:
    if extension is not None and extension.path is not None:
        return extension.path
    name, prefix = record[:100].partition(b"\0")[0], b""
    if record[257:263] == b"ustar\0":  # GNU's own format ("ustar ") keeps other things there
        prefix = record[345:500].partition(b"\0")[0]
    return prefix + b"/" + name if prefix else name


def _decoded(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise UnsafePathError(f"the path '{_shown(name)}' is not UTF-8") from None


def _shown(name: bytes) -> str:
    return shown(name[:_MAX_SHOWN].decode("utf-8", "backslashreplace"))


def _agreed_size(record: bytes, extension: Extension | None, path: str) -> int:
    """The size, where header and extension do not contradict each other.

    A reader that skips extensions must not find the next header elsewhere, so the extension may only say what the
    header's field is too short for.
    """
    size = _number(record[124:136], "size", path)
    stated = extension.size if extension is not None else None
    if stated is None or stated == size:
        return size
    if stated <= _MAX_OCTAL_SIZE:
        raise IntegrityError(f"'{shown(path)}' has two sizes: {size} in its header, {stated} in the one before")
    return stated


def _number(field: bytes, what: str, path: str) -> int:
    """A number in octal digits or, where they do not suffice, in GNU's binary form."""
    if field[0] == 0x80:
        value = int.from_bytes(field[1:])
    elif _OCTAL.fullmatch(digits := field.strip(b" \0")):
        value = int(digits or b"0", 8)
    else:
        value = -1
    if not 0 <= value <= _MAX_SIZE:
        raise IntegrityError(f"the header of '{shown(path)}': its {what} is out of range ({_shown(field)})")
    return value


def _pax_records(data: bytes) -> dict[bytes, bytes]:
    records: dict[bytes, bytes] = {}
    start = 0
    while start < len(data):
        key, value, start = _pax_record(data, start)
        if key in records:
            raise IntegrityError(f"the archive has a pax header that states '{_shown(key)}' twice")
        records[key] = value
    return records


def _pax_record(data: bytes, start: int) -> tuple[bytes, bytes, int]:
    r"""The key and value of a record, ``LENGTH KEY=VALUE\n``, and where the next one starts."""
    length = _LENGTH.match(data, start)
    end = start + int(length[1]) if length else 0
    key, equals, value = data[length.end() : end - 1].partition(b"=") if length else (b"", b"", b"")
    whole = bool(key and equals) and end <= len(data) and data[end - 1 : end] == b"\n"
    if not whole or (key in (b"path", b"size") and not value):
        raise IntegrityError(f"the archive is damaged: '{_shown(data[start : start + 40])}' is not a pax record")
    return key, value, end


def _pax_size(value: bytes | None) -> int | None:
    if value is None:
        return None
    if not value.isdigit() or len(value) > 19 or int(value) > _MAX_SIZE:
        raise IntegrityError(f"the archive has a pax header with the size '{_shown(value)}'")
    return int(value)
