"""Which record says what was live at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path

from kitpack.content.store.layout import Layout
from kitpack.content.target import Target
from kitpack.releases.chain import Log
from kitpack.releases.home import Home
from kitpack.releases.log import read_recent
from kitpack.releases.moment import Moment, answer, parse_moment
from kitpack.releases.pins import load_pin
from kitpack.releases.record import Record

__all__ = ["Answered", "answer_from", "find_answer", "told"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Which record says what was live at a moment.

    Attributes:
        record: It.
        moment: The moment that was asked for.
        others: Further records of the same day, when only a day was given: what was live changed during it.
    """

    record: Record
    moment: Moment
    others: tuple[Record, ...] = ()


def find_answer(target: Target, tag: str, moment: str, label: str, pins: Path | None) -> Answered:
    """Find what was live at a moment.

    Args:
        target: Where the channel is.
        tag: The channel's tag there; in a layout with the name of the bundle before it.
        moment: What stands between the braces.
        label: What to call it in front of the user.
        pins: Where the ends of logs are remembered, if anywhere.

    Raises:
        InvalidReferenceError: When the text is no moment.
        NotFoundError: When nothing was live then.
        LogError: When the log is broken, so that it cannot be known.
    """
    name, colon, channel = tag.rpartition(":") if isinstance(target, Layout) else ("", "", tag)
    home = Home(target=target, prefix=f"{name}{colon}", label=label.partition("@{")[0].removesuffix(f":{channel}"))
    return answer_from(home, channel, parse_moment(moment, datetime.now(UTC)), pins)


def answer_from(home: Home, channel: str, moment: Moment, pins: Path | None, *, jobs: int = 4) -> Answered:
    """Find what was live at a moment; the log is read back from its end, no further. Raises as :func:`find_answer`."""
    pin = load_pin(pins, home, channel) if pins else None
    log = read_recent(home, channel, partial(_suffices, moment), pin=pin, jobs=jobs)
    record = answer(log, moment, home.label)
    others: tuple[Record, ...] = ()
    if moment.since and moment.at:
        others = tuple(
            one for one in log.records if one.moves and moment.since <= one.time <= moment.at and one != record
        )
    return Answered(record=record, moment=moment, others=others)


def _suffices(moment: Moment, log: Log) -> bool:
    """Whether the end of a log answers: of a day, all that happened during it is wanted."""
    if moment.since and not any(one.time < moment.since for one in log.records):
        return False
    return (log.at(moment.at) if moment.at else log.back(moment.back)) is not None


def told(answered: Answered, label: str, zone: tzinfo | None = None) -> str:
    """Say which record answers, in one line."""
    record = answered.record
    version = f"{record.target_version} " if record.target_version else ""
    when = record.time.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    more = f"; it changed {len(answered.others) + 1} times on that day, this is its end" if answered.others else ""
    return (
        f"{label} is {version}{record.target.algorithm}:{record.target.short}: record {record.sequence}, "
        f"{record.action} by {record.actor or 'somebody'} on {when}{more}"
    )
