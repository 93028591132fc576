"""What a registry asks for when it answers 401: the challenges of ``WWW-Authenticate``, and where they may lead.

Specs: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1 and
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kitpack.content.registry.origin import Origin, is_loopback, is_private, shown
from kitpack.errors import AuthError, RegistryError

__all__ = ["Challenge", "check_realm", "merge_scopes", "parse_challenges"]

_MAX_HEADER = 8 << 10
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_PARAMETER = re.compile(rf'({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(rf"{_WORD}(?=[\s,]|$)")
_BETWEEN = re.compile(r"[\s,]*")
_UNREADABLE = re.compile(rf"{_WORD}|.", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way to prove who is asking.

    Attributes:
        scheme: ``basic``, ``bearer`` or another, in lower case.
        parameters: ``realm``, ``service``, ``scope`` and others, names in lower case.
    """

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Read a ``WWW-Authenticate`` header, in which several challenges may stand; what cannot be read is left out.

    So is what follows the first 8 KiB: no registry has that much to say.
    """
    header = header[:_MAX_HEADER]
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while at < len(header):
        at = _end(_BETWEEN.match(header, at), at)
        if parameter := _PARAMETER.match(header, at):
            name, quoted, bare = parameter.groups()
            if found:
                found[-1][1].setdefault(name.lower(), _ESCAPED.sub(r"\1", quoted) if bare is None else bare)
            at = parameter.end()
        elif scheme := _SCHEME.match(header, at):
            found.append((scheme.group().lower(), {}))
            at = scheme.end()
        else:
            at = _end(_UNREADABLE.match(header, at), at + 1)
    return tuple(Challenge(scheme=scheme, parameters=parameters) for scheme, parameters in found)


def check_realm(realm: str, registry: Origin) -> None:
    """Refuse a token server that a registry has no business to send credentials to (CVE-2026-48978).

    Args:
        realm: The address from the challenge.
        registry: The origin of the registry that named it.

    Raises:
        AuthError: When it is no web address, gives up TLS, or is written as an address of this machine or network
            though the registry is somewhere else.
    """
    try:
        origin = Origin.of(realm)
    except RegistryError as error:
        raise AuthError(f"{registry} names a token server that is refused: {error.message}") from None
    if registry.scheme == "https" and origin.scheme == "http":
        raise AuthError(f"{registry} sends credentials to {shown(realm)} without TLS, which is refused")
    same = origin.host == registry.host or (is_loopback(origin.host) and is_loopback(registry.host))
    if is_private(origin.host) and not same:
        raise AuthError(f"{registry} sends credentials to the private address {shown(realm)}, which is refused")


def merge_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Join scopes so that every resource stands once, with all its actions: ``repository:team/bot:pull,push``."""
    actions: dict[str, dict[str, None]] = {}
    for scope in scopes:
        resource, _, names = scope.rpartition(":")
        if resource:
            actions.setdefault(resource, {}).update(dict.fromkeys(filter(None, names.split(","))))
    return tuple(f"{resource}:{','.join(sorted(names))}" for resource, names in actions.items())


def _end(match: re.Match[str] | None, otherwise: int) -> int:
    return match.end() if match else otherwise
