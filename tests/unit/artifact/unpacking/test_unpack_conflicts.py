"""Unpacking where the user has files: they stay."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.unpacking.unpack import unpack
from kitpack.errors import (
    FileConflictError,
)
from tests.support.packing import layered, write_files
from tests.support.snapshots import snapshot
from tests.support.sources import Watched
from tests.support.versions import (
    OLD,
    RAW,
    assert_equal,
    prepare,
    through,
)


def _conflict(bundle: Bundle, target: Path, match: str, *, overwrite: bool = False) -> None:
    before = snapshot(target)
    watched = Watched(bundle.source)
    with pytest.raises(FileConflictError, match=match) as caught:
        unpack(through(bundle, watched), target, overwrite=overwrite)
    assert caught.value.hint
    assert snapshot(target) == before


def test_a_changed_file_is_not_overwritten_unless_wanted(
    old: Bundle, new: Bundle, new_folder: Path, target: Path
) -> None:
    unpack(old, target)
    (target / "app.yaml").write_text("t: 7\n")
    (target / "data" / "1" / "100.txt").write_text("mine\n")
    _conflict(new, target, r"app\.yaml")
    _conflict(old, target, r"app\.yaml")
    (target / "app.yaml").write_text("t: 1\n")
    _conflict(new, target, r"data/1/100\.txt")
    unpack(new, target, overwrite=True)
    assert_equal(target, new_folder)


def test_conflicts_are_found_before_anything_is_fetched(old: Bundle, target: Path) -> None:
    write_files(target, {"app.yaml": b"mine"})
    watched = Watched(old.source)
    with pytest.raises(FileConflictError):
        unpack(through(old, watched), target)
    assert watched.total == 1


def test_all_conflicts_are_named_or_counted(old: Bundle, target: Path) -> None:
    write_files(target, dict.fromkeys([path for path in OLD if not path.startswith(("data", "code"))], b"mine"))
    _conflict(old, target, "app.yaml, model/tokenizer.json, .* and 1 more")


def test_a_changed_file_that_the_new_version_lacks_is_not_removed_unless_wanted(
    old: Bundle, new: Bundle, new_folder: Path, target: Path
) -> None:
    unpack(old, target)
    (target / "prompts" / "b.md").write_text("mine\n")
    _conflict(new, target, r"prompts/b\.md")
    unpack(new, target, overwrite=True)
    assert_equal(target, new_folder)


def test_a_file_that_somebody_else_made_is_a_conflict_unless_it_is_the_same(
    old: Bundle, old_folder: Path, target: Path
) -> None:
    write_files(target, {"app.yaml": OLD["app.yaml"], "prompts/a.md": b"mine"})
    _conflict(old, target, r": prompts/a\.md")
    write_files(target, {"prompts/a.md": OLD["prompts/a.md"]})
    unpack(old, target)
    assert_equal(target, old_folder)


def test_files_of_the_user_stay(old: Bundle, new: Bundle, target: Path) -> None:
    prepare("old version and files of the user", old, target)
    mine = {
        path: found for path, found in snapshot(target).items() if "mine" in path or path in ("link", "prompts/empty")
    }
    assert len(mine) == 5
    for bundle in (new, old):
        unpack(bundle, target, overwrite=True)
        assert mine.items() <= snapshot(target).items()


def test_a_link_in_the_place_of_a_file_is_replaced_only_if_wanted_and_never_written_through(
    old: Bundle, old_folder: Path, target: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    target.mkdir()
    for leads_to in (outside, tmp_path / "nowhere", Path("app.yaml")):
        (target / "app.yaml").symlink_to(leads_to)
        _conflict(old, target, r"app\.yaml")
        unpack(old, target, overwrite=True)
        assert_equal(target, old_folder)
        (target / "app.yaml").unlink()
    assert outside.read_bytes() == b"mine"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_nothing_is_written_through_a_linked_folder(
    old: Bundle, target: Path, tmp_path: Path, *, overwrite: bool, inside: bool
) -> None:
    other = target / "elsewhere" if inside else tmp_path / "elsewhere"
    other.mkdir(parents=True)
    target.mkdir(exist_ok=True)
    for name in ("prompts", "data"):  # of a layer, and of an archive's members
        (target / name).symlink_to(other)
        _conflict(old, target, f"{name} is not a folder", overwrite=overwrite)
        (target / name).unlink()
    assert snapshot(other) == {}


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_is_removed_through_a_linked_folder(target: Path, tmp_path: Path, *, overwrite: bool) -> None:
    unpack(layered(("gone/file", b"x", RAW), ("stays", b"y", RAW)), target)
    (target / "gone").rename(tmp_path / "moved")
    (target / "gone").symlink_to(tmp_path / "moved")
    _conflict(layered(("stays", b"y", RAW)), target, "gone is not a folder", overwrite=overwrite)
    assert (tmp_path / "moved" / "file").read_bytes() == b"x"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("content", [{}, {"mine": b"mine"}, {"deep/mine": b"mine"}])
def test_a_folder_of_the_user_is_not_lost_for_a_file(
    old: Bundle, target: Path, content: dict[str, bytes | str], *, overwrite: bool
) -> None:
    for name in ("app.yaml", "data/1/100.txt"):
        (target / name).mkdir(parents=True)
        write_files(target / name, content)
        _conflict(old, target, f"{name} is a folder", overwrite=overwrite)
        shutil.rmtree(target / name)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_of_the_user_is_not_lost_for_a_folder(old: Bundle, target: Path, *, overwrite: bool) -> None:
    for name in ("prompts", "data", "data/1"):
        write_files(target, {name: b"mine"})
        _conflict(old, target, f"{name} is not a folder", overwrite=overwrite)
        (target / name).unlink()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_an_earlier_version_becomes_a_file_only_if_nothing_else_is_in_it(
    old: Bundle, new: Bundle, target: Path, *, overwrite: bool
) -> None:
    unpack(old, target)
    write_files(target, {"code/swap/mine": b"mine"})
    _conflict(new, target, "code/swap is a folder", overwrite=overwrite)


def test_a_folder_in_the_place_of_a_file_that_goes_stays(old: Bundle, new: Bundle, target: Path) -> None:
    unpack(old, target)
    (target / "prompts" / "b.md").unlink()
    write_files(target, {"prompts/b.md/mine": b"mine"})
    unpack(new, target, overwrite=True)
    assert (target / "prompts" / "b.md" / "mine").read_bytes() == b"mine"
