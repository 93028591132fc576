"""Commands of those who write bundles: init, check, pack."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

import click

from kitpack import verbs
from kitpack.cli.options import (
    force_option,
    json_option,
    kitfile_option,
    local_option,
    quiet_option,
    symlinks_option,
    with_registry,
    with_settings,
)
from kitpack.cli.progress import progress
from kitpack.cli.render import camel_case, print_json, say, show_issues
from kitpack.cli.types import FOLDER, FOLDER_OR_REFERENCE, NEW_REFERENCE, Words
from kitpack.errors import UsageError
from kitpack.settings import Settings

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
    kitfile: Path | None,
    follow_symlinks: bool,
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Find everything that is wrong with a folder, or with a bundle, at once.

    Nothing is written. Ends with 3 when there are errors; warnings alone end with 0.

    \b
      kitpack check samples/support-bot
      kitpack check samples/support-bot --for kit,docker
      kitpack check assistant:1.4.0
    """
    from kitpack.checks import check

    issues = check(
        what,
        readers=[name for names in readers for name in names],
        kitfile=kitfile,
        follow_symlinks=follow_symlinks,
        local=local,
        settings=settings,
    )
    errors = [issue for issue in issues if issue.severity == "error"]
    if as_json:
        print_json({"ok": not errors, "issues": [camel_case(issue) for issue in issues]})
    else:
        show_issues(issues)
        if not issues:
            say(f"{what}: no faults found", quiet=quiet)
    if errors:
        raise click.exceptions.Exit(3)


@click.command("pack")
@click.argument("folder", metavar="[DIR]", default=".", type=FOLDER)
@click.option("-t", "--tag", metavar="REF", type=NEW_REFERENCE, help="What to call it: NAME:TAG, or oci:DIR:TAG.")
@kitfile_option
@symlinks_option
@force_option
@json_option
@quiet_option
@with_settings
def pack_command(
    folder: Path,
    *,
    tag: str | None,
    kitfile: Path | None,
    follow_symlinks: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Build the bundle of DIR into the local store and print its digest.

    The same files give the same digest on every machine.

    \b
      kitpack pack samples/support-bot -t assistant:1.4.0
    """
    with progress("packing", quiet=quiet or as_json) as meter:
        packed = verbs.pack(
            folder,
            tag or "",
            kitfile=kitfile,
            force=force,
            follow_symlinks=follow_symlinks,
            settings=settings,
            on_event=meter,
        )
    if as_json:
        found = {"digest": str(packed.digest), "mediaType": packed.media_type, "manifestSize": packed.size}
        print_json({"reference": tag, **found})
        return
    say(f"packed {tag or folder}", quiet=quiet)
    click.echo(str(packed.digest))


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
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
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
