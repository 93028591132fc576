"""A channel inside an application: what is live there is served, and what is made live later, without a restart.

::

    with kitpack.follow("localhost:5000/team/assistant:production") as live:
        bundle = live.bundle_for(user_id)                # once per request, then only this one
        messages = bundle.prompt("triage").render(ticket="…").messages

A thread looks at the channel every ``interval`` seconds (see :mod:`kitpack.releases.watch` for what that costs) and
loads what is new in full before it changes hands. A promotion or rollback is served after one interval plus the time
of that load, at the latest; a change of routes as well, except at registries that can only list all their tags, where
it may take :data:`kitpack.releases.watch.COSTLY_EVERY` intervals. While the registry is down it is asked less and less
often, but at least once a minute, and the last good release is served; at a start, too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeAlias

from kitpack.content.registry.impatient import impatient
from kitpack.content.registry.repository import Repository
from kitpack.errors import KitpackError, NotFoundError, RateLimitedError, RegistryError, UnreachableError, UsageError
from kitpack.places import find_home
from kitpack.prompts.meter import Limits
from kitpack.releases.home import Home
from kitpack.releases.record import Record, Route
from kitpack.releases.split import route_of
from kitpack.releases.watch import Standing, Watch, pause
from kitpack.runtime.cache import Cache
from kitpack.runtime.channel import Releases, Serving
from kitpack.runtime.load import load
from kitpack.runtime.loaded import LoadedBundle
from kitpack.runtime.served import Filters
from kitpack.settings import Settings

__all__ = ["Change", "Followed", "follow"]

_log = logging.getLogger("kitpack.runtime")

_FAREWELL = 2.0  # seconds to wait for the thread, which may be in the middle of a request; it ends by itself then


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What changed at a channel.

    Attributes:
        before: The stable release until now.
        bundle: The stable release from now on; the same one when only routes changed.
        routes: Who else gets traffic from now on.
        record: The record that says so, if there is a log and it could be read.
    """

    before: LoadedBundle
    bundle: LoadedBundle
    routes: tuple[Route, ...] = ()
    record: Record | None = None


OnChange: TypeAlias = Callable[[Change], None]
"""Told about a change when it is served already."""


def follow(
    reference: str,
    *,
    interval: float = 10.0,
    on_change: OnChange | None = None,
    weights: bool = False,
    local: bool = False,
    filters: Filters | None = None,
    limits: Limits | None = None,
    settings: Settings | None = None,
) -> Followed:
    """Load what is live at a channel, and go on following it until :meth:`Followed.close`.

    Args:
        reference: Bundle and channel, such as ``localhost:5000/team/assistant:production``. As everywhere with
            channels, one without a host is looked for in the configured registry, and without any in the local store.
        interval: Seconds between two looks at the channel.
        on_change: Told about each change, in the thread that follows; what it raises is logged.
        weights: Whether the weights of a release are brought and proven before it is served; without, that happens
            when ``model_path`` is asked for.
        local: Whether the local store is meant, whatever the reference says.
        filters: As in :func:`kitpack.load`.
        limits: As in :func:`kitpack.load`.
        settings: The surroundings.

    Raises:
        UsageError: When the reference names no channel.
        NotFoundError: When there is no such channel.
        RegistryError: When the registry cannot be reached, and nothing was loaded from this channel before.
    """
    if interval <= 0:
        raise UsageError(f"an interval of {interval:g} seconds makes no sense; expected more than 0")
    if "@" in reference.rpartition("/")[2]:
        raise UsageError(
            f"{reference} never changes, so there is nothing to follow",
            hint="kitpack.load() loads it; follow a channel",
        )
    settings = settings or Settings.from_env()
    home, channel = find_home(reference, settings, local=local)
    stop = threading.Event()
    home = replace(home, target=impatient(home.target, settings, stop.wait))

    def load_one(text: str, *, offline: bool = False) -> LoadedBundle:
        loaded = load(text, offline=offline, local=local, filters=filters, limits=limits, settings=settings)
        if weights:
            _ = loaded.model_path
        return loaded

    source = Releases(home=home, channel=channel, cache=Cache.of(settings), load_one=load_one)
    return Followed(source, interval=interval, on_change=on_change, stop=stop)


