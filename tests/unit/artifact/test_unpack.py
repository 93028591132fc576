"""Unpacking: exactly the bundle, or nothing at all; and never what belongs to the user."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.installed import RECORD_NAME, Installed, find_drift
from kitpack.artifact.select import Selection
from kitpack.artifact.unpack import Unpacked, unpack
from kitpack.content.events import Event
from kitpack.content.layout import Layout
from kitpack.content.memory import Memory
from kitpack.content.target import Source
from kitpack.errors import (
    FileConflictError,
    IntegrityError,
    KitpackError,
    NotFoundError,
    StoreError,
    UnpackError,
    UnreachableError,
    UnsafePathError,
)
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import ANNOTATION_FILE_METADATA, OCTET_STREAM, model_layer
from tests.support import tars
from tests.support.bundles import noise
from tests.support.packing import bundle_of, layered, write_files
from tests.support.snapshots import snapshot
from tests.support.sources import Watched

RAW, TAR = model_layer("code"), model_layer("code", "tar")
STAGING = ".kitpack-staging"

CROWD = {f"data/{number % 3}/{number:03}.txt": f"row {number}\n" for number in range(140)}
KITFILE = """\
model: {path: model}
prompts: [{path: prompts}]
configs: [{path: app.yaml}]
datasets: [{path: data}]
code: [{path: code}]
"""
OLD: dict[str, bytes | str] = {
    "model/w.gguf": noise(100_000, 1),
    "model/tokenizer.json": "{}",
    "prompts/a.md": "first a\n",
    "prompts/b.md": "b\n",
    "prompts/same.md": "same\n",
    "app.yaml": "t: 1\n",
    "code/run.sh": "#!/bin/sh\n",
    "code/switch": "a file, later a folder\n",
    "code/swap/inner": "in a folder, later a file\n",
    "code/swap/deep/inner": "further down\n",
    **CROWD,
}
NEW: dict[str, bytes | str] = {
    "model/w.gguf": OLD["model/w.gguf"],
    "model/tokenizer.json": "{}",
    "prompts/a.md": "second a\n",
    "prompts/c/new.md": "c\n",
    "prompts/same.md": "same\n",
    "app.yaml": "t: 2\n",
    "code/run.sh": "#!/bin/sh\n",
    "code/switch/inner": "now in a folder\n",
    "code/swap": "now a file\n",
    "code/copy.sh": "#!/bin/sh\n",
    **CROWD,
    "data/0/000.txt": "another row\n",
}


@pytest.fixture
def old_folder(tmp_path: Path) -> Path:
    folder = write_files(tmp_path / "old", OLD, KITFILE)
    (folder / "code" / "run.sh").chmod(0o755)
    return folder


@pytest.fixture
def new_folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "new", NEW, KITFILE)


@pytest.fixture
def old(old_folder: Path) -> Bundle:
    return bundle_of(old_folder)


@pytest.fixture
def new(new_folder: Path) -> Bundle:
    return bundle_of(new_folder)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def through(bundle: Bundle, source: Source) -> Bundle:
    """The same bundle, its bytes from another source."""
    return Bundle(source, bundle.descriptor)


def packed_files(folder: Path) -> dict[str, tuple[bytes, bool]]:
    return {
        path: (data, bool(mode & 0o100))
        for path, (kind, mode, data) in snapshot(folder, RECORD_NAME).items()
        if kind == "file"
    }


def assert_equal(target: Path, source: Path) -> None:
    """The same files with the same executable bits, no empty folders, a true record, and nothing else."""
    assert packed_files(target) == packed_files(source)
    assert {path for path, (kind, _, _) in snapshot(target).items() if kind == "folder"} == {
        path for path, (kind, _, _) in snapshot(source).items() if kind == "folder"
    }
    installed = Installed.load(target)
    assert installed is not None
    assert set(installed.files) == set(packed_files(source))
    assert find_drift(target, installed) == []


# --- whole bundles ---------------------------------------------------------------------------------------------------


def test_a_new_folder_holds_exactly_the_bundle(old: Bundle, old_folder: Path, target: Path) -> None:
    done = unpack(old, target, reference="bot:1")
    assert_equal(target, old_folder)
    assert set(done.written) == set(packed_files(old_folder))
    assert (done.kept, done.removed) == ((), ())
    record = Installed.load(target)
    assert record is not None
    assert (record.reference, record.digest) == ("bot:1", str(old.descriptor.digest))


def test_an_old_version_is_restored_over_a_newer_one_exactly(
    old: Bundle, new: Bundle, old_folder: Path, new_folder: Path, target: Path
) -> None:
    unpack(old, target)
    for bundle, folder in [(new, new_folder), (old, old_folder), (old, old_folder), (new, new_folder)]:
        unpack(bundle, target)
        assert_equal(target, folder)


def test_it_says_what_it_wrote_kept_and_removed(old: Bundle, new: Bundle, target: Path) -> None:
    unpack(old, target)
    done = unpack(new, target)
    assert set(done.removed) == set(OLD) - set(NEW)
    assert set(done.kept) == {"model/w.gguf", "model/tokenizer.json", "prompts/same.md", "code/run.sh", "Kitfile"}
    assert set(done.written) == set(NEW) - set(done.kept)
    again = unpack(new, target)
    assert (again.written, again.removed) == ((), ())
    assert set(again.kept) == {*NEW, "Kitfile"}


TARGETS: dict[str, Callable[[Path], Path]] = {
    "new": lambda root: root / "target",
    "new, in new folders": lambda root: root / "a" / "b" / "target",
    "empty": lambda root: _made(root / "target"),
    "a link to an empty folder": lambda root: _link(root / "link", _made(root / "real")),
    "a link to a link": lambda root: _link(root / "second", _link(root / "link", _made(root / "real"))),
    "with blanks and umlauts": lambda root: root / "t\u00e4r get",
}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _link(link: Path, leads_to: Path) -> Path:
    link.symlink_to(leads_to)
    return link


@pytest.mark.parametrize("make", TARGETS.values(), ids=TARGETS)
def test_any_folder_will_do(
    old: Bundle, new: Bundle, old_folder: Path, new_folder: Path, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    target = make(tmp_path)
    unpack(old, target)
    assert_equal(target, old_folder)
    unpack(new, target)
    assert_equal(target, new_folder)
    assert not [path for path in target.parent.iterdir() if path.name.startswith(STAGING)]


def test_a_relative_folder_will_do(
    old: Bundle, old_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    unpack(old, Path("target"))
    assert_equal(tmp_path / "target", old_folder)
    monkeypatch.chdir(_made(tmp_path / "here"))
    unpack(old, Path())
    assert_equal(tmp_path / "here", old_folder)


def test_a_file_in_the_place_of_the_folder_is_left_alone(old: Bundle, target: Path) -> None:
    target.write_bytes(b"mine")
    with pytest.raises(OSError):  # noqa: PT011  # which one, the system says
        unpack(old, target)
    assert target.read_bytes() == b"mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_parent_that_cannot_be_written_is_an_error_of_the_system(old: Bundle, tmp_path: Path) -> None:
    parent = _made(tmp_path / "parent")
    parent.chmod(0o555)
    with pytest.raises(PermissionError):
        unpack(old, parent / "target")
    parent.chmod(0o755)
    assert snapshot(parent) == {}


def test_files_of_equal_content_and_empty_ones_come_out(tmp_path: Path, target: Path) -> None:
    files: dict[str, bytes | str] = {"a": b"same", "b": b"same", "c": b"", "d/e": b"", "d/f": b"same"}
    source = write_files(tmp_path / "source", files, "code: [{path: .}]\n")
    (source / "b").chmod(0o755)
    unpack(bundle_of(source), target)
    assert_equal(target, source)


def test_two_raw_layers_of_equal_bytes_come_out(target: Path) -> None:
    unpack(layered(("a", b"same", RAW), ("b/c", b"same", RAW), ("d", b"same", RAW)), target)
    assert {path: data for path, (data, _) in packed_files(target).items()} == {
        "a": b"same",
        "b/c": b"same",
        "d": b"same",
    }


def test_digests_of_another_algorithm_are_no_drift(target: Path) -> None:
    bundle = layered(("a", b"content", RAW), algorithm="sha512")
    unpack(bundle, target)
    record = Installed.load(target)
    assert record is not None
    assert find_drift(target, record) == []
    os.utime(target / "a")
    assert unpack(bundle, target).kept == ("a",)


@pytest.mark.parametrize("mode", [0, 0o200, 0o007, 0o1000, 0o4755, -1, True, "0644", None, 10**20])
def test_whatever_mode_a_layer_states_its_owner_can_read_it_and_nothing_special_is_set(
    target: Path, mode: object
) -> None:
    import json

    bundle = layered(("a", b"x", RAW), **{ANNOTATION_FILE_METADATA: json.dumps({"mode": mode})})
    unpack(bundle, target)
    found = (target / "a").stat().st_mode
    assert found & 0o400
    assert not found & 0o7000
    assert unpack(bundle, target).kept == ("a",)


def test_a_member_that_nobody_may_read_can_be_read_by_its_owner(target: Path) -> None:
    archive = tars.header(b"a", 1, mode=b"0000000\0") + tars.padded(b"x") + tars.END
    unpack(layered(("a", archive, TAR)), target)
    assert (target / "a").stat().st_mode & 0o777 == 0o400


# --- nothing is fetched twice ----------------------------------------------------------------------------------------


def test_what_is_in_place_is_not_fetched(old: Bundle, new: Bundle, target: Path) -> None:
    unpack(old, target)
    watched = Watched(old.source)
    unpack(through(old, watched), target)
    assert set(watched.fetched) == {old.descriptor.digest}
    watched = Watched(new.source)
    unpack(through(new, watched), target)
    shared = {layer.descriptor.digest for layer in old.layers} & {layer.descriptor.digest for layer in new.layers}
    assert len(shared) == 5
    assert not shared & set(watched.fetched)


def test_files_that_are_there_without_a_record_are_not_fetched(old: Bundle, old_folder: Path, target: Path) -> None:
    shutil.copytree(old_folder, target)
    watched = Watched(old.source)
    done = unpack(through(old, watched), target)
    archives = {layer.descriptor.digest for layer in old.layers if layer.archived}
    assert set(watched.fetched) == {old.descriptor.digest, *archives}
    assert "model/w.gguf" in done.kept
    assert_equal(target, old_folder)


def test_a_new_time_needs_hashing_but_no_fetching(old: Bundle, target: Path) -> None:
    unpack(old, target)
    for path in target.rglob("*"):
        os.utime(path, (1, 1))
    watched = Watched(old.source)
    assert unpack(through(old, watched), target).written == ()
    assert watched.total == 1


def test_only_what_is_missing_is_fetched(old: Bundle, old_folder: Path, target: Path) -> None:
    unpack(old, target)
    (target / "prompts" / "a.md").unlink()
    watched = Watched(old.source)
    assert unpack(through(old, watched), target).written == ("prompts/a.md",)
    assert watched.total == 2
    (target / "data" / "1" / "100.txt").unlink()
    assert set(unpack(old, target).written) == set(CROWD)
    assert_equal(target, old_folder)


def test_modes_are_put_right_without_fetching(old: Bundle, old_folder: Path, target: Path) -> None:
    unpack(old, target)
    (target / "code" / "run.sh").chmod(0o644)
    (target / "data" / "1" / "100.txt").chmod(0o755)
    record = Installed.load(target)
    assert record is not None
    assert [(one.path, one.problem) for one in find_drift(target, record)] == [
        ("code/run.sh", "mode"),
        ("data/1/100.txt", "mode"),
    ]
    watched = Watched(old.source)
    unpack(through(old, watched), target)
    assert watched.total == 1
    assert_equal(target, old_folder)


def test_a_broken_connection_is_continued(old: Bundle, old_folder: Path, target: Path) -> None:
    failing = Watched(old.source, fail_at=6, failure=lambda: UnreachableError("gone"), short=True)
    with pytest.raises(UnreachableError):
        unpack(through(old, failing), target, jobs=1)
    assert not target.exists()
    again = Watched(old.source)
    unpack(through(old, again), target, jobs=1)
    assert_equal(target, old_folder)
    done_before = [digest for digest in list(failing.fetched)[1:5]]
    assert len(done_before) == 4
    assert not [digest for digest in done_before if digest in again.fetched]
    assert snapshot(target.parent, "old", "target") == {}


def test_events_add_up(old: Bundle, target: Path) -> None:
    events: list[Event] = []
    unpack(old, target, on_event=events.append)
    sizes = {layer.path: layer.descriptor.size for layer in old.layers if layer.verbatim}
    moved = dict.fromkeys(sizes, 0)
    for event in events:
        if event.kind == "moved" and event.name in moved:
            moved[event.name] += event.size
    assert moved == sizes
    assert {event.name for event in events if event.kind == "finished"} == {layer.path for layer in old.layers}


# --- all or nothing --------------------------------------------------------------------------------------------------


STATES = ["new", "empty", "old version", "old version and files of the user"]


def _prepared(state: str, old: Bundle, target: Path) -> None:
    if state != "new":
        target.mkdir()
    if state.startswith("old"):
        unpack(old, target)
    if state.endswith("user"):
        write_files(target, {"mine.txt": b"mine", "prompts/mine.md": b"mine", "prompts/c/mine.md": b"mine"})
        (target / "prompts" / "empty").mkdir()
        (target / "link").symlink_to("mine.txt")


FAILURES: dict[str, Callable[[], BaseException]] = {
    "disk": lambda: OSError(errno.ENOSPC, "No space left on device"),
    "connection": lambda: UnreachableError("gone"),
    "interrupt": KeyboardInterrupt,
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("short", [False, True])
def test_whatever_fetch_fails_the_folder_is_as_it_was(
    old: Bundle, new: Bundle, target: Path, state: str, failure: str, *, short: bool
) -> None:
    _prepared(state, old, target)
    before = snapshot(target)
    failed = 0
    for number in range(2, 30):
        watched = Watched(new.source, fail_at=number, failure=FAILURES[failure], short=short)
        try:
            unpack(through(new, watched), target, jobs=2)
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
def test_one_wrong_byte_anywhere_and_nothing_is_written(old: Bundle, new: Bundle, target: Path, state: str) -> None:
    _prepared(state, old, target)
    before = snapshot(target)
    installed = {layer.descriptor.digest for layer in old.layers} if state.startswith("old") else set()
    for layer in new.layers:
        if layer.descriptor.digest in installed:
            continue
        with pytest.raises(IntegrityError):
            unpack(through(new, Watched(new.source, damaged=[layer.descriptor.digest])), target)
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
    "truncated": tars.file(b"code/more", b"x" * 600)[:-100],
    "not a tar": b"x" * 512,
}


@pytest.mark.parametrize("member", HOSTILE_MEMBERS.values(), ids=HOSTILE_MEMBERS)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("state", ["new", "old version and files of the user"])
def test_a_hostile_member_after_good_ones_and_nothing_is_written(
    old: Bundle, target: Path, member: bytes, state: str, *, compressed: bool
) -> None:
    _prepared(state, old, target)
    before, around = snapshot(target), snapshot(target.parent, "target")
    archive = tars.folder(b"code") + tars.file(b"code/good", b"good") + member + tars.END
    bundle = layered(
        ("third", tars.folder(b"third") + tars.file(b"third/inside", b"x") + tars.END, TAR),
        ("code", gzip.compress(archive) if compressed else archive, f"{TAR}+gzip" if compressed else TAR),
        ("first", b"first", RAW),
        ("second/inside", b"second", RAW),
    )
    with pytest.raises(UnpackError | IntegrityError):  # type: ignore[arg-type,unused-ignore]
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


def test_a_very_deep_path_is_written_or_refused_in_words(target: Path) -> None:
    path = "/".join("d" * 1500)
    bundle = layered((path, b"x", RAW))
    with suppress(KitpackError, OSError):
        unpack(bundle, target)
        assert (target / path).read_bytes() == b"x"
    for _ in range(1500):  # pytest's own cleaning recurses too deeply
        if not (target / "d").is_dir():
            break
        moved = target.with_name("moved")
        (target / "d").rename(moved)
        target.rmdir() if not any(target.iterdir()) else shutil.rmtree(target)
        moved.rename(target)


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
    old: Bundle, new: Bundle, new_folder: Path, target: Path, state: str
) -> None:
    _prepared(state, old, target)
    before = snapshot(target)
    for number in range(1, 2000):
        with pytest.MonkeyPatch.context() as patch:
            saboteur = Saboteur(patch, number)
            try:
                unpack(new, target, jobs=1)
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017
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
            _prepared(state, old, target)
    else:
        raise AssertionError("it never came to an end")
    assert number > 20
    if not state.endswith("user"):
        assert_equal(target, new_folder)


def test_even_if_undoing_fails_nothing_is_lost_and_the_next_try_puts_it_back(
    old: Bundle, new: Bundle, old_folder: Path, target: Path
) -> None:
    unpack(old, target)
    write_files(target, {"app.yaml": b"changed by hand\n"})
    before = snapshot(target)
    broken = 0
    for number in range(1, 2000):
        with pytest.MonkeyPatch.context() as patch:
            saboteur = Saboteur(patch, number, for_good=True)
            with suppress(OSError):
                unpack(new, target, overwrite=True, jobs=1)
        if not saboteur.hit:
            break
        broken += STAGING in snapshot(target)
        with pytest.raises(NotFoundError):  # puts back what was on its way, and then ends
            unpack(new, target, only=Selection.parse(["no such file"]))
        if Installed.load(target) == Installed.load(old_folder) or snapshot(target) == before:
            continue
        record = Installed.load(target)  # or it had come to its end before
        assert record is not None
        assert record.digest == str(new.descriptor.digest)
        assert snapshot(target) != before
        shutil.rmtree(target)
        unpack(old, target)
        write_files(target, {"app.yaml": b"changed by hand\n"})
    assert broken > 10


# --- what belongs to the user ----------------------------------------------------------------------------------------


def _conflict(bundle: Bundle, target: Path, match: str, *, overwrite: bool = False) -> None:
    before = snapshot(target)
    watched = Watched(bundle.source)
    with pytest.raises(FileConflictError, match=match) as caught:
        unpack(through(bundle, watched), target, overwrite=overwrite)
    assert caught.value.hint
    assert snapshot(target) == before


def test_a_changed_file_is_not_overwritten_unless_wanted(
    old: Bundle, new: Bundle, new_folder: Path, target: Path
) -> None:
    unpack(old, target)
    (target / "app.yaml").write_text("t: 7\n")
    (target / "data" / "1" / "100.txt").write_text("mine\n")
    _conflict(new, target, r"app\.yaml")
    _conflict(old, target, r"app\.yaml")
    (target / "app.yaml").write_text("t: 1\n")
    _conflict(new, target, r"data/1/100\.txt")
    unpack(new, target, overwrite=True)
    assert_equal(target, new_folder)


def test_conflicts_are_found_before_anything_is_fetched(old: Bundle, target: Path) -> None:
    write_files(target, {"app.yaml": b"mine"})
    watched = Watched(old.source)
    with pytest.raises(FileConflictError):
        unpack(through(old, watched), target)
    assert watched.total == 1


def test_all_conflicts_are_named_or_counted(old: Bundle, target: Path) -> None:
    write_files(target, dict.fromkeys([path for path in OLD if not path.startswith(("data", "code"))], b"mine"))
    _conflict(old, target, "app.yaml, model/tokenizer.json, .* and 1 more")


def test_a_changed_file_that_the_new_version_lacks_is_not_removed_unless_wanted(
    old: Bundle, new: Bundle, new_folder: Path, target: Path
) -> None:
    unpack(old, target)
    (target / "prompts" / "b.md").write_text("mine\n")
    _conflict(new, target, r"prompts/b\.md")
    unpack(new, target, overwrite=True)
    assert_equal(target, new_folder)


def test_a_file_that_somebody_else_made_is_a_conflict_unless_it_is_the_same(
    old: Bundle, old_folder: Path, target: Path
) -> None:
    write_files(target, {"app.yaml": OLD["app.yaml"], "prompts/a.md": b"mine"})
    _conflict(old, target, r": prompts/a\.md")
    write_files(target, {"prompts/a.md": OLD["prompts/a.md"]})
    unpack(old, target)
    assert_equal(target, old_folder)


def test_files_of_the_user_stay(old: Bundle, new: Bundle, target: Path) -> None:
    _prepared("old version and files of the user", old, target)
    mine = {
        path: found for path, found in snapshot(target).items() if "mine" in path or path in ("link", "prompts/empty")
    }
    assert len(mine) == 5
    for bundle in (new, old):
        unpack(bundle, target, overwrite=True)
        assert mine.items() <= snapshot(target).items()


def test_a_link_in_the_place_of_a_file_is_replaced_only_if_wanted_and_never_written_through(
    old: Bundle, old_folder: Path, target: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    target.mkdir()
    for leads_to in (outside, tmp_path / "nowhere", Path("app.yaml")):
        (target / "app.yaml").symlink_to(leads_to)
        _conflict(old, target, r"app\.yaml")
        unpack(old, target, overwrite=True)
        assert_equal(target, old_folder)
        (target / "app.yaml").unlink()
    assert outside.read_bytes() == b"mine"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_nothing_is_written_through_a_linked_folder(
    old: Bundle, target: Path, tmp_path: Path, *, overwrite: bool, inside: bool
) -> None:
    other = target / "elsewhere" if inside else tmp_path / "elsewhere"
    other.mkdir(parents=True)
    for name in ("prompts", "data"):  # of a layer, and of an archive's members
        (target / name).symlink_to(other)
        _conflict(old, target, f"{name} is not a folder", overwrite=overwrite)
        (target / name).unlink()
    assert snapshot(other) == {}


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_is_removed_through_a_linked_folder(target: Path, tmp_path: Path, *, overwrite: bool) -> None:
    unpack(layered(("gone/file", b"x", RAW), ("stays", b"y", RAW)), target)
    (target / "gone").rename(tmp_path / "moved")
    (target / "gone").symlink_to(tmp_path / "moved")
    _conflict(layered(("stays", b"y", RAW)), target, "gone is not a folder", overwrite=overwrite)
    assert (tmp_path / "moved" / "file").read_bytes() == b"x"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("content", [{}, {"mine": b"mine"}, {"deep/mine": b"mine"}])
def test_a_folder_of_the_user_is_not_lost_for_a_file(
    old: Bundle, target: Path, content: dict[str, bytes | str], *, overwrite: bool
) -> None:
    for name in ("app.yaml", "data/1/100.txt"):
        (target / name).mkdir(parents=True)
        write_files(target / name, content)
        _conflict(old, target, f"{name} is a folder", overwrite=overwrite)
        shutil.rmtree(target / name)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_of_the_user_is_not_lost_for_a_folder(old: Bundle, target: Path, *, overwrite: bool) -> None:
    for name in ("prompts", "data", "data/1"):
        write_files(target, {name: b"mine"})
        _conflict(old, target, f"{name} is not a folder", overwrite=overwrite)
        (target / name).unlink()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_an_earlier_version_becomes_a_file_only_if_nothing_else_is_in_it(
    old: Bundle, new: Bundle, target: Path, *, overwrite: bool
) -> None:
    unpack(old, target)
    write_files(target, {"code/swap/mine": b"mine"})
    _conflict(new, target, "code/swap is a folder", overwrite=overwrite)


def test_a_folder_in_the_place_of_a_file_that_goes_stays(old: Bundle, new: Bundle, target: Path) -> None:
    unpack(old, target)
    (target / "prompts" / "b.md").unlink()
    write_files(target, {"prompts/b.md/mine": b"mine"})
    unpack(new, target, overwrite=True)
    assert (target / "prompts" / "b.md" / "mine").read_bytes() == b"mine"


# --- a part of it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["prompts"], {"prompts/a.md", "prompts/b.md", "prompts/same.md"}),
        (["Prompt", "config"], {"prompts/a.md", "prompts/b.md", "prompts/same.md", "app.yaml"}),
        (["prompts/a.md"], {"prompts/a.md"}),
        (["./prompts/"], {"prompts/a.md", "prompts/b.md", "prompts/same.md"}),
        (["*.yaml"], {"app.yaml"}),
        (["*/a.md"], {"prompts/a.md"}),
        (["**/inner"], {"code/swap/inner", "code/swap/deep/inner"}),
        (["code/swap/*"], {"code/swap/inner", "code/swap/deep/inner"}),
        (["data/0/00?.txt"], {"data/0/000.txt", "data/0/003.txt", "data/0/006.txt", "data/0/009.txt"}),
        (["data/2"], {path for path in CROWD if path.startswith("data/2/")}),
        (["datasets"], set(CROWD)),
        (["kitfile"], {"Kitfile"}),
        (["models"], {"model/w.gguf", "model/tokenizer.json"}),
        (["", "  "], {*OLD, "Kitfile"}),
    ],
)
def test_only_what_is_asked_for_is_written(old: Bundle, target: Path, words: list[str], found: set[str]) -> None:
    done = unpack(old, target, only=Selection.parse(words))
    assert set(done.written) == set(packed_files(target)) == found


def test_only_what_is_asked_for_is_fetched(old: Bundle, target: Path) -> None:
    watched = Watched(old.source)
    unpack(through(old, watched), target, only=Selection.parse(["prompts", "app.yaml"]))
    wanted = {layer.descriptor.digest for layer in old.layers if layer.role == "prompt" or layer.path == "app.yaml"}
    assert set(watched.fetched) == {old.descriptor.digest, *wanted}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["promts"], "promts"),
        (["prompts", "confgs"], "confgs"),
        (["prompts/x.md"], "prompts/x.md"),
        (["data/0/nothing"], "data/0/nothing"),
        (["docs"], "doc"),
        (["../old"], r"\.\./old"),
        (["["], r"\["),
    ],
)
@pytest.mark.parametrize("installed", [False, True])
def test_a_misspelt_word_is_an_error_and_nothing_is_written(
    old: Bundle, target: Path, words: list[str], named: str, *, installed: bool
) -> None:
    if installed:
        unpack(old, target)
    before = snapshot(target)
    with pytest.raises(NotFoundError, match=named):
        unpack(old, target, only=Selection.parse(words))
    assert snapshot(target) == before
    assert target.exists() == installed


def test_a_part_of_another_version_leaves_the_rest_alone(old: Bundle, new: Bundle, target: Path) -> None:
    unpack(old, target)
    before = packed_files(target)
    done = unpack(new, target, only=Selection.parse(["prompts"]))
    assert set(done.written) == {"prompts/a.md", "prompts/c/new.md"}
    assert done.removed == ("prompts/b.md",)
    after = packed_files(target)
    assert {path: found for path, found in after.items() if not path.startswith("prompts")} == {
        path: found for path, found in before.items() if not path.startswith("prompts")
    }
    record = Installed.load(target)
    assert record is not None
    assert set(record.files) == set(after)
    assert find_drift(target, record) == []


def test_after_a_part_the_whole_still_comes(old: Bundle, old_folder: Path, target: Path) -> None:
    unpack(old, target, only=Selection.parse(["data/0/000.txt", "prompts/a.md"]))
    unpack(old, target)
    assert_equal(target, old_folder)


def test_a_part_of_an_archive_that_is_in_place_is_not_fetched(old: Bundle, target: Path) -> None:
    unpack(old, target)
    watched = Watched(old.source)
    done = unpack(through(old, watched), target, only=Selection.parse(["data/0/000.txt"]))
    assert done.kept == ("data/0/000.txt",)
    assert watched.total == 1


def test_layers_that_are_not_asked_for_need_not_be_sound(target: Path) -> None:
    bundle = layered(("good", b"x", RAW), ("bad", b"not a tar", TAR))
    assert unpack(bundle, target, only=Selection.parse(["good"])).written == ("good",)


# --- the record ------------------------------------------------------------------------------------------------------


BAD_RECORDS = {
    "nothing": b"",
    "no JSON": b"not json",
    "a list": b"[]",
    "no UTF-8": b"\xff",
    "another version": b'{"version":2}',
    "no files": b'{"version":1,"reference":"","digest":"","archives":{}}',
}


@pytest.mark.parametrize("raw", BAD_RECORDS.values(), ids=BAD_RECORDS)
def test_a_damaged_record_is_an_error_that_says_what_to_do(
    old: Bundle, old_folder: Path, target: Path, raw: bytes
) -> None:
    unpack(old, target)
    (target / RECORD_NAME).write_bytes(raw)
    before = snapshot(target)
    with pytest.raises(StoreError, match="damaged") as caught:
        unpack(old, target)
    assert "delete it" in caught.value.hint
    assert snapshot(target) == before
    (target / RECORD_NAME).unlink()
    unpack(old, target, overwrite=True)
    assert_equal(target, old_folder)


def test_a_record_that_knows_too_much_harms_nobody(old: Bundle, new: Bundle, target: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"mine")
    unpack(old, target)
    raw = (target / RECORD_NAME).read_text()
    (target / RECORD_NAME).write_text(raw.replace('"prompts/b.md"', '"../outside"'))
    with pytest.raises(StoreError):
        unpack(new, target, overwrite=True)
    assert (tmp_path / "outside").read_bytes() == b"mine"


# --- two at once -----------------------------------------------------------------------------------------------------


class Waiting(Memory):
    """A source that delivers one blob only when it is told to."""

    def __init__(self, source: Source, held: Digest) -> None:
        super().__init__()
        self._inner, self._held = source, held
        self.reached, self.go = threading.Event(), threading.Event()

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        if descriptor.digest == self._held:
            self.reached.set()
            assert self.go.wait(20)
        return self._inner.fetch(descriptor, offset)


@pytest.mark.parametrize("state", ["new", "empty", "old version"])
def test_of_two_at_once_the_second_is_told_to_wait(
    old: Bundle, new: Bundle, new_folder: Path, old_folder: Path, target: Path, state: str
) -> None:
    _prepared(state, old, target)
    changed = next(layer for layer in new.layers if layer.path == "prompts/a.md")
    source = Waiting(new.source, changed.descriptor.digest)
    results: list[Unpacked] = []
    first = threading.Thread(target=lambda: results.append(unpack(through(new, source), target)))
    first.start()
    try:
        assert source.reached.wait(20)
        with pytest.raises(StoreError, match="another kitpack"):
            unpack(old, target)
    finally:
        source.go.set()
        first.join(20)
    assert len(results) == 1
    assert_equal(target, new_folder)
    unpack(old, target)
    assert_equal(target, old_folder)


def test_what_a_killed_process_left_beside_the_folder_is_swept(old: Bundle, old_folder: Path, target: Path) -> None:
    beside = target.with_name(f"{STAGING}-target")
    write_files(beside, {"ingest/sha256-0.part": b"half", "tree/app.yaml": b"x", "lock": b""})
    target.mkdir()
    unpack(old, target)
    assert_equal(target, old_folder)
    assert not beside.exists()


def test_garbage_collection_is_kept_away_while_it_reads(tmp_path: Path, target: Path) -> None:
    source = write_files(tmp_path / "source", {"a": b"a"}, "code: [{path: a}]\n")
    store = Layout(tmp_path / "store")
    bundle = bundle_of(source, store)
    held: list[int] = []
    unpack(bundle, target, on_event=lambda event: held.append(store._lease._holders))
    assert held
    assert all(held)
    assert store._lease._holders == 0


def test_a_whole_layer_without_a_path_is_left_out(target: Path) -> None:
    bundle = layered(("a", b"a", RAW), ("", b"nameless", OCTET_STREAM))
    assert unpack(bundle, target).written == ("a",)


def test_a_bundle_without_files_makes_an_empty_folder(target: Path) -> None:
    unpack(layered(), target)
    assert set(snapshot(target)) == {RECORD_NAME}


@pytest.fixture(autouse=True)
def _nothing_left_beside(tmp_path: Path) -> Iterator[None]:
    """After every test that succeeded in unpacking, nothing half-named stays."""
    yield
    leftovers = [path for path in tmp_path.rglob("*.tmp")]
    assert leftovers == []


def test_a_record_keeps_what_matters(old: Bundle, target: Path) -> None:
    unpack(old, target, reference="bot:1")
    record = Installed.load(target)
    assert record is not None
    assert record.files["code/run.sh"].mode == 0o755
    assert record.files["data/0/000.txt"].archive
    assert sum(record.archives.values()) == len(CROWD)
    assert replace(record, files={}).without(()).reference == "bot:1"
