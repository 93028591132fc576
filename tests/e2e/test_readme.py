"""The README's console blocks: every command runs as printed, and prints what stands under it."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import click
import pytest

from kitpack.cli import kitpack as kitpack_group
from tests.support.cli import REPOSITORY, Terminal

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)


def test_the_story_is_true(
    kitpack: Terminal, tmp_path: Path, docker_registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(REPOSITORY / "samples", tmp_path / "readme" / "samples")
    monkeypatch.chdir(tmp_path / "readme")
    steps = [step for block in BLOCKS for step in block.split("$ kitpack ")[1:]]
    assert len(steps) > 12
    for step in steps:
        _run(kitpack, step, docker_registry)


def _run(kitpack: Terminal, step: str, registry: str) -> None:
    command, *shown = step.replace("localhost:5000", registry).splitlines()
    fails = any(line.startswith("error: ") for line in shown)
    ended = kitpack(*shlex.split(command, comments=True), code=5 if fails else 0)
    printed = [line.rstrip() for line in (ended.err + ended.out).splitlines()]
    expected = [line.rstrip() for line in shown if line.rstrip() not in ("...", "")]
    assert [line for line in printed if line in expected] == expected


def test_every_command_stands_in_the_table() -> None:
    table = README.partition("| command | does |")[2].partition("\n\n")[0]
    named = {word for line in table.splitlines() for word in re.findall(r"`([a-z]+)", line.split(" | ")[0])}
    assert set(kitpack_group.list_commands(click.Context(kitpack_group))) == named
