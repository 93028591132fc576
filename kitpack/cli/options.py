"""Flags that several commands share, and the settings they add up to."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import click
from click.shell_completion import CompletionItem

from kitpack.errors import KitpackError
from kitpack.settings import Settings

__all__ = ["REFERENCE", "force_option", "json_option", "local_option", "quiet_option", "with_settings"]

P = ParamSpec("P")
R = TypeVar("R")
Command = Callable[P, R]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print nothing but the result.")
force_option = click.option("--force", is_flag=True, help="Move the tag even if it names other content.")
local_option = click.option("--local", is_flag=True, help="Look into the local store only.")


class _ReferenceType(click.ParamType[str]):
    """A reference; the shell completes the names in the local store."""

    name = "reference"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        from kitpack.content.layout import Layout

        try:
            names = list(Layout(Settings.from_env().home).tags())
        except (KitpackError, OSError):
            return []
        return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


REFERENCE = _ReferenceType()


def with_settings(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the flags about registries, and the settings from those and the environment."""

    @click.option("--plain-http", is_flag=True, help="Talk to the registry without TLS (loopback: always).")
    @click.option("--ca-file", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Authorities, PEM.")
    @click.option("--client-cert", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="PEM.")
    @click.option("--client-key", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="PEM.")
    @click.option("--jobs", type=click.IntRange(1, 64), help="Blobs moved at the same time (default 4).")
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
