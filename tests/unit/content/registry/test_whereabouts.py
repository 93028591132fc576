"""Records of what is where: a hint that may be missing, old or damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kitpack.content.registry.whereabouts import MOST_REPOSITORIES, Whereabouts
from kitpack.oci.manifest import Manifest
from tests.support.bundles import manifest_of


def manifest(seed: int) -> Manifest:
    return manifest_of({"a": b"%d" % seed, "b": b"the same"})


def test_the_last_manifest_is_known(tmp_path: Path) -> None:
    records = Whereabouts.of(tmp_path / "home", "localhost:5000")
    assert records.last("team/bot") is None
    for seed in (1, 2):
        records.note("team/bot", manifest(seed))
    found = records.last("team/bot")
    assert found
    assert found.manifest == manifest(2).digest
    assert found.blobs == {child.digest for child in manifest(2).successors}
    assert Whereabouts.of(tmp_path / "home", "localhost:5001").last("team/bot") is None
    records.forget("team/bot")
    records.forget("team/bot")
    assert records.last("team/bot") is None


def test_others_do_not_include_the_one_asked_about(tmp_path: Path) -> None:
    records = Whereabouts(tmp_path)
    for name in ("a", "b", "c"):
        records.note(name, manifest(1))
    assert sorted(one.repository for one in records.others("b")) == ["a", "c"]


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    records = Whereabouts(tmp_path)
    for number in range(MOST_REPOSITORIES + 5):
        records.note(f"r{number}", manifest(1))
        os.utime(records._path(f"r{number}"), (number, number))
    assert len(list(tmp_path.iterdir())) == MOST_REPOSITORIES
    assert records.last("r0") is None
    assert records.last(f"r{MOST_REPOSITORIES + 4}")


@pytest.mark.parametrize("damage", [b"", b"team/bot\n", b"team/bot\nsha256:1\n", b"other\n" * 3, b"\xff\xfe"])
def test_what_cannot_be_read_is_as_good_as_absent(tmp_path: Path, damage: bytes) -> None:
    records = Whereabouts(tmp_path)
    records.note("team/bot", manifest(1))
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    assert records.last("team/bot") is None
    assert list(records.others("x")) == []


def test_what_cannot_be_written_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    records = Whereabouts.of(tmp_path / "file", "localhost:5000")
    records.note("team/bot", manifest(1))
    records.forget("team/bot")
    assert records.last("team/bot") is None
    assert list(records.others("x")) == []
