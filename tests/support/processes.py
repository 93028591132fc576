"""What only processes of their own can show: being killed, being many, running out of space.

::

    python -m tests.support.processes STORY FOLDER

The program forks one child after another (or many at once) and prints one line about each. It has no threads, so it may
fork where a test run may not.
"""

from __future__ import annotations

import io
import os
import random
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from kitpack.content.store.audit import audit
from kitpack.content.store.collect import collect_garbage
from kitpack.content.store.layout import Layout
from kitpack.content.target import Opener
from kitpack.errors import NotFoundError, StoreError
from tests.support.bundles import blob_of, noise, push_artifact

FAR_FUTURE = 2e10  # seconds since 1970: everything is old by then
FEEDS = 8
FEED_SIZE = 3 << 20
LIMITS = (0, 1, 30, 100, 200, 300, 500, 1000, 5000, 100_000)
WORKERS = 8
COLLECTED = 3
NAMES_EACH = 15

_READ = "tests.read"
_STEPS = frozenset({_READ, "os.rename", "os.remove", "os.mkdir", "os.chmod", "os.utime", "os.truncate", "fcntl.flock"})


def run(story: str, folder: Path) -> list[str]:
    """Run a story in a fresh interpreter and return the lines it printed."""
    repository = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.support.processes", story, str(folder)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def tell(layout: Layout) -> None:
    """A whole life: the beginning, two versions under one name, referrers, a name given up, a collection."""
    layout.add(_audited(noise(200, 1)))
    old = push_artifact(layout, {"a": noise(3000, 2)}, "v1")
    push_artifact(layout, {"s": b"about the old one"}, subject=old)
    new = push_artifact(layout, {"a": noise(3000, 3)}, "v1")
    push_artifact(layout, {"s": b"about the new one"}, "note", subject=new)
    layout.untag("note")
    collect_garbage(layout, now=lambda: FAR_FUTURE)


def tags_of(worker: int) -> list[str]:
    """The names one of many workers gives."""
    return [f"worker-{worker}.{number}" for number in range(NAMES_EACH)]


def push_all(layout: Layout, after_each: Callable[[], object] = lambda: None) -> dict[str, bytes]:
    """Push and tag forty small bundles, and return what each name holds."""
    content = {f"v{number}": noise(40 * number, number) for number in range(40)}
    for name, data in content.items():
        push_artifact(layout, {"a": data}, name)
        after_each()
    return content


def _kill_at_every_step(folder: Path) -> None:
    """Kill a child before its first step that changes anything, the next one before its second step, and so on."""
    step = 0
    while _in_child(partial(_killed_at, step, folder / str(step))) == -signal.SIGKILL:
        print(step)  # noqa: T201
        step += 1


def _killed_at(step: int, root: Path) -> None:
    left = step

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal left
        is_creating = event == "open" and isinstance(args[2], int) and bool(args[2] & os.O_CREAT)
        if event in _STEPS or is_creating:
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(hook)
    tell(Layout(root))


def _kill_at_random(folder: Path) -> None:
    """Kill fifteen children, each after it reported a random number of bundles; print every fault that is left."""
    chance = random.Random(20260515)
    for _ in range(15):
        patience = chance.randrange(35)
        reading, writing = os.pipe()
        child = _fork(partial(push_all, Layout(folder), partial(os.write, writing, b".")))
        os.close(writing)
        while patience > 0 and (got := os.read(reading, patience)):
            patience -= len(got)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        faults = list(audit(Layout(folder))) if (folder / "oci-layout").exists() else []
        print(*faults, sep="; ")  # noqa: T201


def _kill_while_feeding(folder: Path) -> None:
    """Kill children that were given only a part of a blob; print how many bytes of which each had."""
    chance = random.Random(31)
    for seed in range(FEEDS):
        data = noise(FEED_SIZE, seed)
        given = chance.randrange(1 << 20, FEED_SIZE)
        reading, writing = os.pipe()
        child = _fork(partial(Layout(folder).push, blob_of(data), partial(_pipe, reading)))
        os.close(reading)
        _write_all(writing, data[:given])
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(writing)
        print(given)  # noqa: T201


def _pipe(end: int, offset: int) -> BinaryIO:
    return os.fdopen(end, "rb", buffering=0)


def _write_all(end: int, data: bytes) -> None:
    while data:
        data = data[os.write(end, data) :]


def _fill_the_disk(folder: Path) -> None:
    """Let no file grow beyond a limit; print for each limit with which error the story ended, 0 for none."""
    for limit in LIMITS:
        print(_in_child(partial(_limited, limit, folder / str(limit))))  # noqa: T201


def _limited(limit: int, root: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        tell(Layout(root))
    except OSError as error:
        os._exit(error.errno or 255)


def _crowd(folder: Path) -> None:
    """Many processes tag at once, in a layout that none of them finds there."""
    children = [_fork(partial(_work, Layout(folder), worker)) for worker in range(WORKERS)]
    for child in children:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))  # noqa: T201


def _work(layout: Layout, worker: int) -> None:
    for number, name in enumerate(tags_of(worker)):
        push_artifact(layout, {"shared": noise(5000, number), "own": str(worker).encode()}, name)


def _collect_meanwhile(folder: Path) -> None:
    """Some push what others try to delete at the same moment; print how the pushers ended.

    A pusher goes on after giving up a name only when a collection has been through since.
    """
    reading, writing = os.pipe()
    pushers = [_fork(partial(_push_leased, Layout(folder), worker, reading)) for worker in range(COLLECTED)]
    for _ in range(COLLECTED * NAMES_EACH):
        while not _is_collected(Layout(folder)):
            continue
        os.write(writing, b".")
    for child in pushers:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))  # noqa: T201


def _is_collected(layout: Layout) -> bool:
    try:
        collect_garbage(layout, now=lambda: FAR_FUTURE)
    except (StoreError, NotFoundError):  # in use, or not begun
        return False
    return True


def _push_leased(layout: Layout, worker: int, go_on: int) -> None:
    for number, name in enumerate(tags_of(worker)):
        for again in (False, True):
            if again:
                layout.untag(name)
                os.read(go_on, 1)
            with layout.lease():
                push_artifact(layout, {"shared": noise(5000, number), "own": str(worker).encode()}, name)


def _audited(data: bytes) -> Opener:
    class Stream(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            sys.audit(_READ)
            return super().read(min(size or 64, 64))

    return lambda offset: Stream(data[offset:])


def _in_child(work: Callable[[], object]) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(_fork(work), 0)[1])


def _fork(work: Callable[[], object]) -> int:
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - a child must never go on as if it were its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


STORIES: dict[str, Callable[[Path], None]] = {
    "steps": _kill_at_every_step,
    "random": _kill_at_random,
    "feed": _kill_while_feeding,
    "full": _fill_the_disk,
    "crowd": _crowd,
    "collect": _collect_meanwhile,
}

if __name__ == "__main__":
    STORIES[sys.argv[1]](Path(sys.argv[2]))
