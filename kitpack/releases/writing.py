"""Writing a change down, making it happen, and seeing that it did.

The record comes first, then the channel's tag, then both are read back. A crash in between leaves a log that says what
was meant, and the next change, or the same one once more, finishes it.

No registry can compare and swap. Two writers who take the same number write two records; the one with the smaller
digest counts, whoever came first. Each reads the log again when it has moved the tag: who lost puts the tag back where
the log says, and is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from kitpack.content.target import opener_of
from kitpack.errors import InvalidManifestError, LogError, NotFoundError, RaceError, ReleaseError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import parse_object
from kitpack.oci.manifest import Manifest
from kitpack.oci.mediatypes import ANNOTATION_KITFILE, EMPTY_CONFIG
from kitpack.releases.chain import Pin
from kitpack.releases.home import Home
from kitpack.releases.log import log_tags, read_head, read_log
from kitpack.releases.record import (
    ARCHIVE,
    EMPTY,
    MAX_SEQUENCE,
    MAX_UNDO,
    RELEASE_TYPE,
    Action,
    Gate,
    Record,
    Route,
    encode_record,
    log_prefix,
    log_tag,
    parse_record,
)

__all__ = ["Author", "Released", "State", "begin_archive", "known", "live_by", "version_of", "write"]

_TRIES = 7
_PAUSE = 0.05

_AHEAD = timedelta(days=7)
"""How far the last record may be ahead of this clock, so that its time is taken for the truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who changes something, and why.

    Attributes:
        actor: Who.
        reason: Why.
        clock: Says what time it is, with a zone.
        pause: Waits for so many seconds, while somebody else is just writing.
        pin: The end of the log that was seen before.
        force: Whether to go on where the log is broken or the tag was moved from outside.
        override: Why gates that do not pass are overridden; empty when they are not.
    """

    actor: str
    reason: str = ""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    pause: Callable[[float], None] = time.sleep
    pin: Pin | None = None
    force: bool = False
    override: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What came of a change.

    Attributes:
        record: The record that says what is so now.
        changed: Whether anything had to be done.
        notes: What the user should know besides: what was trusted, finished or adopted on the way.
    """

    record: Record
    changed: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A channel as it was found.

    Attributes:
        home: Where it is.
        channel: Its name.
        tags: All tags there.
        head: The last record.
        tagged: What its tag stands for.
        live: What is live: by the log, or without one by the tag.
        notes: What the user should know.
    """

    home: Home
    channel: str
    tags: frozenset[str]
    head: Record | None
    tagged: Digest | None
    live: Digest | None
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """What to call the channel in front of the user."""
        return f"{self.home.label}:{self.channel}"

    @property
    def undo(self) -> tuple[Digest, ...]:
        """What further rollbacks restore."""
        return self.head.undo if self.head else ()

    @property
    def routes(self) -> tuple[Route, ...]:
        """Who else gets traffic."""
        return self.head.routes if self.head else ()

    @property
    def live_version(self) -> str:
        """The version of what is live, as far as the last record knows it."""
        if self.head is None or self.live is None:
            return ""
        if self.head.target == self.live:
            return self.head.target_version
        return self.head.source_version if self.head.source == self.live else ""

    def require(self, expected: str) -> None:
        """Make sure that what is live is what the user believes.

        Raises:
            RaceError: When it is something else.
        """
        if not expected:
            return
        found = str(self.live or "")
        known = {found, found.partition(":")[2], self.live_version}
        if expected not in known and not (len(expected) >= 8 and found.partition(":")[2].startswith(expected)):
            named = f"{self.live_version} ({found})" if self.live_version else found or "nothing"
            raise RaceError(
                f"{self.where}: expected {expected} to be live, found {named}",
                hint=f"kitpack history {self.where}",
            )


def write(
    state: State,
    bundle: Manifest,
    author: Author,
    action: Action,
    *,
    undo: tuple[Digest, ...],
    routes: tuple[Route, ...] = (),
    gates: tuple[Gate, ...] = (),
) -> Released:
    """Write down what is about to happen, make it happen, and see that it did.

    Args:
        state: The channel as it was found.
        bundle: The release that the change speaks of.
        author: Who makes it, and why.
        action: What it is.
        undo: What further rollbacks restore after it.
        routes: Who else gets traffic after it.
        gates: What was checked before.

    Raises:
        NotFoundError: When the release is not whole; nothing has changed then.
        ReleaseError: When it is no release.
        LogError: When the log has no number left.
        RaceError: When somebody else was faster.
    """
    if bundle.artifact_type == RELEASE_TYPE:
        raise ReleaseError(f"{bundle.digest} is a record of a release log, not a release", hint="name a version")
    head = state.head
    record = Record(
        channel=state.channel,
        sequence=_next_number(state),
        action=action,
        target=bundle.digest,
        target_version=version_of(bundle),
        source=state.live,
        source_version=state.live_version,
        previous=head.digest if head else None,
        actor=author.actor,
        time=_time(state, author),
        reason=author.reason,
        undo=undo[:MAX_UNDO],
        routes=routes,
        gates=gates,
        override=author.override if any(not gate.passed for gate in gates) else "",
    )
    record = _append(state.home, record, bundle)
    if record.moves and action != "adopt":
        state.home.write(bundle, state.channel)
    _settle(state, record, bundle, author)
    return Released(record=record, notes=state.notes)


def _next_number(state: State) -> int:
    names = log_tags(state.channel, state.tags)
    if names and names[-1].sequence >= MAX_SEQUENCE:
        raise LogError(
            f"the tag {names[-1].tag} of {state.home.label} takes the last number that a record can have",
            hint="remove it from the registry, or go on with a channel of another name",
        )
    return names[-1].sequence + 1 if names else 1


def _time(state: State, author: Author) -> datetime:
    """The time of a record: that of this clock, but not before the last record.

    Where that one is far ahead, one of the two clocks is wrong. The record before it tells which; a wrong one in the
    log is not handed on, or it would be the time of everything that ever follows.
    """
    now, head = author.clock().astimezone(UTC), state.head
    if head is None or head.time <= now:
        return now
    if head.time - now > _AHEAD:
        try:
            before = parse_record(state.home.read_digest(head.previous)).time if head.previous else now
        except (InvalidManifestError, NotFoundError):
            before = now
        if before <= now:
            return now
    return head.time


def _append(home: Home, record: Record, bundle: Manifest) -> Record:
    manifest = encode_record(record, bundle)
    tag = log_tag(record.channel, record.sequence, manifest.digest)
    try:
        home.write(manifest, tag)
    except NotFoundError:  # the first record of a repository brings its empty config; else the bundle is not whole
        home.target.push(Descriptor.of_bytes(EMPTY_CONFIG, EMPTY), opener_of(EMPTY))
        try:
            home.write(manifest, tag)
        except NotFoundError as error:
            raise NotFoundError(
                f"{version_of(bundle) or bundle.digest} is not whole at {home.label}: {error.message}",
                hint="push it again from where it is whole; nothing was changed",
            ) from None
    return replace(record, digest=manifest.digest)


def _settle(state: State, record: Record, bundle: Manifest, author: Author) -> None:
    """Read back; who lost a race puts the tag where the log says.

    Raises:
        RaceError: When somebody else's change counts.
    """
    home, channel = state.home, state.channel
    head = record
    for number in range(1, _TRIES):
        names = [one for one in log_tags(channel, home.tags(log_prefix(channel))) if one.sequence >= record.sequence]
        if [one.tag for one in names] != [log_tag(channel, record.sequence, known(record.digest))]:
            try:
                head = read_head(home, channel, [one.tag for one in names], above=record.sequence) or record
            except LogError:  # listed, but not readable yet: somebody is just writing it
                author.pause(number * _PAUSE)
                continue
        if channel == ARCHIVE:
            break
        found = home.find(channel)
        wanted = live_by(home, channel, head, frozenset(one.tag for one in names)) or bundle.digest
        if found and found.digest == wanted:
            break
        home.write(bundle if wanted == bundle.digest else home.read_digest(wanted), channel)
    if not _counts(home, record, head):
        where = f"{home.label}:{channel}"
        raise RaceError(
            f"{head.actor or 'somebody'} changed {where} at the same time, and that counts: {head.action} to "
            f"{head.target_version or head.target}; this {record.action} is recorded as lost",
            hint=f"look (`kitpack history {where}`), then try again",
        )


def _counts(home: Home, record: Record, head: Record) -> bool:
    """Whether the log goes back from its end to a record, over those that followed it already."""
    while head.sequence > record.sequence and head.previous:
        head = parse_record(home.read_digest(head.previous))
    return head.digest == record.digest


def begin_archive(home: Home, author: Author) -> State:
    """The archive as it is, to write into it.

    Raises:
        LogError: When its log is broken.
    """
    tags = frozenset(home.tags())
    head = read_head(home, ARCHIVE, tags, author.pin)
    return State(home=home, channel=ARCHIVE, tags=tags, head=head, tagged=None, live=None)


def version_of(manifest: Manifest) -> str:
    """The version that a bundle gives itself, or an empty string."""
    found = manifest.annotations.get("org.opencontainers.image.version", "")
    if found or ANNOTATION_KITFILE not in manifest.annotations:
        return found
    try:
        package = parse_object(manifest.annotations[ANNOTATION_KITFILE].encode()).get("package")
    except ValueError:
        return ""
    version = package.get("version") if isinstance(package, dict) else None
    return version if isinstance(version, str) else ""


def live_by(home: Home, channel: str, head: Record | None, tags: frozenset[str]) -> Digest | None:
    """What is live by the log: its last record says it, except those that speak of another release.

    Args:
        home: Where the log is.
        channel: The channel.
        head: Its last record.
        tags: All tags there.
    """
    if head is None or head.moves or head.action == "route":
        return head.target if head else None
    if head.source:  # withdraw: the release that was and is live
        return head.source
    return read_log(home, channel, sorted(tags)).live


def known(digest: Digest | None) -> Digest:
    """A digest that must be there by now.

    Raises:
        LogError: When it is not.
    """
    if digest is None:
        raise LogError("a record was not written")
    return digest
