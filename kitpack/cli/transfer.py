"""Commands that move bundles: push, pull, unpack, copy."""

from __future__ import annotations

from pathlib import Path

import click

from kitpack import verbs
from kitpack.cli.options import REFERENCE, force_option, json_option, local_option, quiet_option, with_settings
from kitpack.cli.progress import progress
from kitpack.cli.render import print_json
from kitpack.oci.descriptor import Descriptor
from kitpack.settings import Settings

__all__ = ["copy_command", "pull_command", "push_command", "unpack_command"]

referrers_option = click.option("--referrers", is_flag=True, help="Bring along what refers to it, such as signatures.")


@click.command("push")
@click.argument("what", metavar="REF|DIR", type=REFERENCE)
@click.argument("destination", metavar="[REF]", required=False, type=REFERENCE)
@click.option(
    "-f", "--file", "kitfile", type=click.Path(path_type=Path), help="The Kitfile of DIR, if it is elsewhere."
)
@click.option("--follow-symlinks", is_flag=True, help="As in pack.")
@referrers_option
@force_option
@json_option
@quiet_option
@with_settings
def push_command(
    what: str,
    destination: str | None,
    *,
    kitfile: Path | None,
    follow_symlinks: bool,
    referrers: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Send a bundle to a registry: one from the local store, or a folder packed on the way.

    Only what the registry lacks is sent. A folder is not copied first.

    \b
      kitpack push localhost:5000/team/assistant:1.4.0
      kitpack push assistant:1.4.0 localhost:5000/team/assistant:1.4.0
      kitpack push samples/support-bot localhost:5000/team/assistant:1.4.0
    """
    with progress("pushing", quiet=quiet or as_json) as on_event:
        pushed = verbs.push(
            what,
            destination or "",
            kitfile=kitfile,
            referrers=referrers,
            force=force,
            follow_symlinks=follow_symlinks,
            settings=settings,
            on_event=on_event,
        )
    _report("pushed", destination or what, pushed, as_json=as_json, quiet=quiet)


@click.command("pull")
@click.argument("reference", metavar="REF", type=REFERENCE)
@referrers_option
@json_option
@quiet_option
@with_settings
def pull_command(reference: str, *, referrers: bool, as_json: bool, quiet: bool, settings: Settings) -> None:
    """Fetch a bundle into the local store.

    \b
      kitpack pull localhost:5000/team/assistant:1.4.0
    """
    with progress("pulling", quiet=quiet or as_json) as on_event:
        pulled = verbs.pull(reference, referrers=referrers, settings=settings, on_event=on_event)
    _report("pulled", reference, pulled, as_json=as_json, quiet=quiet)


@click.command("copy")
@click.argument("source", metavar="SRC", type=REFERENCE)
@click.argument("destination", metavar="DST", type=REFERENCE)
@referrers_option
@force_option
@json_option
@quiet_option
@with_settings
def copy_command(
    source: str, destination: str, *, referrers: bool, force: bool, as_json: bool, quiet: bool, settings: Settings
) -> None:
    """Copy a bundle between the local store, registries and layouts (oci:DIR:TAG).

    \b
      kitpack copy localhost:5000/team/assistant:1.4.0 oci:/media/usb:1.4.0
      kitpack copy localhost:5000/dev/assistant:1.4.0 localhost:5000/prod/assistant:1.4.0
    """
    with progress("copying", quiet=quiet or as_json) as on_event:
        copied = verbs.copy(source, destination, referrers=referrers, force=force, settings=settings, on_event=on_event)
    _report("copied", destination, copied, as_json=as_json, quiet=quiet)


@click.command("unpack")
@click.argument("reference", metavar="REF", type=REFERENCE)
@click.option("-o", "--output", "folder", default=".", type=click.Path(path_type=Path), help="Where to; default: here.")
@click.option("--only", multiple=True, help="Types (prompts,configs,...), paths or globs; separate with commas.")
@click.option("--overwrite", is_flag=True, help="Replace files that were changed.")
@local_option
@json_option
@quiet_option
@with_settings
def unpack_command(
    reference: str,
    *,
    folder: Path,
    only: tuple[str, ...],
    overwrite: bool,
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Write the files of a bundle into a folder, all of them or none.

    A folder that holds another version becomes exactly this one. Files that were changed since are not touched
    unless --overwrite says so. Only what is missing is fetched.

    \b
      kitpack unpack assistant:1.3.0 -o /srv/assistant
      kitpack unpack localhost:5000/team/assistant:1.3.0 -o out --only prompts,configs
    """
    words = [word for words in only for word in words.split(",")]
    with progress("unpacking", quiet=quiet or as_json) as on_event:
        done = verbs.unpack(
            reference,
            folder,
            only=words,
            overwrite=overwrite,
            local=local,
            settings=settings,
            on_event=on_event,
        )
    if as_json:
        print_json(
            {
                "reference": reference,
                "folder": str(folder),
                "written": list(done.written),
                "kept": list(done.kept),
                "removed": list(done.removed),
            }
        )
    elif not quiet:
        click.echo(
            f"unpacked {reference} into {folder}: {len(done.written)} written, {len(done.kept)} already in place, "
            f"{len(done.removed)} removed"
        )


def _report(verb: str, reference: str, descriptor: Descriptor, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(
            {
                "reference": reference,
                "digest": str(descriptor.digest),
                "mediaType": descriptor.media_type,
                "size": descriptor.size,
            }
        )
    else:
        if not quiet:
            click.echo(f"{verb} {reference}", err=True)
        click.echo(str(descriptor.digest))
