"""kitpack's command line as its users meet it: what is typed, what is printed where, with which code it ends."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from kitpack.cli import main

__all__ = ["REPOSITORY", "Ended", "Terminal"]

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What was printed on standard output, which must be one JSON value."""
        return json.loads(self.out)


class Terminal:
    """Somebody who types commands, and whose home, store and credentials are below one folder.

    Args:
        folder: That folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "store"
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder / "user"),
            "DOCKER_CONFIG": str(folder / "docker"),
            "KITPACK_HOME": str(self.home),
            "NO_PROXY": "*",
            "TERM": "xterm",
        }

    def __call__(
        self, *arguments: object, code: int = 0, stdin: str = "", environment: Mapping[str, str] | None = None
    ) -> Ended:
        """Run a command in this process; its exit code must be the expected one."""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        words = [str(argument) for argument in arguments]
        with (
            patch.dict(os.environ, {**self.environment, **(environment or {})}, clear=True),
            patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            found = _exit_code(words)
        ended = Ended(code=found, out=_text(out), err=_text(err))
        assert found == code, f"kitpack {' '.join(words)} ended with {found}\n{ended.out}{ended.err}"
        return ended

    def process(self, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        """Start a command in a process of its own, its output in pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "kitpack", *map(str, arguments)],
            **{
                "cwd": REPOSITORY,
                "env": self.environment,
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                **options,
            },
        )

    def run(self, *arguments: object, **options: Any) -> Ended:
        """Run a command in a process of its own to its end."""
        with self.process(*arguments, **options) as process:
            out, err = process.communicate(timeout=60)
        return Ended(code=process.returncode, out=out, err=err)


def _exit_code(words: list[str]) -> int:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert isinstance(stop.value.code, int)
    return stop.value.code


def _text(stream: io.TextIOWrapper) -> str:
    raw = stream.detach()
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode("utf-8")
