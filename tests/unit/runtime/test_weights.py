"""Weights at their paths: linked, shared between versions, proven, never copied where that can be avoided."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kitpack.artifact.bundle import Bundle
from kitpack.content.events import Event, ignore
from kitpack.content.memory import Memory
from kitpack.content.store.folder import blob_path
from kitpack.content.store.layout import Layout
from kitpack.errors import IntegrityError, NotFoundError, UnsafePathError
from kitpack.oci.digest import Digest
from kitpack.runtime.cache import Cache
from kitpack.runtime.weights import place_weights
from tests.support.bots import TOKENIZER, WEIGHTS, write_bot
from tests.support.packing import layered, pack_folder, write_files
from tests.support.sources import Watched


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "loaded")


@pytest.fixture
def store(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


def packed(tmp_path: Path, store: Layout, name: str = "bot", **changes: str) -> Bundle:
    return Bundle(*pack_folder(write_bot(tmp_path / name, **changes), store))


def place(bundle: Bundle, cache: Cache, store: Layout | None = None) -> Path:
    return place_weights(bundle, cache, store, jobs=2, on_event=ignore)


def blob_of(store: Layout) -> Path:
    return blob_path(store.path, Digest.of_bytes(WEIGHTS))


def test_a_blob_of_the_store_gets_a_second_name(tmp_path: Path, store: Layout, cache: Cache) -> None:
    path = place(packed(tmp_path, store), cache, store)
    assert path.read_bytes() == WEIGHTS
    assert path.samefile(blob_of(store))
    assert path.parts[-2:] == ("model", "bot.gguf")
    assert (path.parent / "tokenizer.json").read_bytes() == TOKENIZER
    assert not path.stat().st_mode & 0o222


def test_two_versions_share_one_file_and_neither_reads_it_again(tmp_path: Path, store: Layout, cache: Cache) -> None:
    one = packed(tmp_path, store)
    two = packed(tmp_path, store, "two", greeting="Good morning\n")
    paths = {place(bundle, cache, store) for bundle in (one, two)}
    assert len(paths) == 2
    assert all(path.samefile(blob_of(store)) for path in paths)
    noted = cache.proven_path(Digest.of_bytes(WEIGHTS))
    before = noted.stat().st_mtime_ns
    assert {place(bundle, cache, store) for bundle in (one, two)} == paths
    assert noted.stat().st_mtime_ns == before, "a file whose stamp is known is not read, nor noted, again"


def test_what_is_not_in_the_store_is_fetched_once_for_all_versions(tmp_path: Path, cache: Cache) -> None:
    memory = Memory()
    bundles = [
        Bundle(Watched(memory), pack_folder(write_bot(tmp_path / name, greeting=name), memory)[1])
        for name in ("one", "two")
    ]
    first, second = (place(bundle, cache) for bundle in bundles)
    assert first.samefile(second)
    assert first.read_bytes() == WEIGHTS
    sources = [bundle.source for bundle in bundles if isinstance(bundle.source, Watched)]
    assert sum(source.fetched[Digest.of_bytes(WEIGHTS)] for source in sources) == 1


@pytest.mark.parametrize("harm", ["changed", "removed", "a folder", "a link", "other bytes, same times"])
def test_a_damaged_file_is_made_good(tmp_path: Path, cache: Cache, harm: str) -> None:
    memory = Memory()
    bundle = Bundle(*pack_folder(write_bot(tmp_path / "bot"), memory))
    path = place(bundle, cache)
    found = path.stat()
    path.unlink()
    if harm == "changed":
        path.write_bytes(WEIGHTS + b"x")
    elif harm == "a folder":
        path.mkdir()
    elif harm == "a link":
        path.symlink_to("/etc/passwd")
    elif harm == "other bytes, same times":
        path.write_bytes(b"x" * len(WEIGHTS))
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert place(bundle, cache) == path
    assert path.read_bytes() == WEIGHTS
    assert not path.is_symlink()


def test_a_damaged_blob_of_the_store_is_not_linked(tmp_path: Path, store: Layout, cache: Cache) -> None:
    bundle = packed(tmp_path, store)
    blob = blob_of(store)
    blob.chmod(0o644)
    blob.write_bytes(b"x" * len(WEIGHTS))
    with pytest.raises(IntegrityError, match=r"model/bot\.gguf"):
        place(bundle, cache, store)
    memory = Memory()
    whole = Bundle(*pack_folder(tmp_path / "bot", memory))
    assert place(whole, cache, store).read_bytes() == WEIGHTS


def test_where_no_link_can_be_it_is_a_copy(
    tmp_path: Path, store: Layout, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    bundle = packed(tmp_path, store)
    path = place(bundle, cache, store)
    assert not path.samefile(blob_of(store))
    assert path.read_bytes() == WEIGHTS
    before = path.stat()
    assert place(bundle, cache, store).stat() == before


def test_archives_are_written_out_and_stay(tmp_path: Path, cache: Cache) -> None:
    files = {f"model/{number:03}.bin": b"%d" % number for number in range(140)}
    folder = write_files(tmp_path / "crowd", {**files}, "model: {path: model}\n")
    bundle = Bundle(*pack_folder(folder))
    assert any(layer.archived for layer in bundle.layers)
    path = place(bundle, cache)
    assert path.name == "model"
    assert {one.name: one.read_bytes() for one in path.iterdir()} == {
        Path(name).name: data for name, data in files.items()
    }
    (path / "007.bin").chmod(0o644)
    (path / "007.bin").write_bytes(b"8")
    place(bundle, cache)
    assert (path / "007.bin").read_bytes() == b"7"


def test_a_bundle_without_a_model(tmp_path: Path, cache: Cache) -> None:
    folder = write_files(tmp_path / "bot", {"prompts/a.md": "a"}, "prompts: [{path: prompts}]\n")
    with pytest.raises(NotFoundError, match="has no model"):
        place(Bundle(*pack_folder(folder)), cache)


def test_without_a_kitfile_the_model_is_the_file_that_looks_like_it(cache: Cache) -> None:
    raw = "application/vnd.cncf.model.weight.v1.raw"
    bundle = layered(("lora-adapter.gguf", b"GGUFa", raw), ("z.gguf", b"GGUFz", raw))
    assert place(bundle, cache).name == "z.gguf"


def test_hostile_paths_are_refused(cache: Cache, tmp_path: Path) -> None:
    raw = "application/vnd.cncf.model.weight.v1.raw"
    for paths in (("../x.gguf",), ("a.gguf", "A.gguf"), (".git/hooks/x.gguf",)):
        bundle = layered(*((path, b"GGUF" + path.encode(), raw) for path in paths))
        with pytest.raises(UnsafePathError):
            place(bundle, cache)
    assert not list(tmp_path.glob("*.gguf"))


def test_progress_names_the_files(tmp_path: Path, cache: Cache) -> None:
    events: list[Event] = []
    bundle = Bundle(*pack_folder(write_bot(tmp_path / "bot")))
    place_weights(bundle, cache, None, jobs=2, on_event=events.append)
    assert {one.name for one in events if one.kind == "finished"} == {"model/bot.gguf", "model/tokenizer.json"}
