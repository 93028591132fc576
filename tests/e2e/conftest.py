"""Fixtures of the tests that use kitpack as people do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import Terminal
from tests.support.everything import write_tree


@pytest.fixture
def kitpack(tmp_path: Path) -> Terminal:
    """Somebody with an empty store."""
    return Terminal(tmp_path)


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """The folder of a small bundle."""
    return write_tree(tmp_path / "bot", FILES, KITFILE)


KITFILE = """\
manifestVersion: 1.0.0
package: {name: bot, version: 1.4.0}
model:
  path: model/bot.gguf
prompts:
  - path: prompts/triage.md
    format: jinja
  - path: prompts/reply.md
    format: jinja
configs:
  - path: app.yaml
"""

FILES = {
    "model/bot.gguf": b"GGUF" + bytes(5000),
    "prompts/triage.md": b"Sort this ticket.\nTicket: {{ ticket }}\n",
    "prompts/reply.md": b"Answer {{ name }}.\n",
    "app.yaml": b"temperature: 0.2\n",
}
