"""Commands of those who write bundles: init, check, pack."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from kitpack import verbs
from kitpack.cli.options import REFERENCE, force_option, json_option, quiet_option, with_settings
from kitpack.cli.progress import progress
from kitpack.cli.render import print_json, safe_text
from kitpack.errors import Issue, UsageError
from kitpack.settings import Settings

__all__ = ["check_command", "init_command", "pack_command"]


@click.command("init")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path, exists=True, file_okay=False))
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
    if stdout:
        click.echo(text, nl=False)
        return
    present = [path.name for path in folder.iterdir() if path.name in KITFILE_NAMES]
    if present and not force:
        raise UsageError(f"{folder / present[0]} exists already", hint="compare with --stdout, or replace with --force")
    path = folder / (present[0] if present else KITFILE_NAMES[0])
    path.write_text(text, encoding="utf-8")
    if as_json:
        print_json({"kitfile": str(path)})
    elif not quiet:
        click.echo(f"drafted {path}; read it, then: kitpack pack {folder} -t NAME:TAG")


@click.command("check")
@click.argument("what", metavar="[DIR|REF]", default=".")
@click.option("-f", "--file", "kitfile", type=click.Path(path_type=Path), help="The Kitfile, if it is elsewhere.")
@click.option("--follow-symlinks", is_flag=True, help="As in pack.")
@json_option
@quiet_option
@with_settings
def check_command(
    what: str, *, kitfile: Path | None, follow_symlinks: bool, as_json: bool, quiet: bool, settings: Settings
) -> None:
    """Find everything that is wrong with a folder, or with a bundle, at once.

    Nothing is written. Ends with 3 when there are errors; warnings alone end with 0.

    \b
      kitpack check samples/support-bot
      kitpack check assistant:1.4.0
    """
    from kitpack.checks import check

    issues = check(what, kitfile=kitfile, follow_symlinks=follow_symlinks, settings=settings)
    errors = [issue for issue in issues if issue.severity == "error"]
    if as_json:
        print_json({"ok": not errors, "issues": [asdict(issue) for issue in issues]})
    else:
        _show_issues(issues, what, quiet=quiet)
    if errors:
        raise click.exceptions.Exit(3)


@click.command("pack")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-t", "--tag", type=REFERENCE, help="What to call it: NAME:TAG, or oci:DIR:TAG.")
@click.option("-f", "--file", "kitfile", type=click.Path(path_type=Path), help="The Kitfile, if it is elsewhere.")
@click.option("--follow-symlinks", is_flag=True, help="Follow links to folders and out of DIR.")
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
    with progress("packing", quiet=quiet or as_json) as on_event:
        packed = verbs.pack(
            folder,
            tag or "",
            kitfile=kitfile,
            force=force,
            follow_symlinks=follow_symlinks,
            settings=settings,
            on_event=on_event,
        )
    if as_json:
        print_json(
            {"reference": tag, "digest": str(packed.digest), "mediaType": packed.media_type, "size": packed.size}
        )
    else:
        if tag and not quiet:
            click.echo(f"packed {tag}", err=True)
        click.echo(str(packed.digest))


def _show_issues(issues: list[Issue], what: str, *, quiet: bool) -> None:
    for issue in issues:
        colour = "red" if issue.severity == "error" else "yellow"
        click.echo(click.style(f"{issue.severity}: ", fg=colour, bold=True) + safe_text(str(issue)), err=True)
    if not issues and not quiet:
        click.echo(f"{what}: no faults found")
