"""Commands that are killed at any moment: nothing half-made has a name, and the same command finishes the work."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from kitpack.artifact.unpacking.staging import staged_beside
from tests.support import killing
from tests.support.bundles import noise
from tests.support.cli import Terminal
from tests.support.packing import write_files
from tests.support.snapshots import snapshot
from tests.support.versions import NEW, OLD, small, write_version


def _all_well(lines: list[str], *, at_least: int) -> None:
    assert [line for line in lines if ";" in line] == []
    assert len(lines) >= at_least


def test_packing(kitpack: Terminal, tmp_path: Path) -> None:
    source = write_version(tmp_path / "source", small(OLD))
    digest = kitpack("pack", source, "-q").out.strip()
    lines = killing.run("pack", tmp_path / "stores", str(source), digest, environment=kitpack.environment)
    _all_well(lines, at_least=25)


@pytest.mark.parametrize("state", ["nothing", "old"])
def test_unpacking(kitpack: Terminal, tmp_path: Path, state: str) -> None:
    for name, files in (("old", OLD), ("new", NEW)):
        source = write_version(tmp_path / name, small(files))
        kitpack("pack", source, "-t", f"bot:{name}")
    lines = killing.run("unpack", tmp_path, "bot:new", "bot:old", state, environment=kitpack.environment)
    _all_well(lines, at_least=25)
    kitpack("verify")


def test_pulling(kitpack: Terminal, tmp_path: Path, embedded_registry: str) -> None:
    source = write_version(tmp_path / "source", small(OLD))
    reference = f"{embedded_registry}/killed/pull:1"
    digest = kitpack("push", source, reference, "-q").out.strip()
    lines = killing.run("pull", tmp_path / "stores", reference, digest, environment=kitpack.environment)
    _all_well(lines, at_least=25)


SIZE = 48 << 20


def _stored(folder: Path) -> int:
    """The bytes below a folder that may change while we look."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def _killed_at(process: subprocess.Popen[str], folder: Path, size: int) -> bool:
    """Kill a process as soon as a folder has so many bytes; whether it was still alive."""
    for _ in range(100_000):
        if _stored(folder) >= size or process.poll() is not None:
            break
        try:
            process.wait(timeout=0.001)
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    process.communicate(timeout=60)
    return process.returncode < 0


def test_real_processes_in_the_middle_of_large_files(kitpack: Terminal, tmp_path: Path, embedded_registry: str) -> None:
    chance = random.Random(20260515)
    source = write_files(tmp_path / "source", {"w.gguf": noise(SIZE)}, "model: {path: w.gguf}\n")
    reference = f"{embedded_registry}/killed/large:1"
    digest = kitpack("push", source, reference, "-q").out.strip()
    target = tmp_path / "target"
    commands: list[tuple[Path, tuple[object, ...]]] = [
        (kitpack.home, ("pack", source, "-t", "bot:1", "-q")),
        (kitpack.home, ("pull", reference, "-q")),
        (staged_beside(tmp_path / "target"), ("unpack", reference, "-o", target, "-q")),
    ]
    killed = 0
    for place, command in commands:
        for _ in range(3):
            kitpack("remove", "--local", *_names(kitpack), "-q") if _names(kitpack) else None
            kitpack("gc", "--grace", "0", "-q") if (kitpack.home / "oci-layout").exists() else None
            killed += _killed_at(kitpack.process(*command), place, chance.randrange(SIZE))
            assert not target.exists()
            if (kitpack.home / "oci-layout").exists():
                kitpack("verify", "-q")
        assert kitpack(*command).out.strip() in (digest, "")
        kitpack("verify", "-q")
    assert killed >= 6
    assert snapshot(target, ".kitpack.json") == snapshot(source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "store", "target"]


def _names(kitpack: Terminal) -> list[str]:
    return [one["reference"] for one in kitpack("list", "--json").json]
