"""Weights that are linked from the store: read-only, proven first, and never what somebody edits."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.unpacking.unpack import unpack
from kitpack.content.events import Event
from kitpack.content.store.audit import audit
from kitpack.content.store.collect import collect_garbage
from kitpack.content.store.folder import blob_path
from kitpack.content.store.layout import Layout
from kitpack.errors import IntegrityError, UnpackError
from tests.support.bundles import noise
from tests.support.packing import pack_folder, write_files

WEIGHTS, PART = noise(5 << 20, 1), noise(3000, 2)
FILES: dict[str, bytes | str] = {
    "model/w.gguf": WEIGHTS,
    "model/part.gguf": PART,
    "model/tokenizer.json": "{}",
    "prompts/a.md": "Sort this.\n",
    "data/rows.jsonl": "{}\n",
}
KITFILE = """\
model:
  name: tiny
  path: model/w.gguf
  parts: [{path: model/part.gguf}, {path: model/tokenizer.json, type: tokenizer}]
prompts: [{path: prompts/a.md, name: a, description: Sorts}]
datasets: [{path: data, name: rows}]
"""
LINKED = ("model/w.gguf", "model/part.gguf")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


@pytest.fixture
def bundle(tmp_path: Path, layout: Layout) -> Bundle:
    return Bundle(*pack_folder(write_files(tmp_path / "folder", FILES, KITFILE), layout))


def _blob(layout: Layout, bundle: Bundle, path: str) -> Path:
    return blob_path(layout.path, next(layer for layer in bundle.layers if layer.path == path).descriptor.digest)


def _linked(layout: Layout, bundle: Bundle, target: Path) -> set[str]:
    return {path for path in FILES if (target / path).samefile(_blob(layout, bundle, path))}


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_only_weights_are_linked_and_they_are_read_only(layout: Layout, bundle: Bundle, tmp_path: Path) -> None:
    target = tmp_path / "target"
    events: list[Event] = []
    unpack(bundle, target, link=layout.path, on_event=events.append)
    assert _linked(layout, bundle, target) == {*LINKED}
    for path, content in FILES.items():
        assert (target / path).read_bytes() == (content.encode() if isinstance(content, str) else content)
        assert _mode(target / path) == (0o444 if path in LINKED else 0o644)
    assert sum(event.size for event in events if event.kind == "moved" and event.name == LINKED[0]) == len(WEIGHTS)


def test_once_more_changes_nothing(layout: Layout, bundle: Bundle, tmp_path: Path) -> None:
    target = tmp_path / "target"
    unpack(bundle, target, link=layout.path)
    assert unpack(bundle, target, link=layout.path).written == ()
    assert _linked(layout, bundle, target) == {*LINKED}


def test_copies_become_links_and_links_copies(layout: Layout, bundle: Bundle, tmp_path: Path) -> None:
    """A copy is one's own: making it so must not change the modes of what the store has."""
    target = tmp_path / "target"
    unpack(bundle, target)
    for _ in range(2):
        assert {*unpack(bundle, target, link=layout.path).written} == {*LINKED}
        assert _linked(layout, bundle, target) == {*LINKED}
        assert {*unpack(bundle, target).written} == {*LINKED}
        assert _linked(layout, bundle, target) == set()
        assert {_mode(target / path) for path in LINKED} == {0o644}
        assert {_mode(_blob(layout, bundle, path)) for path in LINKED} == {0o444}
    (target / LINKED[0]).write_bytes(b"mine now")
    assert list(audit(layout)) == []


def test_a_damaged_blob_is_not_linked(layout: Layout, bundle: Bundle, tmp_path: Path) -> None:
    blob = _blob(layout, bundle, LINKED[1])
    blob.chmod(0o644)
    blob.write_bytes(PART[:-1] + bytes([PART[-1] ^ 1]))
    with pytest.raises(IntegrityError, match=r"part\.gguf"):
        unpack(bundle, tmp_path / "target", link=layout.path)
    assert not (tmp_path / "target").exists()


def test_what_another_tool_left_writable_is_made_read_only(layout: Layout, bundle: Bundle, tmp_path: Path) -> None:
    _blob(layout, bundle, LINKED[0]).chmod(0o644)
    unpack(bundle, tmp_path / "target", link=layout.path)
    assert _mode(tmp_path / "target" / LINKED[0]) == 0o444


@pytest.mark.parametrize("left", [None, b"half"])
def test_weights_that_are_not_whole_in_the_store_are_not_linked(
    layout: Layout, bundle: Bundle, tmp_path: Path, left: bytes | None
) -> None:
    blob = _blob(layout, bundle, LINKED[0])
    blob.unlink()
    if left:
        blob.write_bytes(left)
    with pytest.raises(UnpackError, match="is not whole in") as caught:
        unpack(bundle, tmp_path / "target", link=layout.path)
    assert "kitpack pull" in caught.value.hint
    assert not (tmp_path / "target").exists()


def test_a_folder_outlives_the_store(layout: Layout, bundle: Bundle, tmp_path: Path) -> None:
    unpack(bundle, tmp_path / "target", link=layout.path)
    assert collect_garbage(layout, grace=0).kept == 0
    shutil.rmtree(layout.path)
    assert (tmp_path / "target" / LINKED[0]).read_bytes() == WEIGHTS


def test_another_file_system_is_told_before_anything_is_fetched(layout: Layout, bundle: Bundle) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == layout.path.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=memory) as name:
        with pytest.raises(UnpackError, match="another file system"):
            unpack(bundle, Path(name) / "target", link=layout.path)
        assert list(Path(name).iterdir()) == []
