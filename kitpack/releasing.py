"""What is live, as functions that take what a user types: promote, roll back, look back.

::

    import kitpack

    kitpack.promote("localhost:5000/team/assistant:1.4.0", to="production", reason="fewer refunds promised")
    kitpack.rollback("localhost:5000/team/assistant:production", reason="answers in French")
    kitpack.history("localhost:5000/team/assistant:production").records

A channel is kept where its bundle is: in the registry that the reference names, in the configured one when it names
none, and without any in the local store. Every function takes ``settings``; without them the environment decides.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from secrets import token_hex

from kitpack.errors import InvalidDigestError
from kitpack.oci.digest import Digest
from kitpack.places import find_home
from kitpack.releases.answer import Answered, answer_from
from kitpack.releases.chain import Log, Pin
from kitpack.releases.change import Check
from kitpack.releases.change import adopt as adopt_tag
from kitpack.releases.change import promote as promote_release
from kitpack.releases.change import rollback as roll_back
from kitpack.releases.change import route as route_traffic
from kitpack.releases.change import withdraw as withdraw_release
from kitpack.releases.gates import BUILT_IN, Policy, build_gates
from kitpack.releases.goal import goal_of
from kitpack.releases.home import Home
from kitpack.releases.log import read_last
from kitpack.releases.moment import parse_moment
from kitpack.releases.pins import load_pin, save_pin
from kitpack.releases.record import Route
from kitpack.releases.status import Versions, read_versions
from kitpack.releases.status import archive as archive_release
from kitpack.releases.status import restore as restore_release
from kitpack.releases.writing import Author, Released, version_of
from kitpack.settings import Settings

__all__ = [
    "adopt",
    "archive",
    "history",
    "promote",
    "record_at",
    "restore",
    "rollback",
    "rollout",
    "status",
    "withdraw",
]

_LOGGER = logging.getLogger("kitpack")


def promote(  # noqa: PLR0913 - a release has many facts
    reference: str,
    to: str,
    *,
    reason: str = "",
    expect: str = "",
    gates: Sequence[Check] | None = None,
    override: str = "",
    force: bool = False,
    local: bool = False,
    settings: Settings | None = None,
) -> Released:
    """Make a release live at a channel.

    Args:
        reference: The release, such as ``localhost:5000/team/assistant:1.4.0``.
        to: The channel, such as ``production``.
        reason: Why.
        expect: The version or digest that must be live now; empty for whatever is.
        gates: What has to let it through, see :func:`kitpack.releases.gates.build_gates`; by default that it is whole
            and not archived.
        override: Why gates that do not pass are overridden; it is recorded.
        force: Whether to go on where the log is broken or the tag was moved from outside.
        local: Whether the local store is meant, whatever the reference says.
        settings: The surroundings.

    Raises:
        NotFoundError: When the release is not there, or not whole.
        GateError: When a gate does not let it through; nothing has changed then.
        RaceError: When something else is live than expected, or somebody else was faster.
        OutsideMoveError: When the channel's tag was moved without a record.
        LogError: When the log is broken.
    """
    settings = settings or Settings.from_env()
    home, selector = find_home(reference, settings, local=local)
    author = _author(home, to, settings, reason=reason, override=override, force=force)
    checks = _default_gates(to) if gates is None else gates
    done = promote_release(home, _named(selector), to, author, gates=checks, expect=expect)
    return _pinned(home, to, settings, done, force=force)


def rollback(  # noqa: PLR0913 - a release has many facts
    channel: str,
    *,
    to: str = "",
    reason: str = "",
    expect: str = "",
    gates: Sequence[Check] | None = None,
    override: str = "",
    force: bool = False,
    local: bool = False,
    settings: Settings | None = None,
) -> Released:
    """Make live what served before the release that is live now. Once more goes further back.

    Args:
        channel: Bundle and channel, such as ``localhost:5000/team/assistant:production``.
        to: A version, a digest or ``@{…}`` to go back to; empty for what served before.
        reason: Why.
        expect: The version or digest that must be live now; empty for whatever is.
        gates: What has to let a named release through, as in :func:`promote`; going back to what served before needs
            none.
        override: Why gates that do not pass are overridden; it is recorded.
        force: Whether to go on where the log is broken or the tag was moved from outside.
        local: Whether the local store is meant, whatever the reference says.
        settings: The surroundings.

    Raises:
        NotFoundError: When nothing served before, or it is not whole any more; nothing has changed then.
        GateError, RaceError, OutsideMoveError, LogError: As :func:`promote`.
    """
    settings = settings or Settings.from_env()
    home, name = find_home(channel, settings, local=local, channel=True)
    author = _author(home, name, settings, reason=reason, override=override, force=force)
    checks = _default_gates(name) if gates is None else gates
    target = goal_of(home, name, to, settings.pins, jobs=settings.jobs) if to else ""
    done = roll_back(home, name, author, to=target, gates=checks, expect=expect)
    return _pinned(home, name, settings, done, force=force)


def rollout(  # noqa: PLR0913 - a release has many facts
    reference: str,
    to: str,
    *,
    percent: float = 0.0,
    shadow: bool = False,
    reason: str = "",
    gates: Sequence[Check] | None = None,
    override: str = "",
    force: bool = False,
    local: bool = False,
    settings: Settings | None = None,
) -> Released:
    """Give a part of a channel's traffic to a release; the tag stays with the live one, and so do other routes.

    A rollout keeps its salt while it ramps up, so whoever got the release goes on getting it.

    Args:
        reference: The release.
        to: The channel.
        percent: Of a hundred users, how many get it; 0 ends its part.
        shadow: Whether it runs along, and nobody sees its answers.
        reason: Why.
        gates: What has to let it through, as in :func:`promote`; its part can be ended without.
        override: As in :func:`promote`.
        force: As in :func:`promote`.
        local: Whether the local store is meant.
        settings: The surroundings.

    Raises:
        GateError: When a gate does not let it through; nothing has changed then.
        ReleaseError: When nothing is live, or the percents add up to more than a hundred.
        NotFoundError: When the release is not there.
    """
    settings = settings or Settings.from_env()
    home, selector = find_home(reference, settings, local=local)
    named = _named(selector)
    bundle = home.read_digest(named) if isinstance(named, Digest) else home.read(named)

    def change(before: tuple[Route, ...]) -> Sequence[Route]:
        routes = [one for one in before if one.digest != bundle.digest]
        if percent or shadow:
            salt = next((one.salt for one in before), "") or token_hex(8)
            version = version_of(bundle)
            routes.append(Route(digest=bundle.digest, version=version, percent=percent, shadow=shadow, salt=salt))
        return routes

    author = _author(home, to, settings, reason=reason, override=override, force=force)
    checks = _default_gates(to) if gates is None else gates
    newcomer = bundle if percent or shadow else None
    return _pinned(
        home, to, settings, force=force, done=route_traffic(home, to, author, change, newcomer=newcomer, gates=checks)
    )


def withdraw(
    reference: str,
    channel: str,
    *,
    reason: str = "",
    force: bool = False,
    local: bool = False,
    settings: Settings | None = None,
) -> Released:
    """Make sure that no rollback of a channel restores a release that served there before.

    Raises:
        ReleaseError: When it is live.
    """
    settings = settings or Settings.from_env()
    home, selector = find_home(reference, settings, local=local)
    author = _author(home, channel, settings, reason=reason, force=force)
    return _pinned(home, channel, settings, withdraw_release(home, channel, author, _named(selector)), force=force)


def adopt(channel: str, *, reason: str = "", local: bool = False, settings: Settings | None = None) -> Released:
    """Write down that a channel's tag was moved by somebody who wrote no record.

    Raises:
        NotFoundError: When there is no such tag.
    """
    settings = settings or Settings.from_env()
    home, name = find_home(channel, settings, local=local, channel=True)
    done = adopt_tag(home, name, _author(home, name, settings, reason=reason))
    return _pinned(home, name, settings, done, force=done.changed)


def archive(reference: str, *, reason: str = "", local: bool = False, settings: Settings | None = None) -> Released:
    """Forbid that a release goes live again.

    Raises:
        ReleaseError: When it is live somewhere.
    """
    settings = settings or Settings.from_env()
    home, selector = find_home(reference, settings, local=local)
    return archive_release(home, _named(selector), Author(actor=settings.actor, reason=reason))


def restore(reference: str, *, reason: str = "", local: bool = False, settings: Settings | None = None) -> Released:
    """Let an archived release go live again.

    Raises:
        ReleaseError: When it is not archived.
    """
    settings = settings or Settings.from_env()
    home, selector = find_home(reference, settings, local=local)
    return restore_release(home, _named(selector), Author(actor=settings.actor, reason=reason))


def history(channel: str, *, limit: int = 0, local: bool = False, settings: Settings | None = None) -> Log:
    """What happened to a channel, and all that is wrong with its log.

    Args:
        channel: Bundle and channel, such as ``localhost:5000/team/assistant:production``.
        limit: How many records are wanted, the last ones: no more is read than they and what is live take. 0 for all.
        local: Whether the local store is meant.
        settings: The surroundings.
    """
    settings = settings or Settings.from_env()
    home, name = find_home(channel, settings, local=local, channel=True)
    pin = load_pin(settings.pins, home, name)
    log = read_last(home, name, limit, pin=pin, jobs=settings.jobs)
    if log.head and log.head.digest and not log.breaks:
        save_pin(settings.pins, home, name, Pin(sequence=log.head.sequence, digest=log.head.digest))
    return log


def status(repository: str, *, local: bool = False, settings: Settings | None = None) -> Versions:
    """Where every version of a bundle stands.

    Args:
        repository: The bundle, such as ``localhost:5000/team/assistant`` or ``oci:DIR``.
        local: Whether the local store is meant.
        settings: The surroundings.
    """
    settings = settings or Settings.from_env()
    home, _ = find_home(repository, settings, local=local, whole=False)
    return read_versions(home, jobs=settings.jobs)


def record_at(
    channel: str,
    moment: str,
    *,
    local: bool = False,
    now: datetime | None = None,
    zone: tzinfo | None = None,
    settings: Settings | None = None,
) -> Answered:
    """Find what was live at a moment.

    Args:
        channel: Bundle and channel.
        moment: What stands between the braces of ``@{…}``.
        local: Whether the local store is meant.
        now: The present; by default, what the clock says.
        zone: Where the user is; by default, where the computer says.
        settings: The surroundings.

    Raises:
        InvalidReferenceError: When the text is no moment.
        NotFoundError: When nothing was live then.
        LogError: When the log is broken, so that it cannot be known.
    """
    settings = settings or Settings.from_env()
    home, name = find_home(channel, settings, local=local, channel=True)
    found = parse_moment(moment, now or datetime.now(UTC), zone)
    return answer_from(home, name, found, settings.pins, jobs=settings.jobs)


def _author(
    home: Home, channel: str, settings: Settings, *, reason: str = "", override: str = "", force: bool = False
) -> Author:
    return Author(
        actor=settings.actor,
        reason=reason,
        override=override,
        force=force,
        pin=load_pin(settings.pins, home, channel),
    )


def _pinned(home: Home, channel: str, settings: Settings, done: Released, *, force: bool) -> Released:
    if done.record.digest:
        pin = Pin(sequence=done.record.sequence, digest=done.record.digest)
        save_pin(settings.pins, home, channel, pin, anew=force)
    return done


def _default_gates(channel: str) -> Sequence[Check]:
    return build_gates(Policy(), channel, BUILT_IN)


def _named(selector: str) -> str | Digest:
    try:
        return Digest.parse(selector)
    except InvalidDigestError:
        return selector
