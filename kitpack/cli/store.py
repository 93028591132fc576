"""Commands that keep house: tag, remove, gc, verify."""

from __future__ import annotations

import click

from kitpack import names
from kitpack.cli.channels import minding_channels, refuse_removing
from kitpack.cli.options import (
    force_option,
    json_option,
    local_option,
    quiet_option,
    with_registry,
    with_settings,
)
from kitpack.cli.progress import proof
from kitpack.cli.render import camel_case, count, human_size, one_line, print_json, say
from kitpack.cli.types import DURATION, FOLDER_OR_REFERENCE, REFERENCE
from kitpack.errors import NotFoundError
from kitpack.settings import Settings

__all__ = ["gc_command", "remove_command", "tag_command", "verify_command"]


@click.command("tag")
@click.argument("reference", metavar="REF", type=REFERENCE)
@click.argument("new", metavar="TAG|REF", type=REFERENCE)
@force_option
@local_option
@json_option
@quiet_option
@with_registry
def tag_command(
    reference: str, new: str, *, force: bool, local: bool, as_json: bool, quiet: bool, settings: Settings
) -> None:
    """Give a bundle a further name where it is, and print its digest.

    \b
      kitpack tag assistant:1.4.0 stable
      kitpack tag localhost:5000/team/assistant:1.4.0 stable
    """
    name = names.name_beside(reference, new)
    with minding_channels(name, force=force, local=local, quiet=quiet, settings=settings):
        tagged = names.tag(reference, new, force=force, local=local, settings=settings)
    if as_json:
        print_json({"reference": name, "digest": str(tagged.digest)})
        return
    say(f"tagged {name}", quiet=quiet)
    click.echo(str(tagged.digest))


@click.command("remove")
@click.argument("references", metavar="REF...", nargs=-1, required=True, type=REFERENCE)
@click.option("--force", is_flag=True, help="Remove channels and records of release logs, too.")
@local_option
@json_option
@quiet_option
@with_registry
def remove_command(
    references: tuple[str, ...], *, force: bool, local: bool, as_json: bool, quiet: bool, settings: Settings
) -> None:
    """Remove names, all of them or none.

    Their content stays until `kitpack gc` finds that nothing else names it. Many registries cannot remove a tag alone;
    kitpack never removes content instead.

    \b
      kitpack remove assistant:1.3.0 assistant:1.2.0
      kitpack remove --local localhost:5000/team/assistant:1.3.0
    """
    refuse_removing(*references, force=force, local=local, quiet=quiet, settings=settings)
    names.remove(*references, local=local, settings=settings)
    if as_json:
        print_json({"removed": list(references)})
    for reference in references:
        say(f"removed {reference}", quiet=quiet or as_json)


@click.command("gc")
@click.argument("layout", metavar="[oci:DIR]", required=False, type=REFERENCE)
@click.option(
    "--grace",
    metavar="TIME",
    type=DURATION,
    default="10m",
    show_default=True,
    help="Spare content that is newer, as somebody may be about to name it: seconds, or 10m, 2h, 7d.",
)
@click.option("--untagged", is_flag=True, help="Also what was pushed through `kitpack serve` and has no tag.")
@click.option(
    "--unused",
    metavar="TIME",
    type=DURATION,
    default="30d",
    show_default=True,
    help="Also bundles that applications loaded from registries, but not for so long.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be deleted.")
