"""Where the releases of one bundle are kept: a repository of a registry, or one name in a layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kitpack.content.target import Deletes, ListsTags, ListsTagsFrom, Target, fetch_named, publish
from kitpack.errors import NotFoundError, UnsupportedError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest

__all__ = ["Home"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The tags of one bundle, wherever they are; a layout holds those of many, each behind the bundle's name.

    Attributes:
        target: Where they are.
        prefix: What stands before each tag there: nothing in a repository, ``assistant:`` in the local store.
        label: What to call it in front of the user, such as ``localhost:5000/team/assistant``.
    """

    target: Target
    prefix: str = ""
    label: str

    def tags(self, beginning: str = "") -> Iterator[str]:
        """The tags that begin with a text, in no particular order; none when there is no such repository yet."""
        if not isinstance(self.target, ListsTags):
            raise UnsupportedError(f"{self.label} cannot list its tags, so there is no release log")
        whole = f"{self.prefix}{beginning}"
        listing = self.target.tags_from(whole) if isinstance(self.target, ListsTagsFrom) else self.target.tags()
        try:
            for tag in listing:
                if tag.startswith(whole):
                    yield tag.removeprefix(self.prefix)
        except NotFoundError:
            return

    def find(self, tag: str) -> Descriptor | None:
        """What a tag stands for, or None."""
        try:
            return self.target.resolve(f"{self.prefix}{tag}")
        except NotFoundError:
            return None

    def read(self, tag: str) -> Manifest:
        """The manifest of a tag.

        Raises:
            NotFoundError: When there is no such tag.
        """
        return fetch_named(self.target, f"{self.prefix}{tag}")

    def read_digest(self, digest: Digest) -> Manifest:
        """The manifest of a digest.

        Raises:
            NotFoundError: When it is not there.
        """
        return fetch_named(self.target, str(digest))

    def write(self, manifest: Manifest, tag: str) -> None:
        """Store a manifest under a tag.

        Raises:
            NotFoundError: When it names content that is not there; nothing has changed then.
        """
        publish(self.target, manifest, f"{self.prefix}{tag}")

    def remove(self, tag: str) -> None:
        """Forget a tag.

        Raises:
            NotFoundError: When there is no such tag.
            UnsupportedError: When the place cannot do that.
        """
        if not isinstance(self.target, Deletes):
            raise UnsupportedError(f"{self.label} cannot remove tags")
        self.target.untag(f"{self.prefix}{tag}")
