"""Real registries on a loopback port: our own, and Debian's docker-registry, olareg and zot where they are installed.

Whoever needs a registry, whichever, uses the fixture ``embedded_registry``: ``kitpack serve``, which every machine has.
The others are for what has to be true of several (:data:`KINDS`), or of one of them: ``docker_registry``,
``olareg_registry`` and ``zot_registry``. Each is ``"127.0.0.1:PORT"``, one server for the whole session;
``running_registry(kind)`` runs a server of your own.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import serve_process
from tests.support.tools import find_tool

__all__ = [
    "KINDS",
    "docker_registry",
    "embedded_registry",
    "is_installed",
    "olareg_registry",
    "registry_of_kind",
    "registry_process",
    "running_registry",
    "zot_registry",
]

KINDS = ("kitpack", "docker-registry", "olareg", "zot")
"""All of them; the first is always there."""

_PATIENCE = 20.0


@contextlib.contextmanager
def running_registry(kind: str, data: Path | None = None) -> Iterator[str]:
    """Run a registry with an empty store while the context lasts; skips the test when it is not installed.

    Args:
        kind: One of :data:`KINDS`.
        data: Where it keeps its files, for tests that damage them; by default a folder that goes with it.

    Yields:
        Its host and port.
    """
    if not is_installed(kind):
        pytest.skip(f"{kind} is not installed")
    with registry_process(kind, data) as (_, address):
        yield address


def is_installed(kind: str) -> bool:
    """Whether a registry can be run here."""
    return kind == "kitpack" or find_tool(kind) is not None


@contextlib.contextmanager
def registry_process(kind: str, data: Path | None = None) -> Iterator[tuple[subprocess.Popen[Any], str]]:
    """Run a registry that is installed; as :func:`running_registry`, with the process."""
    with tempfile.TemporaryDirectory(prefix=f"kitpack-{kind}-") as name:
        folder = Path(name)
        if kind == "kitpack":
            with serve_process("--root", str(data or folder / "data"), "--quiet", home=folder) as (server, url):
                yield server, url.removeprefix("http://")
            return
        port = _free_port()
        command = [str(find_tool(kind)), "serve", *_ARGUMENTS[kind](data or folder, port)]
        with _running(command, folder / "log") as process:
            _wait_until_ready(process, port, folder / "log")
            yield process, f"127.0.0.1:{port}"


def registry_of_kind(request: pytest.FixtureRequest, kind: str) -> str:
    """The registry of a kind that lasts for the whole session; skips the test when it is not installed."""
    address: str = request.getfixturevalue(_FIXTURES[kind])
    return address


@pytest.fixture(scope="session")
def embedded_registry() -> Iterator[str]:
    """Our own, ``kitpack serve``, for the whole session."""
    with running_registry("kitpack") as address:
        yield address


@pytest.fixture(scope="session")
def docker_registry() -> Iterator[str]:
    """A docker-registry for the whole session."""
    with running_registry("docker-registry") as address:
        yield address


@pytest.fixture(scope="session")
def olareg_registry() -> Iterator[str]:
    """An olareg for the whole session."""
    with running_registry("olareg") as address:
        yield address


@pytest.fixture(scope="session")
def zot_registry() -> Iterator[str]:
    """A zot for the whole session."""
    with running_registry("zot") as address:
        yield address


def _docker_arguments(folder: Path, port: int) -> list[str]:
    # JSON is YAML, and needs no library to write.
    config = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "data")},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    return _written(folder / "config.yml", config)


def _zot_arguments(folder: Path, port: int) -> list[str]:
    config: dict[str, object] = {
        "distSpecVersion": "1.1.1",
        "storage": {"rootDirectory": str(folder / "data"), "gc": False, "dedupe": False},
        "http": {"address": "127.0.0.1", "port": str(port), "compat": ["docker2s2"]},
        "log": {"level": "warn"},
    }
    return _written(folder / "config.json", config)


def _olareg_arguments(folder: Path, port: int) -> list[str]:
    return [
        "--addr",
        "127.0.0.1",
        "--port",
        str(port),
        "--dir",
        str(folder / "data"),
        "--api-delete",
        "--gc-frequency",
        "-1s",
    ]


_ARGUMENTS: dict[str, Callable[[Path, int], list[str]]] = {
    "docker-registry": _docker_arguments,
    "olareg": _olareg_arguments,
    "zot": _zot_arguments,
}

_FIXTURES = {
    "kitpack": "embedded_registry",
    "docker-registry": "docker_registry",
    "olareg": "olareg_registry",
    "zot": "zot_registry",
}


def _written(path: Path, config: dict[str, object]) -> list[str]:
    path.write_text(json.dumps(config))
    return [str(path)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=log.parent)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)  # returns early when it has died
    raise RuntimeError(f"{process.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")