class Followed:
    """A channel that is being followed; :func:`follow` makes them. Threads may share it.

    Ask for the bundle once per request: two questions may get two releases.

    Args:
        releases: Where releases come from.
        interval: Seconds between two looks.
        on_change: Told about each change.
        stop: Set when following ends.
    """

    def __init__(
        self, releases: Releases, *, interval: float, on_change: OnChange | None, stop: threading.Event
    ) -> None:
        self._releases = releases
        self._interval = interval
        self._on_change = on_change
        self._stop = stop
        self._watch = Watch(releases.home, releases.channel)
        self._looking = threading.Lock()
        self._failures = 0
        self._trouble = ""
        self._verified: datetime | None = None
        self._serving = self._begun()
        self._thread = threading.Thread(target=self._run, name=f"kitpack-follow {releases.label}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Followed({self._releases.label!r}, {self.bundle.digest})"

    @property
    def bundle(self) -> LoadedBundle:
        """The stable release: what the channel's tag stands for."""
        return self._serving.stable

    def bundle_for(self, user_key: str) -> LoadedBundle:
        """The release that a user gets while a rollout runs; the same one each time, in every process.

        Args:
            user_key: What stays the same about the user, such as an account number.
        """
        serving = self._serving
        chosen = route_of(user_key, [route for route, _ in serving.beside])
        return next((bundle for route, bundle in serving.beside if route is chosen), serving.stable)

    def shadows(self) -> tuple[LoadedBundle, ...]:
        """The releases that run along, and whose answers nobody sees."""
        return tuple(bundle for route, bundle in self._serving.beside if route.shadow)

    @property
    def routes(self) -> tuple[Route, ...]:
        """Who else gets traffic."""
        return self._serving.wanted[1]

    @property
    def verified_at(self) -> datetime | None:
        """When the registry last said what the channel stands for, in UTC; None when it has not since the start."""
        return self._verified

    @property
    def is_stale(self) -> bool:
        """Whether the last look failed, so that something else may be live by now."""
        return bool(self._failures)

    def check(self) -> bool:
        """Look at the channel now, in this thread, for example because somebody was told of a promotion.

        It raises nothing: what goes wrong is logged, and the last good release stays.

        Returns:
            Whether anything changed.
        """
        with self._looking:
            before = self._serving
            try:
                standing = self._watch.look()
                self._verified = datetime.now(UTC)
                if (standing.tagged.digest, standing.routes) != before.wanted:
                    self._serving = self._releases.serving(standing, before)
                self._note_well(standing)
            except Exception as error:  # noqa: BLE001 - whatever it is, the application goes on with what it has
                self._note_failure(error)
            now = self._serving
        if now is before:
            return False
        self._tell(before, now)
        return True

    def close(self) -> None:
        """End following. What was loaded stays usable."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(_FAREWELL)
        _close(self._releases.home)

    def _begun(self) -> Serving:
        """What is live now, or else what was when the registry was last there.

        Raises:
            NotFoundError: When there is no such channel.
            RegistryError: When nobody can say what is live, and nothing was loaded before.
        """
        try:
            standing = self._watch.look()
            serving = self._releases.serving(standing)
        except RegistryError as error:
            if not _may_pass(error):
                _close(self._releases.home)
                raise
            try:
                serving = self._releases.last_good()
            except NotFoundError:
                _close(self._releases.home)
                raise error from None
            self._note_failure(error)
            return serving
        except BaseException:
            _close(self._releases.home)
            raise
        self._verified = datetime.now(UTC)
        self._note_well(standing)
        return serving

    def _run(self) -> None:
        while not self._stop.wait(pause(self._interval, self._failures)):
            self.check()

    def _note_well(self, standing: Standing) -> None:
        if self._failures:
            _log.info("%s can be followed again", self._releases.label)
        self._failures = 0
        if standing.fault and standing.fault != self._trouble:
            _log.warning("%s: %s; routes are those from before", self._releases.label, standing.fault)
        self._trouble = standing.fault

    def _note_failure(self, error: Exception) -> None:
        """Log a failure when it begins, or becomes another one, and not with every look."""
        self._failures += 1
        trouble = type(error).__name__
        if trouble != self._trouble and not self._stop.is_set():
            told = error.message if isinstance(error, KitpackError) else f"{trouble}: {error}"
            _log.warning("%s: %s; what was live before is served on", self._releases.label, told)
        self._trouble = trouble

    def _tell(self, before: Serving, now: Serving) -> None:
        _log.info("%s is %s now, was %s", self._releases.label, _told(now.stable), _told(before.stable))
        if self._on_change is None or self._stop.is_set():
            return
        try:
            self._on_change(
                Change(before=before.stable, bundle=now.stable, routes=now.wanted[1], record=now.standing.head)
            )
        except Exception:  # noqa: BLE001 - it is the application's, and must not end the following
            _log.exception("%s: whoever was told of the change failed", self._releases.label)


def _may_pass(error: RegistryError) -> bool:
    """Whether the registry is down rather than refusing."""
    return isinstance(error, UnreachableError | RateLimitedError) or error.status >= 500


def _told(bundle: LoadedBundle) -> str:
    return f"{bundle.version} ({bundle.digest})" if bundle.version else bundle.digest


def _close(home: Home) -> None:
    if isinstance(home.target, Repository):
        home.target.close()
