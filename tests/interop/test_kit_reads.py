"""KitOps' kit works with what kitpack writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

import kitpack
from tests.support.everything import FILES, PROMPTS, expected, tree_of, write_tree
from tests.support.peers import Peers


@pytest.fixture
def pulled(peers: Peers, ours: str) -> str:
    peers.kit("pull", "--plain-http", ours)
    return ours


def test_unpack_after_pull(peers: Peers, pulled: str, tmp_path: Path) -> None:
    peers.kit("unpack", pulled, "-d", tmp_path / "out")
    assert tree_of(tmp_path / "out", "Kitfile") == expected()


def test_unpack_straight_from_the_registry(peers: Peers, ours: str, tmp_path: Path) -> None:
    peers.kit("unpack", "--plain-http", ours, "-d", tmp_path / "out")
    assert tree_of(tmp_path / "out", "Kitfile") == expected()


@pytest.mark.parametrize(
    ("words", "prefixes"),
    [
        ("prompts", ["prompts/"]),
        ("prompts:system", ["prompts/system.md"]),
        ("model", ["model/", "tokenizer/"]),
        ("datasets:many", ["data/many/"]),
        ("datasets:data/empty.jsonl", ["data/empty.jsonl"]),
        ("code", ["code/", "config/"]),
        ("docs", ["docs/"]),
    ],
)
def test_filters(peers: Peers, ours: str, tmp_path: Path, words: str, prefixes: list[str]) -> None:
    peers.kit("unpack", "--plain-http", ours, f"--filter={words}", "-d", tmp_path / "out")
    wanted = {path: data for path, data in FILES.items() if path.startswith(tuple(prefixes))}
    assert tree_of(tmp_path / "out", "Kitfile") == expected(wanted)


def test_the_kitfile_that_kit_writes_says_what_ours_says(peers: Peers, pulled: str, tmp_path: Path) -> None:
    peers.kit("unpack", pulled, "-d", tmp_path / "out")
    kitfile = yaml.safe_load((tmp_path / "out" / "Kitfile").read_text())
    assert kitfile["package"] == {
        "name": "everything",
        "version": "1.10",
        "description": "Of each a little",
        "license": "Apache-2.0",
        "authors": ["Ada", "Grace"],
    }
    assert kitfile["model"]["name"] == "tiny"
    assert [part["path"] for part in kitfile["model"]["parts"]][:2] == [
        "model/tiny-00002-of-00002.gguf",
        "model/twin.gguf",
    ]
    assert {"path": "prompts/system.md", "name": "system", "description": "Sets the tone"} in kitfile["prompts"]
    assert {prompt["path"] for prompt in kitfile["prompts"]} == set(PROMPTS)
    assert {"name": "many", "path": "data/many"} in kitfile["datasets"]


def test_a_folder_that_kit_unpacked_is_packed_again(peers: Peers, pulled: str, tmp_path: Path) -> None:
    """By kitpack, from kit's Kitfile: only what the two Kitfiles say differs, not a file."""
    peers.kit("unpack", pulled, "-d", tmp_path / "out")
    kitpack.pack(tmp_path / "out", "again:1", settings=peers.settings)
    before, after = (kitpack.inspect(one, settings=peers.settings) for one in (pulled, "again:1"))
    assert {layer.path for layer in after.layers} == {layer.path for layer in before.layers}
    kitpack.unpack("again:1", tmp_path / "twice", settings=peers.settings)
    assert tree_of(tmp_path / "twice", "Kitfile") == expected()


def test_inspect_info_and_list(peers: Peers, pulled: str) -> None:
    digest = str(kitpack.inspect(pulled, settings=peers.settings).descriptor.digest)
    for arguments in ([pulled], ["--remote", "--plain-http", pulled]):
        found = json.loads(peers.kit("inspect", *arguments))
        assert found["digest"] == digest
        assert found["manifest"]["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
        assert "name: everything" in peers.kit("info", *arguments)
    repository = pulled.rpartition(":")[0]
    for listing in (peers.kit("list"), peers.kit("list", "--plain-http", repository)):
        (line,) = [line for line in listing.splitlines() if "ours/everything" in line]
        assert {"1.0", "Ada", "everything", digest} <= set(line.split())


def test_kit_sends_it_on_unchanged(peers: Peers, pulled: str, registry: str) -> None:
    elsewhere = f"{registry}/ours/sent-by-kit:1.0"
    peers.kit("tag", pulled, elsewhere)
    peers.kit("push", "--plain-http", elsewhere)
    sent, original = (kitpack.inspect(one, settings=peers.settings) for one in (elsewhere, pulled))
    assert sent.descriptor == original.descriptor
    assert kitpack.verify(elsewhere, settings=peers.settings) == []


def test_diff(peers: Peers, ours: str, registry: str, tmp_path: Path) -> None:
    changed = write_tree(tmp_path / "changed", {**FILES, "prompts/system.md": b"Be brief.\n"})
    other = f"{registry}/ours/everything:1.1"
    kitpack.push(changed, other, force=True, settings=peers.settings)
    printed = peers.kit("diff", "--plain-http", f"remote://{ours}", f"remote://{other}")
    bundle = kitpack.inspect(other, settings=peers.settings)
    (prompt,) = [layer for layer in bundle.layers if layer.path == "prompts/system.md"]
    assert str(prompt.descriptor.digest)[:17] in printed  # kit shows no more of it


@pytest.mark.parametrize("section", ["prompts", "docs", "configs"])
def test_a_bundle_without_a_model(peers: Peers, registry: str, tmp_path: Path, section: str) -> None:
    kitfile = f"manifestVersion: 1.0.0\npackage: {{name: small}}\n{section}:\n  - path: a.md\n"
    folder = write_tree(tmp_path / "small", {"a.md": b"text\n"}, kitfile)
    reference = f"{registry}/ours/small-{section}:1"
    kitpack.push(folder, reference, force=True, settings=peers.settings)
    peers.kit("unpack", "--plain-http", reference, "-d", tmp_path / "out")
    assert tree_of(tmp_path / "out", "Kitfile") == {"a.md": (b"text\n", False)}
