"""Flags that several commands share, and the settings they add up to."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import click

from kitpack.cli.types import FOLDER_OR_REFERENCE
from kitpack.errors import UsageError
from kitpack.settings import Settings

__all__ = [
    "against_option",
    "cache_option",
    "force_option",
    "json_option",
    "kitfile_option",
    "lint_option",
    "local_option",
    "name_option",
    "one_name",
    "quiet_option",
    "referrers_option",
    "symlinks_option",
    "with_registry",
    "with_settings",
]

R = TypeVar("R")

name_option = click.option("--prompt", metavar="NAME", help="The same as NAME.")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines, errors too.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print nothing but the result.")
force_option = click.option("--force", is_flag=True, help="Move the tag even if it names other content.")
local_option = click.option("--local", is_flag=True, help="Look into the local store only.")
symlinks_option = click.option("--follow-symlinks", is_flag=True, help="Follow links to folders and out of DIR.")
kitfile_option = click.option(
    "-f",
    "--file",
    "kitfile",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The Kitfile, if it is not in DIR.",
)
lint_option = click.option(
    "--no-lint", "lint", is_flag=True, flag_value=False, default=True, help="Pack prompts with errors, too."
)
cache_option = click.option(
    "--no-cache", "cache", is_flag=True, flag_value=False, default=True, help="Read files that were packed before, too."
)
against_option = click.option(
    "--against",
    metavar="REF|DIR",
    type=FOLDER_OR_REFERENCE,
    help="The version before: what was changed needs a changelog.",
)
referrers_option = click.option("--referrers", is_flag=True, help="Bring along what refers to it, such as signatures.")


_PEM = click.Path(path_type=Path, dir_okay=False, exists=True)


def one_name(argument: str | None, option: str | None) -> str:
    """The name of a prompt, from its argument or its flag; empty when neither is given.

    Raises:
        UsageError: When they differ.
    """
    if argument and option and argument != option:
        raise UsageError(f"which prompt is meant, {argument} or {option}?", hint="name one")
    return argument or option or ""


def with_settings(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command that stays on this machine the settings of the environment."""

    @functools.wraps(command)
    def with_environment(*args: object, **kwargs: object) -> R:
        return command(*args, settings=Settings.from_env(), **kwargs)

    return with_environment


def with_registry(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the flags about registries, and the settings from those and the environment."""

    @click.option("--plain-http", is_flag=True, help="Speak to the registry without TLS.")
    @click.option("--ca-file", metavar="PEM", type=_PEM, help="Trust these certificate authorities.")
    @click.option("--client-cert", metavar="PEM", type=_PEM, help="Show this certificate to the registry.")
    @click.option("--client-key", metavar="PEM", type=_PEM, help="The key of that certificate.")
    @click.option("--jobs", metavar="N", type=click.IntRange(1, 64), help="Pieces moved at the same time (default 4).")
    @functools.wraps(command)
    def with_flags(
        *args: object,
        plain_http: bool,
        ca_file: Path | None,
        client_cert: Path | None,
        client_key: Path | None,
        jobs: int | None,
        **kwargs: object,
    ) -> R:
        settings = Settings.from_env()
        settings = replace(
            settings,
            plain_http=frozenset({"*"}) if plain_http else settings.plain_http,
            ca_file=ca_file or settings.ca_file,
            client_cert=client_cert or settings.client_cert,
            client_key=client_key or settings.client_key,
            jobs=jobs or settings.jobs,
        )
        return command(*args, settings=settings, **kwargs)

    return with_flags
