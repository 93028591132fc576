"""oras works with what kitpack writes, and kitpack with what oras pushes."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

import kitpack
from kitpack.content.target import ListsReferrers
from kitpack.errors import UnsafePathError
from kitpack.places import find
from tests.support.everything import FILES, KITFILE, tree_of
from tests.support.peers import Peers

ARCHIVED = ("data/many/", "data/empty.jsonl", "docs/Kitfile of old", "model/twin.gguf")
RAW = {path: data for path, data in {**FILES, "Kitfile": KITFILE.encode()}.items() if not path.startswith(ARCHIVED)}


# ours, read by oras


def test_pull_brings_raw_files_and_archives(peers: Peers, ours: str, tmp_path: Path) -> None:
    peers.oras("pull", "--plain-http", "-o", tmp_path / "out", ours)
    _check_pulled(tmp_path / "out")


def test_pull_from_a_layout_of_ours(peers: Peers, ours: str, tmp_path: Path) -> None:
    kitpack.copy(ours, f"oci:{tmp_path / 'layout'}:1.0", settings=peers.settings)
    peers.oras("pull", "--oci-layout", "-o", tmp_path / "out", f"{tmp_path / 'layout'}:1.0")
    _check_pulled(tmp_path / "out")
    assert peers.oras("repo", "tags", "--oci-layout", tmp_path / "layout").split() == ["1.0"]


def _check_pulled(folder: Path) -> None:
    archives = {"data/many.tar", "data/empty.jsonl.tar", "docs/Kitfile of old.tar", "model/twin.gguf.tar"}
    found = {path: data for path, (data, _) in tree_of(folder).items()}
    assert not any(is_executable for _, is_executable in tree_of(folder).values())  # oras does not know modes
    assert {path: data for path, data in found.items() if path not in archives} == RAW
    for path in archives:
        with tarfile.open(folder / path) as archive:
            archive.extractall(folder, filter="data")
        (folder / path).unlink()
    assert {path: data for path, (data, _) in tree_of(folder, "Kitfile").items()} == FILES


def test_cp_between_repositories_and_layouts(peers: Peers, ours: str, registry: str, tmp_path: Path) -> None:
    elsewhere, layout = f"{registry}/ours/copied-by-oras:1.0", f"{tmp_path / 'layout'}:1.0"
    peers.oras("cp", "-r", "--from-plain-http", "--to-plain-http", ours, elsewhere)
    peers.oras("cp", "-r", "--from-plain-http", "--to-oci-layout", elsewhere, layout)
    back = f"{registry}/ours/copied-back-by-oras:1.0"
    peers.oras("cp", "-r", "--from-oci-layout", "--to-plain-http", layout, back)
    original = kitpack.inspect(ours, settings=peers.settings).descriptor
    for reference in (elsewhere, f"oci:{layout}", back):
        assert kitpack.inspect(reference, settings=peers.settings).descriptor == original
        assert kitpack.verify(reference, settings=peers.settings) == []


def test_what_oras_attaches_travels_along(peers: Peers, ours: str, registry: str, tmp_path: Path) -> None:
    """And back again: oras discovers it where kitpack put it."""
    subject = f"{registry}/ours/attached:1.0"
    kitpack.copy(ours, subject, settings=peers.settings, force=True)
    (peers.folder / "report.txt").write_text("good\n")
    kind = "application/vnd.example.report"
    peers.oras("attach", "--plain-http", "--artifact-type", kind, subject, "report.txt:text/plain")
    layout, elsewhere = f"oci:{tmp_path / 'layout'}:1.0", f"{registry}/ours/attached-too:1.0"
    kitpack.copy(subject, layout, referrers=True, settings=peers.settings)
    kitpack.copy(layout, elsewhere, referrers=True, settings=peers.settings)
    for reference in (subject, layout, elsewhere):
        place = find(reference, peers.settings)
        assert isinstance(place.target, ListsReferrers)
        assert [one.artifact_type for one in place.target.referrers(place.resolve())] == [kind]
    assert kind in peers.oras("discover", "--plain-http", elsewhere)
    assert kind in peers.oras("discover", "--oci-layout", layout.removeprefix("oci:"))


# theirs, read by kitpack


@pytest.fixture
def files(peers: Peers) -> Path:
    """The folder that oras pushes from."""
    for path, data in {
        "hi.txt": b"hi\n",
        "\u00fc n\u00efx.md": b"# Title\n",
        "empty": b"",
        "dir/a.json": b"{}",
        "dir/sub/run.sh": b"#!/bin/sh\n",
    }.items():
        location = peers.folder / path
        location.parent.mkdir(parents=True, exist_ok=True)
        location.write_bytes(data)
    (peers.folder / "dir/sub/run.sh").chmod(0o755)
    return peers.folder


HI = {"hi.txt": (b"hi\n", False)}
PLAIN = {**HI, "\u00fc n\u00efx.md": (b"# Title\n", False), "empty": (b"", False)}
DIR = {"dir/a.json": (b"{}", False), "dir/sub/run.sh": (b"#!/bin/sh\n", True)}


@pytest.mark.parametrize(
    ("arguments", "tree"),
    [
        (
            ["hi.txt", "\u00fc n\u00efx.md", "empty"],
            {**HI, "\u00fc n\u00efx.md": (b"# Title\n", False), "empty": (b"", False)},
        ),
        (["dir/a.json"], {"dir/a.json": (b"{}", False)}),
        (["dir"], DIR),
        (["dir", "hi.txt"], {**DIR, **HI}),
        (["dir:application/vnd.example.folder"], DIR),
        (["dir/sub"], {"dir/sub/run.sh": (b"#!/bin/sh\n", True)}),
        (["hi.txt:application/vnd.example.thing"], HI),
        (["hi.txt:application/vnd.oci.image.layer.v1.tar+gzip"], HI),
        (["hi.txt", "--artifact-type", "application/vnd.example.bundle"], HI),
        (["hi.txt", "--image-spec", "v1.0"], HI),
        (["hi.txt", "--annotation", "org.opencontainers.image.title=anything"], HI),
        (["hi.txt", "--config", "dir/a.json:application/vnd.example.config+json"], HI),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_push(
    peers: Peers, files: Path, registry: str, tmp_path: Path, arguments: list[str], tree: dict[str, tuple[bytes, bool]]
) -> None:
    reference = f"{registry}/oras/pushed:1"
    peers.oras("push", "--plain-http", reference, *arguments, cwd=files)
    layers = peers.inspect(reference)["layers"]
    assert isinstance(layers, list)
    assert {one["role"] for one in layers if isinstance(one, dict)} == {"file"}
    kitpack.unpack(reference, tmp_path / "out", settings=peers.settings)
    assert tree_of(tmp_path / "out") == tree
    layout = f"oci:{tmp_path / 'layout'}:1"
    assert kitpack.pull(reference, settings=peers.settings) == kitpack.copy(reference, layout, settings=peers.settings)
    assert kitpack.verify(layout, settings=peers.settings) == []
    first = min(tree)
    kitpack.unpack(layout, tmp_path / "some", only=[first], settings=peers.settings)
    assert tree_of(tmp_path / "some") == {first: tree[first]}


def test_a_layout_of_oras(peers: Peers, files: Path, tmp_path: Path) -> None:
    peers.oras("push", "--oci-layout", f"{tmp_path / 'layout'}:v1", "dir", "hi.txt", cwd=files)
    reference = f"oci:{tmp_path / 'layout'}:v1"
    (listed,) = kitpack.list_bundles(f"oci:{tmp_path / 'layout'}", settings=peers.settings)
    assert listed.reference == reference
    kitpack.unpack(reference, tmp_path / "out", settings=peers.settings)
    assert tree_of(tmp_path / "out") == {**DIR, **HI}


def test_diff_of_two_pushes(peers: Peers, files: Path, registry: str) -> None:
    before, after = f"{registry}/oras/changed:1", f"{registry}/oras/changed:2"
    peers.oras("push", "--plain-http", before, "hi.txt", "dir", cwd=files)
    (files / "hi.txt").write_bytes(b"hello\n")
    peers.oras("push", "--plain-http", after, "hi.txt", "dir", cwd=files)
    found = kitpack.diff(before, after, settings=peers.settings)
    assert [(change.path, change.kind) for change in found.files] == [("hi.txt", "changed")]


def test_an_absolute_title_is_refused(peers: Peers, files: Path, registry: str, tmp_path: Path) -> None:
    reference = f"{registry}/oras/absolute:1"
    peers.oras("push", "--plain-http", "--disable-path-validation", reference, str(files / "hi.txt"))
    with pytest.raises(UnsafePathError, match="absolute"):
        kitpack.unpack(reference, tmp_path / "out", settings=peers.settings)
    assert not (tmp_path / "out").exists()
