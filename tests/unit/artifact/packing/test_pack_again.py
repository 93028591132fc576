"""Packing what was packed before: only what changed is read, and the result is always the same."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from kitpack.artifact.packing.pack import Store, pack
from kitpack.content.digests import Digests
from kitpack.content.events import Event
from kitpack.content.inplace import InPlace
from kitpack.content.store.audit import audit
from kitpack.content.store.folder import blob_path, stored_blobs
from kitpack.content.store.layout import Layout
from kitpack.kitfile.ignore import IgnoreRules
from kitpack.kitfile.load import find_kitfile, load_kitfile
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from tests.support.bundles import noise
from tests.support.packing import pack_folder, write_files

WEIGHTS = noise(9000)
FILES: dict[str, bytes | str] = {"model/w.gguf": WEIGHTS, "prompts/a.md": "Sort this.\n", "prompts/b.md": "Answer.\n"}
MANY: dict[str, bytes | str] = {f"data/{number:03}.txt": f"row {number}\n" for number in range(150)}
KITFILE = "model: {name: tiny, path: model/w.gguf}\nprompts: [{path: prompts}]\ndatasets: [{path: data, name: rows}]\n"
ALL = {"model/w.gguf", "prompts/a.md", "prompts/b.md", "data"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "folder", FILES | MANY, KITFILE)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some time after the files were written."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 60_000_000_000)


def _pack(folder: Path, store: Store, cache: Path | None) -> tuple[Descriptor, set[str]]:
    """Pack, and say what was read for it."""
    events: list[Event] = []
    packed = pack(
        load_kitfile(find_kitfile(folder)),
        folder,
        store,
        ignored=IgnoreRules.load(folder),
        known=Digests(cache),
        on_event=events.append,
    )
    ends = Counter(event.name for event in events if event.kind in ("finished", "skipped"))
    assert ends == dict.fromkeys(ALL, 1)
    assert packed == pack_folder(folder)[1], "what is remembered must not show in the result"
    return packed, {event.name for event in events if event.kind == "finished"}


@pytest.mark.usefixtures("later")
def test_the_second_time_nothing_is_read(folder: Path, tmp_path: Path) -> None:
    layout, cache = Layout(tmp_path / "store"), tmp_path / "store" / "digests"
    assert _pack(folder, layout, cache)[1] == ALL
    assert _pack(folder, layout, cache)[1] == set()
    assert _pack(folder, layout, None)[1] == ALL
    assert list(audit(layout)) == []


@pytest.mark.usefixtures("later")
def test_only_the_changed_prompt_is_read(folder: Path, tmp_path: Path) -> None:
    layout, cache = Layout(tmp_path / "store"), tmp_path / "digests"
    _pack(folder, layout, cache)
    (folder / "prompts" / "a.md").write_text("Sort that.\n")
    assert _pack(folder, layout, cache)[1] == {"prompts/a.md"}


@pytest.mark.usefixtures("later")
def test_a_change_that_hides_its_time_is_seen(folder: Path, tmp_path: Path) -> None:
    layout, cache, weights = Layout(tmp_path / "store"), tmp_path / "digests", folder / "model" / "w.gguf"
    _pack(folder, layout, cache)
    before = weights.stat()
    weights.write_bytes(WEIGHTS[::-1])
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert _pack(folder, layout, cache)[1] == {"model/w.gguf"}


@pytest.mark.usefixtures("later")
def test_an_archive_is_known_by_all_of_its_files_and_their_names_and_modes(folder: Path, tmp_path: Path) -> None:
    layout, cache, one = Layout(tmp_path / "store"), tmp_path / "digests", folder / "data" / "007.txt"
    _pack(folder, layout, cache)
    changes: list[Callable[[], object]] = [
        lambda: one.write_text("row 8\n"),
        lambda: one.rename(folder / "data" / "more.txt"),
        lambda: (folder / "data" / "008.txt").chmod(0o755),
        (folder / "data" / "009.txt").unlink,
    ]
    for change in changes:
        change()
        assert _pack(folder, layout, cache)[1] == {"data"}
    assert _pack(folder, layout, cache)[1] == set()


def test_what_was_written_just_now_is_read_again(folder: Path, tmp_path: Path) -> None:
    layout, cache = Layout(tmp_path / "store"), tmp_path / "digests"
    _pack(folder, layout, cache)
    assert _pack(folder, layout, cache)[1] == ALL


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("left", [None, b"", b"half"])
def test_what_the_store_has_lost_is_read_again(folder: Path, tmp_path: Path, left: bytes | None) -> None:
    layout, cache = Layout(tmp_path / "store"), tmp_path / "digests"
    _pack(folder, layout, cache)
    blob = blob_path(layout.path, Digest.of_bytes(WEIGHTS))
    blob.unlink()
    if left is not None:
        blob.write_bytes(left)
    assert _pack(folder, layout, cache)[1] == {"model/w.gguf"}
    assert list(audit(layout)) == []


@pytest.mark.usefixtures("later")
def test_another_store_gets_all_bytes(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "digests"
    _pack(folder, Layout(tmp_path / "store"), cache)
    other = Layout(tmp_path / "other")
    assert _pack(folder, other, cache)[1] == ALL
    assert len(list(stored_blobs(other.path))) == len(list(stored_blobs(tmp_path / "store")))


@pytest.mark.usefixtures("later")
def test_a_blob_is_young_again(folder: Path, tmp_path: Path) -> None:
    layout, cache = Layout(tmp_path / "store"), tmp_path / "digests"
    _pack(folder, layout, cache)
    blob = blob_path(layout.path, Digest.of_bytes(WEIGHTS))
    os.utime(blob, (1, 1))
    _pack(folder, layout, cache)
    assert blob.stat().st_mtime > 1


@pytest.mark.usefixtures("later")
def test_content_that_stays_in_place_is_not_read_either(folder: Path, tmp_path: Path) -> None:
    _pack(folder, InPlace(), tmp_path)
    store = InPlace()
    packed, read = _pack(folder, store, tmp_path)
    assert read == set()
    assert store.exists(packed)


@pytest.mark.usefixtures("later")
def test_an_audit_trusts_nothing_of_it(folder: Path, tmp_path: Path) -> None:
    layout, cache = Layout(tmp_path / "store"), tmp_path / "digests"
    _pack(folder, layout, cache)
    blob = blob_path(layout.path, Digest.of_bytes(WEIGHTS))
    blob.chmod(0o644)
    blob.write_bytes(WEIGHTS[::-1])
    _pack(folder, layout, cache)
    assert [finding.digest for finding in audit(layout)] == [Digest.of_bytes(WEIGHTS)]
