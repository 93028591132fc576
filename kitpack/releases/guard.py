"""Names that releases are made with, told apart from those that people may move and remove as they like."""

from __future__ import annotations

from kitpack.releases.home import Home
from kitpack.releases.record import ARCHIVE, channel_of, log_prefix

__all__ = ["has_log", "is_record"]


def is_record(tag: str) -> bool:
    """Whether a tag is that of a record: without it, the log has a gap."""
    return bool(channel_of(tag))


def has_log(home: Home, tag: str) -> bool:
    """Whether a tag is a channel whose changes are written down."""
    return tag != ARCHIVE and any(is_record(one) for one in home.tags(log_prefix(tag)))
