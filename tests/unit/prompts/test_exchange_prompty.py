"""Prompty's files, in and out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings

from kitpack.artifact.unpacking.folderfiles import FolderFiles
from kitpack.errors import PromptError, UnsafePathError
from kitpack.prompts.exchange.prompty import export_prompty, import_prompty
from kitpack.prompts.prompt import Prompt
from tests.support.prompting import PROMPTS, bare, parse, parse_files

BASIC = """\
---
name: Basic Prompt
displayName: A basic prompt
description: Answers questions
authors: [ada]
model:
  id: gpt-4.1
  provider: azure
  apiType: chat
  connection: {kind: key, endpoint: "${env:ENDPOINT}", apiKey: "${env:KEY}"}
  options: {temperature: 0.2, maxOutputTokens: 128, topP: 0.9}
inputs:
  - {name: firstName, kind: string, default: Jane, description: Who asks}
  - {name: question, kind: string, required: true, example: What is it?}
  - {name: tone, kind: string, required: false, enumValues: [kind, dry]}
template: {format: {kind: jinja2}, parser: prompty}
---
system:
You help {{ firstName }}.

user:
{{ question }}
"""


def read(files: dict[str, str]) -> dict[str, Prompt]:
    found = import_prompty({path: text.encode() for path, text in files.items()})
    return parse_files(found.files, found.prompts)


def test_a_file_is_read_and_what_it_keeps_to_itself_is_noted() -> None:
    (prompt,) = read({"basic.prompty": BASIC}).values()
    assert (prompt.name, prompt.model, prompt.format) == ("Basic Prompt", "gpt-4.1", "jinja")
    assert prompt.parameters == {"temperature": 0.2, "max_tokens": 128, "top_p": 0.9}
    assert prompt.variables["required"] == ["question"]
    assert prompt.metadata == {
        "displayName": "A basic prompt",
        "authors": ["ada"],
        "provider": "azure",
        "apiType": "chat",
    }
    assert [(one.role, one.template) for one in prompt.messages] == [
        ("system", "You help {{ firstName }}."),
        ("user", "{{ question }}"),
    ]
    (note,) = import_prompty({"basic.prompty": BASIC.encode()}).notes
    assert note == "basic.prompty: model.connection belong to the application, and are left out"
    assert "KEY" not in str(prompt)


def test_reading_it_as_it_is_says_the_same() -> None:
    (prompt,) = read({"basic.prompty": BASIC}).values()
    direct = parse(BASIC, "basic.prompty")
    assert bare(direct) == bare(prompt)


def test_a_folder_takes_its_names_from_the_files() -> None:
    found = import_prompty({"a.prompty": b"system:\nA", "deep/b.prompty": b"B", "c.txt": b"C"})
    assert found.prompts == ("a.md", "b.md")
    assert [*parse_files(found.files, found.prompts)] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "says nothing"),
        ("---\nname: x\n---\n", "says nothing"),
        ("---\nname: x\nsecret: y\n---\nA", "secret"),
        ("---\nname: ${env:X}\n---\nA", "is not read"),
        ("---\ntemplate: mustache\n---\nA", "mustache"),
        ("---\nname: [\n---\nA", "YAML"),
        ("system[x=1]:\nA", "attributes"),
    ],
)
def test_faults_have_their_file(text: str, words: str) -> None:
    with pytest.raises(PromptError) as error:
        read({"a.prompty": text})
    assert words in str(error.value)
    assert {issue.path for issue in error.value.issues} == {"a.prompty"}


def one_way(text: str) -> str:
    """A text as a file of text keeps it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def test_no_file_is_an_error() -> None:
    with pytest.raises(PromptError, match="fault"):
        read({})


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(PROMPTS)
def test_what_goes_out_comes_back(prompt: Prompt) -> None:
    try:
        exported = export_prompty([prompt])
    except PromptError as fault:
        (issue,) = fault.issues
        assume("looks like the start of a message" not in issue.message)
        raise
    found = import_prompty(dict(exported.files))
    (again,) = parse_files(found.files, found.prompts).values()
    for key in ("name", "description", "version", "model", "parameters", "output", "untrusted", "sensitive", "filters",
                "changelog", "tools", "metadata", "variables"):  # fmt: skip
        assert getattr(again, key) == getattr(prompt, key), key
    told = [(one.role, one_way(one.template)) for one in prompt.messages]
    assert [(one.role, one.template.strip()) for one in again.messages] == told


def test_what_prompty_has_no_key_for_is_noted_and_kept() -> None:
    prompt = parse("---\nname: p\nchangelog: Why not\nvariables: [a]\nuntrusted: [a]\nmodel: gpt-4.1\n---\n{{ a }}\n")
    exported = export_prompty([prompt])
    assert exported.notes == ("p: prompty has no place for changelog, untrusted; kept under metadata.kitpack",)
    front = yaml.safe_load(exported.files[0][1].decode().split("---\n")[1])
    assert front.keys() <= {"name", "description", "metadata", "model", "inputs", "outputs", "tools", "template"}
    assert front["inputs"] == {"a": {}}
    assert front["metadata"]["kitpack"] == {"changelog": "Why not", "untrusted": ["a"]}


def test_the_files_of_a_folder_are_read_no_further_than_it_reaches(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.prompty").write_text("secret")
    (tmp_path / "in/link.prompty").symlink_to(tmp_path / "out.prompty")
    (tmp_path / "in/.hidden.prompty").write_text("x")
    files = FolderFiles(tmp_path / "in")
    assert [*files] == ["link.prompty"]
    with pytest.raises(UnsafePathError):
        files["link.prompty"]
    with pytest.raises(KeyError):
        files["../out.prompty"]
