"""The programs of other people, run with all their state below one folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kitpack.oci.jsontext import JsonObject
from kitpack.settings import Settings
from tests.support.tools import find_tool

__all__ = ["Peers"]


class Peers:
    """A person's machine: a home folder, and programs that know no other place.

    Args:
        folder: Where everything is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(home=folder / "kitpack", docker_config=folder / "docker" / "config.json")
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder / "home"),
            "DOCKER_CONFIG": str(folder / "docker"),
            "KITOPS_HOME": str(folder / "kitops"),
            "KITPACK_HOME": str(self.settings.home),
            "TMPDIR": str(folder / "tmp"),
            "COSIGN_PASSWORD": "",  # of keys that last for a test
        }
        for name in ("home", "docker", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def run(self, tool: str, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Run a program and return what it printed; skips the test when it is not installed."""
        done = self._run(tool, *arguments, cwd=cwd)
        assert done.returncode == 0, f"{tool} {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}"
        return done.stdout

    def refuses(self, tool: str, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Run a program that must fail, and return what it complained about."""
        done = self._run(tool, *arguments, cwd=cwd)
        assert done.returncode != 0, f"{tool} {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def exit_code(self, tool: str, *arguments: str | Path) -> int:
        """Run a program and return how it ended; kitpack's own command line runs in a process as well."""
        return self._run(tool, *arguments, cwd=None).returncode

    def kit(self, command: str, *arguments: str | Path) -> str:
        """Run KitOps' kit."""
        return self.run("kit", command, "--progress", "none", *arguments)

    def modctl(self, command: str, *arguments: str | Path) -> str:
        """Run modctl, which knows no environment."""
        places = ("--storage-dir", self.folder / "modctl", "--log-dir", self.folder / "modctl-log")
        return self.run("modctl", command, "--no-progress", *places, *arguments)

    def oras(self, command: str, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Run oras."""
        return self.run("oras", command, *arguments, cwd=cwd or self.folder)

    def skopeo(self, command: str, *arguments: str | Path) -> str:
        """Run skopeo."""
        return self.run("skopeo", command, *arguments)

    def kitpack(self, *arguments: str | Path) -> str:
        """Run kitpack's own command line, in this process."""
        from click.testing import CliRunner

        from kitpack.cli import kitpack

        outcome = CliRunner(env=self._environment).invoke(kitpack, [str(one) for one in arguments])
        assert outcome.exit_code == 0, f"kitpack {arguments}\n{outcome.output}\n{outcome.exception!r}"
        return outcome.stdout

    def inspect(self, reference: str) -> JsonObject:
        """What ``kitpack inspect --json`` says."""
        value = json.loads(self.kitpack("inspect", "--json", reference))
        assert isinstance(value, dict)
        return value

    def _run(self, tool: str, *arguments: str | Path, cwd: Path | None) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "kitpack"] if tool == "kitpack" else [find_tool(tool)]
        if program[0] is None:
            pytest.skip(f"{tool} is not installed")
        return subprocess.run(
            [*program, *map(str, arguments)],
            cwd=cwd or self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
