"""How long an application waits for a bundle that is here already, beside reading the same files.

::

    python -m tests.bench.load [REPETITIONS]

Prints the median of each in milliseconds, and its ratio to reading the files: from a folder, from the local store, from
the cache of what was loaded from a registry (by digest, and by a tag that a registry in this process is asked about),
and how many requests the loads of a tag take. Prompts that this process has parsed before are not parsed again, but for
the line that says so; what the parser itself remembers, such as schemas that are sound, it remembers there as well.

It is no test: a time means something on a quiet machine only.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import kitpack
from kitpack.artifact.inspecting import prompts
from kitpack.settings import Settings
from tests.support.packing import write_files
from tests.support.registry import Registry, serving, settings_in

PROMPTS = 20
LINES = 200
KITFILE = "prompts: [{path: prompts}]\nconfigs: [{path: config}]\n"


def main() -> None:
    """Measure in turns, so that what else the machine does hits all alike."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 51
    with tempfile.TemporaryDirectory() as name, serving(Registry()) as registry:
        settings = settings_in(Path(name))
        folder = _bundle(Path(name) / "bot")
        reference = f"{registry.address}/bot:live"
        kitpack.push(folder, reference, settings=settings)
        first, digest = _requests(registry, reference, settings)
        again, _ = _requests(registry, reference, settings)
        kitpack.pack(folder, "bot:1", settings=settings)
        pinned = f"{registry.address}/bot@{digest}"
        kinds = {
            "reading the files": lambda: _read(folder),
            "load DIR": lambda: kitpack.load(folder),
            "load bot:1, parsed anew": lambda: _anew(settings),
            "load bot:1 (local store)": lambda: kitpack.load("bot:1", settings=settings),
            "load REF@DIGEST (cached)": lambda: kitpack.load(pinned, settings=settings),
            "load REF, offline": lambda: kitpack.load(reference, settings=settings, offline=True),
            "load REF:TAG (cached)": lambda: kitpack.load(reference, settings=settings),
        }
        _report(kinds, rounds)
    print(f"requests of the first load of a tag: {first}; of the next: {again}")  # noqa: T201


def _bundle(folder: Path) -> Path:
    """Twenty prompts of two hundred lines, and two configs."""
    head = "---\nvariables:\n  ticket: {type: string}\n---\n"
    body = "".join(f"Line {number} says something that matters to a model.\n" for number in range(LINES))
    files: dict[str, bytes | str] = {
        f"prompts/p{number:02}.md": f"{head}{body}{number} {{{{ ticket }}}}\n" for number in range(PROMPTS)
    }
    return write_files(folder, {**files, "config/a.yaml": "a: 1\n", "config/b.json": "{}"}, KITFILE)


def _requests(registry: Registry, reference: str, settings: Settings) -> tuple[dict[str, int], str]:
    registry.seen.clear()
    digest = kitpack.load(reference, settings=settings).digest
    return dict(Counter(one.method for one in registry.seen)), digest


def _anew(settings: Settings) -> None:
    prompts._KNOWN.clear()
    prompts._kitfile_of.cache_clear()
    kitpack.load("bot:1", settings=settings)


def _read(folder: Path) -> int:
    return sum(len(path.read_bytes()) for path in folder.rglob("*") if path.is_file())


def _report(kinds: dict[str, Callable[[], object]], rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, work in kinds.items():
            before = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - before)
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, median in medians.items():
        print(f"{name:26} {median * 1000:7.2f} ms  {median / medians['reading the files']:6.1f}")  # noqa: T201


if __name__ == "__main__":
    main()
