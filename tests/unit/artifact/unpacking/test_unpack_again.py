"""Unpacking into a folder where something is already: nothing is fetched twice, and one does it at a time."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.select import Selection
from kitpack.artifact.unpacking.installed import RECORD_NAME, Installed, find_drift
from kitpack.artifact.unpacking.staging import staged_beside
from kitpack.artifact.unpacking.unpack import Unpacked, unpack
from kitpack.content.events import Event
from kitpack.content.memory import Memory
from kitpack.content.store.layout import Layout
from kitpack.content.target import Source
from kitpack.errors import (
    FileConflictError,
    StoreError,
    UnreachableError,
)
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import OCTET_STREAM
from tests.support.packing import bundle_of, layered, write_files
from tests.support.snapshots import snapshot
from tests.support.sources import Watched
from tests.support.versions import (
    CROWD,
    RAW,
    STATES,
    assert_equal,
    prepare,
    through,
)


def test_what_is_in_place_is_not_fetched(old: Bundle, new: Bundle, target: Path) -> None:
    unpack(old, target)
    watched = Watched(old.source)
    unpack(through(old, watched), target)
    assert set(watched.fetched) == {old.descriptor.digest}
    watched = Watched(new.source)
    unpack(through(new, watched), target)
    shared = {layer.descriptor.digest for layer in old.layers} & {layer.descriptor.digest for layer in new.layers}
    assert len(shared) == 5
    assert not shared & set(watched.fetched)


def test_files_that_are_there_without_a_record_are_not_fetched(old: Bundle, old_folder: Path, target: Path) -> None:
    shutil.copytree(old_folder, target)
    watched = Watched(old.source)
    done = unpack(through(old, watched), target)
    archives = {layer.descriptor.digest for layer in old.layers if layer.archived}
    assert set(watched.fetched) == {old.descriptor.digest, *archives}
    assert "model/w.gguf" in done.kept
    assert_equal(target, old_folder)


def test_a_new_time_needs_hashing_but_no_fetching(old: Bundle, target: Path) -> None:
    unpack(old, target)
    for path in target.rglob("*"):
        os.utime(path, (1, 1))
    watched = Watched(old.source)
    assert unpack(through(old, watched), target).written == ()
    assert watched.total == 1


def test_only_what_is_missing_is_fetched(old: Bundle, old_folder: Path, target: Path) -> None:
    unpack(old, target)
    (target / "prompts" / "a.md").unlink()
    watched = Watched(old.source)
    assert unpack(through(old, watched), target).written == ("prompts/a.md",)
    assert watched.total == 2
    (target / "data" / "1" / "100.txt").unlink()
    assert set(unpack(old, target).written) == set(CROWD)
    assert_equal(target, old_folder)


def test_modes_are_put_right_without_fetching(old: Bundle, old_folder: Path, target: Path) -> None:
    unpack(old, target)
    (target / "code" / "run.sh").chmod(0o644)
    (target / "data" / "1" / "100.txt").chmod(0o755)
    record = Installed.load(target)
    assert record is not None
    assert [(one.path, one.problem) for one in find_drift(target, record)] == [
        ("code/run.sh", "mode"),
        ("data/1/100.txt", "mode"),
    ]
    watched = Watched(old.source)
    unpack(through(old, watched), target)
    assert watched.total == 1
    assert_equal(target, old_folder)


def test_a_broken_connection_is_continued(old: Bundle, old_folder: Path, target: Path) -> None:
    failing = Watched(old.source, fail_at=6, failure=lambda: UnreachableError("gone"), short=True)
    with pytest.raises(UnreachableError):
        unpack(through(old, failing), target, jobs=1)
    assert not target.exists()
    again = Watched(old.source)
    unpack(through(old, again), target, jobs=1)
    assert_equal(target, old_folder)
    done_before = list(failing.fetched)[1:5]
    assert len(done_before) == 4
    assert not [digest for digest in done_before if digest in again.fetched]
    assert list(target.parent.iterdir()) == [target]


def test_events_add_up(old: Bundle, target: Path) -> None:
    events: list[Event] = []
    unpack(old, target, on_event=events.append)
    sizes = {layer.path: layer.descriptor.size for layer in old.layers if layer.verbatim}
    moved = dict.fromkeys(sizes, 0)
    for event in events:
        if event.kind == "moved" and event.name in moved:
            moved[event.name] += event.size
    assert moved == sizes
    assert {event.name for event in events if event.kind == "finished"} == {layer.path for layer in old.layers}


class Waiting(Memory):
    """A source that delivers one blob only when it is told to."""

    def __init__(self, source: Source, held: Digest) -> None:
        super().__init__()
        self._inner, self._held = source, held
        self.reached, self.go = threading.Event(), threading.Event()

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        if descriptor.digest == self._held:
            self.reached.set()
            assert self.go.wait(20)
        return self._inner.fetch(descriptor, offset)


@pytest.mark.parametrize("state", ["new", "empty", "old version"])
def test_of_two_at_once_the_second_is_told_to_wait(
    old: Bundle, new: Bundle, new_folder: Path, old_folder: Path, target: Path, state: str
) -> None:
    prepare(state, old, target)
    changed = next(layer for layer in new.layers if layer.path == "prompts/a.md")
    source = Waiting(new.source, changed.descriptor.digest)
    results: list[Unpacked] = []
    first = threading.Thread(target=lambda: results.append(unpack(through(new, source), target)))
    first.start()
    try:
        assert source.reached.wait(20)
        with pytest.raises(StoreError, match="another kitpack"):
            unpack(old, target)
    finally:
        source.go.set()
        first.join(20)
    assert len(results) == 1
    assert_equal(target, new_folder)
    unpack(old, target)
    assert_equal(target, old_folder)


def test_what_a_killed_process_left_beside_the_folder_is_swept(old: Bundle, old_folder: Path, target: Path) -> None:
    beside = staged_beside(target)
    write_files(beside, {"ingest/sha256-0.part": b"half", "tree/app.yaml": b"x", "lock": b""})
    target.mkdir()
    unpack(old, target)
    assert_equal(target, old_folder)
    assert not beside.exists()


def test_garbage_collection_is_kept_away_while_it_reads(tmp_path: Path, target: Path) -> None:
    source = write_files(tmp_path / "source", {"a": b"a"}, "code: [{path: a}]\n")
    store = Layout(tmp_path / "store")
    bundle = bundle_of(source, store)
    held: list[int] = []
    unpack(bundle, target, on_event=lambda event: held.append(store._lease._holders))
    assert held
    assert all(held)
    assert store._lease._holders == 0


def test_a_whole_layer_without_a_path_is_left_out(target: Path) -> None:
    bundle = layered(("a", b"a", RAW), ("", b"nameless", OCTET_STREAM))
    assert unpack(bundle, target).written == ("a",)


def test_a_bundle_without_files_makes_an_empty_folder(target: Path) -> None:
    unpack(layered(), target)
    assert set(snapshot(target)) == {RECORD_NAME}


def test_a_record_keeps_what_matters(old: Bundle, target: Path) -> None:
    unpack(old, target, reference="bot:1")
    record = Installed.load(target)
    assert record is not None
    assert record.files["code/run.sh"].mode == 0o755
    assert record.files["data/0/000.txt"].archive
    assert sum(record.archives.values()) == len(CROWD)
    assert replace(record, files={}).without(()).reference == "bot:1"


def test_an_edit_that_keeps_size_and_time_is_not_lost(old: Bundle, target: Path) -> None:
    unpack(old, target)
    unpack(old, target)
    weights = target / "model/w.gguf"
    before, good = weights.stat(), weights.read_bytes()
    with weights.open("r+b") as file:
        file.write(b"XXXX")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(FileConflictError, match=r"w\.gguf"):
        unpack(old, target)
    assert weights.read_bytes() != good
    assert unpack(old, target, overwrite=True).written == ("model/w.gguf",)
    assert weights.read_bytes() == good


@pytest.mark.parametrize("state", STATES)
def test_after_every_unpack_all_stamps_are_those_of_the_files(
    old: Bundle, new: Bundle, target: Path, state: str
) -> None:
    prepare(state, old, target)
    unpack(new, target)
    (target / "code" / "run.sh").chmod(0o600)
    unpack(new, target)
    record = Installed.load(target)
    assert record is not None
    assert [path for path, file in record.files.items() if file.stamped(target / path) != file] == []


def test_damage_that_no_stamp_shows_is_mended_when_asked(old: Bundle, target: Path) -> None:
    unpack(old, target)
    weights = target / "model/w.gguf"
    good = weights.read_bytes()
    weights.write_bytes(bytes(len(good)))
    record = Installed.load(target)
    assert record is not None
    damaged = {path: file.stamped(target / path) for path, file in record.files.items()}
    replace(record, files=damaged).save(target, target)
    assert "model/w.gguf" in unpack(old, target).kept
    assert unpack(old, target, overwrite=True).written == ("model/w.gguf",)
    assert weights.read_bytes() == good


def test_the_record_tells_which_bundle_each_file_belongs_to(old: Bundle, new: Bundle, target: Path) -> None:
    unpack(old, target, reference="bot:1")
    unpack(new, target, reference="bot:2", only=Selection.parse(["prompts"]))
    installed = Installed.load(target)
    assert installed is not None
    assert {file.origin for path, file in installed.files.items() if path.startswith("prompts/")} == {"bot:2"}
    assert set(installed.origins) == {"bot:1", "bot:2"}
    unpack(new, target, reference="bot:2")
    installed = Installed.load(target)
    assert installed is not None
    assert set(installed.origins) == {"bot:2"}
