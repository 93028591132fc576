"""Reading the log of a channel, whole or from its end; :mod:`kitpack.releases.chain` says what its records make.

Nothing is believed because it is there: a record's bytes are held against its digest, its digest against its tag, its
number and its predecessor against its neighbours, and the end of the log against what was seen last time.

Numbers are finite, and whoever may write tags could use them up with one. So a tag whose number lies far beyond all
others is a stray: it is named, and no part of the log.

What was live lately can be told without reading everything: :func:`read_recent` reads back from the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from kitpack.content.events import OnEvent, ignore
from kitpack.content.sidebyside import side_by_side
from kitpack.errors import IntegrityError, InvalidManifestError, LogError, NotFoundError
from kitpack.releases.chain import Break, Log, Pin, assembled
from kitpack.releases.home import Home
from kitpack.releases.record import LogTag, Record, log_prefix, log_tag, parse_record

__all__ = [
    "LEAP",
    "log_tags",
    "read_ends",
    "read_head",
    "read_last",
    "read_log",
    "read_recent",
    "read_record",
]

LEAP = 1_000_000
"""How far a number may lie beyond the one below it; no log grows that long, nor is so much of one taken out."""

_RIVALS = 32
"""Of how many records with the last number the end of a log is found; those with the smallest digests count."""

_BATCH = 16
"""Records that are read first when only the end of a log is wanted."""


def log_tags(channel: str, tags: Iterable[str], *, above: int = 0) -> list[LogTag]:
    """The tags of the records of a channel among others, in the order of their numbers, without strays.

    Args:
        channel: The channel.
        tags: Tags.
        above: The number from which on they were listed.
    """
    names = _numbered(channel, tags)
    before = above
    for index, name in enumerate(names):
        if name.sequence - before > LEAP:
            return names[:index]
        before = name.sequence
    return names


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


def read_head(
    home: Home, channel: str, tags: Iterable[str], pin: Pin | None = None, *, above: int = 0
) -> Record | None:
    """Read the last record of a log, and nothing else of it. Arguments and errors as :func:`read_ends`."""
    return next(iter(read_ends(home, channel, tags, pin, above=above)), None)


def read_ends(home: Home, channel: str, tags: Iterable[str], pin: Pin | None = None, *, above: int = 0) -> list[Record]:
    """Read the end of a log, and nothing else of it: what a promotion or a rollback needs.

    Args:
        home: Where the log is.
        channel: The channel.
        tags: All tags there.
        pin: The end that was seen before, which must still be there.
        above: The number from which on the tags were listed.

    Returns:
        The records with the highest number, usually one: the first counts, the others lost a race against it.

    Raises:
        LogError: When one cannot be read, or the end that was seen before is gone.
    """
    names = log_tags(channel, tags, above=above)
    if pin and (cut := _cut_off(channel, names, pin)):
        raise LogError(f"{home.label}: {cut.text}", hint=_hint(home, channel))
    ends = [name for name in names if name.sequence == names[-1].sequence] if names else []
    try:
        found = [read_record(home, name) for name in ends[:_RIVALS]]
    except LogError as error:
        raise LogError(error.message, hint=_hint(home, channel)) from None
    return sorted(found, key=lambda one: str(one.digest))


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
    breaks = [*_strays(channel, known, names), *_truncated(channel, names, pin)]
    return assembled(channel, names, found, breaks, tagged.digest if tagged else None)


def read_recent(
    home: Home,
    channel: str,
    suffices: Callable[[Log], bool],
    *,
    pin: Pin | None = None,
    jobs: int = 4,
    batch: int = _BATCH,
) -> Log:
    """Read a log back from its end until what was read suffices, and say all that is wrong with that part.

    Args:
        home: Where the log is.
        channel: The channel.
        suffices: Whether a part is enough; all is read when none ever is.
        pin: The end that was seen before.
        jobs: Records read at the same time.
        batch: How many records are read first; each further batch is twice as long.
    """
    known = list(home.tags(log_prefix(channel)))
    names = log_tags(channel, known)
    tagged = home.find(channel)
    breaks = [*_strays(channel, known, names), *_truncated(channel, names, pin)]
    found: list[Record | LogError] = []
    begin = len(names)
    while True:
        end, begin = begin, _batch_begin(names, begin - batch)
        found = [*side_by_side(partial(_try_record, home), names[begin:end], jobs, ignore), *found]
        log = assembled(channel, names[begin:], found, breaks, tagged.digest if tagged else None, is_whole=not begin)
        if not begin or suffices(log):
            return log
        batch *= 2


def read_last(home: Home, channel: str, limit: int, *, pin: Pin | None = None, jobs: int = 4) -> Log:
    """Read a log as far back as its last records and what is live take; all of it when the limit is 0."""
    if not limit:
        return read_log(home, channel, pin=pin, jobs=jobs)
    return read_recent(
        home,
        channel,
        lambda log: len(log.records) >= limit and log.live is not None,
        pin=pin,
        jobs=jobs,
        batch=max(limit, _BATCH),
    )


def _batch_begin(names: Sequence[LogTag], index: int) -> int:
    """Where a batch begins that has all records with the number of its first one."""
    while index > 0 and names[index - 1].sequence == names[index].sequence:
        index -= 1
    return max(index, 0)


def _numbered(channel: str, tags: Iterable[str]) -> list[LogTag]:
    found = (LogTag.parse(channel, tag) for tag in tags if tag.startswith(log_prefix(channel)))
    return sorted(one for one in found if one)


def _strays(channel: str, tags: Iterable[str], names: Sequence[LogTag]) -> Iterator[Break]:
    end = names[-1].sequence if names else 0
    for stray in _numbered(channel, tags)[len(names) :]:
        yield Break(
            kind="stray",
            text=f"the tag {stray.tag} is none of a record of this log, which ends with {end}; it is passed over, "
            "and may be removed",
        )


def _try_record(home: Home, name: LogTag, _: OnEvent) -> Record | LogError:
    try:
        return read_record(home, name)
    except LogError as error:
        return error


def _truncated(channel: str, names: Sequence[LogTag], pin: Pin | None) -> Iterator[Break]:
    if pin and (cut := _cut_off(channel, names, pin)):
        yield cut


def _cut_off(channel: str, names: Sequence[LogTag], pin: Pin) -> Break | None:
    wanted = log_tag(channel, pin.sequence, pin.digest)
    if any(name.tag == wanted for name in names):
        return None
    return Break(
        kind="truncated",
        text=f"the record {wanted} was seen here before and is gone; the log was cut off or rewritten",
        sequence=pin.sequence,
    )


def _hint(home: Home, channel: str) -> str:
    return f"`kitpack history {home.label}:{channel} --verify` names all that is wrong; --force goes on with the rest"
