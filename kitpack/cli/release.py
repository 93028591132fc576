"""Commands that say what is live: promote, rollback, adopt, withdraw, archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kitpack import releasing
from kitpack.cli.options import json_option, local_option, quiet_option, with_registry
from kitpack.cli.render import print_json, say
from kitpack.cli.types import CHANNEL, REFERENCE
from kitpack.errors import UsageError
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.releases.record import Record
    from kitpack.releases.writing import Released

__all__ = ["adopt_command", "archive_command", "promote_command", "rollback_command", "withdraw_command"]

_WARNING = "warning: "
"""See :data:`kitpack.gating.WARNING`."""

_reason_option = click.option("-m", "--reason", metavar="TEXT", default="", help="Why; it is recorded.")
_expect_option = click.option(
    "--expect", metavar="VERSION|DIGEST", default="", help="Refuse when something else is live now."
)
_force_option = click.option(
    "--force", is_flag=True, help="Go on where the log is broken or the tag was moved by other means, and say so."
)
_override_option = click.option(
    "--override", metavar="REASON", default="", help="Let it through although a gate says no; it is recorded."
)
_policy_option = click.option(
    "--policy",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The gates of each channel (default: kitpack.yaml here, or the policy in the bundle's Kitfile).",
)
_strict_option = click.option("--strict", is_flag=True, help="Let nothing through that a gate only warns about.")


@click.command("promote")
@click.argument("reference", metavar="REF", type=REFERENCE)
@click.option("--to", "channel", metavar="CHANNEL", type=CHANNEL, required=True, help="Where it goes live: production.")
@_reason_option
@click.option(
    "--percent", metavar="N", type=click.FloatRange(0, 100), help="Give it N of a hundred users; the tag stays."
)
@click.option("--shadow", is_flag=True, help="Let it run along; nobody sees its answers.")
@_expect_option
@_policy_option
@_strict_option
@_override_option
@_force_option
@local_option
@json_option
@quiet_option
@with_registry
def promote_command(
    reference: str,
    *,
    channel: str,
    reason: str,
    percent: float | None,
    shadow: bool,
    expect: str,
    policy: Path | None,
    strict: bool,
    override: str,
    force: bool,
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Make a release live at a channel, and write down who did it and why.

    The record comes first, then the channel's tag moves. What was live before is what `kitpack rollback` restores.
    With --percent or --shadow the tag stays where it is, and applications send a part of the traffic to the release;
    --percent 0 ends its part. Ends with 10 when a gate does not let the release through: nothing has changed then.

    \b
      kitpack promote localhost:5000/bot:1.4.0 --to production -m "obeys nobody"
      kitpack promote localhost:5000/bot:1.4.0 --to production --percent 10
    """
    if shadow and percent:
        raise UsageError("a release that runs along gets no traffic", hint="leave out --shadow or --percent")
    from kitpack.gating import gates_for  # late: a plain rollback has no use for it

    gates = gates_for(reference, channel, policy, strict=strict, local=local, settings=settings)
    if shadow or (percent is not None and percent < 100):
        if expect:
            raise UsageError("--expect is about what a promotion replaces, and --percent replaces nothing")
        done = releasing.rollout(
            reference,
            channel,
            percent=percent or 0.0,
            shadow=shadow,
            reason=reason,
            gates=gates,
            override=override,
            force=force,
            local=local,
            settings=settings,
        )
    else:
        done = releasing.promote(
            reference,
            channel,
            reason=reason,
            expect=expect,
            gates=gates,
            override=override,
            force=force,
            local=local,
            settings=settings,
        )
    _show(done, as_json=as_json, quiet=quiet)


