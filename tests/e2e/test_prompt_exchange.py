"""Prompts that come from another tool and go to another one, as people do it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import Terminal

RECORD = {
    "prompt_id": "support-triage",
    "version": "2026-03-15.3",
    "model": "gpt-4.1",
    "template": "Sort this for {{ customer_tier }}: {{ ticket_body }}",
    "variables": ["customer_tier", "ticket_body"],
    "rollback_to": "2026-03-12.1",
}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "release.json"
    path.write_text(json.dumps(RECORD))
    return path


def test_a_record_becomes_a_bundle_and_a_record_again(kitpack: Terminal, record: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    ended = kitpack("prompt", "import", record, "-o", folder / "prompts")
    assert ended.out == "prompts:\n  - path: prompts/support-triage.md\n"
    assert "1 file written" in ended.err
    (folder / "Kitfile").write_text(f"manifestVersion: 1.0.0\npackage: {{name: bot}}\n{ended.out}")
    kitpack("pack", folder, "-t", "bot:1")
    out = tmp_path / "out"
    kitpack("prompt", "export", "bot:1", "--to", "record", "-o", out)
    found = json.loads((out / "support-triage.json").read_text())
    del found["digest"]
    assert found == RECORD


@pytest.mark.parametrize("kind", ["prompty", "dotprompt", "promptfoo", "record"])
def test_every_kind_goes_out_and_is_recognised_when_it_comes_back(
    kitpack: Terminal, record: Path, tmp_path: Path, kind: str
) -> None:
    kitpack("prompt", "import", record, "-o", tmp_path / "prompts")
    kitpack("prompt", "export", tmp_path / "prompts", "--to", kind, "-o", tmp_path / kind)
    back = kitpack("prompt", "import", tmp_path / kind, "-o", tmp_path / "back", "--json").json
    assert back["issues"] == []
    shown = kitpack("prompt", "render", tmp_path / "back", "--var", "customer_tier=gold", "--var", "ticket_body=Help")
    assert "Sort this for gold: Help" in shown.out


def test_nothing_is_overwritten_without_force(kitpack: Terminal, record: Path, tmp_path: Path) -> None:
    mine = tmp_path / "prompts/support-triage.md"
    mine.parent.mkdir()
    mine.write_text("mine")
    refused = kitpack("prompt", "import", record, "-o", mine.parent, code=5)
    assert "--force" in refused.err
    assert mine.read_text() == "mine"
    kitpack("prompt", "import", record, "-o", mine.parent, "--force")
    assert "support-triage" in mine.read_text()
    again = kitpack("prompt", "import", record, "-o", mine.parent)
    assert "0 files written" in again.err


def test_the_lines_for_the_kitfile_start_at_its_folder(kitpack: Terminal, record: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/Kitfile").write_text("manifestVersion: 1.0.0\n")
    ended = kitpack("prompt", "import", record, "-o", tmp_path / "bundle/a/b")
    assert ended.out == "prompts:\n  - path: a/b/support-triage.md\n"


def test_a_folder_with_partials_is_listed_as_a_folder(kitpack: Terminal, tmp_path: Path) -> None:
    source = tmp_path / "genkit"
    source.mkdir()
    (source / "greet.prompt").write_text("{{>tone}} Greet {{name}}.")
    (source / "_tone.prompt").write_text("Be kind.")
    ended = kitpack("prompt", "import", source, "-o", tmp_path / "bundle/prompts")
    assert ended.out == "prompts:\n  - path: prompts\n"
    (tmp_path / "bundle/Kitfile").write_text(f"manifestVersion: 1.0.0\npackage: {{name: bot}}\n{ended.out}")
    kitpack("pack", tmp_path / "bundle", "-t", "bot:1")
    assert "Be kind. Greet Ada." in kitpack("prompt", "render", "bot:1", "--var", "name=Ada").out
    one = kitpack("prompt", "import", source / "greet.prompt", "-o", tmp_path / "one", "--json").json
    assert one["written"] == ["_tone.md", "greet.md"]


def test_faults_are_shown_and_nothing_is_written(kitpack: Terminal, tmp_path: Path) -> None:
    (tmp_path / "bad.prompt").write_text("a\n{{#foo}}\n")
    ended = kitpack("prompt", "import", tmp_path / "bad.prompt", "-o", tmp_path / "out", code=3)
    assert "bad.prompt:2:1" in ended.err
    assert not (tmp_path / "out").exists()


def test_code_is_never_run_and_named(kitpack: Terminal, tmp_path: Path) -> None:
    (tmp_path / "promptfooconfig.yaml").write_text("prompts: [file://make.py, 'Say {{a}}']\n")
    (tmp_path / "make.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    ended = kitpack("prompt", "import", tmp_path / "promptfooconfig.yaml", "-o", tmp_path / "out")
    assert "make.py is code, and left out" in ended.err
    assert not (tmp_path / "ran").exists()


def test_a_filter_that_only_the_other_tool_has_is_pointed_out(kitpack: Terminal, tmp_path: Path) -> None:
    (tmp_path / "promptfooconfig.yaml").write_text("prompts: ['Say {{ a | rainbow }}']\n")
    ended = kitpack("prompt", "import", tmp_path, "-o", tmp_path / "out")
    assert "rainbow" in ended.err
    assert (tmp_path / "out/prompt-1.md").exists()


@pytest.mark.parametrize("name", ["x.txt", "empty"])
def test_what_tells_nothing_has_to_be_named(kitpack: Terminal, tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    if name == "empty":
        place.mkdir()
    else:
        place.write_text("x")
    assert "--from" in kitpack("prompt", "import", place, "-o", tmp_path / "out", code=2).err


def test_exporting_one_prompt_of_many(kitpack: Terminal, bot: Path, tmp_path: Path) -> None:
    ended = kitpack("prompt", "export", bot, "--to", "prompty", "--prompt", "reply", "-o", tmp_path / "out")
    assert ended.out == f"{tmp_path}/out/reply.prompty\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["reply.prompty"]
