"""Commands about prompts: list, show, render, run, lint, tokens, import, export."""

from __future__ import annotations

import click

from kitpack.cli.lazy import LazyGroup

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


class _Commands(LazyGroup):
    """The commands about prompts."""

    above = "prompt"
    table = _COMMANDS


@click.group("prompt", cls=_Commands)
def prompt_command() -> None:
    """Work on the prompts of a bundle, of a folder with a Kitfile or without one, or of a single file.

    \b
      kitpack prompt list samples/support-bot
      kitpack prompt show localhost:5000/team/assistant:1.4.0 triage
      kitpack prompt lint samples/support-bot/prompts/triage.md
    """
