"""How long a rollback takes, and how long looking back over a thousand records, on a real registry on this machine.

::

    python -m tests.bench.releases [RECORDS]

It is no test: a time means something on a quiet machine only.
"""

from __future__ import annotations

import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from kitpack import promptchanges, releasing
from kitpack.settings import Settings
from kitpack.verbs import push
from tests.support.registries import running_registry

SAMPLES = Path(__file__).parents[2] / "samples"
KITPACK = [sys.executable, "-c", "from kitpack.cli import main; main()"]  # as the installed script does


class _Requests(logging.Handler):
    """Counts what the wire says about each request."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Count one."""
        self.seen.append(record.getMessage())


@contextmanager
def _counting() -> Iterator[list[str]]:
    logger, handler = logging.getLogger("kitpack.content.registry.wire"), _Requests()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield handler.seen
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def main() -> None:
    """Fill a channel, then measure."""
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with running_registry("docker-registry") as host, tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "store", docker_config=None, actor="bench")
        repo = f"{host}/team/assistant"
        names = [f"{repo}:1.3.0", f"{repo}:1.4.0"]
        for name, sample in zip(names, ("support-bot-1.3.0", "support-bot"), strict=True):
            push(SAMPLES / sample, name, settings=settings)
        releasing.promote(names[0], "production", settings=settings)
        _rollbacks(names, settings, folder)
        done = len(releasing.history(f"{repo}:production", settings=settings).records)
        _fill(names, records - done, settings)
        _history(f"{repo}:production", settings, folder, names)


def _rollbacks(names: list[str], settings: Settings, folder: str) -> None:
    channel = f"{names[0].removesuffix(':1.3.0')}:production"
    environment = {**os.environ, "KITPACK_HOME": f"{folder}/store", "KITPACK_ACTOR": "bench"}
    inside, outside, requests = list[float](), list[float](), list[str]()
    for _ in range(7):
        releasing.promote(names[1], "production", settings=settings)
        with _counting() as seen:
            requests = seen
            inside.append(_timed(lambda: releasing.rollback(channel, settings=settings)))
        releasing.promote(names[1], "production", settings=settings)
        command = [*KITPACK, "rollback", channel, "-q"]
        outside.append(_timed(partial(_run, command, environment)))
    moved = next(
        number
        for number, text in enumerate(requests, 1)
        if text.startswith("PUT") and "/production" in text and ".log." not in text
    )
    _say("rollback, the command", statistics.median(outside))
    _say(
        "rollback, in a process",
        statistics.median(inside),
        f"{moved} requests to the moved tag, {len(requests)} in all",
    )


def _fill(names: list[str], records: int, settings: Settings) -> None:
    seconds = _timed(
        lambda: [releasing.promote(names[number % 2], "production", settings=settings) for number in range(records + 1)]
    )
    _say(f"{records} promotions, each", seconds / max(records, 1))


def _history(channel: str, settings: Settings, folder: str, names: list[str]) -> None:
    environment = {**os.environ, "KITPACK_HOME": f"{folder}/store"}
    with _counting() as requests:
        seconds = _timed(lambda: releasing.history(channel, settings=settings))
    log = releasing.history(channel, settings=settings)
    assert not log.breaks
    _say(f"history of {len(log.records)} records", seconds, f"{len(requests)} requests")
    with _counting() as requests:
        seconds = _timed(lambda: promptchanges.prompt_changes(channel, log.records[-20:], settings=settings))
    _say("changes of the last 20", seconds, f"{len(requests)} requests")
    for more in (["--no-changes"], ["-n", "20"], ["--verify", "-q"]):
        command = [*KITPACK, "history", channel, *more]
        seconds = _timed(partial(_run, command, environment))
        _say(f"kitpack history {' '.join(more)}", seconds)
    with _counting() as requests:
        seconds = _timed(lambda: releasing.record_at(channel, "-1", settings=settings))
    _say("production@{-1}", seconds, f"{len(requests)} requests")
    with _counting() as requests:
        seconds = _timed(lambda: releasing.history(channel, limit=20, settings=settings))
    _say("the last 20 records", seconds, f"{len(requests)} requests")
    with _counting() as requests:
        seconds = _timed(lambda: releasing.promote(names[0], "staging", settings=settings))
    _say("a promotion beside it", seconds, f"{len(requests)} requests")


def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def _timed(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def _say(what: str, seconds: float, more: str = "") -> None:
    print(f"{what:34} {seconds * 1000:8.1f} ms  {more}".rstrip())  # noqa: T201


if __name__ == "__main__":
    main()
