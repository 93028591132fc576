from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitpack.artifact.extract import read_members
from kitpack.artifact.packing.archive import TarMember, tar_of
from kitpack.content.target import opener_of
from kitpack.errors import ChangedFileError, UnsafePathError

GIB = 1 << 30


def _member(path: str, data: bytes, mode: int = 0o644) -> TarMember:
    return TarMember(path=path, open_at=opener_of(data), size=len(data), mode=mode)


def _zeds(path: str, size: int, mode: int = 0o644) -> TarMember:
    return _member(path, b"z" * size, mode)


def _bytes(members: list[TarMember], offset: int = 0) -> bytes:
    with tar_of(members).open_at(offset) as stream:
        return stream.read()


# Digests of what Go 1.26's archive/tar writes for the same headers (uid 1000, everything else zero).
GOLDEN = {
    "plain ustar": (
        [
            _zeds("weights/b/c", 512),
            _zeds("weights/a.txt", 0, 0o755),
            _zeds("weights/a/model.gguf", 1000, 0o600),
            _zeds("config.json", 3),
        ],
        6656,
        "f4b3e4006904eb3ffe1813935942a3a3428330c8a6841cfcdbd110038a05f5c4",
    ),
    "prefix field": (
        [_zeds("d" * 100 + "/" + "e" * 54 + "/" + "n" * 100, 1)],
        3072,
        "a8d2402fbf22c47747dfc61eba3db3bc78d34635aa54bdbe56d694af6250fd3f",
    ),
    "pax for length": (
        [_zeds("n" * 101, 1), _zeds("d/" * 60 + "n" * 130, 2)],
        35840,
        "52f5eebe4e9cc823703d56b8dc83a3dbf5cc90404f8eb9fa224b55f0bdfe5201",
    ),
    "pax for letters": (
        [_zeds("prompts/grüße/模板.md", 5)],
        5120,
        "3e8c6510e8e53af9a199742ba6bab922c6b52426fe746b3793517c40b42d4275",
    ),
    "a name cut behind a slash": (
        [_zeds("d" * 98 + "/é/" + "f" * 101, 7)],
        5120,
        "8a5cac5ed8572bbe65bdc7f0ab3f92d52d49e7728ac89cb4aeace6aec0efc168",
    ),
    "nothing": ([], 1024, "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"),
}


@pytest.mark.parametrize(("members", "size", "digest"), GOLDEN.values(), ids=GOLDEN)
def test_the_bytes_are_those_of_kitops(members: list[TarMember], size: int, digest: str) -> None:
    data = _bytes(members)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (size, digest)
    assert tar_of(members).size == size
    assert _bytes(members[::-1]) == data


def test_a_file_of_eight_gibibytes_is_never_held_nor_opened_before_its_time() -> None:
    size = 8 * GIB
    opened: list[int] = []

    def open_at(offset: int) -> BinaryIO:
        opened.append(offset)
        return io.BytesIO(b"z" * min(size - offset, 4 << 20))

    members = [TarMember(path="model.gguf", open_at=open_at, size=size), _zeds("z.txt", 1)]
    with tar_of(members).open_at(0) as stream:
        head = stream.read(1536)
    assert hashlib.sha256(head).hexdigest() == "dd05afa90ae582f5f03c554c758f194554835c0e30bbdad2b4978636ea3e59a2"
    assert tar_of(members).size == 1536 + size + 512 + 512 + 1024
    opened.clear()
    tail = _bytes(members, 1536 + size - 700)
    assert opened == [size - 700]
    assert tail[:700] == b"z" * 700
    assert tail[700:] == _bytes([_zeds("z.txt", 1)])


def test_other_tools_read_it(tmp_path: Path) -> None:
    members = [
        _member("config.json", b"{}", 0o600),
        _member("prompts/grüße/模板.md", b"hi"),
        _member("bin/run", b"#!", 0o755),
        _member("d/" * 70 + "n" * 120, b"deep" * 300),
        _member("d" * 90 + "/" + "n" * 90, b""),
    ]
    expected = {member.path: (member.mode, member.size) for member in members}
    with tarfile.open(fileobj=io.BytesIO(_bytes(members))) as archive:
        found = archive.getmembers()
    assert {one.name: (one.mode, one.size) for one in found if one.isreg()} == expected
    assert {one.mode for one in found if one.isdir()} == {0o755}
    assert {(one.mtime, one.uid, one.gid, one.uname, one.gname) for one in found} == {(0, 1000, 0, "", "")}
    tar = shutil.which("tar")
    assert tar is not None
    subprocess.run([tar, "-xf", "-", "-C", tmp_path], input=_bytes(members), check=True)
    unpacked = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*") if path.is_file()}
    assert {path: (file.stat().st_mode & 0o777, file.stat().st_size) for path, file in unpacked.items()} == expected


