"""Files in a bundle's own folders that are none of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

import kitpack
from kitpack.artifact.unpacking.extras import find_extra
from kitpack.artifact.unpacking.installed import Installed
from kitpack.artifact.unpacking.unpack import unpack
from tests.support.bots import write_bot
from tests.support.packing import bundle_of, write_files


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    folder = tmp_path / "unpacked"
    unpack(bundle_of(write_bot(tmp_path / "bot")), folder)
    return folder


def extra(folder: Path) -> list[str]:
    installed = Installed.load(folder)
    assert installed is not None
    return find_extra(folder, installed)


def test_an_unpacked_folder_has_none(unpacked: Path) -> None:
    assert extra(unpacked) == []


def test_what_somebody_put_into_the_folders_of_the_bundle(unpacked: Path) -> None:
    write_files(unpacked, {"prompts/z.md": "", "prompts/deep/er/a.md": "", "model/x.lora": b""})
    (unpacked / "prompts" / "link").symlink_to(unpacked.parent)
    assert extra(unpacked) == ["model/x.lora", "prompts/deep/er/a.md", "prompts/link", "prompts/z.md"]


def test_what_is_beside_the_bundle_or_left_behind_by_machines_does_not_count(unpacked: Path) -> None:
    files = {
        "mine.txt": "",
        "other/x.md": "",
        "prompts/.DS_Store": "",
        "prompts/__pycache__/x.pyc": "",
        "config/.git/x": "",
    }
    write_files(unpacked, {**files})
    assert extra(unpacked) == []


def test_a_folder_that_became_a_link_is_not_followed(unpacked: Path, tmp_path: Path) -> None:
    (unpacked / "prompts").rename(tmp_path / "moved")
    write_files(tmp_path / "moved", {"secret.md": ""})
    (unpacked / "prompts").symlink_to(tmp_path / "moved")
    assert extra(unpacked) == []


def test_verify_tells_all_three_kinds(unpacked: Path) -> None:
    (unpacked / "prompts/hello.txt").unlink()
    (unpacked / "config/limits.json").chmod(0o644)
    (unpacked / "config/limits.json").write_text("{}")
    write_files(unpacked, {"prompts/more.md": ""})
    found = kitpack.verify(unpacked)
    assert [one.partition(" (")[0] for one in found] == [
        "modified: config/limits.json",
        "missing: prompts/hello.txt",
        "extra: prompts/more.md",
    ]
