from __future__ import annotations

import io
from collections.abc import Generator

import pytest

from kitpack.content.verify import BlockStream, VerifyingStream
from kitpack.errors import IntegrityError
from kitpack.oci.descriptor import Descriptor

DATA = bytes(range(256)) * 5000
DESCRIPTOR = Descriptor.of_bytes("application/octet-stream", DATA)


def _proving(data: bytes) -> VerifyingStream:
    return VerifyingStream(io.BytesIO(data), DESCRIPTOR)


@pytest.mark.parametrize("size", [1, 511, 1 << 16, 1 << 20, 1 << 22])
def test_right_bytes_pass_in_any_step(size: int) -> None:
    with _proving(DATA) as proof:
        step = max(size, 4096)
        assert b"".join(iter(lambda: proof.read(step), b"")) == DATA
        assert proof.read(1) == b""


def test_drain_proves_what_nobody_read() -> None:
    with _proving(DATA) as proof:
        assert proof.read(3) == DATA[:3]
        proof.drain()
        assert proof.read(1) == b""


@pytest.mark.parametrize(
    "data",
    [b"", DATA[:-1], DATA + b"x", DATA * 2, b"x" + DATA[1:], DATA[:-1] + b"x"],
    ids=["nothing", "short", "long", "twice", "first byte", "last byte"],
)
def test_wrong_bytes_fail_however_they_are_read(data: bytes) -> None:
    with _proving(data) as proof, pytest.raises(IntegrityError):
        proof.drain()
    with io.BufferedReader(_proving(data)) as stream, pytest.raises(IntegrityError):
        stream.read()


def test_a_failure_never_turns_into_the_end() -> None:
    with _proving(DATA[:-1]) as proof:
        for _ in range(3):
            with pytest.raises(IntegrityError):
                proof.drain()
            with pytest.raises(IntegrityError):
                proof.readall()


def test_a_lost_connection_never_turns_into_the_end() -> None:
    class Lost(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("connection lost")

    with VerifyingStream(Lost(), DESCRIPTOR) as proof:
        for _ in range(2):
            with pytest.raises(OSError, match="connection lost"):
                proof.drain()


def test_closing_closes_the_source() -> None:
    source = io.BytesIO(DATA)
    proof = VerifyingStream(source, DESCRIPTOR)
    proof.close()
    proof.close()
    assert source.closed
    with pytest.raises(ValueError, match="closed"):
        proof.readinto(bytearray(1))
    with pytest.raises(ValueError, match="closed"):
        proof.drain()


def test_empty_blocks_are_not_the_end_and_closing_ends_the_producer() -> None:
    ended = []

    def blocks() -> Generator[bytes, None, None]:
        try:
            yield from (b"", b"ab", b"", b"", b"c")
        finally:
            ended.append(True)

    with BlockStream(blocks()) as stream:
        assert stream.read(3) == b"ab"
        assert stream.read(0) == b""
        assert not ended
    assert ended
    assert BlockStream(blocks()).readall() == b"abc"
