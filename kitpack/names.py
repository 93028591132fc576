"""Names of bundles: which there are, giving one more, taking one away. Content is never touched.

::

    import kitpack

    kitpack.tag("assistant:1.4.0", "stable")
    [one.reference for one in kitpack.list_bundles("localhost:5000/team/assistant")]

Every function takes ``settings``; without them the environment decides (see :mod:`kitpack.settings`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kitpack.content.events import OnEvent, ignore
from kitpack.content.store.folder import is_layout
from kitpack.content.store.layout import Layout
from kitpack.content.target import Deletes, ListsTags, fetch_manifest
from kitpack.errors import KitpackError, NotFoundError, UnreachableError, UnsupportedError, UsageError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.reference import LAYOUT_SCHEME, LayoutReference, Reference, is_tag, looks_like_host
from kitpack.places import Place, at_home, find, hosted_place, local_place, local_store, remote_repository
from kitpack.releases.record import channel_of
from kitpack.settings import Settings

__all__ = ["Listed", "list_bundles", "name_beside", "remove", "tag"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A line of a listing.

    Attributes:
        reference: The whole reference.
        digest: Its manifest.
        size: The bytes under it; None where finding out would mean fetching the manifest from a registry.
        artifact_type: What it is, likewise.
        channel: Whether it is a channel: a release log says what it stands for.
    """

    reference: str
    digest: str
    size: int | None = None
    artifact_type: str | None = None
    channel: bool = False


def tag(
    reference: str, new: str, *, force: bool = False, local: bool = False, settings: Settings | None = None
) -> Descriptor:
    """Give a bundle a further name where it is; nothing is copied.

    Args:
        reference: The bundle.
        new: A tag, or a whole reference to the same repository (any name when the bundle is in the local store).
        force: Whether a tag that names other content may be moved.
        local: Whether to look into the local store only.
        settings: The surroundings.

    Raises:
        TagExistsError: When the new name stands for other content.
        UsageError: When the new name is in another repository.
    """
    from kitpack.content.copy import give_tag

    settings = settings or Settings.from_env()
    place = find(reference, settings, local=local)
    name = name_beside(reference, new)
    descriptor = place.resolve()
    if reference.startswith(LAYOUT_SCHEME):
        name = LayoutReference.parse(name).tag
    elif not isinstance(place.target, Layout):
        name = _tag_in(reference, name, settings)
    give_tag(place.target, descriptor, name, force=force)
    return descriptor


def name_beside(reference: str, new: str) -> str:
    """The whole reference that ``new`` stands for beside another: ``stable`` beside ``bot:1.4.0`` is ``bot:stable``.

    Raises:
        InvalidReferenceError: When it breaks the grammar.
        UsageError: When it names no tag, or a layout elsewhere.
    """
    if reference.startswith(LAYOUT_SCHEME):
        layout = LayoutReference.parse(reference)
        found = LayoutReference.parse(new) if new.startswith(LAYOUT_SCHEME) else replace(layout, tag=new, digest=None)
        if not is_tag(found.tag) or found.path != layout.path:
            raise UsageError(f"{new} is not a tag in {layout.path}", hint=f"kitpack copy {reference} oci:DIR:TAG")
        return str(found)
    if is_tag(new):
        return str(replace(Reference.parse(reference), tag=new, digest=None))
    parsed = Reference.parse(new)
    if parsed.digest:
        raise UsageError(f"{new} holds a digest, which cannot be chosen", hint="write NAME:TAG, or TAG alone")
    return new


def list_bundles(
    repository: str = "", *, local: bool = False, records: bool = False, settings: Settings | None = None
) -> list[Listed]:
    """List what is in the local store, in a layout (``oci:DIR``), or in a repository of a registry.

    Args:
        repository: A repository; empty for everything in the local store. One without a host is looked for in the
            configured registry when the local store has nothing of it.
        local: Whether to look into the local store only.
        records: Whether to list the records of release logs, too.
        settings: The surroundings.

    Raises:
        NotFoundError: When there is no such repository.
    """
    settings = settings or Settings.from_env()
    if repository.startswith(LAYOUT_SCHEME):
        return _listed_in_layout(LayoutReference.parse(repository), records=records)
    store = local_store(settings)
    if not repository:
        return list(_listed(store, "", records=records)) if is_layout(settings.home) else []
    parsed = Reference.parse_repository(repository)
    if looks_like_host(repository) and parsed.tag:
        raise UsageError(
            f"{repository} is a registry, not a repository in it", hint=f"kitpack list {repository}/NAME lists its tags"
        )
    if parsed.selector:
        raise UsageError(f"{repository} names one bundle", hint=f"kitpack list {parsed.name}")
    if parsed.registry and not local:
        return _listed_in_registry(parsed, store, settings, records=records)
    found = list(_listed(store, parsed.name, records=records)) if is_layout(settings.home) else []
    if found:
        return found
    if settings.registry and not local:
        return _listed_remotely(at_home(parsed, settings), settings, records=records)
    raise _unknown_name(parsed.name, store)


