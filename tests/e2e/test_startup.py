"""What a command loads besides itself: nothing that it does not use, or every script that calls it pays for that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SAMPLE = REPOSITORY / "samples" / "support-bot"
HEAVY = {
    *("oras", "requests", "urllib3", "yaml", "jsonschema", "jinja2", "rich", "tokenizers", "zstandard", "aiohttp"),
    *("httpx2", "anyio", "asyncio", "sqlite3", "ctypes", "multiprocessing"),
}
TEXTS = {"yaml", "jinja2"}  # what it takes to read prompts and Kitfiles; jsonschema is for what is unusual or wrong
RUN = """\
import sys
from kitpack.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(*sys.modules, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    made = {**os.environ, "KITPACK_HOME": str(tmp_path_factory.mktemp("home")), "PYTHONPATH": str(REPOSITORY)}
    _loaded(["pack", str(SAMPLE), "-t", "bot:1", "-q"], made)
    _loaded(["promote", "bot:1", "--to", "production", "-q"], made)
    return made


def _loaded(arguments: list[str], environment: dict[str, str]) -> set[str]:
    command = [sys.executable, "-c", RUN, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    return set(done.stderr.split("\n")[-2].split())


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], set[str]()),
        (["pack", "--help"], set[str]()),
        (["list"], set[str]()),
        (["history", "bot:production"], set[str]()),
        (["verify", "-q"], set[str]()),
        (["tag", "bot:1", "bot:2"], set[str]()),
        (["inspect", "bot:1"], TEXTS),
        (["pack", str(SAMPLE), "-t", "bot:1", "-q"], TEXTS),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_a_command_loads_what_it_uses(arguments: list[str], needed: set[str], environment: dict[str, str]) -> None:
    assert _loaded(arguments, environment) & HEAVY <= needed


def test_unpacking_loads_neither_a_registry_nor_a_parser(environment: dict[str, str], tmp_path: Path) -> None:
    loaded = _loaded(["unpack", "bot:1", "-o", str(tmp_path / "out"), "-q"], environment)
    assert loaded & HEAVY == set()
    assert not {one for one in loaded if one.startswith(("kitpack.content.registry.", "kitpack.prompts."))}
