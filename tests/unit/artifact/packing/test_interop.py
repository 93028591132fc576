"""What other tools would make of a bundle, said before it is packed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from kitpack.checks import check
from kitpack.errors import Issue, UsageError
from tests.support.everything import write_tree

MODEL = {"model/tiny.gguf": b"GGUF"}
CROWD = {f"many/{number}.txt": str(number).encode() for number in range(200)}


def found(folder: Path, reader: str, files: Mapping[str, bytes], kitfile: str) -> list[Issue]:
    write_tree(folder, files, f"manifestVersion: 1.0.0\n{kitfile}")
    issues = check(folder, readers=[reader])
    assert all(issue.severity == "warning" and issue.message.startswith(f"{reader}: ") for issue in issues)
    assert all(issue.hint and issue.path == str(folder / "Kitfile") for issue in issues)
    return issues


def test_nothing_is_said_unasked(tmp_path: Path) -> None:
    write_tree(tmp_path, {**MODEL, **CROWD}, "manifestVersion: 1.0.0\nmodel: {path: model}\ndocs: [{path: many}]\n")
    assert check(tmp_path) == []


def test_several_readers_each_for_itself(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a.md": b"a"}, "manifestVersion: 1.0.0\nconfigs: [{path: a.md}]\n")
    issues = check(tmp_path, readers=["docker", " KIT ", "docker", ""])
    assert [issue.message.partition(":")[0] for issue in issues] == ["docker", "kit", "kit"]


def test_errors_come_alone(tmp_path: Path) -> None:
    write_tree(tmp_path, {}, "manifestVersion: 1.0.0\nmodel: {path: nothere.gguf}\n")
    assert [issue.severity for issue in check(tmp_path, readers=["kit", "docker"])] == ["error"]


@pytest.mark.parametrize("names", [["dokcer"], ["kit", "*"], ["oras"]])
def test_unknown_readers(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        check(tmp_path, readers=names)
    assert caught.value.hint == "choose among kit, modctl, docker"


def test_kit_and_layers_that_are_files(tmp_path: Path) -> None:
    (issue,) = found(tmp_path, "kit", MODEL, "model: {path: model/tiny.gguf}\n")
    assert "before 1.15" in issue.message
    assert found(tmp_path / "crowd", "kit", CROWD, "docs: [{path: many}]\n") == []


def test_kit_and_configs(tmp_path: Path) -> None:
    kitfile = "configs:\n  - path: one.yaml\n  - path: more\n"
    issues = found(tmp_path, "kit", {"one.yaml": b"1", "more/a": b"2", "more/b": b"3"}, kitfile)
    assert [(issue.line, issue.message.split()[1]) for issue in issues[1:]] == [
        (3, "one.yaml"),
        (4, "more/a"),
        (4, "more/b"),
    ]


def test_modctl_and_dots_in_archives(tmp_path: Path) -> None:
    files = {**CROWD, "many/a..b.txt": b"x", "c..d.md": b"y"}
    (issue,) = found(tmp_path, "modctl", files, "docs:\n  - path: many\n  - path: c..d.md\n")
    assert "many/a..b.txt" in issue.message
    assert issue.line == 3
    assert (
        found(tmp_path / "plain", "modctl", {**CROWD, "c..d.md": b"y"}, "docs: [{path: many}, {path: c..d.md}]") == []
    )


@pytest.mark.parametrize(
    ("files", "kitfile", "said"),
    [
        (MODEL, "model: {path: model/tiny.gguf}", False),
        ({"w/a.safetensors": b"1"}, "model: {path: w}", False),
        ({"w/A.GGUF": b"1"}, "model: {path: w/A.GGUF}", False),
        ({"w/a.onnx": b"1"}, "model: {path: w/a.onnx}", True),
        ({"a.gguf": b"1"}, "datasets: [{path: a.gguf}]", True),
        ({"a.md": b"1"}, "prompts: [{path: a.md}]", True),
        ({f"w/{number}.gguf": bytes([number]) for number in range(200)}, "model: {path: w}", True),
    ],
)
def test_docker_and_weights(tmp_path: Path, files: Mapping[str, bytes], kitfile: str, said: bool) -> None:
    issues = found(tmp_path, "docker", files, kitfile)
    assert any("finds nothing to run" in issue.message for issue in issues) is said


def test_docker_and_templates(tmp_path: Path) -> None:
    files = {**MODEL, "chat.jinja": b"1", "triage.jinja": b"2", "prompts/reply.jinja": b"3"}
    kitfile = "model: {path: model/tiny.gguf}\nprompts: [{path: chat.jinja}, {path: triage.jinja}, {path: prompts}]\n"
    (issue,) = found(tmp_path, "docker", files, kitfile)
    assert "chat.jinja, triage.jinja" in issue.message
    assert "reply" not in issue.message
    one = "model: {path: model/tiny.gguf}\nprompts: [{path: chat.jinja}, {path: prompts}]\n"
    assert found(tmp_path, "docker", files, one) == []


def test_docker_and_archives(tmp_path: Path) -> None:
    files = {**MODEL, **CROWD}
    (issue,) = found(tmp_path, "docker", files, "model: {path: model/tiny.gguf}\ndocs:\n  - path: many\n")
    assert "many as one tar file" in issue.message
    assert issue.line == 4


def test_docker_and_files_with_equal_bytes(tmp_path: Path) -> None:
    files = {**MODEL, "a.md": b"same", "b.md": b"same", "c.md": b"else", "d.md": b"", "e.md": b""}
    kitfile = (
        "model: {path: model/tiny.gguf}\ndocs: [{path: a.md}, {path: b.md}, {path: c.md}, {path: d.md}, {path: e.md}]\n"
    )
    messages = [issue.message for issue in found(tmp_path, "docker", files, kitfile)]
    assert [(message.split()[2], message.split()[-1]) for message in messages] == [("b.md", "a.md"), ("e.md", "d.md")]
