"""Commands about prompts: list, show, render, lint, tokens."""

from __future__ import annotations

from importlib import import_module

import click

from kitpack.errors import UsageError

__all__ = ["prompt_command"]

_COMMANDS = {
    "list": ("promptview", "list the prompts of a bundle, a folder or a file"),
    "show": ("promptview", "show one prompt: what it says, its variables, its model"),
    "render": ("promptrender", "fill a prompt with values and print its messages"),
    "run": ("prompt_run", "ask a model what a prompt says"),
    "lint": ("promptlint", "find what is wrong with prompts"),
    "tokens": ("promptlint", "count the tokens of prompts, and how they changed"),
    "import": ("prompt_exchange", "write the prompts of another tool as files for a bundle"),
    "export": ("prompt_exchange", "write prompts as files of another tool"),
}


class _Commands(click.Group):
    """A group that knows its commands by name and loads them by need."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"kitpack.cli.{_COMMANDS[cmd_name][0]}")
        command = getattr(module, f"prompt_{cmd_name}_command")
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in _COMMANDS or args[0].startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from difflib import get_close_matches

        near = get_close_matches(args[0], _COMMANDS, n=1)
        hint = f"did you mean `kitpack prompt {near[0]}`?" if near else "kitpack prompt --help"
        raise UsageError(f"there is no command 'prompt {args[0]}'", hint=hint)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in _COMMANDS.items()])


@click.group("prompt", cls=_Commands)
def prompt_command() -> None:
    """Work on the prompts of a bundle, of a folder with a Kitfile or without one, or of a single file.

    \b
      kitpack prompt list samples/support-bot
      kitpack prompt show localhost:5000/team/assistant:1.4.0 triage
      kitpack prompt lint samples/support-bot/prompts/triage.md
    """
