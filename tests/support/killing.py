"""Commands that are killed before each of their steps, one child process after the other.

::

    python -m tests.support.killing STORY FOLDER [ARGUMENT...]

The program forks children, kills each just before a step of its own (making, writing, renaming, removing a file or
folder), looks at what it left, and lets a second child finish the work. It prints a line for each step, and in it every
fault it found. It has no threads of its own, so it may fork where a test run may not.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from kitpack.artifact.unpacking.installed import Installed, find_drift
from kitpack.cli import main
from tests.support.snapshots import snapshot

__all__ = ["run"]

_STEPS = frozenset(
    {"os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.utime", "os.truncate"}
)
_OURS = (".kitpack.json", ".kitpack-staging")
_MOST = 2000


def run(story: str, folder: Path, *arguments: str, environment: dict[str, str]) -> list[str]:
    """Run a story in a fresh interpreter and return the lines it printed."""
    command = [sys.executable, "-m", "tests.support.killing", story, str(folder), *arguments]
    repository = Path(__file__).parents[2]
    done = subprocess.run(
        command, cwd=repository, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout.splitlines()


def _pack(folder: Path, source: str, digest: str) -> None:
    """Kill a packing; the store must stay clean, and the same command must end with the right digest."""
    for step, store in _stores(folder):
        command = ("pack", source, "-t", "bot:1", "-q")
        code, _ = _child(command, store, kill_at=step)
        faults = [*_unless_clean(store)]
        again, out = _child(command, store)
        if again or out.strip() != digest:
            faults.append(f"packed again, it ended with {again} and {out!r}")
        faults += [*_unless_clean(store), *_unless_ended("gc", "--grace", "0", "-q", store=store)]
        faults += [*_unless_clean(store), *_unless_empty(store / "ingest")]
        if _told(step, code, faults):
            return


def _pull(folder: Path, reference: str, digest: str) -> None:
    """Kill a transfer; the same command must finish it."""
    for step, store in _stores(folder):
        code, _ = _child(("pull", reference, "-q"), store, kill_at=step)
        faults = [*_unless_clean(store)]
        again, out = _child(("pull", reference, "-q"), store)
        if again or out.strip() != digest:
            faults.append(f"pulled again, it ended with {again} and {out!r}")
        if _told(step, code, [*faults, *_unless_clean(store)]):
            return


def _unpack(folder: Path, new: str, old: str, state: str) -> None:
    """Kill an unpacking of the new version; the same command must finish it, or one for the old version undo it.

    The folder ``folder/store`` is the store, and ``folder/new`` and ``folder/old`` hold the files of the versions.
    """
    store = folder / "store"
    versions = {new: snapshot(folder / "new"), old: snapshot(folder / "old")}
    for step in _steps(3):
        target = folder / "targets" / str(step)
        target.parent.mkdir(exist_ok=True)
        if state == "old":
            _must("unpack", old, "-o", target, "-q", store=store)
        code, _ = _child(("unpack", new, "-o", str(target), "-q"), store, kill_at=step)
        faults = [*_half_done(target, versions)]
        for reference in (new, old) if step % 2 else (old, new):
            again, out = _child(("unpack", reference, "-o", str(target), "-q"), store)
            if again:
                faults.append(f"unpacked again, it ended with {again} and {out!r}")
            elif (found := snapshot(target, ".kitpack.json")) != versions[reference]:
                faults.append(f"after {reference}, other files: {sorted({*found} ^ {*versions[reference]})[:5]}")
            record = Installed.load(target)
            if record is None or find_drift(target, record) or STAGED & {one.name for one in target.parent.iterdir()}:
                faults.append("its record is not true, or something is left beside it")
        if _told(step, code, faults):
            return


def _deploy(folder: Path, new: str, old: str, command: str) -> None:
    """Kill a deployment of the new version, or a rollback to the old one; what is live must be whole all the time.

    Afterwards the deployment is repeated and rolled back, or what is left of the rollback made good: either way the old
    version is live then, and nothing is left to go back to. The folder ``folder/store`` is the store.
    """
    store = folder / "store"
    for step in _steps(6):
        target = folder / "targets" / str(step)
        deploy, back = ("deploy", new, str(target), "-q"), ("deploy", "--rollback", str(target), "-q")
        _must("deploy", old, target, "-q", store=store)
        first = (target / "current").readlink()
        if command == "rollback":
            _must(*deploy, store=store)
        code, _ = _child(back if command == "rollback" else deploy, store, kill_at=step)
        faults = [*_unless_whole(target)]
        if command == "deploy":
            faults += [*_unless_ended(*deploy, store=store), *_unless_whole(target)]
        if (target / "current").readlink() != first:
            faults += [*_unless_ended(*back, store=store), *_unless_whole(target)]
        if (target / "current").readlink() != first or not _child(back, store)[0]:
            faults.append("a rollback went forward, or nowhere")
        left = [one.name for one in (target / "releases").iterdir() if one.name.startswith(".")]
        if left or any(link.is_symlink() and link.name != "current" for link in target.iterdir()):
            faults.append(f"something is left: {left}")
        if _told(step, code, faults):
            return


def _unless_whole(target: Path) -> Iterator[str]:
    """What is wrong with what is live."""
    record = Installed.load(target / "current")
    if record is None:
        yield "nothing is live"
    elif drift := find_drift(target / "current", record):
        yield f"what is live is not whole: {drift}"


STAGED = {".kitpack-staging"}


def _half_done(target: Path, versions: dict[str, dict[str, tuple[str, int, bytes]]]) -> Iterator[str]:
    """Files that are of neither version."""
    for path, (kind, _, data) in snapshot(target, *_OURS).items():
        known = [version[path] for version in versions.values() if path in version]
        if kind == "file" and data not in [content for is_kind, _, content in known if is_kind == "file"]:
            yield f"{path} holds something that was never packed"
        if not known:
            yield f"{path} is half-named"


def _stores(folder: Path) -> Iterator[tuple[int, Path]]:
    for step in _steps(8):
        yield step, folder / str(step)


def _steps(stride: int) -> Iterator[int]:
    """The first steps, and of the others some, the same in every run."""
    chance, step = random.Random(20260515), 0
    while step < _MOST:
        yield step
        step += 1 if step < 10 else chance.randint(1, stride)


def _told(step: int, code: int, faults: list[str]) -> bool:
    """Print about a step; whether it was the last, because nobody was killed before it."""
    print(step, *faults, sep="; ")  # noqa: T201
    return code != -signal.SIGKILL


def _unless_clean(store: Path) -> Iterator[str]:
    code, out = _child(("verify", "-q"), store)
    if code and (code != 4 or (store / "oci-layout").exists()):  # 4: there is no store yet
        yield f"the store is not clean: {code}, {out!r}"


def _unless_ended(*command: str, store: Path) -> Iterator[str]:
    code, out = _child(command, store)
    if code:
        yield f"{command} ended with {code} and {out!r}"


def _unless_empty(folder: Path) -> Iterator[str]:
    if left := [path.name for path in folder.iterdir()]:
        yield f"{folder} holds {left}"


def _must(*command: object, store: Path) -> None:
    code, out = _child(tuple(map(str, command)), store)
    if code:
        raise RuntimeError(f"{command} ended with {code} and {out!r}")


def _child(command: tuple[str, ...], store: Path, kill_at: int | None = None) -> tuple[int, str]:
    """Run a command in a child; its exit code, negative when it was killed, and what it printed."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        _become(lambda: main(command), store, kill_at)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        out = pipe.read().decode(errors="replace")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), out


def _become(work: Callable[[], object], store: Path, kill_at: int | None) -> None:
    code = 1
    try:
        os.environ["KITPACK_HOME"] = str(store)
        if kill_at is not None:
            _kill_before(kill_at)
        work()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # noqa: BLE001 - a child must never go on as if it were its parent
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _kill_before(step: int) -> None:
    left = step

    def count() -> None:
        nonlocal left
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    def hook(event: str, args: tuple[object, ...]) -> None:
        creates = event == "open" and isinstance(args[2], int) and bool(args[2] & os.O_CREAT)
        if event in _STEPS or creates:
            count()

    write = os.write

    def counted(fd: int, data: bytes) -> int:
        count()
        return write(fd, data)

    sys.addaudithook(hook)
    os.write = counted  # type: ignore[assignment]  # of this child alone; half a file is a state of its own


STORIES: dict[str, Callable[..., None]] = {"pack": _pack, "pull": _pull, "unpack": _unpack, "deploy": _deploy}

if __name__ == "__main__":
    STORIES[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
