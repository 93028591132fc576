"""Any order of changes by several writers, with crashes and outside moves in between, keeps what a channel promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kitpack.content.memory import Memory
from kitpack.content.target import opener_of
from kitpack.errors import KitpackError, NotFoundError, OutsideMoveError, RaceError, ReleaseError
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest
from kitpack.releases.chain import Log
from kitpack.releases.change import adopt, promote, rollback, withdraw
from kitpack.releases.home import Home
from kitpack.releases.log import read_log
from kitpack.releases.writing import Author, Released
from tests.unit.releases.bundles import push_release

VERSIONS = [f"1.{number}.0" for number in range(6)]
CHANNEL = "production"


class Crash(BaseException):
    """The process is gone."""


class Registry(Memory):
    """A registry in which something else happens just before one of the writes: a crash, or somebody else's change."""

    def __init__(self) -> None:
        super().__init__()
        self._before: Callable[[], None] | None = None
        self._countdown = 0

    @contextmanager
    def disturbed(self, number: int, by: Callable[[], None]) -> Iterator[None]:
        """Do something before the write with this number, counted from 0."""
        self._before, self._countdown = by, number
        try:
            yield
        finally:
            self._before = None

    def publish(self, manifest: Manifest, reference: str) -> None:
        """Store a manifest under a name."""
        if self._before is not None:
            self._countdown -= 1
            if self._countdown < 0:
                action, self._before = self._before, None
                action()
        self.push(manifest.descriptor, opener_of(manifest.raw))
        self.tag(manifest.descriptor, reference)


versions = st.sampled_from(VERSIONS)
changes = st.one_of(
    st.tuples(st.just("promote"), versions),
    st.tuples(st.just("rollback"), st.just("")),
    st.tuples(st.just("rollback"), versions),
    st.tuples(st.just("withdraw"), versions),
)


class Channel(RuleBasedStateMachine):
    """Writers come and go; what must hold is looked at after every step."""

    @initialize()
    def begin(self) -> None:
        self.registry = Registry()
        self.home = Home(target=self.registry, label="assistant")
        self.digests = {version: push_release(self.registry, version).digest for version in VERSIONS}
        self.clock = datetime(2026, 5, 15, tzinfo=UTC)
        self.seen: set[Digest] = set()
        self.withdrawn: set[Digest] = set()
        self.disturbed = False

    @rule(change=changes, writer=st.integers(0, 3), minutes=st.integers(-600, 600))
    def change(self, change: tuple[str, str], writer: int, minutes: int) -> None:
        self.clock += timedelta(minutes=minutes)
        before = self._log()
        try:
            done = self._do(change, writer)
        except OutsideMoveError:
            assert before.tagged != before.live
        except NotFoundError:
            assert change == ("rollback", "")
            assert not before.records or not before.records[-1].undo
        except ReleaseError:
            assert change[0] == "withdraw"
        else:
            self._account(change, before, done)

    @rule(change=changes, number=st.integers(0, 2))
    def crash(self, change: tuple[str, str], number: int) -> None:
        def die() -> None:
            raise Crash

        with self.registry.disturbed(number, die), suppress(Crash, KitpackError):
            done = self._do(change, 0)
            self._account(change, None, done)
            return
        self.disturbed = True
        self._forget_withdrawals(self._log())

    @rule(first=changes, second=changes, number=st.integers(0, 2))
    def race(self, first: tuple[str, str], second: tuple[str, str], number: int) -> None:
        told = 0

        def overtake() -> None:
            nonlocal told
            try:
                self._do(second, 2)
            except KitpackError:
                told += 1

        with self.registry.disturbed(number, overtake):
            try:
                self._do(first, 1)
            except RaceError:
                told += 1
            except KitpackError:
                pass
        log = self._log()
        if not self.disturbed:
            assert log.tagged == log.live, "whoever lost has put the tag back"
        self._forget_withdrawals(log)

    @rule(version=versions)
    def move_from_outside(self, version: str) -> None:
        self.registry.tag(self.registry.resolve(version), CHANNEL)
        self.disturbed = True

    @precondition(lambda self: self.disturbed)
    @rule()
    def adopt(self) -> None:
        with suppress(NotFoundError):
            adopt(self.home, CHANNEL, self._author(3))
            log = self._log()
            assert log.tagged == log.live
            self.disturbed = False
            self._forget_withdrawals(log)

    @invariant()
    def the_log_keeps_its_promises(self) -> None:
        log = self._log()
        present = {one.digest for one in (*log.records, *log.lost) if one.digest}
        assert self.seen <= present, "no record is ever lost"
        self.seen = present
        assert [one for one in log.breaks if one.kind != "moved"] == [], "the chain is whole"
        if not self.disturbed and log.records:
            assert log.tagged == log.live, "one release is live, and the tag says which"
        times = [one.time for one in log.records]
        assert times == sorted(times), "time never goes back"

    def _do(self, change: tuple[str, str], writer: int) -> Released:
        action, version = change
        author = self._author(writer)
        if action == "promote":
            return promote(self.home, version, CHANNEL, author)
        if action == "withdraw":
            return withdraw(self.home, CHANNEL, author, version)
        return rollback(self.home, CHANNEL, author, to=version)

    def _account(self, change: tuple[str, str], before: Log | None, done: Released) -> None:
        action, version = change
        log = self._log()
        self.disturbed = self.disturbed and log.tagged != log.live
        live = log.live
        assert live is not None or action == "withdraw"
        if action == "promote":
            assert live == self.digests[version]
            self.withdrawn.discard(self.digests[version])
        elif action == "withdraw":
            self.withdrawn.add(self.digests[version])
        elif done.changed and done.record.source:
            if version:
                assert live == self.digests[version]
                self.withdrawn.discard(self.digests[version])
            else:
                assert live not in self.withdrawn, "a rollback never goes forward to what was withdrawn"
            if done.record.source != live:
                self.withdrawn.add(done.record.source)

    def _forget_withdrawals(self, log: Log) -> None:
        """After a race, or an outside move, take from the log what it says was withdrawn."""
        self.withdrawn = set()
        for record in log.records:
            if record.action == "withdraw":
                self.withdrawn.add(record.target)
            elif record.moves:
                self.withdrawn.discard(record.target)
                if record.action == "rollback" and record.source and record.source != record.target:
                    self.withdrawn.add(record.source)

    def _author(self, writer: int) -> Author:
        return Author(actor=f"writer {writer}", clock=lambda: self.clock, pause=lambda _: None)

    def _log(self) -> Log:
        return read_log(self.home, CHANNEL)


TestChannel = pytest.mark.filterwarnings("default")(Channel.TestCase)
TestChannel.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
