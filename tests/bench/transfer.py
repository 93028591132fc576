"""kitpack beside other tools: packing, pushing and pulling the same files, to and from the same registries.

::

    python -m tests.bench.transfer [--mib 2048] [--rounds 5] [--registries docker-registry,zot,kitpack] [--cases 1,2,3]
                                   [--tools kitpack,kit,curl] [--warm 5]

Prints a table for each registry. A cell holds the median of the seconds, of the CPU seconds, and the peak of memory in
MiB of the largest process; the last column says how many times as long as kitpack the fastest other tool takes that
does the same work. Every tool gets an empty registry and an empty home in every round, and the tools take turns, so
that what else the machine does hits all alike. What is not installed is named, and what does not get through as well.
``cp`` and ``sha256sum`` stand beside packing, ``curl`` beside moving: it proves nothing, and is told the digests.

Many a virtual machine gives free memory back to its host and pays for each page when it is needed again: copying two
gigabytes takes one second there, or five, and whoever comes first pays for all. ``--warm`` uses and frees so many GiB
of memory before every step, so that all find it the same; let it cover what a step writes on both sides.

It is no test: a time means something on a quiet machine only.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import _pytest.outcomes

import kitpack
from tests.support.registries import running_registry
from tests.support.tools import find_tool

KITPACK = [sys.executable, "-c", "from kitpack.cli import main; main()"]  # as the installed script does
STEPS = ("pack", "push", "pull", "pack again", "push again", "pull again")
REGISTRIES = ("docker-registry", "zot", "kitpack")
ORAS_PY = """\
import sys
from oras.client import OrasClient
verb, reference, *files = sys.argv[1:]
client = OrasClient(insecure=True)
if verb == "push":
    client.push(target=reference, files=files, disable_path_validation=True)
else:
    client.pull(target=reference, outdir=files[0])
