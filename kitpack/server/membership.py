"""Which repository lists which manifest, as changes of an index.

A repository lists what its names stand for, and entries without a name that are marked with it: what was pushed by
digest, or has lost its tag. Entries without name and mark belong to every repository. All functions take an index
and make a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from kitpack.content.store.index import Index, name_of, repository_of
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import ANNOTATION_REPOSITORY
from kitpack.server.names import split_name

__all__ = ["Repository", "with_manifest", "without_manifest", "without_tag"]


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository of a layout.

    Attributes:
        name: Its name.
        home: The repository of the layout that bare tags belong to.
    """

    name: str
    home: str

    def tag_of(self, entry: Descriptor) -> str:
        """The tag that an entry is in this repository, or an empty string."""
        found = split_name(name_of(entry), self.home) if name_of(entry) else None
        return found[1] if found and found[0] == self.name else ""

    def lists(self, entry: Descriptor) -> bool:
        """Whether an entry is this repository's alone: a tag of it, or marked with it."""
        return bool(self.tag_of(entry)) or repository_of(entry) == self.name

    def names_of(self, tag: str) -> Iterator[str]:
        """The names in the index that can stand for a tag, the one that decides first."""
        yield f"{self.name}:{tag}"
        if self.name == self.home:
            yield tag


def with_manifest(index: Index, repository: Repository, entry: Descriptor, tags: Sequence[str]) -> Index:
    """List a manifest under tags, or without one; what these tags stood for stays, without a tag."""
    after = index
    for tag in tags:
        after = after.with_name(entry, _taken_name(after, repository, tag))
    if not tags:
        after = _marked(after, repository, entry)
    else:
        after = _without(after, lambda one: one.digest == entry.digest and repository_of(one) == repository.name)
    return _keep(index, after, repository)


def without_tag(index: Index, repository: Repository, tag: str) -> Index:
    """Forget a tag; its manifest stays."""
    after = index
    for name in repository.names_of(tag):
        after = after.without_name(name)
    return _keep(index, after, repository)


def without_manifest(index: Index, repository: Repository, digest: Digest, others: Iterable[str]) -> Index:
    """Forget a manifest and all its tags in one repository.

    Args:
        index: The index.
        repository: The repository.
        digest: The manifest.
        others: The repositories that go on listing it, when it belonged to every one.
    """
    after = _without(index, lambda one: one.digest == digest and repository.lists(one))
    shared = next(
        (one for one in after.entries if one.digest == digest and not (name_of(one) or repository_of(one))), None
    )
    if shared:
        after = _without(after, lambda one: one is shared)
        for other in others:
            after = _marked(after, Repository(other, repository.home), shared)
    return after


def _taken_name(index: Index, repository: Repository, tag: str) -> str:
    """The name that a tag has in the index already, or the one it gets."""
    names = list(repository.names_of(tag))
    return next((name for name in names if index.named(name)), names[0])


def _keep(before: Index, after: Index, repository: Repository) -> Index:
    """List what lost its last tag in a repository, so that it can still be pulled by its digest."""
    left = {one.digest for one in after.entries if repository.lists(one)}
    for entry in before.entries:
        if entry.digest not in left and repository.tag_of(entry):
            after = _marked(after, repository, entry)
    return after


def _marked(index: Index, repository: Repository, entry: Descriptor) -> Index:
    if any(one.digest == entry.digest and repository.lists(one) for one in index.entries):
        return index
    marked = replace(entry, annotations={ANNOTATION_REPOSITORY: repository.name})
    return replace(index, entries=(*index.entries, marked))


def _without(index: Index, goes: Callable[[Descriptor], bool]) -> Index:
    return replace(index, entries=tuple(entry for entry in index.entries if not goes(entry)))
