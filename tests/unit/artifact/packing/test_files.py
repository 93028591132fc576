"""Walking the author's folder: what is found there, and what is no file to pack."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitpack.artifact.packing.files import SourceFile, walk_files
from kitpack.errors import ChangedFileError, PackError, UnsafePathError
from kitpack.kitfile.ignore import IgnoreRules
from tests.support.packing import write_files


def walk(folder: Path, start: str = ".", ignore: str = "", *, follow: bool = False) -> list[SourceFile]:
    return list(walk_files(folder, start, IgnoreRules.parse(ignore), follow_symlinks=follow))


def paths(folder: Path, start: str = ".", ignore: str = "", *, follow: bool = False) -> list[str]:
    return [file.path for file in walk(folder, start, ignore, follow=follow)]


def test_all_files_below_a_folder_in_byte_order_of_their_paths(tmp_path: Path) -> None:
    names = ["a", "a.txt", "a/b", "a-b", "a0", "B", "é", "z", "\U0001f600", "\uffee", "a/c", "a/b.c/d"]
    names = [name for name in names if name != "a"]
    write_files(tmp_path, dict.fromkeys(reversed(names), b"x"))
    assert paths(tmp_path) == sorted(names, key=os.fsencode)
    assert paths(tmp_path, "a") == ["a/b", "a/b.c/d", "a/c"]


_name = st.text("ab.-0é~ ", min_size=1, max_size=3).filter(lambda name: name.strip(".") and not name.startswith("~"))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sets(st.lists(_name, min_size=1, max_size=3).map("/".join), max_size=8))
def test_any_tree_comes_out_sorted_and_whole(tmp_path_factory: pytest.TempPathFactory, chosen: set[str]) -> None:
    folder = tmp_path_factory.mktemp("tree")
    leaves = {path for path in chosen if not any(other.startswith(f"{path}/") for other in chosen)}
    write_files(folder, dict.fromkeys(leaves, b"x"))
    assert paths(folder) == sorted(leaves, key=os.fsencode)


def test_a_file_is_described_by_what_does_not_depend_on_the_machine(tmp_path: Path) -> None:
    write_files(tmp_path, {"plain": b"abc", "tool": b"", "odd": b""})
    (tmp_path / "plain").chmod(0o600)
    (tmp_path / "tool").chmod(0o700)
    (tmp_path / "odd").chmod(0o6677)
    assert [(file.path, file.size, file.mode) for file in walk(tmp_path)] == [
        ("odd", 0, 0o644),
        ("plain", 3, 0o644),
        ("tool", 0, 0o755),
    ]


def test_what_kitignore_names_is_left_out_and_what_it_takes_back_is_not(tmp_path: Path) -> None:
    write_files(tmp_path, dict.fromkeys(["a.log", "data/a", "data/keep/b", "data/c", "tmp/x", "z"], b"x"))
    assert paths(tmp_path, ".", "*.log\ntmp\n") == ["data/a", "data/c", "data/keep/b", "z"]
    assert paths(tmp_path, ".", "data\n!data/keep\n") == ["a.log", "data/keep/b", "tmp/x", "z"]
    assert paths(tmp_path, ".", "*\n!data/a\n") == ["data/a"]
    assert paths(tmp_path, "data", "data/keep\n") == ["data/a", "data/c"]


def test_ignored_folders_are_not_even_opened(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": b"", ".git/config": b"", "sub/.git/config": b"", "private/key": b""})
    os.mkfifo(tmp_path / "private" / "fifo")
    (tmp_path / "private" / "loop").symlink_to("loop")
    assert paths(tmp_path, ".", "private\n") == ["a"]


def test_nothing_there(tmp_path: Path) -> None:
    write_files(tmp_path, {"file": b""})
    for start in ("gone", "gone/too", "file/below"):
        with pytest.raises(PackError, match="does not exist"):
            walk(tmp_path, start)
    (tmp_path / "empty").mkdir()
    assert paths(tmp_path, "empty") == []


def test_links_to_files_inside_are_the_files(tmp_path: Path) -> None:
    write_files(tmp_path, {"data/real": b"real", "b": b""})
    (tmp_path / "a").symlink_to("data/real")
    (tmp_path / "c").symlink_to(tmp_path / "data" / "real")
    (tmp_path / "d").symlink_to("c")
    found = {file.path: file for file in walk(tmp_path)}
    assert list(found) == ["a", "b", "c", "d", "data/real"]
    for name in ("a", "c", "d"):
        with found[name].open_at(0) as stream:
            assert stream.read() == b"real"


def test_the_folder_itself_may_be_reached_through_a_link(tmp_path: Path) -> None:
    write_files(tmp_path / "real", {"a": b"", "sub/b": b""})
    (tmp_path / "real" / "c").symlink_to(tmp_path / "link" / "a")
    (tmp_path / "link").symlink_to("real")
    assert paths(tmp_path / "link") == ["a", "c", "sub/b"]


LINKS = {
    "out, absolute": "/etc/hostname",
    "out, relative": "../outside/secret",
    "out, to a folder": "../outside",
    "to a folder inside": "inside",
    "to the folder itself": ".",
    "to a folder above": "..",
    "nowhere": "nothing",
    "to itself": "link",
    "to something absurd": "a/" * 500,
}


@pytest.mark.parametrize("leads_to", LINKS.values(), ids=LINKS)
@pytest.mark.parametrize("start", [".", "link"])
def test_other_links_are_refused_unless_they_are_ignored(tmp_path: Path, leads_to: str, start: str) -> None:
    write_files(tmp_path, {"outside/secret": b"secret", "folder/inside/file": b"", "folder/a": b""})
    (tmp_path / "folder" / "link").symlink_to(leads_to)
    with pytest.raises(PackError) as caught:
        walk(tmp_path / "folder", start)
    assert "link" in caught.value.message
    assert caught.value.hint
    assert paths(tmp_path / "folder", ".", "link\n") == ["a", "inside/file"]


@pytest.mark.parametrize("start", ["link/secret", "link/sub/secret", "link/../outside/secret"])
def test_a_path_through_a_link_out_of_the_folder_is_refused(tmp_path: Path, start: str) -> None:
    write_files(tmp_path, {"outside/secret": b"secret", "outside/sub/secret": b"secret", "folder/a": b""})
    (tmp_path / "folder" / "link").symlink_to("../outside")
    with pytest.raises((PackError, UnsafePathError)):
        walk(tmp_path / "folder", start)


def test_following_links_finds_everything_but_loops(tmp_path: Path) -> None:
    write_files(tmp_path, {"outside/secret": b"s", "folder/inside/file": b"f"})
    (tmp_path / "folder" / "there").symlink_to("../outside")
    (tmp_path / "folder" / "again").symlink_to("inside")
    (tmp_path / "folder" / "one").symlink_to("../outside/secret")
    assert paths(tmp_path / "folder", follow=True) == ["again/file", "inside/file", "one", "there/secret"]
    assert paths(tmp_path / "folder", "there/secret", follow=True) == ["there/secret"]
    for name, leads_to in (("up", ".."), ("self", "."), ("deep/loop", "../inside/../deep")):
        link = tmp_path / "folder" / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(leads_to)
        with pytest.raises(PackError, match="above itself"):
            walk(tmp_path / "folder", follow=True)
        link.unlink()
    (tmp_path / "folder" / "loop").symlink_to("loop")
    with pytest.raises(PackError, match="nowhere"):
        walk(tmp_path / "folder", follow=True)


def test_pipes_and_sockets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PackError, match="neither a file nor a folder"):
        walk(tmp_path)
    (tmp_path / "pipe").unlink()
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(PackError, match="neither a file nor a folder"):
            walk(tmp_path)
        assert paths(tmp_path, ".", "socket\n") == []
    (tmp_path / "device").symlink_to("/dev/zero")
    for follow in (False, True):
        with pytest.raises(PackError):
            walk(tmp_path, "device", follow=follow)


BAD_NAMES = [
    b"line\nbreak",
    b"\x1b[31mred",
    b"bell\x07",
    b"back\\slash",
    b"\xff\xfe not UTF-8",
    "\u202egpj.exe".encode(),
    "\u2028".encode(),
    b"~root",
    b"C:",
    b".ssh",
    b".GIT",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_cannot_be_unpacked_everywhere_are_refused(tmp_path: Path, name: bytes) -> None:
    location = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118  # bytes
    with open(location, "wb"):  # noqa: PTH123
        pass
    with pytest.raises(UnsafePathError) as caught:
        walk(tmp_path)
    assert caught.value.message.isprintable()


def test_folders_nested_very_deeply_are_refused_in_words(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(1500):
            os.mkdir("d", dir_fd=fd)
            below = os.open("d", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    finally:
        os.close(fd)
    with pytest.raises(PackError, match="deep"):
        walk(tmp_path)
    _remove_deep(tmp_path)


def _remove_deep(folder: Path) -> None:
    """shutil.rmtree, which pytest uses, recurses too deeply for this one."""
    while (below := folder / "d").exists():
        moved = folder.parent / "moved"
        if (below / "d").exists():
            (below / "d").rename(moved)
            below.rmdir()
            moved.rename(below)
        else:
            for file in below.iterdir():
                file.unlink()
            below.rmdir()


def _change_content(path: Path) -> None:
    path.write_bytes(b"ABC!")


def _change_in_place(path: Path) -> None:
    path.write_bytes(b"ABC")
    os.utime(path, ns=(1, 1))


def _remove(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    found = path.stat()
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.rename(path)


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _lose_parent(path: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.write_bytes(b"")


CHANGES = [_change_content, _change_in_place, _remove, _replace, _make_folder, _lose_parent]


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_is_not_what_was_found_is_not_opened(tmp_path: Path, change: object) -> None:
    write_files(tmp_path, {"sub/a": b"abc"})
    [file] = walk(tmp_path)
    assert callable(change)
    change(tmp_path / "sub" / "a")
    with pytest.raises(ChangedFileError, match="sub/a changed"):
        file.open_at(0)


def test_a_file_that_changes_while_it_is_read_is_found_out_at_its_end(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": b"x" * 100})
    [file] = walk(tmp_path)
    with file.open_at(10) as stream:
        assert stream.read(5) == b"xxxxx"
        with (tmp_path / "a").open("ab") as writer:
            writer.write(b"more")
        with pytest.raises(ChangedFileError):
            stream.read()


def test_opened_at_an_offset_it_starts_there(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": b"0123456789"})
    [file] = walk(tmp_path)
    for offset in (0, 4, 10, 12):
        with file.open_at(offset) as stream:
            assert stream.read() == b"0123456789"[offset:]
            assert stream.read() == b""


def test_a_store_inside_the_folder_is_not_packed(tmp_path: Path) -> None:
    write_files(
        tmp_path, {"app.py": "1", "out/oci-layout": "{}", "out/blobs/sha256/x": "private"}, "code: [{path: .}]\n"
    )
    with pytest.raises(PackError, match="out is a store of bundles"):
        list(walk_files(tmp_path, ".", IgnoreRules.load(tmp_path)))
