"""Flags that several commands share, and the settings they add up to."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from kitpack.errors import KitpackError
from kitpack.settings import Settings

__all__ = [
    "FOLDER_OR_REFERENCE",
    "REFERENCE",
    "force_option",
    "json_option",
    "kitfile_option",
    "local_option",
    "quiet_option",
    "referrers_option",
    "symlinks_option",
    "with_registry",
    "with_settings",
]

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

R = TypeVar("R")

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
referrers_option = click.option("--referrers", is_flag=True, help="Bring along what refers to it, such as signatures.")


if TYPE_CHECKING:
    _Text = click.ParamType[str]
else:
    _Text = click.ParamType  # generic in new versions of click alone


class _ReferenceType(_Text):
    """A reference; the shell completes the names in the local store, and folders where those are welcome."""

    name = "reference"

    def __init__(self, *, folders: bool = False) -> None:
        self._folders = folders

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The names that begin with what was typed."""
        from click.shell_completion import CompletionItem

        from kitpack.content.store.layout import Layout

        try:
            names = sorted(Layout(Settings.from_env().home).tags())
        except (KitpackError, OSError):  # a shell that waits for completions has no use for errors
            names = []
        found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return [*found, CompletionItem(incomplete, type="dir")] if self._folders else found


REFERENCE = _ReferenceType()
FOLDER_OR_REFERENCE = _ReferenceType(folders=True)

_PEM = click.Path(path_type=Path, dir_okay=False, exists=True)


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
