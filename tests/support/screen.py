"""A terminal with kitpack on it: what it shows, and keys to press."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

__all__ = ["Screen", "screen"]

# A process of a background job ignores interrupts, and one of a new session has no terminal yet: neither is so here.
_LAUNCH = """\
import fcntl, signal, sys, termios
signal.signal(signal.SIGINT, signal.default_int_handler)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from kitpack.cli import main
main(sys.argv[1:])
"""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PATIENCE = 30.0


class Screen:
    """A running command and its terminal."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self.raw = ""
        self._terminal = terminal

    @property
    def text(self) -> str:
        """Everything shown so far, without colours and movements."""
        return _ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    def wait_for(self, text: str) -> Self:
        """Read until the text has been shown."""
        while text not in self.text:
            assert self._read(), f"{text!r} was not shown, but: {self.text}"
        return self

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._terminal, keys.encode())

    def interrupt(self) -> float:
        """Press ^C, and return the seconds until the command has ended."""
        before = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.end()
        return time.monotonic() - before

    def end(self) -> int:
        """Read to the end, and return the exit code."""
        while self._read():
            pass
        return self.process.wait(timeout=_PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._terminal], [], [], _PATIENCE)
        assert ready, f"nothing happens any more; shown so far: {self.text}"
        block = b""
        with contextlib.suppress(OSError):  # how Linux says that nobody is there any more
            block = os.read(self._terminal, 1 << 16)
        self.raw += block.decode("utf-8", "replace")
        return bool(block)


@contextlib.contextmanager
def screen(environment: Mapping[str, str], *words: object, columns: int = 100) -> Iterator[Screen]:
    """Run a command on a terminal of its own while the context lasts."""
    terminal, side = os.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _LAUNCH, *map(str, words)],
        cwd=Path(__file__).parents[2],
        env=dict(environment),
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
    )
    os.close(side)
    try:
        yield Screen(process, terminal)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
