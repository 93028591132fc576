"""The command line: the only room that prints, asks and exits.

Commands are loaded when they are called, so that ``kitpack --help`` starts as fast as click does.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from kitpack._version import __version__
from kitpack.errors import KitfileError, KitpackError

__all__ = ["kitpack", "main"]

_COMMANDS = {
    "init": ("author", "draft a Kitfile from what is in a folder"),
    "check": ("author", "find everything that is wrong with a Kitfile or a bundle"),
    "pack": ("author", "build a bundle into the local store"),
    "push": ("transfer", "send a bundle, or a folder packed on the way, to a registry"),
    "pull": ("transfer", "fetch a bundle into the local store"),
    "unpack": ("transfer", "write the files of a bundle into a folder"),
    "copy": ("transfer", "copy a bundle between stores, layouts and registries"),
    "inspect": ("view", "show a bundle: Kitfile, layers, and every prompt in full"),
    "diff": ("view", "compare two bundles: prompts line by line, files, sizes"),
    "list": ("view", "list bundles in the local store or a repository"),
    "tag": ("store", "give a bundle a further name"),
    "remove": ("store", "remove a name"),
    "gc": ("store", "delete content that nothing names any more"),
    "verify": ("store", "prove that a store, a bundle or an unpacked folder is intact"),
    "login": ("access", "keep a registry's credentials where docker does"),
    "logout": ("access", "forget a registry's credentials"),
    "completion": ("access", "print a shell completion script"),
}


class _Commands(click.Group):
    """A group that knows its commands by name and loads them by need."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"kitpack.cli.{_COMMANDS[cmd_name][0]}")
        command = getattr(module, f"{cmd_name}_command")
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from difflib import get_close_matches

        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], _COMMANDS, n=1)
            if near and "Did you mean" not in error.message:
                raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in _COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kitpack", message="%(prog)s %(version)s")
def kitpack() -> None:
    """A model and its prompts as one OCI artifact.

    Packed, pushed, inspected and rolled back together. A reference is NAME:TAG in the local store, HOST/NAME:TAG in
    a registry, or oci:DIR:TAG in an OCI image layout anywhere; @sha256:... instead of :TAG names exact content.
    """


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: the one place where errors become text and exit codes."""
    arguments = list(sys.argv[1:] if args is None else args)
    try:
        kitpack.main(arguments, prog_name="kitpack", standalone_mode=False)
        code = 0
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("\ninterrupted; the same command goes on where this one stopped", err=True)
        _leave(130)
    except BrokenPipeError:
        _leave(141)
    except KitpackError as error:
        _show(error, as_json="--json" in arguments)
        code = error.exit_code
    except OSError as error:
        _show(KitpackError(_system_message(error)), as_json="--json" in arguments)
        code = 1
    sys.exit(code)


def _leave(code: int) -> NoReturn:
    """End without waiting for threads that wait for the network."""
    sys.stderr.flush()
    os._exit(code)


def _show(error: KitpackError, *, as_json: bool) -> None:
    issues = error.issues if isinstance(error, KitfileError) else ()
    if as_json:
        value = {
            "error": {
                "type": type(error).__name__,
                "message": error.message,
                "hint": error.hint,
                "issues": [
                    {name: getattr(issue, name) for name in ("path", "line", "column", "message", "hint", "severity")}
                    for issue in issues
                ],
            }
        }
        click.echo(json.dumps(value, ensure_ascii=False, indent=2))
        return
    for issue in issues:
        click.echo(str(issue), err=True)
    click.echo(click.style("error: ", fg="red", bold=True) + error.message, err=True)
    if error.hint:
        click.echo(click.style("  try: ", fg="cyan") + error.hint, err=True)


def _system_message(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
