"""A bundle to load, and a registry that remembers what it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kitpack.settings import Settings
from tests.support.bots import write_bot
from tests.support.registry import Registry, serving, settings_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that know nothing outside of the test's folder."""
    return settings_in(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a bundle."""
    return write_bot(tmp_path / "bot")


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry in this process."""
    with serving(Registry()) as running:
        yield running
