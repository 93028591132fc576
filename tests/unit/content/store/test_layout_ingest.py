"""How bytes come in: continued after a failure, proven before they get a name, written by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitpack.content.store.layout import Layout
from kitpack.content.target import Opener, fetch_bytes, opener_of
from kitpack.errors import IntegrityError, StoreError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import BLOCK, Digest
from kitpack.oci.mediatypes import OCTET_STREAM
from tests.support.bundles import blob_of, noise

DATA = noise(3000)
BLOB = blob_of(DATA)


class Source:
    """An opener that remembers what was asked of it, and that fails when it is told to.

    Args:
        data: The bytes it delivers.
        fail_at: The byte before which it fails; None for never.
        error: How it fails.
    """

    def __init__(self, data: bytes, fail_at: int | None = None, error: BaseException | None = None) -> None:
        self.offsets: list[int] = []
        self.read = 0
        self._data = data
        self._fail_at = fail_at
        self._error = error or ConnectionResetError("the line went dead")

    def __call__(self, offset: int) -> BinaryIO:
        self.offsets.append(offset)
        return _Stream(self, self._data, offset)

    def take(self, position: int, size: int) -> int:
        if self._fail_at is None:
            return size
        if position >= self._fail_at:
            raise self._error
        return min(size, self._fail_at - position)


class _Stream(io.BytesIO):
    def __init__(self, source: Source, data: bytes, offset: int) -> None:
        super().__init__(data)
        self.seek(offset)
        self._source = source

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size > 0, "a stream is never read without a bound"
        block = super().read(self._source.take(self.tell(), size))
        self._source.read += len(block)
        return block


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


def _partial(layout: Layout) -> Path:
    return layout.path / "ingest" / f"sha256-{BLOB.digest.hex}.part"


def _leave(layout: Layout, left: bytes) -> Path:
    """Make a partial file as an earlier process would have left it."""
    layout.add(opener_of(b"begin the layout"))
    _partial(layout).write_bytes(left)
    return _partial(layout)


def _ingest(layout: Layout) -> list[str]:
    return [path.name for path in (layout.path / "ingest").iterdir()]


FAILURES = [ConnectionResetError("gone"), OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("fail_at", [1, 1500, 2999, 3000])
def test_a_transfer_that_broke_off_is_continued(layout: Layout, error: BaseException, fail_at: int) -> None:
    with pytest.raises(type(error)):
        layout.push(BLOB, Source(DATA, fail_at, error))
    assert not layout.exists(BLOB)
    assert _partial(layout).read_bytes() == DATA[:fail_at]
    again = Source(DATA)
    layout.push(BLOB, again)
    assert again.offsets == ([fail_at] if fail_at < len(DATA) else [])
    assert again.read == len(DATA) - fail_at
    assert fetch_bytes(layout, BLOB) == DATA
    assert _ingest(layout) == []


def test_an_old_partial_file_becomes_a_young_blob(layout: Layout) -> None:
    os.utime(_leave(layout, DATA), (1, 1))
    layout.push(BLOB, opener_of(DATA))
    assert (layout.path / "blobs" / "sha256" / BLOB.digest.hex).stat().st_mtime > 1


def test_nothing_is_kept_of_a_transfer_that_never_began(layout: Layout) -> None:
    with pytest.raises(ConnectionResetError):
        layout.push(BLOB, Source(DATA, 0))
    assert _ingest(layout) == []


@pytest.mark.parametrize(
    "left",
    [b"x" * 10, DATA[:100] + b"x", DATA[:-1] + b"x", b"x" * 3000, DATA + b"x", b"x" * 9000],
    ids=["other bytes", "other tail", "whole, other tail", "whole, other bytes", "longer", "much longer"],
)
def test_a_partial_file_that_lies_is_started_over(layout: Layout, left: bytes) -> None:
    _leave(layout, left)
    source = Source(DATA)
    layout.push(BLOB, source)
    assert source.offsets[-1] == 0
    assert len(source.offsets) <= 2
    assert fetch_bytes(layout, BLOB) == DATA
    assert _ingest(layout) == []


@pytest.mark.parametrize("left", [b"", b"x" * 10, DATA[:100], b"x" * 3000])
@pytest.mark.parametrize("sent", [DATA[:-1], DATA + b"x", DATA[:-1] + b"x", b"", DATA * 1000])
def test_wrong_bytes_are_thrown_away(layout: Layout, left: bytes, sent: bytes) -> None:
    _leave(layout, left)
    source = Source(sent)
    with pytest.raises(IntegrityError):
        layout.push(BLOB, source)
    assert not layout.exists(BLOB)
    assert _ingest(layout) == []
    assert source.read <= 2 * (BLOB.size + 1)
    assert source.offsets[-1] == 0


def test_never_more_than_one_byte_too_many_is_read(layout: Layout) -> None:
    source = Source(DATA * 100)
    with pytest.raises(IntegrityError, match="more bytes"):
        layout.push(BLOB, source)
    assert source.read == BLOB.size + 1


@contextmanager
def _held(path: Path) -> Iterator[None]:
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_a_partial_file_in_use_is_left_alone(layout: Layout) -> None:
    partial = _leave(layout, DATA[:100])
    source = Source(DATA)
    with _held(partial):
        layout.push(BLOB, source)
    assert source.offsets == [0]
    assert partial.read_bytes() == DATA[:100]
    assert fetch_bytes(layout, BLOB) == DATA


def test_a_second_writer_that_fails_leaves_nothing_of_its_own(layout: Layout) -> None:
    partial = _leave(layout, DATA[:100])
    with _held(partial), pytest.raises(ConnectionResetError):
        layout.push(BLOB, Source(DATA, 1000))
    assert _ingest(layout) == [partial.name]


@pytest.mark.parametrize("times", [1, 5])
def test_a_partial_file_that_became_a_blob_before_it_was_locked(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Another process publishes the file between our opening and our locking it: its bytes must not be touched."""
    partial = _leave(layout, b"")
    published: list[Path] = []
    lock = fcntl.flock

    def publish_first(fd: int, operation: int) -> None:
        if partial.exists() and os.path.samestat(os.fstat(fd), partial.stat()) and len(published) < times:
            published.append(partial.with_name(f"published-{len(published)}"))
            partial.write_bytes(b"proven")
            partial.rename(published[-1])
        lock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", publish_first)
    layout.push(BLOB, opener_of(DATA))
    assert fetch_bytes(layout, BLOB) == DATA
    assert published
    assert {path.read_bytes() for path in published} == {b"proven"}


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_what_is_no_partial_file_is_left_alone(layout: Layout, tmp_path: Path, kind: str) -> None:
    partial = _leave(layout, b"")
    partial.unlink()
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    if kind == "link":
        partial.symlink_to(outside)
    elif kind == "folder":
        partial.mkdir()
    else:
        os.mkfifo(partial)
    layout.push(BLOB, opener_of(DATA))
    assert fetch_bytes(layout, BLOB) == DATA
    assert outside.read_bytes() == b"precious"
    assert _ingest(layout) == [partial.name]


