"""What the shell completes: commands, flags, names in the local store, folders."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import REPOSITORY, Terminal

PRESS_TAB = """\
eval "$SCRIPT"
COMP_LINE="$LINE" COMP_POINT=${#LINE}
_kitpack_completion kitpack
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(autouse=True)
def packed(kitpack: Terminal, bot: Path) -> None:
    kitpack("pack", bot, "-t", "assistant:1.3.0")
    kitpack("tag", "assistant:1.3.0", "1.4.0")
    kitpack("tag", "assistant:1.3.0", "localhost:5000/team/bot:1")


def answers(kitpack: Terminal, line: str) -> list[str]:
    """What click's machinery answers, as shells ask it."""
    words = line.split(" ")
    asked = {"_KITPACK_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    ended = kitpack.run(env={**kitpack.environment, **asked})
    assert (ended.code, ended.err) == (0, "")
    return ended.out.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("kitpack ins", ["plain,inspect"]),
        ("kitpack inspect ass", ["plain,assistant:1.3.0", "plain,assistant:1.4.0", "dir,ass"]),
        ("kitpack inspect assistant:1.4", ["plain,assistant:1.4.0", "dir,assistant:1.4"]),
        ("kitpack tag loc", ["plain,localhost:5000/team/bot:1"]),
        ("kitpack tag zzz", []),
        ("kitpack inspect --jso", ["plain,--json"]),
        ("kitpack diff assistant:1.3.0 assistant:1.4", ["plain,assistant:1.4.0", "dir,assistant:1.4"]),
        ("kitpack copy assistant:1.3.0 assistant:1.4", ["plain,assistant:1.4.0"]),
        ("kitpack copy --lo", ["plain,--local"]),
        ("kitpack remove assistant:1.3.0 assistant:1.4", ["plain,assistant:1.4.0"]),
        ("kitpack pack -t loc", ["plain,localhost:5000/team/bot:1"]),
        ("kitpack check ass", ["plain,assistant:1.3.0", "plain,assistant:1.4.0", "dir,ass"]),
        ("kitpack unpack assistant:1.4.0 -o d", ["file,d"]),
        ("kitpack pack s", ["dir,s"]),
        ("kitpack completion b", ["plain,bash"]),
        ("kitpack unpack x:1 --only co", ["plain,configs", "plain,code"]),
        ("kitpack unpack x:1 --only prompts,d", ["plain,prompts,datasets", "plain,prompts,docs"]),
        ("kitpack check --for m", ["plain,modctl"]),
        ("kitpack nonsense x", []),
        ("kitpack promote assistant:1.3.0 --to s", ["plain,staging"]),
        ("kitpack withdraw assistant:1.3.0 --from ", ["plain,production", "plain,staging", "plain,testing"]),
        ("kitpack pack --bump m", ["plain,minor", "plain,major"]),
    ],
)
def test_answers(kitpack: Terminal, line: str, expected: list[str]) -> None:
    assert answers(kitpack, line) == expected


def test_channels_are_completed_and_their_records_are_not(kitpack: Terminal) -> None:
    kitpack("promote", "assistant:1.3.0", "--to", "canary")
    assert answers(kitpack, "kitpack rollback assistant:c") == ["plain,assistant:canary"]
    assert answers(kitpack, "kitpack promote assistant:1.3.0 --to c") == ["plain,canary"]


def test_all_commands(kitpack: Terminal) -> None:
    listed = kitpack("--help").out.partition("Commands:\n")[2].splitlines()
    assert answers(kitpack, "kitpack ") == [f"plain,{line.split()[0]}" for line in listed]


def test_a_store_that_is_not_there(kitpack: Terminal, tmp_path: Path) -> None:
    kitpack.environment["KITPACK_HOME"] = str(tmp_path / "none")
    assert answers(kitpack, "kitpack tag ") == []
    assert not (tmp_path / "none").exists()


def test_a_broken_store(kitpack: Terminal) -> None:
    (kitpack.home / "index.json").write_text("{")
    assert answers(kitpack, "kitpack tag ") == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("kitpack ins", "inspect"),
        ("kitpack inspect ass", "assistant:1.3.0 assistant:1.4.0"),
        ("kitpack inspect assistant:1.", "1.3.0 1.4.0"),  # bash has the part before the colon already
        ("kitpack inspect localhost:", "5000/team/bot:1"),
        ("kitpack inspect localhost:5000/team/bot:", "1"),
        ("kitpack diff assistant:1.3.0 assistant:1.4", "1.4.0"),
        ("kitpack inspect --js", "--json"),
        ("kitpack inspect zzz", ""),
    ],
)
def test_in_bash(kitpack: Terminal, tmp_path: Path, line: str, expected: str) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    program = tmp_path / "bin/kitpack"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kitpack "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}:{kitpack.environment['PATH']}"
    script = kitpack("completion", "bash").out
    done = subprocess.run(
        [bash, "--norc", "-c", PRESS_TAB],
        env={**kitpack.environment, "PATH": path, "SCRIPT": script, "LINE": line},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.replace("bash: complete: nosort: invalid option name\n", "") == ""
    assert done.stdout.split() == expected.split()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_scripts_of_other_shells(kitpack: Terminal, shell: str, tmp_path: Path) -> None:
    script = kitpack("completion", shell).out
    assert f"_KITPACK_COMPLETE={shell}_complete" in script
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(script)
    subprocess.run([program, "-n", tmp_path / "script"], check=True)
