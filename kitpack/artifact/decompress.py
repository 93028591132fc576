"""Taking layers out of their compression without trusting them.

kitpack writes no compressed layers, but it reads what other tools wrote: ``+gzip`` and ``+zstd`` of KitOps, ModelPack
and OCI images, and Docker's ``.tar.gzip``.

Specs: RFC 1952 (gzip), RFC 8878 (zstd), RFC 6838 section 4.2.8 (suffixes of media types)
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

from kitpack.content.verify import BlockStream, Readable
from kitpack.errors import IntegrityError, UnpackError, UnsupportedError
from kitpack.oci.digest import BLOCK

__all__ = ["DEFAULT_LIMITS", "Limits", "decompressed", "is_archive", "is_compressed"]

_MAX_WINDOW = 128 << 20
_SUFFIXES = {"gzip": "gzip", "gz": "gzip", "zstd": "zstd", "zst": "zstd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a layer, or a bundle, may grow into while it is unpacked.

    Attributes:
        total_bytes: Bytes of one layer, decompressed.
        file_bytes: Bytes of one file in an archive.
        members: Files and folders of one archive, with the folders that only paths name.
        trailing_bytes: Bytes after an archive's end marker; tools pad with zeros there.
        ratio: Decompressed bytes for each compressed one; gzip cannot do more than 1032.
        ratio_from: Decompressed bytes below which the ratio does not matter.
        bundle_ratio: Bytes of all files of a bundle for each byte of its blobs, each blob counted once; text shrinks to
            a tenth, weights hardly at all.
        bundle_ratio_from: Bytes of files beyond which that ratio begins to matter.
    """

    total_bytes: int = 4 << 40
    file_bytes: int = 4 << 40
    members: int = 1_000_000
    trailing_bytes: int = 16 << 20
    ratio: int = 1000
    ratio_from: int = 100 << 20
    bundle_ratio: int = 100
    bundle_ratio_from: int = 1 << 30


DEFAULT_LIMITS = Limits()


def is_archive(media_type: str) -> bool:
    """Whether layers of this media type hold a tar archive, compressed or not, instead of one file.

    Raises:
        UnsupportedError: When it is compressed in a way kitpack cannot read.
    """
    return _parse(media_type)[0]


def is_compressed(media_type: str) -> bool:
    """Whether layers of this media type have to be decompressed.

    Raises:
        UnsupportedError: As :func:`is_archive`.
    """
    return bool(_parse(media_type)[1])


def decompressed(stream: Readable, media_type: str, limits: Limits = DEFAULT_LIMITS) -> Readable:
    """The content of a layer.

    Args:
        stream: The layer's bytes from their beginning. It stays the caller's to drain and to close.
        media_type: What the manifest calls them.
        limits: What is too much.

    Returns:
        The stream itself when the media type names no compression, else a stream of what is inside. Reading that to
        its end proves the checksums and that nothing follows the last frame. It raises :class:`IntegrityError` for
        damage and :class:`UnpackError` when there is more inside than the limits allow.

    Raises:
        UnsupportedError: When the media type names a compression kitpack cannot read.
    """
    match _parse(media_type)[1]:
        case "gzip":
            codec = _gzip()
        case "zstd":
            codec = _zstd()
        case _:
            return stream
    return io.BufferedReader(BlockStream(_bounded(stream, codec, limits)), BLOCK)


class _Decoder(Protocol):
    """Decodes one gzip member or zstd frame: what ``zlib`` and ``zstandard`` have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Codec:
    """A compression: its name, a fresh decoder, what that raises, and how many bytes to give it at a time.

    A decoder returns all that its input gives at once, so the step bounds memory: 32 MiB for the worst input.
    """

    name: str
    decoder: Callable[[], _Decoder]
    error: type[Exception]
    step: int


def _gzip() -> _Codec:
    return _Codec(name="gzip", decoder=lambda: zlib.decompressobj(wbits=31), error=zlib.error, step=16 << 10)


def _zstd() -> _Codec:
    import zstandard

    context = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    return _Codec(name="zstd", decoder=context.decompressobj, error=zstandard.ZstdError, step=1 << 10)


def _bounded(stream: Readable, codec: _Codec, limits: Limits) -> Generator[bytes, None, None]:
    consumed = produced = 0
    for used, block in _frames(stream, codec):
        consumed += used
        produced += len(block)
        if produced > limits.total_bytes:
            raise UnpackError(f"the {codec.name} layer holds more than the {limits.total_bytes} bytes allowed")
        if produced > max(limits.ratio_from, limits.ratio * consumed):
            raise UnpackError(
                f"the {codec.name} layer grows from {consumed} to more than {produced} bytes; "
                f"at most {limits.ratio} times its size is allowed"
            )
        yield block


def _frames(stream: Readable, codec: _Codec) -> Iterator[tuple[int, bytes]]:
    """Decode frame after frame: how many bytes went in, and what came out."""
    decoder = codec.decoder()
    try:
        for data in _steps(stream, codec.step):
            rest = data
            while rest:
                decoder = codec.decoder() if decoder.eof else decoder
                block = decoder.decompress(rest)
                left = decoder.unused_data if decoder.eof else b""
                yield len(rest) - len(left), block
                rest = left
    except codec.error as error:
        raise IntegrityError(f"the layer is not intact {codec.name}: {error}") from None
    if not decoder.eof:
        raise IntegrityError(f"the {codec.name} layer ends in the middle")


def _steps(stream: Readable, step: int) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        for start in range(0, len(block), step):
            yield block[start : start + step]


def _parse(media_type: str) -> tuple[bool, str]:
    """Whether a media type is that of an archive, and its compression or an empty string."""
    name, _, suffix = media_type.partition(";")[0].strip().lower().rpartition("/")[2].partition("+")
    stem, _, ending = name.rpartition(".")
    if not suffix and ending in _SUFFIXES and _ends_in(stem, "tar"):
        name, suffix = stem, ending  # Docker's way to say it
    archive = _ends_in(name, "tar")
    if suffix and suffix not in _SUFFIXES and (archive or _ends_in(name, "raw")):
        raise UnsupportedError(f"{media_type}: expected gzip, zstd or no compression, found {suffix!r}")
    return archive, _SUFFIXES.get(suffix, "")


def _ends_in(name: str, form: str) -> bool:
    return name in (form, f"x-{form}") or name.endswith(f".{form}")
