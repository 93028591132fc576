"""Promotion and rollback on everything that keeps tags: in memory, in a layout, and on real registries."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from kitpack.content.memory import Memory
from kitpack.content.registry.repository import Repository
from kitpack.content.store.layout import Layout
from kitpack.errors import NotFoundError, OutsideMoveError, RaceError, ReleaseError
from kitpack.oci.digest import Digest
from kitpack.releases.change import adopt, promote, rollback, route, withdraw
from kitpack.releases.home import Home
from kitpack.releases.log import read_log
from kitpack.releases.record import Route
from kitpack.releases.status import archive, read_versions, restore
from kitpack.releases.writing import Author
from kitpack.settings import Settings
from tests.support.registries import KINDS, running_registry
from tests.unit.releases.bundles import push_release

ANN = Author(actor="ann", reason="it is time", pause=lambda _: None)


@pytest.fixture(scope="module", params=["memory", "layout", *KINDS])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ExitStack() as stack:
        if request.param in KINDS:
            yield stack.enter_context(running_registry(request.param))
        elif request.param == "layout":
            yield str(tmp_path_factory.mktemp("store") / "layout")
        else:
            yield ""


def _open(place: str, name: str) -> Home:
    """A home as another process would open it: nothing is shared but what is stored."""
    if "/" in place:
        return Home(target=Layout(place), prefix=f"{name}:", label=name)
    folder = Path("/nonexistent")
    return Home(target=Repository(place, name, Settings(home=folder, docker_config=None)), label=f"{place}/{name}")


@pytest.fixture
def home(place: str) -> Iterator[Home]:
    if not place:
        yield Home(target=Memory(), label="assistant")
        return
    home = _open(place, f"team/bot-{secrets.token_hex(6)}")
    yield home
    if isinstance(home.target, Repository):
        home.target.close()


@pytest.fixture
def digests(home: Home) -> dict[str, Digest]:
    return {one: push_release(home.target, one, home.prefix).digest for one in ("1.0.0", "1.1.0", "1.2.0", "1.3.0")}


def _after(begin: datetime, hours: int) -> datetime:
    return begin + timedelta(hours=hours)


def _live(home: Home) -> str:
    log = read_log(home, "production")
    assert log.breaks == ()
    assert log.tagged == log.live
    moved = [one for one in log.records if one.moves]
    return moved[-1].target_version


def test_rolling_back_twice_goes_further_back(home: Home, digests: dict[str, Digest]) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        promote(home, version, "production", ANN)
    assert rollback(home, "production", ANN).record.target == digests["1.1.0"]
    assert rollback(home, "production", ANN).record.target == digests["1.0.0"]
    with pytest.raises(NotFoundError, match="nothing served"):
        rollback(home, "production", ANN)
    assert _live(home) == "1.0.0"


def test_a_rollback_never_restores_what_was_withdrawn(home: Home, digests: dict[str, Digest]) -> None:
    for version in ("1.0.0", "1.1.0"):
        promote(home, version, "production", ANN)
    rollback(home, "production", ANN)
    promote(home, "1.2.0", "production", ANN)
    assert rollback(home, "production", ANN).record.target == digests["1.0.0"], "1.1.0 was bad"
    promote(home, "1.2.0", "production", ANN)
    promote(home, "1.3.0", "production", ANN)
    withdraw(home, "production", ANN, "1.2.0")
    assert _live(home) == "1.3.0"
    assert rollback(home, "production", ANN).record.target == digests["1.0.0"]


def test_saying_it_twice_changes_nothing(home: Home, digests: dict[str, Digest]) -> None:
    first = promote(home, "1.0.0", "production", ANN)
    again = promote(home, "1.0.0", "production", ANN)
    assert (again.changed, again.record.sequence) == (False, first.record.sequence)
    promote(home, "1.1.0", "production", ANN)
    rollback(home, "production", ANN, to="1.0.0")
    assert not rollback(home, "production", ANN, to="1.0.0").changed
    assert [one.action for one in read_log(home, "production").records] == ["promote", "promote", "rollback"]


@pytest.mark.parametrize("name", ["version", "digest", "hexadecimal digits", "first digits"])
def test_something_else_is_live_than_expected(home: Home, digests: dict[str, Digest], name: str) -> None:
    promote(home, "1.0.0", "production", ANN)
    digest = digests["1.0.0"]
    right = {"version": "1.0.0", "digest": str(digest), "hexadecimal digits": digest.hex, "first digits": digest.short}
    with pytest.raises(RaceError, match=r"expected 0\.9\.0 to be live, found 1\.0\.0"):
        promote(home, "1.1.0", "production", ANN, expect="0.9.0")
    assert _live(home) == "1.0.0"
    promote(home, "1.1.0", "production", ANN, expect=right[name])
    assert _live(home) == "1.1.0"


def test_a_tag_that_others_moved_is_named_and_adopted(home: Home, digests: dict[str, Digest]) -> None:
    promote(home, "1.0.0", "production", ANN)
    home.target.tag(home.target.resolve(f"{home.prefix}1.2.0"), f"{home.prefix}production")
    assert [one.kind for one in read_log(home, "production").breaks] == ["moved"]
    with pytest.raises(OutsideMoveError, match="without a record"):
        promote(home, "1.1.0", "production", ANN)
    with pytest.raises(OutsideMoveError):
        rollback(home, "production", ANN)
    adopted = adopt(home, "production", ANN).record
    assert (adopted.action, adopted.target, adopted.source) == ("adopt", digests["1.2.0"], digests["1.0.0"])
    assert rollback(home, "production", ANN).record.target == digests["1.0.0"]
    assert not adopt(home, "production", ANN).changed


def test_force_goes_on_over_an_outside_move_and_records_it(home: Home, digests: dict[str, Digest]) -> None:
    promote(home, "1.0.0", "production", ANN)
    home.target.tag(home.target.resolve(f"{home.prefix}1.2.0"), f"{home.prefix}production")
    done = rollback(home, "production", Author(actor="ann", force=True, pause=lambda _: None))
    assert done.record.target == digests["1.0.0"]
    assert "without a record" in done.notes[0]
    assert [one.action for one in read_log(home, "production").records] == ["promote", "adopt", "rollback"]
    assert _live(home) == "1.0.0"


def test_the_first_release_of_a_tag_that_was_there_before(home: Home, digests: dict[str, Digest]) -> None:
    home.target.tag(home.target.resolve(f"{home.prefix}1.0.0"), f"{home.prefix}production")
    with pytest.raises(NotFoundError, match="no release log"):
        rollback(home, "production", ANN)
    promote(home, "1.1.0", "production", ANN)
    assert rollback(home, "production", ANN).record.target == digests["1.0.0"]


def test_routes_change_without_the_tag(home: Home, digests: dict[str, Digest]) -> None:
    with pytest.raises(ReleaseError, match="nothing is live"):
        route(home, "production", ANN, lambda _: [Route(digest=digests["1.1.0"], percent=10, salt="a")])
    promote(home, "1.0.0", "production", ANN)
    part = Route(digest=digests["1.1.0"], version="1.1.0", percent=12.5, salt="a")
    assert route(home, "production", ANN, lambda _: [part]).record.routes == (part,)
    assert _live(home) == "1.0.0"
    assert read_versions(home).logs["production"].head == read_log(home, "production").head
    with pytest.raises(ReleaseError, match="100 percent"):
        route(home, "production", ANN, lambda _: [part, Route(digest=digests["1.2.0"], percent=90)])
    done = promote(home, "1.1.0", "production", ANN)
    assert done.record.routes == ()
    assert rollback(home, "production", ANN).record.target == digests["1.0.0"]


def test_the_status_of_every_version(home: Home, digests: dict[str, Digest]) -> None:
    promote(home, "1.0.0", "production", ANN)
    promote(home, "1.1.0", "production", ANN)
    promote(home, "1.2.0", "staging", ANN)
    archive(home, "1.0.0", ANN)
    found = {one.names: one.status for one in read_versions(home).versions}
    assert found == {("1.0.0",): "archived", ("1.1.0",): "active", ("1.2.0",): "staging", ("1.3.0",): "draft"}
    with pytest.raises(ReleaseError, match="is live at"):
        archive(home, "1.1.0", ANN)
    restore(home, "1.0.0", ANN)
    assert {one.names: one.status for one in read_versions(home).versions}["1.0.0",] == "deprecated"
    with pytest.raises(ReleaseError, match="not archived"):
        restore(home, "1.0.0", ANN)


def test_what_was_live_when(home: Home, digests: dict[str, Digest]) -> None:
    begin = datetime(2026, 5, 15, 8, tzinfo=UTC)
    for number, version in enumerate(("1.0.0", "1.1.0", "1.2.0")):
        promote(home, version, "production", Author(actor="ann", clock=partial(_after, begin, number)))
    rollback(home, "production", Author(actor="ann", clock=lambda: begin - timedelta(days=1)))
    log = read_log(home, "production")
    assert log.breaks == ()
    assert log.at(begin - timedelta(seconds=1)) is None
    found = [log.at(begin + timedelta(hours=hours, minutes=30)) for hours in range(2)]
    assert [one.target_version for one in found if one] == ["1.0.0", "1.1.0"]
    last = log.at(begin + timedelta(hours=2))
    assert last is not None
    assert (last.action, last.target_version) == ("rollback", "1.1.0"), "a clock that went back changes no order"
    assert [one.target_version for one in map(log.back, range(4)) if one] == ["1.1.0", "1.2.0", "1.1.0", "1.0.0"]


def test_twenty_at_once_leave_twenty_records(place: str, home: Home, digests: dict[str, Digest]) -> None:
    promote(home, "1.0.0", "production", ANN)
    gate = threading.Barrier(20)
    name = home.prefix.removesuffix(":") or home.label.partition("/")[2]

    def work(number: int) -> str:
        mine = _open(place, name) if place else home
        try:
            gate.wait()
            done = promote(mine, ("1.1.0", "1.2.0", "1.3.0")[number % 3], "production", Author(actor=f"w{number}"))
            return "done" if done.record.actor == f"w{number}" else "nothing"
        except RaceError:
            return "told"
        finally:
            if isinstance(mine.target, Repository) and mine is not home:
                mine.target.close()

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(work, range(20)))
    log = read_log(home, "production")
    written = len(log.records) + len(log.lost) - 1
    assert log.breaks == ()
    assert log.tagged == log.live
    assert written == 20 - found.count("nothing")
    assert found.count("done") >= 1
