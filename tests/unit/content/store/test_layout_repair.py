"""What is damaged is moved away, what is good stays, and nothing is ever deleted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kitpack.content.copy import copy
from kitpack.content.memory import Memory
from kitpack.content.store.audit import audit
from kitpack.content.store.collect import collect_garbage
from kitpack.content.store.layout import Layout
from kitpack.content.store.repair import quarantine
from kitpack.errors import NotFoundError, StoreError
from kitpack.oci.descriptor import Descriptor
from tests.support.bundles import blob_of, push_artifact


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


def _path(layout: Layout, descriptor: Descriptor) -> Path:
    return layout.path / "blobs" / descriptor.digest.algorithm / descriptor.digest.hex


def _rot(path: Path, data: bytes = b"rotten!") -> None:
    path.unlink()
    path.write_bytes(data)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [_rot, _fifo, _link, _folder])
def test_a_damaged_blob_makes_room_for_a_good_one(layout: Layout, harm: Callable[[Path], None]) -> None:
    descriptor = push_artifact(layout, {"a": b"weights", "b": b"fine"}, "v1")
    source = Memory()
    push_artifact(source, {"a": b"weights", "b": b"fine"}, "v1")
    harm(_path(layout, blob_of(b"weights")))
    suspects = [one.digest for one in audit(layout) if one.digest]
    (moved,) = quarantine(layout, suspects)
    assert moved.source == _path(layout, blob_of(b"weights"))
    assert moved.path == layout.path / "damaged" / f"sha256-{blob_of(b'weights').digest.hex}"
    assert os.path.lexists(moved.path)
    assert not layout.exists(descriptor)
    assert [one.missing for one in audit(layout)] == [True]
    copy(source, descriptor, layout, "v1")
    assert list(audit(layout)) == []
    collect_garbage(layout, grace=0)
    assert os.path.lexists(moved.path)


def test_what_is_good_or_missing_stays_as_it_is(layout: Layout) -> None:
    push_artifact(layout, {"a": b"weights", "b": b"gone"}, "v1")
    _path(layout, blob_of(b"gone")).unlink()
    assert quarantine(layout, [blob_of(b"weights").digest, blob_of(b"gone").digest]) == []
    assert _path(layout, blob_of(b"weights")).read_bytes() == b"weights"
    assert not (layout.path / "damaged").exists()


def test_every_generation_is_kept(layout: Layout) -> None:
    blob = blob_of(b"weights")
    for number in range(3):
        push_artifact(layout, {"a": b"weights"}, "v1")
        _rot(_path(layout, blob), b"rotten%d" % number)
        quarantine(layout, [blob.digest, blob.digest])
    kept = {path.name.partition(".")[2]: path.read_bytes() for path in (layout.path / "damaged").iterdir()}
    assert kept == {"": b"rotten0", "2": b"rotten1", "3": b"rotten2"}


def test_a_store_in_use_is_left_alone(layout: Layout) -> None:
    push_artifact(layout, {"a": b"weights"}, "v1")
    _rot(_path(layout, blob_of(b"weights")))
    with layout.lease(), pytest.raises(StoreError, match="in use"):
        quarantine(Layout(layout.path), [blob_of(b"weights").digest])
    assert _path(layout, blob_of(b"weights")).read_bytes() == b"rotten!"


def test_what_is_no_layout_gets_no_lock_file(layout: Layout) -> None:
    with pytest.raises(NotFoundError):
        quarantine(layout, [])
    assert not layout.path.exists()
