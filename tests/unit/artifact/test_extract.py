from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable

import pytest

from kitpack.artifact.decompress import Limits, decompressed
from kitpack.artifact.extract import read_members
from kitpack.content.verify import VerifyingStream
from kitpack.errors import IntegrityError, UnpackError, UnsafePathError
from kitpack.oci.descriptor import Descriptor
from tests.support.tars import END, GNU, file, folder, header, long_name, padded, pax, record

V7 = bytes(8)


def _read(archive: bytes, limits: Limits | None = None) -> dict[str, bytes | None]:
    return {
        one.path: one.stream.read() if one.is_file else None
        for one in read_members(io.BytesIO(archive), limits or Limits())
    }


class _Trickle(io.BytesIO):
    """Gives a few bytes at a time, as sockets do, and cannot seek."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(7, size if size is not None and size >= 0 else 7))

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0, /) -> int:
        raise AssertionError("an archive is read in one pass")


ACCEPTED = {
    "ustar": (file(b"a", b"x"), {"a": b"x"}),
    "prefix": (file(b"b", b"x", prefix=b"a"), {"a/b": b"x"}),
    "full prefix and name": (file(b"n" * 100, b"x", prefix=b"p" * 155), {"p" * 155 + "/" + "n" * 100: b"x"}),
    "old V7": (file(b"a", b"x", magic=V7, kind=b"\0", prefix=b"rubbish"), {"a": b"x"}),
    "old V7 folder": (header(b"a/", kind=b"\0", magic=V7), {"a": None}),
    "GNU": (file(b"a", b"x", magic=GNU, prefix=b"times stand here"), {"a": b"x"}),
    "GNU long name": (long_name(b"d/" * 100 + b"a") + file(b"d/d", b"x", magic=GNU), {"d/" * 100 + "a": b"x"}),
    "pax path": (pax(record("path", "模/板")) + file(b"x", b"x"), {"模/板": b"x"}),
    "pax path over a cut name": (pax(record("path", "é")) + file("é".encode()[:1], b"x"), {"é": b"x"}),
    "pax header of any name": (header(b"\xff", 11, b"x") + padded(record("path", "ab")) + file(b"x"), {"ab": b""}),
    "pax negative time": (pax(record("mtime", "-1.5")) + file(b"a", b"x"), {"a": b"x"}),
    "pax unknown keys": (pax(record("SCHILY.xattr.user.x", "\n=") + record("comment", "")) + file(b"a"), {"a": b""}),
    "pax equal size": (pax(record("size", "1")) + file(b"a", b"x"), {"a": b"x"}),
    "folders": (folder(b"a") + file(b"a/b") + folder(b"a/c/"), {"a": None, "a/b": b"", "a/c": None}),
    "the packed folder itself": (folder(b"./") + file(b"./a", b"x"), {"a": b"x"}),
    "sloppy name": (file(b".//a/./b", b"x"), {"a/b": b"x"}),
    "binary size": (header(b"a", size_field=b"\x80" + bytes(10) + b"\1") + padded(b"x"), {"a": b"x"}),
    "blank numbers": (header(b"a", size_field=b" " * 10 + b"0 ", mode=b"   644 \0"), {"a": b""}),
    "signed checksum": (header("é".encode(), signed=True), {"é": b""}),
    "nested archive": (file(b"a.tar", file(b"../x") + END), {"a.tar": file(b"../x") + END}),
    "nothing": (b"", {}),
}


@pytest.mark.parametrize(("archive", "expected"), ACCEPTED.values(), ids=ACCEPTED)
@pytest.mark.parametrize("kind", [io.BytesIO, _Trickle])
def test_what_honest_tools_write(
    archive: bytes, expected: dict[str, bytes | None], kind: Callable[[bytes], io.BytesIO]
) -> None:
    assert _read(archive + END) == expected
    members = read_members(kind(archive + END))
    assert {one.path: one.stream.read() if one.is_file else None for one in members} == expected


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_formats_of_the_standard_library(form: int) -> None:
    name = "d/" * 60 + "name" if form == tarfile.USTAR_FORMAT else "d/" * 150 + "模"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = 3, 1 if form == tarfile.USTAR_FORMAT else -1, 0o600
        archive.addfile(info, io.BytesIO(b"abc"))
    assert _read(buffer.getvalue()) == {name: b"abc"}


HOSTILE_NAMES = [
    b"/etc/passwd",
    b"..",
    b"../x",
    b"a/../../b",
    b"C:\\x",
    b"C:/x",
    b"\\\\server\\x",
    b"~/x",
    b"",
    b".",
    b"a\nb",
    b"\x1b[2J",
    "a\u202eb".encode(),
    b"\xff",
    b"\xed\xa0\x80",
    b".git/hooks/pre-commit",
    b".ssh/authorized_keys",
    b".kitpack.json",
    b"a/",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize(
    "spell",
    [
        lambda name: file(name, b"x"),
        lambda name: long_name(name) + file(b"x", b"x", magic=GNU),
        lambda name: pax(record("path", name.decode("utf-8", "surrogateescape"))) + file(b"x", b"x"),
    ],
    ids=["name field", "GNU long name", "pax path"],
)
def test_hostile_names(name: bytes, spell: Callable[[bytes], bytes]) -> None:
    with pytest.raises((UnsafePathError, IntegrityError)) as caught:
        _read(spell(name) + END)
    assert str(caught.value).isprintable()


def test_a_name_too_long_for_any_system() -> None:
    with pytest.raises(UnsafePathError, match="255 bytes"):
        _read(long_name(b"x" * 256) + file(b"x") + END)
    with pytest.raises(UnsafePathError, match="5001 bytes long"):
        _read(long_name(b"x/" * 2500 + b"x") + file(b"x") + END)


@pytest.mark.parametrize(
    ("kind", "called"),
    [
        (b"1", "a hard link"),
        (b"2", "a symbolic link"),
        (b"3", "a character device"),
        (b"4", "a block device"),
        (b"6", "a FIFO"),
        (b"7", "a contiguous file"),
        (b"D", "a GNU folder listing"),
        (b"K", "a long link name"),
        (b"M", "the continuation of a multi-volume archive"),
        (b"S", "a sparse file"),
        (b"V", "a volume label"),
        (b"g", "a pax global header"),
        (b"X", "of an unknown kind (X)"),
        (b"\x1b", r"of an unknown kind (\x1b)"),
    ],
)
def test_everything_but_files_and_folders_is_refused(kind: bytes, called: str) -> None:
    for archive in (header(b"d/evil", kind=kind, link=b"/etc/passwd"), pax(b"") + header(b"d/evil", kind=kind)):
        with pytest.raises(UnsafePathError) as caught:
            _read(archive + END)
        assert str(caught.value) == f"'d/evil' is {called}"


def test_a_link_is_refused_before_anything_can_be_written_through_it() -> None:
    archive = header(b"a", kind=b"2", link=b"/etc") + file(b"a/passwd", b"x") + END
    with pytest.raises(UnsafePathError, match="'a' is a symbolic link"):
        _read(archive)


@pytest.mark.parametrize("key", ["GNU.sparse.major", "GNU.sparse.map", "GNU.sparse.realsize"])
def test_sparse_files_in_disguise(key: str) -> None:
    with pytest.raises(UnsafePathError, match="'a' is a sparse file"):
        _read(pax(record(key, "1") + record("path", "a")) + file(b"x", b"x") + END)


@pytest.mark.parametrize("mode", [b"0004755\0", b"0002755\0", b"0001755\0", b"0107755\0"])
def test_only_permission_bits_survive(mode: bytes) -> None:
    for archive in (header(b"a", mode=mode), header(b"a", kind=b"5", mode=mode)):
        assert [one.mode for one in read_members(io.BytesIO(archive + END))] == [0o755]


DAMAGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "without an end marker"),
    "no end marker": (file(b"a", b"x"), "without an end marker"),
    "hole between members": (file(b"a") + bytes(512) + file(b"b") + END, "empty record between"),
    "not a tar": (b"hello world, " * 100, "checksum"),
    "wrong checksum": (header(b"a", checksum=b"000000\0 ") + END, "checksum"),
    "checksum of letters": (header(b"a", checksum=b"abcdef\0 ") + END, "checksum"),
    "huge binary checksum": (header(b"a", checksum=b"\x80" + b"\xff" * 7) + END, "checksum"),
    "negative binary size": (header(b"a", size_field=b"\xff" * 12) + END, "out of range"),
    "negative octal size": (header(b"a", size_field=b"-0000000001\0") + END, "out of range"),
    "size beyond 63 bits": (header(b"a", size_field=b"\x80" + b"\xff" * 11) + END, "out of range"),
    "size of letters": (header(b"a", size_field=b"0000000009\0\0") + END, "out of range"),
    "size with underscore": (header(b"a", size_field=b"0000000_1\0\0\0") + END, "out of range"),
    "mode of letters": (header(b"a", mode=b"rwxrwxrw") + END, "mode is out of range"),
    "size beyond the archive": (header(b"a", 5000) + padded(b"x") + END, "truncated"),
    "folder with content": (header(b"a", 512, b"5") + bytes(512) + END, "claims to hold 512 bytes"),
    "folder with pax size": (pax(record("size", "5")) + folder(b"a") + END, "two sizes"),
    "pax size below the header's": (pax(record("size", "0")) + file(b"a", file(b"b")) + END, "two sizes"),
    "pax size above the header's": (pax(record("size", "512")) + header(b"a") + bytes(512) + END, "two sizes"),
    "pax negative size": (pax(record("size", "-1")) + file(b"a") + END, "with the size '-1'"),
    "pax size of letters": (pax(record("size", "1e3")) + file(b"a") + END, "with the size '1e3'"),
    "pax size of exotic digits": (pax(record("size", "\u00b2")) + file(b"a") + END, "with the size"),
    "pax huge size": (pax(record("size", str(1 << 63))) + file(b"a") + END, "with the size"),
    "pax size of many digits": (pax(record("size", "9" * 5000)) + file(b"a") + END, "with the size"),
    "pax empty path": (pax(record("path", "")) + file(b"a") + END, "not a pax record"),
    "pax key twice": (pax(record("path", "b") * 2) + file(b"a") + END, "'path' twice"),
    "pax without length": (pax(b"path=b\n") + file(b"a") + END, "not a pax record"),
    "pax length 0": (pax(b"0 path=b\n") + file(b"a") + END, "not a pax record"),
    "pax length too small": (pax(b"3 path=b\n") + file(b"a") + END, "not a pax record"),
    "pax length too large": (pax(b"99 path=b\n") + file(b"a") + END, "not a pax record"),
    "pax length of many digits": (pax(b"9" * 5000 + b" path=b\n") + file(b"a") + END, "not a pax record"),
    "pax without newline": (pax(b"9 path=bc") + file(b"a") + END, "not a pax record"),
    "pax without key": (pax(b"5 =b\n") + file(b"a") + END, "not a pax record"),
    "pax without equals": (pax(b"7 path\n") + file(b"a") + END, "not a pax record"),
    "pax padded with zeros": (pax(record("path", "b") + b"\0") + file(b"a") + END, "not a pax record"),
    "pax belongs to nothing": (pax(record("path", "b")) + END, "belongs to no member"),
    "two extensions": (pax(record("path", "b")) + long_name(b"c") + file(b"a") + END, "belongs to no member"),
    "the same extension twice": (pax(record("path", "b")) * 2 + file(b"a") + END, "belongs to no member"),
}


@pytest.mark.parametrize(("archive", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damage_and_lies(archive: bytes, message: str) -> None:
    with pytest.raises(IntegrityError, match=message) as caught:
        _read(archive)
    assert str(caught.value).isprintable()


def test_every_truncation_is_noticed() -> None:
    archive = folder(b"d") + pax(record("path", "d/é")) + file(b"d/e", b"x" * 600) + file(b"z", b"y")
    for length in range(len(archive) + 512):
        with pytest.raises(IntegrityError):
            _read((archive + END)[:length])
    assert _read((archive + END)[: len(archive) + 512]) == {"d": None, "d/é": b"x" * 600, "z": b"y"}


CONFLICTS = {
    "file twice": (file(b"a", b"1") + file(b"a", b"2"), "twice"),
    "file twice, spelled differently": (file(b"a", b"1") + file(b"./a", b"2"), "twice"),
    "folder twice": (folder(b"a") + folder(b"a/"), "twice"),
    "file, then folder": (file(b"a") + folder(b"a"), "both a file and a folder"),
    "folder, then file": (folder(b"a") + file(b"a"), "both a file and a folder"),
    "file, then a file in it": (file(b"a") + file(b"a/b"), "both a file and a folder"),
    "a file in it, then the file": (file(b"a/b") + file(b"a"), "both a file and a folder"),
    "letters of other case": (file(b"a/B") + file(b"a/b"), "one and the same"),
    "folder of other case": (folder(b"A") + file(b"a/b"), "one and the same"),
}


@pytest.mark.parametrize(("archive", "message"), CONFLICTS.values(), ids=CONFLICTS)
def test_members_that_cannot_stand_side_by_side(archive: bytes, message: str) -> None:
    with pytest.raises(UnsafePathError, match=message):
        _read(archive + END)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(members=3), "more than the 3 files and folders"),
        (Limits(file_bytes=599), "600 bytes; at most 599"),
        (Limits(total_bytes=600), "more than the 600 bytes"),
    ],
)
def test_limits(limits: Limits, message: str) -> None:
    archive = file(b"a/b", b"x" * 600) + file(b"a/c", b"y") + file(b"a/d") + END
    assert len(_read(archive, Limits(members=4, file_bytes=600, total_bytes=601))) == 3
    with pytest.raises(UnpackError, match=message):
        _read(archive, limits)


def test_folders_that_only_paths_name_count() -> None:
    with pytest.raises(UnpackError, match="more than the 1000 files and folders"):
        _read(long_name(b"x/" * 1000 + b"a") + file(b"a") + END, Limits(members=1000))


def test_a_lie_about_a_large_size_costs_nothing() -> None:
    with pytest.raises(UnpackError, match="extension header of 8589934591 bytes"):
        _read(header(b"x", 8**11 - 1, b"x") + END)
    with pytest.raises(IntegrityError, match="truncated"):
        _read(pax(record("size", str(1 << 40))) + header(b"a") + END)
    with pytest.raises(UnpackError, match="at most"):
        _read(pax(record("size", str((1 << 63) - 1))) + header(b"a") + END)


def test_a_pax_header_of_very_many_records() -> None:
    data = b"".join(record(f"k{number}", "") for number in range(90_000))
    assert len(data) < 1 << 20
    assert _read(pax(data) + file(b"a") + END) == {"a": b""}


def test_what_follows_the_end_marker_is_read_but_bounded() -> None:
    archive = file(b"a", b"x") + END
    for tail in (bytes(10240), b"garbage", file(b"../evil", b"x")):
        stream = io.BytesIO(archive + tail)
        assert [one.path for one in read_members(stream)] == ["a"]
        assert stream.read() == b""
    with pytest.raises(UnpackError, match="long after its end marker"):
        _read(archive + bytes(1001), Limits(trailing_bytes=1000))


def test_members_are_bounded_and_need_not_be_read() -> None:
    archive = file(b"a", b"1" * 700) + file(b"b", b"2" * 700) + file(b"c", b"3" * 700) + END
    members = read_members(io.BytesIO(archive))
    first = next(members)
    assert first.stream.read(10) == b"1" * 10
    second = next(members)
    with pytest.raises(ValueError, match="closed"):
        first.stream.read(1)
    second.stream.close()
    assert next(members).stream.read(10_000) == b"3" * 700
    assert list(members) == []


def test_inside_compression_and_proof() -> None:
    blob = gzip.compress(file(b"a", b"x" * 5000) + file(b"b", b"y") + END)
    media_type = "application/vnd.oci.image.layer.v1.tar+gzip"
    descriptor = Descriptor.of_bytes(media_type, blob)

    def read(data: bytes) -> dict[str, bytes]:
        with VerifyingStream(io.BytesIO(data), descriptor) as proof:
            found = {one.path: one.stream.read() for one in read_members(decompressed(proof, media_type))}
            proof.drain()
        return found

    assert read(blob) == {"a": b"x" * 5000, "b": b"y"}
    for wrong in (blob[:-1], blob + b"x", blob[:-5] + b"\0" + blob[-4:]):
        with pytest.raises(IntegrityError):
            read(wrong)
