"""A group of commands that knows them by name, and loads the one that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click

from kitpack.errors import UsageError

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A group whose commands are loaded by need: start-up is what a user waits for each time."""

    above = ""
    """The words between ``kitpack`` and the names of its commands."""

    table: Mapping[str, tuple[str, str]] = {}
    """Its commands: for each name the module in this package, and what it does in a few words."""

    meant: Mapping[str, str] = {}
    """What commands are called elsewhere."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """See :class:`click.Group`."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """See :class:`click.Group`; the function of ``kitpack prompt list`` is called ``prompt_list_command``."""
        if cmd_name not in self.table:
            return None
        module = import_module(f"kitpack.cli.{self.table[cmd_name][0]}")
        command = getattr(module, f"{self._path(cmd_name).replace(' ', '_')}_command")
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See :class:`click.Group`; what is no command is told with the one that was probably meant."""
        name = args[0]
        if name in self.table or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from difflib import get_close_matches

        near = [self.meant[name]] if name in self.meant else get_close_matches(name, self.table, n=1)
        hint = f"did you mean `kitpack {self._path(near[0])}`?" if near else f"kitpack {self._path('--help')}"
        raise UsageError(f"there is no command {self._path(name)!r}", hint=hint)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """See :class:`click.Group`; the words are those of the table, so that nothing need be loaded."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in self.table.items()])

    def _path(self, name: str) -> str:
        return f"{self.above} {name}".strip()
