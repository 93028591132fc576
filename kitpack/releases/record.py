"""Release records: one small manifest for each thing that happened to a channel.

A record is never changed and never moved. Its facts stand in annotations, its subject is the bundle it made live, and
its layers are those of that bundle: so a registry refuses the record of a bundle that is no longer whole, before
anything has moved, and keeps the content of everything that was ever live for as long as the log stands.

A record's tag is ``<channel>.log.<sequence>.<first 8 hex digits of its digest>``: two writers who take the same number
at the same time write two tags, and neither is lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, TypeAlias, cast, get_args

from kitpack.errors import InvalidDigestError, InvalidManifestError, UsageError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import JsonObject, encode, parse_object
from kitpack.oci.manifest import Manifest, build_manifest
from kitpack.oci.mediatypes import EMPTY_CONFIG
from kitpack.oci.reference import is_tag

__all__ = [
    "ARCHIVE",
    "EMPTY",
    "MAX_SEQUENCE",
    "MAX_UNDO",
    "RELEASE_TYPE",
    "Action",
    "Gate",
    "LogTag",
    "Record",
    "Route",
    "channel_of",
    "check_channel",
    "encode_record",
    "log_prefix",
    "log_tag",
    "parse_record",
]

RELEASE_TYPE = "application/vnd.kitpack.release.v1+json"
"""The artifact type of a record."""

EMPTY = b"{}"
"""The config of a record, which says nothing."""

Action: TypeAlias = Literal["promote", "rollback", "route", "withdraw", "adopt", "archive", "restore"]
"""What happened. ``adopt`` records that the tag was moved by somebody who wrote no record."""

MAX_UNDO = 32
"""How many releases a record remembers for further rollbacks; beyond, the whole log is read."""

MAX_SEQUENCE = 999_999_999
"""The highest number that a record can have."""

ARCHIVE = "_archive"
"""The log that says which releases must not go live again. It has records like a channel, and no tag."""

_PREFIX = "io.kitpack.release."
_TAG = re.compile(r"(.+)\.log\.([0-9]{6,9})\.([0-9a-f]{8})")
_MAX_CHANNEL = 100
_MAX_TEXT = 4000
_YEARS = range(1970, 9999)  # beyond, there are zones in which no clock can show the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A part of the traffic that another release gets while a channel's tag stays where it is.

    Attributes:
        digest: The release.
        version: Its version, as far as known.
        percent: Of a hundred users, how many get it.
        shadow: Whether it only runs along, and its answers are never shown.
        salt: What distributes the users anew for each rollout; see :mod:`kitpack.releases.split`.
    """

    digest: Digest
    version: str = ""
    percent: float = 0.0
    shadow: bool = False
    salt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a gate said before a release.

    Attributes:
        name: The gate.
        passed: Whether it let the release through.
        detail: What it found, in one line.
    """

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing that happened to a channel.

    Attributes:
        channel: The channel.
        sequence: Its number, counted from 1.
        action: What happened.
        target: The release that is live after it; for ``withdraw``, ``archive`` and ``restore``, the one spoken of.
        target_version: Its version, as the writer knew it.
        source: The release that was live before it; None when there was none.
        source_version: Its version.
        previous: The record before it; None for the first.
        actor: Who did it.
        time: When, in UTC. Never before the time of the record before it, whatever the writer's clock says.
        reason: Why.
        undo: What further rollbacks restore, the next one first: what served before, without what was withdrawn.
        routes: Who else gets traffic.
        gates: What was checked before.
        override: Why a gate that did not pass was overridden.
        digest: Of the record itself; None before it is written.
    """

    channel: str
    sequence: int
    action: Action
    target: Digest
    target_version: str = ""
    source: Digest | None = None
    source_version: str = ""
    previous: Digest | None = None
    actor: str
    time: datetime
    reason: str = ""
    undo: tuple[Digest, ...] = ()
    routes: tuple[Route, ...] = ()
    gates: tuple[Gate, ...] = ()
    override: str = ""
    digest: Digest | None = field(default=None, compare=False)

    @property
    def moves(self) -> bool:
        """Whether the channel's tag stands for the target after it."""
        return self.action in ("promote", "rollback", "adopt")


@dataclass(frozen=True, slots=True, order=True)
class LogTag:
    """The tag of a record, taken apart."""

    sequence: int
    short: str
    tag: str

    @classmethod
    def parse(cls, channel: str, tag: str) -> LogTag | None:
        """Read the tag of a record of a channel; None when it is something else."""
        match = _TAG.fullmatch(tag)
        if match is None or match[1] != channel or (len(match[2]) > 6 and match[2][0] == "0"):
            return None
        return cls(int(match[2]), match[3], tag)


def channel_of(tag: str) -> str:
    """The channel whose record a tag may stand for, or an empty string."""
    match = _TAG.fullmatch(tag)
    return match[1] if match else ""


def check_channel(channel: str) -> str:
    """Make sure that a name can be a channel.

    Raises:
        UsageError: When it cannot.
    """
    if not is_tag(channel) or len(channel) > _MAX_CHANNEL or ".log." in channel or channel.startswith("_"):
        raise UsageError(
            f"{channel[:140]!r} cannot be a channel; expected a tag of at most {_MAX_CHANNEL} characters, "
            "without '.log.' in it and '_' before it",
            hint="for example production, staging or canary",
        )
    return channel


def log_prefix(channel: str) -> str:
    """What the tags of all records of a channel begin with."""
    return f"{channel}.log."


