"""Unpacking believes neither the bundle nor what stands in the target folder."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from kitpack.artifact.decompress import Limits
from kitpack.artifact.select import Selection
from kitpack.artifact.unpacking import staging as staging_module
from kitpack.artifact.unpacking.install import is_moving
from kitpack.artifact.unpacking.installed import RECORD_NAME, Installed
from kitpack.artifact.unpacking.staging import staged_beside
from kitpack.artifact.unpacking.unpack import unpack
from kitpack.errors import FileConflictError, StoreError, UnpackError, UnreachableError, UnsafePathError
from kitpack.oci.digest import Digest
from tests.support import tars
from tests.support.packing import layered, write_files
from tests.support.snapshots import snapshot
from tests.support.sources import Watched
from tests.support.versions import RAW, STAGING, TAR, through

GZIP = f"{RAW}+gzip"


class Killed(BaseException):
    """Ends a process so suddenly that it cannot tidy up."""


def _killed(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], at: Callable[[Path, Path], bool]) -> None:
    """Do something until a certain rename is about to happen, and leave everything as it is then."""
    real = Path.rename
    dead = False

    def rename(self: Path, target: Path) -> Path:
        nonlocal dead
        dead = dead or at(self, target)
        if dead:
            raise Killed
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        _spare(patch, STAGING)
        with pytest.raises(Killed):
            act()


def _spare(patch: pytest.MonkeyPatch, *names: str) -> None:
    """Remove no folders of these names."""
    real = shutil.rmtree

    def rmtree(path: Path, *, ignore_errors: bool) -> None:
        if not path.name.startswith(names):
            real(path, ignore_errors=ignore_errors)

    patch.setattr(shutil, "rmtree", rmtree)


def _is_record(source: Path, target: Path) -> bool:
    return target.name == RECORD_NAME and STAGING not in target.parts


def test_what_an_earlier_unpack_displaced_never_comes_back(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed when all was done but the tidying up, and again in the middle of the next unpack."""
    first, second = layered(("f", b"one", RAW), ("d/in", b"in", RAW)), layered(("f", b"two", RAW), ("d", b"2", RAW))
    third = layered(("f", b"two", RAW), ("d", b"2", RAW), ("g", b"three", RAW))
    unpack(first, target)
    with monkeypatch.context() as patch:
        _spare(patch, STAGING)
        unpack(second, target)
    staging = target / STAGING
    assert (staging / "moving.json").exists()
    done = snapshot(target, STAGING)
    _killed(monkeypatch, lambda: unpack(third, target), _is_record)
    assert is_moving(staging)
    with pytest.raises(UnreachableError):
        unpack(through(third, Watched(third.source, fail_at=2, failure=lambda: UnreachableError("gone"))), target)
    assert snapshot(target, STAGING) == done
    unpack(third, target)
    assert {path: data for path, (_, _, data) in snapshot(target, RECORD_NAME).items()} == {
        "f": b"two",
        "d": b"2",
        "g": b"three",
    }


