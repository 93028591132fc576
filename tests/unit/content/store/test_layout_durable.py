"""After a power failure: no name without bytes, and no bytes without a name that was promised."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kitpack.content.store.durable import make_folders, write_whole
from kitpack.content.store.layout import Layout
from kitpack.content.target import opener_of
from tests.support.bundles import blob_of, push_artifact

BLOB = blob_of(b"weights")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "deep" / "down" / "store")


@pytest.fixture
def on_sync(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[os.stat_result], None]], None]:
    """Calls a function with what is about to be synced."""
    monkeypatch.delattr(fcntl, "F_FULLFSYNC", raising=False)
    sync = os.fsync

    def listen(listener: Callable[[os.stat_result], None]) -> None:
        def called(fd: int) -> None:
            listener(os.fstat(fd))
            sync(fd)

        monkeypatch.setattr(os, "fsync", called)

    return listen


OnSync = Callable[[Callable[[os.stat_result], None]], None]


def _is(found: os.stat_result, path: Path) -> bool:
    return path.exists() and os.path.samestat(found, path.stat())


def test_bytes_are_synced_before_the_name_and_the_name_after(layout: Layout, on_sync: OnSync) -> None:
    path = layout.path / "blobs" / "sha256" / BLOB.digest.hex
    synced: list[tuple[int, bool]] = []
    on_sync(lambda found: synced.append((found.st_ino, path.exists())))
    layout.push(BLOB, opener_of(b"weights"))
    assert (path.stat().st_ino, False) in synced
    assert synced[-1] == (path.parent.stat().st_ino, True)


def test_every_new_folder_is_synced_into_its_parent(layout: Layout, tmp_path: Path, on_sync: OnSync) -> None:
    synced: set[int] = set()
    on_sync(lambda found: synced.add(found.st_ino))
    layout.push(BLOB, opener_of(b"weights"))
    folders = [tmp_path, tmp_path / "deep", tmp_path / "deep" / "down", layout.path, layout.path / "blobs"]
    assert {folder.stat().st_ino for folder in folders} <= synced


def test_the_index_is_synced_before_and_after_it_gets_its_name(layout: Layout, on_sync: OnSync) -> None:
    push_artifact(layout, {}, "v1")
    old = (layout.path / "index.json").read_bytes()
    seen: list[tuple[int, bool]] = []
    on_sync(lambda found: seen.append((found.st_ino, (layout.path / "index.json").read_bytes() == old)))
    layout.tag(layout.resolve("v1"), "v2")
    assert seen == [((layout.path / "index.json").stat().st_ino, True), (layout.path.stat().st_ino, False)]


def test_what_cannot_be_synced_gets_no_name(layout: Layout, on_sync: OnSync) -> None:
    descriptor = push_artifact(layout, {}, "v1")
    before = (layout.path / "index.json").read_bytes()

    def fail(found: os.stat_result) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    on_sync(fail)
    for write in (
        lambda: layout.push(BLOB, opener_of(b"weights")),
        lambda: layout.add(opener_of(b"weights")),
        lambda: layout.tag(descriptor, "v2"),
        lambda: layout.untag("v1"),
    ):
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            write()
    assert not layout.exists(BLOB)
    assert (layout.path / "index.json").read_bytes() == before


def test_folders_that_cannot_be_synced_are_taken_as_they_are(layout: Layout, on_sync: OnSync) -> None:
    def refuse_folders(found: os.stat_result) -> None:
        if found.st_nlink > 1 or not found.st_size:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    push_artifact(layout, {}, "v1")
    on_sync(refuse_folders)
    layout.push(BLOB, opener_of(b"weights"))
    assert layout.exists(BLOB)


def test_an_unchanged_index_is_not_written(layout: Layout) -> None:
    descriptor = push_artifact(layout, {}, "v1")
    before = (layout.path / "index.json").stat()
    layout.tag(descriptor, "v1")
    assert os.path.samestat((layout.path / "index.json").stat(), before)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, on_sync: OnSync) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old", tmp_path)

    def interrupt(found: os.stat_result) -> None:
        raise KeyboardInterrupt

    on_sync(interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new", tmp_path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_way_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        make_folders(tmp_path / "file" / "below")
    make_folders(tmp_path / "a" / "b")
    make_folders(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
