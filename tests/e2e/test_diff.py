"""Comparing bundles and looking at them, as people and CI jobs do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bundles import noise
from tests.support.cli import Ended, Terminal
from tests.support.everything import tree_of, write_tree
from tests.support.proxy import CountingProxy, counting_proxy
from tests.support.registry import Registry, serving
from tests.support.screen import screen

KITFILE = """\
manifestVersion: 1.0.0
package: {name: bot, version: 1.4.0}
model: {path: model/bot.gguf}
prompts: [{path: prompts}]
configs: [{path: app.yaml}]
datasets: [{path: tests}]
code: [{path: run.py}]
"""
TRIAGE = """\
---
name: triage
description: Sorts tickets.
model: bundle
parameters: {temperature: 0, max_tokens: 100}
variables:
  tier: {type: string, enum: [free, gold], default: free}
  ticket: {type: string, description: as the customer wrote it}
untrusted: [ticket]
changelog: The first version.
---
system:
You sort tickets of {{ tier }} customers into teams. Answer with one word.

user:
{{ ticket }}
"""
FILES = {
    "model/bot.gguf": b"GGUF" + bytes(5000),
    "prompts/triage.j2": TRIAGE.encode(),
    "prompts/reply.txt": b"Answer kindly.\n",
    "app.yaml": b"limits: {tokens: 300}\nlevel: info\n",
    "tests/cases.jsonl": b'{"id": "a", "expect": 1}\n{"id": "b", "expect": 2}\n',
    "run.py": b"print(1)\n",
}


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """The folder of a bundle with some of everything."""
    return write_tree(tmp_path / "bot", FILES, KITFILE)


def edit(bot: Path, path: str, *changes: tuple[str, str]) -> None:
    text = (bot / path).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (bot / path).write_text(text)


def next_version(bot: Path) -> None:
    """Change some of everything but the weights."""
    edit(
        bot,
        "prompts/triage.j2",
        ("one word", "one lower-case word, nothing else"),
        ("temperature: 0", "temperature: 0.2"),
        ("untrusted: [ticket]", "untrusted: []"),
        ("variables:\n", "variables:\n  tone: {type: string}\n"),
        ("The first version.", "Lower case."),
    )
    edit(bot, "app.yaml", ("300", "250"))
    edit(bot, "tests/cases.jsonl", ('"expect": 2', '"expect": 3'), ('{"id": "a"', '{"id": "c"'))
    edit(bot, "run.py", ("1", "2"))


def pack_both(kitpack: Terminal, bot: Path) -> None:
    kitpack("pack", bot, "-t", "bot:1", "--no-lint")
    next_version(bot)
    kitpack("pack", bot, "-t", "bot:2", "--no-lint")


def sections(ended: Ended) -> dict[str, str]:
    """What was printed, by heading."""
    parts = re.split(r"\n\n(?=\S)", ended.out)
    return {part.split("\n")[0]: part.partition("\n")[2] for part in parts[1:]}


def test_everything_that_changed_is_told_by_what_it_means(kitpack: Terminal, bot: Path) -> None:
    pack_both(kitpack, bot)
    found = sections(kitpack("diff", "bot:1", "bot:2"))
    assert list(found)[:-1] == [
        "Prompt triage: changed (prompts/triage.j2)",
        "Config app.yaml",
        "Dataset tests/cases.jsonl: 2 rows (1 added, 1 removed, 1 changed)",
        "Code run.py",
        "Files",
    ]
    prompt = found["Prompt triage: changed (prompts/triage.j2)"]
    assert re.search(r"  ~\d+ → ~\d+ tokens \(\+\d+\.\d %, over 10 %\)\n", prompt)
    assert "  variables\n    + tone was added, and is required (breaks callers)\n" in prompt
    assert "  ~ parameters.temperature: 0 → 0.2\n" in prompt
    assert '  - untrusted: ["ticket"]\n' in prompt
    assert "  ~ changelog: The first version. → Lower case.\n" in prompt
    assert "  system message\n  @ -13 +14\n  - You sort" in prompt
    assert "user message" not in prompt
    assert found["Config app.yaml"] == "  ~ limits.tokens: 300 → 250"
    rows = found["Dataset tests/cases.jsonl: 2 rows (1 added, 1 removed, 1 changed)"]
    assert rows.splitlines() == [
        '  + row 1: {"id": "c", "expect": 1}',
        "  ~ row 2 (id: b)",
        "      ~ expect: 2 → 3",
        '  - row 1: {"id": "a", "expect": 1}',
    ]
    assert found["Code run.py"] == "  @ -1 +1\n  - print(1)\n  + print(2)"
    assert list(found)[-1].endswith(" in common; weights are the same")


def test_json_tells_all_of_it(kitpack: Terminal, bot: Path) -> None:
    pack_both(kitpack, bot)
    found = kitpack("diff", "bot:1", "bot:2", "--json").json
    (prompt,) = found["prompts"]
    assert (found["breaks"], found["grown"], found["maxGrowth"]) == (True, ["triage"], 10.0)
    assert set(prompt) == {
        *("kind", "name", "path", "nameBefore", "pathBefore", "breaks", "messages", "variables", "output"),
        *("settings", "includes", "tokens", "lines"),
    }
    assert prompt["variables"] == [
        {"name": "tone", "kind": "added", "breaks": True, "text": "tone was added, and is required"}
    ]
    assert {"path": "parameters.temperature", "kind": "changed", "before": 0, "after": 0.2} in prompt["settings"]
    assert set(prompt["tokens"]["before"]) == {"tokens", "exact", "by"}
    assert prompt["tokens"]["percent"] > 10
    assert found["configs"][0]["values"] == [{"path": "limits.tokens", "kind": "changed", "before": 300, "after": 250}]
    rows = found["datasets"][0]["rows"]
    assert (rows["column"], rows["rowsBefore"], rows["added"], rows["removed"], rows["changed"]) == ("id", 2, 1, 1, 1)
    assert [change["key"] for change in rows["changes"]] == ["c", "b", "a"]
    assert [text["path"] for text in found["texts"]] == ["run.py"]
    assert len(found["files"]) == 4


def test_a_limit_on_growth_that_ci_can_set(kitpack: Terminal, bot: Path) -> None:
    kitpack("pack", bot, "-t", "bot:1", "--no-lint")
    edit(bot, "prompts/reply.txt", ("kindly", "kindly, and in the language of whoever wrote the letter"))
    kitpack("diff", "bot:1", bot)
    ended = kitpack("diff", "bot:1", bot, "--max-growth", 10, code=1)
    assert "tokens (+" in ended.out
    assert ended.err == "more than 10 % longer than before: reply\n"
    assert kitpack("diff", "bot:1", bot, "--max-growth", 10, "--quiet", code=1).err == ""
    assert kitpack("diff", "bot:1", bot, "--max-growth", 10, "--json", code=1).json["grown"] == ["reply"]
    kitpack("diff", "bot:1", bot, "--max-growth", 10_000)
    kitpack("diff", bot, "bot:1", "--max-growth", 0)
    kitpack("diff", "bot:1", bot, "--max-growth", -1, code=2)


def test_only_some_of_it(kitpack: Terminal, bot: Path) -> None:
    pack_both(kitpack, bot)
    found = list(sections(kitpack("diff", "bot:1", "bot:2", "--only", "configs,texts")))
    assert found[:-1] == ["Config app.yaml", "Code run.py"]
    assert kitpack("diff", "bot:1", "bot:2", "--only", "kitfile", "--exit-code").err == "no differences in kitfile\n"
    kitpack("diff", "bot:1", "bot:2", "--only", "prompts", "--exit-code", code=1)
    assert "datasets" in kitpack("diff", "bot:1", "bot:2", "--only", "weights", code=2).err


def test_what_did_i_change_since(kitpack: Terminal, bot: Path, tmp_path: Path) -> None:
    digest = kitpack("pack", bot, "-t", "bot:1", "--no-lint").out.strip()
    before = tree_of(tmp_path)
    assert kitpack("diff", bot, "bot:1").err == "no differences\n"
    assert kitpack("inspect", "-q", bot).out.strip() == digest
    (bot / "prompts/new.txt").write_text("Say thanks.\n")
    edit(bot, "prompts/reply.txt", ("kindly", "briefly"))
    found = sections(kitpack("diff", "bot:1", bot))
    assert "Prompt new: added (prompts/new.txt)" in found
    assert "Prompt reply: changed (prompts/reply.txt)" in found
    (bot / "prompts/new.txt").unlink()
    edit(bot, "prompts/reply.txt", ("briefly", "kindly"))
    assert tree_of(tmp_path) == before


def test_an_unpacked_folder(kitpack: Terminal, bot: Path, tmp_path: Path) -> None:
    kitpack("pack", bot, "-t", "bot:1", "--no-lint")
    kitpack("unpack", "bot:1", "-o", tmp_path / "live")
    assert kitpack("diff", "bot:1", tmp_path / "live").err == "no differences\n"
    edit(tmp_path / "live", "app.yaml", ("300", "1"))
    assert list(sections(kitpack("diff", "bot:1", tmp_path / "live")))[:2] == ["Config app.yaml", "Files"]
    kitpack("unpack", "bot:1", "-o", tmp_path / "part", "--only", "prompts")
    assert kitpack("diff", "bot:1", tmp_path / "part").err == "no differences\n"
    (tmp_path / "part/prompts/reply.txt").unlink()
    edit(tmp_path / "part", "prompts/triage.j2", ("one word", "two words"))
    found = sections(kitpack("diff", "bot:1", tmp_path / "part"))
    assert list(found)[:3] == [
        "Prompt reply: removed (prompts/reply.txt)",
        "Prompt triage: changed (prompts/triage.j2)",
        "Files",
    ]


def test_a_folder_that_holds_nothing_or_a_store(kitpack: Terminal, bot: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for words in (["inspect", tmp_path / "empty"], ["diff", tmp_path / "empty", tmp_path / "empty"]):
        assert "there is no Kitfile" in kitpack(*words, code=3).err
    kitpack("pack", bot, "-t", "bot:1", "--no-lint")
    assert f"oci:{kitpack.home}:TAG" in kitpack("inspect", kitpack.home, code=2).err


def test_prompts_with_faults_are_shown_all_the_same(kitpack: Terminal, bot: Path) -> None:
    kitpack("pack", bot, "-t", "bot:1", "--no-lint")
    edit(bot, "prompts/triage.j2", ("{{ ticket }}", "{{ ticket"))
    kitpack("pack", bot, "-t", "bot:2", "--no-lint")
    ended = kitpack("diff", "bot:1", "bot:2")
    assert "  - {{ ticket }}\n  + {{ ticket\n" in sections(ended)["Prompt file prompts/triage.j2: changed"] + "\n"
    assert "prompts/triage.j2:" in ended.err
    shown = kitpack("inspect", "bot:2")
    assert "Prompt file prompts/triage.j2\n  ---\n" in shown.out
    assert "prompts/triage.j2:" in shown.err
    as_json = kitpack("inspect", "bot:2", "--json").json
    assert [issue["path"] for issue in as_json["faults"]] == ["prompts/triage.j2"]
    assert {prompt["path"]: prompt["name"] for prompt in as_json["prompts"]} == {
        "prompts/reply.txt": "reply",
        "prompts/triage.j2": "",
    }


def test_inspect_shows_all_that_is_known_about_a_prompt(kitpack: Terminal, bot: Path) -> None:
    kitpack("pack", bot, "-t", "bot:1", "--no-lint")
    shown = kitpack("inspect", "bot:1").out.partition("Prompt triage (prompts/triage.j2)\n")[2]
    facts, _, text = shown.partition("\n\n")
    assert re.sub(r"~\d+ .*", "~", facts).splitlines() == [
        "  about       Sorts tickets.",
        "  format      jinja",
        "  model       bundle",
        "  parameters  temperature 0, max_tokens 100",
        '  variables   tier: "free" | "gold", optional, "free" by default',
        "              ticket: string, untrusted (as the customer wrote it)",
        "  tokens      ~",
        "  changelog   The first version.",
    ]
    assert "  You sort tickets of {{ tier }} customers into teams." in text
    prompt = next(one for one in kitpack("inspect", "bot:1", "--json").json["prompts"] if one["name"] == "triage")
    assert prompt["text"] == TRIAGE
    assert [message["role"] for message in prompt["messages"]] == ["system", "user"]
    assert prompt["variables"][1] == {
        "name": "ticket",
        "type": "string",
        "required": True,
        "default": "",
        "description": "as the customer wrote it",
        "untrusted": True,
        "sensitive": False,
    }
    assert prompt["parameters"] == {"temperature": 0, "max_tokens": 100}
    assert (prompt["format"], prompt["changelog"], prompt["untrusted"]) == ("jinja", "The first version.", ["ticket"])
    assert prompt["tokens"]["tokens"] > 10
    assert prompt["fingerprint"].startswith("sha256:")


def test_words_are_marked_on_a_terminal(kitpack: Terminal, bot: Path) -> None:
    pack_both(kitpack, bot)
    with screen(kitpack.environment, "diff", "bot:1", "bot:2") as shown:
        assert shown.end() == 0
    assert "\x1b[33m\x1b[1m  ~" in shown.raw  # longer by more than ten percent
    assert re.search(r"one \x1b\[0m\x1b\[32m\x1b\[7mlower-case\x1b\[0m", shown.raw)
    piped = kitpack.run("diff", "bot:1", "bot:2").out
    assert "\x1b" not in piped
    assert [line.rstrip() for line in shown.text.splitlines() if "  +" in line] == [
        line.rstrip() for line in piped.splitlines() if "  +" in line
    ]


WEIGHTS = 8_000_000


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry()) as registry:
        yield registry


@pytest.fixture
def proxy(registry: Registry) -> Iterator[CountingProxy]:
    with counting_proxy(registry.address) as proxy:
        yield proxy


def test_two_remote_tags_move_kilobytes(kitpack: Terminal, bot: Path, registry: Registry, proxy: CountingProxy) -> None:
    (bot / "model/bot.gguf").write_bytes(b"GGUF" + noise(WEIGHTS, 1))
    (bot / "tests/huge.jsonl").write_text('{"id": 1}\n' * 200_000)
    name = f"{proxy.address}/team/bot"
    kitpack("push", bot, f"{name}:1", "--no-lint")
    next_version(bot)
    (bot / "model/bot.gguf").write_bytes(b"GGUF" + noise(WEIGHTS, 2))
    (bot / "tests/huge.jsonl").write_text('{"id": 2}\n' * 200_000)
    kitpack("push", bot, f"{name}:2", "--no-lint")
    proxy.reset()
    registry.seen.clear()
    found = kitpack("diff", f"{name}:1", f"{name}:2", "--json").json
    assert found["weightsChanged"]
    assert [(one["path"], one["rows"] is None) for one in found["datasets"]] == [
        ("tests/cases.jsonl", False),
        ("tests/huge.jsonl", True),
    ]
    assert proxy.received < 30_000
    fetched = [seen.path for seen in registry.asked("GET", "/blobs/")]
    assert len(fetched) == len(set(fetched)) == 10  # five files of two versions; the other prompt and the Kitfile once
    assert len(registry.seen) <= len(fetched) + 6
    proxy.reset()
    registry.seen.clear()
    kitpack("inspect", f"{name}:2")
    assert proxy.received < 20_000
    assert len(registry.asked("GET", "/blobs/")) == 3  # two prompts and the Kitfile
