"""What was pushed to, or pulled from, which repository lately: so that less is asked for, and blobs can be mounted.

One small text file per repository holds the last manifest that went there whole: the repository's name, the digest of
the manifest, the digests of its blobs, each on a line. It is a hint, no more: whoever acts on it proves it with one
request. What cannot be written or read is as good as absent, and the last writer wins.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kitpack.errors import InvalidDigestError
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest

__all__ = ["Record", "Whereabouts"]

MOST_REPOSITORIES = 64
"""Records kept of one registry; the ones that were not written for longest go first."""

_MAX_RECORD = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What went to one repository, or came from it, last.

    Attributes:
        repository: Its name in the registry.
        manifest: The manifest.
        blobs: Everything it names.
    """

    repository: str
    manifest: Digest
    blobs: frozenset[Digest]


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The records about one registry.

    Attributes:
        folder: Where they are; it need not exist.
    """

    folder: Path

    @classmethod
    def of(cls, home: Path, registry: str) -> Whereabouts:
        """The records about a registry, kept beside the local store."""
        return cls(home / "remotes" / _short(registry))

    def last(self, repository: str) -> Record | None:
        """What is on record about a repository."""
        found = _read(self._path(repository))
        return found if found and found.repository == repository else None

    def others(self, repository: str) -> Iterator[Record]:
        """What is on record about the other repositories of the registry, the latest first."""
        paths = sorted(self._paths(), key=_age, reverse=True)
        for path in paths[:MOST_REPOSITORIES]:
            found = _read(path)
            if found and found.repository != repository:
                yield found

    def note(self, repository: str, manifest: Manifest) -> None:
        """Remember that a repository has a manifest and everything under it."""
        lines = [repository, str(manifest.digest), *sorted({str(one.digest) for one in manifest.successors})]
        path = self._path(repository)
        temporary = path.with_name(f"{path.name}.{os.urandom(6).hex()}.tmp")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
                temporary.replace(path)
            except OSError:
                temporary.unlink(missing_ok=True)
            for old in sorted(self._paths(), key=_age)[:-MOST_REPOSITORIES]:
                old.unlink(missing_ok=True)

    def forget(self, repository: str) -> None:
        """Drop what turned out not to be so."""
        with suppress(OSError):
            self._path(repository).unlink(missing_ok=True)

    def _path(self, repository: str) -> Path:
        return self.folder / f"{_short(repository)}.txt"

    def _paths(self) -> list[Path]:
        try:
            return [path for path in self.folder.iterdir() if path.suffix == ".txt"]
        except OSError:
            return []


def _read(path: Path) -> Record | None:
    try:
        if path.stat().st_size > _MAX_RECORD:
            return None
        repository, manifest, *blobs = path.read_text(encoding="utf-8").splitlines()
        return Record(repository=repository, manifest=Digest.parse(manifest), blobs=frozenset(map(Digest.parse, blobs)))
    except (OSError, ValueError, InvalidDigestError):
        return None


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _short(name: str) -> str:
    """A name of a file for a name that may be longer than a file's can be."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]
