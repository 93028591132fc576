"""The status of every version, read from the logs of all channels; it is written nowhere.

==============  ==========================================================================================
draft           it never was live anywhere
testing         it is live at the channel ``testing``, and at no later one
staging         it is live at ``staging``
active          it is live at ``production`` (or at another channel of the user's own)
shadow          it runs along at a channel, and its answers are not shown
deprecated      it was live, and is not any more
archived        it must not go live again, until it is restored
==============  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from kitpack.content.events import ignore
from kitpack.content.sidebyside import side_by_side
from kitpack.errors import ReleaseError
from kitpack.oci.digest import Digest
from kitpack.oci.reference import is_tag
from kitpack.releases.chain import Log
from kitpack.releases.home import Home
from kitpack.releases.log import read_head, read_log
from kitpack.releases.record import ARCHIVE, Record, Route, channel_of
from kitpack.releases.writing import Author, Released, begin_archive, live_by, write

__all__ = ["Status", "Version", "Versions", "archive", "archived_digests", "channels_in", "read_versions", "restore"]

Status: TypeAlias = Literal["draft", "testing", "staging", "active", "shadow", "deprecated", "archived"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A release, and where it stands.

    Attributes:
        digest: Its manifest.
        names: Its tags, without those of channels and records.
        status: What the logs say of it.
        live: The channels where it is live.
        routes: The channels where it gets a part of the traffic.
        served: When it last went live somewhere, as the record says; None when it never did.
    """

    digest: Digest
    names: tuple[str, ...]
    status: Status
    live: tuple[str, ...] = ()
    routes: Mapping[str, Route] = field(default_factory=dict, hash=False)
    served: Record | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """All versions of a bundle, and all its channels.

    Attributes:
        versions: The versions, by their names; those that only logs know come last.
        logs: The log of each channel, by its name.
    """

    versions: tuple[Version, ...]
    logs: Mapping[str, Log] = field(hash=False)


def channels_in(tags: Iterable[str]) -> list[str]:
    """The channels that have a log, in the order of their names; the archive is none."""
    found = {channel for tag in tags if (channel := channel_of(tag))}
    return sorted(found - {ARCHIVE})


def archived_digests(home: Home, tags: Iterable[str]) -> frozenset[Digest]:
    """What must not go live again."""
    archived: set[Digest] = set()
    for record in read_log(home, ARCHIVE, sorted(tags)).records:
        (archived.add if record.action == "archive" else archived.discard)(record.target)
    return frozenset(archived)


def read_versions(home: Home, *, jobs: int = 4) -> Versions:
    """Read all logs, and say where every version stands."""
    tags = sorted(home.tags())
    logs = {channel: read_log(home, channel, tags, jobs=jobs) for channel in channels_in(tags)}
    names: dict[Digest, list[str]] = {}
    versions_of = [tag for tag in tags if is_tag(tag) and tag not in logs and not channel_of(tag)]
    for tag, found in zip(
        versions_of, side_by_side(lambda tag, _: home.find(tag), versions_of, jobs, ignore), strict=True
    ):
        if found:
            names.setdefault(found.digest, []).append(tag)
    known = dict.fromkeys([*names, *(one.target for log in logs.values() for one in log.records)])
    archived = archived_digests(home, tags)
    versions = tuple(_version(digest, names.get(digest, []), logs, archived) for digest in known)
    return Versions(versions=versions, logs=logs)


def archive(home: Home, reference: str | Digest, author: Author) -> Released:
    """Forbid that a release goes live again.

    Raises:
        NotFoundError: When it is not there.
        ReleaseError: When it is live somewhere, or gets traffic.
        LogError: When a log is broken at its end, so that this cannot be known.
    """
    state = begin_archive(home, author)
    bundle = home.read_digest(reference) if isinstance(reference, Digest) else home.read(reference)
    for channel in channels_in(state.tags):
        head = read_head(home, channel, state.tags)
        routes = head.routes if head else ()
        if live_by(home, channel, head, state.tags) == bundle.digest or any(
            one.digest == bundle.digest for one in routes
        ):
            raise ReleaseError(
                f"{reference} is live at {home.label}:{channel}, so it cannot be archived",
                hint=f"kitpack rollback {home.label}:{channel}, or promote another release first",
            )
    if state.head and bundle.digest in archived_digests(home, state.tags):
        return Released(record=state.head, changed=False)
    return write(state, bundle, author, "archive", undo=())


def restore(home: Home, reference: str | Digest, author: Author) -> Released:
    """Let an archived release go live again.

    Raises:
        ReleaseError: When it is not archived.
    """
    state = begin_archive(home, author)
    bundle = home.read_digest(reference) if isinstance(reference, Digest) else home.read(reference)
    if bundle.digest not in archived_digests(home, state.tags):
        raise ReleaseError(f"{reference} is not archived", hint=f"kitpack status {home.label}")
    return write(state, bundle, author, "restore", undo=())


def _version(digest: Digest, names: Sequence[str], logs: Mapping[str, Log], archived: frozenset[Digest]) -> Version:
    live = tuple(channel for channel, log in logs.items() if log.live == digest)
    routes = {
        channel: route
        for channel, log in logs.items()
        for route in (log.head.routes if log.head else ())
        if route.digest == digest
    }
    served = [one for log in logs.values() for one in log.records if one.moves and one.target == digest]
    return Version(
        digest=digest,
        names=tuple(names),
        status=_status(live, routes, was_live=bool(served), is_archived=digest in archived),
        live=live,
        routes=routes,
        served=max(served, key=lambda one: one.time, default=None),
    )


def _status(live: Sequence[str], routes: Mapping[str, Route], *, was_live: bool, is_archived: bool) -> Status:
    if set(live) - {"testing", "staging"}:
        return "active"
    if live:
        return "staging" if "staging" in live else "testing"
    if routes:
        return "shadow" if all(one.shadow for one in routes.values()) else "active"
    if is_archived:
        return "archived"
    return "deprecated" if was_live else "draft"
