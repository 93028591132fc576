"""How long kitpack takes to start, beside the smallest program that click can make.

::

    python -m tests.bench.startup [REPETITIONS]

Prints the median of each command in milliseconds, and its ratio to the bare program. It is no test: a time means
something on a quiet machine only.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

BARE = """\
import click
@click.command()
@click.argument("name", default="world")
def hello(name):
    click.echo(f"hello {name}")
hello()
"""
SAMPLE = Path(__file__).parents[2] / "samples/support-bot"
KITPACK = [sys.executable, "-c", "from kitpack.cli import main; main()"]  # as the installed script does


def main() -> None:
    """Measure in turns, so that what else the machine does hits all commands alike."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "KITPACK_HOME": folder}
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "bare click program": [sys.executable, "-c", BARE],
            "kitpack --help": [*KITPACK, "--help"],
            "kitpack list": [*KITPACK, "list"],
            "kitpack inspect REF": [*KITPACK, "inspect", "bot:1"],
            "kitpack check DIR": [*KITPACK, "check", str(SAMPLE)],
        }
        _once([*KITPACK, "pack", str(SAMPLE), "-t", "bot:1"], environment)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                times[name].append(_once(command, environment))
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, median in medians.items():
        print(f"{name:20} {median * 1000:6.1f} ms  {median / medians['bare click program']:5.2f}")  # noqa: T201


def _once(command: Sequence[str], environment: dict[str, str]) -> float:
    before = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
