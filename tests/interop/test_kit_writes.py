"""kitpack works with what KitOps' kit packs, in every mode it has."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import kitpack
from kitpack.oci.jsontext import Json
from tests.support.everything import (
    FILES,
    KITOPS_KITFILE,
    KITOPS_RAW_KITFILE,
    PROMPTS,
    RAW_FILES,
    ROLES,
    expected,
    tree_of,
    write_tree,
)
from tests.support.peers import Peers

MODES = [
    "",
    "--compression gzip",
    "--compression gzip-fastest",
    "--compression zstd",
    "--layer-format raw",
    "--layer-format raw --compression gzip",
    "--layer-format raw --compression zstd",
    "--use-model-pack",
    "--use-model-pack --compression gzip",
    "--use-model-pack --compression zstd",
    "--use-model-pack --layer-format raw",
]
"""All that kit 1.15 has; it refuses to compress raw layers of a ModelPack."""

MCP_MANIFEST = {
    "manifest_version": "0.2",
    "name": "tool",
    "version": "1.0.0",
    "description": "A tool",
    "author": {"name": "Ada"},
    "server": {"type": "node", "entry_point": "x.js", "mcp_config": {"command": "node", "args": ["x.js"]}},
}


@dataclass(frozen=True)
class Packed:
    """A bundle that kit packed and pushed, and the files it is made of."""

    reference: str
    files: dict[str, bytes]

    @property
    def prompts(self) -> dict[str, str]:
        return {path: text for path, text in PROMPTS.items() if path in self.files}


@pytest.fixture(scope="module", params=MODES, ids=lambda mode: mode or "no options")
def packed(request: pytest.FixtureRequest, embedded_registry: str, tmp_path_factory: pytest.TempPathFactory) -> Packed:
    return _pack(request.param, embedded_registry, tmp_path_factory.mktemp("packed"))


def _pack(mode: str, registry: str, folder: Path) -> Packed:
    raw = "raw" in mode
    files = RAW_FILES if raw else FILES
    tree = write_tree(folder / "tree", files, KITOPS_RAW_KITFILE if raw else KITOPS_KITFILE)
    reference = f"{registry}/kit/mode{mode.replace(' ', '-')}:1".replace("---", "--")
    author = Peers(folder / "machine")
    author.kit("pack", tree, "-t", reference, *mode.split())
    author.kit("push", "--plain-http", reference)
    return Packed(reference, files)


def test_inspect(peers: Peers, packed: Packed) -> None:
    found = peers.inspect(packed.reference)
    prompts = found["prompts"]
    assert isinstance(prompts, list)
    assert {_text(one, "path"): _text(one, "text") for one in prompts} == packed.prompts
    layers = found["layers"]
    assert isinstance(layers, list)
    roles = {_text(one, "path"): _text(one, "role") for one in layers}
    assert {path: role for path, role in ROLES.items() if path in roles} == {
        path: role for path, role in roles.items() if path in ROLES
    }
    assert set(roles.values()) == {"model", "model-part", "prompt", "dataset", "code", "doc"}
    config = found["kitfile"]
    assert isinstance(config, str)
    assert "Sets the tone" in config or "raw" in packed.reference


def _text(value: Json, key: str) -> str:
    assert isinstance(value, dict)
    return str(value[key])


def test_unpack(peers: Peers, packed: Packed, tmp_path: Path) -> None:
    done = kitpack.unpack(packed.reference, tmp_path / "out", settings=peers.settings)
    assert tree_of(tmp_path / "out") == expected(packed.files)
    assert set(done.written) == set(packed.files)
    again = kitpack.unpack(packed.reference, tmp_path / "out", settings=peers.settings)
    assert (again.written, set(again.kept)) == ((), set(packed.files))
    assert kitpack.verify(tmp_path / "out", settings=peers.settings) == []


def test_unpack_some(peers: Peers, packed: Packed, tmp_path: Path) -> None:
    for words, prefixes in {
        "prompts": ("prompts/",),
        "model": ("model/", "tokenizer/"),
        "data/tests.jsonl,docs": ("data/tests.jsonl", "docs/"),
        "**/run.sh": ("code/run.sh",),
    }.items():
        kitpack.unpack(packed.reference, tmp_path / words[:4], only=words.split(","), settings=peers.settings)
        wanted = {path: data for path, data in packed.files.items() if path.startswith(prefixes)}
        assert tree_of(tmp_path / words[:4]) == expected(wanted), words


def test_pull_copy_and_verify(peers: Peers, packed: Packed, tmp_path: Path) -> None:
    pulled = kitpack.pull(packed.reference, settings=peers.settings)
    layout = f"oci:{tmp_path / 'layout'}:1"
    copied = kitpack.copy(packed.reference, layout, settings=peers.settings)
    assert (
        copied.digest == pulled.digest == kitpack.inspect(packed.reference, settings=peers.settings).descriptor.digest
    )
    assert (
        kitpack.verify(packed.reference, settings=peers.settings)
        == kitpack.verify(layout, settings=peers.settings)
        == []
    )
    kitpack.unpack(layout, tmp_path / "out", settings=peers.settings)
    assert tree_of(tmp_path / "out") == expected(packed.files)


def test_single_files_can_be_read(peers: Peers, packed: Packed) -> None:
    bundle = kitpack.inspect(packed.reference, settings=peers.settings)
    for path in ("prompts/system.md", "tokenizer/tokenizer.json", "code/run.sh", "data/empty.jsonl"):
        assert bundle.read(path) == FILES[path]


def test_diff_of_two_modes_finds_no_other_prompts(peers: Peers, embedded_registry: str, tmp_path: Path) -> None:
    tar, zstd = (
        _pack(mode, embedded_registry, tmp_path / mode).reference for mode in ("--use-model-pack", "--compression zstd")
    )
    found = kitpack.diff(tar, zstd, settings=peers.settings)
    assert found.files
    assert found.prompts == ()


def test_diff_of_two_versions(peers: Peers, embedded_registry: str, tmp_path: Path) -> None:
    references = []
    for number, prompt in enumerate((b"Be kind.\nBye.\n", b"Be brief.\nBye.\n")):
        tree = write_tree(tmp_path / str(number), {**FILES, "prompts/system.md": prompt}, KITOPS_KITFILE)
        references.append(f"{embedded_registry}/kit/versions:{number}")
        peers.kit("pack", tree, "-t", references[-1])
        peers.kit("push", "--plain-http", references[-1])
    found = kitpack.diff(*references, settings=peers.settings)
    (prompt_change,) = found.prompts
    assert [(line.kind, line.text) for line in prompt_change.lines if line.kind != "gap"] == [
        ("removed", "Be kind."),
        ("added", "Be brief."),
        ("same", "Bye."),
    ]
    assert [change.path for change in found.files] == ["prompts/system.md"]
    assert not found.weights_changed


def test_an_archive_of_both_is_one_blob(peers: Peers, tree: Path, embedded_registry: str, tmp_path: Path) -> None:
    """The folder of many small files has the same bytes, whoever packs it, so a registry keeps it once."""
    kitpack.pack(tree, "ours:1", settings=peers.settings)
    theirs = _pack("--use-model-pack", embedded_registry, tmp_path).reference
    digests = [
        {layer.path: layer.descriptor.digest for layer in kitpack.inspect(one, settings=peers.settings).layers}
        for one in ("ours:1", theirs)
    ]
    for path in ("data/many", "data/empty.jsonl", "model/twin.gguf"):
        assert digests[0][path] == digests[1][path]


def test_a_kitops_kitfile_packs_unchanged(peers: Peers, tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", FILES, KITOPS_KITFILE)
    kitpack.pack(tree, "ours:1", settings=peers.settings)
    kitpack.unpack("ours:1", tmp_path / "out", settings=peers.settings)
    assert tree_of(tmp_path / "out") == tree_of(tree)


def test_the_one_mode_that_kit_lacks(peers: Peers, tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", RAW_FILES, KITOPS_RAW_KITFILE)
    options = ["--use-model-pack", "--layer-format", "raw", "--compression", "zstd"]
    assert "not supported for ModelPack" in peers.refuses("kit", "pack", tree, "-t", "x:1", *options)


def test_an_mcp_server_is_code(peers: Peers, embedded_registry: str, tmp_path: Path) -> None:
    kitfile = "manifestVersion: 1.0.0\npackage: {name: mcp}\nmcpServers:\n  - name: tool\n    path: tool.mcpb\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("manifest.json", json.dumps(MCP_MANIFEST))
    reference, files = f"{embedded_registry}/kit/mcp:1", {"tool.mcpb": archive.getvalue()}
    peers.kit("pack", write_tree(tmp_path / "tree", files, kitfile), "-t", reference)
    peers.kit("push", "--plain-http", reference)
    (layer,) = kitpack.inspect(reference, settings=peers.settings).layers
    assert (layer.path, layer.role) == ("tool.mcpb", "code")
    kitpack.unpack(reference, tmp_path / "out", settings=peers.settings)
    assert tree_of(tmp_path / "out") == expected(files)


def test_everything_below_the_kitfile(peers: Peers, embedded_registry: str, tmp_path: Path) -> None:
    """``path: .``, where the archive's names start at the root."""
    kitfile = "manifestVersion: 1.0.0\npackage: {name: all}\ncode:\n  - path: .\nprompts:\n  - path: p/one.md\n"
    files = {"p/one.md": b"one\n", "p/two.md": b"two\n", "top.txt": b"top\n"}
    reference = f"{embedded_registry}/kit/root:1"
    peers.kit("pack", write_tree(tmp_path / "tree", files, kitfile), "-t", reference)
    peers.kit("push", "--plain-http", reference)
    kitpack.unpack(reference, tmp_path / "out", settings=peers.settings)
    assert tree_of(tmp_path / "out") == expected(files)
    kitpack.unpack(reference, tmp_path / "some", only=["p/two.md"], settings=peers.settings)
    assert tree_of(tmp_path / "some") == expected({"p/two.md": b"two\n"})
    assert [text.path for text in kitpack.inspect(reference, settings=peers.settings).prompts()] == ["p/one.md"]
