"""A bundle's life in real registries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bundles import noise
from tests.support.cli import Terminal
from tests.support.everything import tree_of
from tests.support.proxy import CountingProxy, counting_proxy
from tests.support.registries import KINDS, running_registry

WEIGHTS = 6_000_000
KILOBYTES = 30_000
"""What a handful of requests and answers weigh, with their headers, a manifest, a Kitfile and two prompts."""


@pytest.fixture(params=KINDS, scope="module")
def registry(request: pytest.FixtureRequest) -> Iterator[str]:
    """A registry for the tests of this module."""
    with running_registry(request.param) as address:
        yield address


@pytest.fixture
def proxy(registry: str) -> Iterator[CountingProxy]:
    """A way to the registry that counts."""
    with counting_proxy(registry) as proxy:
        yield proxy


@pytest.fixture
def space(tmp_path: Path) -> str:
    """A repository of this test alone."""
    return f"team/{tmp_path.name.replace('_', '-').lower()}".rstrip("-")


@pytest.fixture
def big(bot: Path) -> Path:
    """The folder of a bundle with weights that one notices."""
    (bot / "model/bot.gguf").write_bytes(b"GGUF" + noise(WEIGHTS, 1))
    return bot


def test_there_and_back(kitpack: Terminal, bot: Path, registry: str, space: str, tmp_path: Path) -> None:
    reference = f"{registry}/{space}:1"
    digest = kitpack("pack", bot, "-t", "bot:1").out
    assert kitpack("push", "bot:1", reference).out == digest
    elsewhere = Terminal(tmp_path / "elsewhere")
    assert elsewhere("inspect", "-q", reference).out == digest
    assert elsewhere("pull", reference).out == digest
    assert elsewhere("list", "-q").out.split() == [reference]
    elsewhere("unpack", "--local", reference, "-o", tmp_path / "local")
    elsewhere("unpack", reference, "-o", tmp_path / "remote")
    assert tree_of(tmp_path / "local") == tree_of(tmp_path / "remote") == tree_of(bot)
    elsewhere("verify", "--local", reference)
    elsewhere("verify", reference)
    elsewhere("check", reference)
    elsewhere("remove", "--local", reference)
    assert elsewhere("list", "-q").out == ""
    assert elsewhere("inspect", "-q", reference).out == digest


def test_pull_says_what_a_name_was_before(
    kitpack: Terminal, bot: Path, registry: str, space: str, tmp_path: Path
) -> None:
    reference = f"{registry}/{space}:1"
    before = kitpack("push", bot, reference).out.strip()
    elsewhere = Terminal(tmp_path / "elsewhere")
    assert elsewhere("pull", reference, "--json").json["previous"] is None
    assert elsewhere("pull", reference, "--json").json["previous"] is None
    (bot / "app.yaml").write_text("temperature: 1\n")
    kitpack("push", bot, reference, "--force")
    other = Terminal(tmp_path / "other")
    other("pull", reference)
    assert f"{reference} was {before} before\n" in elsewhere("pull", reference).err
    kitpack("copy", reference, f"{registry}/{space}:2")
    assert "a registry's bytes are not read; `kitpack pull` proves them" in elsewhere("verify", reference).err


def test_a_damaged_store_is_repaired_by_pulling_again(
    kitpack: Terminal, bot: Path, registry: str, space: str, tmp_path: Path
) -> None:
    reference = f"{registry}/{space}:1"
    digest = kitpack("push", bot, reference).out.strip()
    kitpack("pull", reference)
    blob = kitpack.home / "blobs/sha256" / digest.removeprefix("sha256:")
    for damaged in (blob, next(one for one in blob.parent.iterdir() if one.stat().st_size == 39)):
        damaged.chmod(0o644)
        damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
        kitpack("verify", code=6)
        assert "moved: " in kitpack("verify", "--repair", code=6).out
        kitpack("pull", reference)
        kitpack("verify")


def test_every_way_to_name_it(kitpack: Terminal, bot: Path, registry: str, space: str) -> None:
    name = f"{registry}/{space}"
    digest = kitpack("push", bot, f"{name}:1").out.strip()
    for reference in (f"{name}:1", f"{name}@{digest}", f"{name}:1@{digest}"):
        assert kitpack("inspect", "-q", reference).out.strip() == digest
    kitpack("pull", f"{name}@{digest}")
    assert kitpack("inspect", "-q", "--local", f"{name}@{digest}").out.strip() == digest
    kitpack("remove", "--local", f"{name}@{digest}")
    assert kitpack("list", "-q").out == ""


def test_push_of_a_folder_leaves_no_second_copy(kitpack: Terminal, bot: Path, registry: str, space: str) -> None:
    digest = kitpack("push", bot, f"{registry}/{space}:1").out
    assert not (kitpack.home / "blobs").exists()
    assert kitpack("pack", bot).out == digest


def test_the_second_push_sends_nothing(kitpack: Terminal, big: Path, proxy: CountingProxy, space: str) -> None:
    reference = f"{proxy.address}/{space}:1"
    first = kitpack("push", big, reference, "--json").json
    assert first["moved"] > WEIGHTS
    assert proxy.sent > WEIGHTS
    proxy.reset()
    assert kitpack("push", big, reference).err == f"pushed {reference} (all of it was there already)\n"
    assert kitpack("push", big, reference, "--json").json["moved"] == 0
    assert proxy.sent < KILOBYTES


def test_an_edited_prompt_sends_a_prompt(kitpack: Terminal, big: Path, proxy: CountingProxy, space: str) -> None:
    kitpack("push", big, f"{proxy.address}/{space}:1")
    (big / "prompts/reply.md").write_text("Answer {{ name }} in one sentence.\n")
    proxy.reset()
    sent = kitpack("push", big, f"{proxy.address}/{space}:2", "--json").json
    assert sent["moved"] < 3000  # the prompt and the config
    assert proxy.sent < KILOBYTES


def test_looking_at_a_tag_moves_kilobytes(kitpack: Terminal, big: Path, proxy: CountingProxy, space: str) -> None:
    name = f"{proxy.address}/{space}"
    kitpack("push", big, f"{name}:1")
    (big / "prompts/reply.md").write_text("Answer {{ name }} in one sentence.\n")
    kitpack("push", big, f"{name}:2")
    for words in (
        ["inspect", f"{name}:1"],
        ["inspect", f"{name}:1", "--json"],
        ["diff", f"{name}:1", f"{name}:2"],
        ["verify", f"{name}:1"],
        ["check", f"{name}:1"],
        ["list", name],
        ["tag", f"{name}:2", "stable"],
        ["unpack", f"{name}:1", "-o", str(big.parent / "prompts"), "--only", "prompts"],
    ):
        proxy.reset()
        kitpack(*words)
        assert 0 < proxy.received < KILOBYTES, words
        assert 0 < proxy.sent < KILOBYTES, words


def test_pull_and_unpack_fetch_what_is_missing(
    kitpack: Terminal, big: Path, proxy: CountingProxy, space: str, tmp_path: Path
) -> None:
    name = f"{proxy.address}/{space}"
    kitpack("push", big, f"{name}:1")
    (big / "prompts/reply.md").write_text("Answer {{ name }} in one sentence.\n")
    kitpack("push", big, f"{name}:2")
    proxy.reset()
    kitpack("pull", f"{name}:1")
    assert proxy.received > WEIGHTS
    proxy.reset()
    kitpack("pull", f"{name}:2")
    kitpack("unpack", f"{name}:2", "-o", tmp_path / "live")  # the store has all of it
    assert proxy.received < KILOBYTES
    assert tree_of(tmp_path / "live") == tree_of(big)


def test_rolling_back_fetches_no_weights(
    kitpack: Terminal, big: Path, proxy: CountingProxy, space: str, tmp_path: Path
) -> None:
    name = f"{proxy.address}/{space}"
    before = tree_of(big)
    kitpack("push", big, f"{name}:1")
    (big / "prompts/reply.md").write_text("Answer {{ name }} in one sentence.\n")
    kitpack("push", big, f"{name}:2")
    kitpack("unpack", f"{name}:2", "-o", tmp_path / "live")
    proxy.reset()
    kitpack("unpack", f"{name}:1", "-o", tmp_path / "live")
    assert proxy.received < KILOBYTES
    assert tree_of(tmp_path / "live") == before


def test_a_tag_of_other_content_is_not_moved(kitpack: Terminal, bot: Path, registry: str, space: str) -> None:
    name = f"{registry}/{space}"
    first = kitpack("push", bot, f"{name}:1").out
    (bot / "app.yaml").write_text("temperature: 1\n")
    second = kitpack("push", bot, f"{name}:2").out
    assert "--force" in kitpack("push", bot, f"{name}:1", code=5).err
    kitpack("tag", f"{name}:2", "1", code=5)
    kitpack("pull", f"{name}:2")
    kitpack("push", f"{name}:2", f"{name}:1", code=5)
    kitpack("copy", f"{name}:2", f"{name}:1", code=5)
    assert kitpack("inspect", "-q", f"{name}:1").out == first
    kitpack("push", bot, f"{name}:1", "--force")
    assert kitpack("inspect", "-q", f"{name}:1").out == second


def test_a_refused_push_sends_no_weights(kitpack: Terminal, big: Path, proxy: CountingProxy, space: str) -> None:
    kitpack("push", big, f"{proxy.address}/{space}:1")
    (big / "model/bot.gguf").write_bytes(b"GGUF" + noise(WEIGHTS, 2))
    proxy.reset()
    kitpack("push", big, f"{proxy.address}/{space}:1", code=5)
    assert proxy.sent < KILOBYTES


def test_list_and_tag(kitpack: Terminal, bot: Path, registry: str, space: str) -> None:
    name = f"{registry}/{space}"
    digest = kitpack("push", bot, f"{name}:1").out.strip()
    assert kitpack("tag", f"{name}:1", "stable").err == f"tagged {name}:stable\n"
    kitpack("tag", f"{name}:1", f"{name}:live")
    lines = kitpack("list", name).out.splitlines()
    assert lines[0].split() == ["REFERENCE", "DIGEST"]
    assert [line.split() for line in lines[1:]] == [[f"{name}:{tag}", digest] for tag in ("1", "live", "stable")]
    assert "kitpack copy" in kitpack("tag", f"{name}:1", f"{name}-other:1", code=2).err


def test_copy_between_repositories(kitpack: Terminal, big: Path, proxy: CountingProxy, space: str) -> None:
    digest = kitpack("push", big, f"{proxy.address}/{space}:1").out
    proxy.reset()
    assert kitpack("copy", f"{proxy.address}/{space}:1", f"{proxy.address}/{space}-prod:1").out == digest
    assert proxy.sent + proxy.received < 2 * KILOBYTES
    assert kitpack("inspect", "-q", f"{proxy.address}/{space}-prod:1").out == digest


def test_copy_into_a_layout_and_on(kitpack: Terminal, bot: Path, registry: str, space: str, tmp_path: Path) -> None:
    digest = kitpack("push", bot, f"{registry}/{space}:1").out
    kitpack("copy", f"{registry}/{space}:1", f"oci:{tmp_path}/usb:1")
    assert kitpack("copy", f"oci:{tmp_path}/usb:1", f"{registry}/{space}-there:1").out == digest
    assert not (kitpack.home / "blobs").exists()


def test_what_is_not_there(kitpack: Terminal, bot: Path, registry: str, space: str) -> None:
    name = f"{registry}/{space}"
    kitpack("push", bot, f"{name}:1.4.0")
    for words in (["inspect"], ["pull"], ["verify"], ["check"], ["unpack", "-o", str(bot.parent / "out")]):
        ended = kitpack(*words, f"{name}:1.4", code=4)
        assert f"{name} has no tag 1.4\n" in ended.err
        assert f"did you mean {name}:1.4.0?" in ended.err
        assert f"{registry} has no repository {space}x\n" in kitpack(*words, f"{name}x:1", code=4).err
    assert f"`kitpack list {name}` shows its tags" in kitpack("inspect", f"{name}:zzz", code=4).err
    assert f"{registry} has no repository {space}x\n" in kitpack("list", f"{name}x", code=4).err
    nothing = f"{name}@sha256:{'0' * 64}"
    assert f"{name} has no manifest sha256:000" in kitpack("inspect", nothing, code=4).err
    assert not (bot.parent / "out").exists()


def test_a_home_for_short_names(kitpack: Terminal, bot: Path, registry: str, space: str, tmp_path: Path) -> None:
    home = {"KITPACK_REGISTRY": f"{registry}/{space}/"}
    digest = kitpack("pack", bot, "-t", "bot:1").out
    assert kitpack("push", "bot:1", environment=home).out == digest
    assert kitpack("inspect", "-q", f"{registry}/{space}/bot:1").out == digest
    other = Terminal(tmp_path / "other")
    assert other("inspect", "-q", "bot:1", environment=home).out == digest
    assert other("list", "-q", "bot", environment=home).out.split() == [f"{registry}/{space}/bot:1"]
    assert other("tag", "bot:1", "live", environment=home).err == "tagged bot:live\n"
    other("unpack", "bot:live", "-o", tmp_path / "out", environment=home)
    assert tree_of(tmp_path / "out") == tree_of(bot)
    other("inspect", "--local", "bot:1", environment=home, code=4)
    assert other("pull", "bot:1", environment=home).out == digest
    assert other("list", "-q").out.split() == ["bot:1"]
    assert f"{space}/bot has no tag 2" in other("inspect", "bot:2", environment=home, code=4).err
    assert "did you mean bot:1?" in other("inspect", "bto:1", environment=home, code=4).err
    kitpack("push", bot, "bot:2", environment=home)
    assert kitpack("inspect", "-q", f"{registry}/{space}/bot:2").out == digest


def test_a_pull_loses_nothing_that_was_only_here(kitpack: Terminal, bot: Path, registry: str, space: str) -> None:
    home = {"KITPACK_REGISTRY": f"{registry}/{space}"}
    kitpack("push", bot, "bot:1", environment=home)
    (bot / "prompts" / "reply.md").write_text("never pushed")
    mine = kitpack("pack", bot, "-t", "bot:1").out.strip()
    theirs = kitpack("pull", "bot:1", environment=home).out.strip()
    assert mine != theirs
    kitpack("gc", "--grace", "0")
    assert sorted(kitpack("list", "-q").out.split()) == ["bot:1", f"bot@{mine}"]
    assert "never pushed" in kitpack("inspect", f"bot@{mine}").out


def test_remove(kitpack: Terminal, bot: Path, registry: str, space: str, request: pytest.FixtureRequest) -> None:
    name = f"{registry}/{space}"
    kitpack("push", bot, f"{name}:1")
    kitpack("tag", f"{name}:1", "old")
    if "docker-registry" in request.node.name:
        ended = kitpack("remove", f"{name}:old", code=1)
        assert f"{registry} cannot remove a tag alone" in ended.err
    else:
        assert kitpack("remove", f"{name}:old").err == f"removed {name}:old\n"
        kitpack("inspect", f"{name}:old", code=4)
    kitpack("inspect", f"{name}:1")


def test_a_process_of_its_own(kitpack: Terminal, bot: Path, registry: str, space: str) -> None:
    environment = {**kitpack.environment, "PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"}
    for words in (
        ["push", bot, f"{registry}/{space}:1"],
        ["pull", f"{registry}/{space}:1"],
        ["inspect", f"{registry}/{space}:1"],
    ):
        ended = kitpack.run(*words, env=environment)
        assert ended.code == 0
        assert "Warning" not in ended.err
    kitpack("verify", "--local", f"{registry}/{space}:1")
