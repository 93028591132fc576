"""``kitpack serve`` in a process of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Terminal

__all__ = ["make_certificate", "peak_memory", "serve_process", "started"]


@contextlib.contextmanager
def serve_process(*arguments: str, home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start it on a free port and wait until it accepts requests; yield the process and its address."""
    with (home / "serve.err").open("a") as errors:
        process = Terminal(home).process("serve", "--port", "0", "--json", *arguments, stderr=errors)
    with process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line, (home / "serve.err").read_text()
            yield process, json.loads(line)["url"]
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@contextlib.contextmanager
def started(*arguments: str, home: Path) -> Iterator[str]:
    """Start it, yield its address, and end it in order."""
    with serve_process(*arguments, home=home) as (process, url):
        yield url
    assert process.returncode == 0, sys.stderr.write((home / "serve.err").read_text())


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate of 127.0.0.1 that vouches for itself, and its key; skips the test without openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the program openssl is not installed")
    files = folder / "cert.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run(command, check=True, capture_output=True)
    return files


def peak_memory(pid: int) -> int:
    """Bytes that a process has used at the most; 0 where the system does not say it in files."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
