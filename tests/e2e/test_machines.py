"""What scripts rely on: JSON from every command, results on standard output, everything else on standard error."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitpack.oci.digest import Digest
from tests.support.cli import REPOSITORY, Terminal
from tests.support.everything import tree_of

STORY = {
    "init": ["init", "{folder}/draft"],
    "check": ["check", "{bot}"],
    "check for tools": ["check", "{bot}", "--for", "kit,modctl,docker"],
    "pack": ["pack", "{bot}", "-t", "bot:9"],
    "push": ["push", "bot:1", "{registry}/{space}/bot:1"],
    "push a folder": ["push", "{bot}", "{registry}/{space}/bot:1"],
    "pull": ["pull", "{registry}/{space}/bot:1"],
    "unpack": ["unpack", "bot:1", "-o", "{folder}/out"],
    "copy": ["copy", "bot:1", "oci:{folder}/usb:1"],
    "inspect": ["inspect", "bot:1"],
    "inspect in a registry": ["inspect", "{registry}/{space}/bot:1"],
    "diff": ["diff", "bot:1", "bot:2"],
    "diff of the same": ["diff", "bot:1", "bot:1"],
    "list": ["list"],
    "list in a registry": ["list", "{registry}/{space}/bot"],
    "tag": ["tag", "bot:1", "stable"],
    "remove": ["remove", "bot:1", "bot:2"],
    "gc": ["gc"],
    "verify": ["verify"],
    "verify a bundle": ["verify", "bot:1"],
    "logout": ["logout", "{registry}"],
    "login": ["login", "{registry}", "-u", "me", "--password-stdin"],
}

OWN_QUIET = {"inspect", "inspect in a registry", "diff", "list", "list in a registry"}

DIFF = {
    *("before", "after", "same", "breaks", "maxGrowth", "grown", "kitfile", "prompts", "configs", "datasets", "texts"),
    *("files", "shared", "weightsChanged", "faults"),
}

KEYS = {
    "init": {"kitfile", "text"},
    "check": {"ok", "issues"},
    "check for tools": {"ok", "issues"},
    "pack": {"reference", "digest", "mediaType", "manifestSize", "findings"},
    "push": {"reference", "digest", "mediaType", "manifestSize", "moved", "skipped", "mounted"},
    "push a folder": {"reference", "digest", "mediaType", "manifestSize", "moved", "skipped", "mounted"},
    "pull": {"reference", "digest", "mediaType", "manifestSize", "moved", "skipped", "mounted", "previous"},
    "copy": {"reference", "digest", "mediaType", "manifestSize", "moved", "skipped", "mounted"},
    "unpack": {"reference", "folder", "written", "kept", "removed"},
    "inspect": {
        *("reference", "digest", "mediaType", "artifactType", "size", "annotations"),
        *("config", "kitfile", "layers", "prompts", "faults"),
    },
    "diff": DIFF,
    "diff of the same": DIFF,
    "tag": {"reference", "digest"},
    "remove": {"removed"},
    "gc": {"dryRun", "blobs", "bytes", "leftovers", "referrers", "untagged", "kept", "keptBytes", "spared", "loaded"},
    "verify": {"ok", "faults"},
    "verify a bundle": {"ok", "faults"},
    "logout": {"registry", "removed"},
    "login": {"registry", "username"},
}


@pytest.fixture
def words(
    kitpack: Terminal, bot: Path, tmp_path: Path, embedded_registry: str, request: pytest.FixtureRequest
) -> list[str]:
    """The words of a chapter of the story, in surroundings where they succeed."""
    space = f"machines-{Digest.of_bytes(str(tmp_path).encode()).hex[:12]}"
    (tmp_path / "draft").mkdir()
    (tmp_path / "draft/a.gguf").write_bytes(b"GGUF")
    (bot / "app.yaml").write_text("temperature: 1\n")
    kitpack("pack", bot, "-t", "bot:2")
    (bot / "app.yaml").write_text("temperature: 0.2\n")
    kitpack("pack", bot, "-t", "bot:1")
    kitpack("push", "bot:1", f"{embedded_registry}/{space}/bot:1")
    places = {"bot": bot, "folder": tmp_path, "registry": embedded_registry, "space": space}
    return [word.format(**places) for word in STORY[request.param]]


def chapters(names: object = STORY) -> pytest.MarkDecorator:
    assert isinstance(names, dict | set)
    return pytest.mark.parametrize(("words", "name"), [(name, name) for name in sorted(names)], indirect=["words"])


@chapters()
def test_json_is_one_value_and_nothing_else_is_printed(kitpack: Terminal, words: list[str], name: str) -> None:
    ended = kitpack(*words, "--json", stdin="secret")
    assert ended.err == ""
    value = ended.json
    assert name not in KEYS or set(value) == KEYS[name]
    if name.startswith("list"):
        assert all(set(one) == {"reference", "digest", "size", "artifactType", "channel"} for one in value)


@chapters(set(STORY) - OWN_QUIET - {"init", "unpack", "copy", "remove", "tag", "check for tools"})
def test_quiet_changes_nothing_about_the_result(kitpack: Terminal, words: list[str], name: str) -> None:
    ended = kitpack(*words, stdin="secret")
    quiet = kitpack(*words, "--quiet", stdin="secret")
    assert ended.err != ""
    assert (quiet.out, quiet.err) == (ended.out, "")


@chapters(OWN_QUIET | {"init", "unpack", "copy", "remove", "tag"})
def test_quiet_prints_no_sentence(kitpack: Terminal, words: list[str], name: str) -> None:
    ended = kitpack(*words, "--quiet", code=1 if name == "diff" else 0)
    assert ended.err == ""
    for line in ended.out.splitlines():
        assert " " not in line


@chapters({"pack", "push", "pull", "unpack", "copy", "verify"})
def test_no_bars_in_pipes(kitpack: Terminal, words: list[str], name: str) -> None:
    ended = kitpack.run(*words)
    assert ended.code == 0
    assert "\x1b" not in ended.out + ended.err
    assert len(ended.err.splitlines()) == 1


def test_diff_as_json(kitpack: Terminal, bot: Path) -> None:
    first = kitpack("pack", bot, "-t", "bot:1").out.strip()
    (bot / "prompts/reply.md").write_text("Answer {{ name }} briefly.\n")
    second = kitpack("pack", bot, "-t", "bot:2").out.strip()
    found = kitpack("diff", "bot:1", "bot:2", "--json").json
    assert found["before"] == {"reference": "bot:1", "digest": first}
    assert found["after"] == {"reference": "bot:2", "digest": second}
    assert (found["same"], found["weightsChanged"]) == (False, False)
    (prompt,) = found["prompts"]
    assert (prompt["path"], prompt["kind"]) == ("prompts/reply.md", "changed")
    assert {"kind": "added", "text": "Answer {{ name }} briefly.", "spans": [[18, 25]]} in prompt["lines"]
    assert prompt["messages"][0]["lines"] == prompt["lines"]
    (file,) = found["files"]
    assert (file["sizeBefore"], file["sizeAfter"]) == (19, 27)


def test_inspect_as_json_is_enough_to_fetch_everything(kitpack: Terminal, bot: Path) -> None:
    kitpack("pack", bot, "-t", "bot:1")
    found = kitpack("inspect", "bot:1", "--json").json
    assert found["kitfile"] == (bot / "Kitfile").read_text()
    assert [one["text"] for one in found["prompts"]] == [
        (bot / "prompts/triage.md").read_text(),
        (bot / "prompts/reply.md").read_text(),
    ]
    for layer in found["layers"]:
        data = (bot / layer["path"]).read_bytes()
        assert (layer["digest"], layer["size"]) == (str(Digest.of_bytes(data)), len(data))


def test_the_sample_of_the_repository(kitpack: Terminal, tmp_path: Path) -> None:
    sample = REPOSITORY / "samples/support-bot"
    assert kitpack("check", sample, "--json").json == {"ok": True, "issues": []}
    ended = kitpack.run("pack", "samples/support-bot", "-t", "assistant:1.4.0", "--quiet")
    assert (ended.code, ended.err) == (0, "")
    assert kitpack("inspect", "assistant:1.4.0", "-q").out == ended.out
    kitpack("unpack", "assistant:1.4.0", "-o", tmp_path / "out")
    assert tree_of(tmp_path / "out", "Kitfile") == tree_of(sample, "Kitfile")
