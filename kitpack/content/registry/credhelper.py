"""Credential helpers: programs named ``docker-credential-…`` that keep secrets for docker and its relatives.

Protocol: https://github.com/docker/docker-credential-helpers#development
"""

from __future__ import annotations

import re

from kitpack.content.registry.failures import tidied
from kitpack.errors import AuthError
from kitpack.oci.jsontext import encode, parse_object

__all__ = ["ask_helper", "erase_from_helper", "store_in_helper"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NOT_FOUND = "credentials not found in native keychain"
_PATIENCE = 120.0  # seconds; a helper may have to ask its user to unlock something


def ask_helper(helper: str, server: str) -> tuple[str, str] | None:
    """Ask for the user name and secret of a server; None when the helper has none.

    Raises:
        AuthError: When the helper is missing, fails, or answers what nobody understands.
    """
    answer = _run(helper, "get", server)
    if answer is None:
        return None
    try:
        value = parse_object(answer.encode())
    except ValueError as error:
        raise AuthError(f"docker-credential-{helper} answered what is not JSON: {error}") from None
    username, secret = value.get("Username"), value.get("Secret")
    if not isinstance(username, str) or not isinstance(secret, str):
        raise AuthError(f"docker-credential-{helper} answered without Username and Secret")
    return (username, secret) if username or secret else None


def store_in_helper(helper: str, server: str, username: str, secret: str) -> None:
    """Let the helper keep a secret.

    Raises:
        AuthError: When the helper is missing or fails.
    """
    _run(helper, "store", encode({"ServerURL": server, "Username": username, "Secret": secret}).decode())


def erase_from_helper(helper: str, server: str) -> bool:
    """Let the helper forget a server; whether it knew it, as far as it says.

    Raises:
        AuthError: When the helper is missing or fails.
    """
    return _run(helper, "erase", server) is not None


def _run(helper: str, verb: str, text: str) -> str | None:
    import shutil  # late, as the next: few have a helper
    import subprocess

    program = f"docker-credential-{helper}"
    path = shutil.which(program) if _NAME.fullmatch(helper) else None
    if path is None:
        raise AuthError(
            f"the credential helper {program!r} is not on PATH",
            hint="install it, or remove credsStore or credHelpers from docker's config.json",
        )
    try:
        done = subprocess.run(  # noqa: S603 - the user's own configuration names it
            [path, verb], input=text.encode(), capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AuthError(f"{program} {verb}: {error}") from None
    if done.returncode == 0:
        return done.stdout.decode("utf-8", "replace")
    said = (done.stdout + b" " + done.stderr).decode("utf-8", "replace")  # helpers complain on either
    if _NOT_FOUND in said:
        return None
    raise AuthError(f"{program} {verb} failed: {tidied(said) or f'exit status {done.returncode}'}")
