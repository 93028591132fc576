"""The log of a channel: its records as a chain, and everything that is wrong with it.

The chain is found from its end: the record with the highest number, and of several with that number the one with the
smallest digest. Each names the one before it. What is not on the chain lost a race; it stays in the log, and is shown.

Nothing is believed because it is there: a record's bytes are held against its digest, its digest against its tag, its
number and its predecessor against its neighbours, and the end of the log against what was seen last time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, TypeAlias

from kitpack.content.events import OnEvent, ignore
from kitpack.content.sidebyside import side_by_side
from kitpack.errors import IntegrityError, InvalidManifestError, LogError, NotFoundError
from kitpack.oci.digest import Digest
from kitpack.releases.home import Home
from kitpack.releases.record import LogTag, Record, log_prefix, log_tag, parse_record

__all__ = ["Break", "BreakKind", "Log", "Pin", "log_tags", "read_ends", "read_head", "read_log", "read_record"]

BreakKind: TypeAlias = Literal["damaged", "gap", "fork", "inconsistent", "truncated", "moved"]


_RACE = 2
"""How many records in a row can lose one race: a second is written by who has not seen yet that the first lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Something that is wrong with a log.

    Attributes:
        kind: ``damaged``: a record cannot be read or is not what its tag says. ``gap``: one is missing. ``fork``: two
            histories go on side by side. ``inconsistent``: a record contradicts the one before it. ``truncated``: the
            end that was seen before is gone. ``moved``: the channel's tag stands for something that no record explains.
        text: What was found, in one line.
    """

    kind: BreakKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """The end of a log as it was seen: what proves later that nothing was cut off.

    Attributes:
        sequence: The number of the last record.
        digest: The record.
    """

    sequence: int
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What happened to a channel.

    Attributes:
        channel: The channel.
        records: The chain, oldest first.
        lost: Records that lost a race against one of the chain: nothing came of them.
        tagged: What the channel's tag stands for; None when there is no such tag.
        breaks: What is wrong.
    """

    channel: str
    records: tuple[Record, ...] = ()
    lost: tuple[Record, ...] = ()
    tagged: Digest | None = None
    breaks: tuple[Break, ...] = ()

    @property
    def head(self) -> Record | None:
        """The last record."""
        return self.records[-1] if self.records else None

    @property
    def live(self) -> Digest | None:
        """The release that is live by the log."""
        return next((one.target for one in reversed(self.records) if one.moves), None)

    def at(self, moment: datetime) -> Record | None:
        """The record that made live what was live at a moment; None when nothing was.

        Args:
            moment: A time with a zone.
        """
        return next((one for one in reversed(self.records) if one.moves and one.time <= moment), None)

    def back(self, steps: int) -> Record | None:
        """The record that made live what was live some moves ago; 0 is the last move."""
        moves = [one for one in self.records if one.moves]
        return moves[-1 - steps] if 0 <= steps < len(moves) else None


def log_tags(channel: str, tags: Iterable[str]) -> list[LogTag]:
    """The tags of the records of a channel among others, in the order of their numbers."""
    found = (LogTag.parse(channel, tag) for tag in tags if tag.startswith(log_prefix(channel)))
    return sorted(one for one in found if one)


def read_record(home: Home, tag: LogTag) -> Record:
    """Read the record of a tag.

    Raises:
        LogError: When it is not there, cannot be read, or is not what its tag says.
    """
    try:
        record = parse_record(home.read(tag.tag))
    except (InvalidManifestError, IntegrityError, NotFoundError) as error:
        raise LogError(f"the record {tag.tag} of {home.label} cannot be read: {error.message}") from None
    if record.digest is None or log_tag(record.channel, record.sequence, record.digest) != tag.tag:
        raise LogError(f"the tag {tag.tag} of {home.label} stands for another record: {record.digest}")
    return record


def read_head(home: Home, channel: str, tags: Iterable[str], pin: Pin | None = None) -> Record | None:
    """Read the last record of a log, and nothing else of it. Arguments and errors as :func:`read_ends`."""
    return next(iter(read_ends(home, channel, tags, pin)), None)


def read_ends(home: Home, channel: str, tags: Iterable[str], pin: Pin | None = None) -> list[Record]:
    """Read the end of a log, and nothing else of it: what a promotion or a rollback needs.

    Args:
        home: Where the log is.
        channel: The channel.
        tags: All tags there.
        pin: The end that was seen before, which must still be there.

    Returns:
        The records with the highest number, usually one: the first counts, the others lost a race against it.

    Raises:
        LogError: When one cannot be read, or the end that was seen before is gone.
    """
    names = log_tags(channel, tags)
    if pin and (cut := _cut_off(channel, names, pin)):
        raise LogError(f"{home.label}: {cut.text}", hint=_hint(home, channel))
    ends = [name for name in names if name.sequence == names[-1].sequence] if names else []
    try:
        found = [read_record(home, name) for name in ends]
    except LogError as error:
        raise LogError(error.message, hint=_hint(home, channel)) from None
    return sorted(found, key=_digest_of)


