"""What the index says, turned into repositories: read once per version of the file, asked for as often as one likes.

Other processes change the layout at any time, so every question begins with a look at the file's state. The file
that was read stays open: as long as it does, no other file can look like it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock

from kitpack.content.store.folder import INDEX
from kitpack.content.store.index import Index, name_of, read_index, repository_of
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest
from kitpack.oci.mediatypes import INDEX_TYPES
from kitpack.server.names import is_repository, split_name

__all__ = ["Catalog", "Catalogs", "home_of"]

Reader = Callable[[Descriptor], Manifest | None]
"""Reads a manifest that is listed; None when it is missing or damaged."""


def home_of(root: Path) -> str:
    """The repository that bare tags of a layout belong to: its folder's name, if that can be one."""
    name = root.resolve().name
    return name if is_repository(name) else ""


class Catalog:
    """One version of an index, seen as repositories.

    Args:
        index: The index.
        home: The repository that bare tags belong to.

    Attributes:
        entries: Every manifest that is listed, by its digest.
        shared: Those that belong to every repository.
    """

    def __init__(self, index: Index, home: str) -> None:
        self.entries: dict[Digest, Descriptor] = {}
        self.shared: dict[Digest, Descriptor] = {}
        self._home = home
        self._tags: dict[str, dict[str, Descriptor]] = {}
        self._listed: dict[str, dict[Digest, Descriptor]] = {}
        self._children: dict[str, dict[Digest, Descriptor]] = {}
        manifests = [entry for entry in index.entries if entry.is_manifest]
        for entry in sorted(manifests, key=lambda one: ":" in name_of(one)):  # a whole name decides over a bare one
            self._list(entry)

    def knows(self, repository: str) -> bool:
        """Whether there is such a repository."""
        return repository in self._listed or (repository == self._home and bool(self.shared))

    def repositories(self) -> list[str]:
        """All repositories, in the order of their characters."""
        return sorted(self._listed) or ([self._home] if self._home and self.shared else [])

    def tags(self, repository: str) -> Mapping[str, Descriptor]:
        """The tags of a repository."""
        return self._tags.get(repository, {})

    def listed(self, repository: str) -> Mapping[Digest, Descriptor]:
        """What a repository alone lists, with a tag or without."""
        return self._listed.get(repository, {})

    def find(self, repository: str, digest: Digest, read: Reader) -> Descriptor | None:
        """A manifest that a repository shows: listed there, listed for all, or a part of an index that is.

        Args:
            repository: The repository.
            digest: The manifest.
            read: Reads indexes.
        """
        found = self.listed(repository).get(digest) or self.shared.get(digest)
        return found or self.parts(repository, read).get(digest)

    def parts(self, repository: str, read: Reader) -> Mapping[Digest, Descriptor]:
        """The manifests that indexes of a repository name, at any depth."""
        if repository not in self._children:
            tops = (*self.listed(repository).values(), *self.shared.values())
            self._children[repository] = {one.digest: one for top in tops for one in _parts_of(top, read)}
        return self._children[repository]

    def _list(self, entry: Descriptor) -> None:
        plain = entry.plain()
        self.entries[entry.digest] = plain
        name, owner = name_of(entry), repository_of(entry)
        if not name and not owner:
            self.shared[entry.digest] = plain
            return
        place = split_name(name, self._home) if name else (owner, "") if is_repository(owner) else None
        if place:
            repository, tag = place
            self._listed.setdefault(repository, {})[entry.digest] = plain
            if tag:
                self._tags.setdefault(repository, {})[tag] = plain


class Catalogs:
    """The current catalog of a layout.

    Args:
        root: The layout.
    """

    def __init__(self, root: Path) -> None:
        self.home = home_of(root)
        self._root = root
        self._path = root / INDEX
        self._lock = Lock()
        self._catalog: Catalog | None = None
        self._version: tuple[int, ...] = ()
        self._fd = -1

    def current(self) -> Catalog:
        """The catalog of what the file says now.

        Raises:
            StoreError: When the file is missing or damaged.
        """
        with self._lock:
            if self._catalog is None or _version_of(self._path) != self._version:
                self._read()
            assert self._catalog is not None  # noqa: S101 - it was just read
            return self._catalog

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._forget()

    def _read(self) -> None:
        self._forget()
        with suppress(OSError):  # what is wrong, the reading below says
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            self._version = _version_of(self._fd)
        index = read_index(self._root)  # this version or a later one, which the next look will find to be another
        self._catalog = Catalog(index, self.home)

    def _forget(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._version, self._catalog = -1, (), None


def _version_of(file: Path | int) -> tuple[int, ...]:
    try:
        found = os.stat(file)  # noqa: PTH116 - of a path or of an open file
    except OSError:
        return (-1,)
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _parts_of(top: Descriptor, read: Reader) -> Iterator[Descriptor]:
    left, seen = [top], set[Digest]()
    while left:
        one = left.pop()
        if one.digest in seen or one.media_type not in INDEX_TYPES:
            continue
        seen.add(one.digest)
        manifest = read(one)
        for part in manifest.manifests if manifest else ():
            if part.is_manifest:
                yield part.plain()
                left.append(part)
