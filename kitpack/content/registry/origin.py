"""Origins: which addresses are the same place, so that credentials stay in it.

An origin is scheme, host and port together. Whatever a registry hands out (a redirect, an upload location, the next
page, a token realm) is read here first, because two URL parsers that disagree about the host are a way to steal
credentials.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urljoin, urlsplit

from kitpack.errors import RegistryError

__all__ = ["Origin", "absolute", "api_host", "ip_literal", "is_docker_hub", "is_loopback", "is_private", "shown"]

DOCKER_HUB = "docker.io"
_HUB_HOSTS = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
_PORTS = {"http": 80, "https": 443}
_ODD = re.compile(r"[^\x21-\x7e]|[\\<>\"^`{|}]")
_TAIL = re.compile(r"[?#]")
_USER = re.compile(r"[^/\\]*@")
_NUMERIC_HOST = re.compile(r"(?:0x[0-9a-f]+|[0-9]+)(?:\.(?:0x[0-9a-f]+|[0-9]+)){0,3}", re.IGNORECASE)

_Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a URL leads.

    Attributes:
        scheme: ``http`` or ``https``.
        host: The host name or address, in lower case, without brackets.
        port: The port, also when the URL leaves it out.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Read the origin of an absolute URL.

        Raises:
            RegistryError: When it is not http or https, names a user, or is written so that parsers may disagree.
        """
        if _ODD.search(url):
            raise RegistryError(f"{shown(url)!r} holds characters that no URL has")
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:  # whose text may repeat what must not be shown
            raise RegistryError(f"{shown(url)!r} is not a URL") from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise RegistryError(f"{shown(url)!r}: expected an address that starts with https:// or http://")
        if "@" in parts.netloc:
            raise RegistryError(f"{shown(url)}: an address with a user name in it is refused")
        return cls(parts.scheme, parts.hostname.rstrip("."), port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port != _PORTS[self.scheme] else "")


def absolute(base: str, location: str) -> str:
    """Resolve an address that a server gave, as it may be relative to what was asked.

    Raises:
        RegistryError: When it is no address kitpack follows, or leads from https to http.
    """
    try:
        url = urljoin(base, location.strip())
    except ValueError:
        raise RegistryError(f"{shown(location)!r} is not a URL") from None
    here, there = Origin.of(base), Origin.of(url)
    if here.scheme == "https" and there.scheme == "http":
        raise RegistryError(
            f"{shown(base)} leads to {shown(url)}, from https to http, which is refused",
            hint="the registry or the proxy before it announces the wrong scheme; its operator has to correct it",
        )
    return url


def shown(url: str) -> str:
    """The URL as it may stand in a message: without user and query, where secrets live. It may be no URL at all."""
    place = _TAIL.split(url, maxsplit=1)[0]
    scheme, separator, rest = place.partition("://")
    host, slash, path = rest.partition("/")
    if separator and "@" not in scheme:
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"[:300]
    return _USER.sub("", place)[:300]


def api_host(registry: str) -> str:
    """The host that serves a registry's API: Docker Hub's is not the one in its references."""
    return "registry-1.docker.io" if registry in _HUB_HOSTS else registry


def is_docker_hub(registry: str) -> bool:
    """Whether this is one of the names of Docker Hub."""
    return registry in _HUB_HOSTS


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, whatever way its address is written."""
    address = ip_literal(host)
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost") if address is None else address.is_loopback


def is_private(host: str) -> bool:
    """Whether the host is written as an address that only this machine or its network knows."""
    address = ip_literal(host)
    return is_loopback(host) if address is None else not address.is_global


def ip_literal(host: str) -> _Address | None:
    """The address a host is written as, also in the forms only the C library knows, such as ``0x7f.1``."""
    text = host.strip("[]").partition("%")[0].rstrip(".")
    try:
        address: _Address = ipaddress.ip_address(text)
    except ValueError:
        return _numeric(text)
    return getattr(address, "ipv4_mapped", None) or address


def _numeric(text: str) -> _Address | None:
    if not _NUMERIC_HOST.fullmatch(text):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except OSError:
        return None
