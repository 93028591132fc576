"""The release that somebody wants to go back to, however they name it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from kitpack.errors import InvalidDigestError
from kitpack.oci.digest import Digest
from kitpack.releases.answer import answer_from
from kitpack.releases.home import Home
from kitpack.releases.log import read_recent
from kitpack.releases.moment import parse_moment

__all__ = ["goal_of"]


def goal_of(home: Home, channel: str, text: str, pins: Path | None = None, *, jobs: int = 4) -> str | Digest:
    """The tag or digest of a release named by tag, digest, version that served, or ``@{…}``.

    Args:
        home: Where the channel is.
        channel: The channel.
        text: What somebody typed.
        pins: Where the ends of logs are remembered, if anywhere.
        jobs: Records read at the same time.

    Raises:
        InvalidReferenceError: When it is a moment that cannot be read.
        NotFoundError: When nothing was live at that moment.
        LogError: When the log is broken, so that it cannot be known.
    """
    if text.startswith("@{") and text.endswith("}"):
        moment = parse_moment(text[2:-1], datetime.now(UTC))
        return answer_from(home, channel, moment, pins, jobs=jobs).record.target
    try:
        return Digest.parse(text)
    except InvalidDigestError:
        pass
    if home.find(text) is None:
        recent = read_recent(
            home, channel, lambda log: any(one.target_version == text for one in log.records), jobs=jobs
        )
        served = [one for one in recent.records if one.target_version == text]
        if served:
            return served[-1].target
    return text
