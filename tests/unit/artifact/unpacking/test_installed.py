"""The record of an unpacked folder, and what drifts away from it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.unpacking.installed import (
    RECORD_NAME,
    Drift,
    Installed,
    InstalledFile,
    find_drift,
    hash_file,
    is_unchanged,
)
from kitpack.artifact.unpacking.unpack import unpack
from kitpack.errors import StoreError
from kitpack.oci.digest import Digest

FILE = InstalledFile(digest=str(Digest.of_bytes(b"abc")), size=3, mode=0o644, role="code")

_name = st.text("abé .-", min_size=1, max_size=8).filter(lambda name: name.strip(". ") == name)
_files = st.builds(
    InstalledFile,
    digest=st.binary().map(lambda data: str(Digest.of_bytes(data))),
    size=st.integers(0, 1 << 60),
    mode=st.integers(0, 0o777),
    role=st.sampled_from(["model", "prompt", "file"]),
    archive=st.just("") | st.just(str(Digest.of_bytes(b"archive"))),
    stamp=st.tuples(st.integers(-(10**20), 10**20), st.integers(0, 1 << 64), st.integers(0, 10**20)),
    adopted=st.booleans(),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    st.builds(
        Installed,
        reference=st.text(st.characters(exclude_categories=["Cs"])),
        digest=st.just(str(Digest.of_bytes(b"manifest"))),
        files=st.dictionaries(_name, _files, max_size=4),
        archives=st.dictionaries(st.just(str(Digest.of_bytes(b"archive"))), st.integers(0, 1 << 40), max_size=1),
    )
)
def test_a_record_comes_back_as_it_was(tmp_path: Path, record: Installed) -> None:
    record.save(tmp_path, tmp_path)
    assert Installed.load(tmp_path) == record
    assert [path.name for path in tmp_path.iterdir()] == [RECORD_NAME]


def test_where_nothing_was_unpacked_there_is_none(tmp_path: Path) -> None:
    assert Installed.load(tmp_path) is None
    assert Installed.load(tmp_path / "gone") is None
    (tmp_path / "file").write_text("")
    assert Installed.load(tmp_path / "file") is None


GOOD = {
    "version": 1,
    "reference": "bot:1",
    "digest": str(Digest.of_bytes(b"")),
    "files": {
        "a": {
            "digest": FILE.digest,
            "size": 3,
            "mode": 420,
            "role": "code",
            "archive": "",
            "origin": "",
            "stamp": [1, 2, 3],
        },
    },
    "archives": {"sha256:x": 1},
}


def _changed(*way: str, value: object) -> bytes:
    record = json.loads(json.dumps(GOOD))
    inner = record
    for step in way[:-1]:
        inner = inner[step]
    if value is None:
        del inner[way[-1]]
    else:
        inner[way[-1]] = value
    return json.dumps(record).encode()


BAD = {
    "no version": _changed("version", value=None),
    "version 2": _changed("version", value=2),
    "no digest": _changed("digest", value=None),
    "no digest's digest": _changed("digest", value="latest"),
    "files a list": _changed("files", value=[]),
    "a file a string": _changed("files", "a", value="x"),
    "a file without size": _changed("files", "a", "size", value=None),
    "size text": _changed("files", "a", "size", value="3"),
    "size a float": _changed("files", "a", "size", value=3.5),
    "digest of a file": _changed("files", "a", "digest", value="sha256:../../x"),
    "stamp a number": _changed("files", "a", "stamp", value=1),
    "stamp of four": _changed("files", "a", "stamp", value=[1, 2, 3, 4]),
    "stamp of text": _changed("files", "a", "stamp", value=["1", "2"]),
    "archives a list": _changed("archives", value=[]),
    "an archive of text": _changed("archives", "sha256:x", value="1"),
    "a path upwards": _changed("files", "../a", value=GOOD["files"]["a"]),  # type: ignore[index]
    "an absolute path": _changed("files", "/etc/passwd", value=GOOD["files"]["a"]),  # type: ignore[index]
    "the record itself": _changed("files", ".kitpack.json", value=GOOD["files"]["a"]),  # type: ignore[index]
    "a key twice": json.dumps(GOOD).replace('"reference"', '"version"').encode(),
    "cut off": json.dumps(GOOD).encode()[:-10],
    "empty": b"",
    "nested deeply": b"[" * 100_000,
}


def test_a_good_record_is_good(tmp_path: Path) -> None:
    (tmp_path / RECORD_NAME).write_text(json.dumps(GOOD))
    record = Installed.load(tmp_path)
    assert record is not None
    assert record.files["a"] == InstalledFile(digest=FILE.digest, size=3, mode=0o644, role="code", stamp=(1, 2, 3))


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD)
def test_a_damaged_record_is_an_error_with_a_way_out(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / RECORD_NAME).write_bytes(raw)
    with pytest.raises(StoreError, match="damaged") as caught:
        Installed.load(tmp_path)
    assert "delete it" in caught.value.hint


def test_a_record_that_cannot_be_saved_leaves_the_old_one(tmp_path: Path) -> None:
    Installed(reference="old", digest=str(Digest.of_bytes(b""))).save(tmp_path, tmp_path)
    with pytest.raises(FileNotFoundError):
        Installed(reference="new", digest=str(Digest.of_bytes(b""))).save(tmp_path, tmp_path / "gone")
    record = Installed.load(tmp_path)
    assert record is not None
    assert record.reference == "old"


def test_a_file_is_unchanged_by_its_stamp_or_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert not is_unchanged(path, FILE)
    assert not is_unchanged(path / "below", FILE)
    path.write_bytes(b"abc")
    stamped = FILE.stamped(path)
    assert is_unchanged(path, FILE)
    assert is_unchanged(path, stamped)
    path.write_bytes(b"abd")
    os.utime(path, ns=(1, 1))
    assert not is_unchanged(path, stamped)
    path.write_bytes(b"abcd")
    assert not is_unchanged(path, stamped)
    path.unlink()
    path.mkdir()
    assert not is_unchanged(path, FILE)
    (tmp_path / "real").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("real")
    assert not is_unchanged(tmp_path / "link", FILE)
    os.mkfifo(tmp_path / "pipe")
    assert not is_unchanged(tmp_path / "pipe", FILE)


def test_a_stamp_survives_a_move_and_a_change_of_mode_when_it_is_settled(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    stamped = FILE.stamped(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "a").rename(tmp_path / "b" / "c")
    (tmp_path / "b" / "c").chmod(0o600)
    assert stamped.settled(tmp_path / "b" / "c") == FILE.stamped(tmp_path / "b" / "c")
    os.utime(tmp_path / "b" / "c", ns=(1, 1))
    assert stamped.settled(tmp_path / "b" / "c") == stamped


def test_an_edit_that_keeps_size_and_time_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    os.utime(path, ns=(1, 1))
    stamped = FILE.stamped(path)
    with path.open("r+b") as file:
        file.write(b"abd")
    os.utime(path, ns=(1, 1))
    assert path.stat().st_mtime_ns == stamped.stamp[0]
    assert not is_unchanged(path, stamped)


def test_a_record_of_old_whose_stamps_lack_the_change_time_is_read(tmp_path: Path) -> None:
    (tmp_path / RECORD_NAME).write_bytes(_changed("files", "a", "stamp", value=[1, 2]))
    record = Installed.load(tmp_path)
    assert record is not None
    assert record.files["a"].stamp == (0, 0, 0)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.with_name("real").write_text(json.dumps(GOOD))
    path.symlink_to("real")


def _endless(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("make", [_pipe, _link, _endless, Path.mkdir])
def test_what_only_stands_in_the_place_of_a_record_is_not_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / RECORD_NAME)
    with pytest.raises(StoreError, match="damaged") as caught:
        Installed.load(tmp_path)
    assert "delete it" in caught.value.hint


def test_every_kind_of_drift_is_found(old: Bundle, target: Path) -> None:
    unpack(old, target)
    record = Installed.load(target)
    assert record is not None
    assert find_drift(target, record) == []
    (target / "app.yaml").unlink()
    (target / "model" / "w.gguf").write_bytes(bytes(100_000))  # the same size
    (target / "prompts" / "a.md").write_text("longer than it was")
    (target / "code" / "run.sh").chmod(0o644)
    (target / "prompts" / "b.md").unlink()
    (target / "prompts" / "b.md").symlink_to("same.md")
    (target / "data" / "1" / "100.txt").unlink()
    (target / "data" / "1" / "100.txt").mkdir()
    (target / "mine").write_bytes(b"not of the bundle")
    assert find_drift(target, record) == [
        Drift(path="app.yaml", problem="missing"),
        Drift(path="code/run.sh", problem="mode"),
        Drift(path="data/1/100.txt", problem="not a file"),
        Drift(path="model/w.gguf", problem="changed"),
        Drift(path="prompts/a.md", problem="changed"),
        Drift(path="prompts/b.md", problem="not a file"),
    ]


def test_a_byte_that_changed_behind_an_old_time_is_drift(old: Bundle, target: Path) -> None:
    unpack(old, target)
    path = target / "model" / "w.gguf"
    found = path.stat()
    with path.open("r+b") as file:
        file.write(b"!")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    record = Installed.load(target)
    assert record is not None
    assert [one.path for one in find_drift(target, record)] == ["model/w.gguf"]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_file_is_hashed_by_the_algorithm_of_its_digest(tmp_path: Path, algorithm: str) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    digest = str(Digest.of_bytes(b"abc", algorithm))
    assert hash_file(tmp_path / "a", algorithm) == digest
    file = InstalledFile(digest=digest, size=3, mode=0o644, role="code")
    assert is_unchanged(tmp_path / "a", file)
    assert find_drift(tmp_path, Installed(files={"a": file})) == []
