"""Bundles that stand in folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import kitpack
from kitpack.artifact.bundle import Bundle
from kitpack.artifact.inspecting.diff import diff_bundles
from kitpack.artifact.select import Selection
from kitpack.artifact.unpacking.installed import Installed
from kitpack.artifact.unpacking.standing import Standing, left_of
from kitpack.artifact.unpacking.unpack import unpack
from kitpack.content.events import Event
from kitpack.errors import IntegrityError, UsageError
from tests.support.packing import bundle_of, pack_folder
from tests.support.registry import settings_in
from tests.support.snapshots import snapshot
from tests.support.versions import OLD, write_version


@pytest.fixture
def live(old: Bundle, tmp_path: Path) -> Path:
    """A folder that the old version was unpacked into."""
    unpack(old, tmp_path / "live")
    return tmp_path / "live"


def installed_in(folder: Path) -> Installed:
    found = Installed.load(folder)
    assert found is not None
    return found


def test_what_was_unpacked_and_not_touched_is_not_read_again(old: Bundle, live: Path) -> None:
    read: list[str] = []

    def listen(event: Event) -> None:
        if event.kind == "started":
            read.append(event.name)

    store = Standing(live, installed_in(live))
    _, packed = pack_folder(live, store, on_event=listen)
    assert packed.digest == old.descriptor.digest
    assert "model/w.gguf" not in read
    assert "data" in read  # an archive has to be built to know its digest
    assert Bundle(store, packed).read("prompts/a.md") == b"first a\n"


def test_what_was_touched_is_read(live: Path) -> None:
    (live / "model/w.gguf").write_bytes(b"GGUF")
    store, packed = pack_folder(live, Standing(live, installed_in(live)))
    layer = next(one for one in Bundle(store, packed).layers if one.path == "model/w.gguf")
    assert layer.descriptor.size == 4


def test_a_file_that_changes_behind_a_forged_stamp_is_noticed_when_it_is_read(live: Path) -> None:
    installed = installed_in(live)
    location = live / "prompts/a.md"
    location.write_text("another\n"[:8])
    forged = replace(
        installed, files={**installed.files, "prompts/a.md": installed.files["prompts/a.md"].stamped(location)}
    )
    store, packed = pack_folder(live, Standing(live, forged))
    with pytest.raises(IntegrityError):
        Bundle(store, packed).read("prompts/a.md")


def test_parts_of_a_bundle_do_not_differ_from_it(old: Bundle, tmp_path: Path) -> None:
    for only in (["prompts"], ["datasets"], ["code", "configs"]):
        folder = tmp_path / only[0]
        unpack(old, folder, only=Selection.parse(only))
        assert diff_bundles(old, left_of(folder, installed_in(folder), old)).is_empty


def test_what_was_done_to_parts_of_a_bundle(old: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "part"
    unpack(old, folder, only=Selection.parse(["prompts", "code"]))
    (folder / "prompts/a.md").write_text("other a\n")
    (folder / "prompts/b.md").unlink()
    (folder / "code/run.sh").chmod(0o644)
    before = snapshot(folder)
    found = diff_bundles(old, left_of(folder, installed_in(folder), old))
    assert [(one.path, one.kind, one.mode_changed) for one in found.files] == [
        ("code/run.sh", "changed", True),
        ("prompts/a.md", "changed", False),
        ("prompts/b.md", "removed", False),
    ]
    assert not found.weights_changed
    assert snapshot(folder) == before


def test_parts_of_one_bundle_against_another(old: Bundle, new: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "part"
    unpack(old, folder, only=Selection.parse(["prompts"]))
    found = diff_bundles(left_of(folder, installed_in(folder), new), new)
    assert {one.path: one.kind for one in found.prompts} == {
        "prompts/a.md": "changed",
        "prompts/b.md": "removed",
        "prompts/c/new.md": "added",
    }


def test_the_library_takes_folders(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    folder = write_version(tmp_path / "old", OLD)
    looked = kitpack.inspect(folder, settings=settings)
    assert looked.descriptor.digest == bundle_of(folder).descriptor.digest
    assert kitpack.diff(folder, str(folder), settings=settings).is_empty
    assert not settings.home.exists()
    (tmp_path / "home").mkdir()
    (tmp_path / "home/oci-layout").write_text("{}")
    with pytest.raises(UsageError):
        kitpack.inspect(settings.home, settings=settings)
