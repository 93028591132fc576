"""What kitpack does, as functions that take what a user types: the command line and ``import kitpack`` share them.

::

    import kitpack

    kitpack.pack("samples/support-bot", tag="assistant:1.4.0")
    kitpack.push("assistant:1.4.0", "localhost:5000/team/assistant:1.4.0")
    kitpack.inspect("localhost:5000/team/assistant:1.4.0").prompts()

Every function takes ``settings``; without them the environment decides (see :mod:`kitpack.settings`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from kitpack.artifact.bundle import Bundle
from kitpack.content.copy import copy as copy_content
from kitpack.content.copy import leased, refuse_moving_tag
from kitpack.content.events import OnEvent, ignore
from kitpack.content.inplace import InPlace
from kitpack.content.layout import Layout
from kitpack.content.nearest import Nearest
from kitpack.content.sidebyside import side_by_side
from kitpack.content.target import Deletes, ListsTags, fetch_manifest
from kitpack.errors import KitfileError, KitpackError, NotFoundError, UnsupportedError, UsageError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.reference import LAYOUT_SCHEME, LayoutReference, Reference
from kitpack.places import Place, find, local_place, local_store, remote_place, remote_repository, target_place
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.artifact.diff import BundleDiff
    from kitpack.artifact.pack import Store
    from kitpack.artifact.unpack import Unpacked
    from kitpack.kitfile.model import Kitfile

__all__ = ["Listed", "copy", "diff", "inspect", "list_bundles", "pack", "pull", "push", "remove", "tag", "unpack"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A line of a listing.

    Attributes:
        reference: The whole reference.
        digest: Its manifest.
        size: The bytes under it; None where finding out would mean fetching the manifest from a registry.
        artifact_type: What it is, likewise.
    """

    reference: str
    digest: str
    size: int | None = None
    artifact_type: str | None = None


def pack(
    folder: str | PathLike[str],
    tag: str = "",
    *,
    kitfile: str | PathLike[str] | None = None,
    force: bool = False,
    follow_symlinks: bool = False,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
) -> Descriptor:
    """Pack a folder into the local store.

    Args:
        folder: The folder with the Kitfile.
        tag: What to call it, such as ``assistant:1.4.0`` or ``oci:DIR:TAG``; empty to find it by its digest only.
        kitfile: The Kitfile, when it is not in the folder under one of its usual names.
        force: Whether a tag that names other content may be moved.
        follow_symlinks: Whether links may lead to folders and out of the folder.
        settings: The surroundings.
        on_event: Told about progress.

    Returns:
        The descriptor of the manifest.

    Raises:
        KitfileError: With every fault of the Kitfile.
        PackError: When the files are not as the Kitfile says.
        TagExistsError: When the tag names other content; the content is stored, the tag is not moved.
    """
    settings = settings or Settings.from_env()
    place = local_place(tag, settings) if tag else None
    name = place.require_tag() if place else ""
    store = place.target if place else local_store(settings)
    if not isinstance(store, Layout):
        raise UsageError(f"{tag} is not in a local store")
    with leased(store):
        descriptor = _pack_into(store, folder, kitfile, settings, follow_symlinks=follow_symlinks, on_event=on_event)
        if place:
            if not force:
                refuse_moving_tag(store, name, descriptor.digest)
            store.tag(descriptor, name)
    return descriptor


def push(
    what: str | PathLike[str],
    destination: str = "",
    *,
    kitfile: str | PathLike[str] | None = None,
    referrers: bool = False,
    force: bool = False,
    follow_symlinks: bool = False,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
) -> Descriptor:
    """Send a bundle to a registry: one that was packed, or a folder that is packed on the way.

    A folder is never copied: its files are hashed, and those that the registry lacks are sent from where they are.

    Args:
        what: A reference in the local store, or a folder.
        destination: Where to; by default the same reference.
        kitfile: The folder's Kitfile, when it is not in the folder under one of its usual names.
        referrers: Whether what refers to the bundle goes along.
        force: Whether a tag that names other content may be moved.
        follow_symlinks: Whether links may lead to folders and out of the folder.
        settings: The surroundings.
        on_event: Told about progress.

    Raises:
        TagExistsError: When the tag names other content there; nothing was sent.
        RegistryError: When the registry refuses or cannot be reached.
    """
    settings = settings or Settings.from_env()
    if is_folder(what):
        if not destination:
            raise UsageError(f"{what} is a folder: say where to push it", hint=f"kitpack push {what} HOST/NAME:TAG")
        target = target_place(destination, settings)
        target.require_tag()
        store = InPlace()
        packed = _pack_into(store, what, kitfile, settings, follow_symlinks=follow_symlinks, on_event=on_event)
        source, name = store, str(packed.digest)
    else:
        local = local_place(str(what), settings)
        target = target_place(destination or str(what), settings)
        source, name = local.target, local.name  # type: ignore[assignment]  # both are sources
    return copy_content(
        source,
        name,
        target.target,
        target.require_tag(),
        referrers=referrers,
        force=force,
        jobs=settings.jobs,
        on_event=on_event,
    )


