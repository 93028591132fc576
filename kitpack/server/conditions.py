"""Conditional requests on manifests: the one way to change a tag only if it is still what one thinks.

Spec: https://www.rfc-editor.org/rfc/rfc9110#section-13
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kitpack.oci.digest import Digest
from kitpack.server.problems import RefusedError

__all__ = ["Conditions", "etag_of", "is_known"]

_TAG = re.compile(r'(W/)?"([^"]*)"')
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a request demands of the present state.

    Attributes:
        match: What a tag must stand for, one of these; None for no demand.
        none_match: What it must not stand for.
    """

    match: frozenset[str] | None = None
    none_match: frozenset[str] = frozenset()

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Conditions:
        """Read the headers of a request that changes something."""
        match = _listed(headers["If-Match"], strong=True) if "If-Match" in headers else None
        return cls(match, _listed(headers.get("If-None-Match", "")))

    def check(self, tag: str, found: Digest | None) -> None:
        """Make sure that they hold.

        Raises:
            RefusedError: When they do not.
        """
        is_met = self.match is None or (found is not None and not self.match.isdisjoint({str(found), _ANY}))
        if not is_met or (found is not None and not self.none_match.isdisjoint({str(found), _ANY})):
            wanted = " or ".join(sorted(self.match)) if self.match and not is_met else "something else"
            raise RefusedError(
                412,
                "DENIED",
                f"the tag {tag!r} stands for {found or 'nothing'}, but the request expects {wanted[:300]}",
            )


def etag_of(digest: Digest) -> str:
    """The entity tag of content: its digest."""
    return f'"{digest}"'


def is_known(headers: Mapping[str, str], digest: Digest) -> bool:
    """Whether the client says that it has this content."""
    listed = _listed(headers.get("If-None-Match", ""))
    return str(digest) in listed or _ANY in listed


def _listed(value: str, *, strong: bool = False) -> frozenset[str]:
    if value.strip() == _ANY:
        return frozenset({_ANY})
    return frozenset(text for weak, text in _TAG.findall(value) if not (weak and strong) and text != _ANY)