"""
CURL_PUSH = """\
set -e
base=$1; shift
while [ $# -gt 0 ]; do
  place=$(curl -s -o /dev/null -D - -X POST "$base/blobs/uploads/" | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')
  case $place in http*) ;; *) place=${base%%/v2/*}$place ;; esac
  case $place in *\\?*) place="$place&" ;; *) place="$place?" ;; esac
  curl -s -f -o /dev/null -T "$2" "${place}digest=sha256:$1"
  shift 2
done
"""
CURL_PULL = """\
set -e
base=$1; out=$2; shift 2
for digest in "$@"; do curl -s -f -o "$out/$digest" "$base/blobs/sha256:$digest"; done
"""

WATCH = """\
import json, os, sys, time
before = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - before
with open(sys.argv[1], "w") as file:
    json.dump([seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss], file)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Starts a command and measures it: from a small process, as a child begins with the memory of its parent."""

WARM = """\
import mmap, sys
mmap.mmap(-1, int(sys.argv[1]) << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()
"""

Command: TypeAlias = "list[str] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one tool works in one round.

    Attributes:
        folder: The files.
        scratch: Its own folder.
        registry: Host and port.
        version: What is pushed, ``1`` or ``2``.
        digests: The files and their SHA-256, for those who have to be told.
    """

    folder: Path
    scratch: Path
    registry: str
    version: str
    digests: tuple[tuple[str, str], ...]

    @property
    def reference(self) -> str:
        return f"{self.registry}/bench/bot:{self.version}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.digests]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool, and what to type.

    Attributes:
        name: Its name.
        program: The program that must be installed.
        commands: What to run for a step; None for what it does not do.
        is_peer: Whether it does the same work as kitpack.
    """

    name: str
    program: str
    commands: Callable[[str, Place], Command]
    is_peer: bool = True


@dataclass(slots=True)
class Cost:
    """What one step took, in all rounds."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: int = 0

    def __str__(self) -> str:
        if not self.seconds:
            return ""
        return f"{statistics.median(self.seconds):.2f} · {statistics.median(self.cpu):.2f} · {self.peak >> 20}"


Costs: TypeAlias = "dict[tuple[str, str, str], Cost]"


def _kitpack(step: str, at: Place) -> Command:
    name = f"bot:{at.version}"
    return {
        "pack": [*KITPACK, "pack", "-q", str(at.folder), "-t", name],
        "push": [*KITPACK, "push", "-q", name, at.reference],
        "pull": [*KITPACK, "pull", "-q", at.reference],
    }[step]


def _kit(step: str, at: Place) -> Command:
    quiet = [_path("kit"), step, "--progress", "none"]
    return {
        "pack": [*quiet, str(at.folder), "-t", at.reference],
        "push": [*quiet, "--plain-http", at.reference],
        "pull": [*quiet, "--plain-http", at.reference],
    }[step]


def _modctl(step: str, at: Place) -> Command:
    command = [_path("modctl"), "--no-progress", "--storage-dir", _home("modctl"), "--log-dir", _home("log")]
    return {
        "pack": [*command, "build", "-f", str(at.folder / "Modelfile"), "-t", at.reference, str(at.folder)],
        "push": [*command, "push", "--plain-http", at.reference],
        "pull": [*command, "pull", "--plain-http", at.reference],
    }[step]


def _oras(step: str, at: Place) -> Command:
    options = ["--plain-http", "--no-tty", "--disable-path-validation"]
    return {
        "pack": None,
        "push": [_path("oras"), "push", *options, at.reference, *_few(at)],
        "pull": [_path("oras"), "pull", "--plain-http", "--no-tty", "-o", _home("out"), at.reference],
    }[step]


def _oras_py(step: str, at: Place) -> Command:
    command = [sys.executable, "-c", ORAS_PY]
    return {
        "pack": None,
        "push": [*command, "push", at.reference, *_few(at)],
        "pull": [*command, "pull", at.reference, _home("out")],
    }[step]


def _skopeo(step: str, at: Place) -> Command:
    command = [_path("skopeo"), "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"]
    image = f"docker://{at.reference}"
    return {
        "pack": None,
        "push": [*command, f"oci:{at.scratch / 'layout'}:{at.version}", image],
        "pull": [*command, image, f"oci:{_home('out')}:{at.version}"],
    }[step]


def _curl(step: str, at: Place) -> Command:
    if len(at.digests) > 100:
        return None
    base = f"http://{at.registry}/v2/bench/bot"
    pairs = [word for path, digest in at.digests for word in (digest, path)]
    return {
        "pack": None,
        "push": ["sh", "-c", CURL_PUSH, "sh", base, *pairs],
        "pull": ["sh", "-c", CURL_PULL, "sh", base, _home("out"), *(digest for _, digest in at.digests)],
    }[step]


def _cp(step: str, at: Place) -> Command:
    return ["cp", "-r", str(at.folder), _home("copy")] if step == "pack" else None


def _sha256sum(step: str, at: Place) -> Command:
    return (
        ["sh", "-c", 'find "$1" -type f -print0 | xargs -0 sha256sum', "sh", str(at.folder)] if step == "pack" else None
    )


TOOLS = (
    Tool(name="kitpack", program="python", commands=_kitpack),
    Tool(name="kit", program="kit", commands=_kit),
    Tool(name="modctl", program="modctl", commands=_modctl),
    Tool(name="oras", program="oras", commands=_oras),
    Tool(name="skopeo", program="skopeo", commands=_skopeo),
    Tool(name="oras-py", program="python", commands=_oras_py),
    Tool(name="curl", program="curl", commands=_curl, is_peer=False),
    Tool(name="cp", program="cp", commands=_cp, is_peer=False),
    Tool(name="sha256sum", program="sha256sum", commands=_sha256sum, is_peer=False),
)


def _path(tool: str) -> str:
    return find_tool(tool) or tool


def _home(name: str) -> str:
    """A folder in the tool's home, which is replaced when the command runs."""
    return f"@HOME@/{name}"


def _few(at: Place) -> list[str]:
    """The files, or their folder when they are too many for a command line."""
    return at.paths if len(at.paths) < 100 else ["."]


def main() -> None:
    """Measure, and print."""
    chosen = _arguments()
    compileall.compile_dir(Path(kitpack.__file__).parent, quiet=1)  # as installing it does
    megabytes: int = chosen.mib
    cases: dict[str, Callable[[Path], None]] = {
        f"1 x {megabytes} MiB": lambda folder: _weights(folder, 1, megabytes),
        f"8 x {megabytes // 8} MiB": lambda folder: _weights(folder, 8, megabytes // 8),
        "10,000 x 2 KiB": _many,
    }
    with tempfile.TemporaryDirectory(prefix="kitpack-bench-", dir=chosen.scratch) as name:
        folders = {
            case: Path(name) / f"case{number}"
            for number, case in enumerate(cases, 1)
            if str(number) in chosen.cases.split(",")
        }
        for case, folder in folders.items():
            cases[case](folder)
        for kind in chosen.registries.split(","):
            costs: Costs = defaultdict(Cost)
            try:
                for turn in range(chosen.rounds):
                    for case, folder in folders.items():
                        _round(kind, case, folder, Path(name) / "work", costs, turn, chosen)
            except _pytest.outcomes.Skipped:
                print(f"\n{kind}: not installed")  # noqa: T201
                continue
            _report(kind, list(folders), costs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="kitpack beside other tools")
    parser.add_argument("--mib", type=int, default=2048, help="the size of the large bundles")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--registries", default=",".join(REGISTRIES))
    parser.add_argument("--cases", default="1,2,3", help="1: one large file, 2: eight, 3: ten thousand small ones")
    parser.add_argument("--tools", default="", help="only these, besides kitpack")
    parser.add_argument("--warm", type=int, default=0, help="GiB of memory to use and free before each step")
    parser.add_argument("--scratch", default=None, help="a folder with room for four times the size")
    return parser.parse_args()


def _weights(folder: Path, count: int, megabytes: int) -> None:
    (folder / "model").mkdir(parents=True)
    for number in range(count):
        with (folder / f"model/part{number}.bin").open("wb") as file:
            for _ in range(megabytes):
                file.write(os.urandom(1 << 20))
    parts = "".join(f"    - path: model/part{number}.bin\n" for number in range(1, count))
    kitfile = f"model:\n  name: m\n  path: model/part0.bin\n{'  parts:' if parts else ''}\n{parts}"
    _write_kitfile(folder, kitfile, "MODEL model/*.bin\n")


def _many(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    for number in range(10_000):
        (folder / f"data/{number:05}.bin").write_bytes(os.urandom(2048))
    _write_kitfile(folder, "datasets:\n  - name: d\n    path: data\n", "CODE data/*.bin\n")


def _write_kitfile(folder: Path, body: str, modelfile: str) -> None:
    (folder / "prompts").mkdir()
    (folder / "prompts/reply.md").write_text("Answer {{ name }}.\n")
    head = "manifestVersion: 1.0.0\npackage:\n  name: bench\n  version: 1.0.0\n"
    prompts = "prompts:\n  - path: prompts/reply.md\n"
    (folder / "Kitfile").write_text(f"{head}{body}{prompts}")
    (folder / "Modelfile").write_text(f"NAME bench\n{modelfile}DOC prompts/*.md\n")


def _round(kind: str, case: str, folder: Path, work: Path, costs: Costs, turn: int, chosen: argparse.Namespace) -> None:
    """All tools, one after the other, beginning with another one each time."""
    installed = [tool for tool in TOOLS if tool.program == "python" or find_tool(tool.program)]
    if chosen.tools:
        installed = [tool for tool in installed if tool.name in ("kitpack", *chosen.tools.split(","))]
    start = turn % len(installed)
    for tool in [*installed[start:], *installed[:start]]:
        with running_registry(kind) as registry, _emptied(work):
            _one(tool, case, folder, work, registry, costs, chosen.warm)


@contextmanager
def _emptied(work: Path) -> Iterator[None]:
    work.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(work)


def _one(tool: Tool, case: str, folder: Path, work: Path, registry: str, costs: Costs, warm: int) -> None:
    """Pack, push, pull; then edit a prompt, and the same again."""
    (folder / "prompts/reply.md").write_text("Answer {{ name }}.\n")
    for version, suffix in (("1", ""), ("2", " again")):
        at = Place(folder=folder, scratch=work, registry=registry, version=version, digests=_digests(folder))
        if tool.name == "skopeo":
            words = ["pack", "-q", str(folder), "-t", f"oci:{work / 'layout'}:{version}"]
            subprocess.run([*KITPACK, *words], env=_environment(work / "made"), check=True, stdout=subprocess.DEVNULL)
        for step in ("pack", "push", "pull"):
            home = work / ("there" if step == "pull" else "here")
            command, cost = tool.commands(step, at), costs[case, step + suffix, tool.name]
            if not command:
                continue
            if warm:
                subprocess.run([sys.executable, "-I", "-S", "-c", WARM, str(warm)], check=True)
            if not _run(command, folder, home, cost):
                return
        (folder / "prompts/reply.md").write_text("Answer {{ name }} kindly.\n")


def _digests(folder: Path) -> tuple[tuple[str, str], ...]:
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                found.append((path.relative_to(folder).as_posix(), hashlib.file_digest(file, "sha256").hexdigest()))
    return tuple(found)


def _environment(home: Path) -> dict[str, str]:
    for name in ("out", "tmp"):
        (home / name).mkdir(parents=True, exist_ok=True)
    places = {"HOME": home, "KITPACK_HOME": home / "kitpack", "KITOPS_HOME": home / "kitops", "TMPDIR": home / "tmp"}
    return {**os.environ, **{name: str(path) for name, path in places.items()}, "DOCKER_CONFIG": str(home / "docker")}


def _tail(path: Path) -> str:
    return " ".join(path.read_text(errors="replace").split())[-300:]


def _run(command: Sequence[str], folder: Path, home: Path, cost: Cost) -> bool:
    """Run a command in a folder, and say whether it got through."""
    words = [word.replace("@HOME@", str(home)) for word in command]
    watched = [sys.executable, "-I", "-S", "-c", WATCH, str(home / "cost"), *words]
    environment = _environment(home)
    with (home / "printed").open("wb") as log:
        done = subprocess.run(
            watched, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        )
    if done.returncode:
        print(f"{' '.join(words[:3])[:80]} ended with {done.returncode}: {_tail(home / 'printed')}", file=sys.stderr)  # noqa: T201
        return False
    seconds, cpu, peak = json.loads((home / "cost").read_text())
    cost.seconds.append(seconds)
    cost.cpu.append(cpu)
    cost.peak = max(cost.peak, peak * (1 if sys.platform == "darwin" else 1024))
    return True


def _report(kind: str, cases: Sequence[str], costs: Costs) -> None:
    names = [tool.name for tool in TOOLS if any(costs[key].seconds for key in costs if key[2] == tool.name)]
    absent = [tool.name for tool in TOOLS if not (tool.program == "python" or find_tool(tool.program))]
    print(f"\n{kind}: seconds · CPU seconds · peak MiB{'; not installed: ' + ', '.join(absent) if absent else ''}\n")  # noqa: T201
    print(f"| bundle | step | {' | '.join(names)} | fastest other ÷ kitpack |")  # noqa: T201
    print(f"|---|---|{'---|' * (len(names) + 1)}")  # noqa: T201
    for case in cases:
        for step in STEPS:
            cells = [str(costs[case, step, name]) for name in names]
            print(f"| {case} | {step} | {' | '.join(cells)} | {_ratio(case, step, costs)} |", flush=True)  # noqa: T201


def _ratio(case: str, step: str, costs: Costs) -> str:
    if not costs[case, step, "kitpack"].seconds:
        return ""
    medians = {
        tool.name: statistics.median(costs[case, step, tool.name].seconds)
        for tool in TOOLS
        if tool.is_peer and costs[case, step, tool.name].seconds
    }
    ours = medians.pop("kitpack")
    return f"{min(medians.values()) / ours:.2f}" if medians else ""


if __name__ == "__main__":
    main()
