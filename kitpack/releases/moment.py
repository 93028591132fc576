"""Points in time as people write them: what stands in ``REPO:CHANNEL@{…}``.

================================================  ==================================================================
``@{2026-05-15}``                                 the end of that day
``@{2026-05-15T10:00}``, ``@{2026-05-15 10:00Z}``  that minute; with a zone or offset, there, else where the user is
``@{3 days ago}``, ``@{90 minutes ago}``          that long before now
``@{yesterday}``, ``@{now}``                      the end of yesterday; this moment
``@{-1}``                                         what was live before the last change; ``@{-2}`` before that
================================================  ==================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from kitpack.errors import InvalidReferenceError, LogError, NotFoundError
from kitpack.releases.chain import Break, Log
from kitpack.releases.record import Record

__all__ = ["Moment", "answer", "parse_moment"]

_UNITS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86_400,
    "week": 604_800,
    "month": 2_629_746,
    "year": 31_556_952,
}
_AGO = re.compile(rf"([0-9]{{1,6}})\s*({'|'.join(_UNITS)})s?\s+ago")
_BACK = re.compile(r"-([0-9]{1,4})")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)\s*(Z|[+-][0-9]{2}:?[0-9]{2})?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A point in the history of a channel.

    Attributes:
        text: As the user wrote it.
        at: The moment, in UTC; None when changes are counted instead.
        back: How many changes back, when there is no moment.
        since: The beginning of the day that was meant, when only a day was given.
    """

    text: str
    at: datetime | None = None
    back: int = 0
    since: datetime | None = None


def parse_moment(text: str, now: datetime, zone: tzinfo | None = None) -> Moment:
    """Read what stands between the braces.

    Args:
        text: It.
        now: The present, with a zone.
        zone: Where the user is; by default where the computer says.

    Raises:
        InvalidReferenceError: When it is no point in time.
    """
    words = " ".join(text.split())
    try:
        found = _parsed(words, now, zone)
    except (OverflowError, ValueError) as error:
        raise InvalidReferenceError(f"@{{{words[:80]}}} is not a moment: {error}") from None
    if found is None:
        raise InvalidReferenceError(
            f"@{{{words[:80]}}} is not a moment",
            hint="write @{2026-05-15}, @{2026-05-15T10:00Z}, @{3 days ago} or @{-1}",
        )
    return found


def answer(log: Log, moment: Moment, label: str) -> Record:
    """The record that made live what was live at a moment.

    Raises:
        NotFoundError: When nothing was.
        LogError: When the log is broken between its end and that record, so that it cannot be known.
    """
    found = log.at(moment.at) if moment.at else log.back(moment.back)
    if found is None:
        first = next((one for one in log.records if one.moves), None)
        began = f"its log begins on {_shown(first.time)}" if first else "it has no release log"
        raise NotFoundError(
            f"nothing was live at {label}:{log.channel}@{{{moment.text}}}: {began}",
            hint=f"kitpack history {label}:{log.channel}",
        )
    if broken := [one for one in log.breaks if _touches(one, found, log, moment)]:
        raise LogError(
            f"{label}:{log.channel}: the log is broken, so what was live at {moment.text} is unknown: {broken[0].text}",
            hint=f"kitpack history {label}:{log.channel} --verify",
        )
    return found


def _touches(one: Break, found: Record, log: Log, moment: Moment) -> bool:
    """Whether a break leaves open that a record is the answer; one below it does not, as the chain comes from above."""
    match one.kind:
        case "truncated":
            return True
        case "damaged":
            return one.sequence > found.sequence or (log.head is not None and one.sequence >= log.head.sequence)
        case "gap":
            return one.sequence > found.sequence
        case "inconsistent":  # of times that go back, none can be believed
            return moment.at is not None and one.sequence > found.sequence
    return False


def _parsed(text: str, now: datetime, zone: tzinfo | None) -> Moment | None:
    found = None
    if match := _BACK.fullmatch(text):
        found = Moment(text=text, back=int(match[1]))
    elif text == "now":
        found = Moment(text=text, at=now.astimezone(UTC))
    elif match := _AGO.fullmatch(text.lower()):
        found = Moment(text=text, at=(now - timedelta(seconds=int(match[1]) * _UNITS[match[2]])).astimezone(UTC))
    elif text == "yesterday":
        found = _day(text, now.astimezone(zone).date() - timedelta(days=1), zone)
    elif _DATE.fullmatch(text):
        found = _day(text, date.fromisoformat(text), zone)
    elif match := _TIME.fullmatch(text):
        found = Moment(text=text, at=_placed(datetime.fromisoformat(f"{match[1]}T{match[2]}{match[3] or ''}"), zone))
    return found


def _day(text: str, day: date, zone: tzinfo | None) -> Moment:
    return Moment(
        text=text,
        at=_placed(datetime.combine(day, time.max), zone),
        since=_placed(datetime.combine(day, time.min), zone),
    )


def _placed(moment: datetime, zone: tzinfo | None) -> datetime:
    """In UTC; without a zone of its own, a moment is meant where the user is, by the rules of that day."""
    if moment.tzinfo is None and zone:
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(UTC)


def _shown(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M %Z")