def pull(
    reference: str,
    *,
    referrers: bool = False,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
) -> Descriptor:
    """Fetch a bundle into the local store, under the name it was asked for by.

    The name follows the registry: when the tag has moved there, it moves here.

    Raises:
        NotFoundError: When the registry does not have it.
        RegistryError: When the registry refuses or cannot be reached.
    """
    settings = settings or Settings.from_env()
    source = remote_place(reference, settings)
    source.resolve()
    return copy_content(
        source.target,
        source.name,
        local_store(settings),
        local_place(reference, settings).tag or reference,
        referrers=referrers,
        force=True,
        jobs=settings.jobs,
        on_event=on_event,
    )


def copy(
    source: str,
    destination: str,
    *,
    referrers: bool = False,
    force: bool = False,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
) -> Descriptor:
    """Copy a bundle between any two places: the local store, layouts (``oci:DIR:TAG``), registries.

    Raises:
        TagExistsError: When the destination's tag names other content; nothing was copied.
        NotFoundError: When the source does not have it.
    """
    settings = settings or Settings.from_env()
    origin = find(source, settings)
    origin.resolve()
    hosted = destination.startswith(LAYOUT_SCHEME) or Reference.parse(destination).registry
    target = target_place(destination, settings) if hosted else local_place(destination, settings)
    return copy_content(
        origin.target,
        origin.name,
        target.target,
        target.require_tag(),
        referrers=referrers,
        force=force,
        jobs=settings.jobs,
        on_event=on_event,
    )


def inspect(reference: str, *, local: bool = False, settings: Settings | None = None) -> Bundle:
    """Look at a bundle without fetching its weights.

    A reference in a registry is resolved there; what the local store has of its content is not fetched again.

    Raises:
        NotFoundError: When it is not there.
    """
    settings = settings or Settings.from_env()
    place = find(reference, settings, local=local)
    descriptor = place.resolve()
    if isinstance(place.target, Layout):
        return Bundle(place.target, descriptor)
    return Bundle(Nearest(local_store(settings), place.target), descriptor)


def unpack(
    reference: str,
    folder: str | PathLike[str],
    *,
    only: Iterable[str] = (),
    overwrite: bool = False,
    local: bool = False,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
) -> Unpacked:
    """Write the files of a bundle into a folder, all of them or none.

    Args:
        reference: The bundle, in the local store or a registry; only what is missing is fetched.
        folder: Where to.
        only: Types (``prompts``, ``configs``, …), paths and globs; nothing means everything.
        overwrite: Whether files that were changed may be replaced.
        local: Whether to look into the local store only.
        settings: The surroundings.
        on_event: Told about progress.

    Raises:
        FileConflictError: When files would be overwritten that were changed.
        UnsafePathError, IntegrityError, NotFoundError: When the bundle is not fit to be unpacked.
    """
    from kitpack.artifact.select import Selection
    from kitpack.artifact.unpack import unpack as unpack_bundle

    settings = settings or Settings.from_env()
    return unpack_bundle(
        inspect(reference, local=local, settings=settings),
        Path(folder),
        reference=reference,
        only=Selection.parse(only),
        overwrite=overwrite,
        jobs=settings.jobs,
        on_event=on_event,
    )


def diff(before: str, after: str, *, local: bool = False, settings: Settings | None = None) -> BundleDiff:
    """Compare two bundles, wherever they are, without fetching weights."""
    from kitpack.artifact.diff import diff_bundles

    settings = settings or Settings.from_env()
    return diff_bundles(inspect(before, local=local, settings=settings), inspect(after, local=local, settings=settings))


def tag(reference: str, new: str, *, force: bool = False, settings: Settings | None = None) -> Descriptor:
    """Give a bundle a further name where it is; nothing is copied.

    Args:
        reference: The bundle.
        new: A tag, or a whole reference to the same repository (any name when the bundle is in the local store).
        force: Whether a tag that names other content may be moved.
        settings: The surroundings.

    Raises:
        TagExistsError: When the new name stands for other content.
    """
    settings = settings or Settings.from_env()
    place = find(reference, settings)
    descriptor = place.resolve()
    name = _new_name(reference, place, new)
    if not force:
        refuse_moving_tag(place.target, name, descriptor.digest)
    place.target.tag(descriptor, name)
    return descriptor


