"""What a release has to pass before it goes live.

A gate is a function from a candidate to a verdict. The ones here need nothing but the registry; those that read prompts
or count tokens are made by the rooms that know how, and come in through the same door.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from kitpack.content.events import OnEvent, ignore
from kitpack.content.sidebyside import side_by_side
from kitpack.errors import KitpackError, LogError, UsageError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.jsontext import Json
from kitpack.releases.change import Candidate, Check
from kitpack.releases.log import read_head
from kitpack.releases.record import Gate
from kitpack.releases.status import archived_digests
from kitpack.releases.writing import live_by

__all__ = [
    "BUILT_IN",
    "DEFAULT_GATES",
    "Maker",
    "Policy",
    "build_gates",
    "complete",
    "live_in",
    "not_archived",
    "reason_given",
    "rollback_target",
]

Maker: TypeAlias = Callable[[Json], Check]
"""Makes a gate from what a policy says of it, such as a limit; raises ValueError when it says nonsense."""

DEFAULT_GATES = ("complete", "not-archived")
"""What a channel asks for when no policy speaks of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which gates each channel has.

    Attributes:
        channels: The gates of a channel, each with what it is told; ``*`` stands for all channels not named.
        source: Where the policy stands, for messages.
    """

    channels: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    source: str = ""

    def gates_of(self, channel: str) -> Mapping[str, Json]:
        """The gates of a channel, by their names."""
        named = self.channels.get(channel, self.channels.get("*", {}))
        return {**dict.fromkeys(DEFAULT_GATES), **named}


def build_gates(policy: Policy, channel: str, makers: Mapping[str, Maker]) -> list[Check]:
    """The gates of a channel.

    Args:
        policy: What is asked for.
        channel: The channel.
        makers: All gates there are, by their names.

    Raises:
        UsageError: When the policy names one that does not exist, or tells it nonsense.
    """
    gates: list[Check] = []
    for name, told in policy.gates_of(channel).items():
        if told is False:
            continue
        if name not in makers:
            known = ", ".join(sorted(makers))
            raise UsageError(f"{policy.source or 'the policy'}: there is no gate {name[:80]!r}; there are {known}")
        try:
            gates.append(makers[name](told))
        except ValueError as error:
            raise UsageError(f"{policy.source or 'the policy'}: {name}: {error}") from None
    return gates


def complete(_: Json = None) -> Check:
    """All content of the release is there, each piece with its whole size."""

    def check(candidate: Candidate) -> Gate:
        def ask(one: Descriptor, _: OnEvent) -> str:
            try:
                return "" if candidate.home.target.exists(one) else f"{one.digest} is missing"
            except KitpackError as error:
                return error.message

        found = side_by_side(ask, _content(candidate), 8, ignore)
        return _gate("complete", [one for one in found if one], f"{len(found)} pieces of content")

    return check


def not_archived(_: Json = None) -> Check:
    """The release is not archived."""

    def check(candidate: Candidate) -> Gate:
        archived = archived_digests(candidate.home, candidate.tags)
        wrong = (
            ["it is archived; `kitpack archive --restore` lifts that"] if candidate.bundle.digest in archived else []
        )
        return _gate("not-archived", wrong, "")

    return check


def rollback_target(_: Json = None) -> Check:
    """There is a release to go back to, and it is whole. The first release of a channel passes."""

    def check(candidate: Candidate) -> Gate:
        if candidate.live is None:
            return Gate(name="rollback-target", passed=True, detail="the first release here")
        try:
            bundle = candidate.home.read_digest(candidate.live)
            missing = [one for one in bundle.successors if not candidate.home.target.exists(one)]
        except KitpackError as error:
            return Gate(name="rollback-target", passed=False, detail=error.message)
        wrong = [f"{one.digest} of {candidate.live} is missing" for one in missing]
        return _gate("rollback-target", wrong, str(candidate.live))

    return check


def live_in(told: Json) -> Check:
    """The release is live at another channel, such as ``staging``, exactly as it is.

    Raises:
        ValueError: When it is not told which one.
    """
    if not isinstance(told, str) or not told:
        raise ValueError("name the channel, for example `live-in: staging`")
    channel = told

    def check(candidate: Candidate) -> Gate:
        try:
            live = live_by(candidate.home, channel, read_head(candidate.home, channel, candidate.tags), candidate.tags)
        except LogError as error:
            return Gate(name="live-in", passed=False, detail=error.message)
        wrong = [] if live == candidate.bundle.digest else [f"{live or 'nothing'} is live at {channel}"]
        return _gate("live-in", wrong, channel)

    return check


def reason_given(_: Json = None) -> Check:
    """Somebody said why. The command that makes the change hands the reason over."""

    def check(candidate: Candidate) -> Gate:
        return _gate("reason", [] if candidate.reason.strip() else ["no --reason was given"], "")

    return check


BUILT_IN: Mapping[str, Maker] = {
    "complete": complete,
    "not-archived": not_archived,
    "rollback-target": rollback_target,
    "live-in": live_in,
    "reason": reason_given,
}
"""The gates that need nothing but the registry."""


def _content(candidate: Candidate) -> Sequence[Descriptor]:
    return list(dict.fromkeys(one.plain() for one in candidate.bundle.successors))


def _gate(name: str, wrong: Iterable[str], right: str) -> Gate:
    faults = list(wrong)
    more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
    return Gate(name=name, passed=not faults, detail="; ".join(faults[:3]) + more if faults else right)
