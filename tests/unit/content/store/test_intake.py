"""Bytes that are written and hashed in one pass, by one thread or two, through the kernel or not."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from kitpack.content.events import Counted, Event
from kitpack.content.kernelcopy import copy_range
from kitpack.content.store.intake import hash_range, take_in
from tests.support.bundles import noise

MIB = 1 << 20
DATA = noise(21 * MIB + 17)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "weights"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def target(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def _raw(path: Path) -> BinaryIO:
    return cast("BinaryIO", path.open("rb", buffering=0))


def _read_ahead(path: Path) -> BinaryIO:
    file = path.open("rb")
    file.peek(1)
    return file


def _counted(path: Path) -> BinaryIO:
    return Counted(lambda _: _raw(path), "weights", len(DATA), lambda _: None)(0)


def _in_memory(path: Path) -> BinaryIO:
    return io.BytesIO(path.read_bytes())


STREAMS = [_raw, _read_ahead, _counted, _in_memory, lambda path: path.open("rb")]


def _none(*_: object) -> int:
    return 0


def _refused(*_: object) -> int:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def _unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "copy_file_range", raising=False)
    monkeypatch.delattr(os, "preadv", raising=False)
    monkeypatch.delattr(os, "posix_fadvise", raising=False)


KERNELS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "as it is": lambda _: None,
    "refuses": lambda patch: patch.setattr(os, "copy_file_range", _refused, raising=False),
    "copies nothing": lambda patch: patch.setattr(os, "copy_file_range", _none, raising=False),
    "does not know it": _unknown,
}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("open_stream", STREAMS)
def test_every_way_gives_the_same(
    source: Path,
    target: int,
    monkeypatch: pytest.MonkeyPatch,
    open_stream: Callable[[Path], BinaryIO],
    kernel: str,
) -> None:
    KERNELS[kernel](monkeypatch)
    hasher = hashlib.sha256()
    with open_stream(source) as stream:
        assert take_in(stream, target, hasher, len(DATA) + 1) == len(DATA)
    assert os.pread(target, len(DATA) + 1, 0) == DATA
    assert hasher.digest() == hashlib.sha256(DATA).digest()


@pytest.mark.parametrize("most", [0, 1, MIB, 4 * MIB, 4 * MIB + 1, 12 * MIB, len(DATA) - 1, len(DATA)])
def test_it_goes_on_where_the_file_is_and_stops_where_it_shall(source: Path, target: int, most: int) -> None:
    os.write(target, b"before")
    hasher = hashlib.sha256(b"before")
    with _counted(source) as stream:
        assert take_in(stream, target, hasher, most) == most
        assert stream.read(1) == DATA[most : most + 1]
    found = os.pread(target, 2 * len(DATA), 0)
    assert found == b"before" + DATA[:most], len(found)
    assert hasher.digest() == hashlib.sha256(b"before" + DATA[:most]).digest()


class _Failing(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 10 * MIB:
            raise ConnectionResetError("the line went dead")
        return super().read(size)


def test_a_failure_of_the_source_is_raised_and_the_second_thread_ends(target: int) -> None:
    with pytest.raises(ConnectionResetError):
        take_in(_Failing(DATA), target, hashlib.sha256(), len(DATA))
    assert not [thread for thread in threading.enumerate() if thread.name == "kitpack-hash"]


def test_a_failure_to_read_back_is_raised_and_nobody_waits_for_ever(
    source: Path, target: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "preadv", broken)
    with _raw(source) as stream, pytest.raises(OSError, match="Input/output"):
        take_in(stream, target, hashlib.sha256(), len(DATA))


def test_a_full_disk_is_no_reason_to_try_another_way(
    source: Path, target: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "copy_file_range", full, raising=False)
    with _raw(source) as stream, pytest.raises(OSError, match="No space"):
        copy_range(stream.fileno(), target, 10)


def test_a_part_of_a_file_is_hashed_and_the_end_is_no_error(source: Path) -> None:
    with source.open("rb") as file:
        for start, end in [(0, 0), (5, 3), (3, 10), (MIB - 1, 3 * MIB), (len(DATA) - 4, len(DATA) + 9)]:
            hasher = hashlib.sha256()
            hash_range(file.fileno(), hasher, start, end)
            assert hasher.digest() == hashlib.sha256(DATA[start:end]).digest()
        assert file.tell() == 0


def test_progress_is_told_also_of_what_never_came_here(source: Path, target: int) -> None:
    events: list[Event] = []
    counted = Counted(lambda _: _raw(source), "weights", len(DATA), events.append)
    with counted(0) as stream:
        take_in(stream, target, hashlib.sha256(), len(DATA))
    assert sum(event.size for event in events if event.kind == "moved") == len(DATA)
    assert len(events) > 3
