"""Settings, and the only place that reads the environment.

====================  ==========================================================================
``KITPACK_HOME``      the local store; default: the platform's data folder
``KITPACK_REGISTRY``  where references without a host live remotely, e.g. ``localhost:5000/team``
``KITPACK_CA_FILE``   certificate authorities to trust, PEM
``KITPACK_CLIENT_CERT``, ``KITPACK_CLIENT_KEY``  a client certificate, PEM
``KITPACK_PLAIN_HTTP``  registries to talk to without TLS, separated by commas (loopback needs no mention)
``KITPACK_ACTOR``     who releases; default: the account of the CI system, else ``user@host``
``KITPACK_JOBS``      blobs moved at the same time; default 4
``DOCKER_CONFIG``     the folder of docker's ``config.json``; default ``~/.docker``
``REGISTRY_AUTH_FILE``  a further file of credentials, as podman and skopeo write it
``SOURCE_DATE_EPOCH``  seconds since 1970 to record as the time of packing; without it no time is recorded
``OPENAI_API_KEY``, ``ANTHROPIC_API_KEY``, ``DEEPSEEK_API_KEY``  keys of those who serve models
``OPENAI_BASE_URL``, ``ANTHROPIC_BASE_URL``, ``DEEPSEEK_BASE_URL``  where they are served, if not at home
``KITPACK_MODEL_KEY``  the key of a model's endpoint that a command or an application names by its address
====================  ==========================================================================

Proxy variables (``HTTPS_PROXY``, ``NO_PROXY``, …) are honoured by the HTTP library.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kitpack.errors import UsageError

__all__ = ["ModelAccess", "Secret", "Settings"]

_YEAR_9999 = 253402300799
_VENDORS = ("openai", "anthropic", "deepseek")


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """Text that must not be seen: printing it, formatting it or logging it shows a placeholder.

    Attributes:
        text: The secret itself; whoever reads it is about to send it.
    """

    text: str

    def __repr__(self) -> str:
        return "Secret(…)" if self.text else "Secret()"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAccess:
    """What the environment says about endpoints of models.

    Attributes:
        keys: Keys by vendor (``openai``, ``anthropic``, ``deepseek``); an empty name stands for whatever endpoint is
            named by its address.
        urls: Addresses by vendor, where they differ from the vendor's own.
        ca_file: Certificate authorities to trust instead of the system's, PEM.
    """

    keys: Mapping[str, Secret] = field(default_factory=dict, hash=False)
    urls: Mapping[str, str] = field(default_factory=dict, hash=False)
    ca_file: Path | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> ModelAccess:
        """Read keys and addresses from environment variables; unset and empty ones are left out."""
        keys = {vendor: environ.get(f"{vendor.upper()}_API_KEY", "").strip() for vendor in _VENDORS}
        keys[""] = environ.get("KITPACK_MODEL_KEY", "").strip()
        urls = {vendor: environ.get(f"{vendor.upper()}_BASE_URL", "").strip() for vendor in _VENDORS}
        return cls(
            keys={vendor: Secret(key) for vendor, key in keys.items() if key},
            urls={vendor: url for vendor, url in urls.items() if url},
            ca_file=_path(environ, "KITPACK_CA_FILE"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything about kitpack's surroundings that is not in a command.

    Attributes:
        home: The folder of the local store.
        registry: Registry and repository prefix of references without a host; empty for none.
        docker_config: Docker's configuration file; None when there is no home folder that it could be in.
        auth_file: A further file of credentials, or None.
        ca_file: Certificate authorities to trust instead of the system's, PEM.
        client_cert: A client certificate, PEM.
        client_key: Its key, PEM; None when it is in the same file.
        plain_http: Registries (``host:port``) to talk to without TLS; ``*`` stands for all.
        jobs: Blobs moved at the same time.
        actor: Who is named in release records.
        source_date_epoch: Seconds since 1970 to record as the time of packing.
        cache: Whether files need not be read again that nobody has changed since they were packed.
    """

    home: Path
    registry: str = ""
    docker_config: Path | None
    auth_file: Path | None = None
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    plain_http: frozenset[str] = frozenset()
    jobs: int = 4
    actor: str = ""
    source_date_epoch: int | None = None
    cache: bool = True

    @property
    def digests(self) -> Path | None:
        """Where the digests of packed files are remembered; None for nowhere."""
        return self.home / "digests" if self.cache else None

    @property
    def pins(self) -> Path:
        """Where the ends of release logs are remembered as they were seen."""
        return self.home / "pins"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings from environment variables.

        Raises:
            UsageError: When a variable that must be a number is not one, or the user's home folder is needed
                and there is none.
        """
        return cls(
            home=_path(environ, "KITPACK_HOME") or _data_folder(environ) / "kitpack",
            registry=environ.get("KITPACK_REGISTRY", "").strip().rstrip("/"),
            docker_config=_docker_config(environ),
            auth_file=_path(environ, "REGISTRY_AUTH_FILE"),
            ca_file=_path(environ, "KITPACK_CA_FILE"),
            client_cert=_path(environ, "KITPACK_CLIENT_CERT"),
            client_key=_path(environ, "KITPACK_CLIENT_KEY"),
            plain_http=frozenset(filter(None, environ.get("KITPACK_PLAIN_HTTP", "").replace(" ", "").split(","))),
            jobs=_number(environ, "KITPACK_JOBS", least=1, most=64) or 4,
            actor=_actor(environ),
            source_date_epoch=_number(environ, "SOURCE_DATE_EPOCH", least=0, most=_YEAR_9999),
        )


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name, "")
    try:
        return Path(value).expanduser() if value else None
    except RuntimeError:
        raise UsageError(
            f"{name}={value[:200]!r}: there is no such home folder", hint=f"write the whole path: export {name}=/DIR"
        ) from None


def _docker_config(environ: Mapping[str, str]) -> Path | None:
    folder = _path(environ, "DOCKER_CONFIG")
    home = None if folder else _user_folder()
    return folder / "config.json" if folder else home / ".docker" / "config.json" if home else None


def _user_folder() -> Path | None:
    """The user's home folder; None for a user without HOME and without an entry in the system's list."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _number(environ: Mapping[str, str], name: str, *, least: int, most: int) -> int | None:
    value = environ.get(name, "")
    if not value:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 12 or not least <= int(value) <= most:
        raise UsageError(f"{name}={value[:40]!r}: expected a whole number, {least} to {most}")
    return int(value)


def _actor(environ: Mapping[str, str]) -> str:
    """Who is at work: who they say they are, who the CI system says started it, or the user of this computer."""
    for name in ("KITPACK_ACTOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID"):
        if named := environ.get(name, "").strip():
            return named[:200]
    return f"{_user(environ)}@{platform.node() or 'localhost'}"[:200]


def _user(environ: Mapping[str, str]) -> str:
    import pwd

    try:
        return environ.get("USER") or environ.get("LOGNAME") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, a user needs no name
        return str(os.getuid())


def _data_folder(environ: Mapping[str, str]) -> Path:
    if sys.platform != "darwin" and (data := _path(environ, "XDG_DATA_HOME")):
        return data
    home = _user_folder()
    if home is None:
        raise UsageError(
            "there is no home folder, and KITPACK_HOME does not say where the local store is",
            hint="export KITPACK_HOME=/DIR",
        )
    return home / "Library" / "Application Support" if sys.platform == "darwin" else home / ".local" / "share"