def read_log(
    home: Home,
    channel: str,
    tags: Sequence[str] | None = None,
    *,
    pin: Pin | None = None,
    jobs: int = 4,
) -> Log:
    """Read a whole log and say all that is wrong with it.

    Args:
        home: Where the log is.
        channel: The channel.
        tags: All tags there, when they are known already.
        pin: The end that was seen before.
        jobs: Records read at the same time.
    """
    known = list(home.tags(log_prefix(channel))) if tags is None else tags
    names = log_tags(channel, known)
    tagged = home.find(channel)
    found = side_by_side(partial(_try_record, home), names, jobs, ignore)
    records = {one.digest: one for one in found if isinstance(one, Record) and one.digest}
    breaks = [Break(kind="damaged", text=one.message) for one in found if isinstance(one, LogError)]
    chain = list(_chain(records))
    lost = tuple(sorted((one for one in records.values() if one not in chain), key=lambda one: one.sequence))
    if pin and (cut := _cut_off(channel, names, pin)):
        breaks.append(cut)
    breaks += [*_gaps(chain, names), *_forks(lost), *_contradictions(chain)]
    log = Log(channel=channel, records=tuple(chain), lost=lost, tagged=tagged.digest if tagged else None)
    breaks += _moved(log)
    return Log(channel=channel, records=log.records, lost=lost, tagged=log.tagged, breaks=tuple(breaks))


def _try_record(home: Home, name: LogTag, _: OnEvent) -> Record | LogError:
    try:
        return read_record(home, name)
    except LogError as error:
        return error


def _digest_of(record: Record) -> str:
    return str(record.digest)


def _cut_off(channel: str, names: Sequence[LogTag], pin: Pin) -> Break | None:
    wanted = log_tag(channel, pin.sequence, pin.digest)
    if any(name.tag == wanted for name in names):
        return None
    return Break(
        kind="truncated", text=f"the record {wanted} was seen here before and is gone; the log was cut off or rewritten"
    )


def _hint(home: Home, channel: str) -> str:
    return f"`kitpack history {home.label}:{channel} --verify` names all that is wrong; --force goes on with the rest"


def _chain(records: Mapping[Digest, Record]) -> Iterator[Record]:
    """The records from the oldest to the last; across a gap it goes on with the best that is left below."""
    chain: list[Record] = []
    below = _end(records.values())
    while below:
        chain.append(below)
        before = records.get(below.previous) if below.previous else None
        if before is None or before.sequence >= below.sequence:
            number = below.sequence
            before = _end(one for one in records.values() if one.sequence < number)
        below = before
    return reversed(chain)


def _end(records: Iterable[Record]) -> Record | None:
    return min(records, key=lambda one: (-one.sequence, _digest_of(one)), default=None)


def _gaps(chain: Sequence[Record], names: Sequence[LogTag]) -> Iterator[Break]:
    """Where the chain does not go back to the record before: that is missing, unless it is there but damaged."""
    damaged = {name.sequence for name in names} - {one.sequence for one in chain}
    for before, record in zip([None, *chain], chain, strict=False):
        expected = record.sequence - 1
        if (before.digest if before else None) == record.previous and (before.sequence if before else 0) == expected:
            continue
        if expected in damaged:
            continue
        if expected and (before is None or before.sequence != expected):
            yield Break(kind="gap", text=f"record {expected} is missing; record {record.sequence} follows it")
        else:
            yield Break(
                kind="gap", text=f"record {record.sequence} follows {record.previous or 'nothing'}, which is not there"
            )


def _forks(lost: Sequence[Record]) -> Iterator[Break]:
    """A record or two beside the chain lost a race, which is how the log works; more are a history of their own."""
    side = {one.digest: one for one in lost}
    for record in lost:
        length, before = 1, side.get(record.previous)
        while before and length <= _RACE:
            length, before = length + 1, side.get(before.previous)
        if length == _RACE + 1:
            yield Break(
                kind="fork",
                text=f"record {record.sequence} ({record.action} by {record.actor}) goes on beside the log, "
                f"behind {_RACE} records that lost",
            )
    for number, count in Counter(one.sequence for one in lost if one.previous is None and one.sequence > 1).items():
        yield Break(kind="fork", text=f"{count} records with the number {number} begin a history of their own")


def _contradictions(chain: Sequence[Record]) -> Iterator[Break]:
    live: Digest | None = None
    for before, record in zip([None, *chain], chain, strict=False):
        if before and record.time < before.time:
            yield Break(
                kind="inconsistent",
                text=f"record {record.sequence} is of {record.time:%Y-%m-%dT%H:%M:%SZ}, earlier than the one before",
            )
        linked = before is not None and record.previous == before.digest
        if linked and record.action in ("promote", "rollback") and record.source != live:
            yield Break(
                kind="inconsistent",
                text=f"record {record.sequence} says that {_short(record.source)} was live before it, "
                f"but that was {_short(live)}",
            )
        live = record.target if record.moves else live


def _moved(log: Log) -> Iterator[Break]:
    """A tag that the log does not explain."""
    head = log.head
    if head is None or log.tagged == log.live:
        return
    if log.tagged is None:
        yield Break(kind="moved", text=f"the tag {log.channel} is gone; by the log, {_short(log.live)} is live")
    elif head.moves and log.tagged == head.source:
        yield Break(
            kind="moved",
            text=f"record {head.sequence} ({head.action}) makes {_short(log.live)} live, but the tag {log.channel} "
            f"still stands for {_short(log.tagged)}: that {head.action} was interrupted, or undone by hand",
        )
    else:
        yield Break(
            kind="moved",
            text=f"the tag {log.channel} stands for {_short(log.tagged)}, which no record explains; "
            f"by the log, {_short(log.live)} is live",
        )


def _short(digest: Digest | None) -> str:
    return f"{digest.algorithm}:{digest.short}" if digest else "nothing"
