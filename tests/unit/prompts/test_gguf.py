"""Reading what a GGUF file says: whole files, damaged ones, and ones made to harm."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitpack.errors import IntegrityError, UnsupportedError
from kitpack.prompts.gguf import read_gguf, read_gguf_file
from tests.support.ggufs import Typed, entry, gguf, model_values, string

HUGE = (1 << 64) - 1
U64, U32 = struct.Struct("<Q").pack, struct.Struct("<I").pack


def read(raw: bytes, size: int | None = None, limit: int = 1 << 20) -> dict[str, object]:
    return dict(read_gguf(io.BytesIO(raw), len(raw) if size is None else size, limit))


@pytest.mark.parametrize("version", [2, 3])
def test_every_kind_of_value_is_read(version: int) -> None:
    values: dict[str, Typed] = {
        "a": "text",
        "b": 7,
        "c": True,
        "d": 0.5,
        "e": ["x", "", "ü"],
        "f": [1, -2],
        "g": [[1], []],
    }
    wanted = {**values, "e": ("x", "", "ü"), "f": (1, -2), "g": ((1,), ())}
    assert read(gguf(values, version=version)) == wanted


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (0, b"\xff", 255),
        (1, b"\xff", -1),
        (2, b"\xff\xff", 65535),
        (3, b"\xff\xff", -1),
        (4, b"\xff" * 4, (1 << 32) - 1),
        (5, b"\xff" * 4, -1),
        (6, struct.pack("<f", 0.25), 0.25),
        (7, b"\x00", False),
        (8, string(b"caf\xe9"), "caf\ufffd"),
        (10, b"\xff" * 8, HUGE),
        (11, b"\xff" * 8, -1),
        (12, struct.pack("<d", 0.1), 0.1),
    ],
)
def test_numbers_of_every_width(kind: int, raw: bytes, value: object) -> None:
    assert read(gguf([entry("k", kind, raw)])) == {"k": value}


class Slow(io.BytesIO):
    """Gives less than it is asked for, and counts what it gave."""

    given = 0

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(min(size or 0, 5))
        self.given += len(block)
        return block


def test_a_stream_may_give_less_than_it_is_asked_for() -> None:
    raw = gguf(model_values())
    assert dict(read_gguf(Slow(raw), len(raw))) == model_values()


def test_nothing_is_read_before_it_is_asked_for() -> None:
    raw = gguf(model_values(x__tokens=["token"] * 50_000))
    stream = io.BytesIO(raw)
    values = read_gguf(stream, len(raw))
    assert next(values) == ("general.architecture", "llama")
    assert stream.tell() <= 64 << 10 < len(raw)


def test_the_tensors_are_never_read() -> None:
    raw = gguf(model_values(), tail=b"")
    assert dict(read_gguf(io.BytesIO(raw), len(raw) + (4 << 40))) == model_values()


def test_a_file_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(model_values()))
    assert dict(read_gguf_file(path)) == model_values()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1; versions 2 and 3"),
        (b"GGUF" + struct.pack("<IQQ", 4, 0, 0), "version 4"),
        (b"GGUF" + struct.pack("<IQQ", 0, 0, 0), "version 0"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    ],
)
def test_other_versions_are_refused_in_words(raw: bytes, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        read(raw)


HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "another format": b"PK\x03\x04" + b"\0" * 40,
    "no room for a header": b"GGUF\x03\0\0\0",
    "more tensors than bytes": gguf({}, tensors=HUGE),
    "more keys than the limit": b"GGUF" + struct.pack("<IQQ", 3, 0, HUGE),
    "more keys than bytes": b"GGUF" + struct.pack("<IQQ", 3, 0, 3) + b"\0" * 10,
    "an endless key": gguf([U64(HUGE) + b"k" * 50]),
    "a key beyond the spec": gguf([entry("k" * 65536, 0, b"\0")]),
    "an endless string": gguf([entry("k", 8, U64(HUGE) + b"v" * 50)]),
    "a string beyond the end": gguf([entry("k", 8, U64(1000) + b"v" * 50)]),
    "an unknown type": gguf([entry("k", 13, b"\0" * 50)]),
    "an array of an unknown type": gguf([entry("k", 9, U32(99) + U64(0))]),
    "an endless array": gguf([entry("k", 9, U32(0) + U64(HUGE))]),
    "an array beyond the end": gguf([entry("k", 9, U32(8) + U64(1 << 20) + b"\0" * 50)]),
    "an array beyond the limit": gguf([entry("k", 9, U32(0) + U64((1 << 20) + 1) + b"\0" * ((1 << 20) + 1))]),
    "deep arrays": gguf([entry("k", 9, (U32(9) + U64(1)) * 50 + U32(0) + U64(0))]),
    "a key that stands twice": gguf([entry("k", 0, b"\0")] * 2),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_lies_is_refused(name: str) -> None:
    with pytest.raises(IntegrityError):
        read(HOSTILE[name], limit=4 << 20)


def test_what_lies_about_its_size_is_not_believed() -> None:
    raw = gguf([entry("k", 8, U64(1 << 21) + b"v")])
    with pytest.raises(IntegrityError, match="ends before"):
        read(raw, size=1 << 40, limit=4 << 20)


def test_every_cut_is_noticed() -> None:
    raw = gguf(model_values(x__list=["a", "b"]), tail=b"")
    for length in range(len(raw)):
        with pytest.raises(IntegrityError):
            read(raw[:length])
        with pytest.raises(IntegrityError):
            read(raw[:length], size=len(raw))


def test_no_more_is_read_than_the_limit() -> None:
    raw = gguf(model_values(x__tokens=["token"] * 50_000))
    stream = Slow(raw)
    with pytest.raises(IntegrityError, match="exceed the 1000 bytes"):
        dict(read_gguf(stream, len(raw), 1000))
    assert stream.given <= 1000


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_bytes_are_read_or_refused(tail: bytes, size: int) -> None:
    for raw in (tail, b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + tail):
        with contextlib.suppress(IntegrityError, UnsupportedError):
            read(raw, size=size)


@given(st.data())
def test_any_damage_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(gguf(model_values(x__list=["a", "b"], x__numbers=[1, 2], x__deep=[[1], [2]])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(IntegrityError, UnsupportedError):
        read(bytes(raw))
