"""An OCI image layout: the local store, and a folder that other tools read and write as well.

::

    oci-layout               says what the folder is
    index.json               the manifests it lists, by org.opencontainers.image.ref.name
    blobs/sha256/44136f…     content, read-only
    ingest/                  content on its way in; partial files wait here to be continued
    index.lock, gc.lock      locked while the index changes, and while content is in use; never removed

Everything is safe against a crash at any moment and against any number of processes and threads at once: content gets
its name only when it is proven and on the disk, then manifests, then the index. A crash leaves garbage, never a name
that points nowhere. Reading needs no lock and no write access.

Spec: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from kitpack.content.store.folder import (
    GC_LOCK,
    MARKER,
    begin_layout,
    blob_path,
    is_layout,
    is_stored,
    require_layout,
    touch,
)
from kitpack.content.store.index import Index, change_index, read_index
from kitpack.content.store.ingest import add_blob, store_blob
from kitpack.content.store.locks import Lease
from kitpack.content.store.stored import (
    find_manifest,
    first_missing,
    intact_manifest,
    open_blob,
    read_manifest,
    receive_manifest,
)
from kitpack.content.target import Opener, opener_of
from kitpack.errors import (
    InvalidDigestError,
    InvalidManifestError,
    InvalidReferenceError,
    NotFoundError,
    TagExistsError,
)
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest
from kitpack.oci.mediatypes import ANNOTATION_REF_NAME, ANNOTATION_REPOSITORY

__all__ = ["Layout"]

_MAX_NAME = 1024


class Layout:
    """A folder that is, or with the first write becomes, an OCI image layout.

    Making the object touches nothing on the disk.

    Args:
        path: The folder.
        create: Whether the first write may turn a missing or empty folder into a layout.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True) -> None:
        self.path = Path(path)
        self._create = create
        self._lease = Lease(self.path / GC_LOCK, (self.path / MARKER).exists)

    def __repr__(self) -> str:
        return f"Layout({str(self.path)!r})"

    def resolve(self, reference: str) -> Descriptor:
        """See :meth:`kitpack.content.target.Source.resolve`.

        A digest finds what the index lists and any other manifest that is stored. Of two entries with the same name the
        last decides.
        """
        index = self.index()
        try:
            digest = Digest.parse(reference)
        except InvalidDigestError:
            return self._resolve_name(index, reference)
        entry = index.listed(digest)
        return entry.plain() if entry else find_manifest(self.path, digest)

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        """See :meth:`kitpack.content.target.Source.fetch`.

        Raises:
            IntegrityError: When what stands there is not a regular file, or not of the right size.
        """
        require_layout(self.path)
        stream = open_blob(self.path, descriptor.digest, descriptor.size)
        stream.seek(offset)
        return stream

    def exists(self, descriptor: Descriptor) -> bool:
        """See :meth:`kitpack.content.target.Source.exists`.

        A manifest is there only with everything it names, so a transfer that broke off, or a blob that was lost, is
        made good by copying once more.
        """
        if not is_layout(self.path) or first_missing(self.path, descriptor):
            return False
        return not descriptor.is_manifest or self._is_findable(descriptor)

    def push(self, descriptor: Descriptor, open_at: Opener) -> None:
        """See :meth:`kitpack.content.target.Target.push`.

        A transfer that breaks off is continued by the next push of the same content. A manifest with a subject is
        listed in the index, where :meth:`referrers` finds it; others are listed when they are tagged.

        Raises:
            InvalidManifestError: When the bytes of a manifest are not one.
        """
        self._begin()
        with self.lease():
            if descriptor.is_manifest:
                self._push_manifest(descriptor, open_at)
            elif is_stored(path := blob_path(self.path, descriptor.digest), descriptor.size):
                touch(path)
            else:
                store_blob(self.path, descriptor, open_at)

    def add(self, open_at: Opener) -> tuple[Digest, int]:
        """See :meth:`kitpack.content.target.Adds.add`."""
        self._begin()
        with self.lease():
            return add_blob(self.path, open_at)

    def recall(self, digest: Digest, size: int, open_at: Opener) -> bool:  # noqa: ARG002 - others need it
        """See :meth:`kitpack.content.target.Recalls.recall`."""
        with self.lease():
            stored = is_stored(path := blob_path(self.path, digest), size)
            if stored:
                touch(path)
            return stored

    def tag(self, descriptor: Descriptor, reference: str) -> None:
        """See :meth:`kitpack.content.target.Target.tag`.

        Raises:
            NotFoundError: When the manifest, or anything it names, is not here.
            InvalidReferenceError: When the name is empty, a digest, very long, or holds spaces or control characters.
        """
        self._tag(descriptor, reference, lambda _: None)

    def tag_once(self, descriptor: Descriptor, reference: str) -> None:
        """See :meth:`kitpack.content.target.TagsOnce.tag_once`. Raises as :meth:`tag` besides."""

        def refuse(taken: Descriptor | None) -> None:
            if taken and taken.digest != descriptor.digest:
                raise TagExistsError.of(reference, str(taken.digest), str(descriptor.digest))

        self._tag(descriptor, reference, refuse)

    def _tag(self, descriptor: Descriptor, reference: str, check: Callable[[Descriptor | None], None]) -> None:
        """Give a name after what it stands for has been checked, both under the lock of the index."""

        def named(index: Index) -> Index:
            check(index.named(reference))
            return self._keep_referrers(index, index.with_name(entry, reference))

        _check_name(reference)
        self._begin()
        with self.lease():
            if not descriptor.is_manifest:
                raise NotFoundError(
                    f"{descriptor.digest} is {descriptor.media_type}; expected a manifest in {self.path}"
                )
            if missing := first_missing(self.path, descriptor):
                raise self._not_found(missing)
            entry = replace(descriptor.plain(), artifact_type=read_manifest(self.path, descriptor).artifact_type)
            change_index(self.path, named)

    def untag(self, reference: str) -> None:
        """See :meth:`kitpack.content.target.Deletes.untag`."""

        def forget(index: Index) -> Index:
            self._resolve_name(index, reference)
            return self._keep_referrers(index, index.without_name(reference))

        require_layout(self.path)
        with self.lease():
            change_index(self.path, forget)

    def tags(self) -> Iterator[str]:
        """See :meth:`kitpack.content.target.ListsTags.tags`."""
        yield from sorted(self.index().names)

    def referrers(self, subject: Descriptor, artifact_type: str = "") -> Iterator[Descriptor]:
        """See :meth:`kitpack.content.target.ListsReferrers.referrers`.

        What an entry says about its manifest is not believed: each listed manifest is read.

        Raises:
            IntegrityError: When one of them is damaged.
        """
        entries = self.index().entries if is_layout(self.path) else ()
        for entry in {entry.digest: entry for entry in entries if entry.is_manifest}.values():
            manifest = self._readable(entry)
            found = manifest.subject if manifest else None
            if manifest and found and found.digest == subject.digest and artifact_type in ("", manifest.kind):
                yield replace(entry.plain(), artifact_type=manifest.kind, annotations=dict(manifest.annotations))

    def lease(self) -> AbstractContextManager[None]:
        """See :meth:`kitpack.content.target.Leases.lease`.

        It may be taken again while it is held, from any thread. It ends with the process at the latest. In a store that
        cannot be written there is nothing to hold.
        """
        return self._lease.hold()

    def index(self) -> Index:
        """What ``index.json`` says now.

        Raises:
            NotFoundError: When there is no layout yet.
            StoreError: When the file is damaged, or the folder is something else.
        """
        require_layout(self.path)
        return read_index(self.path)

    def _begin(self) -> None:
        if self._create:
            begin_layout(self.path)
        else:
            require_layout(self.path)
        self._lease.catch_up()

    def _resolve_name(self, index: Index, name: str) -> Descriptor:
        if entry := index.named(name):
            return entry.plain()
        import difflib  # late: only a typing error needs it

        near = difflib.get_close_matches(name, sorted(index.names)[:10_000], n=1)
        raise NotFoundError(
            f"{name!r} is not in {self.path}",
            hint=f"did you mean {near[0]!r}?" if near else "`kitpack list` shows what is there",
        )

    def _push_manifest(self, descriptor: Descriptor, open_at: Opener) -> None:
        manifest = intact_manifest(self.path, descriptor)
        if manifest is None:
            manifest = receive_manifest(descriptor, open_at)
            self._require(manifest)
            store_blob(self.path, descriptor, opener_of(manifest.raw))
        else:
            self._require(manifest)
            touch(blob_path(self.path, descriptor.digest))
        if manifest.subject:
            entry = _referrer_entry(descriptor, manifest)
            change_index(self.path, lambda index: index.with_entry(entry))

    def _require(self, manifest: Manifest) -> None:
        for child in manifest.successors:
            if not is_stored(blob_path(self.path, child.digest), child.size):
                raise self._not_found(child)

    def _not_found(self, missing: Descriptor) -> NotFoundError:
        return NotFoundError(
            f"{missing.digest} ({missing.media_type}, {missing.size} bytes) is not whole in {self.path}",
            hint="content goes in before what names it: copy the whole bundle",
        )

    def _is_findable(self, descriptor: Descriptor) -> bool:
        """Whether a manifest that says something about another is listed, so that a look at that other finds it."""
        manifest = intact_manifest(self.path, descriptor)
        return manifest is not None and (not manifest.subject or descriptor.digest in self.index().digests)

    def _readable(self, entry: Descriptor) -> Manifest | None:
        """A listed manifest, unless it was never brought here or is of a form kitpack does not trust."""
        try:
            return read_manifest(self.path, entry)
        except (NotFoundError, InvalidManifestError):
            return None

    def _keep_referrers(self, before: Index, after: Index) -> Index:
        """List what lost its last name, when it must be found by its subject."""
        for digest in before.digests - after.digests:
            entry = before.listed(digest)
            manifest = intact_manifest(self.path, entry) if entry and entry.is_manifest else None
            if entry and manifest and manifest.subject:
                after = after.with_entry(_referrer_entry(entry, manifest))
        return after


def _referrer_entry(descriptor: Descriptor, manifest: Manifest) -> Descriptor:
    """How a manifest with a subject is listed; its own annotations give it neither a name nor a repository."""
    placing = (ANNOTATION_REF_NAME, ANNOTATION_REPOSITORY)
    annotations = {key: value for key, value in manifest.annotations.items() if key not in placing}
    return replace(descriptor.plain(), artifact_type=manifest.kind, annotations=annotations)


def _check_name(name: str) -> None:
    try:
        Digest.parse(name)
    except InvalidDigestError:
        if name and len(name) <= _MAX_NAME and name.isprintable() and " " not in name:
            return
    raise InvalidReferenceError(
        f"{name[:120]!r} cannot be a name in a layout; expected printable characters without spaces, and no digest",
        hint="write NAME:TAG, for example assistant:1.4.0",
    )
