"""Memory stays flat, whatever the size of what moves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bundles import noise
from tests.support.cli import REPOSITORY, Terminal
from tests.support.registries import running_registry

LIMIT = 120 << 20
SIZE = 256 << 20

PEAK = """\
import sys
from kitpack.cli import main
try:
    main(sys.argv[2:])
finally:
    with open("/proc/self/status") as status, open(sys.argv[1], "w") as file:
        file.write(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process its peak")


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    with running_registry("kitpack") as address:
        yield address


def peak(kitpack: Terminal, *arguments: object) -> int:
    """Run a command in a process of its own, and return the most bytes it held."""
    found = kitpack.folder / "peak"
    words = [sys.executable, "-c", PEAK, str(found), *map(str, arguments)]
    subprocess.run(words, cwd=REPOSITORY, env={**os.environ, **kitpack.environment}, check=True, capture_output=True)
    return int(found.read_text()) << 10


def test_memory_is_flat(kitpack: Terminal, bot: Path, registry: str, tmp_path: Path) -> None:
    files = 2
    block = noise(1 << 20)
    for number in range(files):
        with (bot / f"part{number}.bin").open("wb") as file:
            for _ in range(SIZE // files >> 20):
                file.write(block)
            file.write(bytes([number]))
    with (bot / "Kitfile").open("a") as kitfile:
        kitfile.writelines(f"  - path: part{number}.bin\n" for number in range(files))
    name = f"{registry}/memory/bot"
    elsewhere = Terminal(tmp_path / "elsewhere")
    found = {
        "pack": peak(kitpack, "pack", bot, "-t", "bot:1"),
        "push": peak(kitpack, "push", "bot:1", f"{name}:1"),
        "push DIR": peak(kitpack, "push", bot, f"{name}-folder:1"),
        "pull": peak(elsewhere, "pull", f"{name}:1"),
        "copy": peak(kitpack, "copy", f"{name}:1", f"oci:{tmp_path / 'usb'}:1"),
        "unpack": peak(kitpack, "unpack", f"{name}:1", "-o", tmp_path / "live"),
        "verify": peak(elsewhere, "verify"),
    }
    assert max(found.values()) < LIMIT, {verb: size >> 20 for verb, size in found.items()}
