"""Releases on a host, as an operator has them: one command, a service that follows, a rollback without a network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support import killing
from tests.support.cli import Terminal
from tests.support.proxy import counting_proxy

PROMPT = "prompts/reply.md"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "srv"


@pytest.fixture
def versions(kitpack: Terminal, bot: Path) -> None:
    """Two versions in the local store, the first of which is live."""
    kitpack("pack", bot, "-t", "bot:1.4.0", "-q")
    (bot / PROMPT).write_text("Answer {{ name }} in French.\n")
    kitfile = bot / "Kitfile"
    kitfile.write_text(kitfile.read_text().replace("1.4.0", "1.5.0"))
    kitpack("pack", bot, "-t", "bot:1.5.0", "-q")
    kitpack("promote", "bot:1.4.0", "--to", "production", "-q")


def live(target: Path) -> str:
    return (target / "current" / PROMPT).read_text()


@pytest.mark.usefixtures("versions")
def test_a_release_its_successor_and_the_way_back(kitpack: Terminal, target: Path) -> None:
    first = kitpack("deploy", "bot:production", target)
    assert first.out.startswith("1.4.0 (sha256:")
    assert "shared with earlier releases" in first.err
    kitpack("promote", "bot:1.5.0", "--to", "production", "-q")
    second = kitpack("deploy", "bot:production", target, "--json").json
    assert (second["version"], second["action"], second["changed"], second["removed"]) == ("1.5.0", "deploy", True, [])
    assert second["sharedBytes"] > 5000 > second["writtenBytes"]
    assert second["folder"] == str((target / "current").resolve())
    assert "French" in live(target)
    assert "is intact" in kitpack("verify", target / "current").err + kitpack("verify", target / "current").out
    assert "already" in kitpack("deploy", "bot:production", target).out
    shutil.rmtree(kitpack.home)
    back = kitpack("deploy", "--rollback", target)
    assert "1.4.0" in back.out
    assert "again" in back.out
    assert "French" not in live(target)
    nothing = kitpack("deploy", "--rollback", target, code=4)
    assert "hint:" in nothing.err
    lines = [json.loads(line) for line in (target / "deployments.jsonl").read_text().splitlines()]
    assert [(line["action"], line["version"]) for line in lines] == [
        ("deploy", "1.4.0"),
        ("deploy", "1.5.0"),
        ("rollback", "1.4.0"),
    ]


@pytest.mark.usefixtures("versions")
def test_a_command_that_fails_brings_the_old_release_back(kitpack: Terminal, target: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    command = f'echo "$1 $2 $(pwd -P)" >> {told}; ! grep -q French {PROMPT}'
    kitpack("deploy", "bot:1.4.0", target, "--exec", command)
    folder = (target / "current").resolve()
    words = told.read_text().split()
    assert (Path(words[0]).resolve(), Path(words[2])) == (folder, folder)
    assert words[1].startswith(f"sha256:{folder.name}")
    failed = kitpack("deploy", "bot:1.5.0", target, "--exec", command, code=1)
    assert "ended with 1; 1.4.0 is live again" in failed.err
    assert (target / "current").resolve() == folder
    assert len(told.read_text().splitlines()) == 3, "it is told of the way back, too"
    refused = kitpack("deploy", "bot:1.5.0", target, "--exec", command, "--json", code=1)
    assert refused.json["error"]["type"] == "ReleaseError"


@pytest.mark.usefixtures("versions")
def test_a_command_that_hangs_does_not_keep_a_service_from_ending(
    kitpack: Terminal, target: Path, tmp_path: Path
) -> None:
    kitpack("deploy", "bot:1.4.0", target)
    kitpack("promote", "bot:1.5.0", "--to", "production", "-q")
    os.mkfifo(tmp_path / "runs")
    hanging = f"if grep -q French {PROMPT}; then echo > {tmp_path / 'runs'}; exec sleep 600; fi"
    with kitpack.process("deploy", "bot:production", target, "--watch", "--exec", hanging) as process:
        (tmp_path / "runs").read_text()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "did not end; 1.4.0 is live again" in err
    assert "French" not in live(target)


@pytest.mark.usefixtures("versions")
def test_a_signal_is_sent_to_whoever_runs(kitpack: Terminal, target: Path, tmp_path: Path) -> None:
    pidfile = tmp_path / "bot.pid"
    missing = kitpack("deploy", "bot:1.4.0", target, "--signal", f"HUP:{pidfile}")
    assert "WARNING: SIGHUP was not sent" in missing.err
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        pidfile.write_text(f"{process.pid}\n")
        kitpack("deploy", "bot:1.4.0", target, "--signal", f"HUP:{pidfile}")
        assert process.poll() is None, "nothing changed"
        kitpack("deploy", "bot:1.5.0", target, "--signal", f"sigterm:{pidfile}")
        assert process.wait(20) == -signal.SIGTERM
    pidfile.write_text("1\n")
    assert "is no application" in kitpack("deploy", "--rollback", target, "--signal", f"HUP:{pidfile}").err


@pytest.mark.parametrize(
    "words",
    [
        ("bot:1",),
        ("bot:1", "a", "b"),
        ("--rollback", "bot:1", "a"),
        ("--rollback", "--watch", "a"),
        ("bot:1", "a", "--watch", "--interval", "0"),
        ("bot:1", "a", "--signal", "HUP"),
        ("bot:1", "a", "--signal", "NOTHING:/run/x.pid"),
        ("bot:1", "a", "--keep", "0"),
        ("bot:1", ""),
        (),
    ],
)
def test_what_makes_no_sense_is_said_so(kitpack: Terminal, words: tuple[str, ...]) -> None:
    assert "hint:" in kitpack("deploy", *words, code=2).err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
@pytest.mark.usefixtures("versions")
def test_a_service_follows_the_channel_until_a_signal(
    kitpack: Terminal, target: Path, number: signal.Signals, code: int
) -> None:
    words = ("deploy", "bot:production", target, "--watch", "--interval", "1s", "--json")
    with kitpack.process(*words) as process:
        assert process.stdout
        assert json.loads(process.stdout.readline())["version"] == "1.4.0"
        kitpack("promote", "bot:1.5.0", "--to", "production", "-q")
        assert json.loads(process.stdout.readline())["version"] == "1.5.0"
        kitpack("rollback", "bot:production", "-q")
        assert json.loads(process.stdout.readline())["version"] == "1.4.0"
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (code, ""), err
    assert "Traceback" not in err


def test_a_prompt_costs_its_own_bytes_on_the_wire(
    kitpack: Terminal, bot: Path, target: Path, embedded_registry: str
) -> None:
    weights = os.urandom(3_000_000)
    (bot / "model/bot.gguf").write_bytes(weights)
    with counting_proxy(embedded_registry) as proxy:
        name = f"{proxy.address}/team/bot"
        kitpack("push", bot, f"{name}:1.4.0", "-q")
        (bot / PROMPT).write_text("Another prompt\n")
        kitpack("push", bot, f"{name}:1.5.0", "-q")
        kitpack("promote", f"{name}:1.4.0", "--to", "production", "-q")
        kitpack("deploy", f"{name}:production", target, "-q")
        kitpack("promote", f"{name}:1.5.0", "--to", "production", "-q")
        proxy.reset()
        done = kitpack("deploy", f"{name}:production", target, "--json").json
        assert proxy.received < 20_000
        assert done["sharedBytes"] > len(weights)
    assert kitpack("deploy", "--rollback", target, "-q").out.startswith("sha256:")
    assert (target / "current/model/bot.gguf").read_bytes() == weights


@pytest.mark.parametrize("command", ["deploy", "rollback"])
@pytest.mark.usefixtures("versions")
def test_whoever_is_killed_leaves_a_whole_release_live(kitpack: Terminal, tmp_path: Path, command: str) -> None:
    lines = killing.run("deploy", tmp_path, "bot:1.5.0", "bot:1.4.0", command, environment=kitpack.environment)
    assert len(lines) > (15 if command == "deploy" else 4)
    assert [line for line in lines if ";" in line] == []
