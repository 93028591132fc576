"""What a command costs at real registries: requests, connections, bytes that move twice."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bundles import noise
from tests.support.cli import Terminal
from tests.support.proxy import CountingProxy, counting_proxy
from tests.support.registries import KINDS, running_registry

WIRE = "kitpack.content.registry.wire"
BIG = 48 << 20
CHUNK = 16 << 20
SLACK = 6 << 20
"""What may be on its way in the buffers of two connections when one breaks."""

RESUMES = {"kitpack": True, "olareg": False, "docker-registry": False, "zot": False}
"""Which registry always keeps what arrived before a connection broke; olareg does unless it is asked too early."""


@pytest.fixture(params=KINDS, scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture(scope="module")
def registry(kind: str) -> Iterator[str]:
    """A registry for the tests of this module."""
    with running_registry(kind) as address:
        yield address


@pytest.fixture
def proxy(registry: str) -> Iterator[CountingProxy]:
    """A way to the registry that counts, and breaks when told to."""
    with counting_proxy(registry) as proxy:
        yield proxy


@pytest.fixture
def space(tmp_path: Path) -> str:
    """A repository of this test alone."""
    return f"team/{tmp_path.name.replace('_', '-').lower()}".rstrip("-")


class Wire:
    """The requests that were answered since somebody last looked."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, WIRE)
        self._caplog = caplog

    def asked(self) -> Counter[str]:
        """How many of each method."""
        found = Counter(one.getMessage().split()[0] for one in self._caplog.records if one.name == WIRE)
        self._caplog.clear()
        return found


@pytest.fixture
def wire(caplog: pytest.LogCaptureFixture) -> Wire:
    return Wire(caplog)


def edit(bot: Path, text: str) -> None:
    (bot / "prompts/reply.md").write_text(f"Answer {{{{ name }}}} {text}.\n")


@pytest.mark.parametrize("how", ["packed", "folder"])
def test_an_edited_prompt_takes_ten_requests(
    kitpack: Terminal, bot: Path, proxy: CountingProxy, space: str, wire: Wire, how: str
) -> None:
    name = f"{proxy.address}/{space}"
    kitpack("push", bot, f"{name}:1")
    edit(bot, f"as a {how} does")
    if how == "packed":
        kitpack("pack", bot, "-t", "bot:2")
    wire.asked()
    proxy.reset()
    kitpack("push", bot if how == "folder" else "bot:2", f"{name}:2")
    # the tag twice, the manifest before, prompt and config; the session and the bytes of both; the manifest
    assert wire.asked() == {"HEAD": 5, "POST": 2, "PUT": 3}
    assert proxy.connections <= 4


def test_pulling_what_changed_takes_a_request_for_each_piece(
    kitpack: Terminal, bot: Path, proxy: CountingProxy, space: str, wire: Wire, tmp_path: Path
) -> None:
    name = f"{proxy.address}/{space}"
    kitpack("push", bot, f"{name}:1")
    edit(bot, "kindly")
    kitpack("push", bot, f"{name}:2")
    elsewhere = Terminal(tmp_path / "elsewhere")
    elsewhere("pull", f"{name}:1")
    wire.asked()
    proxy.reset()
    elsewhere("pull", f"{name}:2")
    assert wire.asked() == {"GET": 3}  # manifest, prompt, config
    assert proxy.connections <= 4
    elsewhere("pull", f"{name}:2")
    assert wire.asked() == {"GET": 1}


def test_looking_takes_one_request_and_one_for_each_piece_shown(
    kitpack: Terminal, bot: Path, registry: str, space: str, wire: Wire
) -> None:
    kitpack("push", bot, f"{registry}/{space}:1")
    wire.asked()
    kitpack("inspect", f"{registry}/{space}:1", "--json")
    found = wire.asked()
    assert set(found) == {"GET"}
    assert found["GET"] <= 3 + len(list((bot / "prompts").iterdir()))


