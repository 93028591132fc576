"""A bundle's life without a registry."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from kitpack.oci.digest import Digest
from tests.support.cli import Terminal
from tests.support.everything import tree_of

DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def packed(kitpack: Terminal, bot: Path) -> str:
    """The digest of ``bot:1``."""
    return kitpack("pack", bot, "-t", "bot:1").out.strip()


def change_prompt(bot: Path) -> None:
    (bot / "prompts/triage.md").write_text("Sort this ticket.\nObey nobody.\nTicket: {{ ticket }}\n")


def test_pack_prints_the_digest_and_nothing_else(kitpack: Terminal, bot: Path) -> None:
    ended = kitpack("pack", bot, "-t", "bot:1")
    assert str(Digest.parse(ended.out.strip())) == ended.out.strip()
    assert ended.err == "packed bot:1\n"


def test_pack_without_a_tag_calls_it_what_the_kitfile_does(kitpack: Terminal, bot: Path) -> None:
    ended = kitpack("pack", bot)
    assert ended.err == "packed bot:1.4.0\n"
    assert kitpack("list", "-q").out == "bot:1.4.0\n"
    assert kitpack("inspect", "-q", "bot:1.4.0").out == ended.out


def test_pack_without_any_name_can_be_used_by_digest(kitpack: Terminal, bot: Path) -> None:
    kitfile = (bot / "Kitfile").read_text().replace("{name: bot, version: 1.4.0}", "{name: Bot 2, version: 1.4.0}")
    (bot / "Kitfile").write_text(kitfile)
    digest = kitpack("pack", bot).out.strip()
    assert kitpack("list").out == ""
    assert kitpack("inspect", "-q", f"any@{digest}").out.strip() == digest


def test_pack_into_a_layout(kitpack: Terminal, bot: Path, tmp_path: Path) -> None:
    digest = kitpack("pack", bot, "-t", f"oci:{tmp_path}/usb:1").out.strip()
    assert kitpack("inspect", "-q", f"oci:{tmp_path}/usb:1").out.strip() == digest
    assert not kitpack.home.exists()


def test_the_same_files_give_the_same_digest_elsewhere(
    kitpack: Terminal, bot: Path, packed: str, tmp_path: Path
) -> None:
    bot.rename(tmp_path / "moved")
    assert kitpack("pack", tmp_path / "moved").out.strip() == packed


@pytest.mark.parametrize("reference", ["bot:1", "bot@{digest}", "oci:{folder}/usb:1", "oci:{folder}/usb@{digest}"])
def test_every_way_to_name_a_bundle_shows_the_same_one(
    kitpack: Terminal, packed: str, tmp_path: Path, reference: str
) -> None:
    kitpack("copy", "bot:1", f"oci:{tmp_path}/usb:1")
    name = reference.format(folder=tmp_path, digest=packed)
    assert kitpack("inspect", "-q", name).out.strip() == packed
    assert kitpack("diff", "bot:1", name).err == "no differences\n"
    kitpack("check", name)
    kitpack("verify", name)


def test_inspect_shows_kitfile_layers_and_whole_prompts(kitpack: Terminal, packed: str) -> None:
    shown = kitpack("inspect", "bot:1").out
    assert packed in shown
    assert "  package: {name: bot, version: 1.4.0}\n" in shown
    assert "  Sort this ticket.\n  Ticket: {{ ticket }}\n" in shown
    assert re.search(r"Prompt reply \(prompts/reply.md\)\n  format +jinja\n(  .*\n)+\n  Answer {{ name }}.\n", shown)
    rows = [line.split() for line in shown.partition("\nLayers\n")[2].partition("\n\n")[0].splitlines()]
    assert [row[:2] for row in rows] == [
        ["ROLE", "PATH"],
        ["model", "model/bot.gguf"],
        ["prompt", "prompts/triage.md"],
        ["prompt", "prompts/reply.md"],
        ["config", "app.yaml"],
        ["kitfile", "Kitfile"],
    ]


def test_a_prompt_cannot_take_over_the_terminal(kitpack: Terminal, bot: Path) -> None:
    (bot / "prompts/triage.md").write_text("\x1b[2Jgone\u202e\n")
    kitpack("pack", bot, "-t", "bot:1", "--no-lint")
    shown = kitpack("inspect", "bot:1").out
    assert r"  \x1b[2Jgone\u202e" in shown
    assert kitpack("inspect", "bot:1", "--json").json["prompts"][0]["text"] == "\x1b[2Jgone\u202e\n"


def test_diff_shows_lines_sizes_and_what_stayed(kitpack: Terminal, bot: Path, packed: str) -> None:
    change_prompt(bot)
    other = kitpack("pack", bot, "-t", "bot:2").out.strip()
    shown = kitpack("diff", "bot:1", "bot:2").out
    assert f"Before  bot:1  {packed}\nAfter   bot:2  {other}\n" in shown
    assert "Prompt triage: changed (prompts/triage.md)\n" in shown
    assert "  + Obey nobody.\n" in shown
    assert "changed  prompt  prompts/triage.md  39 B → 52 B\n" in shown
    assert shown.endswith("weights are the same\n")


def test_diff_tells_by_its_exit_code_only_when_asked(kitpack: Terminal, bot: Path, packed: str) -> None:
    change_prompt(bot)
    kitpack("pack", bot, "-t", "bot:2")
    kitpack("diff", "bot:1", "bot:2", code=0)
    kitpack("diff", "bot:1", "bot:2", "--exit-code", code=1)
    assert kitpack("diff", "bot:1", "bot:2", "--quiet", code=1).out == ""
    kitpack("diff", "bot:1", "bot:1", "--exit-code", code=0)


def test_diff_of_bundles_that_differ_in_their_manifests_alone(kitpack: Terminal, bot: Path, packed: str) -> None:
    kitpack("pack", bot, "-t", "bot:dated", environment={"SOURCE_DATE_EPOCH": "1"})
    ended = kitpack("diff", "bot:1", "bot:dated", "--exit-code", code=0)
    assert (ended.out, ended.err) == ("", "the same files; only what the manifests say differs\n")


def test_list_lines_up_and_names_all(kitpack: Terminal, packed: str) -> None:
    kitpack("tag", "bot:1", "much-longer-name:1")
    lines = kitpack("list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["REFERENCE", "bot:1", "much-longer-name:1"]
    assert len({line.index(" kB") for line in lines[1:]}) == 1
    assert all(line.endswith(packed) for line in lines[1:])
    assert kitpack("list", "--quiet").out == "bot:1\nmuch-longer-name:1\n"
    assert kitpack("list", "bot", "--quiet").out == "bot:1\n"


def test_list_of_an_empty_store_prints_nothing_for_machines(kitpack: Terminal) -> None:
    ended = kitpack("list")
    assert ended.out == ""
    assert "kitpack pack" in ended.err
    assert kitpack("list", "--json").json == []


def test_tag_and_remove(kitpack: Terminal, packed: str) -> None:
    assert kitpack("tag", "bot:1", "stable").out.strip() == packed
    assert kitpack("tag", "bot:1", "other/name:1").err == "tagged other/name:1\n"
    assert kitpack("list", "-q").out.split() == ["bot:1", "bot:stable", "other/name:1"]
    kitpack("remove", "bot:1", "other/name:1")
    assert kitpack("list", "-q").out.split() == ["bot:stable"]


def test_tag_and_remove_in_a_layout(kitpack: Terminal, packed: str, tmp_path: Path) -> None:
    layout = f"oci:{tmp_path}/usb"
    kitpack("copy", "bot:1", f"{layout}:1")
    kitpack("tag", f"{layout}:1", "stable")
    kitpack("tag", f"{layout}:1", f"{layout}:live")
    assert kitpack("list", "-q", layout).out.split() == [f"{layout}:{tag}" for tag in ("1", "live", "stable")]
    kitpack("remove", f"{layout}:1", f"{layout}:live")
    assert kitpack("list", "-q", layout).out.split() == [f"{layout}:stable"]
    assert "oci:DIR:TAG" in kitpack("tag", f"{layout}:stable", "bot:1", code=2).err


def test_remove_takes_all_or_nothing(kitpack: Terminal, packed: str) -> None:
    kitpack("remove", "bot:1", "bot:2", code=4)
    assert kitpack("list", "-q").out.split() == ["bot:1"]


def test_remove_refuses_content(kitpack: Terminal, packed: str) -> None:
    assert "not a name" in kitpack("remove", f"bot@{packed}", code=2).err


def test_remove_with_a_digest_makes_sure_of_it(kitpack: Terminal, bot: Path, packed: str) -> None:
    change_prompt(bot)
    other = kitpack("pack", bot, "-t", "bot:2").out.strip()
    kitpack("remove", f"bot:1@{other}", code=6)
    kitpack("remove", f"bot:1@{packed}")
    assert kitpack("list", "-q").out.split() == ["bot:2"]


def test_gc_deletes_what_nothing_names(kitpack: Terminal, bot: Path, packed: str) -> None:
    kitpack("tag", "bot:1", "kept:1")
    change_prompt(bot)
    kitpack("pack", bot, "-t", "bot:2")
    kitpack("remove", "bot:1", "bot:2")
    assert "would delete 3 blobs" in kitpack("gc", "--grace", 0, "--dry-run").err
    spared = "3 blobs that nothing names were spared, newer than 10 minutes (`--grace 0` takes them too)\n"
    assert kitpack("gc").err.endswith(f"kept 10 blobs (13.7 kB)\n{spared}")  # all of it is new
    assert "newer than 2 hours" in kitpack("gc", "--grace", "2h").err
    assert "deleted 3 blobs" in kitpack("gc", "--grace", 0).err
    kitpack("verify", "kept:1")
    kitpack("verify")


def test_unpack_rolls_forward_and_back(kitpack: Terminal, bot: Path, packed: str, tmp_path: Path) -> None:
    before = tree_of(bot)
    change_prompt(bot)
    (bot / "prompts/more.md").write_text("more\n")
    kitfile = (bot / "Kitfile").read_text().replace("configs:", "  - path: prompts/more.md\nconfigs:")
    (bot / "Kitfile").write_text(kitfile)
    kitpack("pack", bot, "-t", "bot:2")
    kitpack("unpack", "bot:2", "-o", tmp_path / "live")
    assert tree_of(tmp_path / "live") == tree_of(bot)
    done = kitpack("unpack", "bot:1", "-o", tmp_path / "live", "--json").json
    assert (done["written"], done["removed"]) == (["Kitfile", "prompts/triage.md"], ["prompts/more.md"])
    assert tree_of(tmp_path / "live") == before


def test_unpack_only_some(kitpack: Terminal, packed: str, tmp_path: Path) -> None:
    kitpack("unpack", "bot:1", "-o", tmp_path / "out", "--only", "prompts,app.yaml")
    assert sorted(tree_of(tmp_path / "out")) == ["Kitfile", "app.yaml", "prompts/reply.md", "prompts/triage.md"]
    assert "it holds" in kitpack("unpack", "bot:1", "-o", tmp_path / "out", "--only", "datasets", code=4).err


def test_changed_files_are_found_and_spared(kitpack: Terminal, packed: str, tmp_path: Path) -> None:
    kitpack("unpack", "bot:1", "-o", tmp_path / "live")
    kitpack("verify", tmp_path / "live")
    (tmp_path / "live/app.yaml").write_text("temperature: 2\n")
    (tmp_path / "live/prompts/reply.md").unlink()
    ended = kitpack("verify", tmp_path / "live", code=6)
    assert ended.out == ("modified: app.yaml (unpacked from bot:1)\nmissing: prompts/reply.md (unpacked from bot:1)\n")
    assert ended.err == f"`kitpack unpack bot:1 -o {tmp_path}/live --overwrite` restores it\n"
    assert "--overwrite" in kitpack("unpack", "bot:1", "-o", tmp_path / "live", code=5).err
    kitpack("unpack", "bot:1", "-o", tmp_path / "live", "--overwrite")
    assert kitpack("verify", tmp_path / "live").err == f"{tmp_path}/live is intact\nit holds bot:1\n"


def test_verify_finds_a_changed_byte(kitpack: Terminal, bot: Path, packed: str) -> None:
    digest = Digest.of_bytes((bot / "prompts/triage.md").read_bytes())
    blob = kitpack.home / "blobs/sha256" / digest.hex
    blob.chmod(0o644)
    blob.write_bytes(b"x" * blob.stat().st_size)
    for words in ([], ["bot:1"], [f"oci:{kitpack.home}"]):
        ended = kitpack("verify", *words, code=6)
        assert "holds bytes of" in ended.out
        assert digest.hex in ended.out
    assert kitpack("verify", "--json", code=6).json["ok"] is False
    kitpack("unpack", "bot:1", "-o", bot.parent / "out", code=6)
    assert not (bot.parent / "out").exists()


def test_verify_repair_makes_room_for_good_bytes(kitpack: Terminal, bot: Path, packed: str, tmp_path: Path) -> None:
    kitpack("copy", "bot:1", f"oci:{tmp_path}/usb:1")
    digest = Digest.of_bytes((bot / "prompts/triage.md").read_bytes())
    for words, home in (([], kitpack.home), ([f"oci:{tmp_path}/usb"], tmp_path / "usb")):
        blob = home / "blobs/sha256" / digest.hex
        blob.chmod(0o644)
        blob.write_bytes(b"x" * blob.stat().st_size)
        assert "kitpack verify --repair" in kitpack("verify", *words, code=6).out
        done = kitpack("verify", "--repair", *words, "--json", code=6).json
        assert done["moved"] == [{"digest": str(digest), "path": f"{home}/damaged/sha256-{digest.hex}"}]
        assert "missing: " in kitpack("verify", *words, code=6).out
        assert "nothing had to be moved" in kitpack("verify", "--repair", *words, code=6).err
    kitpack("pack", bot, "-t", "bot:1")
    kitpack("copy", "bot:1", f"oci:{tmp_path}/usb:1")
    for words in ([], [f"oci:{tmp_path}/usb"], [str(tmp_path / "usb")]):
        assert kitpack("verify", *words).err.endswith(" is intact\n")
    assert kitpack("verify", "--repair").err == "the local store is intact\n"


def test_archives_are_shown_as_such(kitpack: Terminal, bot: Path) -> None:
    (bot / "prompts/reply.md").write_bytes((bot / "prompts/triage.md").read_bytes())
    (bot / "app.yaml").unlink()
    (bot / "app").mkdir()
    for number in range(300):
        (bot / f"app/{number}").write_text(f"{number}")
    (bot / "Kitfile").write_text((bot / "Kitfile").read_text().replace("path: app.yaml", "path: app"))
    kitpack("pack", bot, "-t", "bot:1")
    shown = kitpack("inspect", "bot:1").out
    assert "  prompts/reply.md (tar)  " in shown
    assert "  app/ (tar)  " in shown
    (bot / "app/1").write_text("one")
    kitpack("pack", bot, "-t", "bot:2")
    assert "changed  config  app/ (tar)  " in kitpack("diff", "bot:1", "bot:2").out


def test_one_layer_is_one_layer(kitpack: Terminal, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small/Kitfile").write_text("manifestVersion: 1.0.0\n")
    kitpack("pack", tmp_path / "small", "-t", "small:1")
    assert " in 1 layer\n" in kitpack("inspect", "small:1").out


def test_an_empty_kitfile_can_be_drafted_anew(kitpack: Terminal, bot: Path) -> None:
    (bot / "Kitfile").write_text("")
    assert f"kitpack init --force {bot}" in kitpack("check", bot, code=3).out
    kitpack("init", "--force", bot)
    kitpack("check", bot)


def test_init_drafts_what_can_be_packed(kitpack: Terminal, bot: Path) -> None:
    (bot / "Kitfile").unlink()
    assert "kitpack pack" in kitpack("init", bot).err
    kitpack("check", bot)
    kitpack("pack", bot, "-t", "bot:1")
    text = (bot / "Kitfile").read_text()
    assert kitpack("init", bot, "--stdout").out == text
    assert "--force" in kitpack("init", bot, code=2).err
    (bot / "Kitfile").write_text("mine\n")
    kitpack("init", bot, "--force")
    assert (bot / "Kitfile").read_text() == text


def test_check_prints_all_faults_with_their_places(kitpack: Terminal, bot: Path) -> None:
    (bot / "Kitfile").write_text("manifestVersion: 1.0.0\nmodle: {path: x}\nprompts:\n  - path: prompts/nothere.md\n")
    lines = kitpack("check", bot, code=3).out.splitlines()
    assert lines == [f"{bot}/Kitfile:2:1: error: {lines[0].partition('error: ')[2]}"]
    assert "did you mean 'model'?" in lines[0]
    (bot / "Kitfile").write_text("manifestVersion: 1.0.0\nmodel: {path: x}\nprompts:\n  - path: prompts/triag.md\n")
    lines = kitpack("check", bot, code=3).out.splitlines()
    assert [line.split(":")[1] for line in lines] == ["2", "4"]
    assert "did you mean prompts/triage.md?" in lines[1]


def test_check_says_that_all_is_well_where_nobody_parses_it(kitpack: Terminal, bot: Path) -> None:
    ended = kitpack("check", bot)
    assert (ended.out, ended.err) == ("", f"{bot}: no faults found\n")


def test_help_of_every_command_has_an_example_or_says_what_it_does(kitpack: Terminal) -> None:
    listed = kitpack("--help").out.partition("Commands:\n")[2].splitlines()
    names = [line.split()[0] for line in listed if line.startswith("  ") and line[2] != " "]
    assert {"init", "check", "pack", "push", "pull", "unpack", "copy", "inspect", "diff", "list"} <= set(names)
    for name in names:
        shown = kitpack(name, "--help").out
        assert f"Usage: kitpack {name} " in shown
        assert all(len(line) <= 80 for line in shown.splitlines()), name


def test_no_arguments_show_the_help(kitpack: Terminal) -> None:
    assert kitpack().out == kitpack("--help").out
    assert kitpack("--version").out.startswith("kitpack ")


def test_names_that_the_terminal_cannot_show(kitpack: Terminal, bot: Path) -> None:
    kitpack("pack", bot, "-t", "bot:1")
    change_prompt(bot)
    kitpack("pack", bot, "-t", "bot:2")
    ended = kitpack.run("diff", "bot:1", "bot:2", env={**kitpack.environment, "PYTHONIOENCODING": "latin-1"})
    assert ended.code == 0
    assert r"39 B \u2192 52 B" in ended.out


def test_a_reader_that_goes_away_is_no_error(kitpack: Terminal, packed: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = kitpack.run("inspect", "bot:1", stdout=writing)
    finally:
        os.close(writing)
    assert ended.err == ""


def test_a_folder_tells_which_bundles_it_holds(kitpack: Terminal, bot: Path, tmp_path: Path) -> None:
    kitpack("pack", bot, "-t", "bot:1")
    (bot / "prompts" / "reply.md").write_text("another\n")
    kitpack("pack", bot, "-t", "bot:2")
    kitpack("unpack", "bot:1", "-o", tmp_path / "out")
    assert "it holds bot:1\n" in kitpack("verify", tmp_path / "out").err + kitpack("verify", tmp_path / "out").out
    kitpack("unpack", "bot:2", "-o", tmp_path / "out", "--only", "prompts")
    told = kitpack("verify", tmp_path / "out")
    assert "it holds bot:1 (" in told.out + told.err
    assert "bot:2 (3 files)" in told.out + told.err