@json_option
@quiet_option
@with_settings
def gc_command(
    layout: str | None,
    *,
    grace: int,
    untagged: bool,
    unused: int,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Delete content of the local store, or of a layout, that nothing names any more.

    What applications loaded from registries is kept beside the local store; of that, too, what is no longer in use.

    \b
      kitpack gc --dry-run
    """
    from kitpack.content.store.collect import Collected, collect_garbage
    from kitpack.places import store_of
    from kitpack.runtime.cache import Cache
    from kitpack.runtime.prune import Pruned, prune

    store = store_of(layout or "", settings)
    loaded = Pruned() if layout else prune(Cache.of(settings), unused=unused, dry_run=dry_run)
    try:
        done = collect_garbage(store, grace=grace, untagged=untagged, dry_run=dry_run)
    except NotFoundError:  # applications load without a store of their own
        if loaded == Pruned():
            raise
        done = Collected()
    if as_json:
        print_json({"dryRun": dry_run, **camel_case(done), "loaded": camel_case(loaded)})
        return
    if loaded.bundles:
        unneeded = f"{count(loaded.bundles, 'bundle')} ({human_size(loaded.bytes)}) not loaded for {_duration(unused)}"
        say(f"{'would remove' if dry_run else 'removed'} {unneeded}", quiet=quiet)
    leftovers = f" and {count(done.leftovers, 'unfinished file')}" if done.leftovers else ""
    deleted = f"{count(done.blobs, 'blob')}{leftovers} ({human_size(done.bytes)})"
    kept = f"{count(done.kept, 'blob')} ({human_size(done.kept_bytes)})"
    say(f"{'would delete' if dry_run else 'deleted'} {deleted}, kept {kept}", quiet=quiet)
    if done.spared:
        were, them = ("was", "it") if done.spared == 1 else ("were", "them")
        spared = f"{count(done.spared, 'blob')} that nothing names {were} spared"
        say(f"{spared}, newer than {_duration(grace)} (`--grace 0` takes {them} too)", quiet=quiet)


@click.command("verify")
@click.argument("what", metavar="[REF|DIR]", required=False, type=FOLDER_OR_REFERENCE)
@click.option("--repair", is_flag=True, help="Move damaged content of a store away, to be brought anew.")
@local_option
@json_option
@quiet_option
@with_registry
def verify_command(
    what: str | None, *, repair: bool, local: bool, as_json: bool, quiet: bool, settings: Settings
) -> None:
    """Prove that everything is what it was: the local store, one bundle, or an unpacked folder.

    Without an argument every byte of the local store is read again. For a bundle in a registry, every layer is asked
    for, but not downloaded. Ends with 6 when something is missing, damaged or modified.

    With --repair, what is damaged in the local store, or in a layout, is moved to its folder `damaged`; the next pull,
    copy or pack brings it anew. Ends with 6 then, too, as it is not there yet.

    \b
      kitpack verify
      kitpack verify assistant:1.4.0
      kitpack verify /srv/assistant
      kitpack verify --repair
    """
    from kitpack.checks import examine

    if repair:
        _repair(what or "", as_json=as_json, quiet=quiet, settings=settings)
        return
    with proof("verifying", quiet=quiet or as_json) as on_proof:
        found = examine(what or "", local=local, settings=settings, progress=on_proof)
    if as_json:
        print_json({"ok": not found.faults, "faults": [str(fault) for fault in found.faults]})
    else:
        for fault in found.faults:
            click.echo(click.style(f"{fault.kind}: ", fg="red", bold=True) + one_line(fault.text))
        for hint in found.hints if found.faults else found.praise.split("\n", 1):
            say(hint, quiet=quiet)
    if found.faults:
        raise click.exceptions.Exit(6)


def _repair(what: str, *, as_json: bool, quiet: bool, settings: Settings) -> None:
    from kitpack import checks

    with proof("verifying", quiet=quiet or as_json) as on_proof:
        moved, faults = checks.repair(what, settings=settings, progress=on_proof)
    if as_json:
        places = [{"digest": str(one.digest), "path": str(one.path)} for one in moved]
        print_json({"ok": not faults, "faults": faults, "moved": places})
    else:
        for fault in faults:
            click.echo(one_line(fault))
        for one in moved:
            click.echo(one_line(f"moved: {one.digest} to {one.path}"))
        hint = "pull or pack the bundles again" if moved else "nothing had to be moved"
        say(hint if faults else f"{what or 'the local store'} is intact", quiet=quiet)
    if faults:
        raise click.exceptions.Exit(6)


def _duration(seconds: int) -> str:
    """A time in the largest unit that leaves no rest."""
    units = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
    return next(count(seconds // size, unit) for unit, size in units if not seconds % size)
