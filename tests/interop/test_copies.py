"""Bundles go from registries to layouts and back in the hands of skopeo and crane, and stay what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

import kitpack
from tests.support.everything import FILES, KITFILE, expected, tree_of
from tests.support.peers import Peers
from tests.support.registries import KINDS, registry_of_kind

EVERYTHING = expected({**FILES, "Kitfile": KITFILE.encode()})


@pytest.fixture
def layout(peers: Peers, ours: str, tmp_path: Path) -> str:
    """The bundle in a layout that kitpack wrote."""
    reference = f"oci:{tmp_path / 'our layout'}:1.0"
    kitpack.copy(ours, reference, settings=peers.settings)
    return reference


def _assert_same(peers: Peers, reference: str, original: str, folder: Path) -> None:
    found, wanted = (kitpack.inspect(one, settings=peers.settings).descriptor for one in (reference, original))
    assert found == wanted
    kitpack.unpack(reference, folder, settings=peers.settings)
    assert tree_of(folder) == EVERYTHING
    assert kitpack.verify(reference, settings=peers.settings) == []


def test_skopeo_from_registry_to_layout(peers: Peers, ours: str, tmp_path: Path) -> None:
    theirs = f"oci:{tmp_path / 'their layout'}:1.0"
    peers.skopeo("copy", "--src-tls-verify=false", f"docker://{ours}", theirs)
    _assert_same(peers, theirs, ours, tmp_path / "out")


def test_skopeo_from_our_layout_to_registry(
    peers: Peers, ours: str, layout: str, registry: str, tmp_path: Path
) -> None:
    sent = f"{registry}/ours/sent-by-skopeo:1.0"
    peers.skopeo("copy", "--dest-tls-verify=false", layout, f"docker://{sent}")
    _assert_same(peers, sent, ours, tmp_path / "out")


@pytest.mark.parametrize("kind", KINDS)
def test_skopeo_between_registries(
    peers: Peers, ours: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    sent = f"{registry_of_kind(request, kind)}/ours/moved-by-skopeo:1.0"
    peers.skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", f"docker://{ours}", f"docker://{sent}")
    _assert_same(peers, sent, ours, tmp_path / "out")


def test_skopeo_looks(peers: Peers, ours: str, layout: str) -> None:
    raw = kitpack.inspect(ours, settings=peers.settings).manifest.raw.decode()
    assert peers.skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{ours}") == raw
    assert peers.skopeo("inspect", "--raw", layout) == raw
    assert '"1.0"' in peers.skopeo("list-tags", "--tls-verify=false", f"docker://{ours.rpartition(':')[0]}")
    assert "vnd.cncf.model.config" in peers.refuses("skopeo", "inspect", layout)  # it wants container images


def test_crane(peers: Peers, ours: str, registry: str, tmp_path: Path) -> None:
    sent, theirs = f"{registry}/ours/sent-by-crane:1.0", tmp_path / "their layout"
    peers.run("crane", "copy", ours, sent)
    _assert_same(peers, sent, ours, tmp_path / "out")
    digest = peers.run("crane", "digest", sent).strip()
    peers.run("crane", "pull", "--format", "oci", ours, theirs)
    assert kitpack.list_bundles(f"oci:{theirs}", settings=peers.settings) == []  # crane gives no names there
    _assert_same(peers, f"oci:{theirs}@{digest}", ours, tmp_path / "more")
