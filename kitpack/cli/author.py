"""Commands of those who write bundles: init, check, pack."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kitpack import numbering, verbs
from kitpack.cli.channels import minding_channels
from kitpack.cli.findings import (
    chosen,
    findings_json,
    format_option,
    previous_prompts,
    report,
    show_warnings,
)
from kitpack.cli.options import (
    against_option,
    cache_option,
    force_option,
    json_option,
    kitfile_option,
    lint_option,
    local_option,
    quiet_option,
    symlinks_option,
    with_registry,
)
from kitpack.cli.progress import progress
from kitpack.cli.render import print_json, say
from kitpack.cli.types import FOLDER, FOLDER_OR_REFERENCE, REFERENCE, Words, require_tag
from kitpack.errors import TagExistsError, UsageError
from kitpack.releases.numbers import BUMPS, Bump
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.prompts.lint.findings import Finding

__all__ = ["check_command", "init_command", "pack_command"]

_READERS = Words(("kit", "modctl", "docker"))


@click.command("init")
@click.argument("folder", metavar="[DIR]", default=".", type=FOLDER)
@click.option("--name", help="The bundle's name; by default the folder's.")
@click.option("--force", is_flag=True, help="Replace a Kitfile that is there.")
@click.option("--stdout", is_flag=True, help="Print the draft instead of writing it.")
@json_option
@quiet_option
def init_command(folder: Path, name: str | None, *, force: bool, stdout: bool, as_json: bool, quiet: bool) -> None:
    """Draft a Kitfile from what is in DIR.

    \b
      kitpack init models/support-bot
    """
    from kitpack.kitfile.draft import draft_kitfile
    from kitpack.kitfile.model import KITFILE_NAMES

    text = draft_kitfile(folder, name=name)
    path = None if stdout else _kitfile_to_write(folder, KITFILE_NAMES, force=force)
    if path:
        _write(path, text, force=force)
    if as_json:
        print_json({"kitfile": str(path) if path else None, "text": text})
    elif path:
        say(f"drafted {path}; read it, then: kitpack pack {folder} -t NAME:TAG", quiet=quiet)
    else:
        click.echo(text, nl=False)


@click.command("check")
@click.argument("what", metavar="[DIR|REF]", default=".", type=FOLDER_OR_REFERENCE)
@click.option(
    "--for",
    "readers",
    metavar="TOOL,...",
    type=_READERS,
    multiple=True,
    help="Warn about what kit, modctl or docker cannot read.",
)
@against_option
@format_option
@kitfile_option
@symlinks_option
@local_option
@json_option
@quiet_option
@with_registry
def check_command(
    what: str,
    *,
    readers: tuple[tuple[str, ...], ...],
    against: str | None,
    shape: str | None,
    kitfile: Path | None,
    follow_symlinks: bool,
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Find everything that is wrong with a folder, or with a bundle, at once.

    The Kitfile, the files, and the prompts, as `kitpack prompt lint` sees them. Nothing is written. Ends with 3 when
    there are errors; warnings alone end with 0.

    \b
      kitpack check samples/support-bot
      kitpack check samples/support-bot --for kit,docker --against assistant:1.3.0
      kitpack check samples/support-bot --format sarif > kitpack.sarif
      kitpack check assistant:1.4.0
    """
    from kitpack.checks import find_all

    findings = find_all(
        what,
        readers=[name for names in readers for name in names],
        previous=previous_prompts(against, local=local, settings=settings),
        kitfile=kitfile,
        follow_symlinks=follow_symlinks,
        local=local,
        settings=settings,
    )
    found = [one for one in findings if one.severity != "hint"]  # those are for whoever asks `prompt lint`
    report(found, chosen(shape, as_json=as_json), nothing=f"{what}: no faults found", quiet=quiet)


