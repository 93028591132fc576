"""Two versions of a bundle that differ in every way, for tests that unpack one over the other."""

from __future__ import annotations

from pathlib import Path

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.unpacking.installed import RECORD_NAME, Installed, find_drift
from kitpack.artifact.unpacking.unpack import unpack
from kitpack.content.target import Source
from kitpack.oci.mediatypes import model_layer
from tests.support.bundles import noise
from tests.support.packing import write_files
from tests.support.snapshots import snapshot

__all__ = [
    "CROWD",
    "NEW",
    "OLD",
    "RAW",
    "STAGING",
    "STATES",
    "TAR",
    "assert_equal",
    "packed_files",
    "prepare",
    "small",
    "through",
    "write_version",
]

RAW, TAR = model_layer("code"), model_layer("code", "tar")
STAGING = ".kitpack-staging"

CROWD = {f"data/{number % 3}/{number:03}.txt": f"row {number}\n" for number in range(140)}
KITFILE = """\
model: {path: model}
prompts: [{path: prompts}]
configs: [{path: app.yaml}]
datasets: [{path: data}]
code: [{path: code}]
"""
OLD: dict[str, bytes | str] = {
    "model/w.gguf": noise(100_000, 1),
    "model/tokenizer.json": "{}",
    "prompts/a.md": "first a\n",
    "prompts/b.md": "b\n",
    "prompts/same.md": "same\n",
    "app.yaml": "t: 1\n",
    "code/run.sh": "#!/bin/sh\n",
    "code/switch": "a file, later a folder\n",
    "code/swap/inner": "in a folder, later a file\n",
    "code/swap/deep/inner": "further down\n",
    **CROWD,
}
NEW: dict[str, bytes | str] = {
    "model/w.gguf": OLD["model/w.gguf"],
    "model/tokenizer.json": "{}",
    "prompts/a.md": "second a\n",
    "prompts/c/new.md": "c\n",
    "prompts/same.md": "same\n",
    "app.yaml": "t: 2\n",
    "code/run.sh": "#!/bin/sh\n",
    "code/switch/inner": "now in a folder\n",
    "code/swap": "now a file\n",
    "code/twin.sh": "#!/bin/sh\n",
    **CROWD,
    "data/0/000.txt": "another row\n",
}


def small(files: dict[str, bytes | str]) -> dict[str, bytes | str]:
    """The same version with an archive of one file only, for tests that unpack it hundreds of times."""
    few = {path: data for path, data in files.items() if path not in CROWD}
    return {**few, "data/copy": files["app.yaml"], "data/0/000.txt": files["data/0/000.txt"]}


def write_version(folder: Path, files: dict[str, bytes | str]) -> Path:
    """Write a version; in the old one, a script is executable."""
    write_files(folder, files, KITFILE)
    if "code/twin.sh" not in files:
        (folder / "code" / "run.sh").chmod(0o755)
    return folder


def through(bundle: Bundle, source: Source) -> Bundle:
    """The same bundle, its bytes from another source."""
    return Bundle(source, bundle.descriptor)


def packed_files(folder: Path) -> dict[str, tuple[bytes, bool]]:
    return {
        path: (data, bool(mode & 0o100))
        for path, (kind, mode, data) in snapshot(folder, RECORD_NAME).items()
        if kind == "file"
    }


def assert_equal(target: Path, source: Path) -> None:
    """The same files with the same executable bits, no empty folders, a true record, and nothing else."""
    assert packed_files(target) == packed_files(source)
    assert {path for path, (kind, _, _) in snapshot(target).items() if kind == "folder"} == {
        path for path, (kind, _, _) in snapshot(source).items() if kind == "folder"
    }
    installed = Installed.load(target)
    assert installed is not None
    assert set(installed.files) == set(packed_files(source))
    assert find_drift(target, installed) == []


STATES = ["new", "empty", "old version", "old version and files of the user"]


def prepare(state: str, old: Bundle, target: Path) -> None:
    """Bring a target folder into one of the states."""
    if state != "new":
        target.mkdir()
    if state.startswith("old"):
        unpack(old, target)
    if state.endswith("user"):
        write_files(target, {"mine.txt": b"mine", "prompts/mine.md": b"mine", "prompts/c/mine.md": b"mine"})
        (target / "prompts" / "empty").mkdir()
        (target / "link").symlink_to("mine.txt")
