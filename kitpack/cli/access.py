"""Commands about who you are, and about your shell: login, logout, completion."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from kitpack.cli.options import json_option, quiet_option, with_registry, with_settings
from kitpack.cli.render import print_json, say
from kitpack.errors import AuthError, UsageError
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.content.registry.credentials import Credential

__all__ = ["completion_command", "login_command", "logout_command"]


@click.command("login")
@click.argument("registry", metavar="HOST")
@click.option("-u", "--username", metavar="NAME", default="", help="Asked for when missing.")
@click.option("--password-stdin", is_flag=True, help="Read the password, or token, from standard input.")
@click.option("--identity-token", is_flag=True, help="What is given is an identity token, not a password.")
@json_option
@quiet_option
@with_registry
def login_command(
    registry: str,
    *,
    username: str,
    password_stdin: bool,
    identity_token: bool,
    as_json: bool,
    quiet: bool,
    settings: Settings,
) -> None:
    """Try credentials at a registry, then keep them where docker keeps them.

    That is the credential helper of docker's configuration, or its file. The password is never an argument: it would
    be seen by everybody on the machine.

    \b
      echo "$TOKEN" | kitpack login registry.example -u ci --password-stdin
    """
    from kitpack.content.registry.credentials import Credential, store
    from kitpack.places import registry_of

    host = registry_of(registry)
    if not username and not identity_token:
        username = _ask("Username", host, possible=not password_stdin)
    secret = _secret(host, from_stdin=password_stdin)
    credential = Credential(
        username=username,
        password="" if identity_token else secret,
        identity_token=secret if identity_token else "",
    )
    _try_out(host, credential, settings)
    store(settings, host, credential)
    if as_json:
        print_json({"registry": host, "username": username or None})
    say(f"logged in to {host}", quiet=quiet or as_json)


@click.command("logout")
@click.argument("registry", metavar="HOST")
@json_option
@quiet_option
@with_settings
def logout_command(registry: str, *, as_json: bool, quiet: bool, settings: Settings) -> None:
    """Forget the credentials of a registry."""
    from kitpack.content.registry.credentials import erase
    from kitpack.places import registry_of

    host = registry_of(registry)
    known = erase(settings, host)
    if as_json:
        print_json({"registry": host, "removed": known})
    say(f"logged out of {host}" if known else f"there were no credentials for {host}", quiet=quiet or as_json)


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print a completion script for your shell.

    \b
      ~/.bashrc:                   eval "$(kitpack completion bash)"
      ~/.zshrc:                    eval "$(kitpack completion zsh)"
      ~/.config/fish/config.fish:  kitpack completion fish | source
    """
    from kitpack.cli.completion import script

    click.echo(script(shell))


def _ask(what: str, host: str, *, possible: bool = True, hidden: bool = False) -> str:
    """Ask the person in front of the terminal, if there is one."""
    if not possible or not sys.stdin.isatty():
        raise UsageError(
            f"there is nobody to ask for the {what.lower()}",
            hint=f'echo "$TOKEN" | kitpack login {host} -u NAME --password-stdin',
        )
    return str(click.prompt(what, hide_input=hidden, err=True))


def _secret(host: str, *, from_stdin: bool) -> str:
    secret = sys.stdin.read().strip("\r\n") if from_stdin else _ask("Password", host, hidden=True)
    if not secret:
        raise UsageError("the password is empty", hint="is the variable set that it comes from?")
    return secret


def _try_out(host: str, credential: Credential, settings: Settings) -> None:
    """Make sure that the registry lets these credentials in, before they replace what is stored.

    Raises:
        AuthError: When it does not.
        RegistryError: When it cannot be asked.
    """
    from kitpack.content.registry.repository import Repository
    from kitpack.content.registry.transport import Transport

    transport = Transport(host, settings, credential=credential)
    with Repository(host, "library/ping", settings, transport=transport) as repository:
        try:
            repository.ping()
        except AuthError as error:
            raise AuthError(
                f"{host} does not accept these credentials: {error.message}",
                hint="check name and password; many registries want an access token instead of the password",
                status=error.status,
                codes=error.codes,
            ) from None
