"""What a log is once its records are there: a chain, what lost a race beside it, and everything that is wrong.

The chain is found from its end: the record with the highest number, and of several with that number the one with the
smallest digest. Each names the one before it. What is not on the chain lost a race; it stays in the log, and is shown.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias

from kitpack.errors import LogError
from kitpack.oci.digest import Digest
from kitpack.releases.record import LogTag, Record

__all__ = ["Break", "BreakKind", "Log", "Pin", "assembled"]

BreakKind: TypeAlias = Literal["damaged", "gap", "fork", "inconsistent", "truncated", "moved", "stray"]

_RACE = 2
"""How many records in a row can lose one race: a second is written by who has not seen yet that the first lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Something that is wrong with a log.

    Attributes:
        kind: ``damaged``: a record cannot be read or is not what its tag says. ``gap``: one is missing. ``fork``: two
            histories go on side by side. ``inconsistent``: a record contradicts the one before it. ``truncated``: the
            end that was seen before is gone. ``moved``: the channel's tag stands for something that no record explains.
            ``stray``: the tag of a record has a number far beyond all others; the log goes on without it.
        text: What was found, in one line.
        sequence: The number of the record that it is about; 0 when it is about none.
    """

    kind: BreakKind
    text: str
    sequence: int = 0


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
        is_whole: Whether all of it was read, or only its end.
    """

    channel: str
    records: tuple[Record, ...] = ()
    lost: tuple[Record, ...] = ()
    tagged: Digest | None = None
    breaks: tuple[Break, ...] = ()
    is_whole: bool = True

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


def assembled(
    channel: str,
    names: Sequence[LogTag],
    found: Sequence[Record | LogError],
    breaks: Sequence[Break],
    tagged: Digest | None,
    *,
    is_whole: bool = True,
) -> Log:
    """A log, or the end of one, from its records.

    Args:
        channel: The channel.
        names: The tags of its records, in order.
        found: What each of them stands for, or why that is not known.
        breaks: What is known to be wrong already.
        tagged: What the channel's tag stands for.
        is_whole: Whether these are all tags.
    """
    records = {one.digest: one for one in found if isinstance(one, Record) and one.digest}
    damaged = [
        Break(kind="damaged", text=one.message, sequence=name.sequence)
        for name, one in zip(names, found, strict=True)
        if isinstance(one, LogError)
    ]
    chain = list(_chain(records))
    linked = {one.digest for one in chain}
    lost = tuple(sorted((one for one in records.values() if one.digest not in linked), key=lambda one: one.sequence))
    wrong = [*damaged, *breaks, *_gaps(chain, names, is_whole=is_whole), *_forks(lost), *_contradictions(chain)]
    log = Log(channel=channel, records=tuple(chain), lost=lost, tagged=tagged, is_whole=is_whole)
    if is_whole or log.live:
        wrong += _moved(log)
    return replace(log, breaks=tuple(wrong))


def _chain(records: Mapping[Digest, Record]) -> Iterator[Record]:
    """The records from the oldest to the last; across a gap it goes on with the best that is left below."""
    best: dict[int, Record] = {}
    for record in sorted(records.values(), key=lambda one: (one.sequence, str(one.digest))):
        best.setdefault(record.sequence, record)
    numbers = [*best]
    chain: list[Record] = []
    below = best[numbers[-1]] if numbers else None
    while below:
        chain.append(below)
        before = records.get(below.previous) if below.previous else None
        if before is None or before.sequence >= below.sequence:
            index = bisect_left(numbers, below.sequence)
            before = best[numbers[index - 1]] if index else None
        below = before
    return reversed(chain)


def _gaps(chain: Sequence[Record], names: Sequence[LogTag], *, is_whole: bool) -> Iterator[Break]:
    """Where the chain does not go back to the record before: that is missing, unless it is there but damaged."""
    damaged = {name.sequence for name in names} - {one.sequence for one in chain}
    begin: list[Record | None] = [None] if is_whole else []  # of the end of a log, the first follows what was not read
    for before, record in zip([*begin, *chain], chain if is_whole else chain[1:], strict=False):
        expected = record.sequence - 1
        if (before.digest if before else None) == record.previous and (before.sequence if before else 0) == expected:
            continue
        if expected in damaged:
            continue
        if expected and (before is None or before.sequence != expected):
            text = f"record {expected} is missing; record {record.sequence} follows it"
        else:
            text = f"record {record.sequence} follows {record.previous or 'nothing'}, which is not there"
        yield Break(kind="gap", text=text, sequence=record.sequence)


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
                sequence=record.sequence,
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
                sequence=record.sequence,
            )
        linked = before is not None and record.previous == before.digest
        if linked and record.action in ("promote", "rollback") and record.source != live:
            yield Break(
                kind="inconsistent",
                text=f"record {record.sequence} says that {_short(record.source)} was live before it, "
                f"but that was {_short(live)}",
                sequence=record.sequence,
            )
        live = record.target if record.moves else live if before else record.source


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
