"""The one verb that moves content: from any source to any target.

Blobs first, then the manifests that name them, then what refers to those, and the tag last: whoever sees the tag sees
everything under it, at every moment and after every crash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

from kitpack.content.events import Counted, Event, OnEvent, ignore
from kitpack.content.sidebyside import side_by_side
from kitpack.content.target import (
    Delivers,
    Leases,
    ListsReferrers,
    Publishes,
    Remembers,
    Source,
    TagsOnce,
    TakesMissing,
    Target,
    fetch_manifest,
    opener_of,
)
from kitpack.errors import IntegrityError, NotFoundError, TagExistsError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest
from kitpack.oci.mediatypes import ANNOTATION_FILEPATH, ANNOTATION_TITLE

__all__ = ["blaming", "copy", "copy_blob", "give_tag", "leased", "refuse_moving_tag"]

MAX_DEPTH = 8
MAX_NODES = 100_000
MAX_BYTES = 256 << 20
"""Bounds on a graph that a hostile registry serves, and on the manifests in it: no real bundle comes near them."""


def copy(
    source: Source,
    wanted: str | Descriptor,
    target: Target,
    tag: str = "",
    *,
    referrers: bool = False,
    force: bool = False,
    jobs: int = 4,
    on_event: OnEvent = ignore,
) -> Descriptor:
    """Copy a manifest with everything under it.

    Content that the target has is not sent again, so a repeated or interrupted copy goes on where it was.

    Args:
        source: Where it is.
        wanted: Its tag or digest there, or what that was resolved to already.
        target: Where it should be.
        tag: The tag to give it there, last of all; empty for none.
        referrers: Whether what refers to it (signatures, reports) comes along.
        force: Whether a tag that names other content may be moved.
        jobs: Blobs moved at the same time.
        on_event: Told about progress, from several threads.

    Returns:
        The descriptor of the manifest.

    Raises:
        NotFoundError: When it, or something under it, is not at the source.
        TagExistsError: When the tag names other content and ``force`` is not set; nothing was moved then.
        IntegrityError: When the source delivers other bytes than their digest promises.
    """
    root = source.resolve(wanted) if isinstance(wanted, str) else wanted
    with leased(source, target):
        if tag and not force:
            refuse_moving_tag(target, tag, root.digest)
        graph = _graph_of(source, _roots(source, root, referrers=referrers))
        _copy_content(source, graph, target, jobs, on_event)
        try:
            _copy_manifests(graph, root, target, tag, force=force)
        except NotFoundError:  # what was presumed to be there is not, or was collected meanwhile
            if not _copy_content(source, graph, target, jobs, on_event, presume=False):
                raise
            _copy_manifests(graph, root, target, tag, force=force)
        _remember(graph.manifests[root.digest], source, target)
    return root


def copy_blob(source: Source, blob: Descriptor, target: Target, on_event: OnEvent = ignore) -> None:
    """Copy one blob ahead of what names it.

    Raises:
        NotFoundError, IntegrityError: As :func:`copy`.
    """
    if target.exists(blob):
        on_event(Event(kind="skipped", name=_name(blob), size=blob.size))
    else:
        on_event(Event(kind="planned", name=_name(blob), size=blob.size))
        _copy_blob(source, target, blob, on_event)


def give_tag(target: Target, descriptor: Descriptor, reference: str, *, force: bool = False) -> None:
    """Give a manifest a name, which stands for nothing else unless ``force`` says that it may be moved.

    In a registry, somebody may take the name between the question and the answer; a layout decides under its lock.

    Raises:
        TagExistsError: When the name stands for other content.
        NotFoundError: When the manifest is not there.
    """
    if force:
        target.tag(descriptor, reference)
    elif isinstance(target, TagsOnce):
        target.tag_once(descriptor, reference)
    else:
        refuse_moving_tag(target, reference, descriptor.digest)
        target.tag(descriptor, reference)


def refuse_moving_tag(target: Source, reference: str, digest: Digest) -> None:
    """Make sure that a tag is free or names this content already.

    Raises:
        TagExistsError: When it names something else.
    """
    try:
        found = target.resolve(reference)
    except NotFoundError:
        return
    if found.digest != digest:
        raise TagExistsError.of(reference, str(found.digest), str(digest))


@contextmanager
def leased(*places: object) -> Iterator[None]:
    """Keep garbage collection away from all places that have one."""
    with ExitStack() as stack:
        for place in places:
            if isinstance(place, Leases):
                stack.enter_context(place.lease())
        yield


@contextmanager
def blaming(name: str) -> Iterator[None]:
    """Say of which piece a failure to bring it speaks: a digest tells a person nothing.

    Raises:
        NotFoundError, IntegrityError: What was raised inside, in better words.
    """
    try:
        yield
    except NotFoundError as error:
        raise NotFoundError(
            f"{name} is part of the bundle, but the source has lost it: {error.message}",
            hint="take the bundle from another place, or pack it again",
        ) from None
    except IntegrityError as error:
        hint = error.hint or "the source is damaged: `kitpack verify` examines the local store"
        raise IntegrityError(f"{name}: {error.message}", hint=hint) from None


@dataclass(slots=True)
class _Graph:
    """What hangs under some roots: blobs in any order, manifests with children before parents."""

    blobs: dict[Digest, Descriptor] = field(default_factory=dict)
    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    bytes: int = 0

    def admit(self, descriptor: Descriptor, depth: int) -> None:
        """Make sure that one piece more is not too much.

        Raises:
            IntegrityError: When it is.
        """
        self.bytes += descriptor.size if descriptor.is_manifest else 0
        if depth > MAX_DEPTH or len(self.blobs) + len(self.manifests) >= MAX_NODES or self.bytes > MAX_BYTES:
            raise IntegrityError(
                f"{descriptor.digest}: with it, there are more than {MAX_DEPTH} levels, {MAX_NODES} pieces of content "
                f"or {MAX_BYTES} bytes of manifests"
            )


def _roots(source: Source, root: Descriptor, *, referrers: bool) -> list[Descriptor]:
    """The root, then what refers to it, then what refers to that."""
    found = {root.digest: root}
    if referrers and isinstance(source, ListsReferrers):
        level = [root]
        for _ in range(MAX_DEPTH):
            level = [new for one in level for new in _new_referrers(source, one, found)]
    return list(found.values())


def _new_referrers(source: ListsReferrers, one: Descriptor, found: dict[Digest, Descriptor]) -> Iterator[Descriptor]:
    for new in source.referrers(one):
        if len(found) > MAX_NODES:
            raise IntegrityError(f"{one.digest}: more than {MAX_NODES} manifests refer to it, or to those that do")
        if new.digest not in found:
            found[new.digest] = new
            yield new


def _graph_of(source: Source, roots: Sequence[Descriptor]) -> _Graph:
    graph = _Graph()
    for root in roots:
        _collect(source, root, graph, depth=0)
    return graph


def _copy_content(
    source: Source, graph: _Graph, target: Target, jobs: int, on_event: OnEvent, *, presume: bool = True
) -> int:
    """Copy all blobs: first find out what is missing, then move that.

    Args:
        source: Where they are.
        graph: What they are.
        target: Where they should be.
        jobs: Blobs moved at the same time.
        on_event: Told about progress.
        presume: Whether what the source has delivered, and what the target is known to have, is not asked about.

    Returns:
        How many were missing.
    """
    blobs = list(graph.blobs.values())
    if presume:
        blobs = [blob for blob in blobs if not _is_delivered(source, blob, target)]
    missing = _missing(graph, blobs, target, jobs, on_event, presume=presume)
    for blob in blobs:
        if blob.digest in missing:
            on_event(Event(kind="planned", name=_name(blob), size=blob.size))
        elif presume and isinstance(target, TakesMissing):
            on_event(Event(kind="skipped", name=_name(blob), size=blob.size))
    # what is in a near place is pushed again, so that it stays there
    todo = [blob for blob in blobs if blob.digest in missing or not isinstance(target, TakesMissing)]
    side_by_side(partial(_copy_blob, source, target), todo, jobs, on_event)
    return len(missing)


def _missing(
    graph: _Graph, blobs: Sequence[Descriptor], target: Target, jobs: int, on_event: OnEvent, *, presume: bool
) -> set[Digest]:
    """What of some blobs the target lacks; a far one is asked about several at a time."""
    if not isinstance(target, TakesMissing):
        return {blob.digest for blob in blobs if not target.exists(blob)}
    presumed = frozenset[Digest]().union(*map(target.presumed, graph.manifests.values())) if presume else frozenset()
    asked = [blob for blob in blobs if blob.digest not in presumed]
    found = side_by_side(lambda blob, _: target.exists(blob), asked, jobs, on_event)
    return {blob.digest for blob, is_there in zip(asked, found, strict=True) if not is_there}


def _copy_manifests(graph: _Graph, root: Descriptor, target: Target, tag: str, *, force: bool) -> None:
    """Copy all manifests, children before parents, and give the root its tag, in one step where that is possible."""
    last = graph.manifests[root.digest]
    is_alone = last is list(graph.manifests.values())[-1] and not last.subject
    if not (tag and is_alone and isinstance(target, Publishes)):
        for manifest in graph.manifests.values():
            target.push(manifest.descriptor, opener_of(manifest.raw))
        if tag:
            give_tag(target, root, tag, force=force)
        return
    for manifest in list(graph.manifests.values())[:-1]:
        target.push(manifest.descriptor, opener_of(manifest.raw))
    if not force:
        refuse_moving_tag(target, tag, root.digest)
    target.publish(last, tag)


def _remember(manifest: Manifest, *places: object) -> None:
    for place in places:
        if isinstance(place, Remembers):
            place.remember(manifest)


def _collect(source: Source, descriptor: Descriptor, graph: _Graph, depth: int) -> None:
    if descriptor.digest in (graph.manifests if descriptor.is_manifest else graph.blobs):
        return
    graph.admit(descriptor, depth)
    if not descriptor.is_manifest:
        graph.blobs[descriptor.digest] = descriptor
        return
    manifest = fetch_manifest(source, descriptor)
    for child in manifest.successors:
        _collect(source, child, graph, depth + 1)
    graph.manifests[descriptor.digest] = manifest


def _is_delivered(source: Source, blob: Descriptor, target: Target) -> bool:
    return isinstance(source, Delivers) and source.has_delivered(blob, target)


def _copy_blob(source: Source, target: Target, blob: Descriptor, on_event: OnEvent) -> None:
    name = _name(blob)
    open_at = Counted(partial(source.fetch, blob), name, blob.size, on_event)
    with blaming(name):
        if not isinstance(target, TakesMissing):
            target.push(blob, open_at)
        elif not target.push_missing(blob, open_at, source):
            on_event(Event(kind="mounted", name=name, size=blob.size))
            return
    on_event(Event(kind="finished" if open_at.opened else "skipped", name=name, size=blob.size))


def _name(blob: Descriptor) -> str:
    return blob.annotations.get(ANNOTATION_FILEPATH) or blob.annotations.get(ANNOTATION_TITLE) or blob.digest.short
