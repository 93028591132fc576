"""Loading from a registry: what is asked and fetched, what is served when nobody answers, and how it says so."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import kitpack
from kitpack.content.store.folder import blob_path
from kitpack.errors import AuthError, DeniedError, IntegrityError, NotFoundError, RegistryError, UnreachableError
from kitpack.oci.digest import Digest
from kitpack.runtime.cache import Cache
from kitpack.settings import Settings
from tests.support.bots import TRIAGE, WEIGHTS, write_bot
from tests.support.registry import Registry, Reply, refused_port


@pytest.fixture
def reference(registry: Registry, folder: Path, settings: Settings) -> str:
    """The bundle in the registry, under a name; the registry has forgotten how it got there."""
    name = f"{registry.address}/bot:live"
    kitpack.push(folder, name, settings=settings)
    registry.seen.clear()
    return name


def asked(registry: Registry) -> list[tuple[str, str]]:
    """The methods and kinds of the requests seen."""
    return [(one.method, one.path.split("/")[-2]) for one in registry.seen]


def down(registry: Registry, reply: Reply = Reply(status=0)) -> None:  # noqa: B008 - a value
    registry.rule("HEAD", "", reply, last_stays=True)
    registry.rule("GET", "", reply, last_stays=True)


def greeting(bot: kitpack.LoadedBundle) -> str:
    return bot.prompt("hello").render().text


def test_the_first_load_fetches_what_is_small_and_once(registry: Registry, reference: str, settings: Settings) -> None:
    bot = kitpack.load(reference, settings=settings)
    assert set(bot.prompts) == {"hello", "triage"}
    assert sorted(asked(registry)) == sorted([("HEAD", "manifests"), ("GET", "manifests"), *[("GET", "blobs")] * 7])
    weights = str(Digest.of_bytes(WEIGHTS))
    assert not [one for one in registry.seen if weights in one.path]
    assert bot.reference == reference
    assert bot.digest == registry.tags["live"]
    assert not bot.is_stale
    assert bot.age < timedelta(minutes=1)
    assert bot.version == "1.0"


def test_the_second_load_asks_what_the_tag_stands_for_and_nothing_else(
    registry: Registry, reference: str, settings: Settings
) -> None:
    before = kitpack.load(reference, settings=settings)
    registry.seen.clear()
    again = kitpack.load(reference, settings=settings)
    assert asked(registry) == [("HEAD", "manifests")]
    assert again.digest == before.digest
    assert again.prompt("triage").identity == before.prompt("triage").identity


def test_a_digest_is_not_even_asked_for(registry: Registry, reference: str, settings: Settings) -> None:
    digest = kitpack.load(reference, settings=settings).digest
    registry.seen.clear()
    for name in (f"{registry.address}/bot@{digest}", f"{reference}@{digest}"):
        bot = kitpack.load(name, settings=settings)
        assert bot.digest == digest
        assert not bot.is_stale
    assert registry.seen == []


def test_a_digest_that_was_never_loaded(registry: Registry, reference: str, settings: Settings) -> None:
    name = f"{registry.address}/bot@{registry.tags['live']}"
    assert kitpack.load(name, settings=settings).digest == registry.tags["live"]
    registry.seen.clear()
    kitpack.load(name, settings=settings)
    assert registry.seen == []
    with pytest.raises(NotFoundError):
        kitpack.load(f"{registry.address}/bot@sha256:{'0' * 64}", settings=settings)


def test_a_moved_tag_is_followed_and_fetches_what_is_new(
    registry: Registry, reference: str, settings: Settings, tmp_path: Path
) -> None:
    old = kitpack.load(reference, settings=settings)
    kitpack.push(write_bot(tmp_path / "two", greeting="Good morning"), reference, force=True, settings=settings)
    registry.seen.clear()
    new = kitpack.load(reference, settings=settings)
    assert (greeting(old), greeting(new)) == ("Hello {{ no_variable }}\n", "Good morning")
    assert old.digest != new.digest
    assert sorted(asked(registry)) == [("GET", "blobs"), ("GET", "manifests"), ("HEAD", "manifests")]
    assert old.prompt("triage").identity.fingerprint == new.prompt("triage").identity.fingerprint
    assert old.prompt("hello").identity.fingerprint != new.prompt("hello").identity.fingerprint


@pytest.mark.parametrize("reply", [Reply(status=0), Reply(status=503), Reply(status=500), Reply(status=429)])
def test_when_nobody_answers_the_last_verified_copy_is_served_and_says_so(
    registry: Registry,
    reference: str,
    settings: Settings,
    reply: Reply,
    caplog: pytest.LogCaptureFixture,
    quick: None,
) -> None:
    before = kitpack.load(reference, settings=settings)
    for path, _ in Cache.of(settings).remembered():
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    down(registry, reply)
    with caplog.at_level(logging.WARNING, logger="kitpack.runtime"):
        bot = kitpack.load(reference, settings=settings)
    assert bot.digest == before.digest
    assert bot.is_stale
    assert timedelta(hours=2) <= bot.age < timedelta(hours=2, minutes=1)
    assert "verified 2:00:0" in caplog.text
    assert before.digest in caplog.text
    assert "as of" in repr(bot)
    registry.rules.clear()
    back = kitpack.load(reference, settings=settings)
    assert not back.is_stale
    assert back.age < timedelta(minutes=1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once."""
    monkeypatch.setattr("kitpack.content.registry.retry._FIRST_DELAY", 0.0)


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthError), (403, DeniedError), (404, NotFoundError), (400, RegistryError)]
)
def test_a_refusal_is_no_reason_to_serve_an_old_copy(
    registry: Registry, reference: str, settings: Settings, status: int, error: type[Exception]
) -> None:
    kitpack.load(reference, settings=settings)
    down(registry, Reply(status=status))
    with pytest.raises(error):
        kitpack.load(reference, settings=settings)


