"""Files of credentials as docker and podman keep them, read with suspicion and written with care.

Spec by example: https://docs.docker.com/reference/cli/docker/login/ and containers-auth.json(5).
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from kitpack.content.registry.origin import is_docker_hub
from kitpack.errors import AuthError
from kitpack.oci.jsontext import Json, JsonObject, parse_object

__all__ = ["HUB_KEY", "AuthFile", "host_key", "server_name"]

HUB_KEY = "https://index.docker.io/v1/"
"""How docker's files and helpers have always called Docker Hub."""

_HUB = "docker.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthFile:
    """The content of such a file.

    Attributes:
        path: Where it is, or would be.
        content: All its members, also those kitpack does not know.
    """

    path: Path
    content: JsonObject

    @classmethod
    def read(cls, path: Path) -> AuthFile:
        """Read a file; one that does not exist is empty.

        Raises:
            AuthError: When it is not the JSON it should be.
        """
        try:
            raw = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raw = b""
        try:
            file = cls(path=path, content=parse_object(raw) if raw.strip() else {})
            file._check()
        except ValueError as error:
            raise AuthError(f"{path} cannot be read: {error}", hint="correct the file, or move it away") from None
        return file

    def _check(self) -> None:
        for name, kind in (("auths", dict), ("credHelpers", str)):
            members = self.content.get(name)
            if members is None:
                continue
            if not isinstance(members, dict) or not all(isinstance(member, kind) for member in members.values()):
                raise ValueError(f"{name} must be an object of {'objects' if kind is dict else 'strings'}")
        if not isinstance(self.content.get("credsStore") or "", str):
            raise ValueError("credsStore must be a string")

    @property
    def auths(self) -> dict[str, JsonObject]:
        """What is kept in the file itself, by normalised key; a key written plainly wins over one written as a URL."""
        entries = _members(self.content, "auths")
        plainest_last = sorted(entries, key=lambda key: key == host_key(key))
        return {host_key(key): entry for key in plainest_last if isinstance(entry := entries[key], dict)}

    @property
    def helpers(self) -> dict[str, str]:
        """The helpers for single hosts, by normalised key."""
        return {
            host_key(key): name for key, name in _members(self.content, "credHelpers").items() if isinstance(name, str)
        }

    @property
    def store(self) -> str:
        """The helper for all other hosts, or an empty string."""
        name = self.content.get("credsStore")
        return name if isinstance(name, str) else ""

    def helper_for(self, registry: str) -> str:
        """The helper that keeps a registry's credentials, or an empty string when the file does."""
        return self.helpers.get(host_key(registry)) or self.store

    def without(self, registry: str) -> AuthFile:
        """The same file without any entry of this registry, however its key is written."""
        kept = {
            key: entry for key, entry in _members(self.content, "auths").items() if host_key(key) != host_key(registry)
        }
        return replace(self, content={**self.content, "auths": kept})

    def with_entry(self, registry: str, entry: JsonObject) -> AuthFile:
        """The same file with this as the registry's only entry."""
        others = _members(self.without(registry).content, "auths")
        return replace(self, content={**self.content, "auths": {**others, server_name(registry): entry}})

    def write(self) -> None:
        """Replace the file in one step, readable by its owner alone; a link to it stays a link."""
        import tempfile  # late: whoever only reads needs none of it

        target = self.path.resolve()
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps(self.content, indent="\t", ensure_ascii=False) + "\n"
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
        _sync_folder(target.parent)


def host_key(key: str) -> str:
    """The one spelling of a key: ``https://host/v1/`` is ``host``, and every name of Docker Hub is ``docker.io``."""
    scheme, separator, rest = key.partition("://")
    place = rest.partition("/")[0] if separator else scheme.rstrip("/").removesuffix("/v1").removesuffix("/v2")
    host, slash, path = place.partition("/")
    return (_HUB if is_docker_hub(host) else host) + slash + path


def server_name(registry: str) -> str:
    """What docker calls a registry towards helpers and in its file."""
    return HUB_KEY if is_docker_hub(registry) else registry


def _members(content: JsonObject, name: str) -> dict[str, Json]:
    members = content.get(name)
    return members if isinstance(members, dict) else {}


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
