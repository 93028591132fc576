"""Commands about who you are, and about your shell: login, logout, completion."""

from __future__ import annotations

import sys

import click

from kitpack.cli.options import quiet_option, with_settings
from kitpack.errors import UsageError
from kitpack.settings import Settings

__all__ = ["completion_command", "login_command", "logout_command"]


@click.command("login")
@click.argument("registry", metavar="HOST")
@click.option("-u", "--username", default="", help="Asked for when missing.")
@click.option("--password-stdin", is_flag=True, help="Read the password, or token, from standard input.")
@click.option("--identity-token", is_flag=True, help="What is given is an identity token, not a password.")
@quiet_option
@with_settings
def login_command(
    registry: str,
    *,
    username: str,
    password_stdin: bool,
    identity_token: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Try credentials at a registry, then keep them where docker keeps them.

    That is the credential helper of docker's configuration, or its file. The password is never an argument: it would
    be seen by everybody on the machine.

    \b
      echo "$TOKEN" | kitpack login registry.example -u ci --password-stdin
    """
    from kitpack.content.credentials import Credential, store
    from kitpack.places import registry_of

    if not username and not identity_token:
        if password_stdin:
            raise UsageError("with --password-stdin the name cannot be asked for", hint="add -u NAME")
        username = click.prompt("Username", err=True)
    secret = sys.stdin.read().strip("\r\n") if password_stdin else click.prompt("Password", hide_input=True, err=True)
    if not secret:
        raise UsageError("the password is empty")
    credential = Credential(
        username=username,
        password="" if identity_token else secret,
        identity_token=secret if identity_token else "",
    )
    host = registry_of(registry)
    _try_out(host, credential, settings)
    store(settings, host, credential)
    if not quiet:
        click.echo(f"logged in to {host}")


@click.command("logout")
@click.argument("registry", metavar="HOST")
@quiet_option
@with_settings
def logout_command(registry: str, *, quiet: bool, settings: Settings) -> None:
    """Forget the credentials of a registry."""
    from kitpack.content.credentials import erase
    from kitpack.places import registry_of

    host = registry_of(registry)
    known = erase(settings, host)
    if not quiet:
        click.echo(f"logged out of {host}" if known else f"there were no credentials for {host}")


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print a completion script for your shell.

    \b
      bash: eval "$(kitpack completion bash)"        (in ~/.bashrc)
      zsh:  eval "$(kitpack completion zsh)"         (in ~/.zshrc)
      fish: kitpack completion fish | source         (in ~/.config/fish/config.fish)
    """
    from click.shell_completion import get_completion_class

    from kitpack.cli import kitpack

    completion = get_completion_class(shell)
    if completion is None:
        raise UsageError(f"there is no completion for {shell}")
    click.echo(completion(kitpack, {}, "kitpack", "_KITPACK_COMPLETE").source())


def _try_out(host: str, credential: object, settings: Settings) -> None:
    raise NotImplementedError
