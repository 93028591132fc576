"""What every place of content can do, as protocols.

A local image layout, a remote repository and plain memory look alike, so one :func:`kitpack.content.copy.copy`
moves bundles between any two of them. What only some places can do (delete, list tags, mount) stands in protocols
of its own and is found by ``isinstance``.

Content is immutable and named by its digest, so every operation but ``tag`` may be repeated safely.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol, TypeAlias, runtime_checkable

from kitpack.errors import IntegrityError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import BLOCK, Digest
from kitpack.oci.manifest import MAX_MANIFEST_SIZE, Manifest

__all__ = [
    "Adds",
    "Deletes",
    "Delivers",
    "Leases",
    "ListsReferrers",
    "ListsTags",
    "ListsTagsBehind",
    "ListsTagsFrom",
    "Opener",
    "Publishes",
    "ReadsNamed",
    "Recalls",
    "Remembers",
    "Source",
    "TagsOnce",
    "TakesMissing",
    "Target",
    "fetch_bytes",
    "fetch_manifest",
    "fetch_named",
    "opener_of",
    "publish",
    "verified_blocks",
]

Opener: TypeAlias = Callable[[int], BinaryIO]
"""Opens the same bytes again and again, each time at the offset it is given: what makes a transfer repeatable
after a lost connection and resumable after a lost process. The caller closes the stream."""


class Source(Protocol):
    """A place to read from."""

    def resolve(self, reference: str) -> Descriptor:
        """Find a manifest by tag or digest.

        Raises:
            NotFoundError: When there is none.
        """
        ...

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        """Open content for reading from a byte offset on. The bytes are **not** verified yet; the caller closes.

        Raises:
            NotFoundError: When it is not there.
        """
        ...

    def exists(self, descriptor: Descriptor) -> bool:
        """Whether the content is there with its whole size."""
        ...


class Target(Source, Protocol):
    """A place to read from and write to."""

    def push(self, descriptor: Descriptor, open_at: Opener) -> None:
        """Store content; having it already is success. It gets its name only when size and digest are right.

        Raises:
            IntegrityError: When the bytes are not what the descriptor says; nothing is stored then.
            NotFoundError: When a manifest names content that is not here.
        """
        ...

    def tag(self, descriptor: Descriptor, reference: str) -> None:
        """Let a name point at a manifest that is here, wherever it pointed before.

        Raises:
            NotFoundError: When the manifest is not here.
        """
        ...


@runtime_checkable
class Adds(Protocol):
    """Can take in bytes whose digest is not known yet, reading them once."""

    def add(self, open_at: Opener) -> tuple[Digest, int]:
        """Store the bytes and return their digest and number."""
        ...


@runtime_checkable
class Delivers(Protocol):
    """Brings content to a target by itself, before somebody copies what names it."""

    def has_delivered(self, descriptor: Descriptor, target: Target) -> bool:
        """Whether the target has it from here, so that it need not be asked."""
        ...


@runtime_checkable
class Recalls(Protocol):
    """Can do without bytes when somebody knows their digest already."""

    def recall(self, digest: Digest, size: int, open_at: Opener) -> bool:
        """Whether the content need not be added, because it is here or is not kept anyway."""
        ...


@runtime_checkable
class ListsTags(Protocol):
    """Knows its tags."""

    def tags(self) -> Iterator[str]:
        """All tags, in no particular order, read page by page.

        Raises:
            NotFoundError: When the repository does not exist.
        """
        ...


@runtime_checkable
class ListsTagsBehind(Protocol):
    """Can list the tags that come after a text, without listing the others, if all goes well."""

    def tags_behind(self, last: str, limit: int) -> tuple[list[str], bool]:
        """One page of tags, and whether there are more.

        What comes back is a claim: there are places that know neither the text nor the limit nor any order, and answer
        with all tags, or with the first ones.

        Raises:
            NotFoundError: When the repository does not exist.
        """
        ...


@runtime_checkable
class ListsTagsFrom(Protocol):
    """Need not list all its tags to find those that begin alike."""

    def tags_from(self, beginning: str) -> Iterator[str]:
        """All tags that begin with a text and go on behind it, read page by page; maybe also the text itself.

        Raises:
            NotFoundError: When the repository does not exist.
        """
        ...


@runtime_checkable
class ListsReferrers(Protocol):
    """Knows which manifests have a given subject."""

    def referrers(self, subject: Descriptor, artifact_type: str = "") -> Iterator[Descriptor]:
        """The manifests whose subject this is, optionally of one artifact type only."""
        ...


@runtime_checkable
class Deletes(Protocol):
    """Can forget names and content."""

    def untag(self, reference: str) -> None:
        """Remove a tag and leave the manifest.

        Raises:
            NotFoundError: When there is no such tag.
            UnsupportedError: When this place cannot remove a tag alone.
        """
        ...


@runtime_checkable
class TagsOnce(Protocol):
    """Can give a name and make sure in the same step that it is free. No registry can."""

    def tag_once(self, descriptor: Descriptor, reference: str) -> None:
        """Let a name point at a manifest unless it stands for other content.

        Raises:
            TagExistsError: When it does.
            NotFoundError: When the manifest is not here.
        """
        ...


@runtime_checkable
class ReadsNamed(Protocol):
    """Can read the manifest of a name in one step."""

    def fetch_named(self, reference: str) -> Manifest:
        """The manifest that a tag or digest stands for, verified and parsed.

        Raises:
            NotFoundError: When there is none.
        """
        ...


@runtime_checkable
class Publishes(Protocol):
    """Can store a manifest under a name in one step."""

    def publish(self, manifest: Manifest, reference: str) -> None:
        """Store it and let the name point at it, wherever it pointed before.

        Raises:
            NotFoundError: When it names content that is not here; nothing has changed then.
        """
        ...


@runtime_checkable
class TakesMissing(Protocol):
    """Is far away: what it lacks is found out for all content at once, and then sent without asking again."""

    def presumed(self, manifest: Manifest) -> frozenset[Digest]:
        """What of the content of a manifest is there by all that is known, so that asking piece by piece can be saved.

        A place that takes no manifest whose content is missing corrects this when it is wrong.
        """
        ...

    def push_missing(self, descriptor: Descriptor, open_at: Opener, source: Source) -> bool:
        """Store content that was just found to be missing, if possible without moving its bytes.

        Args:
            descriptor: The content; no manifest.
            open_at: Where its bytes come from.
            source: Where it is copied from.

        Returns:
            Whether bytes were moved.

        Raises:
            IntegrityError: As :meth:`Target.push`.
        """
        ...


@runtime_checkable
class Remembers(Protocol):
    """Keeps a note of what it was seen to have."""

    def remember(self, manifest: Manifest) -> None:
        """A manifest is there with everything under it."""
        ...


@runtime_checkable
class Leases(Protocol):
    """Must be told while something reads or builds up content that no tag protects yet."""

    def lease(self) -> AbstractContextManager[None]:
        """Keep garbage collection away until the context ends."""
        ...


def opener_of(data: bytes) -> Opener:
    """An opener of bytes in memory."""
    return lambda offset: io.BytesIO(data[offset:])


def verified_blocks(stream: BinaryIO, descriptor: Descriptor) -> Iterator[bytes]:
    """Read a stream to its end in large blocks, proving it.

    Raises:
        IntegrityError: As soon as there are more bytes than the descriptor says, or at the end when there are fewer or
            their digest is another. Nothing read before may be trusted until the iterator has ended.
    """
    hasher = descriptor.digest.hasher()
    left = descriptor.size
    while block := stream.read(min(BLOCK, left + 1)):
        left -= len(block)
        if left < 0:
            raise IntegrityError(f"{descriptor.digest}: more bytes arrived than the {descriptor.size} expected")
        hasher.update(block)
        yield block
    if left:
        raise IntegrityError(f"{descriptor.digest}: {descriptor.size} bytes were expected, {left} are missing")
    if not descriptor.digest.matches(hasher):
        raise IntegrityError(f"expected {descriptor.digest}, received bytes of {hasher.name}:{hasher.hexdigest()}")


def fetch_bytes(source: Source, descriptor: Descriptor, limit: int = MAX_MANIFEST_SIZE) -> bytes:
    """Read small content whole, verified.

    Args:
        source: Where it is.
        descriptor: What it is.
        limit: The number of bytes above which it is refused unread.

    Raises:
        IntegrityError: When it is larger than the limit or not what the descriptor says.
        NotFoundError: When it is not there.
    """
    if descriptor.size > limit:
        raise IntegrityError(
            f"{descriptor.digest} is {descriptor.size} bytes long; at most {limit} are read into memory"
        )
    with source.fetch(descriptor) as stream:
        return b"".join(verified_blocks(stream, descriptor))


def fetch_manifest(source: Source, descriptor: Descriptor) -> Manifest:
    """Read a manifest or index, verified and parsed.

    Raises:
        InvalidManifestError: When the bytes are not one.
        IntegrityError, NotFoundError: As :func:`fetch_bytes`.
    """
    return Manifest.parse(fetch_bytes(source, descriptor), descriptor.media_type, descriptor.digest)


def fetch_named(source: Source, reference: str) -> Manifest:
    """Read the manifest of a tag or digest, in one step where the place can do that.

    Raises:
        NotFoundError: When there is none.
        InvalidManifestError, IntegrityError: As :func:`fetch_manifest`.
    """
    if isinstance(source, ReadsNamed):
        return source.fetch_named(reference)
    return fetch_manifest(source, source.resolve(reference))


def publish(target: Target, manifest: Manifest, reference: str) -> None:
    """Store a manifest under a name, in one step where the place can do that.

    Raises:
        NotFoundError: When it names content that is not here.
    """
    if isinstance(target, Publishes):
        target.publish(manifest, reference)
        return
    target.push(manifest.descriptor, opener_of(manifest.raw))
    target.tag(manifest.descriptor, reference)
