"""Unpacking that fails: the folder is as it was."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.select import Selection
from kitpack.artifact.unpacking.unpack import unpack
from kitpack.errors import (
    IntegrityError,
    NotFoundError,
    UnpackError,
    UnreachableError,
    UnsafePathError,
)
from tests.support import tars
from tests.support.packing import layered, write_files
from tests.support.snapshots import snapshot
from tests.support.sources import Watched
from tests.support.versions import (
    RAW,
    STAGING,
    STATES,
    TAR,
    assert_equal,
    prepare,
    through,
)

FAILURES: dict[str, Callable[[], BaseException]] = {
    "disk": lambda: OSError(errno.ENOSPC, "No space left on device"),
    "connection": lambda: UnreachableError("gone"),
    "interrupt": KeyboardInterrupt,
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("short", [False, True])
def test_whatever_fetch_fails_the_folder_is_as_it_was(
    small_old: Bundle, small_new: Bundle, target: Path, state: str, failure: str, *, short: bool
) -> None:
    prepare(state, small_old, target)
    before = snapshot(target)
    failed = 0
    for number in range(2, 30):
        watched = Watched(small_new.source, fail_at=number, failure=FAILURES[failure], short=short)
        try:
            unpack(through(small_new, watched), target, jobs=2)
        except (OSError, UnreachableError, KeyboardInterrupt):
            failed += 1
        else:
            break
        assert target.exists() == (state != "new")
        assert snapshot(target, STAGING) == before
        if failure == "disk":
            assert snapshot(target) == before
            assert not [path for path in target.parent.iterdir() if path.name.startswith(STAGING)]
    assert failed >= 1
    assert {path: (target / path).read_text() for path in ("prompts/a.md", "code/swap")} == {
        "prompts/a.md": "second a\n",
        "code/swap": "now a file\n",
    }
    assert STAGING not in snapshot(target)


@pytest.mark.parametrize("state", STATES)
def test_one_wrong_byte_anywhere_and_nothing_is_written(
    small_old: Bundle, small_new: Bundle, target: Path, state: str
) -> None:
    prepare(state, small_old, target)
    before = snapshot(target)
    installed = {layer.descriptor.digest for layer in small_old.layers} if state.startswith("old") else set()
    for layer in small_new.layers:
        if layer.descriptor.digest in installed:
            continue
        with pytest.raises(IntegrityError):
            unpack(through(small_new, Watched(small_new.source, damaged=[layer.descriptor.digest])), target)
        assert target.exists() == (state != "new")
        assert snapshot(target) == before


def test_a_lying_source_is_found_out_even_when_it_continues(old: Bundle, target: Path) -> None:
    """What an earlier try left is trusted only because it was proven then."""
    with pytest.raises(UnreachableError):
        unpack(through(old, Watched(old.source, fail_at=4, failure=lambda: UnreachableError("x"))), target, jobs=1)
    damaged = [layer.descriptor.digest for layer in old.layers]
    with pytest.raises(IntegrityError):
        unpack(through(old, Watched(old.source, damaged=damaged)), target)
    assert not target.exists()


HOSTILE_MEMBERS = {
    "upwards": tars.file(b"../evil", b"x"),
    "upwards inside": tars.file(b"code/../../evil", b"x"),
    "absolute": tars.file(b"/tmp/kitpack-evil", b"x"),
    "a symbolic link": tars.header(b"code/l", kind=b"2", link=b"/etc"),
    "a hard link": tars.header(b"code/l", kind=b"1", link=b"code/good"),
    "a device": tars.header(b"code/null", kind=b"3"),
    "a pipe": tars.header(b"code/pipe", kind=b"6"),
    "git hooks": tars.file(b".git/hooks/post-checkout", b"x"),
    "our record": tars.file(b".kitpack.json", b"{}"),
    "our staging folder": tars.file(b".kitpack-staging/tree/x", b"{}"),
    "keys": tars.file(b".ssh/authorized_keys", b"x"),
    "a name with an escape": tars.file(b"code/\x1b[2Jx", b"x"),
    "a member twice": tars.file(b"code/good", b"again"),
    "a member in other letters": tars.file(b"code/GOOD", b"x"),
    "a file below a file": tars.file(b"code/good/below", b"x"),
    "a file in the place of a folder": tars.file(b"code", b"x"),
    "a layer's file": tars.file(b"first", b"x"),
    "a layer's file in other letters": tars.file(b"FIRST", b"x"),
    "a file below a layer's file": tars.file(b"first/below", b"x"),
    "a file where a layer has a folder": tars.file(b"second", b"x"),
    "another archive's file": tars.file(b"third/inside", b"x"),
    "truncated": tars.file(b"code/more", b"x" * 600)[:-600],
    "not a tar": b"x" * 512,
}


@pytest.mark.parametrize("member", HOSTILE_MEMBERS.values(), ids=HOSTILE_MEMBERS)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("state", ["new", "old version and files of the user"])
def test_a_hostile_member_after_good_ones_and_nothing_is_written(
    small_old: Bundle, target: Path, member: bytes, state: str, *, compressed: bool
) -> None:
    prepare(state, small_old, target)
    before, around = snapshot(target), snapshot(target.parent, "target")
    archive = tars.folder(b"code") + tars.file(b"code/good", b"good") + member + tars.END
    bundle = layered(
        ("third", tars.folder(b"third") + tars.file(b"third/inside", b"x") + tars.END, TAR),
        ("code", gzip.compress(archive) if compressed else archive, f"{TAR}+gzip" if compressed else TAR),
        ("first", b"first", RAW),
        ("second/inside", b"second", RAW),
    )
    with pytest.raises((UnpackError, IntegrityError)):
        unpack(bundle, target, overwrite=True)
    assert target.exists() == (state != "new")
    assert snapshot(target) == before
    assert snapshot(target.parent, "target") == around


CLASHES: dict[str, list[str]] = {
    "the same path": ["a", "a"],
    "the same path, the same bytes": ["a", "a"],
    "other letters": ["Readme", "README"],
    "other letters in a folder": ["d/a", "D/b"],
    "another normalisation": ["caf\u00e9", "cafe\u0301"],
    "a file and a folder": ["a", "a/b"],
    "a folder and a file": ["a/b", "a"],
    "one spelt oddly": ["a/b", "./a//b"],
}


@pytest.mark.parametrize("paths", CLASHES.values(), ids=CLASHES)
@pytest.mark.parametrize("same", [False, True])
def test_layers_that_cannot_stand_side_by_side_are_refused(target: Path, paths: list[str], *, same: bool) -> None:
    bundle = layered(
        *((path, b"x" if same else path.encode() + bytes([number]), RAW) for number, path in enumerate(paths))
    )
    with pytest.raises(UnsafePathError):
        unpack(bundle, target)
    assert not target.exists()


BAD_PATHS = [
    *(
        "../x",
        "a/../../x",
        "/x",
        "//x",
        "C:\\x",
        "c:/x",
        "\\\\server\\x",
        "a\\b",
        "~",
        "~root/x",
        ".",
        "./",
        "..",
        "a/..",
    ),
    *("x\n", "\x1b[31m", "\u202ex", "a\0b", ".git/config", "sub/.GIT/hooks/x", ".kitpack.json", ".Kitpack.JSON"),
    *(".kitpack-staging/x", ".ssh/x", "x" * 256, "/".join(["x" * 200] * 30)),
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_unsafe_paths_of_layers_are_refused(target: Path, path: str) -> None:
    with pytest.raises(UnsafePathError) as caught:
        unpack(layered(("good", b"x", RAW), (path, b"y", RAW)), target)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 600
    assert not target.exists()


@pytest.mark.parametrize(("depth", "fits"), [(128, True), (129, False), (1500, False)])
def test_a_very_deep_path_is_refused_in_words(target: Path, depth: int, *, fits: bool) -> None:
    path = "/".join("d" * depth)
    if fits:
        unpack(layered((path, b"x", RAW)), target)
        assert (target / path).read_bytes() == b"x"
        return
    archive = tars.pax(tars.record("path", path)) + tars.file(b"d", b"x") + tars.END
    for bundle in (layered((path, b"x", RAW)), layered(("d", archive, TAR))):
        with pytest.raises(UnsafePathError, match="deep"):
            unpack(bundle, target)
        assert not target.exists()


class Saboteur:
    """Lets the n-th call of a kind of step fail as if the disk were full, and if wanted all later ones too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail_at: int, *, for_good: bool = False) -> None:
        self.left = fail_at
        self.hit = False
        self._for_good = for_good
        for name in ("rename", "replace", "mkdir", "chmod", "rmdir"):
            monkeypatch.setattr(Path, name, self._wrapped(getattr(Path, name)))

    def _wrapped(self, step: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            self.left -= 1
            if not self.left or (self._for_good and self.left < 0):
                self.hit = True
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return step(*args, **kwargs)

        return call


@pytest.mark.parametrize("state", STATES)
def test_whatever_step_meets_a_full_disk_the_folder_is_as_it_was(
    small_old: Bundle, small_new: Bundle, small_new_folder: Path, target: Path, state: str
) -> None:
    prepare(state, small_old, target)
    before = snapshot(target)
    for number in range(1, 2000):
        with pytest.MonkeyPatch.context() as patch:
            saboteur = Saboteur(patch, number)
            try:
                unpack(small_new, target, jobs=1)
            except OSError:
                failed = True
            else:
                failed = False
        if not saboteur.hit:
            break
        if failed:
            assert target.exists() == (state != "new")
            assert snapshot(target) == before, number
        elif state == "new":
            shutil.rmtree(target)
        else:  # a folder that stays although it is empty is no reason to fail
            shutil.rmtree(target)
            prepare(state, small_old, target)
            before = snapshot(target)
    else:
        raise AssertionError("it never came to an end")
    assert number > 20
    if not state.endswith("user"):
        assert_equal(target, small_new_folder)


def test_even_if_undoing_fails_nothing_is_lost_and_the_next_try_puts_it_back(
    small_old: Bundle, small_new: Bundle, small_new_folder: Path, target: Path
) -> None:
    unpack(small_old, target)
    write_files(target, {"app.yaml": b"changed by hand\n"})
    before = snapshot(target)
    broken = 0
    for number in range(1, 2000):
        with pytest.MonkeyPatch.context() as patch:
            saboteur = Saboteur(patch, number, for_good=True)
            with suppress(OSError):
                unpack(small_new, target, overwrite=True, jobs=1)
        if not saboteur.hit:
            break
        broken += STAGING in snapshot(target)
        with pytest.raises(NotFoundError):  # puts back what was on its way, and then ends
            unpack(small_new, target, only=Selection.parse(["no such file"]))
        if snapshot(target) == before:
            continue
        assert_equal(target, small_new_folder)  # it had come to its end before
        shutil.rmtree(target)
        unpack(small_old, target)
        write_files(target, {"app.yaml": b"changed by hand\n"})
    assert broken > 10