def test_a_displaced_folder_that_cannot_be_removed_does_no_harm(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = layered(("f", b"one", RAW)), layered(("f", b"two", RAW))
    unpack(first, target)
    with monkeypatch.context() as patch:
        _spare(patch, STAGING, "displaced")
        unpack(second, target)
        real = Path.rename

        def rename(self: Path, place: Path) -> Path:
            if _is_record(self, place) and self.parent.name == "tree":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(self, place)

        patch.setattr(Path, "rename", rename)
        with pytest.raises(OSError, match="Input/output"):
            unpack(layered(("f", b"two", RAW), ("g", b"three", RAW)), target)
    assert (target / "f").read_bytes() == b"two"


def test_a_staged_blob_is_proven_again(target: Path) -> None:
    good, other = b"trusted weights!", b"EVIL___ weights!"
    target.mkdir()
    blob = target / STAGING / "blobs" / "sha256" / Digest.of_bytes(good).hex
    write_files(target, {str(blob.relative_to(target)): other})
    unpack(layered(("model.bin", good, RAW)), target)
    assert (target / "model.bin").read_bytes() == good


@pytest.mark.parametrize("exists", [False, True])
def test_the_staging_folder_is_private(target: Path, exists: bool) -> None:
    bundle = layered(("a", b"a", RAW), ("b", b"b", RAW))
    if exists:
        target.mkdir()
    source = Watched(bundle.source, fail_at=3, failure=lambda: UnreachableError("gone"))
    with pytest.raises(UnreachableError):
        unpack(through(bundle, source), target, jobs=1)
    staging = target / STAGING if exists else staged_beside(target)
    assert staging.stat().st_mode & 0o777 == 0o700
    unpack(bundle, target)
    assert not staging.exists()
    assert target.stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("kind", ["link", "dangling link", "file"])
def test_what_stands_in_the_place_of_the_staging_folder_is_refused(
    tmp_path: Path, target: Path, kind: str, exists: bool
) -> None:
    victim = write_files(tmp_path / "victim", {"tree/mine": b"mine", "lock": b""})
    if exists:
        target.mkdir()
    staging = target / STAGING if exists else staged_beside(target)
    if kind == "file":
        staging.write_bytes(b"mine")
    else:
        staging.symlink_to(victim if kind == "link" else "gone")
    before = snapshot(tmp_path)
    with pytest.raises(FileConflictError, match="staging") as caught:
        unpack(layered(("a", b"a", RAW)), target)
    assert caught.value.hint
    assert snapshot(tmp_path) == before


def test_a_staging_folder_of_somebody_else_is_refused(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (target / STAGING).mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: (target / STAGING).stat().st_uid + 1)
    with pytest.raises(FileConflictError, match="not a folder of yours"):
        unpack(layered(("a", b"a", RAW)), target)
    assert (target / STAGING).is_dir()


NAME = "displaced-0123456789abcdef"
JOURNAL: dict[str, object] = {"displaced": NAME, "paths": ["new"], "made": [], "modes": {"kept": 0o640}}
BAD_JOURNALS: dict[str, bytes] = {
    "a path upwards": json.dumps({**JOURNAL, "paths": ["../victim/secret"]}).encode(),
    "an absolute path": json.dumps({**JOURNAL, "paths": ["/etc/passwd"]}).encode(),
    "a path oddly spelt": json.dumps({**JOURNAL, "paths": ["./new"]}).encode(),
    "modes upwards": json.dumps({**JOURNAL, "modes": {"../victim/secret": 0o777}}).encode(),
    "folders upwards": json.dumps({**JOURNAL, "made": ["../victim/empty"]}).encode(),
    "through a link": json.dumps({**JOURNAL, "paths": ["way/secret"]}).encode(),
    "modes through a link": json.dumps({**JOURNAL, "modes": {"way/secret": 0o777}}).encode(),
    "displaced elsewhere": json.dumps({**JOURNAL, "displaced": "../../victim"}).encode(),
    "no displaced": json.dumps({**JOURNAL, "displaced": None}).encode(),
    "paths no list": json.dumps({**JOURNAL, "paths": "new"}).encode(),
    "paths no text": json.dumps({**JOURNAL, "paths": [1]}).encode(),
    "modes text": json.dumps({**JOURNAL, "modes": {"kept": "0777"}}).encode(),
    "nothing": b"",
    "no object": b"[]",
}


def _forged(tmp_path: Path, target: Path, journal: bytes) -> None:
    write_files(tmp_path / "victim", {"secret": b"secret"})
    (tmp_path / "victim" / "empty").mkdir()
    (tmp_path / "victim" / "secret").chmod(0o600)
    write_files(target, {"kept": b"kept", "new": b"mine"})
    (target / "way").symlink_to(tmp_path / "victim")
    staging = target / STAGING
    write_files(staging, {"moving.json": journal, f"tree/{RECORD_NAME}": b"{}"})


@pytest.mark.parametrize("journal", BAD_JOURNALS.values(), ids=BAD_JOURNALS)
def test_a_journal_that_kitpack_did_not_write_moves_nothing(tmp_path: Path, target: Path, journal: bytes) -> None:
    _forged(tmp_path, target, journal)
    before = snapshot(tmp_path)
    with pytest.raises(StoreError, match="unfinished") as caught:
        unpack(layered(("a", b"a", RAW)), target)
    assert STAGING in caught.value.hint
    assert {**snapshot(tmp_path), f"target/{STAGING}/lock": None} == {**before, f"target/{STAGING}/lock": None}


def test_displaced_files_do_not_come_back_through_a_link(tmp_path: Path, target: Path) -> None:
    _forged(tmp_path, target, json.dumps(JOURNAL).encode())
    write_files(target / STAGING / NAME, {"way/payload": b"evil"})
    with pytest.raises(StoreError, match="is a link"):
        unpack(layered(("a", b"a", RAW)), target)
    assert not (tmp_path / "victim" / "payload").exists()


def test_a_journal_sets_permission_bits_and_nothing_more(tmp_path: Path, target: Path) -> None:
    _forged(tmp_path, target, json.dumps({**JOURNAL, "paths": [], "modes": {"kept": 0o106755}}).encode())
    with suppress(FileConflictError):
        unpack(layered(("kept", b"other", RAW)), target)
    assert (target / "kept").stat().st_mode & 0o7777 == 0o755


def test_compressed_files_are_kept_under_their_own_path_only(target: Path) -> None:
    blob = gzip.compress(b"weights" * 10, mtime=0)
    unpack(layered(("old.bin", blob, GZIP)), target)
    done = unpack(layered(("new.bin", blob, GZIP)), target)
    assert (done.written, done.removed) == (("new.bin",), ("old.bin",))
    both = layered(("new.bin", blob, GZIP), ("copy.bin", blob, GZIP))
    assert unpack(both, target).kept == ("new.bin",)
    assert unpack(both, target).written == ()
    assert {path: data for path, (_, _, data) in snapshot(target, RECORD_NAME).items()} == dict.fromkeys(
        ["new.bin", "copy.bin"], b"weights" * 10
    )


def test_a_small_blob_under_very_many_paths_is_refused(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_module, "DEFAULT_LIMITS", Limits(bundle_ratio_from=1 << 20))
    blob = gzip.compress(bytes(100 << 10), mtime=0)
    few = layered(*((f"m/{number}", blob, GZIP) for number in range(10)))
    assert len(unpack(few, target).written) == 10
    before = snapshot(target)
    for many in (
        layered(*((f"m/{number}", blob, GZIP) for number in range(100))),
        layered(*((f"n/{number}", bytes(10 << 10), RAW) for number in range(1000))),
        layered(
            *((f"n/{number}", b"%d" % number, RAW) for number in range(10)), ("z", gzip.compress(bytes(9 << 20)), GZIP)
        ),
        layered(("t", gzip.compress(tars.file(b"a", bytes(9 << 20)) + tars.END), f"{TAR}+gzip")),
    ):
        with pytest.raises(UnpackError, match="the bundle's"):
            unpack(many, target)
        assert snapshot(target) == before


def test_the_members_of_all_archives_count_together(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_module, "DEFAULT_LIMITS", Limits(members=50))

    def archive(name: bytes) -> bytes:
        return b"".join(tars.file(b"%s%d" % (name, number)) for number in range(20)) + tars.END

    with pytest.raises(UnpackError, match="50 files"):
        unpack(layered(*((f"{name}", archive(name.encode()), TAR) for name in "abc")), target)
    assert not target.exists()
    assert len(unpack(layered(*((f"{name}", archive(name.encode()), TAR) for name in "ab")), target).written) == 40


@pytest.mark.parametrize("path", ["bot/.kitpack-staging/moving.json", "bot/.kitpack.json", "a/b/.KITPACK-x/y"])
def test_no_bundle_prepares_the_next_unpack_below_it(target: Path, path: str) -> None:
    with pytest.raises(UnsafePathError):
        unpack(layered((path, b"x", RAW)), target)
    with pytest.raises(UnsafePathError):
        unpack(layered(("code", tars.file(path.encode(), b"x") + tars.END, TAR)), target)
    assert not target.exists()


def _adopted(target: Path) -> set[str]:
    record = Installed.load(target)
    assert record is not None
    return {path for path, file in record.files.items() if file.adopted}


def test_a_file_that_the_user_had_already_is_not_removed_with_a_version(target: Path) -> None:
    archive = tars.file(b"d/one", b"1") + tars.file(b"d/two", b"2") + tars.END
    first = layered(("mine", b"same", RAW), ("theirs", b"x", RAW), ("d", archive, TAR))
    second = layered(("other", b"y", RAW))
    write_files(target, {"mine": b"same", "d/one": b"1"})
    unpack(first, target)
    assert _adopted(target) == {"mine", "d/one"}
    assert unpack(first, target).written == ()
    assert _adopted(target) == {"mine", "d/one"}
    assert unpack(second, target).removed == ("d/two", "theirs")
    assert set(snapshot(target)) == {"mine", "d", "d/one", "other", RECORD_NAME}
    assert _adopted(target) == set()
    record = Installed.load(target)
    assert record is not None
    assert set(record.files) == {"other"}


def test_whoever_overwrites_gives_the_files_over(target: Path) -> None:
    write_files(target, {"mine": b"same"})
    unpack(layered(("mine", b"same", RAW)), target, overwrite=True)
    assert unpack(layered(("other", b"y", RAW)), target).removed == ("mine",)


def test_a_part_leaves_alone_what_was_adopted(target: Path) -> None:
    write_files(target, {"mine": b"same"})
    unpack(layered(("mine", b"same", RAW), ("a", b"a", RAW)), target)
    unpack(layered(("a", b"b", RAW)), target, only=Selection.parse(["a"]))
    assert _adopted(target) == {"mine"}


def test_a_mount_point_in_the_folder_is_an_error_in_words(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by its device before anything is fetched."""
    write_files(target, {"model/mine": b"mine"})
    real = Path.lstat

    def lstat(self: Path) -> os.stat_result:
        found = real(self)
        return os.stat_result([*found[:2], found.st_dev + 1, *found[3:]]) if self == target / "model" else found

    bundle = layered(("model/w", b"w", RAW), ("q", b"q", RAW))
    source = Watched(bundle.source)
    before = snapshot(target)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "lstat", lstat)
        with pytest.raises(UnpackError, match="model is on another file system"):
            unpack(through(bundle, source), target)
    assert source.total == 1
    assert snapshot(target) == before


def test_a_mount_of_the_same_device_is_an_error_in_words_too(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(target, {"model/mine": b"mine"})
    before = snapshot(target)
    real = Path.rename

    def rename(self: Path, place: Path) -> Path:
        if place.parent == target / "model":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(self), None, str(place))
        return real(self, place)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(UnpackError, match="model/w is on another file system") as caught:
            unpack(layered(("a", b"a", RAW), ("model/w", b"w", RAW)), target)
    assert "mount" in caught.value.hint
    assert snapshot(target) == before
