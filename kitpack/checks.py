"""Two questions: is what you wrote fit to be packed, and is what was packed still what it was."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from os import PathLike
from pathlib import Path

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.interop import choose_readers, lint
from kitpack.content.store.audit import Progress, audit
from kitpack.content.store.layout import Layout
from kitpack.errors import (
    InvalidReferenceError,
    Issue,
    KitfileError,
    KitpackError,
    NotFoundError,
    PackError,
    UnsafePathError,
    UsageError,
)
from kitpack.oci.reference import LAYOUT_SCHEME
from kitpack.places import Place, find, store_of
from kitpack.settings import Settings
from kitpack.verbs import is_folder, load_folder

__all__ = ["check", "verify"]


def check(
    what: str | PathLike[str],
    *,
    readers: Iterable[str] = (),
    kitfile: str | PathLike[str] | None = None,
    follow_symlinks: bool = False,
    local: bool = False,
    settings: Settings | None = None,
) -> list[Issue]:
    """Find everything that is wrong with a folder, before it is packed, or with a bundle.

    Args:
        what: A folder with a Kitfile, or a reference.
        readers: Other tools that should be able to read the bundle of a folder: ``kit``, ``modctl``, ``docker``.
        kitfile: The Kitfile, when it is not in the folder under one of its usual names.
        follow_symlinks: Whether links may lead to folders and out of the folder.
        local: Whether to look for a reference in the local store only.
        settings: The surroundings.

    Returns:
        The issues in the order of their lines, then what other tools would not like; none when all is well.

    Raises:
        UsageError: When there is no such reader, or what is to be checked is neither a folder nor a reference.
        NotFoundError: When there is no such bundle.
    """
    chosen = choose_readers(readers)
    if is_folder(what):
        return _check_folder(Path(what), kitfile, chosen, follow_symlinks=follow_symlinks)
    if chosen:
        raise UsageError(f"{what} is not a folder; other tools are thought of before packing", hint="kitpack check DIR")
    place = _found(str(what), settings or Settings.from_env(), local=local)
    bundle = Bundle(place.target, place.resolve())
    return [Issue(path=str(what), message=fault) for fault in _bundle_faults(bundle)]


def verify(
    what: str | PathLike[str] = "",
    *,
    local: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Find everything that is missing or damaged.

    Args:
        what: A reference, an unpacked folder, a layout (``oci:DIR``), or nothing for the whole local store. Local bytes
            are all read again; a registry is only asked whether it has them.
        local: Whether to look for a reference in the local store only.
        settings: The surroundings.
        progress: Told how many bytes of how many in a store are proven, from several threads.

    Returns:
        The faults, each a sentence; none when all is well.

    Raises:
        NotFoundError: When there is no such thing at all.
    """
    settings = settings or Settings.from_env()
    text = str(what)
    if not text or (text.startswith(LAYOUT_SCHEME) and Path(text.removeprefix(LAYOUT_SCHEME)).is_dir()):
        return [str(finding) for finding in audit(store_of(text, settings), progress=progress)]
    if is_folder(what):
        return _drift(Path(what))
    place = _found(text, settings, local=local)
    descriptor = place.resolve()
    if isinstance(place.target, Layout):
        return [str(finding) for finding in audit(place.target, descriptor, progress=progress)]
    return list(_bundle_faults(Bundle(place.target, descriptor)))


def _found(text: str, settings: Settings, *, local: bool) -> Place:
    """The place of a reference, for a user who may have meant a folder."""
    try:
        return find(text, settings, local=local)
    except InvalidReferenceError as error:
        raise InvalidReferenceError(f"there is no folder {text}, and {error.message}", hint=error.hint) from None


def _check_folder(
    folder: Path, kitfile: str | PathLike[str] | None, readers: Collection[str], *, follow_symlinks: bool
) -> list[Issue]:
    from kitpack.artifact.plan import plan_layers
    from kitpack.kitfile.check import check_files
    from kitpack.kitfile.ignore import IgnoreRules

    try:
        declared = load_folder(folder, kitfile)
        rules = IgnoreRules.load(folder)
        if issues := check_files(declared, folder, rules, follow_symlinks=follow_symlinks):
            return issues
        planned = plan_layers(declared, folder, rules, follow_symlinks=follow_symlinks)
    except KitfileError as error:
        return list(error.issues)
    except (PackError, UnsafePathError) as error:
        return [Issue(path=str(folder), message=error.message, hint=error.hint)]
    return lint(planned, readers, kitfile=str(folder / declared.path))


def _bundle_faults(bundle: Bundle) -> Iterator[str]:
    try:
        unnamed = len(bundle.manifest.layers) - len(bundle.layers)
    except KitpackError as error:
        yield error.message
    else:
        if unnamed:
            yield f"{unnamed} layers have no path, so they cannot be unpacked"
    for child in bundle.manifest.successors:
        try:
            there = bundle.source.exists(child)
        except KitpackError as error:
            yield error.message
        else:
            if not there:
                yield f"{child.digest} ({child.media_type}, {child.size} bytes) is missing"


def _drift(folder: Path) -> list[str]:
    from kitpack.artifact.installed import Installed, find_drift

    installed = Installed.load(folder)
    if installed is None:
        raise NotFoundError(f"nothing was unpacked into {folder} by kitpack", hint=f"kitpack unpack REF -o {folder}")
    found = find_drift(folder, installed)
    return [f"{one.path}: {one.problem} (unpacked from {installed.reference or installed.digest})" for one in found]
