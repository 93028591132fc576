"""Two questions: is what you wrote fit to be packed, and is what was packed still what it was."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.packing.interop import choose_readers, lint
from kitpack.content.store.audit import Finding, Progress, audit
from kitpack.content.store.folder import MARKER
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
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.reference import LAYOUT_SCHEME, is_path
from kitpack.places import Place, find, store_of
from kitpack.settings import Settings
from kitpack.verbs import is_folder, look

if TYPE_CHECKING:
    from kitpack.artifact.unpacking.installed import Installed
    from kitpack.content.store.repair import Moved
    from kitpack.prompts.lint.findings import Finding as LintFinding
    from kitpack.prompts.prompt import Prompt

__all__ = ["Examined", "Fault", "check", "examine", "find_all", "repair", "verify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is not what it was.

    Attributes:
        kind: ``damaged``, ``missing``, or, when somebody may have wanted it so, ``modified`` or ``extra``.
        text: What, where, and what to do about it.
    """

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What an examination has shown.

    Attributes:
        praise: What is proven when there are no faults, as a sentence.
        faults: What was found.
        hints: What to do about all of it.
    """

    praise: str
    faults: tuple[Fault, ...] = ()
    hints: tuple[str, ...] = ()


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
        The issues in the order of their lines, then what lint finds in prompts, then what other tools would not like;
        none when all is well.

    Raises:
        UsageError: When there is no such reader, or what is to be checked is neither a folder nor a reference.
        NotFoundError: When there is no such bundle.
    """
    found = find_all(
        what, readers=readers, kitfile=kitfile, follow_symlinks=follow_symlinks, local=local, settings=settings
    )
    return [one.issue for one in found]


def find_all(
    what: str | PathLike[str],
    *,
    readers: Iterable[str] = (),
    previous: Iterable[Prompt] = (),
    kitfile: str | PathLike[str] | None = None,
    follow_symlinks: bool = False,
    local: bool = False,
    settings: Settings | None = None,
) -> list[LintFinding]:
    """Find what :func:`check` finds, with the rule behind each of it.

    Args:
        what: As there.
        readers: As there.
        previous: The prompts of the version before, where they are known: what was changed since needs a changelog.
        kitfile: As there.
        follow_symlinks: As there.
        local: As there.
        settings: As there.

    Raises:
        As :func:`check`.
    """
    chosen = choose_readers(readers)
    if is_folder(what):
        return _check_folder(Path(what), kitfile, chosen, previous, follow_symlinks=follow_symlinks)
    if chosen:
        raise UsageError(f"{what} is not a folder; other tools are thought of before packing", hint="kitpack check DIR")
    settings = settings or Settings.from_env()
    place = _found(str(what), settings, local=local)
    faults = list(_bundle_faults(Bundle(place.target, place.resolve())))
    found = [_as_finding(Issue(path=str(what), message=str(fault)), "bundle") for fault in faults]
    if not faults:
        from kitpack.artifact.inspecting.promptset import of_bundle

        found += of_bundle(look(str(what), local=local, settings=settings)).lint(previous)
    return found


