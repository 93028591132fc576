"""Prompts with all that is known about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.inspecting.described import DescribedPrompt, describe_prompts
from tests.support.packing import bundle_of, write_files
from tests.support.sources import Watched

KITFILE = "prompts: [{path: p}]\nmodel: {path: w.gguf}\n"


def described(tmp_path: Path, text: str) -> DescribedPrompt:
    folder = write_files(tmp_path / "one", {"p/a.md": text, "w.gguf": b"GGUF"}, KITFILE)
    (found,) = describe_prompts(bundle_of(folder)).found
    return found


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("{}", "v: anything"),
        ("{type: string}", "v: string"),
        ("{type: [string, 'null']}", "v: string | null"),
        ("{enum: [a, 1]}", 'v: "a" | 1'),
        ("{type: array}", "v: list"),
        ("{type: array, items: {type: integer}}", "v: list of integer"),
        ("{type: string, default: x}", 'v: string, optional, "x" by default'),
        ("{type: string, description: who}", "v: string (who)"),
        ("{type: string, x-kitpack-untrusted: true, x-kitpack-sensitive: true}", "v: string, untrusted, sensitive"),
    ],
)
def test_variables_in_words(tmp_path: Path, schema: str, words: str) -> None:
    found = described(tmp_path, f"---\nvariables: {{v: {schema}}}\n---\n{{{{ v }}}}\n")
    assert [str(one) for one in found.variables] == [words]


def test_a_prompt(tmp_path: Path) -> None:
    text = "---\nname: greet\n---\nHello {{ who }}\n"
    found = described(tmp_path, text)
    assert (found.name, found.path, found.text, found.size) == ("greet", "p/a.md", text, len(text))
    assert found.tokens is not None
    assert found.tokens.tokens > 2
    assert found.fingerprint.startswith("sha256:")
    assert [one.name for one in found.variables] == ["who"]


def test_parts_and_faulty_prompts_hide_nothing(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "p/_part.txt": "part\n",
        "p/a.md": "---\nvariables: [\n---\nx\n",
        "p/b.md": "b\n",
        "w.gguf": b"GGUF",
    }
    found = describe_prompts(bundle_of(write_files(tmp_path / "some", files, KITFILE)))
    assert [(one.path, one.name, one.text is not None) for one in found.found] == [
        ("p/_part.txt", "", True),
        ("p/a.md", "", True),
        ("p/b.md", "b", True),
    ]
    assert {issue.path for issue in found.faults} == {"p/a.md"}


def test_every_prompt_is_fetched_once_and_nothing_else(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"p/a.j2": "{% include '_b.txt' %}\n", "p/_b.txt": "b\n", "w.gguf": b"GGUF"}
    bundle = bundle_of(write_files(tmp_path / "once", files, KITFILE))
    watched = Watched(bundle.source)
    describe_prompts(Bundle(watched, bundle.descriptor))
    paths = {layer.descriptor.digest: layer.path for layer in bundle.layers}
    assert {paths[digest]: times for digest, times in watched.fetched.items() if digest in paths} == {
        "p/a.j2": 1,
        "p/_b.txt": 1,
        "Kitfile": 1,
    }
