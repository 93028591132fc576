"""A registry over an empty folder, and somebody who talks to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kitpack.content.store.layout import Layout
from kitpack.server import serving
from tests.support.distribution import Client, talking


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


@pytest.fixture
def url(layout: Layout) -> Iterator[str]:
    with serving(layout) as found:
        yield found


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with talking(url) as found:
        yield found
