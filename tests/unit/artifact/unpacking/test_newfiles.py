"""Small files beside those of their user: all or none."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kitpack.artifact.unpacking.newfiles import write_new
from kitpack.errors import FileConflictError, UnsafePathError


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_are_written_into_a_new_folder(tmp_path: Path) -> None:
    assert write_new(tmp_path / "a/b", [("x.md", b"X"), ("deep/y.md", b"Y")]) == ("x.md", "deep/y.md")
    assert tree(tmp_path / "a/b") == {"x.md": b"X", "deep/y.md": b"Y"}
    assert (tmp_path / "a/b/x.md").stat().st_nlink == 1


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    write_new(tmp_path, [("x.md", b"X")])
    before = (tmp_path / "x.md").stat()
    assert write_new(tmp_path, [("x.md", b"X"), ("y.md", b"Y")]) == ("y.md",)
    assert (tmp_path / "x.md").stat().st_ino == before.st_ino


def test_a_conflict_writes_nothing_and_names_every_file(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("mine")
    (tmp_path / "z.md").write_text("mine")
    with pytest.raises(FileConflictError) as error:
        write_new(tmp_path, [("w.md", b"W"), ("x.md", b"X"), ("z.md", b"Z")])
    assert "x.md" in error.value.message
    assert "z.md" in error.value.message
    assert tree(tmp_path) == {"x.md": b"mine", "z.md": b"mine"}


def test_force_replaces_files_and_links_but_writes_through_none(tmp_path: Path) -> None:
    outside = tmp_path / "outside.md"
    outside.write_text("kept")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x.md").write_text("old")
    (folder / "l.md").symlink_to(outside)
    with pytest.raises(FileConflictError):
        write_new(folder, [("l.md", b"kept")])
    write_new(folder, [("x.md", b"X"), ("l.md", b"L")], force=True)
    assert tree(folder) == {"x.md": b"X", "l.md": b"L"}
    assert outside.read_text() == "kept"


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", "a\\..\\x", "link/x"])
def test_paths_that_lead_out_are_refused(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(UnsafePathError):
        write_new(folder, [("ok.md", b""), (path, b"X")], force=True)
    assert [one.name for one in folder.iterdir()] == ["link"]
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


def test_folders_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "x.md").mkdir()
    with pytest.raises(FileConflictError, match="folders stand"):
        write_new(tmp_path, [("x.md", b"X")], force=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_after_a_failure_everything_is_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("old")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep").chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(PermissionError):
        write_new(tmp_path, [("a.md", b"A"), ("new/b.md", b"B"), ("deep/c.md", b"C")], force=True)
    (tmp_path / "deep").chmod(stat.S_IRWXU)
    assert tree(tmp_path) == {"a.md": b"old"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.md", "deep"]


def test_a_file_where_a_folder_is_needed_fails_whole(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("old")
    with pytest.raises(OSError):
        write_new(tmp_path, [("a.md", b"A"), ("a.md/b.md", b"B")], force=True)
    assert tree(tmp_path) == {"a.md": b"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.md"]
