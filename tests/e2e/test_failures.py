"""What kitpack says when something is wrong: an exit code for scripts, and the next thing to type for people."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.cli import Terminal
from tests.support.registry import Registry, Reply, refused_port, serving

NOWHERE = "sha256:" + "0" * 64


@pytest.fixture(autouse=True)
def packed(kitpack: Terminal, bot: Path) -> str:
    """Every test finds ``bot:1`` in the store."""
    return kitpack("pack", bot, "-t", "bot:1").out.strip()


USAGE = {
    "no such command": (["inspct", "bot:1"], "did you mean `kitpack inspect`?"),
    "nothing like a command": (["xyzzy"], "kitpack --help"),
    "no such flag": (["inspect", "--jsn", "bot:1"], "kitpack inspect --help"),
    "argument missing": (["inspect"], "kitpack inspect --help"),
    "too many arguments": (["inspect", "bot:1", "bot:2"], "kitpack inspect --help"),
    "no tag": (["inspect", "bot"], "kitpack list bot"),
    "upper case": (["inspect", "Bot:1"], "write bot:1"),
    "a URL": (["inspect", "https://localhost:5000/bot:1"], "leave it out: localhost:5000/bot:1"),
    "short digest": (["inspect", "bot@sha256:00"], ""),
    "a layout without a tag": (["inspect", "oci:{folder}/usb"], "oci:{folder}/usb:TAG"),
    "a number that is none": (["list", "--jobs", "many"], "kitpack list --help"),
    "no home to push to": (["push", "bot:1"], "KITPACK_REGISTRY"),
    "a folder without a place to push it to": (["push", "{folder}/bot"], "kitpack push {folder}/bot HOST/NAME:TAG"),
    "a digest to push to": (["push", "bot:1", f"localhost:1/bot@{NOWHERE}"], "add :TAG"),
    "one bundle to list": (["list", "bot:1"], "kitpack list bot"),
    "one bundle of a layout to list": (["list", "oci:usb:1"], "kitpack list oci:usb"),
    "a digest as a new name": (["tag", "bot:1", f"bot@{NOWHERE}"], "write NAME:TAG, or TAG alone"),
    "neither folder nor reference": (["check", "no such/thing"], ""),
    "unknown reader": (["check", "{folder}/bot", "--for", "kit,dokcer"], "kit, modctl, docker"),
    "reader of a packed bundle": (["check", "bot:1", "--for", "kit"], "kitpack check DIR"),
    "Kitfile elsewhere, and not there": (["pack", "{folder}/bot", "-f", "{folder}/none"], "kitpack pack --help"),
    "nobody to ask": (["login", "localhost:1"], "--password-stdin"),
    "nobody to ask for the name": (["login", "localhost:1", "--password-stdin"], "-u NAME"),
    "an unset variable as a tag": (["pack", "{folder}/bot", "-t", ""], "is the variable set"),
    "an unset variable as a destination": (["push", "bot:1", ""], "is the variable set"),
    "an unset variable as what to verify": (["verify", ""], "is the variable set"),
    "an unset variable as what to list": (["list", ""], "is the variable set"),
    "an unset variable as a folder": (["unpack", "bot:1", "-o", ""], "is the variable set"),
    "an unset variable as a choice": (["unpack", "bot:1", "-o", "{folder}/out", "--only", ""], "is the variable set"),
    "a comma as a choice": (["unpack", "bot:1", "-o", "{folder}/out", "--only", ","], "is the variable set"),
    "nothing to check for": (["check", "{folder}/bot", "--for", ""], "is the variable set"),
    "a flag without its value": (["unpack", "bot:1", "--only"], "kitpack unpack --help"),
    "a command of docker": (["rmi", "bot:1"], "did you mean `kitpack remove`?"),
    "a command of others": (["images"], "did you mean `kitpack list`?"),
    "a command there is not": (["deliver", "bot:1"], "kitpack --help"),
    "a reference in the place of a folder": (["pack", "bot:2"], "kitpack pack DIR -t bot:2"),
    "a new name without a tag": (["pack", "{folder}/bot", "-t", "new"], "add a tag: new:TAG\n"),
    "a new name in a layout without a tag": (["copy", "bot:1", "oci:usb"], "add a tag: oci:usb:TAG\n"),
    "a registry to push to": (["push", "bot:1", "localhost:5000"], "localhost:5000/NAME:TAG"),
    "a registry without a port to push to": (["push", "bot:1", "registry.example"], "registry.example/NAME:TAG"),
    "a registry to copy to": (["copy", "bot:1", "localhost:5000"], "localhost:5000/NAME:TAG"),
    "a registry to list": (["list", "localhost:5000"], "kitpack list localhost:5000/NAME"),
    "a registry to collect": (["gc", "localhost:5000/bot"], "oci:DIR"),
    "a folder to unpack": (["unpack", "{folder}/bot", "-o", "{folder}/x"], "kitpack check {folder}/bot"),
    "this folder to tag": (["tag", ".", "stable"], "kitpack check ."),
    "no folder to check": (["check", "/nonexist"], "error: there is no folder /nonexist\nhint:"),
    "an address of a layout": (["inspect", "oci://usb:1"], "write oci:usb:1"),
    "an odd time": (["gc", "--grace", "soon"], "kitpack gc --help"),
    "repair of a bundle": (["verify", "--repair", "bot:1"], "oci:DIR"),
    "no password": (["login", "localhost:1", "-u", "me", "--password-stdin"], "variable"),
}


@pytest.mark.parametrize(("words", "hint"), USAGE.values(), ids=USAGE.keys())
def test_2_what_makes_no_sense(kitpack: Terminal, tmp_path: Path, words: list[str], hint: str) -> None:
    ended = kitpack(*(word.format(folder=tmp_path) for word in words), code=2)
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert hint.format(folder=tmp_path) in ended.err


def test_2_a_folder_that_is_called_like_a_bundle(
    kitpack: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = kitpack("unpack", "bot", "-o", tmp_path / "x", code=2)
    assert "error: 'bot' is a path, not a reference" in ended.err
    assert "kitpack check bot" in ended.err


def test_2_a_number_in_the_environment(kitpack: Terminal) -> None:
    assert "KITPACK_JOBS='0'" in kitpack("list", environment={"KITPACK_JOBS": "0"}, code=2).err


def _no_kitfile(bot: Path) -> None:
    (bot / "Kitfile").unlink()


def _two_kitfiles(bot: Path) -> None:
    (bot / "kitfile.yaml").write_text("manifestVersion: 1.0.0\n")


def _bad_kitfile(bot: Path) -> None:
    (bot / "Kitfile").write_text("manifestVersion: 1.0.0\nmodle: {path: x}\n")


def _no_yaml(bot: Path) -> None:
    (bot / "Kitfile").write_text("a: [\n")


def _file_gone(bot: Path) -> None:
    (bot / "prompts/reply.md").unlink()


def _link_outside(bot: Path) -> None:
    (bot / "prompts/reply.md").unlink()
    (bot / "prompts/reply.md").symlink_to("/etc/hosts")


def _pipe(bot: Path) -> None:
    (bot / "app.yaml").unlink()
    os.mkfifo(bot / "app.yaml")


def _bad_name(bot: Path) -> None:
    (bot / "Kitfile").write_text("manifestVersion: 1.0.0\ncode:\n  - path: code\n")
    (bot / "code").mkdir()
    (bot / "code/A").write_text("1")
    (bot / "code/a").write_text("2")


UNFIT = [_no_kitfile, _two_kitfiles, _bad_kitfile, _no_yaml, _file_gone, _link_outside, _pipe, _bad_name]


@pytest.mark.parametrize("spoil", UNFIT)
def test_3_what_is_not_fit_to_be_packed(kitpack: Terminal, bot: Path, spoil: Callable[[Path], None]) -> None:
    spoil(bot)
    assert kitpack("pack", bot, "-t", "bot:2", code=3).err.startswith((f"{bot}", "error: "))
    assert kitpack("push", bot, f"{refused_port()}/bot:2", code=3).out == ""
    assert kitpack("check", bot, code=3).out.count(": error: ") >= 1
    assert kitpack("check", bot, "--json", code=3).json["ok"] is False
    assert kitpack("list", "-q").out == "bot:1\n"


NOT_THERE = {
    "nearest name": (["inspect", "bto:1"], "did you mean bot:1?"),
    "another version": (["inspect", "bot:2024"], "did you mean bot:1?"),
    "nothing near": (["inspect", "something-else-entirely:7"], "`kitpack list` shows what is there"),
    "digest": (["inspect", f"bot@{NOWHERE}"], ""),
    "push": (["push", "bto:1", "localhost:1/x:1"], "did you mean bot:1?"),
    "diff": (["diff", "bot:1", "bto:1"], "did you mean bot:1?"),
    "unpack": (["unpack", "bto:1", "-o", "{folder}/out"], "did you mean bot:1?"),
    "copy": (["copy", "bto:1", "oci:{folder}/usb:1"], "did you mean bot:1?"),
    "tag": (["tag", "bto:1", "x"], "did you mean bot:1?"),
    "remove": (["remove", "bto:1"], "did you mean bot:1?"),
    "check": (["check", "bto:1"], "did you mean bot:1?"),
    "verify": (["verify", "bto:1"], "did you mean bot:1?"),
    "list": (["list", "bto"], "did you mean bot?"),
    "local copy of a remote one": (["inspect", "--local", "localhost:1/bot:1"], "did you mean bot:1?"),
    "layout": (["inspect", "oci:{folder}/none:1"], ""),
    "list of a layout": (["list", "oci:{folder}/none"], "oci:DIR:TAG"),
    "gc of a layout": (["gc", "oci:{folder}/none"], ""),
    "a folder nobody unpacked into": (["verify", "{folder}/bot"], "kitpack unpack REF -o {folder}/bot"),
    "file of a bundle": (["unpack", "bot:1", "-o", "{folder}/out", "--only", "no/such"], "kitpack inspect"),
}


@pytest.mark.parametrize(("words", "hint"), NOT_THERE.values(), ids=NOT_THERE.keys())
def test_4_what_is_not_there(kitpack: Terminal, tmp_path: Path, words: list[str], hint: str) -> None:
    ended = kitpack(*(word.format(folder=tmp_path) for word in words), code=4)
    assert ended.out == ""
    assert hint.format(folder=tmp_path) in ended.err


def test_4_a_registry_in_the_place_of_a_name(kitpack: Terminal) -> None:
    assert "kitpack list registry.example/NAME" in kitpack("list", "registry.example", code=4).err


def test_a_name_with_a_host_that_is_in_the_local_store_only(kitpack: Terminal, packed: str, tmp_path: Path) -> None:
    with serving(Registry()) as registry:
        name = f"{registry.address}/bot:1"
        kitpack("tag", "bot:1", name)
        ended = kitpack("inspect", name, code=4)
        home = {"KITPACK_REGISTRY": registry.address}
        kitpack("remove", "bot:1")
        at_home = kitpack("inspect", "bot:1", code=4, environment=home)
    refused = kitpack("inspect", name, code=7)
    for one in (ended, at_home, refused):
        assert f"the local store has {name}: add --local" in one.err
    assert "in the local store?" in kitpack("inspect", f"{name.partition('/')[2]}.0", code=7, environment=home).err
    listed = kitpack("list", name.removesuffix(":1"), code=7)
    assert f"kitpack list --local {name.removesuffix(':1')}" in listed.err
    assert kitpack("inspect", "-q", "--local", name).out.strip() == packed


def test_4_a_name_in_a_layout(kitpack: Terminal, tmp_path: Path) -> None:
    kitpack("copy", "bot:1", f"oci:{tmp_path}/usb:1.4.0")
    for words in (["inspect"], ["remove"], ["verify"]):
        assert f"did you mean oci:{tmp_path}/usb:1.4.0?" in kitpack(*words, f"oci:{tmp_path}/usb:1.4", code=4).err


def test_4_everything_in_an_empty_store(kitpack: Terminal, tmp_path: Path) -> None:
    nothing = {"KITPACK_HOME": str(tmp_path / "none")}
    for words in (["inspect", "bot:1"], ["remove", "bot:1"], ["gc"], ["push", "bot:1", "localhost:1/bot:1"]):
        ended = kitpack(*words, code=4, environment=nothing)
        assert "there is no store at" in ended.err
        assert "kitpack pack" in ended.err
    assert "KITPACK_HOME" in kitpack("verify", code=4, environment=nothing).err
    assert not (tmp_path / "none").exists()


def test_5_a_tag_that_names_other_content(kitpack: Terminal, bot: Path, packed: str, tmp_path: Path) -> None:
    (bot / "app.yaml").write_text("temperature: 1\n")
    ended = kitpack("pack", bot, "-t", "bot:1", code=5)
    assert "--force" in ended.err
    assert packed in ended.err
    kitpack("pack", bot, "-t", "bot:2")
    kitpack("tag", "bot:2", "1", code=5)
    kitpack("copy", "bot:2", f"oci:{tmp_path}/usb:1")
    kitpack("copy", "bot:1", f"oci:{tmp_path}/usb:1", code=5)
    assert kitpack("inspect", "-q", "bot:1").out.strip() == packed
    kitpack("tag", "bot:2", "1", "--force")
    kitpack("pack", bot, "-t", "bot:1")
    assert kitpack("inspect", "-q", "bot:1").out != packed


def test_5_files_that_would_be_overwritten(kitpack: Terminal, tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    (tmp_path / "live/app.yaml").write_text("mine\n")
    assert "app.yaml" in kitpack("unpack", "bot:1", "-o", tmp_path / "live", code=5).err
    assert [path.name for path in (tmp_path / "live").iterdir()] == ["app.yaml"]


def test_6_damaged_content(kitpack: Terminal, packed: str, tmp_path: Path) -> None:
    manifest = kitpack.home / "blobs/sha256" / packed.removeprefix("sha256:")
    manifest.chmod(0o644)
    manifest.write_bytes(manifest.read_bytes().replace(b"bot", b"b0t", 1))
    for words in (["inspect", "bot:1"], ["unpack", "bot:1", "-o", str(tmp_path / "out")], ["verify"]):
        kitpack(*words, code=6)


def test_6_a_bundle_that_writes_outside(kitpack: Terminal, tmp_path: Path) -> None:
    from kitpack.content.store.layout import Layout
    from tests.support.bundles import push_artifact

    push_artifact(Layout(kitpack.home), {"../evil": b"x"}, "evil:1")
    for words in (["inspect", "evil:1"], ["unpack", "evil:1", "-o", str(tmp_path / "deep/out")]):
        assert "../evil" in kitpack(*words, code=6).err
    assert not (tmp_path / "deep/evil").exists()
    kitpack("check", "evil:1", code=3)


def test_7_a_registry_that_fails(kitpack: Terminal) -> None:
    nobody = refused_port()
    ended = kitpack("inspect", f"{nobody}/bot:1", code=7)
    assert f"{nobody} cannot be reached" in ended.err
    with serving(Registry()) as registry:
        registry.rule("HEAD", "manifests", Reply(status=500), last_stays=True)
        registry.rule("GET", "manifests", Reply(status=418), last_stays=True)
        registry.rule("HEAD", "blobs", Reply(status=418), last_stays=True)
        kitpack("push", "bot:1", f"{registry.address}/bot:1", "--force", code=7)


def test_7_a_registry_on_this_machine_that_speaks_tls(kitpack: Terminal) -> None:
    with serving(Registry()) as registry:
        for method in ("HEAD", "GET"):
            registry.rule(method, "", Reply(status=400), last_stays=True)
        assert "--ca-file" in kitpack("inspect", f"{registry.address}/bot:1", code=7).err


def test_8_a_registry_that_wants_to_know_who_asks(kitpack: Terminal) -> None:
    with serving(Registry()) as registry:
        challenge = {"WWW-Authenticate": 'Basic realm="x"'}
        registry.rule("GET", "manifests/1", Reply(status=401, headers=challenge), last_stays=True)
        registry.rule("GET", "manifests/2", Reply(status=403), last_stays=True)
        assert f"kitpack login {registry.address}" in kitpack("inspect", f"{registry.address}/bot:1", code=8).err
        kitpack("inspect", f"{registry.address}/bot:2", code=8)


def test_1_the_system_refuses(kitpack: Terminal, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = kitpack("pack", tmp_path / "bot", code=1, environment={"KITPACK_HOME": str(tmp_path / "file")})
    assert str(tmp_path / "file") in ended.err
    assert "Traceback" not in ended.err


ALL = [
    (["inspct"], 2),
    (["inspect"], 2),
    (["inspect", "bot"], 2),
    (["pack", "{folder}/bad"], 3),
    (["inspect", "bto:1"], 4),
    (["tag", "bot:1", "bot:2"], 5),
    (["inspect", "{failing}/bot:1"], 7),
]


@pytest.mark.parametrize(("words", "code"), ALL)
def test_errors_as_json(kitpack: Terminal, bot: Path, tmp_path: Path, words: list[str], code: int) -> None:
    (bot / "app.yaml").write_text("temperature: 1\n")
    kitpack("pack", bot, "-t", "bot:2")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/Kitfile").write_text("manifestVersion: 1.0.0\nmodle: {path: x}\n")
    with serving(Registry()) as registry:
        registry.rule("GET", "", Reply(status=418), last_stays=True)
        arguments = [word.format(folder=tmp_path, failing=registry.address) for word in words]
        plain = kitpack(*arguments, code=code)
        ended = kitpack(*arguments, "--json", code=code)
    error = ended.json["error"]
    assert set(error) == {"type", "message", "hint", "issues"}
    assert f"error: {error['message']}\n" in plain.err
    assert (error["issues"] != []) is (code == 3)
    assert (plain.out, ended.err) == ("", "")


def test_json_with_names_that_are_no_text(kitpack: Terminal, bot: Path) -> None:
    odd = os.fsdecode(b"odd-\xff.md")
    try:
        (bot / "prompts" / odd).write_text("x")
    except OSError:
        pytest.skip("this file system takes text only")
    (bot / "Kitfile").write_text("manifestVersion: 1.0.0\nprompts: [{path: prompts}]\n")
    ended = kitpack.run("pack", bot, "--json")
    assert ended.code == 3
    assert "error" in json.loads(ended.out)
    assert kitpack.run("check", bot).code == 3
