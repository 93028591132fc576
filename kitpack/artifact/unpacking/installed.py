"""What was unpacked into a folder: the record that lets the next unpack, and an audit, tell drift from intent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from kitpack.artifact.paths import safe_path
from kitpack.content.store.durable import write_whole
from kitpack.errors import StoreError, UnsafePathError
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import Json, JsonObject, parse_object

__all__ = ["RECORD_NAME", "Drift", "Installed", "InstalledFile", "find_drift", "hash_file", "is_unchanged", "read_own"]

RECORD_NAME = ".kitpack.json"
_VERSION = 1
_LONGEST = 1 << 30  # bytes of a record; one of a million files is half as long
_NO_STAMP = (0, 0, 0)
_NO_FILE = frozenset({errno.ELOOP, errno.EMLINK, errno.ENXIO})  # a link (on some systems: EMLINK), a socket


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledFile:
    """A file as it was unpacked.

    Attributes:
        digest: The digest of its content.
        size: Its number of bytes.
        mode: Its permission bits.
        role: Its role in the bundle.
        archive: What it came out of, as :attr:`Installed.archives` calls it; empty when it is a layer of its own.
        origin: The bundle it belongs to, as the user called it.
        stamp: Modification time in nanoseconds, inode and change time: unchanged stamps need no hashing.
        adopted: Whether the user had it before kitpack came; then it is not removed with the bundle.
    """

    digest: str
    size: int
    mode: int
    role: str
    archive: str = ""
    origin: str = ""
    stamp: tuple[int, int, int] = _NO_STAMP
    adopted: bool = False

    def stamped(self, location: Path) -> InstalledFile:
        """The same file with the stamp of what stands there."""
        return replace(self, stamp=_stamp(location.lstat()))

    def settled(self, location: Path) -> InstalledFile:
        """The same file after a move or a change of mode, of which the change time tells and nothing else."""
        now = _stamp(location.lstat())
        return replace(self, stamp=now) if now[:2] == self.stamp[:2] else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What a folder holds of a bundle.

    Attributes:
        reference: What the user asked for.
        digest: The manifest it was.
        files: Every file of it, by path.
        archives: The number of files in every archive that was unpacked whole, by its digest and, where that alone
            does not tell their paths, a path.
    """

    reference: str = ""
    digest: str = ""
    files: Mapping[str, InstalledFile] = field(default_factory=dict)
    archives: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Installed | None:
        """Read the record of a folder; None when nothing was unpacked there.

        Raises:
            StoreError: When the record is damaged.
        """
        try:
            raw = read_own(folder / RECORD_NAME)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            value = parse_object(raw)
            if value.get("version") != _VERSION:
                raise ValueError(f"version {value.get('version')!r} is not {_VERSION}")
            return cls(
                reference=str(value["reference"]),
                digest=str(Digest.parse(str(value["digest"]))),
                files={safe_path(path): _file(one) for path, one in _members(value["files"]).items()},
                archives={digest: _number(count) for digest, count in _members(value["archives"]).items()},
            )
        except (KeyError, TypeError, ValueError, UnsafePathError) as error:
            raise StoreError(
                f"{folder / RECORD_NAME} is damaged: {error}",
                hint="delete it and unpack again with --overwrite",
            ) from None

    def without(self, paths: Collection[str]) -> Installed:
        """The record without some of the files."""
        return replace(self, files={path: file for path, file in self.files.items() if path not in paths})

    def unstamped(self) -> Installed:
        """The record for somebody who trusts no stamp: every file has to be read again."""
        return replace(self, files={path: replace(file, stamp=_NO_STAMP) for path, file in self.files.items()})

    @property
    def origins(self) -> Counter[str]:
        """How many files there are of each bundle: of several, when parts of one were unpacked over another."""
        return Counter(file.origin for file in self.files.values())

    def recalled(self, path: str, file: InstalledFile) -> InstalledFile:
        """The file with what this record knows of it, when the record has the same content under that path."""
        known = self.files.get(path)
        same = known is not None and known.digest == file.digest
        return replace(file, stamp=known.stamp, adopted=known.adopted) if known and same else file

    def of_archive(self, archive: str, folder: Path) -> dict[str, InstalledFile]:
        """The files of an archive, when all of them are in place and unchanged; else nothing."""
        files = {path: file for path, file in self.files.items() if file.archive == archive}
        whole = len(files) == self.archives.get(archive)
        return files if whole and all(is_unchanged(folder / path, file) for path, file in files.items()) else {}

    def save(self, folder: Path, scratch: Path) -> None:
        """Write the record, whole or not at all.

        Args:
            folder: The folder to put it into.
            scratch: A folder of the same file system for what is not whole yet.
        """
        text = json.dumps({"version": _VERSION, **asdict(self)}, ensure_ascii=False, indent=1, sort_keys=True)
        write_whole(folder / RECORD_NAME, text.encode(), scratch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A file that is not as it was unpacked.

    Attributes:
        path: Its path.
        problem: ``missing``, ``changed``, ``mode`` or ``not a file``.
    """

    path: str
    problem: str


def find_drift(folder: Path, installed: Installed) -> list[Drift]:
    """Compare every file of a record, byte for byte, with what is in the folder now."""
    found = ((path, _problem(folder / path, file)) for path, file in sorted(installed.files.items()))
    return [Drift(path=path, problem=problem) for path, problem in found if problem]


def is_unchanged(location: Path, file: InstalledFile) -> bool:
    """Whether a file is still what was unpacked; reads it only when its stamp is new."""
    try:
        now = location.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(now.st_mode) or now.st_size != file.size:
        return False
    return _stamp(now) == file.stamp or _has_digest(location, file.digest)


def hash_file(location: Path, algorithm: str = "sha256") -> str:
    """The digest of a file's content."""
    with location.open("rb") as stream:
        return f"{algorithm}:{hashlib.file_digest(stream, algorithm).hexdigest()}"


def read_own(location: Path) -> bytes:
    """Read a file that kitpack wrote, but nothing that only stands in its place: no link, no pipe, no device.

    Raises:
        StoreError: When it is no file, or far too long.
    """
    try:
        fd = os.open(location, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        raise _not_own(location) from None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_size > _LONGEST:
        os.close(fd)
        raise _not_own(location)
    with os.fdopen(fd, "rb") as file:
        return file.read(_LONGEST)


def _not_own(location: Path) -> StoreError:
    return StoreError(
        f"{location} is damaged: it is not a file that kitpack wrote",
        hint="delete it and unpack again with --overwrite",
    )


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_mtime_ns, found.st_ino, found.st_ctime_ns


def _has_digest(location: Path, digest: str) -> bool:
    return hash_file(location, Digest.parse(digest).algorithm) == digest


def _problem(location: Path, file: InstalledFile) -> str:
    try:
        now = location.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    if not stat.S_ISREG(now.st_mode):
        return "not a file"
    if now.st_size != file.size or not _has_digest(location, file.digest):
        return "changed"
    return "mode" if (now.st_mode ^ file.mode) & stat.S_IXUSR else ""


def _members(value: Json) -> JsonObject:
    if not isinstance(value, dict):
        raise TypeError("expected an object")
    return value


def _file(value: Json) -> InstalledFile:
    one = _members(value)
    stamp = one["stamp"]
    if not isinstance(stamp, list) or len(stamp) not in (2, 3):
        raise TypeError("stamp: expected three numbers")
    numbers = [_number(part) for part in stamp]
    return InstalledFile(
        digest=str(Digest.parse(str(one["digest"]))),
        size=_number(one["size"]),
        mode=_number(one["mode"]) & 0o777,
        role=str(one["role"]),
        archive=str(one["archive"]),
        origin=str(one["origin"]),
        stamp=(numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else _NO_STAMP,  # once there were two
        adopted=one.get("adopted") is True,
    )


def _number(value: Json) -> int:
    if not isinstance(value, int):
        raise TypeError("expected a whole number")
    return value