def test_the_ingest_folder_of_a_foreign_layout_is_made_when_needed(layout: Layout) -> None:
    layout.add(opener_of(b"begin"))
    (layout.path / "ingest").rmdir()
    layout.push(BLOB, opener_of(DATA))
    assert fetch_bytes(layout, BLOB) == DATA


@pytest.mark.parametrize("fail_at", [0, 1, 2999, 3000])
def test_adding_leaves_nothing_when_it_fails(layout: Layout, fail_at: int) -> None:
    for error in FAILURES:
        with pytest.raises(type(error)):
            layout.add(Source(DATA, fail_at, error))
    assert _ingest(layout) == []
    assert not (layout.path / "blobs").exists()


def test_adding_reads_once_and_twice_the_same_is_one_blob(layout: Layout) -> None:
    source = Source(DATA)
    for _ in range(2):
        assert layout.add(source) == (Digest.of_bytes(DATA), len(DATA))
    assert source.offsets == [0, 0]
    assert source.read == 2 * len(DATA)
    assert len(list((layout.path / "blobs" / "sha256").iterdir())) == 1
    assert _ingest(layout) == []


def test_a_large_blob_passes_in_blocks(layout: Layout) -> None:
    class Endless(io.RawIOBase):
        left = 40

        def read(self, size: int = -1, /) -> bytes:
            assert 0 < size <= BLOCK
            self.left -= 1
            return b"\0" * BLOCK if self.left >= 0 else b""

    open_at: Opener = lambda _: Endless()  # type: ignore[assignment,return-value] # noqa: E731
    digest, size = layout.add(open_at)
    assert size == 40 * BLOCK
    assert layout.exists(Descriptor(media_type=OCTET_STREAM, digest=digest, size=size))


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_named(layout: Layout, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    layout.add(opener_of(b"begin"))

    def refuse(fd: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for use in (lambda: layout.push(BLOB, opener_of(DATA)), lambda: layout.add(opener_of(DATA))):
        with pytest.raises(StoreError, match="cannot be locked") as caught:
            use()
        assert "local disk" in caught.value.hint
    with pytest.raises(StoreError, match="cannot be locked"), layout.lease():
        pass
    assert _ingest(layout) == []


@settings(max_examples=40, deadline=None)
@given(
    data=st.binary(max_size=300),
    left=st.binary(max_size=300),
    good=st.integers(0, 300),
    fail_at=st.none() | st.integers(0, 300),
)
def test_whatever_was_left_and_wherever_it_fails(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, left: bytes, good: int, fail_at: int | None
) -> None:
    layout = Layout(tmp_path_factory.mktemp("layouts") / "store")
    descriptor = blob_of(data)
    layout.add(opener_of(b"begin"))
    partial = layout.path / "ingest" / f"sha256-{descriptor.digest.hex}.part"
    partial.write_bytes(data[:good] + left)
    try:
        layout.push(descriptor, Source(data, fail_at))
    except ConnectionResetError:
        assert not layout.exists(descriptor)
        layout.push(descriptor, Source(data))
    assert fetch_bytes(layout, descriptor) == data
    assert not partial.exists()
