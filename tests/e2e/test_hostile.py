"""Bundles and folders of people who mean harm."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from kitpack.content.store.layout import Layout
from tests.support.bundles import push_artifact
from tests.support.cli import Terminal

FORGED = "sha256:" + "0" * 64


@pytest.fixture
def hostile(tmp_path: Path) -> str:
    """A layout whose type, annotation and name try to be more than one line, and more than text."""
    digest = push_artifact(
        Layout(tmp_path / "usb"),
        {"a": b"x"},
        "v1",
        artifact_type=f"x\nDigest     {FORGED}",
        annotations={"note": "\x9b31m\x7f\u202e"},
    ).digest
    index = json.loads((tmp_path / "usb/index.json").read_text())
    (entry,) = (one for one in index["manifests"] if one["digest"] == str(digest))
    forged = {**entry, "annotations": {"org.opencontainers.image.ref.name": f"z\nforged:1  1 B  {FORGED}"}}
    index["manifests"].append(forged)
    (tmp_path / "usb/index.json").write_text(json.dumps(index))
    return f"oci:{tmp_path}/usb"


def test_no_row_is_forged(kitpack: Terminal, hostile: str) -> None:
    shown = kitpack("inspect", f"{hostile}:v1").out.splitlines()
    assert len([line for line in shown if line.startswith("Digest")]) == 1
    for flags in ([], ["-q"]):
        assert not [line for line in kitpack("list", hostile, *flags).out.splitlines() if line.startswith("forged")]


def test_json_is_harmless_and_true(kitpack: Terminal, hostile: str) -> None:
    ended = kitpack("inspect", f"{hostile}:v1", "--json")
    assert not {"\x9b", "\x7f", "\u202e"} & set(ended.out)
    assert ended.json["annotations"]["note"] == "\x9b31m\x7f\u202e"


@pytest.mark.parametrize("target", ["precious", "not there"])
def test_init_never_writes_through_a_link(kitpack: Terminal, bot: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "precious").write_text("precious")
    (bot / "Kitfile").unlink()
    (bot / "Kitfile").symlink_to(tmp_path / target)
    kitpack("init", bot, code=2)
    assert "not an ordinary file" in kitpack("init", bot, "--force", code=2).err
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "not there").exists()


def test_init_replaces_a_file_and_nothing_else(kitpack: Terminal, bot: Path) -> None:
    (bot / "Kitfile").chmod(0o640)
    os.link(bot / "Kitfile", bot.parent / "other name")
    before = (bot.parent / "other name").read_text()
    kitpack("init", bot, "--force")
    assert stat.S_IMODE((bot / "Kitfile").stat().st_mode) == 0o640
    assert (bot / "Kitfile").read_text().startswith("# Drafted")
    assert (bot.parent / "other name").read_text() == before
    assert sorted(path.name for path in bot.iterdir()) == ["Kitfile", "app.yaml", "model", "prompts"]


@pytest.mark.parametrize("name", ["Kitfile", ".kitignore"])
@pytest.mark.parametrize("words", [["init", "--force"], ["check"], ["pack"]])
def test_a_pipe_is_not_waited_for(kitpack: Terminal, bot: Path, name: str, words: list[str]) -> None:
    (bot / name).unlink(missing_ok=True)
    os.mkfifo(bot / name)
    with kitpack.process(*words, bot) as process:
        try:
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode
    assert "Traceback" not in out + err
    with kitpack.process("check", bot, "-f", bot / name) as process:
        try:
            process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode


def test_a_copy_may_be_of_what_is_here(kitpack: Terminal, bot: Path, tmp_path: Path) -> None:
    kitpack("pack", bot, "-t", "bot:1")
    kitpack("tag", "bot:1", "localhost:1/team/bot:1")
    digest = kitpack("copy", "--local", "localhost:1/team/bot:1", f"oci:{tmp_path}/usb:1").out
    assert kitpack("inspect", "-q", f"oci:{tmp_path}/usb:1").out == digest