def verify(
    what: str | PathLike[str] = "",
    *,
    local: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Find everything that is missing, damaged or modified.

    Args:
        what: As in :func:`examine`.
        local: Whether to look for a reference in the local store only.
        settings: The surroundings.
        progress: Told how many bytes of how many in a store are proven, from several threads.

    Returns:
        The faults, each a sentence; none when all is well.

    Raises:
        NotFoundError: When there is no such thing at all.
    """
    return [str(fault) for fault in examine(what, local=local, settings=settings, progress=progress).faults]


def examine(
    what: str | PathLike[str] = "",
    *,
    local: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Examined:
    """Find everything that is missing, damaged or modified, and say how much that proves.

    Args:
        what: A reference, an unpacked folder, a layout (``oci:DIR`` or its folder), or nothing for the whole local
            store. Local bytes are all read again; a registry is only asked whether it has them.
        local: Whether to look for a reference in the local store only.
        settings: The surroundings.
        progress: Told how many bytes of how many in a store are proven, from several threads.

    Raises:
        NotFoundError: When there is no such thing at all.
    """
    settings = settings or Settings.from_env()
    text = str(what)
    if not text or (text.startswith(LAYOUT_SCHEME) and Path(text.removeprefix(LAYOUT_SCHEME)).is_dir()):
        return _audited(store_of(text, settings), text or "the local store", progress=progress)
    if is_folder(what):
        folder = Path(what)
        return _audited(Layout(folder), text, progress=progress) if (folder / MARKER).is_file() else _drift(folder)
    place = _found(text, settings, local=local)
    descriptor = place.resolve()
    if isinstance(place.target, Layout):
        return _audited(place.target, text, descriptor, progress=progress)
    bundle = Bundle(place.target, descriptor)
    return Examined(
        praise=f"every layer of {text} is there (a registry's bytes are not read; `kitpack pull` proves them)",
        faults=tuple(_bundle_faults(bundle)),
    )


def repair(
    what: str = "", *, settings: Settings | None = None, progress: Progress | None = None
) -> tuple[list[Moved], list[str]]:
    """Move everything that is damaged out of the way, so that the next pull, copy or pack brings it anew.

    Args:
        what: A layout (``oci:DIR``), or nothing for the local store.
        settings: The surroundings.
        progress: As in :func:`examine`.

    Returns:
        What was moved away, and all faults that were found before.

    Raises:
        UsageError: When it is something else.
        NotFoundError: When there is no such layout.
        StoreError: When it is in use.
    """
    from kitpack.content.store.repair import quarantine

    layout = store_of(what, settings or Settings.from_env())
    findings = list(audit(layout, progress=progress))
    suspects = [one.digest for one in findings if one.digest and not one.missing]
    return quarantine(layout, suspects), [str(_fault(one)) for one in findings]


def _audited(layout: Layout, name: str, descriptor: Descriptor | None = None, *, progress: Progress | None) -> Examined:
    findings = audit(layout, descriptor, progress=progress)
    return Examined(praise=f"{name} is intact", faults=tuple(map(_fault, findings)))


def _fault(finding: Finding) -> Fault:
    return Fault(kind="missing" if finding.missing else "damaged", text=str(finding))


def _found(text: str, settings: Settings, *, local: bool) -> Place:
    """The place of a reference, for a user who may have meant a folder."""
    try:
        return find(text, settings, local=local)
    except InvalidReferenceError as error:
        if is_path(text) and not Path(text).exists():
            raise InvalidReferenceError(
                f"there is no folder {text}", hint="name a folder that exists, or a bundle: NAME:TAG"
            ) from None
        raise InvalidReferenceError(f"there is no folder {text}, and {error.message}", hint=error.hint) from None


def _check_folder(
    folder: Path,
    kitfile: str | PathLike[str] | None,
    readers: Collection[str],
    previous: Iterable[Prompt],
    *,
    follow_symlinks: bool,
) -> list[LintFinding]:
    from kitpack.artifact.inspecting.promptset import of_folder
    from kitpack.artifact.packing.plan import plan_layers
    from kitpack.kitfile.check import check_files
    from kitpack.kitfile.ignore import IgnoreRules
    from kitpack.kitfile.load import load_folder

    try:
        declared = load_folder(folder, kitfile)
        rules = IgnoreRules.load(folder)
        issues = check_files(declared, folder, rules, follow_symlinks=follow_symlinks)
        prompts = of_folder(folder, declared)
        if issues:  # files that are missing, or no text, need not be told about again
            faults = tuple(one for one in prompts.faults if one.line and one.path != prompts.typed(declared.path))
            linted = replace(prompts, faults=faults).lint(previous)
            return [*(_as_finding(one, "kitfile") for one in issues), *linted]
        planned = plan_layers(declared, folder, rules, follow_symlinks=follow_symlinks)
    except KitfileError as error:
        return [_as_finding(one, "kitfile") for one in error.issues]
    except (PackError, UnsafePathError) as error:
        return [_as_finding(Issue(path=str(folder), message=error.message, hint=error.hint), "kitfile")]
    others = lint(planned, readers, kitfile=str(folder / declared.path))
    return [*prompts.lint(previous), *(_as_finding(one, "interop") for one in others)]


def _as_finding(issue: Issue, rule: str) -> LintFinding:
    """A fault of something else than a prompt; there is nothing to explain about it."""
    from kitpack.prompts.lint.findings import Finding as LintFinding

    return LintFinding(
        rule=rule,
        severity="error" if issue.severity == "error" else "warning",
        path=issue.path,
        line=issue.line,
        column=issue.column,
        message=issue.message,
        hint=issue.hint,
    )


def _bundle_faults(bundle: Bundle) -> Iterator[Fault]:
    try:
        unnamed = len(bundle.manifest.layers) - len(bundle.layers)
    except KitpackError as error:
        yield Fault(kind="damaged", text=error.message)
    else:
        if unnamed:
            layers = "1 layer has" if unnamed == 1 else f"{unnamed} layers have"
            yield Fault(kind="damaged", text=f"{layers} no path, and cannot be unpacked")
    for child in bundle.manifest.successors:
        try:
            there = bundle.source.exists(child)
        except KitpackError as error:
            yield Fault(kind="damaged", text=error.message)
        else:
            if not there:
                yield Fault(kind="missing", text=f"{child.digest} ({child.media_type}, {child.size} bytes)")


def _drift(folder: Path) -> Examined:
    from kitpack.artifact.unpacking.extras import find_extra
    from kitpack.artifact.unpacking.installed import Installed, find_drift

    installed = Installed.load(folder)
    if installed is None:
        raise NotFoundError(f"nothing was unpacked into {folder} by kitpack", hint=f"kitpack unpack REF -o {folder}")
    name = installed.reference or installed.digest
    origins, faults = dict[str, None](), []
    for one in find_drift(folder, installed):
        origin = installed.files[one.path].origin or name
        origins[origin] = None
        kind, more = _DRIFTS.get(one.problem, ("modified", f", {one.problem}"))
        faults.append(Fault(kind=kind, text=f"{one.path}{more} (unpacked from {origin})"))
    extra = find_extra(folder, installed)
    faults += [Fault(kind="extra", text=f"{path} (no file of the bundle)") for path in extra]
    moving = ("move away what is no file of the bundle, or keep it outside of the bundle's folders",) if extra else ()
    return Examined(
        praise=f"{folder} is intact\nit holds {_held(installed) or name}",
        faults=tuple(faults),
        hints=(
            *(f"`kitpack unpack {origin} -o {shlex.quote(str(folder))} --overwrite` restores it" for origin in origins),
            *moving,
        ),
    )


def _held(installed: Installed) -> str:
    """The bundles that files of a folder belong to: several, when parts of one were unpacked over another."""
    origins = installed.origins
    if len(origins) == 1:
        return next(iter(origins))
    return " and ".join(f"{origin} ({count} file{'s' * (count > 1)})" for origin, count in sorted(origins.items()))


_DRIFTS = {"missing": ("missing", ""), "changed": ("modified", ""), "mode": ("modified", ", whether it is executable")}
"""How the ways to differ are told."""
