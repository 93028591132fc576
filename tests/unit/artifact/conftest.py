"""Two versions of a bundle, packed once for all tests, which only read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kitpack.artifact.bundle import Bundle
from tests.support.packing import bundle_of
from tests.support.versions import NEW, OLD, small, write_version


@pytest.fixture(scope="session")
def old_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_version(tmp_path_factory.mktemp("versions") / "old", OLD)


@pytest.fixture(scope="session")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_version(tmp_path_factory.mktemp("versions") / "new", NEW)


@pytest.fixture(scope="session")
def small_new_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_version(tmp_path_factory.mktemp("versions") / "small", small(NEW))


@pytest.fixture(scope="session")
def old(old_folder: Path) -> Bundle:
    return bundle_of(old_folder)


@pytest.fixture(scope="session")
def new(new_folder: Path) -> Bundle:
    return bundle_of(new_folder)


@pytest.fixture(scope="session")
def small_old(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle_of(write_version(tmp_path_factory.mktemp("versions") / "small", small(OLD)))


@pytest.fixture(scope="session")
def small_new(small_new_folder: Path) -> Bundle:
    return bundle_of(small_new_folder)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """A folder that is not there yet; afterwards, nothing unfinished may stand in it or beside it."""
    yield tmp_path / "target"
    assert list(tmp_path.rglob("*.tmp")) == []
