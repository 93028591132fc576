"""Killed at any moment, out of space, many at once: the layout stays whole, and the work can be finished."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from kitpack.content.store.audit import audit
from kitpack.content.store.folder import is_layout
from kitpack.content.store.layout import Layout
from kitpack.content.target import fetch_bytes, fetch_manifest, opener_of
from kitpack.errors import NotFoundError
from kitpack.oci.descriptor import Descriptor
from tests.support import processes
from tests.support.bundles import blob_of, manifest_of, noise, push_artifact


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory where there is one: a killed process loses nothing there either, and the disk is slow."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


OLD = manifest_of({"a": noise(3000, 2)}).descriptor
NEW = manifest_of({"a": noise(3000, 3)}).descriptor


def _assert_whole(layout: Layout) -> None:
    if not is_layout(layout.path):
        return
    assert list(audit(layout)) == []
    for path in (layout.path / "blobs").rglob("*"):
        assert path.is_dir() or path.stat().st_mode & 0o777 == 0o444
    for name in layout.tags():
        assert layout.exists(layout.resolve(name))


def _assert_told(layout: Layout) -> None:
    processes.tell(layout)
    _assert_whole(layout)
    assert list(layout.tags()) == ["v1"]
    assert layout.resolve("v1") == NEW
    assert not layout.exists(OLD)
    assert [one.plain() for one in layout.referrers(NEW)] == [_note()]
    assert list(layout.referrers(OLD)) == []
    assert len([path for path in (layout.path / "blobs").rglob("*") if path.is_file()]) == 5
    assert list((layout.path / "ingest").iterdir()) == []


def _note() -> Descriptor:
    return manifest_of({"s": b"about the new one"}, subject=NEW).descriptor


def test_killed_before_every_single_step(tmp_path: Path) -> None:
    steps = processes.run("steps", tmp_path)
    assert len(steps) > 80
    for step in steps:
        layout = Layout(tmp_path / step)
        _assert_whole(layout)
        _assert_told(layout)


def test_killed_at_random_moments(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store")
    assert processes.run("random", layout.path) == [""] * 15
    content = processes.push_all(layout)
    _assert_whole(layout)
    assert set(layout.tags()) == set(content)
    for name, data in content.items():
        (layer,) = fetch_manifest(layout, layout.resolve(name)).layers
        assert fetch_bytes(layout, layer) == data


def test_a_killed_transfer_is_continued_where_it_was(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store")
    for seed, line in enumerate(processes.run("feed", layout.path)):
        data = noise(processes.FEED_SIZE, seed)
        given = int(line)
        assert not layout.exists(blob_of(data))
        offsets: list[int] = []
        layout.push(blob_of(data), _recording(data, offsets))
        assert fetch_bytes(layout, blob_of(data)) == data
        assert len(offsets) == 1
        assert given - (256 << 10) <= offsets[0] <= given  # what stood in the pipe is lost, and no more
    assert list((layout.path / "ingest").iterdir()) == []


def _recording(data: bytes, offsets: list[int]) -> Callable[[int], BinaryIO]:
    def open_at(offset: int) -> BinaryIO:
        offsets.append(offset)
        return opener_of(data)(offset)

    return open_at


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    endings = processes.run("full", tmp_path)
    assert endings[0] != "0"
    assert endings[-1] == "0"
    for limit in processes.LIMITS:
        layout = Layout(tmp_path / str(limit))
        _assert_whole(layout)
        _assert_told(layout)


def test_many_processes_lose_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store")
    assert processes.run("crowd", layout.path) == ["0"] * processes.WORKERS
    _assert_whole(layout)
    assert set(layout.tags()) == {name for worker in range(processes.WORKERS) for name in processes.tags_of(worker)}
    assert list((layout.path / "ingest").iterdir()) == []


def test_collection_takes_nothing_from_those_who_hold_a_lease(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store")
    assert processes.run("collect", layout.path) == ["0"] * processes.COLLECTED
    _assert_whole(layout)
    assert set(layout.tags()) == {name for worker in range(processes.COLLECTED) for name in processes.tags_of(worker)}


def test_a_layout_that_begins_while_we_look_whether_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path / "store")
    look = Path.iterdir

    def begin_first(path: Path) -> Iterator[Path]:
        monkeypatch.undo()
        push_artifact(Layout(layout.path), {}, "theirs")
        return look(path)

    monkeypatch.setattr(Path, "iterdir", begin_first)
    push_artifact(layout, {}, "ours")
    assert list(layout.tags()) == ["ours", "theirs"]


def test_a_layout_that_begins_before_we_get_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path / "store")
    lock = fcntl.flock

    def begin_first(fd: int, operation: int) -> None:
        monkeypatch.undo()
        push_artifact(Layout(layout.path), {}, "theirs")
        lock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", begin_first)
    push_artifact(layout, {}, "ours")
    assert list(layout.tags()) == ["ours", "theirs"]


@pytest.mark.parametrize("objects", ["one object", "an object for each"])
def test_many_threads_lose_nothing(tmp_path: Path, objects: str) -> None:
    shared = Layout(tmp_path / "store")

    def work(worker: int) -> None:
        layout = shared if objects == "one object" else Layout(tmp_path / "store")
        with layout.lease():
            for name in processes.tags_of(worker):
                push_artifact(layout, {"shared": noise(5000), "own": name.encode()}, name)
            layout.untag(processes.tags_of(worker)[0])

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, worker) for worker in range(8)]:
            done.result()
    _assert_whole(shared)
    assert set(shared.tags()) == {name for worker in range(8) for name in processes.tags_of(worker)[1:]}
    with pytest.raises(NotFoundError):
        shared.untag(processes.tags_of(0)[0])
