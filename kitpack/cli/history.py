"""Commands that look back: history, status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from kitpack import releasing
from kitpack.cli.options import json_option, local_option, quiet_option, with_registry
from kitpack.cli.render import camel_case, count, heading, one_line, print_json, print_table, say
from kitpack.cli.types import REFERENCE
from kitpack.errors import LogError
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.oci.digest import Digest
    from kitpack.promptchanges import PromptChanges
    from kitpack.releases.chain import Log
    from kitpack.releases.record import Record
    from kitpack.releases.status import Version, Versions

__all__ = ["history_command", "record_json", "status_command"]

_EXPLAINED = 20
"""Records whose changes of prompts are shown."""

_BROKEN = 20
"""Breaks of a log that are shown."""


@click.command("history")
@click.argument("reference", metavar="REPO:CHANNEL", type=REFERENCE)
@click.option("--verify", is_flag=True, help="End with 6 when anything is wrong with the log.")
@click.option("-n", "--limit", metavar="N", type=click.IntRange(1), help="Show the last N records only.")
@click.option("--no-changes", is_flag=True, help="Leave out what changed in the prompts; nothing is fetched for it.")
@local_option
@json_option
@quiet_option
@with_registry
def history_command(
    reference: str,
    *,
    verify: bool,
    limit: int | None,
    no_changes: bool,
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Show what happened to a channel: who made what live, when and why. The newest record comes first.

    The star is what is live. Under each of the last 20 records stands what it changed in the prompts. Times are those
    of this computer's zone. --verify ends with 6 when a record is missing, damaged or contradicts another, when the end
    that was seen before is gone, or when the channel was moved by other means. It reads the
    whole log; without it, -n reads no more than is shown.

    \b
      kitpack history localhost:5000/bot:production
      kitpack history localhost:5000/bot:production --verify --quiet
      kitpack inspect "localhost:5000/bot:production@{2026-05-15}"
    """
    log = releasing.history(reference, limit=0 if verify else limit or 0, local=local, settings=settings)
    shown = tuple(reversed(log.records[-limit:] if limit else log.records))
    changes: Mapping[Digest, PromptChanges] = {}
    if not no_changes and not quiet:
        from kitpack.promptchanges import prompt_changes  # late: it reads prompts

        changes = prompt_changes(reference, shown[:_EXPLAINED], local=local, settings=settings)
    if as_json:
        print_json(
            {
                "channel": log.channel,
                "tagged": str(log.tagged) if log.tagged else None,
                "live": str(log.live) if log.live else None,
                "records": [{**record_json(one), **_changes_json(one, changes)} for one in shown],
                "lost": [record_json(one) for one in reversed(log.lost)],
                "breaks": [camel_case(one) for one in log.breaks],
            }
        )
    elif not quiet:
        _print_log(reference, log, shown, changes)
    if verify and log.breaks:
        raise LogError(
            f"the log of {reference} has {count(len(log.breaks), 'break')}",
            hint="what it says about the time after a break is not proven" + _mending(reference, log),
        )
    if verify:
        say(f"the log of {reference} is whole: {count(len(log.records), 'record')}", quiet=quiet)


@click.command("status")
@click.argument("repository", metavar="REPO", type=REFERENCE)
@local_option
@json_option
@with_registry
def status_command(repository: str, *, local: bool, as_json: bool, settings: Settings) -> None:
    """Show where every version of a bundle stands: what is live at which channel, what was, and what must not be.

    \b
      kitpack status localhost:5000/team/assistant
    """
    found = releasing.status(repository, local=local, settings=settings)
    if as_json:
        print_json({"versions": [_version_json(one) for one in found.versions], "channels": _channels_json(found)})
    elif not found.versions:
        say(f"{repository} has no versions yet; `kitpack push DIR {repository}:VERSION` makes one")
    else:
        _print_status(found)


def record_json(record: Record) -> dict[str, object]:
    """A record as JSON."""
    digests = {"digest": record.digest, "target": record.target, "source": record.source, "previous": record.previous}
    return {
        **camel_case(record),
        **{key: str(digest) if digest else None for key, digest in digests.items()},
        "time": record.time.isoformat().replace("+00:00", "Z"),
        "undo": [str(one) for one in record.undo],
        "routes": [{**camel_case(one), "digest": str(one.digest)} for one in record.routes],
    }


