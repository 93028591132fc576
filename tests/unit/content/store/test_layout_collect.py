"""Garbage collection: everything that can be reached stays, and nothing is deleted on doubt."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitpack.content.store.audit import audit
from kitpack.content.store.collect import Collected, collect_garbage
from kitpack.content.store.layout import Layout
from kitpack.content.target import opener_of
from kitpack.errors import NotFoundError, StoreError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.jsontext import Json
from kitpack.oci.mediatypes import OCI_MANIFEST
from tests.support.bundles import blob_of, index_of, manifest_of, push_artifact, push_blob, push_manifest

HOUR = 3600.0
MONTH = 30 * 24 * HOUR


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


def _later(seconds: float = HOUR) -> Callable[[], float]:
    return lambda: time.time() + seconds


def _collect(layout: Layout) -> Collected:
    return collect_garbage(layout, now=_later())


def _blobs(layout: Layout) -> set[str]:
    return {path.name for path in (layout.path / "blobs").rglob("*") if path.is_file()}


def _path(layout: Layout, descriptor: Descriptor) -> Path:
    return layout.path / "blobs" / descriptor.digest.algorithm / descriptor.digest.hex


def _change_index(layout: Layout, change: Callable[[list[Json]], None]) -> None:
    value = json.loads((layout.path / "index.json").read_bytes())
    change(value["manifests"])
    (layout.path / "index.json").write_text(json.dumps(value))


def test_what_no_name_leads_to_is_deleted(layout: Layout) -> None:
    kept = push_artifact(layout, {"a": b"kept", "both": b"shared"}, "v1")
    push_artifact(layout, {"b": b"lost!", "both": b"shared"}, "v2")
    push_blob(layout, b"never named")
    layout.untag("v2")
    lost = manifest_of({"b": b"lost!", "both": b"shared"}).descriptor
    found = _collect(layout)
    assert found.blobs == 3
    assert found.bytes == len(b"lost!") + len(b"never named") + lost.size
    assert found.kept == 4
    assert layout.exists(kept)
    assert not layout.exists(lost)
    assert list(audit(layout)) == []
    assert _collect(layout) == Collected(kept=4, kept_bytes=found.kept_bytes)


def test_a_dry_run_deletes_nothing_and_says_the_same(layout: Layout) -> None:
    subject = push_artifact(layout, {"a": b"a"}, "v1")
    push_artifact(layout, {"s": b"s"}, subject=subject)
    layout.untag("v1")
    before = _blobs(layout), (layout.path / "index.json").read_bytes()
    with layout.lease():
        dry = collect_garbage(layout, dry_run=True, now=_later())
    assert (_blobs(layout), (layout.path / "index.json").read_bytes()) == before
    assert dry.blobs == 5
    assert dry.referrers == 1
    assert _collect(layout) == dry


def test_what_an_index_lists_stays(layout: Layout) -> None:
    one = push_artifact(layout, {"a": b"one"})
    two = push_artifact(layout, {"a": b"two"})
    top = push_manifest(layout, index_of([push_manifest(layout, index_of([one])), two]), "all")
    assert _collect(layout).blobs == 0
    assert layout.exists(top)


def test_young_content_and_all_it_names_is_spared(layout: Layout) -> None:
    old = push_artifact(layout, {"a": b"old layer"})
    for path in (layout.path / "blobs" / "sha256").iterdir():
        os.utime(path, (1, 1))
    _path(layout, old).chmod(0o644)
    os.utime(_path(layout, old))
    assert collect_garbage(layout).blobs == 0
    layout.tag(old, "v1")
    assert layout.exists(old)


def test_the_grace_counts_from_the_last_push(layout: Layout) -> None:
    blob = push_blob(layout, b"x")
    assert collect_garbage(layout, grace=2 * HOUR, now=_later(HOUR)).blobs == 0
    assert collect_garbage(layout, grace=HOUR / 2, now=_later(HOUR)).blobs == 1
    assert not layout.exists(blob)


def test_a_clock_that_went_back_deletes_nothing(layout: Layout) -> None:
    push_blob(layout, b"x")
    assert collect_garbage(layout, grace=0, now=_later(-MONTH)).blobs == 0


def test_referrers_live_as_long_as_their_subject(layout: Layout) -> None:
    subject = push_artifact(layout, {"a": b"a"}, "v1")
    signature = push_artifact(layout, {"s": b"s"}, subject=subject)
    about_the_signature = push_artifact(layout, {"t": b"t"}, subject=signature)
    orphan = push_artifact(layout, {"o": b"o"}, subject=manifest_of({"a": b"never here"}).descriptor)
    found = _collect(layout)
    assert found.referrers == 1
    assert layout.exists(about_the_signature)
    assert not layout.exists(orphan)
    assert [one.digest for one in layout.referrers(subject)] == [signature.digest]

    layout.untag("v1")
    assert _collect(layout).referrers == 2
    assert _blobs(layout) == set()
    assert json.loads((layout.path / "index.json").read_bytes())["manifests"] == []


def test_a_young_referrer_waits_for_its_subject(layout: Layout) -> None:
    subject = manifest_of({"a": b"a"}).descriptor
    referrer = push_artifact(layout, {"s": b"s"}, subject=subject)
    assert collect_garbage(layout).referrers == 0
    assert layout.exists(referrer)


def test_a_named_record_keeps_what_it_speaks_of(layout: Layout) -> None:
    subject = push_artifact(layout, {"a": b"a"}, "v1")
    push_artifact(layout, {}, "production.log.000001.0a1b2c3d", subject=subject)
    layout.untag("v1")
    assert _collect(layout).blobs == 0
    assert layout.exists(subject)
    layout.untag("production.log.000001.0a1b2c3d")
    assert _collect(layout).kept == 0


def test_a_named_record_may_speak_of_what_was_never_here(layout: Layout) -> None:
    record = push_artifact(layout, {}, "log", subject=manifest_of({"a": b"elsewhere"}).descriptor)
    assert _collect(layout).blobs == 0
    assert layout.exists(record)


def test_entries_of_other_tools_without_a_name_stay(layout: Layout) -> None:
    descriptor = push_artifact(layout, {"a": b"a"})
    _change_index(layout, lambda entries: entries.append(descriptor.to_dict()))
    assert _collect(layout).blobs == 0
    assert layout.exists(descriptor)


def test_manifests_of_an_unknown_kind_keep_whatever_they_may_name(layout: Layout) -> None:
    leaf = push_blob(layout, b"a leaf")
    inner = push_blob(layout, b'{"fsLayers":[{"blobSum":"%s"}]}' % str(leaf.digest).encode())
    outer = push_blob(layout, b'{"blobs":[{"digest":"%s"}]}' % str(inner.digest).encode(), "application/x-manifest")
    push_blob(layout, b"garbage")
    _change_index(layout, lambda entries: entries.append(outer.to_dict()))
    assert _collect(layout).blobs == 1
    assert all(map(layout.exists, (leaf, inner, outer)))


def _damage_index(layout: Layout, descriptor: Descriptor) -> None:
    (layout.path / "index.json").write_text('{"schemaVersion":2,"manif')


def _lose_index(layout: Layout, descriptor: Descriptor) -> None:
    (layout.path / "index.json").unlink()


def _lose_manifest(layout: Layout, descriptor: Descriptor) -> None:
    _path(layout, descriptor).unlink()


def _damage_manifest(layout: Layout, descriptor: Descriptor) -> None:
    raw = _path(layout, descriptor).read_bytes()
    _path(layout, descriptor).chmod(0o644)
    _path(layout, descriptor).write_bytes(raw.replace(b"example", b"exemplu"))


def _list_what_is_no_manifest(layout: Layout, descriptor: Descriptor) -> None:
    blob = push_blob(layout, b'{"schemaVersion":2,"schemaVersion":2}')
    _change_index(layout, lambda entries: entries.append({**blob.to_dict(), "mediaType": OCI_MANIFEST}))


@pytest.mark.parametrize(
    "damage", [_damage_index, _lose_index, _lose_manifest, _damage_manifest, _list_what_is_no_manifest]
)
@pytest.mark.parametrize("where", ["tagged", "in an index", "referrer"])
def test_nothing_is_deleted_on_doubt(layout: Layout, damage: Callable[[Layout, Descriptor], None], where: str) -> None:
    descriptor = push_artifact(layout, {"a": b"a"}, "v1")
    if where == "in an index":
        descriptor = push_artifact(layout, {"b": b"b"})
        push_manifest(layout, index_of([descriptor]), "all")
    elif where == "referrer":
        descriptor = push_artifact(layout, {"s": b"s"}, subject=descriptor)
    push_blob(layout, b"garbage")
    damage(layout, descriptor)
    before = _blobs(layout)
    for dry_run in (True, False):
        with pytest.raises(StoreError) as caught:
            collect_garbage(layout, now=_later(), dry_run=dry_run)
        assert "kitpack verify" in caught.value.hint
    assert _blobs(layout) == before


def test_a_lease_keeps_collection_away(layout: Layout) -> None:
    blob = push_blob(layout, b"x")
    for holder in (layout, Layout(layout.path)):
        with holder.lease(), holder.lease():
            with holder.lease():
                pass
            with pytest.raises(StoreError, match="in use") as caught:
                _collect(layout)
            assert caught.value.hint
    assert layout.exists(blob)
    assert _collect(layout).blobs == 1


def test_a_lease_taken_before_the_store_began_counts(layout: Layout) -> None:
    with layout.lease():
        push_blob(layout, b"x")
        with pytest.raises(StoreError, match="in use"):
            _collect(Layout(layout.path))
    assert _collect(layout).blobs == 1


def test_what_is_touched_while_others_are_deleted_is_spared(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = [push_blob(layout, data) for data in (b"one", b"two")]
    for blob in blobs:
        os.utime(_path(layout, blob), (1, 1))
    unlink = Path.unlink

    def touch_the_others(path: Path, *, missing_ok: bool = False) -> None:
        unlink(path, missing_ok=missing_ok)
        for other in path.parent.iterdir():
            os.utime(other)

    monkeypatch.setattr(Path, "unlink", touch_the_others)
    assert collect_garbage(layout).blobs == 1
    assert sum(map(layout.exists, blobs)) == 1


def test_nothing_is_collected_where_there_is_no_layout(layout: Layout) -> None:
    for dry_run in (True, False):
        with pytest.raises(NotFoundError):
            collect_garbage(layout, dry_run=dry_run)
    assert not layout.path.exists()


def test_leftovers_of_broken_transfers(layout: Layout) -> None:
    push_blob(layout, b"begin")
    ingest = layout.path / "ingest"
    partial = ingest / f"sha256-{blob_of(b'big').digest.hex}.part"
    for path in (partial, ingest / "0123.tmp", ingest / "oras_foreign", ingest / "held.tmp"):
        path.write_bytes(b"12345")
    (ingest / "link").symlink_to(layout.path / "index.json")
    (ingest / "folder").mkdir()
    with (ingest / "held.tmp").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert collect_garbage(layout).leftovers == 0
        hour = _collect(layout)
        assert (hour.leftovers, hour.bytes - len(b"begin")) == (2, 10)
        assert {path.name for path in ingest.iterdir()} == {partial.name, "held.tmp", "link", "folder"}
        assert collect_garbage(layout, now=_later(MONTH)).leftovers == 1
    assert collect_garbage(layout, now=_later(MONTH)).leftovers == 1
    assert {path.name for path in ingest.iterdir()} == {"link", "folder"}
    assert (layout.path / "index.json").exists()


def test_foreign_files_among_the_blobs_stay(layout: Layout) -> None:
    push_blob(layout, b"begin")
    folder = layout.path / "blobs" / "sha256"
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / ("0" * 64)).symlink_to(layout.path / "index.json")
    (folder / ("1" * 64)).mkdir()
    (layout.path / "blobs" / "blake3").mkdir()
    (layout.path / "blobs" / "blake3" / ("2" * 64)).write_bytes(b"x")
    assert _collect(layout).blobs == 1
    assert {path.name for path in folder.iterdir()} == {".DS_Store", "0" * 64, "1" * 64}
    assert (layout.path / "index.json").exists()
    assert (layout.path / "blobs" / "blake3" / ("2" * 64)).exists()


@settings(max_examples=40, deadline=None)
@given(
    parents=st.lists(st.tuples(st.sampled_from(["plain", "referrer", "index"]), st.integers(0, 7)), max_size=8),
    tagged=st.sets(st.integers(0, 8)),
)
def test_whatever_is_reachable_survives_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, parents: list[tuple[str, int]], tagged: set[int]
) -> None:
    layout = Layout(tmp_path_factory.mktemp("layouts") / "store")
    made = [push_artifact(layout, {"a": b"0"})]
    keeps: dict[int, set[int]] = {0: set()}  # what each keeps alive
    for number, (kind, choice) in enumerate(parents, start=1):
        other = choice % number
        if kind == "plain":
            made.append(push_artifact(layout, {"a": str(number).encode()}))
            keeps[number] = set()
        elif kind == "index":
            raw = index_of([made[other].annotated({"number": str(number)})])
            made.append(push_manifest(layout, raw))
            keeps[number] = {other}
        else:
            made.append(push_artifact(layout, {"a": str(number).encode()}, subject=made[other]))
            keeps[number] = {other} if number in tagged else set()
            keeps[other].add(number)
    alive: set[int] = set()
    waiting = [number for number in tagged if number < len(made)]
    for number in waiting:
        layout.tag(made[number], f"v{number}")
    while waiting:
        number = waiting.pop()
        if number not in alive:
            alive.add(number)
            waiting.extend(keeps[number])
    _collect(layout)
    assert {number for number, one in enumerate(made) if layout.exists(one)} == alive
    assert list(audit(layout)) == []
    assert len(_blobs(layout)) <= 2 * len(made) + 1
    layout.add(opener_of(b"still usable"))
