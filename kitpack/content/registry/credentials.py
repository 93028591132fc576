"""Credentials: found where docker and podman keep them, and kept there. The only importer of ``oras``.

oras-py knows how docker looks for credentials: inline ones, then the host's helper, then the general one, each under
every name of this machine. What it does not know is added here: tokens, keys written as URLs or with a repository
(as podman writes them), and helpers that fail aloud.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kitpack.content.registry.authfile import AuthFile, host_key, server_name
from kitpack.content.registry.credhelper import ask_helper, erase_from_helper, store_in_helper
from kitpack.errors import AuthError, UsageError
from kitpack.oci.jsontext import JsonObject
from kitpack.settings import Settings

__all__ = ["Credential", "erase", "find", "store"]

_TOKEN_USER = "<token>"  # noqa: S105 - what helpers call the owner of an identity token


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What proves to a registry who is asking.

    Attributes:
        username: The name to log in with.
        password: Its password, or a token used like one.
        identity_token: A refresh token, for the token server alone.
        registry_token: A finished token, for the registry itself.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.username or self.identity_token or self.registry_token)


def find(settings: Settings, registry: str, repository: str = "") -> Credential | None:
    """Find the credentials of a registry.

    Args:
        settings: Say which files to look into; docker's comes first.
        registry: Host and port.
        repository: The repository they are needed for: keys that name it, or a prefix of it, win over the host's.

    Raises:
        AuthError: When a file or a helper that should know cannot be used. Going on without a login would only
            hide that.
    """
    keys = _keys(registry, repository)
    for path in filter(None, (settings.docker_config, settings.auth_file)):
        found = _find_in(AuthFile.read(path), keys)
        if found:
            return found
    return None


def store(settings: Settings, registry: str, credential: Credential) -> None:
    """Keep credentials: in the helper that docker's configuration names, else in that file.

    Raises:
        AuthError: When the file is broken (it is left alone) or the helper fails.
        UsageError: When nothing says where the file is.
    """
    if settings.docker_config is None:
        raise UsageError("there is no home folder for docker's configuration", hint="export DOCKER_CONFIG=/DIR")
    file = AuthFile.read(settings.docker_config)
    helper = file.helper_for(registry)
    if helper and not credential.registry_token:
        username = _TOKEN_USER if credential.identity_token else credential.username
        store_in_helper(helper, server_name(registry), username, credential.identity_token or credential.password)
    file.with_entry(registry, {} if helper and not credential.registry_token else _entry_of(credential)).write()


def erase(settings: Settings, registry: str) -> bool:
    """Forget the credentials of a registry wherever they are kept; whether there were any.

    Raises:
        AuthError: When a file is broken (it is left alone) or a helper fails.
    """
    known = False
    for path in filter(None, (settings.docker_config, settings.auth_file)):
        file = AuthFile.read(path)
        if host_key(registry) in file.auths:
            file.without(registry).write()
            known = True
        if helper := file.helper_for(registry):
            known = erase_from_helper(helper, server_name(registry)) or known
    return known


def _keys(registry: str, repository: str) -> list[str]:
    host = host_key(registry)
    parts = [part for part in repository.split("/") if part]
    return ["/".join([host, *parts[:count]]) for count in range(len(parts), -1, -1)]


def _find_in(file: AuthFile, keys: list[str]) -> Credential | None:
    if not (file.auths or file.helpers or file.store):
        return None  # and oras-py, which is slow to import, is not needed
    for key in keys:
        found = _reader(file).find(key)
        if found:
            return found
    return None


class _Reader(Protocol):
    def find(self, key: str) -> Credential | None: ...


def _reader(file: AuthFile) -> _Reader:
    """oras-py's search through one file, taught what it does not know."""
    import oras.utils
    from oras.auth.base import AuthBackend
    from oras.auth.utils import get_basic_auth

    class Reader(AuthBackend):  # type: ignore[misc]  # oras-py has no types
        def find(self, key: str) -> Credential | None:
            general = file.store if "/" not in key else ""  # helpers know hosts, not repositories
            self._auth_config = {"auths": file.auths, "credHelpers": file.helpers, "credsStore": general}
            self._identity_token = ""
            for name in oras.utils.iter_localhosts(key):
                entry = file.auths.get(name, {})
                if found := _tokens_of(entry, file.path):
                    return found
                if self._load_auth(name):
                    return _credential(self._basic_auth, self._identity_token, file.path)
            return None

        def _get_auth_from_creds_store(self, suffix: str, hostname: str) -> str | None:
            answer = ask_helper(suffix, server_name(hostname))
            if answer is None:
                return None
            username, secret = answer
            self._identity_token = secret if username == _TOKEN_USER else ""
            return str(get_basic_auth(username, secret))

    reader: _Reader = Reader()
    return reader


def _tokens_of(entry: JsonObject, path: Path) -> Credential | None:
    """What stands in an entry beside the ``auth`` that oras-py reads."""
    username, password, identity, finished = (
        _text(entry, name, path) for name in ("username", "password", "identitytoken", "registrytoken")
    )
    if identity and not username and (auth := _text(entry, "auth", path)):
        username = _credential(auth, "", path).username
    found = Credential(username=username, password=password, identity_token=identity, registry_token=finished)
    return found if identity or finished or (username and password) else None


def _credential(auth: str, identity_token: str, path: Path) -> Credential:
    if identity_token:
        return Credential(identity_token=identity_token)
    try:
        username, colon, password = b64decode(auth, validate=True).decode().rstrip("\0").partition(":")
    except (ValueError, TypeError):
        colon = username = password = ""
    if not colon or not username:
        raise AuthError(
            f"{path}: an auth member is not base64 of USER:PASSWORD", hint="log in again: kitpack login HOST"
        )
    return Credential(username=username, password=password)


def _entry_of(credential: Credential) -> JsonObject:
    entry: JsonObject = {}
    if credential.username:
        entry["auth"] = b64encode(f"{credential.username}:{credential.password}".encode()).decode("ascii")
    if credential.identity_token:
        entry["identitytoken"] = credential.identity_token
    if credential.registry_token:
        entry["registrytoken"] = credential.registry_token
    return entry


def _text(entry: JsonObject, name: str, path: Path) -> str:
    value = entry.get(name) or ""
    if not isinstance(value, str):
        raise AuthError(f"{path}: {name} must be a string")
    return value