@click.command("pack")
@click.argument("folder", metavar="[DIR]", default=".", type=FOLDER)
@click.option(
    "-t",
    "--tag",
    metavar="REF",
    type=REFERENCE,
    help="What to call it: NAME:TAG, or oci:DIR:TAG; by default the name and version in the Kitfile.",
)
@click.option("--bump", type=click.Choice(BUMPS), help="Write the next free version into the Kitfile; REF has no tag.")
@click.option("--calver", is_flag=True, help="The same, counted by days: 2026-03-15.3.")
@click.option("--strict", is_flag=True, help="Refuse a second version without changelog, and one that breaks callers.")
@kitfile_option
@symlinks_option
@against_option
@lint_option
@cache_option
@force_option
@json_option
@quiet_option
@with_registry
def pack_command(
    folder: Path,
    *,
    tag: str | None,
    bump: Bump | None,
    calver: bool,
    strict: bool,
    kitfile: Path | None,
    follow_symlinks: bool,
    against: str | None,
    lint: bool,
    cache: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Build the bundle of DIR into the local store and print its digest.

    The same files give the same digest on every machine. Prompts in which `kitpack prompt lint` finds errors are
    refused; what else it finds, but for hints, is printed. So is what a second version lacks: a changelog, or a new
    first number when it breaks those who call a prompt.

    \b
      kitpack pack samples/support-bot -t assistant:1.4.0
      kitpack pack samples/support-bot -t assistant --bump minor
      kitpack pack . -t assistant:1.4.0 --against assistant:1.3.0
    """
    findings: list[Finding] = []
    previous = previous_prompts(against, settings=settings)
    with ExitStack() as stack:
        name = _named(folder, tag, bump, kitfile, stack, calver=calver, quiet=quiet or as_json, settings=settings)
        _look_back(folder, name, kitfile, strict=strict, asked=bool(bump or calver), quiet=quiet, settings=settings)
        stack.enter_context(_offering_a_number(chosen=tag is None))
        stack.enter_context(minding_channels(name, force=force, quiet=quiet, settings=settings, local=True))
        meter = stack.enter_context(progress("packing", quiet=quiet or as_json))
        packed = verbs.pack(
            folder,
            name,
            kitfile=kitfile,
            force=force,
            lint=lint,
            previous=previous,
            follow_symlinks=follow_symlinks,
            settings=replace(settings, cache=cache),
            on_event=meter,
            on_finding=findings.append,
        )
    if as_json:
        found = {"digest": str(packed.digest), "mediaType": packed.media_type, "manifestSize": packed.size}
        print_json({"reference": name or None, **found, "findings": findings_json(findings)})
        return
    show_warnings(findings, quiet=quiet)
    say(f"packed {name or folder}", quiet=quiet)
    click.echo(str(packed.digest))


def _named(
    folder: Path,
    tag: str | None,
    bump: Bump | None,
    kitfile: Path | None,
    stack: ExitStack,
    *,
    calver: bool,
    quiet: bool,
    settings: Settings,
) -> str:
    """What to call the bundle of a folder; empty when nobody says.

    With ``--bump`` or ``--calver`` the Kitfile gets the version while the stack lasts, and keeps it when all is well.

    Raises:
        UsageError: When two versions are asked for.
        InvalidReferenceError: When the name is not whole.
    """
    if bump and calver:
        raise UsageError("--bump and --calver choose a version each", hint="leave out one of them")
    if bump or calver:
        chosen = numbering.choose_version(
            folder, tag or "", bump=bump, calver=calver, kitfile=kitfile, settings=settings
        )
        stack.enter_context(numbering.written_version(chosen))
        before = f", was {chosen.before}" if chosen.before else ""
        say(f"{chosen.kitfile}: package.version is {chosen.version} now{before}", quiet=quiet)
        return chosen.reference
    if tag:
        require_tag(tag)
        return tag
    return numbering.own_name(folder, kitfile)


@contextmanager
def _offering_a_number(*, chosen: bool) -> Iterator[None]:
    """Where a version that the Kitfile says is taken, say how to get the next one.

    Raises:
        TagExistsError: In better words.
    """
    try:
        yield
    except TagExistsError as error:
        if not chosen:
            raise
        hint = "--bump patch takes the next version and writes it into the Kitfile; -t REF names another one"
        raise TagExistsError(error.message, hint=hint) from None


def _look_back(
    folder: Path, name: str, kitfile: Path | None, *, strict: bool, asked: bool, quiet: bool, settings: Settings
) -> None:
    """Say, or with ``--strict`` refuse, what a version lacks beside the one before it.

    The registry is asked for that one only where the command has to do with it anyway.
    """
    if not name:
        return
    faults = list(numbering.version_faults(folder, name, kitfile=kitfile, remote=strict or asked, settings=settings))
    if strict:
        numbering.refuse_version(faults)
    for fault in faults:
        say(f"warning: {fault}", quiet=quiet)


def _write(path: Path, text: str, *, force: bool) -> None:
    """Write a file, never through a link, and replace one in a single step only.

    Raises:
        UsageError: When what is there is no ordinary file.
    """
    if not force:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        return
    mode = path.lstat().st_mode if os.path.lexists(path) else None
    if mode is not None and not stat.S_ISREG(mode):
        raise UsageError(f"{path} is not an ordinary file, so it is not replaced", hint=f"remove it first: rm {path}")
    new = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        with new.open("x", encoding="utf-8") as file:
            file.write(text)
        if mode is not None:
            new.chmod(stat.S_IMODE(mode))
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _kitfile_to_write(folder: Path, names: tuple[str, ...], *, force: bool) -> Path:
    present = sorted(path.name for path in folder.iterdir() if path.name in names)
    if present and not force:
        raise UsageError(f"{folder / present[0]} exists already", hint="compare with --stdout, or replace with --force")
    return folder / (present[0] if present else names[0])
