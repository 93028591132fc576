"""Which version a folder is to become: the one that its Kitfile says, or the next one that nobody has taken.

The Kitfile is the truth: a version that is chosen here is written into it, and nothing else in it changes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from kitpack.errors import KitpackError, NotFoundError, PackError, UsageError
from kitpack.oci.reference import LAYOUT_SCHEME, LayoutReference, Reference, is_tag
from kitpack.places import find_home, local_store
from kitpack.releases.home import Home
from kitpack.releases.numbers import Bump, asks_for_major, highest_version, next_calver, next_version
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.artifact.bundle import Bundle
    from kitpack.kitfile.model import Kitfile

__all__ = ["Chosen", "choose_version", "own_name", "refuse_version", "version_faults", "written_version"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The version that a folder is to become.

    Attributes:
        version: It.
        reference: What to call the bundle.
        kitfile: The Kitfile's path.
        before: What the Kitfile says now.
    """

    version: str
    reference: str
    kitfile: Path
    before: str


def own_name(folder: str | PathLike[str], kitfile: str | PathLike[str] | None = None) -> str:
    """What a Kitfile calls its bundle: ``NAME:VERSION``; empty when it does not say, or cannot be used as a reference.

    Raises:
        KitfileError, PackError: As :func:`kitpack.kitfile.load.load_folder`.
    """
    package = _declared(folder, kitfile).package
    found = f"{package.name}:{package.version}"
    try:
        Reference.parse(found)
    except KitpackError:
        return ""
    return found if package.name and is_tag(package.version) else ""


def choose_version(
    folder: str | PathLike[str],
    name: str = "",
    *,
    bump: Bump | None = None,
    calver: bool = False,
    kitfile: str | PathLike[str] | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    settings: Settings | None = None,
) -> Chosen:
    """Choose the next version that nobody has taken, here or in the registry where the name is at home.

    Args:
        folder: The folder with the Kitfile.
        name: What to call the bundle, without a tag; by default ``package.name``.
        bump: Which number goes up.
        calver: Whether to count by days instead; in UTC, so that all computers of a team count alike.
        kitfile: The Kitfile, when it is not in the folder under one of its usual names.
        clock: Says what time it is.
        settings: The surroundings.

    Raises:
        UsageError: When the name is none, or has a tag already.
        KitfileError, PackError: As :func:`kitpack.kitfile.load.load_folder`.
        RegistryError: When the registry cannot be asked: a number that is taken there must not be chosen.
    """
    settings = settings or Settings.from_env()
    declared = _declared(folder, kitfile)
    name = name or declared.package.name
    if not name or _selector(name):
        found = f"{name} has a tag already" if name else "the Kitfile has no package.name"
        raise UsageError(f"{found}, and a version is to be chosen", hint="say what to call it without one: -t NAME")
    taken = {tag for home in _homes(name, settings) for tag in home.tags()}
    current = declared.package.version
    version = (
        next_calver(clock().astimezone(UTC).date(), taken) if calver else next_version(current, taken, bump or "patch")
    )
    path = Path(kitfile) if kitfile else Path(folder) / declared.path
    return Chosen(version=version, reference=f"{name}:{version}", kitfile=path, before=current)


@contextmanager
def written_version(chosen: Chosen) -> Iterator[None]:
    """Write a version into its Kitfile, and touch nothing else in it; back again when what is done with it fails.

    Raises:
        PackError: When that cannot be done.
        OSError: When the file cannot be written.
    """
    from kitpack.kitfile.edit import with_version

    path = chosen.kitfile.resolve()
    old = path.read_bytes()
    _replace(path, with_version(old, str(chosen.kitfile), chosen.version))
    try:
        yield
    except BaseException:
        _replace(path, old)
        raise