def list_bundles(repository: str = "", *, local: bool = False, settings: Settings | None = None) -> list[Listed]:
    """List what is in the local store, in a layout (``oci:DIR``), or in a repository of a registry.

    Args:
        repository: A repository; empty for everything in the local store.
        local: Whether to look into the local store only.
        settings: The surroundings.

    Raises:
        NotFoundError: When there is no such repository.
    """
    settings = settings or Settings.from_env()
    if repository.startswith(LAYOUT_SCHEME):
        return list(_listed(Layout(Path(LayoutReference.parse(repository).path)), "", f"{repository}:"))
    parsed = Reference.parse_repository(repository) if repository else None
    if parsed and parsed.selector:
        raise UsageError(f"{repository} names one bundle", hint=f"kitpack list {parsed.name}")
    if parsed and parsed.registry and not local:
        return _listed_remotely(parsed, settings)
    return list(_listed(local_store(settings), parsed.name if parsed else "")) if settings.home.exists() else []


def remove(reference: str, *, settings: Settings | None = None) -> None:
    """Remove a name. The content stays until garbage collection finds that nothing names it.

    Raises:
        NotFoundError: When there is no such name.
        UnsupportedError: When the registry cannot remove a tag alone.
    """
    settings = settings or Settings.from_env()
    local = reference.startswith(LAYOUT_SCHEME) or not Reference.parse(reference).registry
    place = local_place(reference, settings) if local else remote_place(reference, settings)
    if not isinstance(place.target, Deletes):
        raise UnsupportedError(f"{place.label} cannot be removed")
    place.target.untag(place.tag or reference)


def is_folder(what: str | PathLike[str]) -> bool:
    """Whether what the user typed is a folder rather than a reference: it exists, and does not look like a tag."""
    text = str(what)
    return not text.startswith(LAYOUT_SCHEME) and Path(text).is_dir()


def load_folder(folder: str | PathLike[str], kitfile: str | PathLike[str] | None = None) -> Kitfile:
    """Read the Kitfile of a folder.

    Raises:
        KitfileError: With every fault.
        KitpackError: When there is none.
    """
    from kitpack.kitfile.load import find_kitfile, load_kitfile

    if not Path(folder).is_dir():
        raise KitpackError(f"{folder} is not a folder")
    return load_kitfile(Path(kitfile) if kitfile else find_kitfile(Path(folder)))


def _pack_into(
    store: Store,
    folder: str | PathLike[str],
    kitfile: str | PathLike[str] | None,
    settings: Settings,
    *,
    follow_symlinks: bool,
    on_event: OnEvent,
) -> Descriptor:
    from kitpack.artifact.pack import pack as pack_folder
    from kitpack.kitfile.check import check_files
    from kitpack.kitfile.ignore import IgnoreRules

    declared, rules = load_folder(folder, kitfile), IgnoreRules.load(Path(folder))
    if issues := check_files(declared, Path(folder), rules, follow_symlinks=follow_symlinks):
        raise KitfileError(issues)
    return pack_folder(
        declared,
        Path(folder),
        store,
        ignored=rules.matches,
        follow_symlinks=follow_symlinks,
        created=settings.source_date_epoch,
        on_event=on_event,
    )


def _new_name(reference: str, place: Place, new: str) -> str:
    if isinstance(place.target, Layout) and not reference.startswith(LAYOUT_SCHEME):
        old = Reference.parse(reference)
        return new if ":" in new else str(replace(old, tag=new, digest=None))
    if ":" not in new:
        return new
    old_name, _, tag = new.rpartition(":")
    if Reference.parse_repository(old_name).name != Reference.parse(reference).name:
        raise UsageError(f"{new} is in another repository than {reference}", hint=f"kitpack copy {reference} {new}")
    return tag


def _listed(layout: Layout, repository: str, prefix: str = "") -> Iterator[Listed]:
    for name in sorted(layout.tags()):
        if repository and not name.startswith((f"{repository}:", f"{repository}@")):
            continue
        descriptor = layout.resolve(name)
        try:
            manifest = fetch_manifest(layout, descriptor)
        except KitpackError:  # a damaged or missing manifest must not hide the others
            yield Listed(reference=f"{prefix}{name}", digest=str(descriptor.digest))
            continue
        size = sum(child.size for child in manifest.successors)
        yield Listed(reference=f"{prefix}{name}", digest=str(descriptor.digest), size=size, artifact_type=manifest.kind)


def _listed_remotely(reference: Reference, settings: Settings) -> list[Listed]:
    repository = remote_repository(reference, settings)
    if not isinstance(repository, ListsTags):
        raise UnsupportedError(f"{reference.name} does not list its tags")

    def resolved(name: str, _: OnEvent) -> Listed | None:
        try:
            digest = str(repository.resolve(name).digest)
        except NotFoundError:  # it went away since it was listed
            return None
        return Listed(reference=f"{reference.name}:{name}", digest=digest)

    found = side_by_side(partial(resolved), sorted(repository.tags()), settings.jobs, ignore)
    return [one for one in found if one]
