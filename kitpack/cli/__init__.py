"""The command line: the only room that prints, asks and exits.

Commands are loaded when they are called, so that ``kitpack --help`` starts as fast as click does.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from kitpack._version import __version__
from kitpack.cli.lazy import LazyGroup
from kitpack.errors import KitpackError, UsageError

__all__ = ["StoppedError", "kitpack", "main"]

_COMMANDS = {
    "init": ("author", "draft a Kitfile from what is in a folder"),
    "check": ("author", "find everything that is wrong with a Kitfile or a bundle"),
    "pack": ("author", "build a bundle into the local store"),
    "push": ("transfer", "send a bundle, or a folder packed on the way, to a registry"),
    "pull": ("transfer", "fetch a bundle into the local store"),
    "unpack": ("transfer", "write the files of a bundle into a folder"),
    "copy": ("transfer", "copy a bundle between stores, layouts and registries"),
    "inspect": ("inspect", "show a bundle: Kitfile, layers, and every prompt in full"),
    "diff": ("diff", "compare two bundles: prompts, settings, datasets, files"),
    "prompt": ("prompt", "list, show, render, lint and count prompts"),
    "promote": ("release", "make a release live at a channel, and write down who and why"),
    "rollback": ("release", "make live again what served before"),
    "history": ("history", "show what happened to a channel, and prove it"),
    "status": ("history", "show where every version of a bundle stands"),
    "adopt": ("release", "write down that a channel was moved by other means"),
    "withdraw": ("release", "keep rollbacks from restoring a release"),
    "archive": ("release", "forbid that a release goes live again"),
    "list": ("view", "list bundles in the local store or a repository"),
    "tag": ("store", "give a bundle a further name"),
    "remove": ("store", "remove a name"),
    "gc": ("store", "delete content that nothing names any more"),
    "verify": ("store", "prove that a store, a bundle or an unpacked folder is intact"),
    "deploy": ("deploy", "put what is live at a channel on this host, in one step"),
    "serve": ("serve", "serve the local store as an OCI registry"),
    "login": ("access", "keep a registry's credentials where docker does"),
    "logout": ("access", "forget a registry's credentials"),
    "completion": ("access", "print a shell completion script"),
}

_MEANT = {
    "build": "pack",
    "create": "pack",
    "download": "pull",
    "export": "unpack",
    "extract": "unpack",
    "images": "list",
    "info": "inspect",
    "log": "history",
    "ls": "list",
    "prune": "gc",
    "publish": "push",
    "release": "promote",
    "revert": "rollback",
    "rm": "remove",
    "rmi": "remove",
    "show": "inspect",
    "undo": "rollback",
    "untag": "remove",
    "upload": "push",
    "validate": "check",
}
"""What commands are called elsewhere."""


class StoppedError(KitpackError):
    """Whoever runs the command wants it to end."""

    exit_code = 130


class _Commands(LazyGroup):
    """All commands."""

    table = _COMMANDS
    meant = _MEANT


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kitpack", message="%(prog)s %(version)s")
@click.pass_context
def kitpack(context: click.Context) -> None:
    """A model and its prompts as one OCI artifact.

    Packed, pushed, inspected and rolled back together. A reference is NAME:TAG in the local store, HOST/NAME:TAG in
    a registry, or oci:DIR:TAG in an OCI image layout anywhere; @sha256:... instead of :TAG names exact content, and
    NAME:CHANNEL@{2026-05-15} what was live at a channel then.
    """
    from kitpack.cli.notes import notes_on_standard_error

    context.with_resource(notes_on_standard_error(quiet=context.obj is True))


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: the one place where errors become text and exit codes."""
    arguments = list(sys.argv[1:] if args is None else args)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        quiet = bool({"-q", "--quiet"} & {*arguments})
        code = kitpack.main(arguments or ["--help"], prog_name="kitpack", standalone_mode=False, obj=quiet)
    except (KeyboardInterrupt, click.Abort):
        _leave_interrupted(as_json="--json" in arguments)
    except (click.ClickException, KitpackError, OSError) as error:
        from kitpack.cli.render import show_error

        failure = _as_failure(error, arguments)
        show_error(failure, as_json="--json" in arguments)
        code = failure.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def _leave_interrupted(*, as_json: bool) -> NoReturn:
    """End at once, without waiting for threads that wait for the network."""
    from kitpack.cli.render import show_error

    click.echo(err=True)  # the terminal has just shown ^C
    show_error(StoppedError("interrupted", hint="run the same command again to finish it"), as_json=as_json)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(StoppedError.exit_code)


def _as_failure(error: click.ClickException | KitpackError | OSError, arguments: Sequence[str]) -> KitpackError:
    if isinstance(error, KitpackError):
        return error
    if isinstance(error, click.ClickException):
        command = " ".join(["kitpack", *(word for word in arguments[:1] if word in _COMMANDS)])
        return UsageError(" ".join(error.format_message().split()), hint=f"{command} --help")
    place = f"{error.filename}: " if error.filename else ""
    return KitpackError(f"{place}{error.strerror or error}")