def _replace(path: Path, new: bytes) -> None:
    """Give a file other bytes in a single step."""
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        temporary.write_bytes(new)
        temporary.chmod(path.stat().st_mode & 0o7777)
        os.replace(temporary, path)  # noqa: PTH105 - as its name says
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def version_faults(
    folder: str | PathLike[str],
    reference: str,
    *,
    version: str = "",
    kitfile: str | PathLike[str] | None = None,
    remote: bool = False,
    settings: Settings | None = None,
) -> Iterator[str]:
    """What a new version lacks beside the one before it: a changelog, or a number that says that callers break.

    Args:
        folder: The folder that it is packed from.
        reference: What it is to be called.
        version: Its version; by default what the Kitfile says.
        kitfile: The Kitfile, when it is not in the folder under one of its usual names.
        remote: Whether to look for the version before it in the registry, too, when the local store has none.
        settings: The surroundings.

    Raises:
        KitfileError, PackError: As :func:`kitpack.kitfile.load.load_folder`.
        RegistryError: When the registry cannot be asked.
    """
    from kitpack.artifact.inspecting.prompts import declared_kitfile
    from kitpack.prompts.lint.changelog import says_nothing

    settings = settings or Settings.from_env()
    declared = _declared(folder, kitfile)
    version = version or declared.package.version
    found = _previous(reference, version, remote=remote, settings=settings)
    if found is None:
        return
    before, name = found
    said = declared.package.changelog
    older, _ = declared_kitfile(before)
    if said and older and said == older.package.changelog:
        yield f"package.changelog is that of {name}; say why there is a new version"
    elif says_nothing(said):
        reason = f"says {said.strip()!r}, which is no reason" if said.strip() else "is missing"
        yield f"package.changelog {reason}; from the second version on it says why there is a new one, after {name}"
    if asks_for_major(name, version) and (breaks := list(_breaks(before, Path(folder), declared))):
        more = f" and {len(breaks) - 3} more" if len(breaks) > 3 else ""
        yield f"callers of {name} break: {'; '.join(breaks[:3])}{more}; that asks for a new major version"


def refuse_version(faults: list[str]) -> None:
    """Keep a folder from being packed.

    Raises:
        PackError: When there are faults.
    """
    if faults:
        raise PackError("; ".join(faults), hint="say why in package.changelog, or choose the number with --bump major")


def _declared(folder: str | PathLike[str], kitfile: str | PathLike[str] | None) -> Kitfile:
    from kitpack.kitfile.load import load_folder  # late: it reads YAML

    return load_folder(folder, kitfile)


def _selector(name: str) -> str:
    layout = name.startswith(LAYOUT_SCHEME)
    return LayoutReference.parse(name).selector if layout else Reference.parse_repository(name).selector


def _homes(name: str, settings: Settings, *, remote: bool = True) -> Iterator[Home]:
    """Where versions of a name are: in the local store, and in the registry where it is at home."""
    if name.startswith(LAYOUT_SCHEME):
        yield find_home(name, settings, whole=False)[0]
        return
    if local_store(settings).path.exists():
        yield find_home(name, replace(settings, registry=""), local=True, whole=False)[0]
    if remote and (settings.registry or Reference.parse_repository(name).registry):
        yield find_home(name, settings, whole=False)[0]


def _previous(reference: str, version: str, *, remote: bool, settings: Settings) -> tuple[Bundle, str] | None:
    """The highest version before this one, wherever it is found first."""
    from kitpack.artifact.bundle import Bundle

    name = reference[: -len(selector) - 1] if (selector := _selector(reference)) else reference
    for home in _homes(name, settings, remote=remote):
        tag = highest_version(home.tags(), below=version)
        if not tag:
            continue
        try:
            return Bundle(home.target, home.target.resolve(f"{home.prefix}{tag}")), tag
        except NotFoundError:
            continue
    return None


def _breaks(before: Bundle, folder: Path, declared: Kitfile) -> Iterator[str]:
    from kitpack.artifact.inspecting.prompts import bundle_prompts, folder_prompts
    from kitpack.prompts.variables import compare_outputs, compare_variables

    new = {one.name: one for one in folder_prompts(folder, declared).found}
    for old in bundle_prompts(before).found:
        if old.name not in new:
            yield f"{old.name}: it was removed"
            continue
        changes = (*compare_variables(old, new[old.name]), *compare_outputs(old, new[old.name]))
        yield from (f"{old.name}: {change.text}" for change in changes if change.breaks)
