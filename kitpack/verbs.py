"""What kitpack does, as functions that take what a user types: the command line and ``import kitpack`` share them.

::

    import kitpack

    kitpack.pack("samples/support-bot", tag="assistant:1.4.0")
    kitpack.push("assistant:1.4.0", "localhost:5000/team/assistant:1.4.0")
    kitpack.pull("localhost:5000/team/assistant:1.4.0")

Every function takes ``settings``; without them the environment decides (see :mod:`kitpack.settings`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from kitpack.admission import Gate, OnFinding, ignore_finding, lint_gate, open_gate
from kitpack.content.events import OnEvent, ignore
from kitpack.content.store.layout import Layout
from kitpack.content.target import Source
from kitpack.errors import KitfileError, NotFoundError, PackError, UnsafePathError, UsageError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.reference import LAYOUT_SCHEME, Reference
from kitpack.places import Place, find, local_place, local_store, remote_place, target_place
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.artifact.bundle import Bundle
    from kitpack.artifact.packing.pack import Store
    from kitpack.artifact.unpacking.unpack import Unpacked
    from kitpack.prompts.prompt import Prompt

__all__ = ["copy", "is_folder", "look", "pack", "pack_into", "pull", "push", "unpack"]


def pack(  # noqa: PLR0913 - one more listener
    folder: str | PathLike[str],
    tag: str = "",
    *,
    kitfile: str | PathLike[str] | None = None,
    force: bool = False,
    lint: bool = True,
    previous: Iterable[Prompt] = (),
    follow_symlinks: bool = False,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
    on_finding: OnFinding = ignore_finding,
) -> Descriptor:
    """Pack a folder into the local store.

    Args:
        folder: The folder with the Kitfile.
        tag: What to call it, such as ``assistant:1.4.0`` or ``oci:DIR:TAG``; empty to find it by its digest only.
        kitfile: The Kitfile, when it is not in the folder under one of its usual names.
        force: Whether a tag that names other content may be moved.
        lint: Whether prompts with errors are refused.
        previous: The prompts of the version before: what was changed since needs a changelog.
        follow_symlinks: Whether links may lead to folders and out of the folder.
        settings: The surroundings.
        on_event: Told about progress.
        on_finding: Told what lint finds that is no error.

    Returns:
        The descriptor of the manifest.

    Raises:
        KitfileError: With every fault of the Kitfile.
        PromptError: With every error that lint finds.
        PackError: When the files are not as the Kitfile says.
        TagExistsError: When the tag names other content; the content is stored, the tag is not moved.
    """
    from kitpack.content.copy import give_tag, leased

    settings = settings or Settings.from_env()
    place = local_place(tag, settings) if tag else None
    name = place.require_tag() if place else ""
    store = place.target if place else local_store(settings)
    if not isinstance(store, Layout):
        raise UsageError(f"{tag} is not in a local store")
    gate = lint_gate(previous, on_finding) if lint else open_gate
    with leased(store):
        descriptor = pack_into(
            store, folder, kitfile, settings, follow_symlinks=follow_symlinks, on_event=on_event, gate=gate
        )
        if place:
            give_tag(store, descriptor, name, force=force)
    return descriptor


def push(  # noqa: PLR0913 - one more listener
    what: str | PathLike[str],
    destination: str = "",
    *,
    kitfile: str | PathLike[str] | None = None,
    referrers: bool = False,
    force: bool = False,
    lint: bool = True,
    follow_symlinks: bool = False,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
    on_read: OnEvent = ignore,
    on_finding: OnFinding = ignore_finding,
) -> Descriptor:
    """Send a bundle to a registry: one that was packed, or a folder that is packed on the way.

    A folder is never copied: its files are hashed, and those that the registry lacks are sent from where they are.

    Args:
        what: A reference in the local store, or a folder.
        destination: Where to; by default the same reference.
        kitfile: The folder's Kitfile, when it is not in the folder under one of its usual names.
        referrers: Whether what refers to the bundle goes along.
        force: Whether a tag that names other content may be moved.
        lint: Whether a folder's prompts with errors are refused.
        follow_symlinks: Whether links may lead to folders and out of the folder.
        settings: The surroundings.
        on_event: Told about progress.
        on_read: Told about the reading of a folder's files; large ones are sent while the next are read.
        on_finding: Told what lint finds that is no error.

    Raises:
        PromptError: With every error that lint finds in a folder.
        NotFoundError, RegistryError: When the bundle is not in the local store; when the registry refuses.
        TagExistsError: When the tag names other content there; nothing was sent.
    """
    from kitpack.content.copy import copy as copy_content
    from kitpack.content.copy import leased
    from kitpack.content.onward import Onward

    settings = settings or Settings.from_env()
    if is_folder(what) and not destination:
        raise UsageError(f"{what} is a folder: say where to push it", hint=f"kitpack push {what} HOST/NAME:TAG")
    target = target_place(destination or str(what), settings)
    tag = target.require_tag()
    send = partial(copy_content, referrers=referrers, force=force, jobs=settings.jobs, on_event=on_event)
    if not is_folder(what):
        local = local_place(str(what), settings)
        return send(local.target, local.resolve(), target.target, tag)
    gate = lint_gate(on_finding=on_finding) if lint else open_gate
    with leased(target.target):
        may_begin = partial(_may_begin, target.target, tag, force=force)
        store = Onward(target.target, may_begin, jobs=settings.jobs, on_event=on_event)
        packed = pack_into(store, what, kitfile, settings, follow_symlinks=follow_symlinks, on_event=on_read, gate=gate)
        return send(store, packed, target.target, tag)


def pull(
    reference: str,
    *,
    referrers: bool = False,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
) -> Descriptor:
    """Fetch a bundle into the local store, under the name it was asked for by.

    The name follows the registry: when the tag has moved there, it moves here. What it stood for here keeps a name,
    ``NAME@DIGEST``, so that a bundle that was packed here and never pushed is not lost.

    Raises:
        NotFoundError: When the registry does not have it.
        RegistryError: When the registry refuses or cannot be reached.
    """
    from kitpack.content.copy import copy as copy_content

    settings = settings or Settings.from_env()
    source, local = remote_place(reference, settings), local_place(reference, settings)
    found = source.resolve(reading=True)
    name = local.tag or reference
    if local.moment:
        name = f"{local.tag.removesuffix(f':{source.tag}')}@{found.digest}"
    elif local.tag:
        _keep_named(local, found)
    return copy_content(
        source.target,
        found,
        local.target,
        name,
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
    local: bool = False,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
) -> Descriptor:
    """Copy a bundle between any two places: the local store, layouts (``oci:DIR:TAG``), registries.

    Args:
        source: Where it is.
        destination: Where it should be.
        referrers: Whether what refers to it comes along.
        force: Whether a tag that names other content may be moved.
        local: Whether to look for the source in the local store only.
        settings: The surroundings.
        on_event: Told about progress.

    Raises:
        TagExistsError: When the destination's tag names other content; nothing was copied.
        NotFoundError: When the source does not have it.
    """
    from kitpack.content.copy import copy as copy_content

    settings = settings or Settings.from_env()
    origin = find(source, settings, local=local)
    hosted = destination.startswith(LAYOUT_SCHEME) or Reference.parse(destination).registry
    target = target_place(destination, settings) if hosted else local_place(destination, settings)
    return copy_content(
        origin.target,
        origin.resolve(reading=True),
        target.target,
        target.require_tag(),
        referrers=referrers,
        force=force,
        jobs=settings.jobs,
        on_event=on_event,
    )


def look(reference: str, *, local: bool = False, settings: Settings | None = None) -> Bundle:
    """Look at a bundle without fetching its weights.

    A reference in a registry is resolved there; what the local store has of its content is not fetched again.

    Raises:
        NotFoundError: When it is not there.
    """
    from kitpack.artifact.bundle import Bundle

    settings = settings or Settings.from_env()
    place = find(reference, settings, local=local)
    descriptor = place.resolve(reading=True)
    if isinstance(place.target, Layout):
        return Bundle(place.target, descriptor)
    from kitpack.content.nearest import Nearest

    return Bundle(Nearest(local_store(settings), place.target), descriptor)


def unpack(
    reference: str,
    folder: str | PathLike[str],
    *,
    only: Iterable[str] = (),
    overwrite: bool = False,
    link: bool = False,
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
        link: Whether weights become read-only links to the store's content, which must be there, instead of copies.
        local: Whether to look into the local store only.
        settings: The surroundings.
        on_event: Told about progress.

    Raises:
        FileConflictError: When files would be overwritten that were changed.
        UnsafePathError, IntegrityError, NotFoundError: When the bundle is not fit to be unpacked.
    """
    from kitpack.artifact.select import Selection
    from kitpack.artifact.unpacking.unpack import unpack as unpack_bundle

    settings = settings or Settings.from_env()
    bundle = look(reference, local=local, settings=settings)
    store = bundle.source if isinstance(bundle.source, Layout) else local_store(settings)
    return unpack_bundle(
        bundle,
        Path(folder),
        reference=reference,
        only=Selection.parse(only),
        overwrite=overwrite,
        link=store.path if link else None,
        jobs=settings.jobs,
        on_event=on_event,
    )


