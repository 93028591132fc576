"""Commands that move bundles: push, pull, unpack, copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from kitpack import verbs
from kitpack.cli.channels import minding_channels
from kitpack.cli.findings import show_warnings
from kitpack.cli.options import (
    cache_option,
    force_option,
    json_option,
    kitfile_option,
    lint_option,
    local_option,
    quiet_option,
    referrers_option,
    symlinks_option,
    with_registry,
)
from kitpack.cli.progress import Meter, progress
from kitpack.cli.render import print_json, say
from kitpack.cli.types import FOLDER_OR_REFERENCE, NEW_FOLDER, NEW_REFERENCE, REFERENCE, Words
from kitpack.errors import KitpackError, UsageError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.reference import looks_like_host
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.prompts.lint.findings import Finding

__all__ = ["copy_command", "pull_command", "push_command", "unpack_command"]

_TYPES = Words(("model", "prompts", "configs", "datasets", "code", "docs", "kitfile"))


@click.command("push")
@click.argument("what", metavar="REF|DIR", type=FOLDER_OR_REFERENCE)
@click.argument("destination", metavar="[REF]", required=False, type=NEW_REFERENCE)
@kitfile_option
@symlinks_option
@referrers_option
@lint_option
@cache_option
@force_option
@json_option
@quiet_option
@with_registry
def push_command(
    what: str,
    destination: str | None,
    *,
    kitfile: Path | None,
    follow_symlinks: bool,
    referrers: bool,
    lint: bool,
    cache: bool,
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
    findings: list[Finding] = []
    name = destination or what
    minding = minding_channels(name, force=force, quiet=quiet, settings=settings, hosted=True)
    with minding, progress("pushing", quiet=quiet or as_json) as meter:
        pushed = verbs.push(
            what,
            destination or "",
            kitfile=kitfile,
            referrers=referrers,
            force=force,
            lint=lint,
            follow_symlinks=follow_symlinks,
            settings=replace(settings, cache=cache),
            on_event=meter,
            on_read=meter.reading,
            on_finding=findings.append,
        )
    show_warnings(findings, quiet=quiet or as_json)
    _report("pushed", destination or what, pushed, meter, as_json=as_json, quiet=quiet)


@click.command("pull")
@click.argument("reference", metavar="REF", type=REFERENCE)
@referrers_option
@json_option
@quiet_option
@with_registry
def pull_command(reference: str, *, referrers: bool, as_json: bool, quiet: bool, settings: Settings) -> None:
    """Fetch a bundle into the local store.

    \b
      kitpack pull localhost:5000/team/assistant:1.4.0
    """
    before = _held_under(reference, settings)
    with progress("pulling", quiet=quiet or as_json) as meter:
        pulled = verbs.pull(reference, referrers=referrers, settings=settings, on_event=meter)
    previous = before if before != str(pulled.digest) else None
    if previous:
        say(f"{reference} was {previous} before", quiet=as_json)
    more = {"previous": previous}
    _report("pulled", reference, pulled, meter, as_json=as_json, quiet=quiet, more=more)


@click.command("copy")
@click.argument("source", metavar="SRC", type=REFERENCE)
@click.argument("destination", metavar="DST", type=NEW_REFERENCE)
@referrers_option
@force_option
@local_option
@json_option
@quiet_option
@with_registry
def copy_command(
    source: str,
    destination: str,
    *,
    referrers: bool,
    force: bool,
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Copy a bundle between the local store, registries and layouts (oci:DIR:TAG).

    \b
      kitpack copy localhost:5000/team/assistant:1.4.0 oci:/media/usb:1.4.0
      kitpack copy localhost:5000/dev/bot:1.4.0 localhost:5000/prod/bot:1.4.0
    """
    if looks_like_host(destination):  # HOST:PORT reads as NAME:TAG, which nobody means who copies
        raise UsageError(
            f"{destination} is a registry, not a bundle in it", hint=f"name the bundle, too: {destination}/NAME:TAG"
        )
    minding = minding_channels(destination, force=force, quiet=quiet, settings=settings)
    with minding, progress("copying", quiet=quiet or as_json) as meter:
        copied = verbs.copy(
            source,
            destination,
            referrers=referrers,
            force=force,
            local=local,
            settings=settings,
            on_event=meter,
        )
    _report("copied", destination, copied, meter, as_json=as_json, quiet=quiet)


@click.command("unpack")
@click.argument("reference", metavar="REF", type=REFERENCE)
@click.option("-o", "--output", "folder", default=".", type=NEW_FOLDER, help="Where to; default: here.")
@click.option(
    "--only", type=_TYPES, multiple=True, help="Types (prompts,configs,...), paths or globs; separate with commas."
)
@click.option("--overwrite", is_flag=True, help="Replace or remove files that were changed.")
@click.option("--link", is_flag=True, help="Link weights from the local store, read-only, instead of copying them.")
@local_option
@json_option
@quiet_option
@with_registry
def unpack_command(
    reference: str,
    *,
    folder: Path,
    only: tuple[tuple[str, ...], ...],
    overwrite: bool,
    link: bool,
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
      kitpack unpack assistant:1.3.0 -o out --only prompts,configs
    """
    words = [word for words in only for word in words]
    with progress("unpacking", quiet=quiet or as_json) as meter:
        done = verbs.unpack(
            reference,
            folder,
            only=words,
            overwrite=overwrite,
            link=link,
            local=local,
            settings=settings,
            on_event=meter,
        )
    if as_json:
        paths = {"written": list(done.written), "kept": list(done.kept), "removed": list(done.removed)}
        print_json({"reference": reference, "folder": str(folder), **paths})
        return
    say(
        f"unpacked {reference} into {folder}: {len(done.written)} written, {len(done.kept)} already in place, "
        f"{len(done.removed)} removed",
        quiet=quiet,
    )


def _held_under(reference: str, settings: Settings) -> str | None:
    """The digest that a name stands for in the local store, if it stands for any."""
    from kitpack.places import local_place

    place = local_place(reference, settings)
    try:
        return str(place.target.resolve(place.tag).digest) if place.tag else None
    except KitpackError:
        return None


def _report(
    verb: str,
    reference: str,
    descriptor: Descriptor,
    meter: Meter,
    *,
    as_json: bool,
    quiet: bool,
    more: Mapping[str, object] = MappingProxyType({}),
) -> None:
    if as_json:
        found = {"digest": str(descriptor.digest), "mediaType": descriptor.media_type}
        amounts = {"moved": meter.moved, "skipped": meter.skipped, "mounted": meter.mounted}
        print_json({"reference": reference, **found, "manifestSize": descriptor.size, **amounts, **more})
        return
    say(f"{verb} {reference} ({meter.summary()})", quiet=quiet)
    click.echo(str(descriptor.digest))
