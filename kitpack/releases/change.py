"""Changing what is live: promote, roll back, route, withdraw, adopt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias

from kitpack.errors import GateError, LogError, NotFoundError, OutsideMoveError, ReleaseError
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest
from kitpack.releases.chain import Log
from kitpack.releases.home import Home
from kitpack.releases.log import read_ends, read_log
from kitpack.releases.record import ARCHIVE, MAX_UNDO, Gate, Record, Route, check_channel, log_prefix, log_tag
from kitpack.releases.split import PLACES, width_of
from kitpack.releases.status import archived_digests
from kitpack.releases.writing import Author, Released, State, known, live_by, version_of, write

__all__ = ["Candidate", "Check", "Reroute", "adopt", "promote", "rollback", "route", "withdraw"]


_LOOKS = 5
"""How often to look again at what the log does not explain, because somebody may be just changing it."""

_PAUSE = 0.05
"""Seconds before the second look; each further one waits that much longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A release that wants to go live, for the gates to look at.

    Attributes:
        home: Where it is.
        channel: Where it wants to go live.
        bundle: Its manifest.
        live: The release that is live now; None when there is none.
        tags: All tags there.
        head: The last record of the channel.
        reason: Why it is to go live.
    """

    home: Home
    channel: str
    bundle: Manifest
    live: Digest | None
    tags: frozenset[str]
    head: Record | None
    reason: str = ""


Check: TypeAlias = Callable[[Candidate], Gate]
"""A gate: looks at a candidate and says whether it may go live."""

Reroute: TypeAlias = Callable[[tuple[Route, ...]], Sequence[Route]]
"""Says who gets traffic from now on. It is told who does by then, so two changes at once do not undo each other."""


def promote(
    home: Home, reference: str | Digest, channel: str, author: Author, *, gates: Sequence[Check] = (), expect: str = ""
) -> Released:
    """Make a release live.

    Args:
        home: Where release and channel are.
        reference: The release: its tag or digest.
        channel: Where it goes live.
        author: Who does it, and why.
        gates: What has to let it through.
        expect: The version or digest that must be live now; empty for whatever is.

    Raises:
        NotFoundError: When the release is not there, or not whole.
        GateError: When a gate does not let it through; nothing has changed then.
        RaceError: When something else is live than expected, or somebody else was faster.
        OutsideMoveError: When the channel's tag was moved without a record.
        LogError: When the log is broken.
    """
    state = _begin(home, channel, author)
    bundle = home.read_digest(reference) if isinstance(reference, Digest) else home.read(reference)
    state.require(expect)
    if state.live == bundle.digest and state.head and not state.head.routes:
        return _again(state, bundle)
    passed = _pass(state, bundle, gates, author)
    undo = tuple(one for one in (state.live, *state.undo) if one and one != bundle.digest)
    return write(state, bundle, author, "promote", undo=undo, gates=passed)


def rollback(
    home: Home,
    channel: str,
    author: Author,
    *,
    to: str | Digest = "",
    gates: Sequence[Check] = (),
    expect: str = "",
) -> Released:
    """Make live what served before the release that is live now. Once more goes further back.

    Args:
        home: Where the channel is.
        channel: The channel.
        author: Who does it, and why.
        to: The tag or digest of the release to go back to; empty for the one that served before.
        gates: What has to let a named release through.
        expect: The version or digest that must be live now; empty for whatever is.

    Raises:
        NotFoundError: When nothing served before, or it is not whole any more; nothing has changed then.
        GateError, RaceError, OutsideMoveError, LogError: As :func:`promote`.
    """
    state = _begin(home, channel, author)
    state.require(expect)
    if state.head and state.head.action == "rollback" and state.tagged == state.head.source and not to:
        return _again(state, home.read_digest(state.head.target))
    if to:
        bundle = home.read_digest(to) if isinstance(to, Digest) else home.read(to)
    else:
        state, bundle = _before(state)
    if bundle.digest == state.live and state.head:
        return _again(state, bundle)
    passed = _pass(state, bundle, gates, author) if to else ()
    return write(state, bundle, author, "rollback", undo=_further_back(state.undo, bundle.digest), gates=passed)


def route(
    home: Home,
    channel: str,
    author: Author,
    change: Reroute,
    *,
    newcomer: Manifest | None = None,
    gates: Sequence[Check] = (),
) -> Released:
    """Give a part of the traffic to other releases; the channel's tag stays where it is.

    Args:
        home: Where the channel is.
        channel: The channel.
        author: Who does it, and why.
        change: Says who gets what from now on, told who does now; nobody ends all routes.
        newcomer: The release that gets more than before, if any.
        gates: What has to let it through.

    Raises:
        ReleaseError: When nothing is live, there is more than a hundred percent, or less than a hundredth for one.
        GateError: When a gate does not let it through; nothing has changed then.
    """
    state = _begin(home, channel, author)
    if state.live is None:
        raise ReleaseError(f"nothing is live at {home.label}:{channel}", hint=f"kitpack promote REF --to {channel}")
    routes = tuple(change(state.routes))
    if sum(width_of(one) for one in routes) > PLACES:
        raise ReleaseError("the routes add up to more than 100 percent")
    if any(one.percent and not one.shadow and not width_of(one) for one in routes):
        raise ReleaseError("a route has less than 0.01 percent, the least there is", hint="--percent 0 ends a part")
    bundle = home.read_digest(state.live)
    if state.head and state.head.routes == routes:
        return _again(state, bundle)
    passed = _pass(state, newcomer, gates, author) if newcomer else ()
    return write(state, bundle, author, "route", undo=state.undo, routes=routes, gates=passed)


def withdraw(home: Home, channel: str, author: Author, reference: str | Digest) -> Released:
    """Make sure that no rollback restores a release that served before.

    Raises:
        ReleaseError: When it is live, or the channel has no log.
        NotFoundError: When it is not there.
    """
    state = _begin(home, channel, author)
    bundle = home.read_digest(reference) if isinstance(reference, Digest) else home.read(reference)
    if bundle.digest == state.live:
        raise ReleaseError(
            f"{bundle.digest} is live at {home.label}:{channel}", hint=f"kitpack rollback {home.label}:{channel}"
        )
    if bundle.digest not in state.undo:
        if state.head is None:
            raise ReleaseError(f"{bundle.digest} never served at {state.where}, which has no release log")
        return Released(record=state.head, changed=False)
    undo = tuple(one for one in state.undo if one != bundle.digest)
    return write(state, bundle, author, "withdraw", undo=undo, routes=state.routes)


def adopt(home: Home, channel: str, author: Author) -> Released:
    """Write down that the channel's tag was moved by somebody who wrote no record.

    Raises:
        NotFoundError: When there is no such tag.
    """
    state = _begin(home, channel, replace(author, force=True))
    if state.tagged is None:
        raise NotFoundError(f"there is no tag {channel!r} at {home.label}", hint=f"kitpack promote REF --to {channel}")
    if state.head and state.tagged == state.live:
        return Released(record=state.head, changed=False)
    return _adopt(state, author)


def _begin(home: Home, channel: str, author: Author) -> State:
    """Look at a channel.

    Raises:
        OutsideMoveError: When its tag was moved without a record. Somebody who is just moving it is given the time of a
            few more looks.
        LogError: When its log is broken.
    """
    check_channel(channel)
    state, explained = _look(home, channel, author, patient=True)
    for number in range(1, _LOOKS):
        if explained:
            return state
        author.pause(number * _PAUSE)
        state, explained = _look(home, channel, author, patient=True)
    return state if explained else _outside_move(state, author)


def _look(home: Home, channel: str, author: Author, *, patient: bool = False) -> tuple[State, bool]:
    """A channel as it is, and whether its log explains what its tag stands for.

    A patient look does not mind a record that is listed and cannot be read: somebody may be just writing it.
    """
    tags = frozenset(home.tags())
    notes: tuple[str, ...] = ()
    try:
        ends = read_ends(home, channel, tags, author.pin)
    except LogError as error:
        if patient:
            return _look_again(home, channel, author)
        if not author.force:
            raise
        ends = list(read_log(home, channel, sorted(tags)).records[-1:])
        trusted = f"record {ends[0].sequence} of {ends[0].time:%Y-%m-%d %H:%M} UTC" if ends else "nothing of it"
        notes = (f"the log is broken ({error.message}); what was trusted is {trusted}",)
    head = ends[0] if ends else None
    found = home.find(channel) if channel in tags else None
    tagged = found.digest if found else None
    live = live_by(home, channel, head, tags)
    state = State(home=home, channel=channel, tags=tags, head=head, tagged=tagged, live=live or tagged, notes=notes)
    # Who lost a race against the last record may not have put the tag back yet.
    in_between = {_interrupted(head), *(one.target for one in ends if one.moves)} if head else set[Digest | None]()
    return state, head is None or tagged in {live, *in_between}


def _look_again(home: Home, channel: str, author: Author) -> tuple[State, bool]:
    for number in range(1, _LOOKS):
        author.pause(number * _PAUSE)
        with suppress(LogError):
            return _look(home, channel, replace(author, force=False))
    return _look(home, channel, author)


def _interrupted(head: Record) -> Digest | None:
    """What the tag stands for when the last change was written down, but not made."""
    return head.source if head.moves else head.target


def _outside_move(state: State, author: Author) -> State:
    if not author.force:
        raise OutsideMoveError(
            f"the tag {state.where} stands for {state.tagged or 'nothing'}, but by the log {state.live} is live: "
            "it was moved without a record",
            hint=f"`kitpack adopt {state.where}` writes down that it is so; --force does that and goes on",
        )
    if state.tagged is None:
        return replace(state, notes=(*state.notes, f"the tag {state.where} was gone"))
    adopted = _adopt(state, author).record
    note = f"the tag had been moved to {state.tagged} without a record; record {adopted.sequence} says so now"
    tags = state.tags | {log_tag(state.channel, adopted.sequence, known(adopted.digest))}
    return replace(state, tags=tags, head=adopted, live=adopted.target, notes=(*state.notes, note))


def _adopt(state: State, author: Author) -> Released:
    bundle = state.home.read_digest(known(state.tagged))
    undo = tuple(one for one in (state.live, *state.undo) if one and one != bundle.digest)
    return write(state, bundle, author, "adopt", undo=undo)


def _before(state: State) -> tuple[State, Manifest]:
    """What the next rollback restores: the last that served before, and is not archived."""
    where = state.where
    if state.head is None:
        raise NotFoundError(
            f"{where} has no release log, so nothing says what served before",
            hint=f"kitpack promote {state.home.label}:VERSION --to {state.channel}",
        )
    archived = _archived(state)
    served = [one for one in state.undo if one not in archived]
    if not served and state.head.sequence > MAX_UNDO:
        log = read_log(state.home, state.channel, sorted(state.tags))
        served = [one for one in _served_before(log) if one not in archived]
    hint = f"`kitpack rollback {where} --to VERSION` names a release; `kitpack history {where}` shows them"
    if not served:
        raise NotFoundError(f"nothing served at {where} before {state.live_version or state.live}", hint=hint)
    if state.undo[:1] != (served[0],):
        told = "; ".join(f"{one} is passed over, as it is archived" for one in state.undo if one in archived)
        state = replace(state, notes=(*state.notes, *filter(None, [told])))
    try:
        return state, state.home.read_digest(served[0])
    except NotFoundError:
        raise NotFoundError(
            f"{served[0]}, which served at {where} before, is gone; nothing was changed", hint=hint
        ) from None


def _archived(state: State) -> frozenset[Digest]:
    beginning = log_prefix(ARCHIVE)
    if not any(tag.startswith(beginning) for tag in state.tags):
        return frozenset()
    return archived_digests(state.home, state.tags)


def _served_before(log: Log) -> list[Digest]:
    """What rollbacks restore, by the whole log instead of what its last record remembers."""
    stack: list[Digest] = []
    live: Digest | None = None
    for record in log.records:
        if record.action == "withdraw":
            stack = [one for one in stack if one != record.target]
        elif record.action == "rollback":
            stack = [*_further_back(tuple(stack), record.target)]
        elif record.moves:
            stack = [one for one in (live, *stack) if one and one != record.target]
        live = record.target if record.moves else live
    return stack


def _further_back(undo: tuple[Digest, ...], target: Digest) -> tuple[Digest, ...]:
    """What is left to go back to: what served before the target, and never what was live after it."""
    return undo[undo.index(target) + 1 :] if target in undo else undo


def _pass(state: State, bundle: Manifest, gates: Sequence[Check], author: Author) -> tuple[Gate, ...]:
    candidate = Candidate(
        home=state.home,
        channel=state.channel,
        bundle=bundle,
        live=state.live,
        tags=state.tags,
        head=state.head,
        reason=author.reason,
    )
    found = tuple(gate(candidate) for gate in gates)
    failed = [gate for gate in found if not gate.passed]
    if failed and not author.override:
        told = "; ".join(f"{gate.name}: {gate.detail}" for gate in failed)
        raise GateError(
            f"{version_of(bundle) or bundle.digest} may not go live at {state.where}: {told}",
            hint="mend it, or let it through with --override REASON, which is recorded",
        )
    return found


def _again(state: State, bundle: Manifest) -> Released:
    """It is so by the log; make sure that the tag says the same."""
    if state.tagged != bundle.digest:
        state.home.write(bundle, state.channel)
        return Released(record=_last(state), notes=(*state.notes, "the change was recorded before, and is made now"))
    return Released(record=_last(state), changed=False, notes=state.notes)


def _last(state: State) -> Record:
    if state.head is None:
        raise LogError(f"{state.where} has no release log")
    return state.head
