"""The README: every command runs as printed and prints what stands under it, and so does every line of Python."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import pytest

from kitpack.cli import kitpack as kitpack_group
from tests.support.cli import REPOSITORY, Terminal
from tests.support.model_server import gpt, gpt_stream, model_server

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
CODES = {"error: the tag '1": 5, "error: 1.5.0 may ": 10}
"""How a command ends that fails, by what it prints."""
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
PYTHON = "".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
SAYS = re.findall(r"^ *(?:print|logging\.info)\(.*\)  # (.*)$", PYTHON, re.MULTILINE)
"""What a line of the Python blocks prints, where it says so behind it."""


def test_the_story_is_true(
    kitpack: Terminal, tmp_path: Path, embedded_registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(REPOSITORY / "samples", tmp_path / "readme" / "samples")
    monkeypatch.chdir(tmp_path / "readme")
    kitpack.environment["KITPACK_ACTOR"] = "ann"
    steps = [step for block in BLOCKS for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    assert len(steps) > 20
    with model_server() as models, ExitStack() as stack:
        models.says(*_ANSWERS)
        places = {"localhost:5000": embedded_registry, "localhost:8080": f"127.0.0.1:{models.port}"}
        places["registry.example"] = embedded_registry
        for step in steps:
            if step.startswith("kitpack serve"):
                places["localhost:5001"] = stack.enter_context(_serving(kitpack, step))
            else:
                _run(kitpack, _placed(step, places))
        ran = subprocess.run(
            [sys.executable, "-c", _placed(PYTHON, places)],
            env=kitpack.environment | {"PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    assert [line for line in ran.stdout.splitlines() if line in SAYS] == SAYS
    assert len(SAYS) > 8


_ANSWER = '{"severity": 1, "team": "hardware"}'
_ANSWERS = (gpt_stream(_ANSWER, model="qwen2.5-7b"), gpt(_ANSWER, model="qwen2.5-7b"))


def _placed(text: str, places: Mapping[str, str]) -> str:
    """A text with the places where things really are."""
    for written, place in places.items():
        text = text.replace(written, place)
    return text


@contextmanager
def _serving(kitpack: Terminal, step: str) -> Iterator[str]:
    """Run a step that does not end, at a free port, and yield its address."""
    command, *shown = step.splitlines()
    with kitpack.process(*shlex.split(command)[1:], "--port", "0", stderr=subprocess.STDOUT) as process:
        try:
            assert process.stdout
            expected = [line.rstrip() for line in shown if line.strip()]
            printed = [process.stdout.readline().rstrip() for _ in expected]
            address = printed[0].removeprefix("http://")
            found = [_placed(line, {address: "127.0.0.1:5001"}) for line in printed]
            assert [line for line, wanted in zip(found, expected, strict=True) if wanted != "..."] == [
                wanted for wanted in expected if wanted != "..."
            ]
            yield address
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert process.returncode == 0


def _run(kitpack: Terminal, step: str) -> None:
    command, *shown = step.splitlines()
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
