"""What is remembered of files: enough to save work, never enough to be wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kitpack.content import digests
from kitpack.content.digests import Digests, Stamp
from kitpack.oci.digest import Digest

OLD = 1_500_000_000_000_000_000
DIGEST = Digest.of_bytes(b"weights")
FOUND = (DIGEST, 7)


def _stamp(number: int = 1, newest: int = OLD) -> Stamp:
    return Stamp.of([(number,)], [newest])


def _remembered(folder: Path, *stamps: Stamp) -> Digests:
    known = Digests(folder)
    for stamp in stamps:
        known.remember(stamp, *FOUND)
    known.save()
    return Digests(folder)


def test_what_was_saved_is_found_by_its_stamp_only(tmp_path: Path) -> None:
    known = _remembered(tmp_path / "digests", _stamp())
    assert known.find(_stamp()) == FOUND
    assert known.find(_stamp(2)) is None


def test_nothing_is_kept_without_a_folder_or_without_saving(tmp_path: Path) -> None:
    assert _remembered(tmp_path / "a", *()).find(_stamp()) is None
    unsaved = Digests(tmp_path / "digests")
    unsaved.remember(_stamp(), *FOUND)
    assert not (tmp_path / "digests").exists()
    nowhere = Digests(None)
    nowhere.remember(_stamp(), *FOUND)
    nowhere.save()
    assert nowhere.find(_stamp()) is None


@pytest.mark.parametrize("seconds", [-1.9, -0.001, 0, 1, 3600, 10**9])
def test_what_was_changed_just_now_or_in_the_future_is_not_trusted(tmp_path: Path, seconds: float) -> None:
    racy = _stamp(newest=time.time_ns() + int(seconds * 1e9))
    assert _remembered(tmp_path, racy).find(racy) is None


def test_a_clock_that_was_put_back_makes_nothing_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = _stamp(newest=OLD)
    _remembered(tmp_path, stamp)
    monkeypatch.setattr(time, "time_ns", lambda: OLD - 1)
    assert Digests(tmp_path).find(stamp) is None


def _torn(raw: bytes) -> bytes:
    return raw[:-1]


def _flipped(raw: bytes) -> bytes:
    return raw[:60] + bytes([raw[60] ^ 1]) + raw[61:]


def _zeros(raw: bytes) -> bytes:
    return bytes(len(raw))


DAMAGE: list[Callable[[bytes], bytes]] = [
    _torn,
    _flipped,
    _zeros,
    lambda _: b"",
    lambda raw: raw * 2,
    lambda _: b"x" * 500,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_as_good_as_nothing_and_is_replaced(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    _remembered(tmp_path, _stamp())
    table = tmp_path / "table"
    table.write_bytes(damage(table.read_bytes()))
    assert Digests(tmp_path).find(_stamp()) is None
    assert _remembered(tmp_path, _stamp()).find(_stamp()) == FOUND


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_as_good_as_nothing(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "table")
    assert Digests(tmp_path).find(_stamp()) is None


def test_where_nothing_can_be_written_nothing_happens(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert _remembered(tmp_path / "file" / "digests", _stamp()).find(_stamp()) is None
    (tmp_path / "digests").mkdir()
    (tmp_path / "digests" / "lock").mkdir()
    assert _remembered(tmp_path / "digests", _stamp()).find(_stamp()) is None


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    known = [Digests(tmp_path) for _ in range(40)]  # all began before anything was saved
    for number, one in enumerate(known):
        one.remember(_stamp(number), *FOUND)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Digests.save, known))
    after = Digests(tmp_path)
    assert all(after.find(_stamp(number)) == FOUND for number in range(40))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "table"]


def test_of_too_many_the_last_used_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "MOST", 3)
    days = iter(range(1, 100))
    monkeypatch.setattr(time, "time_ns", lambda: OLD + next(days) * 86_400_000_000_000)
    for number in range(3):
        _remembered(tmp_path, _stamp(number))
    used = Digests(tmp_path)
    assert used.find(_stamp(0)) == FOUND
    used.save()
    after = _remembered(tmp_path, _stamp(3))
    assert [number for number in range(4) if after.find(_stamp(number))] == [0, 2, 3]
