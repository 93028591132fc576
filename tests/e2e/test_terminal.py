"""kitpack in front of a person: bars, questions, colours, and the key that ends it all."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bundles import noise
from tests.support.cli import Terminal
from tests.support.everything import tree_of
from tests.support.registry import Registry, Reply, Seen, serving
from tests.support.screen import screen

AT_ONCE = 3.0
"""Seconds; on a machine that does nothing else it is a fifth of one."""


class Held:
    """A rule of a registry that lets some requests wait, and tells when one has come."""

    def __init__(self, method: str, pattern: str) -> None:
        self.arrived = threading.Event()
        self._release = threading.Event()
        self._method = method
        self._pattern = pattern

    def __call__(self, seen: Seen) -> Reply | None:
        if seen.method != self._method or not re.search(self._pattern, seen.path):
            return None
        self.arrived.set()
        return Reply(status=500, hold=self._release)

    def release(self) -> None:
        self._release.set()


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry()) as registry:
        yield registry
        for rule in registry.rules:
            if isinstance(rule, Held):
                rule.release()


@pytest.fixture
def big(bot: Path) -> Path:
    """A bundle whose packing takes seconds."""
    with (bot / "model/bot.gguf").open("r+b") as file:
        file.truncate(8 << 30)
    return bot


def weights(registry: Registry) -> str:
    """The digest of the largest blob there."""
    return max(registry.blobs, key=lambda digest: len(registry.blobs[digest]))


def test_bars_while_packing_and_an_end_to_it(kitpack: Terminal, big: Path) -> None:
    with screen(kitpack.environment, "pack", big, "-t", "big:1") as shown:
        shown.wait_for("packing").wait_for("model/bot.gguf").wait_for("/8.6 GB")
        assert shown.interrupt() < AT_ONCE
        assert shown.process.returncode == 130
    assert "interrupted" in shown.text
    assert "Traceback" not in shown.text
    assert shown.raw.count("\x1b[?25l") == shown.raw.count("\x1b[?25h") > 0  # the cursor is back
    kitpack("verify")
    assert kitpack("list", "-q").out == ""
    (big / "model/bot.gguf").write_bytes(b"GGUF")
    kitpack("pack", big, "-t", "big:1")
    kitpack("gc", "--grace", 0)
    assert list((kitpack.home / "ingest").iterdir()) == []


def test_an_end_to_a_push(kitpack: Terminal, bot: Path, registry: Registry) -> None:
    (bot / "model/bot.gguf").write_bytes(noise(3_000_000))
    digest = kitpack("pack", bot, "-t", "bot:1").out
    registry.rules.append(held := Held("PUT", "/blobs/uploads/"))
    with screen(kitpack.environment, "push", "bot:1", f"{registry.address}/bot:1") as shown:
        shown.wait_for("pushing").wait_for("model/bot.gguf")
        assert held.arrived.wait(20)
        assert shown.interrupt() < AT_ONCE
        assert shown.process.returncode == 130
    assert registry.tags == {}
    registry.rules.clear()
    assert kitpack("push", "bot:1", f"{registry.address}/bot:1").out == digest
    kitpack("verify")


def test_an_end_to_a_push_of_a_folder_while_it_is_read(kitpack: Terminal, big: Path, registry: Registry) -> None:
    with screen(kitpack.environment, "push", big, f"{registry.address}/bot:1") as shown:
        shown.wait_for("reading").wait_for("/8.6 GB")
        assert shown.interrupt() < AT_ONCE
        assert shown.process.returncode == 130
    assert registry.blobs == {}
    assert not (kitpack.home / "blobs").exists()


@pytest.mark.parametrize("command", ["pull", "unpack", "copy"])
def test_an_end_to_a_download(kitpack: Terminal, bot: Path, registry: Registry, tmp_path: Path, command: str) -> None:
    (bot / "model/bot.gguf").write_bytes(noise(3_000_000))
    reference = f"{registry.address}/bot:1"
    kitpack("push", bot, reference)
    choices: dict[str, list[object]] = {
        "pull": ["pull", reference],
        "unpack": ["unpack", reference, "-o", tmp_path / "live"],
        "copy": ["copy", reference, f"oci:{tmp_path}/usb:1"],
    }
    words = choices[command]
    registry.rules.append(held := Held("GET", f"/blobs/{weights(registry)}"))
    with screen(kitpack.environment, *words) as shown:
        assert held.arrived.wait(20)
        assert shown.interrupt() < AT_ONCE
        assert shown.process.returncode == 130
    assert not (tmp_path / "live").exists()
    registry.rules.clear()
    kitpack(*words)
    if command == "pull":
        kitpack("verify")
    elif command == "copy":
        kitpack("verify", f"oci:{tmp_path}/usb")
    else:
        assert tree_of(tmp_path / "live") == tree_of(bot)


def test_an_end_as_json(kitpack: Terminal, big: Path, registry: Registry) -> None:
    registry.rules.append(held := Held("GET", "/manifests/"))
    with screen(kitpack.environment, "inspect", f"{registry.address}/bot:1", "--json") as shown:
        assert held.arrived.wait(20)
        assert shown.interrupt() < AT_ONCE
        assert shown.process.returncode == 130
    assert '"type": "StoppedError"' in shown.text


def test_quiet_and_json_show_no_bars(kitpack: Terminal, bot: Path) -> None:
    for flag in ("--quiet", "--json"):
        with screen(kitpack.environment, "pack", bot, "-t", "bot:1", flag) as shown:
            assert shown.end() == 0
        assert "\x1b" not in shown.raw


def test_bars_leave_nothing_behind(kitpack: Terminal, bot: Path) -> None:
    with screen(kitpack.environment, "pack", bot, "-t", "bot:1") as shown:
        assert shown.end() == 0
    digest = kitpack("inspect", "-q", "bot:1").out
    assert shown.text.endswith(f"packed bot:1\n{digest}")


def test_verify_shows_how_far_it_is(kitpack: Terminal, bot: Path) -> None:
    kitpack("pack", bot, "-t", "bot:1")
    with screen(kitpack.environment, "verify") as shown:
        assert shown.end() == 0
    assert "verifying" in shown.text
    assert shown.text.endswith("the local store is intact\n")


def test_tables_fit_a_narrow_terminal(kitpack: Terminal, bot: Path) -> None:
    digest = kitpack("pack", bot, "-t", "bot:1").out.strip()
    for words in (["list"], ["inspect", "bot:1"]):
        with screen(kitpack.environment, *words, columns=70) as shown:
            assert shown.end() == 0
        table = shown.text.partition("DIGEST\n")[2].partition("\n\n")[0].splitlines()
        assert table
        assert all(len(line) <= 70 for line in table), table
    with screen(kitpack.environment, "list", columns=140) as shown:
        shown.end()
    assert digest in shown.text
    assert digest in kitpack("list").out


def test_colours_on_a_terminal_only(kitpack: Terminal, bot: Path) -> None:
    kitpack("pack", bot, "-t", "bot:1")
    with screen(kitpack.environment, "inspect", "bto:1") as shown:
        assert shown.end() == 4
    assert "\x1b[31m" in shown.raw
    assert "\x1b" not in kitpack.run("inspect", "bto:1").err


def test_login_asks(kitpack: Terminal, registry: Registry) -> None:
    with screen(kitpack.environment, "login", registry.address) as shown:
        shown.wait_for("Username: ").type("ci\n")
        shown.wait_for("Password: ").type("secret\n")
        assert shown.end() == 0
    assert "secret" not in shown.raw
    assert f"logged in to {registry.address}" in shown.text
    with screen(kitpack.environment, "login", registry.address) as shown:
        shown.wait_for("Username: ").type("\x04")
        assert shown.end() == 130
