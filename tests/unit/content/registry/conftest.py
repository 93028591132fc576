"""The repository of a test's own ``registry``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kitpack.content.registry.repository import Repository
from kitpack.content.registry.transport import Transport
from tests.support.registry import Registry, settings_in


@pytest.fixture
def repository(registry: Registry, tmp_path: Path) -> Iterator[Repository]:
    """One that waits for nothing between its tries."""
    settings = settings_in(tmp_path)
    transport = Transport(registry.address, settings, sleep=lambda seconds: None)
    with Repository(registry.address, "team/bot", settings, transport=transport) as made:
        yield made
