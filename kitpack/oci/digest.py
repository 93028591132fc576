"""Digests: the names of content.

Spec: https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitpack.errors import InvalidDigestError

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["BLOCK", "Digest"]

BLOCK = 1 << 20
"""Bytes read at a time: large enough that system calls cost nothing, small enough to stay in the cache."""

_HEX_LENGTHS = {"sha256": 64, "sha512": 128}
_GRAMMAR = re.compile(r"([a-z0-9]+(?:[+._-][a-z0-9]+)*):([a-f0-9]+)")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A content address such as ``sha256:44136fa3…``.

    Attributes:
        algorithm: ``sha256`` or ``sha512``.
        hex: The hash in lower-case hexadecimal digits.
    """

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read a digest.

        Raises:
            InvalidDigestError: When the text is not ``algorithm:hex`` with a known algorithm and its exact length.
        """
        match = _GRAMMAR.fullmatch(text)
        if match is None:
            raise InvalidDigestError(f"{text[:120]!r} is not a digest; expected sha256: and 64 hexadecimal digits")
        algorithm, digits = match.groups()
        if algorithm not in _HEX_LENGTHS:
            raise InvalidDigestError(f"digest algorithm {algorithm[:40]!r} is not known; expected sha256 or sha512")
        if len(digits) != _HEX_LENGTHS[algorithm]:
            raise InvalidDigestError(
                f"a {algorithm} digest has {_HEX_LENGTHS[algorithm]} hexadecimal digits, not {len(digits)}"
            )
        return cls(algorithm, digits)

    @classmethod
    def of_bytes(cls, data: bytes, algorithm: str = "sha256") -> Digest:
        """Hash bytes that are already in memory."""
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    def hasher(self) -> _Hash:
        """A fresh hash object of this digest's algorithm."""
        return hashlib.new(self.algorithm)

    def matches(self, hasher: _Hash) -> bool:
        """Whether everything fed to the hash object so far has this digest."""
        return hasher.hexdigest() == self.hex

    @property
    def short(self) -> str:
        """The first twelve digits, enough for a person."""
        return self.hex[:12]

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"
