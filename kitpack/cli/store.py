"""Commands that keep house: tag, remove, gc, verify."""

from __future__ import annotations

from dataclasses import asdict

import click

from kitpack import verbs
from kitpack.cli.options import REFERENCE, force_option, json_option, quiet_option, with_settings
from kitpack.cli.render import human_size, print_json, safe_text
from kitpack.settings import Settings

__all__ = ["gc_command", "remove_command", "tag_command", "verify_command"]


@click.command("tag")
@click.argument("reference", metavar="REF", type=REFERENCE)
@click.argument("new", metavar="TAG", type=REFERENCE)
@force_option
@json_option
@quiet_option
@with_settings
def tag_command(reference: str, new: str, *, force: bool, as_json: bool, quiet: bool, settings: Settings) -> None:
    """Give a bundle a further name where it is.

    \b
      kitpack tag assistant:1.4.0 stable
      kitpack tag localhost:5000/team/assistant:1.4.0 stable
    """
    tagged = verbs.tag(reference, new, force=force, settings=settings)
    if as_json:
        print_json({"reference": new, "digest": str(tagged.digest)})
    elif not quiet:
        click.echo(f"{new} is {tagged.digest}")


@click.command("remove")
@click.argument("references", metavar="REF...", nargs=-1, required=True, type=REFERENCE)
@json_option
@quiet_option
@with_settings
def remove_command(references: tuple[str, ...], *, as_json: bool, quiet: bool, settings: Settings) -> None:
    """Remove names. Their content goes with the next `kitpack gc`, when nothing else names it.

    \b
      kitpack remove assistant:1.3.0
    """
    for reference in references:
        verbs.remove(reference, settings=settings)
        if not (as_json or quiet):
            click.echo(f"removed {reference}")
    if as_json:
        print_json({"removed": list(references)})


@click.command("gc")
@click.argument("layout", metavar="[oci:DIR]", default="")
@click.option("--grace", type=click.IntRange(0), default=600, show_default=True, help="Seconds to spare new content.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be deleted.")
@json_option
@quiet_option
@with_settings
def gc_command(layout: str, *, grace: int, dry_run: bool, as_json: bool, quiet: bool, settings: Settings) -> None:
    """Delete content of the local store that nothing names any more."""
    from kitpack.content.collect import collect_garbage
    from kitpack.places import store_of

    done = collect_garbage(store_of(layout, settings), grace=grace, dry_run=dry_run)
    if as_json:
        print_json({"dry_run": dry_run, **asdict(done)})
    elif not quiet:
        click.echo(
            f"{'would delete' if dry_run else 'deleted'} {done.blobs} blobs and {done.leftovers} leftovers "
            f"({human_size(done.bytes)}); {done.kept} blobs ({human_size(done.kept_bytes)}) stay"
        )


@click.command("verify")
@click.argument("what", metavar="[REF|DIR]", default="", type=REFERENCE)
@json_option
@quiet_option
@with_settings
def verify_command(what: str, *, as_json: bool, quiet: bool, settings: Settings) -> None:
    """Prove that everything is what it was: the local store, one bundle, or an unpacked folder.

    Without an argument every byte of the local store is read again. For a bundle in a registry, every layer is asked
    for, but not downloaded. Ends with 6 when something is missing or damaged.

    \b
      kitpack verify
      kitpack verify assistant:1.4.0
      kitpack verify /srv/assistant
    """
    from kitpack.checks import verify

    faults = verify(what, settings=settings)
    if as_json:
        print_json({"ok": not faults, "faults": faults})
    else:
        for fault in faults:
            click.echo(click.style("damaged: ", fg="red", bold=True) + safe_text(fault), err=True)
        if not faults and not quiet:
            click.echo(f"{what or 'the local store'} is intact")
    if faults:
        raise click.exceptions.Exit(6)