def remove(*references: str, local: bool = False, settings: Settings | None = None) -> None:
    """Remove names, all or none. The content stays until garbage collection finds that nothing names it.

    Args:
        references: The names.
        local: Whether names with a host are those in the local store.
        settings: The surroundings.

    Raises:
        NotFoundError: When one of them is not there; none is removed then.
        UnsupportedError: When the registry cannot remove a tag alone.
    """
    settings = settings or Settings.from_env()
    places = [_named_place(reference, settings, local=local) for reference in references]
    for place in places:
        place.resolve()
    for place in places:
        if not isinstance(place.target, Deletes):
            raise UnsupportedError(f"{place.label} cannot be removed")
        place.target.untag(place.tag)


def _tag_in(reference: str, name: str, settings: Settings) -> str:
    """The tag of a name, which must be in the same remote repository as a reference."""
    old, new = (at_home(Reference.parse(one), settings) for one in (reference, name))
    if old.name != new.name:
        raise UsageError(f"{name} is in another repository than {reference}", hint=f"kitpack copy {reference} {name}")
    return new.tag


def _named_place(reference: str, settings: Settings, *, local: bool) -> Place:
    """Where a name can be removed."""
    inside = local or reference.startswith(LAYOUT_SCHEME) or not Reference.parse(reference).registry
    place = local_place(reference, settings) if inside else hosted_place(reference, settings)
    if place.tag:
        return place
    if isinstance(place.target, Layout) and reference in place.target.tags():  # pulled by its digest
        return replace(place, name=reference, tag=reference)
    raise UsageError(
        f"{reference} is content, not a name; content goes when nothing names it", hint="`kitpack list` shows the names"
    )


def _unknown_name(name: str, store: Layout) -> NotFoundError:
    from kitpack.absence import nearest_name

    names = {tag.rpartition(":")[0] for tag in store.tags()} if is_layout(store.path) else set()
    near = nearest_name(name, names)
    other = f"if it is a registry: kitpack list {name}/NAME" if looks_like_host(name) else ""
    return NotFoundError(
        f"there is no bundle called {name} in the local store, {store.path}",
        hint=f"did you mean {near}?" if near else other or "`kitpack list` shows all there are",
    )


def _listed_in_layout(reference: LayoutReference, *, records: bool) -> list[Listed]:
    if reference.selector:
        raise UsageError(f"{reference} names one bundle", hint=f"kitpack list {LAYOUT_SCHEME}{reference.path}")
    if not Path(reference.path).is_dir():
        raise NotFoundError(f"{reference.path} is not a folder", hint="kitpack copy REF oci:DIR:TAG makes a layout")
    return list(_listed(Layout(Path(reference.path)), "", f"{reference}:", records=records))


def _listed(layout: Layout, repository: str, prefix: str = "", *, records: bool = False) -> Iterator[Listed]:
    for name, channel in _shown(layout.tags(), records=records):
        if repository and not name.startswith((f"{repository}:", f"{repository}@")):
            continue
        descriptor = layout.resolve(name)
        try:
            manifest = fetch_manifest(layout, descriptor)
        except KitpackError:  # a damaged or missing manifest must not hide the others
            yield Listed(reference=f"{prefix}{name}", digest=str(descriptor.digest), channel=channel)
            continue
        yield Listed(
            reference=f"{prefix}{name}",
            digest=str(descriptor.digest),
            size=sum(child.size for child in manifest.successors),
            artifact_type=manifest.kind,
            channel=channel,
        )


def _shown(names: Iterable[str], *, records: bool) -> list[tuple[str, bool]]:
    """Names in their order, each with whether it is a channel; without those of records, unless they are wanted."""
    known = sorted(names)
    channels = {channel_of(name) for name in known}
    return [(name, name in channels) for name in known if records or not channel_of(name)]


def _listed_in_registry(reference: Reference, store: Layout, settings: Settings, *, records: bool) -> list[Listed]:
    """The tags of a repository, for a user who may have meant what is in the local store under its name."""
    try:
        return _listed_remotely(reference, settings, records=records)
    except (NotFoundError, UnreachableError) as error:
        if not _has_any(store, reference.name):
            raise
        hint = f"the local store has some of it: kitpack list --local {reference.name}"
        raise type(error)(error.message, hint=hint) from None


def _has_any(store: Layout, repository: str) -> bool:
    try:
        return any(_listed(store, repository))
    except KitpackError:  # what is wrong with the local store was not asked
        return False


def _listed_remotely(reference: Reference, settings: Settings, *, records: bool) -> list[Listed]:
    from kitpack.absence import not_in_repository
    from kitpack.content.sidebyside import side_by_side

    repository = remote_repository(reference, settings)
    if not isinstance(repository, ListsTags):
        raise UnsupportedError(f"{reference.name} does not list its tags")

    def resolved(shown: tuple[str, bool], _: OnEvent) -> Listed | None:
        name, channel = shown
        try:
            digest = str(repository.resolve(name).digest)
        except NotFoundError:  # it went away since it was listed
            return None
        return Listed(reference=f"{reference.name}:{name}", digest=digest, channel=channel)

    try:
        tags = _shown(repository.tags(), records=records)
    except NotFoundError:
        tags = []
    if not tags:
        raise not_in_repository(repository, reference)
    return [one for one in side_by_side(resolved, tags, settings.jobs, ignore) if one]
