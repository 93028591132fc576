"""Who is asked: the address of an endpoint, the API it speaks, and the key it wants.

The address and the key come from the application, the command line or the environment. Nothing in a bundle can choose
either. A key is only ever sent to the place it belongs to: a vendor's key goes to the vendor, or to where
``…_BASE_URL`` says that the vendor is served; an endpoint named by its address gets the key it was given, or
``KITPACK_MODEL_KEY``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from kitpack.content.registry.origin import is_loopback
from kitpack.errors import ModelAuthError, UsageError
from kitpack.settings import ModelAccess, Secret

__all__ = ["Kind", "Provider", "Retries", "Timeouts", "TokenLimit", "origin_of", "provider", "shown"]

_log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["openai", "anthropic"]
"""The API an endpoint speaks: OpenAI's chat completions, or Anthropic's messages."""

TokenLimit: TypeAlias = Literal["max_tokens", "max_completion_tokens"]
"""What an endpoint of OpenAI's API calls the limit of the answer's length."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_PORTS = {"http": 80, "https": 443}
_OURS = frozenset({"authorization", "x-api-key", "host", "content-length", "transfer-encoding", "accept-encoding"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait, in seconds.

    Attributes:
        connect: For a connection.
        read: For the next bytes of the answer; a model that thinks sends nothing for minutes.
        total: For everything: all tries, the waiting between them, and the whole answer. An answer that keeps
            arriving is given up when this has passed; one that stalls just before it ends after ``read`` at the latest.
    """

    connect: float = 10.0
    read: float = 300.0
    total: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often to try again what was refused for the moment (429, 5xx) or never connected.

    Attributes:
        tries: The number of tries in all; 1 never tries again.
        first: Seconds to wait after the first failure, doubled after each further one, and varied by a quarter so
            that clients thrown out together do not return together.
        longest: The longest such wait. What an endpoint asks for in ``Retry-After`` may be longer.
        patience: The longest ``Retry-After`` that is waited for, in seconds; a longer one ends the call at once.
    """

    tries: int = 4
    first: float = 0.5
    longest: float = 8.0
    patience: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An endpoint, and how to talk to it. Made by :func:`provider`.

    Attributes:
        name: What telemetry calls it: ``openai``, ``anthropic``, ``deepseek``, or the host.
        kind: The API it speaks.
        base_url: Its address, without a slash at the end.
        key: The key it wants; empty for none.
        key_from: The environment variable to look at when the key is not accepted, or an empty string.
        headers: Further headers of every request; they may be as secret as the key, and are never shown.
        timeouts: How long to wait.
        retries: How often to try again.
        token_limit: What OpenAI's API calls the limit of the answer's length. Its reasoning models take
            ``max_completion_tokens`` only, and most compatible servers ``max_tokens`` only.
        answer_limit: The largest answer that is read, in bytes.
        ca_file: Certificate authorities to trust instead of the system's, PEM.
    """

    name: str
    kind: Kind
    base_url: str
    key: Secret = field(default=Secret(""))
    key_from: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    token_limit: TokenLimit = "max_tokens"  # noqa: S105 - the name of a parameter
    answer_limit: int = 32 << 20
    ca_file: Path | None = None

    @property
    def tells_its_key(self) -> bool:
        """Whether the key goes over a network without TLS, where others can read it."""
        scheme, host, _ = origin_of(self.base_url)
        return bool(self.key) and scheme == "http" and not is_loopback(host)


@dataclass(frozen=True, slots=True)
class _Vendor:
    kind: Kind
    base_url: str
    key_from: str


_VENDORS = {
    "openai": _Vendor("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    "anthropic": _Vendor("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    "deepseek": _Vendor("openai", "https://api.deepseek.com", "DEEPSEEK_API_KEY"),
}


def provider(
    name: str,
    *,
    kind: Kind | None = None,
    key: str | Secret | None = None,
    headers: Mapping[str, str] | None = None,
    timeouts: Timeouts = Timeouts(),
    retries: Retries = Retries(),
    token_limit: TokenLimit = "max_tokens",  # noqa: S107 - the name of a parameter
    access: ModelAccess | None = None,
) -> Provider:
    """Say who is asked.

    Args:
        name: ``openai``, ``anthropic``, ``deepseek``, or the address of an endpoint: ``http://localhost:8080/v1``.
        kind: The API an address speaks, if it is not OpenAI's.
        key: Its key, instead of the one in the environment. An empty string sends none.
        headers: Further headers of every request.
        timeouts: How long to wait.
        retries: How often to try again.
        token_limit: What OpenAI's API calls the limit of the answer's length there.
        access: What the environment says, if it was read already.

    Raises:
        UsageError: When it is neither a known name nor an address, or a header or key cannot be sent.
        ModelAuthError: When the vendor wants a key and there is none.
    """
    access = access or ModelAccess.from_env()
    vendor = _vendor_of(name)
    known = _VENDORS.get(vendor)
    address = name if "://" in name else access.urls.get(vendor, "") or (known.base_url if known else "")
    if not address:
        raise UsageError(
            f"{shown(name)!r} is no provider: expected {', '.join(_VENDORS)}, or an address",
            hint="name a local server by its address: http://localhost:8080/v1",
        )
    speaks: Kind = kind or (known.kind if known else "openai")
    key_from = known.key_from if known else "KITPACK_MODEL_KEY"
    secret = Secret(key.strip()) if isinstance(key, str) else key or access.keys.get(vendor, Secret(""))
    _check_key(secret, key_from, required=known is not None and key is None and _is_home(address, known))
    made = Provider(
        name=vendor or _host_of(address),
        kind=speaks,
        base_url=_tidied(address, speaks),
        key=secret,
        key_from=key_from,
        headers=_checked_headers(headers or {}),
        timeouts=timeouts,
        retries=retries,
        token_limit=token_limit,
        ca_file=access.ca_file,
    )
    if made.tells_its_key:
        _log.warning("the key goes to %s without TLS, and others can read it on the way", shown(made.base_url))
    return made


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address: what has to be equal for a key to be sent.

    Raises:
        UsageError: When it is no address, or one that two readers may understand differently.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        parts, port = urlsplit(""), 0
    odd = not _VISIBLE.fullmatch(url) or "\\" in url or "@" in parts.netloc
    if odd or not port or not parts.hostname:
        raise UsageError(
            f"{shown(url)!r} is not the address of an endpoint",
            hint="expected http:// or https://, a host and a path, no user name: http://localhost:8080/v1",
        )
    return parts.scheme, parts.hostname.rstrip("."), port


def shown(url: str) -> str:
    """The address as it may stand in a message: without user and query, where secrets live."""
    scheme, separator, rest = re.split(r"[?#]", url, maxsplit=1)[0].partition("://")
    host, slash, path = (rest if separator else scheme).partition("/")
    return f"{scheme if separator else ''}{separator}{host.rpartition('@')[2]}{slash}{path}"[:300]


def _vendor_of(name: str) -> str:
    """The vendor that a name or an address means, or an empty string."""
    if "://" not in name:
        return name if name in _VENDORS else ""
    return next((vendor for vendor, known in _VENDORS.items() if _is_home(name, known)), "")


def _is_home(address: str, vendor: _Vendor) -> bool:
    return origin_of(address) == origin_of(vendor.base_url)


def _host_of(address: str) -> str:
    return origin_of(address)[1]


def _tidied(address: str, kind: Kind) -> str:
    """The address below which the API is: users paste it with and without what the API itself adds."""
    origin_of(address)
    if "?" in address or "#" in address:
        raise UsageError(
            f"{shown(address)!r}: an endpoint's address has no query", hint="give what it needs as headers"
        )
    url = address.rstrip("/")
    tail = "/chat/completions" if kind == "openai" else "/v1/messages"
    url = url.removesuffix(tail)
    if kind == "anthropic":
        return url.removesuffix("/v1")
    return url if urlsplit(url).path else f"{url}/v1"


def _check_key(key: Secret, key_from: str, *, required: bool) -> None:
    if not key and required:
        raise ModelAuthError(f"there is no key: {key_from} is not set", hint=f"export {key_from}=…")
    if key and not _VISIBLE.fullmatch(key.text):
        raise UsageError("the key holds characters that no key has", hint=f"look for spaces and quotes in {key_from}")


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise UsageError(f"the header {name[:80]!r} cannot be sent", hint="expected one line of ASCII characters")
        if name.lower() in _OURS:
            raise UsageError(f"the header {name!r} is set by kitpack", hint="give the key as the key")
    return dict(headers)