def _may_begin(target: Source, tag: str, *, force: bool) -> bool:
    """Whether a bundle may be sent before its digest is known: nothing has the tag, or it may be moved."""
    if force:
        return True
    try:
        target.resolve(tag)
    except NotFoundError:
        return True
    return False


def _keep_named(place: Place, coming: Descriptor) -> None:
    """Give what a local tag stands for a name of its own, when the tag is about to stand for something else."""
    try:
        found = place.target.resolve(place.tag)
    except NotFoundError:
        return
    if found.digest != coming.digest:
        place.target.tag(found, str(Reference.parse(place.tag).at(found.digest)))


def is_folder(what: str | PathLike[str]) -> bool:
    """Whether what the user typed is a folder rather than a reference: it exists, and does not look like a tag."""
    text = str(what)
    return not text.startswith(LAYOUT_SCHEME) and Path(text).is_dir()


def pack_into(
    store: Store,
    folder: str | PathLike[str],
    kitfile: str | PathLike[str] | None,
    settings: Settings,
    *,
    follow_symlinks: bool,
    on_event: OnEvent,
    gate: Gate = open_gate,
) -> Descriptor:
    """Build the bundle of a folder.

    Args:
        store: Where to.
        folder: The folder.
        kitfile: Its Kitfile, when it is not in the folder under one of its usual names.
        settings: The surroundings.
        follow_symlinks: Whether links may lead to folders and out of the folder.
        on_event: Told about progress.
        gate: Raises an error when the folder is not fit to be packed; called before its files are read.

    Raises:
        KitfileError: With every fault of the Kitfile.
        PackError: When the files are not as the Kitfile says.
    """
    from kitpack.artifact.packing.pack import pack as pack_folder
    from kitpack.content.digests import Digests
    from kitpack.content.sidebyside import cores
    from kitpack.kitfile.check import check_files
    from kitpack.kitfile.ignore import IgnoreRules
    from kitpack.kitfile.load import load_folder

    declared, rules = load_folder(folder, kitfile), IgnoreRules.load(Path(folder))
    if issues := check_files(declared, Path(folder), rules, follow_symlinks=follow_symlinks):
        raise KitfileError(issues)
    gate(Path(folder), declared)
    try:
        return pack_folder(
            declared,
            Path(folder),
            store,
            ignored=rules,
            follow_symlinks=follow_symlinks,
            created=settings.source_date_epoch,
            jobs=max(settings.jobs + 1, cores()),  # one more than can be sent at a time reads on
            known=Digests(settings.digests),
            on_event=on_event,
        )
    except UnsafePathError as error:  # the author's own files: not fit to be packed, rather than an attack
        raise PackError(error.message, hint=error.hint) from None
