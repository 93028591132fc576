"""The ends of logs as they were seen: what proves later that nothing was cut off.

A chain cannot show that its newest records were deleted. So each user's computer remembers the last record that it saw
of every channel, and misses it when it is gone.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from kitpack.content.store.layout import Layout
from kitpack.errors import InvalidDigestError
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import encode, parse_object
from kitpack.releases.chain import Pin
from kitpack.releases.home import Home

__all__ = ["load_pin", "save_pin"]


def load_pin(folder: Path, home: Home, channel: str) -> Pin | None:
    """What was seen last; None when nothing was, or what was written down cannot be read.

    Args:
        folder: Where pins are kept.
        home: Where the channel is.
        channel: The channel.
    """
    try:
        value = parse_object(_path(folder, home, channel).read_bytes())
        sequence = value["sequence"]
        digest = Digest.parse(str(value["digest"]))
    except (OSError, KeyError, ValueError, InvalidDigestError):
        return None
    return Pin(sequence=sequence, digest=digest) if isinstance(sequence, int) else None


def save_pin(folder: Path, home: Home, channel: str, pin: Pin, *, anew: bool = False) -> None:
    """Remember the end of a log, unless a later one is remembered already. What cannot be written is left alone.

    Args:
        folder: Where pins are kept.
        home: Where the channel is.
        channel: The channel.
        pin: The end.
        anew: Whether it is remembered all the same: somebody said that the log is to be trusted as it is, for example
            because the registry came back from a backup.
    """
    before = load_pin(folder, home, channel)
    if before and before.sequence > pin.sequence and not anew:
        return
    path = _path(folder, home, channel)
    value = encode(
        {"repository": _place(home), "channel": channel, "sequence": pin.sequence, "digest": str(pin.digest)},
    )
    temporary = path.with_name(f"{path.name}.{os.urandom(6).hex()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(value)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)


def _path(folder: Path, home: Home, channel: str) -> Path:
    return folder / f"{hashlib.sha256(f'{_place(home)}:{channel}'.encode()).hexdigest()[:32]}.json"


def _place(home: Home) -> str:
    """What no other place is called: a store may hold what is called like a repository of a registry."""
    if isinstance(home.target, Layout):
        return f"{home.target.path.absolute()} {home.prefix.removesuffix(':')}"
    return home.label