def _mending(reference: str, log: Log) -> str:
    """What to type when the tag alone is wrong."""
    if {one.kind for one in log.breaks} != {"moved"}:
        return ""
    return f"; `kitpack adopt {reference}` writes down what its tag stands for" if log.tagged else ""


def _changes_json(record: Record, changes: Mapping[Digest, PromptChanges]) -> dict[str, object]:
    found = changes.get(record.digest) if record.digest else None
    return {"changes": list(found.lines)} if found else {}


def _print_log(reference: str, log: Log, shown: Sequence[Record], changes: Mapping[Digest, PromptChanges]) -> None:
    if not log.records and not log.breaks:
        there = f"its tag stands for {log.tagged}; " if log.tagged else ""
        say(f"{reference} has no release log; {there}`kitpack promote REF --to {log.channel}` begins one")
        return
    rows = [_row(one, log) for one in shown]
    below = {
        number: changes[one.digest].lines for number, one in enumerate(shown) if one.digest and one.digest in changes
    }
    if rows:
        header = ("#", "WHEN", "WHO", "WHAT", "FROM", "TO", "WHY")
        print_table(rows, header=header, right=frozenset({0}), below=below)
    if log.lost:
        say(f"{count(len(log.lost), 'record')} lost a race and changed nothing (--json shows them)")
    if log.breaks:
        heading("Broken")
        for one in log.breaks[:_BROKEN]:
            click.secho(f"  {one.kind}: {one_line(one.text)}", fg="red")
        if len(log.breaks) > _BROKEN:
            say(f"and {len(log.breaks) - _BROKEN} more (--json shows them)")


def _row(record: Record, log: Log) -> tuple[str, ...]:
    """A record in a line; the one that is live has a star."""
    last = next((one for one in reversed(log.records) if one.moves), None)
    return (
        f"{record.sequence}{'*' if record is last else ''}",
        f"{record.time.astimezone():%Y-%m-%d %H:%M}",
        record.actor,
        record.action + (" (overridden)" if record.override else ""),
        record.source_version or (record.source.short if record.source else ""),
        _target(record),
        " ".join(filter(None, (record.reason, f"[override: {record.override}]" if record.override else ""))),
    )


def _target(record: Record) -> str:
    name = record.target_version or record.target.short
    if record.action != "route":
        return name
    parts = [
        f"{one.version or one.digest.short} {'shadow' if one.shadow else f'{one.percent:g} %'}" for one in record.routes
    ]
    return f"{name}, {', '.join(parts)}" if parts else name


def _print_status(found: Versions) -> None:
    channels = list(found.logs)
    rows = [
        (
            ", ".join(one.names) or one.digest.short,
            one.status,
            *(_mark(one, channel) for channel in channels),
            str(one.digest),
        )
        for one in found.versions
    ]
    print_table(rows, header=("VERSION", "STATUS", *(one.upper() for one in channels), "DIGEST"))
    for channel, log in found.logs.items():
        if log.breaks:
            say(f"the log of {channel} is broken; `kitpack history REPO:{channel} --verify` names what is wrong")


def _mark(version: Version, channel: str) -> str:
    if channel in version.live:
        return "live"
    if channel in version.routes:
        route = version.routes[channel]
        return "shadow" if route.shadow else f"{route.percent:g} %"
    return ""


def _version_json(version: Version) -> dict[str, object]:
    return {
        "digest": str(version.digest),
        "names": list(version.names),
        "status": version.status,
        "live": list(version.live),
        "routes": {name: {"percent": one.percent, "shadow": one.shadow} for name, one in version.routes.items()},
        "served": record_json(version.served) if version.served else None,
    }


def _channels_json(found: Versions) -> dict[str, object]:
    return {
        name: {
            "live": str(log.live) if log.live else None,
            "tagged": str(log.tagged) if log.tagged else None,
            "records": len(log.records),
            "breaks": [camel_case(one) for one in log.breaks],
        }
        for name, log in found.logs.items()
    }