def test_a_push_after_a_pull_knows_what_is_there(
    kitpack: Terminal, bot: Path, registry: str, space: str, wire: Wire, tmp_path: Path
) -> None:
    name = f"{registry}/{space}"
    kitpack("push", bot, f"{name}:1")
    elsewhere = Terminal(tmp_path / "elsewhere")
    elsewhere("pull", f"{name}:1")
    edit(bot, "kindly")
    wire.asked()
    elsewhere("push", bot, f"{name}:2")
    assert wire.asked().total() <= 10


def test_copies_within_a_registry_move_no_bytes(kitpack: Terminal, bot: Path, proxy: CountingProxy, space: str) -> None:
    (bot / "model/bot.gguf").write_bytes(noise(3_000_000))
    kitpack("push", bot, f"{proxy.address}/{space}/dev:1")
    proxy.reset()
    done = kitpack("copy", f"{proxy.address}/{space}/dev:1", f"{proxy.address}/{space}/prod:1", "--json").json
    assert done["moved"] == 0
    assert proxy.sent + proxy.received < 60_000
    kitpack("pull", f"{proxy.address}/{space}/prod:1")


def test_a_push_mounts_what_another_repository_has(
    kitpack: Terminal, bot: Path, proxy: CountingProxy, space: str
) -> None:
    (bot / "model/bot.gguf").write_bytes(noise(3_000_000, 2))
    kitpack("push", bot, f"{proxy.address}/{space}/one:1")
    edit(bot, "kindly")
    proxy.reset()
    moved = kitpack("push", bot, f"{proxy.address}/{space}/two:1", "--json").json["moved"]
    assert moved < 10_000
    assert proxy.sent < 60_000
    Terminal(bot.parent / "elsewhere")("pull", f"{proxy.address}/{space}/two:1")


def test_a_record_that_is_wrong_costs_a_request(
    kitpack: Terminal, bot: Path, space: str, kind: str, wire: Wire
) -> None:
    with running_registry(kind) as first, counting_proxy(first) as proxy:
        name = f"{proxy.address}/{space}"
        kitpack("push", bot, f"{name}:1")
        with running_registry(kind) as second:  # the same address, and nothing there any more
            proxy.move_to(second)
            edit(bot, "kindly")
            wire.asked()
            digest = kitpack("push", bot, f"{name}:2").out
            pieces = wire.asked()["POST"]
            assert pieces >= 5
            assert Terminal(bot.parent / "elsewhere")("pull", f"{name}:2").out == digest


def test_a_broken_connection_costs_little(
    kitpack: Terminal, bot: Path, proxy: CountingProxy, space: str, kind: str
) -> None:
    (bot / "model/bot.gguf").write_bytes(noise(1 << 20, 5) * (BIG >> 20))
    proxy.cuts = [BIG // 2]
    digest = kitpack("push", bot, f"{proxy.address}/{space}:1").out
    wasted = proxy.sent - BIG
    assert wasted < (SLACK if RESUMES[kind] else BIG // 2 + SLACK)
    assert Terminal(bot.parent / "elsewhere")("pull", f"{proxy.address}/{space}:1").out == digest


def test_a_second_break_costs_a_chunk_at_most(
    kitpack: Terminal, bot: Path, proxy: CountingProxy, space: str, kind: str
) -> None:
    (bot / "model/bot.gguf").write_bytes(noise(1 << 20, 6) * (BIG >> 20))
    proxy.cuts = [CHUNK // 2, CHUNK // 2 + BIG - CHUNK // 2]
    digest = kitpack("push", bot, f"{proxy.address}/{space}:1").out
    assert proxy.cuts == []
    assert proxy.sent - BIG < CHUNK // 2 + (CHUNK if RESUMES[kind] else BIG) + SLACK
    assert Terminal(bot.parent / "elsewhere")("pull", f"{proxy.address}/{space}:1").out == digest
