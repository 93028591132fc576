"""CNCF ModelPack's modctl works with what kitpack writes, and kitpack with what modctl builds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import kitpack
from kitpack.artifact.bundle import Bundle
from kitpack.artifact.unpacking.unpack import unpack
from kitpack.content.memory import Memory
from kitpack.content.target import Source, fetch_bytes, opener_of
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.manifest import Manifest
from tests.support.bundles import noise
from tests.support.everything import FILES, KITFILE, expected, tree_of
from tests.support.peers import Peers

EVERYTHING = {**FILES, "Kitfile": KITFILE.encode()}

MODEL = {
    "model.safetensors": noise(200_000, 7),
    "config.json": b'{"model_type": "llama"}\n',
    "code/run.sh": b"#!/bin/sh\n",
    "code/deep/\u00fc ber.py": b"print(1)\n",
    "README.md": b"# Read me\n",
    "prompts/system.md": b"Be kind to {{ name }}.\n",
}
MODELFILE = """\
NAME theirs
ARCH transformer
FAMILY llama
FORMAT safetensors
PARAMSIZE 1b
CONFIG config.json
MODEL model.safetensors
CODE code/*.sh
CODE code/deep/*.py
DOC README.md
DOC prompts/*.md
"""
ROLES = {
    "model.safetensors": "model",
    "config.json": "model-part",
    "code/run.sh": "code",
    "code/deep/\u00fc ber.py": "code",
    "README.md": "doc",
    "prompts/system.md": "doc",  # modctl has no word for prompts
}


# ours, read by modctl


def test_extract_after_pull(peers: Peers, ours: str, tmp_path: Path) -> None:
    peers.modctl("pull", "--plain-http", ours)
    peers.modctl("extract", ours, "--output", tmp_path / "out")
    assert tree_of(tmp_path / "out") == expected(EVERYTHING)


def test_extract_straight_from_the_registry(peers: Peers, ours: str, tmp_path: Path) -> None:
    peers.modctl("pull", "--plain-http", "--extract-from-remote", "--extract-dir", tmp_path / "out", ours)
    assert tree_of(tmp_path / "out") == expected(EVERYTHING)


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [("prompts/*.md", "prompts/system.md"), ("prompts/more/*", "prompts/more/gr"), ("data/many", "data/many/")],
)
def test_fetch(peers: Peers, ours: str, tmp_path: Path, pattern: str, prefix: str) -> None:
    peers.modctl("fetch", "--plain-http", "--patterns", pattern, "--output", tmp_path / "out", ours)
    wanted = {path: data for path, data in EVERYTHING.items() if path.startswith(prefix)}
    assert tree_of(tmp_path / "out") == expected(wanted)


def test_inspect_ls_and_push(peers: Peers, ours: str, registry: str) -> None:
    peers.modctl("pull", "--plain-http", ours)
    found = json.loads(peers.modctl("inspect", ours))
    assert (found["Name"], found["Format"]) == ("everything", "gguf")
    original = kitpack.inspect(ours, settings=peers.settings)
    assert [one["Filepath"] for one in found["Layers"]] == [layer.path for layer in original.layers]
    assert str(original.descriptor.digest) in peers.modctl("ls")
    elsewhere = f"{registry}/ours/sent-by-modctl:1.0"
    peers.modctl("tag", ours, elsewhere)
    peers.modctl("push", "--plain-http", elsewhere)
    assert kitpack.inspect(elsewhere, settings=peers.settings).descriptor == original.descriptor


# theirs, read by kitpack


@pytest.fixture(params=["", "--raw", "--no-creation-time", "--raw --output-remote"], ids=lambda mode: mode or "tar")
def built(request: pytest.FixtureRequest, peers: Peers, registry: str, tmp_path: Path) -> str:
    """A bundle that modctl built and pushed."""
    for path, data in {**MODEL, "Modelfile": MODELFILE.encode()}.items():
        location = tmp_path / "model" / path
        location.parent.mkdir(parents=True, exist_ok=True)
        location.write_bytes(data)
        location.chmod(0o755 if path == "code/run.sh" else 0o644)
    reference = f"{registry}/modctl/built:{request.param.replace(' ', '').strip('-') or 'tar'}"
    remote = ["--plain-http"] if "remote" in request.param else []
    modelfile = tmp_path / "model" / "Modelfile"
    peers.modctl("build", "-f", modelfile, "-t", reference, *request.param.split(), *remote, tmp_path / "model")
    if not remote:
        peers.modctl("push", "--plain-http", reference)
    return reference


def test_kitpack_works_with_it(peers: Peers, built: str, tmp_path: Path) -> None:
    layers = peers.inspect(built)["layers"]
    assert isinstance(layers, list)
    assert {one["path"]: one["role"] for one in layers if isinstance(one, dict)} == ROLES
    kitpack.unpack(built, tmp_path / "out", settings=peers.settings)
    assert tree_of(tmp_path / "out") == expected(MODEL)
    assert kitpack.verify(tmp_path / "out", settings=peers.settings) == []
    kitpack.unpack(built, tmp_path / "some", only=["prompts/**", "configs", "model"], settings=peers.settings)
    wanted = ("prompts/", "model.", "config.")
    chosen = {path: data for path, data in MODEL.items() if path.startswith(wanted)}
    assert tree_of(tmp_path / "some") == expected(chosen)


def test_pull_and_copy(peers: Peers, built: str, tmp_path: Path) -> None:
    pulled = kitpack.pull(built, settings=peers.settings)
    layout = f"oci:{tmp_path / 'layout'}:1"
    assert kitpack.copy(built, layout, settings=peers.settings).digest == pulled.digest
    kitpack.unpack(layout, tmp_path / "out", settings=peers.settings)
    assert tree_of(tmp_path / "out") == expected(MODEL)
    assert kitpack.diff(built, layout, settings=peers.settings).is_empty


def test_the_names_of_todays_specification(peers: Peers, built: str, tmp_path: Path) -> None:
    """This modctl still writes ``cnai`` where its successors write ``cncf``; nothing else differs."""
    theirs = kitpack.inspect(built, settings=peers.settings)
    assert theirs.manifest.kind == "application/vnd.cnai.model.manifest.v1+json"
    bundle = _renamed(theirs)
    assert {layer.path: layer.role for layer in bundle.layers} == ROLES
    unpack(bundle, tmp_path / "out")
    assert tree_of(tmp_path / "out") == expected(MODEL)


def _renamed(theirs: Bundle) -> Bundle:
    memory = Memory()
    raw = theirs.manifest.raw.replace(b"cnai.model", b"cncf.model")
    for child in Manifest.parse(raw).successors:
        _copy(theirs.source, memory, child)
    descriptor = Descriptor.of_bytes(theirs.manifest.media_type, raw)
    memory.push(descriptor, opener_of(raw))
    return Bundle(memory, descriptor)


def _copy(source: Source, target: Memory, descriptor: Descriptor) -> None:
    target.push(descriptor, opener_of(fetch_bytes(source, descriptor)))
