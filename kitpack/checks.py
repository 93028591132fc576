"""Two questions: is what you wrote fit to be packed, and is what was packed still what it was."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from kitpack.artifact.bundle import Bundle
from kitpack.content.audit import audit
from kitpack.content.layout import Layout
from kitpack.errors import Issue, KitfileError, KitpackError, NotFoundError
from kitpack.oci.reference import LAYOUT_SCHEME
from kitpack.places import find, store_of
from kitpack.settings import Settings
from kitpack.verbs import is_folder, load_folder

__all__ = ["check", "verify"]


def check(
    what: str | PathLike[str],
    *,
    kitfile: str | PathLike[str] | None = None,
    follow_symlinks: bool = False,
    settings: Settings | None = None,
) -> list[Issue]:
    """Find everything that is wrong with a folder, before it is packed, or with a bundle.

    Args:
        what: A folder with a Kitfile, or a reference.
        kitfile: The Kitfile, when it is not in the folder under one of its usual names.
        follow_symlinks: Whether links may lead to folders and out of the folder.
        settings: The surroundings.

    Returns:
        The issues in the order of their lines; none when all is well.
    """
    if is_folder(what):
        return _check_folder(Path(what), kitfile, follow_symlinks=follow_symlinks)
    place = find(str(what), settings or Settings.from_env())
    bundle = Bundle(place.target, place.resolve())
    return [Issue(path=str(what), message=fault) for fault in _bundle_faults(bundle)]


def verify(what: str | PathLike[str] = "", *, settings: Settings | None = None) -> list[str]:
    """Find everything that is missing or damaged.

    Args:
        what: A reference, an unpacked folder, a layout (``oci:DIR``), or nothing for the whole local store. Local bytes
            are all read again; a registry is only asked whether it has them.
        settings: The surroundings.

    Returns:
        The faults, each a sentence; none when all is well.

    Raises:
        NotFoundError: When there is no such thing at all.
    """
    settings = settings or Settings.from_env()
    text = str(what)
    if not text or (text.startswith(LAYOUT_SCHEME) and Path(text.removeprefix(LAYOUT_SCHEME)).is_dir()):
        return [str(finding) for finding in audit(store_of(text, settings))]
    if is_folder(what):
        return _drift(Path(what))
    place = find(text, settings)
    descriptor = place.resolve()
    if isinstance(place.target, Layout):
        return [str(finding) for finding in audit(place.target, descriptor)]
    return list(_bundle_faults(Bundle(place.target, descriptor)))


def _check_folder(folder: Path, kitfile: str | PathLike[str] | None, *, follow_symlinks: bool) -> list[Issue]:
    from kitpack.artifact.plan import plan_layers
    from kitpack.kitfile.check import check_files
    from kitpack.kitfile.ignore import IgnoreRules

    try:
        declared = load_folder(folder, kitfile)
        rules = IgnoreRules.load(folder)
        issues = check_files(declared, folder, rules, follow_symlinks=follow_symlinks)
    except KitfileError as error:
        return list(error.issues)
    if not issues:
        try:
            plan_layers(declared, folder, rules.matches, follow_symlinks=follow_symlinks)
        except KitpackError as error:
            issues.append(Issue(path=str(folder), message=error.message, hint=error.hint))
    return issues


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