@click.command("rollback")
@click.argument("reference", metavar="REPO:CHANNEL", type=REFERENCE)
@click.option("--to", metavar="VERSION|DIGEST|@{...}", default="", help="Go back to this one.")
@_reason_option
@_expect_option
@_policy_option
@_strict_option
@_override_option
@_force_option
@local_option
@json_option
@quiet_option
@with_registry
def rollback_command(
    reference: str,
    *,
    to: str,
    reason: str,
    expect: str,
    policy: Path | None,
    strict: bool,
    override: str,
    force: bool,
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Make live again what served before. Once more goes further back, never forward to what was withdrawn.

    Only what a rollback restores must be whole: what is live now may be broken or gone. With --to, the gates of the
    channel are asked, but for those about what is new in a release.

    \b
      kitpack rollback localhost:5000/bot:production -m "answers in French"
      kitpack rollback localhost:5000/bot:production --to 1.3.0
      kitpack rollback localhost:5000/bot:production --to "@{yesterday}"
    """
    gates = None
    if to:
        from kitpack.gating import gates_for

        gates = gates_for(reference, "", policy, back=True, strict=strict, local=local, settings=settings)
    done = releasing.rollback(
        reference,
        to=to,
        reason=reason,
        expect=expect,
        gates=gates,
        override=override,
        force=force,
        local=local,
        settings=settings,
    )
    _show(done, as_json=as_json, quiet=quiet)


@click.command("adopt")
@click.argument("reference", metavar="REPO:CHANNEL", type=REFERENCE)
@_reason_option
@local_option
@json_option
@quiet_option
@with_registry
def adopt_command(reference: str, *, reason: str, local: bool, as_json: bool, quiet: bool, settings: Settings) -> None:
    """Write down that a channel's tag was moved by other means, so that the log is true again.

    \b
      kitpack adopt localhost:5000/bot:production -m "moved by hand at night"
    """
    _show(releasing.adopt(reference, reason=reason, local=local, settings=settings), as_json=as_json, quiet=quiet)


@click.command("withdraw")
@click.argument("reference", metavar="REF", type=REFERENCE)
@click.option(
    "--from", "channel", metavar="CHANNEL", type=CHANNEL, required=True, help="Where no rollback restores it."
)
@_reason_option
@_force_option
@local_option
@json_option
@quiet_option
@with_registry
def withdraw_command(
    reference: str,
    *,
    channel: str,
    reason: str,
    force: bool,
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Make sure that no rollback restores a release that served before.

    \b
      kitpack withdraw localhost:5000/bot:1.3.0 --from production -m "leaks names"
    """
    done = releasing.withdraw(reference, channel, reason=reason, force=force, local=local, settings=settings)
    _show(done, as_json=as_json, quiet=quiet)


@click.command("archive")
@click.argument("reference", metavar="REF", type=REFERENCE)
@click.option("--restore", is_flag=True, help="Let it go live again.")
@_reason_option
@local_option
@json_option
@quiet_option
@with_registry
def archive_command(
    reference: str, *, restore: bool, reason: str, local: bool, as_json: bool, quiet: bool, settings: Settings
) -> None:
    """Forbid that a release goes live again. Nothing is deleted.

    \b
      kitpack archive localhost:5000/bot:1.2.0 -m "its licence has ended"
    """
    change = releasing.restore if restore else releasing.archive
    _show(change(reference, reason=reason, local=local, settings=settings), as_json=as_json, quiet=quiet)


def _show(done: Released, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        from kitpack.cli.history import record_json

        print_json({"changed": done.changed, "notes": list(done.notes), "record": record_json(done.record)})
        return
    for note in done.notes:
        say(f"note: {note}", quiet=quiet)
    for gate in done.record.gates if done.changed else ():
        if not gate.passed:
            say(f"overridden: {gate.name}: {gate.detail}", quiet=quiet)
        elif gate.detail.startswith(_WARNING):
            say(f"warning: {gate.name}: {gate.detail.removeprefix(_WARNING)}", quiet=quiet)
    say(_sentence(done.record, changed=done.changed), quiet=quiet)
    click.echo(str(done.record.target))


def _sentence(record: Record, *, changed: bool) -> str:
    """What happened, for the person who did it."""
    target = record.target_version or record.target.short
    before = record.source_version or (record.source.short if record.source else "")
    if not changed:
        return f"nothing to do: {target} is what record {record.sequence} says"
    said = {
        "promote": f"{target} is live at {record.channel}" + (f", was {before}" if before else ""),
        "rollback": f"{target} is live at {record.channel} again, was {before}",
        "adopt": f"recorded that {target} is live at {record.channel}",
        "route": f"{record.channel} stays with {target}; " + (_routes(record) or "nobody else gets traffic"),
        "withdraw": f"no rollback of {record.channel} restores {target}",
        "archive": f"{target} must not go live again",
        "restore": f"{target} may go live again",
    }[record.action]
    return f"{said} (record {record.sequence})"


def _routes(record: Record) -> str:
    return ", ".join(
        f"{one.version or one.digest.short} " + ("runs along" if one.shadow else f"gets {one.percent:g} percent")
        for one in record.routes
    )
