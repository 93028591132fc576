"""Unpacking whole bundles, and parts of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.select import Selection
from kitpack.artifact.unpacking.installed import RECORD_NAME, Installed, find_drift
from kitpack.artifact.unpacking.unpack import unpack
from kitpack.errors import (
    FileConflictError,
    NotFoundError,
    StoreError,
)
from kitpack.oci.mediatypes import ANNOTATION_FILE_METADATA
from tests.support import tars
from tests.support.packing import bundle_of, layered, write_files
from tests.support.snapshots import snapshot
from tests.support.sources import Watched
from tests.support.versions import (
    CROWD,
    NEW,
    OLD,
    RAW,
    STAGING,
    TAR,
    assert_equal,
    packed_files,
    through,
)


def test_a_new_folder_holds_exactly_the_bundle(old: Bundle, old_folder: Path, target: Path) -> None:
    done = unpack(old, target, reference="bot:1")
    assert_equal(target, old_folder)
    assert set(done.written) == set(packed_files(old_folder))
    assert (done.kept, done.removed) == ((), ())
    record = Installed.load(target)
    assert record is not None
    assert (record.reference, record.digest) == ("bot:1", str(old.descriptor.digest))


def test_an_old_version_is_restored_over_a_newer_one_exactly(
    old: Bundle, new: Bundle, old_folder: Path, new_folder: Path, target: Path
) -> None:
    unpack(old, target)
    for bundle, folder in [(new, new_folder), (old, old_folder), (old, old_folder), (new, new_folder)]:
        unpack(bundle, target)
        assert_equal(target, folder)


def test_it_says_what_it_wrote_kept_and_removed(old: Bundle, new: Bundle, target: Path) -> None:
    unpack(old, target)
    done = unpack(new, target)
    assert set(done.removed) == set(OLD) - set(NEW)
    assert set(done.kept) == {"model/w.gguf", "model/tokenizer.json", "prompts/same.md", "code/run.sh", "Kitfile"}
    assert set(done.written) == set(NEW) - set(done.kept)
    again = unpack(new, target)
    assert (again.written, again.removed) == ((), ())
    assert set(again.kept) == {*NEW, "Kitfile"}


TARGETS: dict[str, Callable[[Path], Path]] = {
    "new": lambda root: root / "target",
    "new, in new folders": lambda root: root / "a" / "b" / "target",
    "empty": lambda root: _made(root / "target"),
    "a link to an empty folder": lambda root: _link(root / "link", _made(root / "real")),
    "a link to a link": lambda root: _link(root / "second", _link(root / "link", _made(root / "real"))),
    "with blanks and umlauts": lambda root: root / "t\u00e4r get",
}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _link(link: Path, leads_to: Path) -> Path:
    link.symlink_to(leads_to)
    return link


@pytest.mark.parametrize("make", TARGETS.values(), ids=TARGETS)
def test_any_folder_will_do(
    old: Bundle, new: Bundle, old_folder: Path, new_folder: Path, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    target = make(tmp_path)
    unpack(old, target)
    assert_equal(target, old_folder)
    unpack(new, target)
    assert_equal(target, new_folder)
    assert not [path for path in target.parent.iterdir() if path.name.startswith(STAGING)]


def test_a_relative_folder_will_do(
    old: Bundle, old_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    unpack(old, Path("target"))
    assert_equal(tmp_path / "target", old_folder)
    monkeypatch.chdir(_made(tmp_path / "here"))
    unpack(old, Path())
    assert_equal(tmp_path / "here", old_folder)


def test_a_file_in_the_place_of_the_folder_is_left_alone(old: Bundle, target: Path) -> None:
    target.write_bytes(b"mine")
    with pytest.raises(FileConflictError, match="not a folder"):
        unpack(old, target)
    assert target.read_bytes() == b"mine"


def test_a_link_that_leads_nowhere_is_left_alone(old: Bundle, target: Path) -> None:
    target.symlink_to("gone")
    with pytest.raises(FileConflictError, match="leads nowhere"):
        unpack(old, target)
    assert target.is_symlink()
    assert list(target.parent.iterdir()) == [target]


def test_the_name_of_a_folder_may_be_as_long_as_names_may_be(old: Bundle, old_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / ("n" * 255)
    unpack(old, target)
    assert_equal(target, old_folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_parent_that_cannot_be_written_is_an_error_of_the_system(old: Bundle, tmp_path: Path) -> None:
    parent = _made(tmp_path / "parent")
    parent.chmod(0o555)
    with pytest.raises(PermissionError):
        unpack(old, parent / "target")
    parent.chmod(0o755)
    assert snapshot(parent) == {}


def test_files_of_equal_content_and_empty_ones_come_out(tmp_path: Path, target: Path) -> None:
    files: dict[str, bytes | str] = {"a": b"same", "b": b"same", "c": b"", "d/e": b"", "d/f": b"same"}
    source = write_files(tmp_path / "source", files, "code: [{path: .}]\n")
    (source / "b").chmod(0o755)
    unpack(bundle_of(source), target)
    assert_equal(target, source)


def test_two_raw_layers_of_equal_bytes_come_out(target: Path) -> None:
    unpack(layered(("a", b"same", RAW), ("b/c", b"same", RAW), ("d", b"same", RAW)), target)
    assert {path: data for path, (data, _) in packed_files(target).items()} == {
        "a": b"same",
        "b/c": b"same",
        "d": b"same",
    }


def test_digests_of_another_algorithm_are_no_drift(target: Path) -> None:
    bundle = layered(("a", b"content", RAW), algorithm="sha512")
    unpack(bundle, target)
    record = Installed.load(target)
    assert record is not None
    assert find_drift(target, record) == []
    os.utime(target / "a")
    assert unpack(bundle, target).kept == ("a",)


@pytest.mark.parametrize("mode", [0, 0o200, 0o007, 0o1000, 0o4755, -1, True, "0644", None, 10**20])
def test_whatever_mode_a_layer_states_its_owner_can_read_it_and_nothing_special_is_set(
    target: Path, mode: object
) -> None:
    import json

    bundle = layered(("a", b"x", RAW), **{ANNOTATION_FILE_METADATA: json.dumps({"mode": mode})})
    unpack(bundle, target)
    found = (target / "a").stat().st_mode
    assert found & 0o400
    assert not found & 0o7000
    assert unpack(bundle, target).kept == ("a",)


def test_a_member_that_nobody_may_read_can_be_read_by_its_owner(target: Path) -> None:
    archive = tars.header(b"a", 1, mode=b"0000000\0") + tars.padded(b"x") + tars.END
    unpack(layered(("a", archive, TAR)), target)
    assert (target / "a").stat().st_mode & 0o777 == 0o400


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["prompts"], {"prompts/a.md", "prompts/b.md", "prompts/same.md", "Kitfile"}),
        (["Prompt", "config"], {"prompts/a.md", "prompts/b.md", "prompts/same.md", "app.yaml", "Kitfile"}),
        (["prompts/a.md"], {"prompts/a.md"}),
        (["./prompts/"], {"prompts/a.md", "prompts/b.md", "prompts/same.md"}),
        (["*.yaml"], {"app.yaml"}),
        (["*/a.md"], {"prompts/a.md"}),
        (["**/inner"], {"code/swap/inner", "code/swap/deep/inner"}),
        (["code/swap/*"], {"code/swap/inner", "code/swap/deep/inner"}),
        (["data/0/00?.txt"], {"data/0/000.txt", "data/0/003.txt", "data/0/006.txt", "data/0/009.txt"}),
        (["data/2"], {path for path in CROWD if path.startswith("data/2/")}),
        (["datasets"], set(CROWD)),
        (["kitfile"], {"Kitfile"}),
        (["models"], {"model/w.gguf", "model/tokenizer.json"}),
        (["", "  "], {*OLD, "Kitfile"}),
    ],
)
def test_only_what_is_asked_for_is_written(old: Bundle, target: Path, words: list[str], found: set[str]) -> None:
    done = unpack(old, target, only=Selection.parse(words))
    assert set(done.written) == set(packed_files(target)) == found


def test_only_what_is_asked_for_is_fetched(old: Bundle, target: Path) -> None:
    watched = Watched(old.source)
    unpack(through(old, watched), target, only=Selection.parse(["prompts", "app.yaml"]))
    also = ("app.yaml", "Kitfile")
    wanted = {layer.descriptor.digest for layer in old.layers if layer.role == "prompt" or layer.path in also}
    assert set(watched.fetched) == {old.descriptor.digest, *wanted}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["promts"], "promts"),
        (["prompts", "confgs"], "confgs"),
        (["prompts/x.md"], "prompts/x.md"),
        (["data/0/nothing"], "data/0/nothing"),
        (["docs"], "doc"),
        (["../old"], r"\.\./old"),
        (["["], r"\["),
    ],
)
@pytest.mark.parametrize("installed", [False, True])
def test_a_misspelt_word_is_an_error_and_nothing_is_written(
    old: Bundle, target: Path, words: list[str], named: str, *, installed: bool
) -> None:
    if installed:
        unpack(old, target)
    before = snapshot(target)
    with pytest.raises(NotFoundError, match=named):
        unpack(old, target, only=Selection.parse(words))
    assert snapshot(target) == before
    assert target.exists() == installed


def test_a_part_of_another_version_leaves_the_rest_alone(old: Bundle, new: Bundle, target: Path) -> None:
    unpack(old, target)
    before = packed_files(target)
    done = unpack(new, target, only=Selection.parse(["prompts"]))
    assert set(done.written) == {"prompts/a.md", "prompts/c/new.md"}
    assert done.removed == ("prompts/b.md",)
    after = packed_files(target)
    assert {path: found for path, found in after.items() if not path.startswith("prompts")} == {
        path: found for path, found in before.items() if not path.startswith("prompts")
    }
    record = Installed.load(target)
    assert record is not None
    assert set(record.files) == set(after)
    assert find_drift(target, record) == []


def test_after_a_part_the_whole_still_comes(old: Bundle, old_folder: Path, target: Path) -> None:
    unpack(old, target, only=Selection.parse(["data/0/000.txt", "prompts/a.md"]))
    unpack(old, target)
    assert_equal(target, old_folder)


def test_a_part_of_an_archive_that_is_in_place_is_not_fetched(old: Bundle, target: Path) -> None:
    unpack(old, target)
    watched = Watched(old.source)
    done = unpack(through(old, watched), target, only=Selection.parse(["data/0/000.txt"]))
    assert done.kept == ("data/0/000.txt",)
    assert watched.total == 1


def test_layers_that_are_not_asked_for_need_not_be_sound(target: Path) -> None:
    bundle = layered(("good", b"x", RAW), ("bad", b"not a tar", TAR))
    assert unpack(bundle, target, only=Selection.parse(["good"])).written == ("good",)


BAD_RECORDS = {
    "nothing": b"",
    "no JSON": b"not json",
    "a list": b"[]",
    "no UTF-8": b"\xff",
    "another version": b'{"version":2}',
    "no files": b'{"version":1,"reference":"","digest":"","archives":{}}',
}


@pytest.mark.parametrize("raw", BAD_RECORDS.values(), ids=BAD_RECORDS)
def test_a_damaged_record_is_an_error_that_says_what_to_do(
    old: Bundle, old_folder: Path, target: Path, raw: bytes
) -> None:
    unpack(old, target)
    (target / RECORD_NAME).write_bytes(raw)
    before = snapshot(target)
    with pytest.raises(StoreError, match="damaged") as caught:
        unpack(old, target)
    assert "delete it" in caught.value.hint
    assert snapshot(target) == before
    (target / RECORD_NAME).unlink()
    unpack(old, target, overwrite=True)
    assert_equal(target, old_folder)


def test_a_record_that_knows_too_much_harms_nobody(old: Bundle, new: Bundle, target: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"mine")
    unpack(old, target)
    raw = (target / RECORD_NAME).read_text()
    (target / RECORD_NAME).write_text(raw.replace('"prompts/b.md"', '"../outside"'))
    with pytest.raises(StoreError):
        unpack(new, target, overwrite=True)
    assert (tmp_path / "outside").read_bytes() == b"mine"
