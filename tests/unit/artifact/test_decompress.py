from __future__ import annotations

import gzip
import io
import random
import struct

import pytest
import zstandard

from kitpack.artifact.decompress import Limits, decompressed, is_archive
from kitpack.errors import IntegrityError, UnpackError, UnsupportedError

GZIP = "application/vnd.kitops.modelkit.dataset.v1.tar+gzip"
ZSTD = "application/vnd.kitops.modelkit.model.v1.raw+zstd"
DATA = random.Random(7).randbytes(300_000) + b"the same " * 200_000


def _pack(media_type: str, data: bytes) -> bytes:
    return gzip.compress(data) if media_type == GZIP else zstandard.ZstdCompressor(write_checksum=True).compress(data)


def _unpack(data: bytes, media_type: str, limits: Limits | None = None) -> bytes:
    stream = decompressed(io.BytesIO(data), media_type, limits or Limits())
    return b"".join(iter(lambda: stream.read(99_999), b""))


@pytest.mark.parametrize(
    ("media_type", "archive", "compressed"),
    [
        ("application/vnd.kitops.modelkit.model.v1.tar", True, False),
        ("application/vnd.kitops.modelkit.model.v1.raw", False, False),
        ("application/vnd.kitops.modelkit.modelpart.v1.tar+gzip", True, True),
        ("application/vnd.kitops.modelkit.docs.v1.raw+gzip", False, True),
        ("application/vnd.jozu.model.content.v1.tar+gzip", True, True),
        ("application/vnd.cncf.model.weight.v1.raw", False, False),
        ("application/vnd.cncf.model.weight.config.v1.tar+gzip", True, True),
        ("application/vnd.cncf.model.weight.v1.gguf", False, False),
        ("application/vnd.oci.image.layer.v1.tar", True, False),
        ("application/vnd.oci.image.layer.v1.tar+gzip", True, True),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", True, True),
        ("application/vnd.docker.ai.dir.tar", True, False),
        ("application/x-tar", True, False),
        ("application/tar+gzip", True, True),
        ("Application/X.TAR+GZIP; charset=binary", True, True),
        ("application/vnd.docker.ai.gguf.v3", False, False),
        ("application/json", False, False),
        ("application/vnd.cncf.model.manifest.v1+json", False, False),
        ("application/guitar", False, False),
        ("text/markdown", False, False),
        ("", False, False),
    ],
)
def test_media_types(media_type: str, archive: bool, compressed: bool) -> None:
    assert is_archive(media_type) is archive
    assert _unpack(gzip.compress(b"abc") if compressed else b"abc", media_type) == b"abc"


@pytest.mark.parametrize("suffix", ["xz", "bzip2", "lz4", "encrypted", "gzip+encrypted"])
def test_other_compressions_are_named_not_guessed(suffix: str) -> None:
    for form in ("tar", "raw"):
        media_type = f"application/vnd.oci.image.layer.v1.{form}+{suffix}"
        with pytest.raises(UnsupportedError, match=suffix.replace("+", ".")):
            is_archive(media_type)
        with pytest.raises(UnsupportedError):
            decompressed(io.BytesIO(), media_type)


@pytest.mark.parametrize("media_type", [GZIP, ZSTD])
@pytest.mark.parametrize("data", [b"", b"x", DATA], ids=["nothing", "a byte", "much"])
def test_round_trip(media_type: str, data: bytes) -> None:
    assert _unpack(_pack(media_type, data), media_type) == data


@pytest.mark.parametrize("media_type", [GZIP, ZSTD])
def test_several_frames_are_one_stream(media_type: str) -> None:
    packed = b"".join(_pack(media_type, part) for part in (DATA, b"", b"end"))
    assert _unpack(packed, media_type) == DATA + b"end"


def test_skippable_zstd_frames_are_skipped() -> None:
    skippable = struct.pack("<II", 0x184D2A53, 4) + b"note"
    assert _unpack(skippable + _pack(ZSTD, b"abc") + skippable, ZSTD) == b"abc"


@pytest.mark.parametrize("media_type", [GZIP, ZSTD])
@pytest.mark.parametrize("tail", [b"\0", b"garbage", bytes(512), b"\x1f\x8b", b"\x28\xb5"])
def test_trailing_garbage_is_refused(media_type: str, tail: bytes) -> None:
    with pytest.raises(IntegrityError):
        _unpack(_pack(media_type, DATA) + tail, media_type)


@pytest.mark.parametrize("media_type", [GZIP, ZSTD])
def test_every_truncation_is_noticed(media_type: str) -> None:
    packed = _pack(media_type, b"some text, " * 5)
    for length in range(len(packed)):
        with pytest.raises(IntegrityError):
            _unpack(packed[:length], media_type)


@pytest.mark.parametrize("media_type", [GZIP, ZSTD])
def test_damage_is_noticed(media_type: str) -> None:
    packed = bytearray(_pack(media_type, DATA))
    packed[len(packed) // 2] ^= 1
    with pytest.raises(IntegrityError):
        _unpack(bytes(packed), media_type)
    other = GZIP if media_type == ZSTD else ZSTD
    with pytest.raises(IntegrityError, match="not intact"):
        _unpack(_pack(other, DATA), media_type)


def test_a_huge_zstd_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, compression_level=1)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(IntegrityError, match="memory"):
        _unpack(packer.compress(b"abc") + packer.flush(), ZSTD)


@pytest.mark.parametrize("media_type", [GZIP, ZSTD])
def test_bombs_are_refused(media_type: str) -> None:
    packed = _pack(media_type, bytes(8 << 20))
    limits = Limits(ratio=100, ratio_from=1 << 20)
    with pytest.raises(UnpackError, match="at most 100 times"):
        _unpack(packed, media_type, limits)
    with pytest.raises(UnpackError, match="more than the 8388607 bytes"):
        _unpack(packed, media_type, Limits(total_bytes=(8 << 20) - 1))
    assert len(_unpack(packed, media_type, Limits(total_bytes=8 << 20, ratio_from=8 << 20))) == 8 << 20


def test_a_default_bomb_is_stopped_after_a_hundred_mebibytes() -> None:
    packed = zstandard.ZstdCompressor().compress(bytes(256 << 20))
    stream = decompressed(io.BytesIO(packed), ZSTD)
    sizes: list[int] = []
    with pytest.raises(UnpackError, match="at most 1000 times"):
        sizes.extend(map(len, iter(lambda: stream.read(1 << 20), b"")))
    assert sum(sizes) <= 100 << 20


def test_nothing_to_decompress_is_passed_through() -> None:
    source = io.BytesIO(b"abc")
    assert decompressed(source, "application/vnd.cncf.model.weight.v1.raw") is source


def test_the_callers_stream_stays_open() -> None:
    source = io.BytesIO(_pack(GZIP, b"abc"))
    stream = decompressed(source, GZIP)
    assert stream.read(100) == b"abc"
    del stream
    assert not source.closed
