"""The command that puts releases on a host."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypedDict

import click

from kitpack import deploying
from kitpack.cli.options import json_option, local_option, quiet_option, with_registry
from kitpack.cli.progress import progress
from kitpack.cli.render import human_size, say
from kitpack.cli.types import DURATION
from kitpack.content.events import Event, OnEvent
from kitpack.errors import KitpackError, ReleaseError, UsageError
from kitpack.settings import Settings

__all__ = ["deploy_command"]

_ENDING = (signal.SIGTERM, signal.SIGINT)

_PATIENCE = 600.0
"""Seconds that a command of the user's may take."""

_FAREWELL = 5.0
"""Seconds that it may still take when the watch is to end."""

_TICK = 0.2


@click.command("deploy")
@click.argument("words", metavar="REPO:CHANNEL DIR", nargs=-1, required=True)
@click.option("--watch", is_flag=True, help="Follow the channel until Ctrl-C or SIGTERM.")
@click.option(
    "--interval", metavar="TIME", type=DURATION, default="10s", show_default=True, help="Between two looks at it."
)
@click.option("--exec", "command", metavar="CMD", default="", help="Run this when another release is live.")
@click.option("--signal", "signalled", metavar="NAME:PIDFILE", default="", help="Send this signal then.")
@click.option(
    "--keep", metavar="N", type=click.IntRange(1), default=deploying.KEPT, show_default=True, help="Releases that stay."
)
@click.option("--rollback", is_flag=True, help="Make live again what was before in DIR; asks nobody.")
@click.option("--only", metavar="WHAT", multiple=True, help="Types (prompts,configs,...), paths and globs.")
@local_option
@json_option
@quiet_option
@with_registry
def deploy_command(
    words: tuple[str, ...],
    *,
    watch: bool,
    interval: int,
    command: str,
    signalled: str,
    keep: int,
    rollback: bool,
    only: tuple[str, ...],
    local: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Put what is live at a channel into DIR/releases, and let DIR/current lead there.

    Only what changed is fetched; weights that did not are shared between releases. When CMD fails ($1 is the folder
    of the release, $2 its digest), or takes more than ten minutes, the release from before becomes live again.
    Once more, --rollback goes further back.

    \b
      kitpack deploy localhost:5000/team/assistant:production /srv/assistant
      kitpack deploy localhost:5000/team/assistant:production /srv/assistant \\
        --watch --exec "systemctl reload bot"
      kitpack deploy --rollback /srv/assistant
    """
    reference, folder = _told_where(words, rollback=rollback, watch=watch, interval=interval)
    make_notify = partial(_notify, command, signalled)
    chosen = [part for word in only for part in word.split(",")]
    wanted: _Wanted = {"only": chosen, "keep": keep, "local": local, "notify": make_notify(), "settings": settings}
    show = partial(_show, as_json=as_json, quiet=quiet)
    if rollback:
        show(deploying.rollback(folder, keep=keep, notify=make_notify()))
    elif watch:
        _watch(reference, folder, float(interval), show, wanted, make_notify)
    else:
        with progress("deploying", quiet=quiet or as_json) as meter:
            done = deploying.deploy(reference, folder, on_event=meter, **wanted)
        show(done)


class _Wanted(TypedDict):
    """What one deployment and a watch both want to know."""

    only: Sequence[str]
    keep: int
    local: bool
    notify: deploying.Notify | None
    settings: Settings


def _watch(
    reference: str,
    folder: Path,
    interval: float,
    show: Callable[[deploying.Deployed], None],
    wanted: _Wanted,
    make_notify: Callable[[Callable[[], bool]], deploying.Notify | None],
) -> None:
    with _until_signal() as wait:
        wanted["notify"] = make_notify(lambda: wait(0))
        deploying.watch(
            reference,
            folder,
            wait=wait,
            on_deployed=show,
            on_trouble=_trouble,
            interval=interval,
            on_event=_ended_by(wait),
            **wanted,
        )


def _told_where(words: tuple[str, ...], *, rollback: bool, watch: bool, interval: int) -> tuple[str, Path]:
    """The reference, empty for a rollback, and the folder.

    Raises:
        UsageError: When one is missing or too many, or flags make no sense.
    """
    if watch and not interval:
        raise UsageError("--interval 0 would ask without end", hint="--interval 10s")
    if rollback and watch:
        raise UsageError("--rollback and --watch exclude each other", hint="kitpack deploy --rollback DIR")
    wanted = ("DIR",) if rollback else ("REPO:CHANNEL", "DIR")
    if len(words) != len(wanted) or not all(words):
        raise UsageError(
            f"expected {' and '.join(wanted)}, found {' '.join(words) or 'nothing'}",
            hint=f"kitpack deploy {'--rollback ' if rollback else ''}{' '.join(wanted)}",
        )
    return ("" if rollback else words[0]), Path(words[-1])


def _notify(command: str, signalled: str, is_over: Callable[[], bool] = lambda: False) -> deploying.Notify | None:
    """What to do when another release is live.

    Args:
        command: The command to run.
        signalled: The signal to send, and to whom.
        is_over: Whether nobody wants to wait any more.

    Raises:
        UsageError: When the signal is none.
    """
    number, pidfile = _signal(signalled) if signalled else (None, Path())

    def notify(done: deploying.Deployed) -> None:
        if command:
            _run(command, done, is_over)
        if number:
            _send(number, pidfile)

    return notify if command or signalled else None


def _run(command: str, done: deploying.Deployed, is_over: Callable[[], bool]) -> None:
    """Run a command in the folder of a release; what it prints is no result of ours.

    Raises:
        ReleaseError: When it ends with something else than 0, or does not end.
    """
    words = ["/bin/sh", "-c", command, "kitpack", str(done.folder.absolute()), done.digest]
    # The command is the user's own, typed by them, and nothing of a bundle becomes a part of it.
    with subprocess.Popen(words, cwd=done.folder, stdin=subprocess.DEVNULL, stdout=2) as process:  # noqa: S603
        try:
            code = _waited(process, is_over)
        except BaseException:
            process.kill()
            raise
    if code is None:
        raise ReleaseError(f"`{command}` did not end")
    if code:
        raise ReleaseError(f"`{command}` " + (f"ended with {code}" if code > 0 else f"was ended by signal {-code}"))


def _waited(process: subprocess.Popen[bytes], is_over: Callable[[], bool]) -> int | None:
    """How a process ended; None when it had to be ended, since it took too long."""
    until, told = time.monotonic() + _PATIENCE, False
    while time.monotonic() < until:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_TICK)
        if not told and is_over():
            until, told = min(until, time.monotonic() + _FAREWELL), True
    process.kill()
    return None


def _signal(text: str) -> tuple[signal.Signals, Path]:
    name, _, pidfile = text.partition(":")
    whole = name.upper() if name.upper().startswith("SIG") else f"SIG{name.upper()}"
    if not pidfile or whole not in signal.Signals.__members__:
        raise UsageError(f"--signal {text}: expected the name of a signal and a file", hint="--signal HUP:/run/bot.pid")
    return signal.Signals[whole], Path(pidfile)


def _send(number: signal.Signals, pidfile: Path) -> None:
    """Send a signal; an application that does not run reads the new release when it starts."""
    try:
        process = int(pidfile.read_text().split()[0])
        if process <= 1:
            raise ValueError(f"{process} is no application")
        os.kill(process, number)
    except (OSError, ValueError, IndexError) as error:
        say(f"WARNING: {number.name} was not sent, {pidfile}: {error}")


def _show(done: deploying.Deployed, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        import json

        value = {
            "folder": str(done.folder),
            "reference": done.reference,
            "digest": done.digest,
            "version": done.version or None,
            "action": done.action,
            "before": done.before or None,
            "changed": done.changed,
            "writtenBytes": done.written,
            "sharedBytes": done.shared,
            "removed": list(done.removed),
        }
        click.echo(json.dumps(value))
        return
    if quiet:
        click.echo(done.digest)
        return
    name = f"{done.version} ({done.digest})" if done.version else done.digest
    if not done.changed:
        click.echo(f"{name} is live in {done.folder.parent.parent} already")
        return
    again = " again" if done.action == "rollback" else ""
    click.echo(
        f"{name} is live in {done.folder.parent.parent}{again}" + (f", was {done.before}" if done.before else "")
    )
    if done.action == "deploy":
        say(f"{human_size(done.written)} written, {human_size(done.shared)} shared with earlier releases")
    if done.removed:
        say(f"removed {', '.join(done.removed)}")


def _trouble(error: KitpackError | OSError) -> None:
    """A failure while watching, which goes on."""
    told = error.message if isinstance(error, KitpackError) else str(error)
    say(f"WARNING: {told}; what was live stays live, and it is tried again")


@contextmanager
def _until_signal() -> Iterator[Callable[[float], bool]]:
    """A way to wait that a signal ends for good: says whether one came. SIGTERM is a wish, Ctrl-C an interruption.

    A handler may do very little: it writes a byte into a pipe, and whoever waits sees it.
    """
    reading, writing = os.pipe()
    before = {number: signal.signal(number, lambda sent, _: _ring(writing, sent)) for number in _ENDING}

    def wait(seconds: float) -> bool:
        return bool(select.select([reading], [], [], seconds)[0])

    try:
        with suppress(_EndedError):
            yield wait
        if wait(0) and os.read(reading, 1)[0] == signal.SIGINT:
            raise click.exceptions.Exit(130)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


class _EndedError(KeyboardInterrupt):
    """A signal came while something was being fetched."""


def _ring(writing: int, number: int) -> None:
    os.write(writing, bytes([number]))


def _ended_by(wait: Callable[[float], bool]) -> OnEvent:
    """Ends a transfer when a signal has come; looks for that a few times per second at most."""
    looked = 0.0

    def on_event(event: Event) -> None:  # noqa: ARG001
        nonlocal looked
        if time.monotonic() - looked > 0.2:
            looked = time.monotonic()
            if wait(0):
                raise _EndedError

    return on_event