def test_a_registry_that_dies_in_the_middle(
    registry: Registry, reference: str, settings: Settings, tmp_path: Path, quick: None
) -> None:
    old = kitpack.load(reference, settings=settings)
    kitpack.push(write_bot(tmp_path / "two", greeting="Good morning"), reference, force=True, settings=settings)
    registry.rule("GET", "/blobs/", Reply(status=0), last_stays=True)
    bot = kitpack.load(reference, settings=settings)
    assert bot.is_stale
    assert bot.digest == old.digest
    registry.rules.clear()
    assert greeting(kitpack.load(reference, settings=settings)) == "Good morning"


def test_nobody_answers_and_nothing_was_loaded_before(settings: Settings, quick: None) -> None:
    with pytest.raises(UnreachableError):
        kitpack.load(f"{refused_port()}/bot:live", settings=settings)


def test_what_was_pulled_is_served_as_well(registry: Registry, reference: str, settings: Settings, quick: None) -> None:
    kitpack.pull(reference, settings=settings)
    down(registry)
    bot = kitpack.load(reference, settings=settings)
    assert bot.is_stale
    assert bot.model_path.read_bytes() == WEIGHTS
    assert kitpack.load(reference, offline=True, settings=settings).digest == bot.digest
    assert kitpack.load(f"{registry.address}/bot@{bot.digest}", settings=settings).digest == bot.digest


def test_offline_asks_nobody(registry: Registry, reference: str, settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="never loaded") as caught:
        kitpack.load(reference, offline=True, settings=settings)
    assert "kitpack pull" in caught.value.hint
    digest = kitpack.load(reference, settings=settings).digest
    registry.seen.clear()
    bot = kitpack.load(reference, offline=True, settings=settings)
    assert bot.is_stale
    assert kitpack.load(f"{registry.address}/bot@{digest}", offline=True, settings=settings).digest == digest
    with pytest.raises(NotFoundError):
        _ = bot.model_path
    assert registry.seen == []


def test_what_the_local_store_has_is_not_fetched(
    registry: Registry, reference: str, settings: Settings, folder: Path
) -> None:
    kitpack.pack(folder, "bot:1", settings=settings)
    bot = kitpack.load(reference, settings=settings)
    assert bot.model_path.read_bytes() == WEIGHTS
    assert asked(registry) == [("HEAD", "manifests")]


def test_damaged_content_is_fetched_again(registry: Registry, reference: str, settings: Settings, quick: None) -> None:
    before = kitpack.load(reference, settings=settings)
    path = blob_path(Cache.of(settings).root, Digest.of_bytes(TRIAGE.encode()))
    path.chmod(0o644)
    path.write_bytes(TRIAGE.encode().replace(b"sort", b"sell"))
    registry.seen.clear()
    again = kitpack.load(reference, settings=settings)
    assert asked(registry) == [("HEAD", "manifests"), ("GET", "blobs")]
    assert again.prompt("triage").identity == before.prompt("triage").identity
    path.chmod(0o644)
    path.write_bytes(b"")
    down(registry)
    with pytest.raises(UnreachableError):
        kitpack.load(reference, settings=settings)
    with pytest.raises(NotFoundError):
        kitpack.load(reference, offline=True, settings=settings)


def test_a_registry_that_lies(registry: Registry, reference: str, settings: Settings) -> None:
    digest = str(Digest.of_bytes(TRIAGE.encode()))
    registry.blobs[digest] = TRIAGE.replace("sort", "sell").encode()
    with pytest.raises(IntegrityError):
        kitpack.load(reference, settings=settings)
    assert Cache.of(settings).recall(reference) is None


def test_weights_come_when_they_are_asked_for(registry: Registry, reference: str, settings: Settings) -> None:
    bot = kitpack.load(reference, settings=settings)
    registry.seen.clear()
    path = bot.model_path
    assert path.read_bytes() == WEIGHTS
    assert (path.parent / "tokenizer.json").is_file()
    assert asked(registry) == [("GET", "blobs")] * 2
    assert bot.model_path == path
    assert kitpack.load(reference, settings=settings).model_path == path
    assert asked(registry) == [("GET", "blobs")] * 2 + [("HEAD", "manifests")]
    down(registry)
    assert bot.model_path == path


def test_a_name_without_a_host_is_looked_for_at_home(registry: Registry, reference: str, tmp_path: Path) -> None:
    from tests.support.registry import settings_in

    settings = settings_in(tmp_path / "other", registry=registry.address)
    bot = kitpack.load("bot:live", settings=settings)
    assert bot.reference == reference
    registry.seen.clear()
    assert kitpack.load("bot:live", offline=True, settings=settings).digest == bot.digest
    assert registry.seen == []


def test_a_cache_that_cannot_be_written_is_done_without(
    registry: Registry, reference: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(settings, home=settings.home.with_name("file"))
    settings.home.write_text("in the way")
    bot = kitpack.load(reference, settings=settings)
    assert greeting(bot)
    assert "could not keep" in caplog.text


def test_many_threads_load_at_once(registry: Registry, reference: str, settings: Settings) -> None:
    found: list[tuple[str, Path]] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            bot = kitpack.load(reference, settings=settings)
            found.append((bot.digest, bot.model_path))
        except BaseException as error:  # noqa: BLE001 - to be told by the test's own thread
            failures.append(error)

    _all(work, 8)
    assert failures == []
    assert len(set(found)) == 1
    assert found[0][1].read_bytes() == WEIGHTS


def _all(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_what_this_process_has_loaded(reference: str, settings: Settings) -> None:
    bot = kitpack.load(reference, settings=settings)
    assert bot in kitpack.loaded()
