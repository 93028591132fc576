"""A person's machine, registries, and bundles that travel between them."""

from __future__ import annotations

from pathlib import Path

import pytest

import kitpack
from tests.support.everything import write_tree
from tests.support.peers import Peers
from tests.support.registries import KINDS, registry_of_kind


@pytest.fixture(scope="module", params=KINDS)
def registry(request: pytest.FixtureRequest) -> str:
    """A real registry's address."""
    return registry_of_kind(request, request.param)


@pytest.fixture
def peers(tmp_path: Path) -> Peers:
    """A machine where nothing has happened yet."""
    return Peers(tmp_path / "machine")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything."""
    return write_tree(tmp_path_factory.mktemp("everything"))


@pytest.fixture(scope="module")
def ours(registry: str, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bundle of everything that kitpack pushed."""
    reference = f"{registry}/ours/everything:1.0"
    settings = Peers(tmp_path_factory.mktemp("author")).settings
    kitpack.push(tree, reference, force=True, settings=settings)
    return reference