def test_modes_are_reduced_to_permissions() -> None:
    with tarfile.open(fileobj=io.BytesIO(_bytes([_member("a", b"", 0o104755)]))) as archive:
        assert archive.getmember("a").mode == 0o755


@pytest.mark.parametrize(
    "paths", [["a", "a"], ["a", "A"], ["a", "a/b"], ["../a"], ["/a"], [".git/config"], ["a\nb"], ["a", "./a"]]
)
def test_what_could_not_be_unpacked_is_not_packed(paths: list[str]) -> None:
    members = [_member(path, b"x") for path in paths]
    with pytest.raises(UnsafePathError):
        tar_of(members)


@pytest.mark.parametrize(("actual", "change"), [(0, "lost 1000"), (999, "lost 1 "), (1001, "grew"), (1536, "grew")])
def test_a_file_that_changed_is_noticed(actual: int, change: str) -> None:
    members = [TarMember(path="a", open_at=opener_of(b"x" * actual), size=1000)]
    with tar_of(members).open_at(0) as stream, pytest.raises(ChangedFileError, match=change):
        stream.read()
    with tar_of(members).open_at(512 + 700) as stream, pytest.raises(ChangedFileError):
        stream.read()


def test_a_file_that_was_empty_and_is_no_more_is_noticed() -> None:
    members = [TarMember(path="a", open_at=opener_of(b"x"), size=0)]
    with tar_of(members).open_at(0) as stream, pytest.raises(ChangedFileError, match="grew"):
        stream.read()


def test_files_are_closed_with_the_stream(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * (3 << 20))
    opened: list[BinaryIO] = []

    def open_at(offset: int) -> BinaryIO:
        opened.append(path.open("rb"))
        opened[-1].seek(offset)
        return opened[-1]

    opener = tar_of([TarMember(path="a", open_at=open_at, size=3 << 20)]).open_at
    with opener(600) as stream:
        assert stream.read(10) == b"x" * 10
        assert not opened[0].closed
    assert opened[0].closed


def test_offsets_outside() -> None:
    members = [_member("a", b"x")]
    assert _bytes(members, tar_of(members).size) == b""
    assert _bytes(members, tar_of(members).size + 5000) == b""
    with pytest.raises(ValueError, match="negative"):
        tar_of(members).open_at(-1)
    with pytest.raises(ValueError, match="negative"):
        tar_of([TarMember(path="a", open_at=opener_of(b""), size=-1)])


_NAMES = st.text(st.sampled_from("abé模 ._-"), min_size=1, max_size=6).map(lambda name: f"x{name}") | st.integers(
    1, 130
).map(lambda length: "n" * length)
_CONTENTS = st.binary(max_size=40) | st.sampled_from([511, 512, 513, 1024, 3000]).map(lambda size: b"\1" * size)
_TREES = st.dictionaries(
    st.lists(_NAMES, min_size=1, max_size=5).map("/".join), st.tuples(_CONTENTS, st.integers(0, 0o777)), max_size=6
)


@settings(max_examples=60, deadline=None)
@given(tree=_TREES, data=st.data())
def test_what_is_written_is_read_again_from_any_offset(tree: dict[str, tuple[bytes, int]], data: st.DataObject) -> None:
    members = [_member(path, content, mode) for path, (content, mode) in tree.items()]
    try:
        whole = _bytes(members)
    except UnsafePathError:
        return  # a file that is another's folder: not the business of this test
    assert len(whole) == tar_of(members).size
    found = [(one.path, one.stream.read(), one.mode, one.is_file) for one in read_members(io.BytesIO(whole))]
    assert {path: (content, mode) for path, content, mode, is_file in found if is_file} == tree
    folders = {path.rsplit("/", depth)[0] for path in tree for depth in range(1, path.count("/") + 1)}
    assert {path for path, *_, is_file in found if not is_file} == folders
    offset = data.draw(st.integers(0, len(whole)))
    assert _bytes(members, offset) == whole[offset:]
