"""Following a channel: what is served when, what a look costs, and what happens while the registry is down."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import kitpack
from kitpack import places, releasing
from kitpack.content.store.layout import Layout
from kitpack.errors import AuthError, NotFoundError, UnreachableError, UsageError
from kitpack.oci.digest import Digest
from kitpack.releases.home import Home
from kitpack.releases.log import read_head
from kitpack.releases.watch import COSTLY_EVERY, LONGEST_PAUSE, Watch, pause
from kitpack.runtime.follow import Change, Followed, follow
from kitpack.settings import Settings
from tests.support.bots import WEIGHTS, write_bot
from tests.support.registries import KINDS, running_registry
from tests.support.registry import Registry, Reply, Seen, serving, settings_in

NEVER = 10_000.0
"""Seconds between looks of somebody who looks when told to."""


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """What a registry holds after three versions were pushed and the first one was promoted."""
    folder = tmp_path_factory.mktemp("pushed")
    settings = settings_in(folder)
    with serving(Registry()) as running:
        push_versions(f"{running.address}/bot", folder, settings)
        releasing.promote(f"{running.address}/bot:1", "production", settings=settings)
    return running


@pytest.fixture
def bundle(registry: Registry, pushed: Registry) -> str:
    """Three versions in a registry, the first of which is live."""
    registry.blobs.update(pushed.blobs)
    registry.manifests.update(pushed.manifests)
    registry.tags.update(pushed.tags)
    return f"{registry.address}/bot"


@pytest.fixture
def live(bundle: str, settings: Settings) -> Iterator[Followed]:
    with follow(f"{bundle}:production", interval=NEVER, settings=settings) as followed:
        yield followed


def push_versions(name: str, folder: Path, settings: Settings) -> None:
    for version in "123":
        source = write_bot(folder / version, greeting=f"Hello from {version}\n", version=version)
        kitpack.push(source, f"{name}:{version}", settings=settings)


def served(bundle: kitpack.LoadedBundle) -> str:
    return bundle.prompt("hello").render().text.strip().removeprefix("Hello from ")


def users(live: Followed) -> dict[str, str]:
    return {user: served(live.bundle_for(user)) for user in map(str, range(200))}


def asked(registry: Registry) -> list[tuple[str, str]]:
    return [(one.method, one.path.split("/", 3)[-1].partition("?")[0]) for one in registry.seen]


def down(registry: Registry) -> None:
    registry.rule("HEAD", "", Reply(status=0), last_stays=True)
    registry.rule("GET", "", Reply(status=0), last_stays=True)


def test_a_promotion_and_a_rollback_are_served_after_the_next_look(
    bundle: str, live: Followed, settings: Settings
) -> None:
    assert served(live.bundle) == "1"
    assert not live.check()
    releasing.promote(f"{bundle}:2", "production", settings=settings)
    before = live.bundle
    assert live.bundle is before
    assert live.check()
    assert (served(live.bundle), served(before)) == ("2", "1")
    assert live.bundle.reference == f"{bundle}:production@{live.bundle.digest}"
    releasing.rollback(f"{bundle}:production", settings=settings)
    assert live.check()
    assert served(live.bundle) == "1"
    assert users(live) == dict.fromkeys(users(live), "1")


def test_an_idle_look_makes_two_small_requests_and_a_move_one_more_and_its_content(
    registry: Registry, bundle: str, live: Followed, settings: Settings
) -> None:
    registry.seen.clear()
    assert not live.check()
    assert asked(registry) == [("HEAD", "manifests/production"), ("GET", "tags/list")]
    listed = registry.asked("GET", "tags/list")[0]
    assert listed.query("last") == ["production.log.000001"]
    releasing.promote(f"{bundle}:2", "production", settings=settings)
    registry.seen.clear()
    assert live.check()
    kinds = [what.partition("/")[0] for _, what in asked(registry)]
    assert kinds[:3] == ["manifests", "tags", "manifests"], "the tag, the list, the record"
    assert set(kinds[3:-2]) == {"manifests"}, "then the load: the manifest,"
    assert kinds[-2:] == ["blobs", "blobs"], "and the prompt and the Kitfile that are new; nothing else"
    weights = str(Digest.of_bytes(WEIGHTS))
    assert not registry.asked("GET", weights)


def test_routes_are_followed_while_the_tag_stays(
    registry: Registry, bundle: str, live: Followed, settings: Settings
) -> None:
    releasing.rollout(f"{bundle}:2", "production", percent=30, settings=settings)
    releasing.rollout(f"{bundle}:3", "production", shadow=True, settings=settings)
    assert live.check()
    assert served(live.bundle) == "1"
    first = users(live)
    assert 30 < sum(one == "2" for one in first.values()) < 90
    assert set(first.values()) == {"1", "2"}
    assert [served(one) for one in live.shadows()] == ["3"]
    assert [route.version for route in live.routes] == ["2", "3"]
    same = live.bundle_for("1"), live.bundle
    registry.seen.clear()
    releasing.rollout(f"{bundle}:2", "production", percent=60, settings=settings)
    registry.seen.clear()
    assert live.check()
    assert registry.asked("GET", "blobs") == []
    second = users(live)
    assert {user for user, one in first.items() if one == "2"} < {user for user, one in second.items() if one == "2"}
    assert live.bundle is same[1]
    releasing.promote(f"{bundle}:2", "production", settings=settings)
    assert live.check()
    assert set(users(live).values()) == {"2"}
    assert live.shadows() == ()


def test_a_tag_that_was_moved_by_other_means_is_followed_without_routes(
    registry: Registry, bundle: str, live: Followed, settings: Settings
) -> None:
    releasing.rollout(f"{bundle}:2", "production", percent=50, settings=settings)
    assert live.check()
    assert set(users(live).values()) == {"1", "2"}
    registry.tags["production"] = registry.tags["3"]
    assert live.check()
    assert set(users(live).values()) == {"3"}


def test_withdrawing_another_release_leaves_routes_alone(bundle: str, live: Followed, settings: Settings) -> None:
    releasing.promote(f"{bundle}:2", "production", settings=settings)
    releasing.rollout(f"{bundle}:3", "production", percent=50, settings=settings)
    assert live.check()
    releasing.withdraw(f"{bundle}:1", "production", settings=settings)
    live.check()
    assert set(users(live).values()) == {"2", "3"}


def test_the_tag_that_moves_after_its_record_is_read_is_not_missed(
    registry: Registry, bundle: str, live: Followed, settings: Settings
) -> None:
    """The record is written between the two requests of a look, and the tag is moved while the record is read."""
    releasing.promote(f"{bundle}:2", "production", settings=settings)
    new, registry.tags["production"] = registry.tags["production"], registry.tags["1"]

    def move(seen: Seen) -> None:
        if "manifests/production.log" in seen.path:
            registry.tags["production"] = new

    registry.rules.append(move)
    assert live.check()
    assert served(live.bundle) == "2"


def test_while_the_registry_is_down_the_last_good_release_is_served(
    registry: Registry, bundle: str, live: Followed, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    releasing.promote(f"{bundle}:2", "production", settings=settings)
    down(registry)
    with caplog.at_level(logging.INFO, "kitpack.runtime"):
        for _ in range(3):
            assert not live.check()
        assert live.is_stale
        assert served(live.bundle) == "1"
        registry.rules.clear()
        assert live.check()
    assert not live.is_stale
    assert served(live.bundle) == "2"
    levels = [record.levelname for record in caplog.records if "bot:production" in record.getMessage()]
    assert levels == ["WARNING", "INFO", "INFO"], "one line when it began, one when it ended, one for the change"


def test_what_cannot_be_loaded_whole_is_not_served(
    registry: Registry, bundle: str, live: Followed, settings: Settings
) -> None:
    releasing.promote(f"{bundle}:2", "production", settings=settings)
    registry.rule("GET", "blobs", Reply(body=b"something else"), last_stays=True)
    assert not live.check()
    assert served(live.bundle) == "1"
    registry.rules.clear()
    assert live.check()
    assert served(live.bundle) == "2"


def test_a_channel_that_is_gone_is_served_on(registry: Registry, live: Followed) -> None:
    del registry.tags["production"]
    assert not live.check()
    assert live.is_stale
    assert served(live.bundle) == "1"


def test_a_damaged_record_costs_the_routes_nothing(
    registry: Registry, bundle: str, live: Followed, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    releasing.rollout(f"{bundle}:2", "production", percent=50, settings=settings)
    assert live.check()
    registry.tags["production.log.000003.00000000"] = registry.tags["1"]
    with caplog.at_level(logging.WARNING, "kitpack.runtime"):
        for _ in range(2):
            assert not live.check()
    assert set(users(live).values()) == {"1", "2"}
    assert len([one for one in caplog.records if "routes are those from before" in one.getMessage()]) == 1
    for tag in [tag for tag in registry.tags if ".log." in tag]:
        del registry.tags[tag]
    assert not live.check()
    assert set(users(live).values()) == {"1", "2"}


def test_a_start_without_registry_serves_what_was_live_with_its_routes(
    registry: Registry, bundle: str, settings: Settings
) -> None:
    reference = f"{bundle}:production"
    with follow(reference, interval=NEVER, settings=settings) as first:
        releasing.promote(f"{bundle}:2", "production", settings=settings)
        releasing.rollout(f"{bundle}:3", "production", percent=40, settings=settings)
        assert first.check()
        before = users(first)
    down(registry)
    with follow(reference, interval=NEVER, settings=settings) as again:
        assert again.is_stale
        assert again.verified_at is None
        assert again.bundle.is_stale
        assert served(again.bundle) == "2"
        assert users(again) == before
        registry.rules.clear()
        assert not again.check(), "the same release, now known to be live"
        assert not again.is_stale
        releasing.rollback(reference, settings=settings)
        assert again.check()
    down(registry)
    with follow(reference, interval=NEVER, settings=settings) as last:
        assert set(users(last).values()) == {"1"}


def test_a_start_fails_when_nothing_was_ever_loaded(registry: Registry, bundle: str, settings: Settings) -> None:
    with pytest.raises(NotFoundError):
        follow(f"{bundle}:nothing", settings=settings)
    registry.rule("HEAD", "", Reply(status=401), last_stays=True)
    with pytest.raises(AuthError):
        follow(f"{bundle}:production", settings=settings)
    registry.rules.clear()
    down(registry)
    with pytest.raises(UnreachableError):
        follow(f"{bundle}:production", settings=settings)


@pytest.mark.parametrize("what", ["bot@sha256:" + "0" * 64, "bot:production@{yesterday}", "bot"])
def test_what_never_changes_cannot_be_followed(what: str, settings: Settings) -> None:
    with pytest.raises(UsageError):
        follow(what, settings=settings)
    with pytest.raises(UsageError):
        follow("bot:production", interval=0, settings=settings)


def test_the_thread_notices_tells_and_outlives_whoever_it_tells(bundle: str, settings: Settings) -> None:
    changes: list[Change] = []
    threads: set[str] = set()
    told = threading.Semaphore(0)

    def take(change: Change) -> None:
        changes.append(change)
        threads.add(threading.current_thread().name)
        told.release()
        raise RuntimeError("the application failed")

    with follow(f"{bundle}:production", interval=0.01, on_change=take, settings=settings) as live:
        releasing.promote(f"{bundle}:2", "production", reason="better", settings=settings)
        assert told.acquire(timeout=20)
        assert served(live.bundle) == "2"
        releasing.rollback(f"{bundle}:production", settings=settings)
        assert told.acquire(timeout=20)
        assert served(live.bundle) == "1"
        last = max((change for change in changes), key=lambda one: one.record.sequence if one.record else 0)
    assert served(changes[0].before) == "1"
    assert changes[0].record
    assert changes[0].record.reason == "better"
    assert last.record
    assert last.record.action == "rollback"
    assert threads == {f"kitpack-follow {bundle}:production"}
    assert threads.isdisjoint(thread.name for thread in threading.enumerate()), "closing ends the thread"


def test_closing_does_not_wait_for_the_interval_nor_for_patience(
    registry: Registry, bundle: str, settings: Settings
) -> None:
    looking = threading.Event()
    with follow(f"{bundle}:production", interval=0.01, settings=settings) as live:
        refused = Reply(status=503, headers={"Retry-After": "60"})

        def refuse(seen: Seen) -> Reply:
            looking.set()
            return refused

        registry.rules.append(refuse)
        assert looking.wait(20)
    assert not [one for one in threading.enumerate() if one.name.startswith("kitpack-follow")]
    assert served(live.bundle) == "1", "what was loaded stays usable"


def test_requests_never_see_a_mixture(bundle: str, settings: Settings) -> None:
    """Somebody reads while releases change hands, and sees one whole release at a time."""
    stop, mixed = threading.Event(), []

    def read(live: Followed) -> None:
        while not stop.is_set():
            one = live.bundle_for("somebody")
            if one.version != served(one):
                mixed.append(one)

    with follow(f"{bundle}:production", interval=NEVER, settings=settings) as live:
        reader = threading.Thread(target=read, args=(live,))
        reader.start()
        for version in "231":
            releasing.promote(f"{bundle}:{version}", "production", settings=settings)
            assert live.check()
            assert live.bundle.version == version
        stop.set()
        reader.join()
    assert mixed == []


def test_weights_are_brought_before_a_release_is_served_when_asked_for(
    registry: Registry, bundle: str, settings: Settings
) -> None:
    weights = str(Digest.of_bytes(WEIGHTS))
    with follow(f"{bundle}:production", interval=NEVER, weights=True, settings=settings) as live:
        assert len(registry.asked("GET", weights)) == 1
        down(registry)
        assert live.bundle.model_path.read_bytes() == WEIGHTS


def test_the_local_store_is_followed_as_well(tmp_path: Path, settings: Settings) -> None:
    for version in "12":
        kitpack.pack(
            write_bot(tmp_path / version, greeting=f"Hello from {version}\n"), f"bot:{version}", settings=settings
        )
    releasing.promote("bot:1", "production", settings=settings)
    with follow("bot:production", interval=NEVER, settings=settings) as live:
        releasing.rollout("bot:2", "production", percent=50, settings=settings)
        assert live.check()
        assert set(users(live).values()) == {"1", "2"}
        releasing.promote("bot:2", "production", settings=settings)
        assert live.check()
        assert served(live.bundle) == "2"


@pytest.mark.parametrize("kind", KINDS)
def test_real_registries_show_moves_and_routes(kind: str, tmp_path: Path, settings: Settings) -> None:
    """docker-registry 2.8 knows neither ``n`` nor ``last``: routes are seen there a few looks later."""
    with running_registry(kind) as address:
        name = f"{address}/team/bot"
        push_versions(name, tmp_path, settings)
        releasing.promote(f"{name}:1", "production", settings=settings)
        with follow(f"{name}:production", interval=NEVER, settings=settings) as live:
            releasing.promote(f"{name}:2", "production", settings=settings)
            assert live.check()
            assert served(live.bundle) == "2"
            releasing.rollout(f"{name}:3", "production", percent=50, settings=settings)
            assert any(live.check() for _ in range(COSTLY_EVERY))
            assert set(users(live).values()) == {"2", "3"}
            releasing.rollback(f"{name}:production", settings=settings)
            assert live.check()
            assert set(users(live).values()) == {"1"}


def test_a_registry_that_lists_everything_is_asked_rarely(registry: Registry, bundle: str, settings: Settings) -> None:
    """One that ignores ``n`` and ``last`` answers unsorted and whole."""

    def all_tags(seen: Seen) -> Reply | None:
        names = ", ".join(f'"{name}"' for name in sorted(registry.tags, reverse=True))
        return Reply(body=f'{{"tags": [{names}]}}'.encode()) if "tags/list" in seen.path else None

    registry.rules.append(all_tags)
    home, channel = places.find_home(f"{bundle}:production", settings)
    watch = Watch(home, channel)
    for _ in range(1 + 2 * COSTLY_EVERY):
        watch.look()
    assert len(registry.asked("GET", "tags/list")) == 3
    assert len(registry.asked("HEAD")) == 1 + 2 * COSTLY_EVERY
    registry.seen.clear()
    releasing.promote(f"{bundle}:2", "production", settings=settings)
    registry.seen.clear()
    head = watch.look().head
    assert head
    assert (head.sequence, head.target_version) == (2, "2"), "a tag that moved is reason enough to ask"


def test_very_many_records_at_once_are_found(registry: Registry, bundle: str, settings: Settings) -> None:
    home, channel = places.find_home(f"{bundle}:production", settings)
    watch = Watch(home, channel)
    watch.look()
    for number in range(20):
        releasing.promote(f"{bundle}:{number % 2 + 1}", "production", settings=settings)
    found = watch.look()
    assert found.head == read_head(home, channel, list(home.tags()))
    assert found.tagged.digest == Digest.parse(registry.tags["production"])


def test_a_look_at_the_stable_release_alone_is_one_request(registry: Registry, bundle: str, settings: Settings) -> None:
    home, channel = places.find_home(f"{bundle}:production", settings)
    watch = Watch(home, channel, routes=False)
    for _ in range(3):
        assert watch.look().routes == ()
    assert asked(registry) == [("HEAD", "manifests/production")] * 3


def test_a_layout_without_any_record(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    with pytest.raises(NotFoundError):
        Watch(Home(target=layout, prefix="bot:", label="bot"), "production").look()


def test_pauses() -> None:
    fine = [pause(10) for _ in range(200)]
    assert max(fine) <= 10
    assert min(fine) >= 8
    assert len(set(fine)) > 100, "processes that began together drift apart"
    for failures, longest in [(1, 20), (2, 40), (3, LONGEST_PAUSE), (1000, LONGEST_PAUSE)]:
        assert longest * 0.8 <= pause(10, failures) <= longest
    assert 240 <= pause(300, 50) <= 300


def test_when_it_was_verified(live: Followed) -> None:
    first = live.verified_at
    assert first
    live.check()
    assert live.verified_at
    assert first < live.verified_at <= datetime.now(UTC)
