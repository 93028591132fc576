"""Who may come in: a file of names and bcrypt hashes, as ``htpasswd -B`` writes it.

Checking a password takes long by design, so the result of a good check is remembered, under a keyed hash that is worth
nothing outside this process. All functions may take long; they are called in threads.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
from pathlib import Path
from threading import Lock

from kitpack.errors import UsageError

__all__ = ["Passwords", "user_of"]

_HASH = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
_MOST_REMEMBERED = 1000
_LONGEST = 72  # bytes that bcrypt looks at


class Passwords:
    """The users of a registry.

    Args:
        path: The file, which is read again whenever it changes.

    Raises:
        UsageError: When it cannot be read, or a line is not a name and a bcrypt hash.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._key = os.urandom(32)
        self._version: tuple[int, ...] = ()
        self._hashes: dict[str, bytes] = {}
        self._remembered: dict[bytes, bytes] = {}
        self._reload()

    def admits(self, authorization: str) -> bool:
        """Whether the header of a request names a user with the right password.

        Raises:
            UsageError: When the file was changed to something unreadable; nobody comes in until it is mended.
        """
        user, password = _parsed(authorization)
        if user is None:
            return False
        with self._lock:
            if _version_of(self._path) != self._version:
                self._reload()
            wanted = self._hashes.get(user)
            stand_in = next(iter(self._hashes.values()))  # for who is not there, so that a refusal takes as long
            proof = hmac.digest(self._key, b"\0".join([user.encode(errors="surrogateescape"), password]), "sha256")
            if wanted and hmac.compare_digest(self._remembered.get(proof, b""), wanted):
                return True
        if not _matches(password, wanted or stand_in) or wanted is None:
            return False
        self._remember(proof, wanted)
        return True

    def _remember(self, proof: bytes, wanted: bytes) -> None:
        with self._lock:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[proof] = wanted

    def _reload(self) -> None:
        self._version = ()
        self._remembered.clear()
        version = _version_of(self._path)
        self._hashes = _read(self._path)
        self._version = version


def user_of(authorization: str) -> str:
    """The user that the header of a request names, whose password has been checked; in characters that can be shown."""
    user, _ = _parsed(authorization)
    return (user or "").encode(errors="surrogateescape").decode(errors="replace")


def _read(path: Path) -> dict[str, bytes]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{path}: the file of passwords cannot be read: {error}") from None
    hashes: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, colon, secret = line.strip().partition(":")
        if not user or not colon or not _HASH.fullmatch(secret):
            raise UsageError(
                f"{path}, line {number}: expected a name, a colon and a bcrypt hash ($2y$…)",
                hint=f"write it with: htpasswd -B {path} {user if colon and user.isalnum() else 'NAME'}",
            )
        hashes[user] = secret.encode()
    if not hashes:
        raise UsageError(f"{path}: the file of passwords names nobody", hint=f"add somebody: htpasswd -B {path} NAME")
    return hashes


def _matches(password: bytes, wanted: bytes) -> bool:
    import bcrypt  # late: only who asks for passwords needs it

    try:
        return bcrypt.checkpw(password[:_LONGEST], wanted)
    except ValueError:  # a hash that looks like one, and is none
        return False


def _parsed(authorization: str) -> tuple[str | None, bytes]:
    scheme, _, rest = authorization.partition(" ")
    try:
        raw = base64.b64decode(rest.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        return None, b""
    user, colon, password = raw.partition(b":")
    return (user.decode(errors="surrogateescape"), password) if colon else (None, b"")


def _version_of(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size
