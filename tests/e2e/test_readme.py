"""The README's console blocks: every command runs as printed, and prints what stands under it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from kitpack.cli import kitpack as kitpack_group
from tests.support.cli import REPOSITORY, Terminal

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
CODES = {"error: the tag '1": 5, "error: 1.5.0 may ": 10}
"""How a command ends that fails, by what it prints."""
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)


def test_the_story_is_true(
    kitpack: Terminal, tmp_path: Path, docker_registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(REPOSITORY / "samples", tmp_path / "readme" / "samples")
    monkeypatch.chdir(tmp_path / "readme")
    kitpack.environment["KITPACK_ACTOR"] = "ann"
    steps = [step for block in BLOCKS for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    assert len(steps) > 20
    for step in steps:
        _run(kitpack, step, docker_registry)


def _run(kitpack: Terminal, step: str, registry: str) -> None:
    command, *shown = step.replace("localhost:5000", registry).splitlines()
    if not command.startswith("kitpack "):
        subprocess.run(command, shell=True, check=True)
        return
    words = shlex.split(command, comments=True)[1:]
    ended = kitpack(*words, code=next((CODES[line[:17]] for line in shown if line[:17] in CODES), 0))
    printed = [_undated(line.rstrip()) for line in (ended.err + ended.out).splitlines()]
    expected = [_undated(line.rstrip()) for line in shown if line.rstrip() not in ("...", "")]
    assert [line for line in printed if line in expected] == expected


def _undated(line: str) -> str:
    """The line without what is another one every time: when it happened, and the digests of what says when."""
    return re.sub(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(:[0-9]{2} [A-Z0-9+-]+)?", "WHEN", line)


def test_every_command_stands_in_the_table() -> None:
    table = README.partition("| command | does |")[2].partition("\n\n")[0]
    named = {word for line in table.splitlines() for word in re.findall(r"`([a-z]+)", line.split(" | ")[0])}
    assert set(kitpack_group.list_commands(click.Context(kitpack_group))) == named
