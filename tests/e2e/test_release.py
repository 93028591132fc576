"""Releases as people make them: what is live, what was, who did it, and what keeps them from doing it wrong."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import FILES, KITFILE
from tests.support.cli import Ended, Terminal
from tests.support.everything import write_tree

VERSIONS = ("1.0.0", "1.1.0", "1.2.0")


@pytest.fixture(params=["local", "registry", "layout"])
def repo(request: pytest.FixtureRequest, kitpack: Terminal, tmp_path: Path) -> str:
    """Three versions of a bundle in a place."""
    kitpack.environment["KITPACK_ACTOR"] = "ann"
    repo = "bot"
    if request.param == "registry":
        repo = f"{request.getfixturevalue('embedded_registry')}/team/bot-{secrets.token_hex(4)}"
    if request.param == "layout":
        repo = f"oci:{tmp_path / 'usb'}"
    for version in VERSIONS:
        folder = _folder(tmp_path, version)
        kitpack("pack" if request.param != "registry" else "push", folder, *_called(repo, version))
    return repo


def _called(repo: str, version: str) -> list[str]:
    return [f"{repo}:{version}"] if "/team/" in repo else ["-t", f"{repo}:{version}"]


def _folder(tmp_path: Path, version: str) -> Path:
    text = f"Sort this ticket, says {version}.\nTicket: {{{{ ticket }}}}\n".encode()
    files = {**FILES, "prompts/triage.md": text}
    kitfile = KITFILE.replace("version: 1.4.0", f"version: {version}, changelog: 'Sorts as {version} does.'")
    return write_tree(tmp_path / f"bot-{version}", files, kitfile)


def _live(kitpack: Terminal, repo: str, channel: str = "production") -> str:
    found = kitpack("status", repo, "--json").json
    assert not found["channels"][channel]["breaks"]
    names = [one["names"] for one in found["versions"] if channel in one["live"]]
    assert len(names) == 1, "exactly one is live"
    return str(names[0][0])


def _release(kitpack: Terminal, repo: str, *versions: str) -> None:
    for version in versions:
        kitpack("promote", f"{repo}:{version}", "--to", "production", "-m", f"it is {version}")


def test_the_way_there_and_back(kitpack: Terminal, repo: str) -> None:
    first = kitpack("promote", f"{repo}:1.0.0", "--to", "production", "-m", "the first")
    assert first.err == "1.0.0 is live at production (record 1)\n"
    assert first.out == kitpack("inspect", "-q", f"{repo}:1.0.0").out
    _release(kitpack, repo, "1.1.0", "1.2.0")
    back = kitpack("rollback", f"{repo}:production", "-m", "it is French")
    assert back.err == "1.1.0 is live at production again, was 1.2.0 (record 4)\n"
    assert kitpack("rollback", f"{repo}:production").err == (
        "1.0.0 is live at production again, was 1.1.0 (record 5)\n"
    ), "never forward to what was bad"
    assert "nothing served at" in kitpack("rollback", f"{repo}:production", code=4).err
    assert kitpack("inspect", "-q", f"{repo}:production").out == first.out
    assert _live(kitpack, repo) == "1.0.0"


def test_history_tells_who_when_why_and_what_changed(kitpack: Terminal, repo: str) -> None:
    _release(kitpack, repo, "1.0.0", "1.1.0")
    kitpack("rollback", f"{repo}:production", "-m", "it is French", environment={"KITPACK_ACTOR": "bob"})
    shown = [
        re.sub(r"[0-9-]{10} [0-9:]{5}", "WHEN", line)
        for line in kitpack("history", f"{repo}:production").out.splitlines()
    ]
    assert [" ".join(line.split()) for line in shown] == [
        "# WHEN WHO WHAT FROM TO WHY",
        "3* WHEN bob rollback 1.1.0 1.0.0 it is French",
        "triage: +1 -1 lines",
        "2 WHEN ann promote 1.0.0 1.1.0 it is 1.1.0",
        "triage: +1 -1 lines",
        "1 WHEN ann promote 1.0.0 it is 1.0.0",
    ]
    assert "triage" not in kitpack("history", f"{repo}:production", "--no-changes").out
    assert len(kitpack("history", f"{repo}:production", "-n", "1").out.splitlines()) == 3
    value = kitpack("history", f"{repo}:production", "--json").json
    digests = [kitpack("inspect", "-q", f"{repo}:{version}").out.strip() for version in VERSIONS[:2]]
    assert (value["channel"], value["live"], value["tagged"]) == ("production", digests[0], digests[0])
    last = value["records"][0]
    assert (last["action"], last["actor"], last["reason"]) == ("rollback", "bob", "it is French")
    assert (last["source"], last["target"], last["sequence"]) == (digests[1], digests[0], 3)
    assert last["previous"] == value["records"][1]["digest"]
    assert last["changes"] == ["triage: +1 -1 lines"]
    assert "{'" not in json.dumps(value)


def test_a_moment_stands_wherever_a_reference_does(kitpack: Terminal, repo: str, tmp_path: Path) -> None:
    _release(kitpack, repo, "1.0.0", "1.1.0")
    live, before = (kitpack("inspect", "-q", f"{repo}:{one}").out for one in ("1.1.0", "1.0.0"))
    found = kitpack("inspect", "--json", f"{repo}:production@{{-1}}")
    assert found.json["digest"] == before.strip()
    assert re.fullmatch(
        rf"note: {re.escape(repo)}:production@\{{-1\}} is 1\.0\.0 \S+: record 1, promote by ann on .*\n", found.err
    )
    assert kitpack("inspect", "-q", f"{repo}:production@{{now}}").out == live
    assert kitpack("inspect", "-q", f"{repo}:production@{{-1}}").err == ""
    assert "says 1.0.0" in kitpack("diff", f"{repo}:production@{{-1}}", f"{repo}:production").out
    kitpack("unpack", f"{repo}:production@{{-1}}", "-o", tmp_path / "out")
    assert "says 1.0.0" in (tmp_path / "out/prompts/triage.md").read_text()
    assert "nothing was live at" in kitpack("inspect", f"{repo}:production@{{3 days ago}}", code=4).err
    assert "is not a moment" in kitpack("inspect", f"{repo}:production@{{tomorrow}}", code=2).err
    kitpack("promote", f"{repo}:production@{{-1}}", "--to", "staging")
    assert _live(kitpack, repo, "staging") == "1.0.0"
    assert kitpack("rollback", f"{repo}:production", "--to", "@{-1}").out == before
    assert "is a release, not a channel" in kitpack("history", f"{repo}:production@{{-1}}", code=2).err


def test_what_is_expected_to_be_live(kitpack: Terminal, repo: str) -> None:
    _release(kitpack, repo, "1.0.0", "1.1.0")
    refused = kitpack("rollback", f"{repo}:production", "--expect", "1.0.0", code=5)
    assert "expected 1.0.0 to be live, found 1.1.0" in refused.err
    kitpack("rollback", f"{repo}:production", "--expect", "1.1.0")


def test_gates_have_a_code_of_their_own(
    kitpack: Terminal, repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kitpack.yaml").write_text("channels: {production: {gates: [{live-in: staging}]}}\n")
    refused = kitpack("promote", f"{repo}:1.0.0", "--to", "production", code=10)
    assert "live-in: nothing is live at staging" in refused.err
    assert "no release log" in kitpack("history", f"{repo}:production").err, "everything is as it was"
    done = kitpack("promote", f"{repo}:1.0.0", "--to", "production", "--override", "the boss says so")
    assert "overridden: live-in: nothing is live at staging" in done.err
    assert "promote (overridden)" in kitpack("history", f"{repo}:production").out
    (tmp_path / "kitpack.yaml").write_text("channels: {production: {gates: [liv-in]}}\n")
    faulty = kitpack("promote", f"{repo}:1.1.0", "--to", "production", code=3).err
    assert "(write live-in)" in faulty
    assert faulty.startswith("kitpack.yaml:1:33: error: channels.production.gates[]: expected complete or")


def test_a_part_of_the_traffic(kitpack: Terminal, repo: str) -> None:
    _release(kitpack, repo, "1.0.0")
    part = kitpack("promote", f"{repo}:1.1.0", "--to", "production", "--percent", "10")
    assert part.err == "production stays with 1.0.0; 1.1.0 gets 10 percent (record 2)\n"
    kitpack("promote", f"{repo}:1.2.0", "--to", "production", "--shadow")
    shown = kitpack("status", repo).out
    assert [" ".join(line.split()[:3]) for line in shown.splitlines()] == [
        "VERSION STATUS PRODUCTION",
        "1.0.0 active live",
        "1.1.0 active 10",
        "1.2.0 shadow shadow",
    ]
    assert _live(kitpack, repo) == "1.0.0"
    ended = kitpack("promote", f"{repo}:1.1.0", "--to", "production", "--percent", "0")
    assert ended.err == "production stays with 1.0.0; 1.2.0 runs along (record 4)\n"
    kitpack("promote", f"{repo}:1.1.0", "--to", "production", "--percent", "100")
    assert _live(kitpack, repo) == "1.1.0"
    assert "the way" not in kitpack("promote", f"{repo}:1.0.0", "--to", "x", "--shadow", "--percent", "5", code=2).err


def test_what_must_not_go_live_again(kitpack: Terminal, repo: str) -> None:
    _release(kitpack, repo, "1.0.0", "1.1.0", "1.2.0")
    kitpack("withdraw", f"{repo}:1.1.0", "--from", "production", "-m", "leaks names")
    kitpack("rollback", f"{repo}:production")
    assert _live(kitpack, repo) == "1.0.0"
    kitpack("archive", f"{repo}:1.2.0", "-m", "its licence has ended")
    assert "not-archived" in kitpack("promote", f"{repo}:1.2.0", "--to", "production", code=10).err
    assert "is live at" in kitpack("archive", f"{repo}:1.0.0", code=1).err
    kitpack("archive", "--restore", f"{repo}:1.2.0")
    _release(kitpack, repo, "1.2.0")


def test_names_of_releases_are_not_moved_by_hand(kitpack: Terminal, repo: str) -> None:
    _release(kitpack, repo, "1.0.0", "1.1.0")
    refused = kitpack("tag", f"{repo}:1.2.0", "production", code=5).err
    assert f"{repo}:production is a channel with a release log" in refused
    assert f"`kitpack promote REF --to production` or `kitpack rollback {repo}:production`" in refused
    for name in ("production", _record(kitpack, repo, 1)):
        assert "release log" in kitpack("remove", f"{repo}:{name}", code=1).err
    forced = kitpack("tag", "--force", f"{repo}:1.2.0", "production").err
    assert f"`kitpack adopt {repo}:production` writes it down" in forced
    broken = kitpack("history", f"{repo}:production", "--verify", code=6)
    assert "moved: the tag production stands for" in broken.out
    assert f"`kitpack adopt {repo}:production`" in broken.err
    assert "without a record" in kitpack("rollback", f"{repo}:production", code=5).err
    kitpack("adopt", f"{repo}:production", "-m", "it was me")
    assert kitpack("history", f"{repo}:production", "--verify", "--quiet").out == ""
    kitpack("rollback", f"{repo}:production")
    assert _live(kitpack, repo) == "1.1.0"


def _record(kitpack: Terminal, repo: str, number: int) -> str:
    names = kitpack("list", repo, "--all", "-q").out.split()
    return next(name.rpartition(":")[2] for name in names if f":production.log.{number:06d}." in name)


def test_push_onto_a_channel(kitpack: Terminal, tmp_path: Path, embedded_registry: str) -> None:
    repo = f"{embedded_registry}/team/bot-{secrets.token_hex(4)}"
    for version in VERSIONS[:2]:
        kitpack("push", _folder(tmp_path, version), f"{repo}:{version}")
    kitpack("promote", f"{repo}:1.0.0", "--to", "production")
    assert "is a channel" in kitpack("push", tmp_path / "bot-1.1.0", f"{repo}:production", code=5).err
    assert "writes it down" in kitpack("push", "--force", tmp_path / "bot-1.1.0", f"{repo}:production").err


def test_records_are_listed_on_demand(kitpack: Terminal, repo: str) -> None:
    _release(kitpack, repo, "1.0.0", "1.1.0")
    kitpack("archive", f"{repo}:1.2.0")
    listed = [line.split()[0].rpartition(":")[2] for line in kitpack("list", repo).out.splitlines()[1:]]
    assert listed == [*VERSIONS, "production"]
    assert [line.split()[1] for line in kitpack("list", repo).out.splitlines() if ":production " in line] == ["channel"]
    everything = kitpack("list", repo, "--all", "-q").out.split()
    assert len(everything) == 4 + 2 + 1
    marked = {one["reference"]: one["channel"] for one in kitpack("list", repo, "--json").json}
    assert marked == {f"{repo}:{tag}": tag == "production" for tag in (*VERSIONS, "production")}


@pytest.mark.parametrize("command", ["history", "rollback", "adopt"])
def test_before_there_is_any_release(kitpack: Terminal, repo: str, command: str) -> None:
    codes = {"history": 0, "rollback": 4, "adopt": 4}
    ended = kitpack(command, f"{repo}:production", code=codes[command])
    assert "kitpack promote" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("command", ["promote", "rollback", "history", "adopt"])
def test_a_bundle_without_a_tag_is_no_channel(kitpack: Terminal, command: str) -> None:
    more = ["--to", "production"] if command == "promote" else []
    assert "none of its tags" in kitpack(command, "bot", *more, code=2).err


def test_the_version_is_chosen(kitpack: Terminal, tmp_path: Path) -> None:
    folder = _folder(tmp_path, "1.4.0")
    (folder / "Kitfile").write_text(f"# ours\n{(folder / 'Kitfile').read_text()}")
    kitpack("pack", folder, "-t", "bot:1.4.0")
    before = (folder / "Kitfile").read_text()
    bumped = kitpack("pack", folder, "-t", "bot", "--bump", "minor")
    assert f"{folder}/Kitfile: package.version is 1.5.0 now, was 1.4.0" in bumped.err
    assert "warning: package.changelog is that of 1.4.0" in bumped.err
    assert "packed bot:1.5.0" in bumped.err
    assert (folder / "Kitfile").read_text() == before.replace("version: 1.4.0", "version: 1.5.0")
    days = [kitpack("pack", folder, "-t", "bot", "--calver").err.partition(" now, was")[0][-4:] for _ in range(2)]
    assert [one[-2:] for one in days] == [".1", ".2"]
    kitpack("pack", folder, "-t", "bot:1.4.0", "--bump", "minor", code=2)
    kitpack("pack", folder, "--calver", "--bump", "minor", code=2)


def test_a_version_that_is_taken(kitpack: Terminal, tmp_path: Path) -> None:
    folder = _folder(tmp_path, "1.4.0")
    kitpack("pack", folder)
    (folder / "app.yaml").write_text("temperature: 0.9\n")
    assert "hint:  --bump patch takes the next version" in kitpack("pack", folder, code=5).err
    assert "packed bot:1.4.1" in kitpack("pack", folder, "--bump", "patch").err


def test_the_number_is_free_in_the_registry_too(kitpack: Terminal, tmp_path: Path, embedded_registry: str) -> None:
    repo = f"{embedded_registry}/team/bot-{secrets.token_hex(4)}"
    folder = _folder(tmp_path, "1.4.0")
    kitpack("push", folder, f"{repo}:1.7.2")
    assert f"packed {repo}:1.7.3" in kitpack("pack", folder, "-t", repo, "--bump", "patch").err
    host, _, name = repo.partition("/team/")
    environment = {"KITPACK_REGISTRY": f"{host}/team"}
    assert f"packed {name}:1.8.0" in kitpack("pack", folder, "-t", name, "--bump", "minor", environment=environment).err
    kitpack("pack", folder, "-t", "127.0.0.1:1/bot", "--bump", "minor", code=7)


def test_a_kitfile_is_as_it_was_when_packing_fails(kitpack: Terminal, tmp_path: Path) -> None:
    folder = _folder(tmp_path, "1.4.0")
    before = (folder / "Kitfile").read_bytes()
    (folder / "prompts/triage.md").unlink()
    kitpack("pack", folder, "-t", "bot", "--bump", "minor", code=3)
    assert (folder / "Kitfile").read_bytes() == before
    assert sorted(one.name for one in folder.iterdir()) == ["Kitfile", "app.yaml", "model", "prompts"]


def test_strict_packing(kitpack: Terminal, tmp_path: Path) -> None:
    folder = _folder(tmp_path, "1.4.0")
    kitpack("pack", folder, "-t", "bot:1.4.0", "--strict")
    (folder / "prompts/triage.md").write_text("Sort this for {{ tier }}.\nTicket: {{ ticket }}\n")
    refused = kitpack("pack", folder, "-t", "bot", "--bump", "minor", "--strict", code=3).err
    assert "package.changelog is that of 1.4.0" in refused
    assert "triage: tier was added, and is required; that asks for a new major version" in refused
    kitfile = (folder / "Kitfile").read_text()
    (folder / "Kitfile").write_text(kitfile.replace("Sorts as 1.4.0 does.", "Knows the tier of a customer."))
    assert "packed bot:2.0.0" in kitpack("pack", folder, "-t", "bot", "--bump", "major", "--strict").err


# What other systems got wrong: S7 is a rollback endpoint over a table of versions, S10 a registry in a JSON file.


def test_s7_a_half_made_rollback_is_finished_by_the_next(kitpack: Terminal, repo: str) -> None:
    _release(kitpack, repo, "1.0.0", "1.1.0")
    kitpack("rollback", f"{repo}:production")
    kitpack("tag", "--force", f"{repo}:1.1.0", "production")  # as if nothing had come after the record
    assert "interrupted" in kitpack("history", f"{repo}:production", "--verify", code=6).out
    again = kitpack("rollback", f"{repo}:production")
    assert "note: the change was recorded before, and is made now" in again.err
    assert _live(kitpack, repo) == "1.0.0"
    assert len(kitpack("history", f"{repo}:production", "--json").json["records"]) == 3


def test_s7_every_process_sees_it_at_once(kitpack: Terminal, repo: str) -> None:
    _release(kitpack, repo, "1.0.0", "1.1.0")
    assert kitpack.run("rollback", f"{repo}:production").code == 0
    for _ in range(2):
        assert kitpack.run("inspect", "-q", f"{repo}:production").out == kitpack("inspect", "-q", f"{repo}:1.0.0").out


def test_s7_a_broken_state_is_repaired_from(kitpack: Terminal, tmp_path: Path) -> None:
    for version in VERSIONS:
        kitpack("pack", _folder(tmp_path, version), "-t", f"bot:{version}")
    _release(kitpack, "bot", *VERSIONS)
    kitpack("remove", "--force", "bot:production")  # nothing is live
    assert "without a record" in kitpack("rollback", "bot:production", code=5).err
    assert "was gone" in kitpack("rollback", "bot:production", "--force").err
    assert _live(kitpack, "bot") == "1.1.0"


def test_s7_the_target_is_looked_at_before_anything_moves(kitpack: Terminal, tmp_path: Path) -> None:
    for version in VERSIONS:
        kitpack("pack", _folder(tmp_path, version), "-t", f"bot:{version}")
    _release(kitpack, "bot", *VERSIONS)
    layers = kitpack("inspect", "bot:1.1.0", "--json").json["layers"]
    prompt = next(one["digest"] for one in layers if one["path"] == "prompts/triage.md")
    (kitpack.home / "blobs" / prompt.replace(":", "/")).unlink()
    broken = kitpack("rollback", "bot:production", code=4).err
    assert "1.1.0 is not whole" in broken
    assert "nothing was changed" in broken
    assert "complete: " in kitpack("rollback", "bot:production", "--to", "1.1.0", code=10).err
    assert _live(kitpack, "bot") == "1.2.0"
    kitpack("rollback", "bot:production", "--to", "1.0.0")


def test_s7_the_bad_release_may_be_gone(kitpack: Terminal, tmp_path: Path) -> None:
    for version in VERSIONS[:2]:
        kitpack("pack", _folder(tmp_path, version), "-t", f"bot:{version}")
    _release(kitpack, "bot", *VERSIONS[:2])
    layers = kitpack("inspect", "bot:1.1.0", "--json").json["layers"]
    known = {one["digest"] for one in kitpack("inspect", "bot:1.0.0", "--json").json["layers"]}
    for one in layers:
        if one["digest"] not in known:
            (kitpack.home / "blobs" / one["digest"].replace(":", "/")).unlink()
    kitpack("rollback", "bot:production")
    assert _live(kitpack, "bot") == "1.0.0"


def test_s7_saying_it_twice_changes_nothing(kitpack: Terminal, repo: str) -> None:
    _release(kitpack, repo, "1.0.0", "1.1.0")
    for _ in range(2):
        kitpack("rollback", f"{repo}:production", "--to", "1.0.0")
    assert "nothing to do" in kitpack("rollback", f"{repo}:production", "--to", "1.0.0").err
    assert kitpack("promote", f"{repo}:1.0.0", "--to", "production", "--json").json["changed"] is False
    assert len(kitpack("history", f"{repo}:production", "--json").json["records"]) == 3


def test_s10_what_is_live_is_known_after_a_restart(kitpack: Terminal, repo: str) -> None:
    _release(kitpack, repo, "1.0.0", "1.1.0")
    found = json.loads(kitpack.run("status", repo, "--json").out)["versions"]
    assert {one["names"][0]: one["status"] for one in found} == {
        "1.0.0": "deprecated",
        "1.1.0": "active",
        "1.2.0": "draft",
    }
    assert kitpack.run("promote", f"{repo}:1.2.0", "--to", "production").code == 0
    assert _live(kitpack, repo) == "1.2.0"


def test_s10_a_damaged_log_is_not_taken_for_an_empty_one(kitpack: Terminal, tmp_path: Path) -> None:
    for version in VERSIONS:
        kitpack("pack", _folder(tmp_path, version), "-t", f"bot:{version}")
    _release(kitpack, "bot", *VERSIONS[:2])
    last = kitpack("history", "bot:production", "--json").json["records"][0]["digest"]
    blob = kitpack.home / "blobs" / last.replace(":", "/")
    blob.chmod(0o644)
    blob.write_bytes(b"{" + blob.read_bytes()[1:].replace(b"ann", b"bob").replace(b"root", b"toor"))
    before = _tree(kitpack.home)
    for ended in (
        kitpack("promote", "bot:1.2.0", "--to", "production", code=6),
        kitpack("rollback", "bot:production", code=6),
        kitpack("history", "bot:production", "--verify", code=6),
    ):
        assert "error: " in ended.err
    assert _tree(kitpack.home) == before, "nothing is written over it"


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(one): one.read_bytes() for one in folder.rglob("*") if one.is_file() and "pins" not in one.parts}


def test_s10_several_at_once_lose_no_record(kitpack: Terminal, repo: str) -> None:
    _release(kitpack, repo, "1.0.0")
    running = [
        kitpack.process("promote", f"{repo}:{version}", "--to", "production", "-m", f"number {number}")
        for number, version in enumerate(("1.1.0", "1.2.0", "1.1.0", "1.2.0"))
    ]
    codes = []
    for process in running:
        with process:
            process.communicate(timeout=60)
        codes.append(process.returncode)
    assert set(codes) <= {0, 5}
    found = kitpack("history", f"{repo}:production", "--json").json
    assert found["live"] == found["tagged"]
    assert len(found["records"]) + len(found["lost"]) >= 2
    assert {one["kind"] for one in found["breaks"]} <= {"fork"}


def test_s10_who_did_it_need_not_be_said(kitpack: Terminal, repo: str) -> None:
    del kitpack.environment["KITPACK_ACTOR"]
    kitpack("promote", f"{repo}:1.0.0", "--to", "production", environment={"USER": "carl"})
    assert kitpack("history", f"{repo}:production", "--json").json["records"][0]["actor"].startswith("carl@")


def test_s10_a_second_rollback_goes_further_back(kitpack: Terminal, repo: str) -> None:
    _release(kitpack, repo, *VERSIONS)
    lived: Callable[[], Ended] = lambda: kitpack("rollback", f"{repo}:production", "--json")  # noqa: E731
    assert [lived().json["record"]["targetVersion"] for _ in range(2)] == ["1.1.0", "1.0.0"]


def test_offline_with_a_local_store(kitpack: Terminal, tmp_path: Path) -> None:
    for version in VERSIONS[:2]:
        kitpack("pack", _folder(tmp_path, version), "-t", f"bot:{version}")
        shutil.rmtree(tmp_path / f"bot-{version}")
    environment = {"HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": ""}
    for version in VERSIONS[:2]:
        kitpack("promote", f"bot:{version}", "--to", "production", environment=environment)
    kitpack("rollback", "bot:production", environment=environment)
    assert _live(kitpack, "bot") == "1.0.0"
