"""The cache of loaded bundles: believed in nothing, whole at every moment, emptied of what nobody uses."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kitpack.content.memory import Memory
from kitpack.content.store.folder import blob_path
from kitpack.content.store.layout import Layout
from kitpack.content.target import fetch_bytes
from kitpack.errors import NotFoundError, StoreError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.runtime.cache import Cache
from kitpack.runtime.prune import Pruned, prune
from kitpack.runtime.sources import Kept
from tests.support.bundles import blob_of, manifest_of, push_artifact
from tests.support.snapshots import snapshot

DAY = 86_400


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "loaded")


def kept(cache: Cache, files: dict[str, bytes], reference: str = "") -> Descriptor:
    """A bundle as a load leaves it behind."""
    manifest = manifest_of(files)
    for data in (*files.values(), b"{}"):
        cache.keep(blob_of(data), data)
    cache.keep(manifest.descriptor, manifest.raw)
    cache.use(manifest.descriptor)
    if reference:
        cache.remember(reference, manifest.descriptor)
    return manifest.descriptor


def age(path: Path, days: float) -> None:
    os.utime(path, (time.time() - days * DAY, time.time() - days * DAY))


def listed(cache: Cache, one: Descriptor) -> Path:
    return next(path for path, found in cache.bundles() if found == one.plain())


def test_small_content_is_proven_by_each_read(cache: Cache) -> None:
    blob = blob_of(b"hello")
    assert cache.read(blob) is None
    cache.keep(blob, b"hello")
    assert cache.read(blob) == b"hello"
    path = blob_path(cache.root, blob.digest)
    path.chmod(0o644)
    path.write_bytes(b"jello")
    assert cache.read(blob) is None
    cache.keep(blob, b"hello")
    assert cache.read(blob) == b"hello"


def test_what_a_reference_stands_for(cache: Cache) -> None:
    assert cache.recall("h/bot:1") is None
    one, two = kept(cache, {"a": b"1"}), kept(cache, {"a": b"2"})
    cache.remember("h/bot:1", one)
    cache.remember("h/bot:2", two)
    found = cache.recall("h/bot:1")
    assert found is not None
    assert found.manifest == one.plain()
    assert abs((datetime.now(UTC) - found.verified).total_seconds()) < 60
    cache.remember("h/bot:1", two)
    again = cache.recall("h/bot:1")
    assert again is not None
    assert again.manifest == two.plain()
    assert cache.bundle(one.digest) == one.plain()


def test_the_time_of_verification_moves_without_writing(cache: Cache) -> None:
    one = kept(cache, {"a": b"1"}, "h/bot:1")
    path = next(path for path, _ in cache.remembered())
    age(path, 3)
    before, inode = path.read_bytes(), path.stat().st_ino
    old = cache.recall("h/bot:1")
    assert old is not None
    assert (datetime.now(UTC) - old.verified).days == 3
    cache.remember("h/bot:1", one)
    new = cache.recall("h/bot:1")
    assert new is not None
    assert (datetime.now(UTC) - new.verified).days == 0
    assert (path.read_bytes(), path.stat().st_ino) == (before, inode)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"reference": "h/bot:1"}', b'{"reference":"x","manifest":{}}'])
def test_a_damaged_pointer_is_none(cache: Cache, damage: bytes) -> None:
    one = kept(cache, {"a": b"1"}, "h/bot:1")
    path = next(path for path, _ in cache.remembered())
    path.write_bytes(damage)
    assert cache.recall("h/bot:1") is None
    cache.remember("h/bot:1", one)
    assert cache.recall("h/bot:1") is not None


def test_a_pointer_of_another_reference_is_none(cache: Cache) -> None:
    kept(cache, {"a": b"1"}, "h/bot:1")
    path = next(path for path, _ in cache.remembered())
    other = Cache(cache.root)
    target = path.with_name(f"{Digest.of_bytes(b'h/bot:2').hex}.json")
    path.rename(target)
    assert other.recall("h/bot:2") is None


def test_the_store_can_begin_beside_it(tmp_path: Path) -> None:
    store = tmp_path / "home"
    kept(Cache(store / "loaded"), {"a": b"1"})
    layout = Layout(store)
    push_artifact(layout, {"a": b"2"}, "bot:1")
    assert list(layout.tags()) == ["bot:1"]


def test_a_source_that_keeps(cache: Cache) -> None:
    memory = Memory()
    one = push_artifact(memory, {"a": b"1"}, "bot:1")
    source = Kept(cache, memory)
    assert source.resolve("bot:1") == one
    assert fetch_bytes(source, one)
    assert fetch_bytes(Kept(cache), one) == fetch_bytes(memory, one)
    with pytest.raises(NotFoundError):
        fetch_bytes(Kept(cache), blob_of(b"1"))
    assert source.exists(one)


def test_the_next_source_helps_out_where_one_is_damaged(cache: Cache, tmp_path: Path) -> None:
    layout, memory = Layout(tmp_path / "store"), Memory()
    for target in (layout, memory):
        push_artifact(target, {"a": b"hello"}, "bot:1")
    blob = blob_of(b"hello")
    path = blob_path(layout.path, blob.digest)
    path.chmod(0o644)
    path.write_bytes(b"jello")
    assert fetch_bytes(Kept(cache, layout, memory), blob) == b"hello"
    assert cache.read(blob) == b"hello"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_only_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tmp_path.chmod(0o555)
    try:
        refused(Cache(tmp_path / "loaded"), caplog)
    finally:
        tmp_path.chmod(0o755)


def test_a_cache_that_cannot_be_made_only_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    refused(Cache(tmp_path / "file" / "loaded"), caplog)


def refused(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory()
    one = push_artifact(memory, {"a": b"1"})
    with caplog.at_level("WARNING", logger="kitpack.runtime"):
        assert fetch_bytes(Kept(cache, memory), one)
    assert "could not keep what was loaded" in caplog.text


def test_what_nobody_loads_is_removed_with_what_only_it_had(cache: Cache) -> None:
    shared = b"shared"
    old = kept(cache, {"a": b"old", "s": shared}, "h/bot:1")
    new = kept(cache, {"a": b"new", "s": shared}, "h/bot:2")
    folder = cache.weights_folder(old.digest)
    folder.mkdir(parents=True)
    (folder / "w.gguf").write_bytes(b"w")
    age(listed(cache, old), 31)
    before = snapshot(cache.root)
    would = prune(cache, dry_run=True)
    assert snapshot(cache.root) == before
    assert prune(cache) == would == Pruned(bundles=1, bytes=3 + old.size, kept=1)
    assert cache.read(blob_of(b"old")) is None
    assert cache.read(old) is None
    assert cache.read(blob_of(shared)) == shared
    assert cache.recall("h/bot:1") is None
    assert cache.recall("h/bot:2") is not None
    assert cache.bundle(old.digest) is None
    assert cache.read(new) is not None
    assert not folder.exists()
    assert prune(cache, unused=0, now=lambda: time.time() + 1).bundles == 1
    assert list(cache.bundles()) == []


def test_use_keeps_a_bundle(cache: Cache) -> None:
    one = kept(cache, {"a": b"1"})
    age(listed(cache, one), 31)
    cache.use(one)
    assert prune(cache) == Pruned(kept=1)


def test_loose_content_waits_a_week(cache: Cache) -> None:
    cache.keep(blob_of(b"loose"), b"loose")
    (cache.root / "ingest" / "left.part").write_bytes(b"l")
    assert prune(cache) == Pruned()
    later = time.time() + 8 * DAY
    assert prune(cache, now=lambda: later) == Pruned(bytes=5)
    assert list((cache.root / "ingest").iterdir()) == []


def test_nothing_is_removed_while_something_is_loaded(cache: Cache) -> None:
    one = kept(cache, {"a": b"1"})
    age(listed(cache, one), 31)
    with cache.lease(), pytest.raises(StoreError, match="in use"):
        prune(cache)
    assert prune(cache).bundles == 1


def test_a_bundle_whose_manifest_was_lost_is_removed_all_the_same(cache: Cache) -> None:
    one = kept(cache, {"a": b"1"})
    blob_path(cache.root, one.digest).unlink()
    age(listed(cache, one), 31)
    assert prune(cache).bundles == 1
    assert prune(Cache(cache.root / "none")) == Pruned()