def log_tag(channel: str, sequence: int, digest: Digest) -> str:
    """The tag of a record."""
    return f"{log_prefix(channel)}{sequence:06d}.{digest.hex[:8]}"


def encode_record(record: Record, bundle: Manifest) -> Manifest:
    """Make the manifest of a record.

    Args:
        record: What happened.
        bundle: The manifest of its target. A record that makes it live names its layers as well.
    """
    annotations = {f"{_PREFIX}{key}": value for key, value in _facts(record).items() if value}
    annotations["org.opencontainers.image.created"] = _written(record.time)
    return build_manifest(
        artifact_type=RELEASE_TYPE,
        config=Descriptor.of_bytes(EMPTY_CONFIG, EMPTY),
        layers=_content(bundle) if record.moves and record.action != "adopt" else (),
        annotations=annotations,
        subject=bundle.descriptor,
    )


def parse_record(manifest: Manifest) -> Record:
    """Read a record.

    Raises:
        InvalidManifestError: When the manifest is none, or its facts cannot be.
    """
    if manifest.artifact_type != RELEASE_TYPE:
        raise InvalidManifestError(f"{manifest.digest} is {manifest.kind or 'no artifact'!r}, not a release record")
    facts = {key.removeprefix(_PREFIX): value for key, value in manifest.annotations.items() if key.startswith(_PREFIX)}
    try:
        record = _record(facts)
    except (InvalidDigestError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise InvalidManifestError(f"the release record {manifest.digest} cannot be read: {error}") from None
    if manifest.subject is None or manifest.subject.digest != record.target:
        raise InvalidManifestError(f"the release record {manifest.digest} speaks of another bundle than its subject")
    return replace(record, digest=manifest.digest)


def _content(bundle: Manifest) -> tuple[Descriptor, ...]:
    return (*((bundle.config.plain(),) if bundle.config else ()), *(layer.plain() for layer in bundle.layers))


def _facts(record: Record) -> dict[str, str]:
    return {
        "channel": record.channel,
        "sequence": str(record.sequence),
        "action": record.action,
        "target": str(record.target),
        "target.version": record.target_version,
        "source": str(record.source or ""),
        "source.version": record.source_version,
        "previous": str(record.previous or ""),
        "actor": record.actor[:_MAX_TEXT],
        "time": _written(record.time),
        "reason": record.reason[:_MAX_TEXT],
        "undo": " ".join(map(str, record.undo[:MAX_UNDO])),
        "routes": _listed("routes", [_route_json(route) for route in record.routes]),
        "gates": _listed(
            "gates", [{"name": gate.name, "passed": gate.passed, "detail": gate.detail} for gate in record.gates]
        ),
        "override": record.override[:_MAX_TEXT],
    }


def _listed(key: str, members: list[JsonObject]) -> str:
    return encode({key: [*members]}).decode() if members else ""


def _route_json(route: Route) -> JsonObject:
    return {
        "digest": str(route.digest),
        "version": route.version,
        "percent": route.percent,
        "shadow": route.shadow,
        "salt": route.salt,
    }


def _written(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _record(facts: Mapping[str, str]) -> Record:
    action = facts["action"]
    if action not in get_args(Action):
        raise ValueError(f"its action is {action[:40]!r}; this version of kitpack may be too old for it")
    sequence = facts["sequence"]
    if not sequence.isascii() or not sequence.isdigit() or len(sequence) > 9 or not int(sequence):
        raise ValueError(f"its sequence is {sequence[:40]!r}")
    return Record(
        channel=facts["channel"],
        sequence=int(sequence),
        action=cast("Action", action),
        target=Digest.parse(facts["target"]),
        target_version=facts.get("target.version", ""),
        source=_digest(facts.get("source", "")),
        source_version=facts.get("source.version", ""),
        previous=_digest(facts.get("previous", "")),
        actor=facts.get("actor", "")[:_MAX_TEXT],
        time=_time(facts["time"]),
        reason=facts.get("reason", "")[:_MAX_TEXT],
        undo=tuple(map(Digest.parse, facts.get("undo", "").split()[:MAX_UNDO])),
        routes=tuple(map(_route, _members(facts, "routes"))),
        gates=tuple(map(_gate, _members(facts, "gates"))),
        override=facts.get("override", "")[:_MAX_TEXT],
    )


def _digest(text: str) -> Digest | None:
    return Digest.parse(text) if text else None


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"its time {text[:40]!r} has no zone")
    found = found.astimezone(UTC)
    if found.year not in _YEARS:
        raise ValueError(f"its time is {text[:40]!r}")
    return found


def _members(facts: Mapping[str, str], key: str) -> list[JsonObject]:
    members = parse_object(facts[key].encode())[key] if facts.get(key) else []
    if not isinstance(members, list):
        raise TypeError(f"its {key} are no list")
    return [member for member in members if isinstance(member, dict)]


def _route(value: JsonObject) -> Route:
    percent = value["percent"]
    if not isinstance(percent, int | float) or isinstance(percent, bool) or not 0 <= percent <= 100:
        raise ValueError(f"a route has {percent!r} percent")
    return Route(
        digest=Digest.parse(str(value["digest"])),
        version=str(value.get("version", "")),
        percent=float(percent),
        shadow=value.get("shadow") is True,
        salt=str(value.get("salt", "")),
    )


def _gate(value: JsonObject) -> Gate:
    return Gate(name=str(value["name"]), passed=value.get("passed") is True, detail=str(value.get("detail", "")))
