"""How fast ``kitpack serve`` is beside the registries that are installed here: large blobs, small manifests.

::

    python -m tests.bench.registry [MEBIBYTES] [ROUNDS]

In each round each registry gets an empty folder, takes one large blob and gives it back, and then answers many small
requests on four connections. The rounds take turns, and what was written is on the disk before the next begins. Prints
medians, how the others' compare to ours, and what the server cost: CPU seconds for the large blob, for the small
requests, and the most memory it had (Linux only). It is no test: a time means something on a quiet machine only.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import OCI_MANIFEST
from tests.support.bundles import CONFIG, manifest_of
from tests.support.distribution import Client, talking
from tests.support.registries import KINDS, is_installed, registry_process
from tests.support.serving import peak_memory

CONNECTIONS = 4
REQUESTS = 400
"""Small requests of each kind on each connection."""

BLOCK = 1 << 20
FASTER, CHEAPER = 1, -1
MEASURES = {
    "PUT blob, MB/s": FASTER,
    "GET blob, MB/s": FASTER,
    "PUT manifest, 1/s": FASTER,
    "GET manifest, 1/s": FASTER,
    "CPU of PUT, s": CHEAPER,
    "CPU of GET, s": CHEAPER,
    "CPU of manifests, s": CHEAPER,
    "peak memory, MB": CHEAPER,
}


def main() -> None:
    """Measure and print."""
    size = (int(sys.argv[1]) if len(sys.argv) > 1 else 1024) * BLOCK
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    kinds = [kind for kind in KINDS if is_installed(kind)]
    found: dict[str, dict[str, list[float]]] = {kind: defaultdict(list) for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            blob = _write_blob(Path(folder) / "blob", size, number)
            for kind in kinds[number % len(kinds) :] + kinds[: number % len(kinds)]:
                for name, value in _measure(kind, Path(folder) / "blob", blob).items():
                    found[kind][name].append(value)
    _print({kind: {name: statistics.median(values) for name, values in one.items()} for kind, one in found.items()})


def _measure(kind: str, path: Path, digest: Digest) -> dict[str, float]:
    """One round of one registry."""
    size = path.stat().st_size
    with (
        tempfile.TemporaryDirectory() as data,
        registry_process(kind, Path(data)) as (process, address),
        talking(f"http://{address}") as client,
    ):
        cost = partial(_cpu_seconds, process.pid)
        with path.open("rb") as file:
            target = client.whole("bench", digest)
            headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
            put, put_cost = _timed(cost, lambda: _send(client, target, file.fileno(), headers))
        os.sync()
        get, get_cost = _timed(cost, lambda: _take(client, f"/v2/bench/blobs/{digest}", size))
        small = _Small(address)
        writes, write_cost = _timed(cost, small.write)
        reads, read_cost = _timed(cost, small.read)
        memory = peak_memory(process.pid) / 1e6
    os.sync()
    times = (size / 1e6 / put, size / 1e6 / get, small.count / writes, small.count / reads)
    return dict(zip(MEASURES, (*times, put_cost, get_cost, write_cost + read_cost, memory), strict=True))


class _Small:
    """Small requests on several connections: manifests over one config, each under a tag of its own."""

    def __init__(self, address: str) -> None:
        self.count = CONNECTIONS * REQUESTS
        self._url = f"http://{address}"
        with talking(self._url) as client:
            client.push_blob("small", CONFIG)

    def write(self) -> None:
        self._all(self._write)

    def read(self) -> None:
        self._all(self._read)

    def _all(self, work: Callable[[int], None]) -> None:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(work, range(CONNECTIONS)))

    def _write(self, number: int) -> None:
        with talking(self._url) as client:
            for turn in range(REQUESTS):
                manifest = manifest_of({}, annotations={"number": f"{number}.{turn}"})
                assert client.push_manifest("small", manifest, f"v{number}.{turn}").status == 201

    def _read(self, number: int) -> None:
        with talking(self._url) as client:
            for turn in range(REQUESTS):
                assert client.get(f"/v2/small/manifests/v{number}.{turn}", Accept=OCI_MANIFEST).status == 200


def _write_blob(path: Path, size: int, seed: int) -> Digest:
    """Write bytes that no round before had, and return their digest."""
    block, hasher = os.urandom(BLOCK), Digest.of_bytes(b"").hasher()
    with path.open("wb") as file:
        for number in range(size // BLOCK):
            piece = seed.to_bytes(8) + number.to_bytes(8) + block[16:]
            file.write(piece)
            hasher.update(piece)
    os.sync()
    return Digest("sha256", hasher.hexdigest())


def _send(client: Client, path: str, file: int, headers: dict[str, str]) -> None:
    """PUT a file as the kernel sends it, so that the client costs as little as can be."""
    connection = client.connection
    connection.putrequest("PUT", path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.sock
    left, connection_fd = int(headers["Content-Length"]), connection.sock
    connection_fd.settimeout(None)
    with os.fdopen(os.dup(file), "rb") as body:
        assert connection_fd.sendfile(body) == left
    answer = connection.getresponse()
    assert answer.status == 201, answer.read()
    answer.read()


def _take(client: Client, path: str, size: int) -> None:
    """GET a blob and throw it away."""
    client.connection.request("GET", path)
    answer, room, got = client.connection.getresponse(), bytearray(BLOCK), 0
    while count := answer.readinto(room):
        got += count
    assert (answer.status, got) == (200, size)


def _timed(cost: Callable[[], float], work: Callable[[], None]) -> tuple[float, float]:
    """How long something took, and what it cost the server."""
    before, began = cost(), time.perf_counter()
    work()
    return time.perf_counter() - began, cost() - before


def _cpu_seconds(pid: int) -> float:
    """The time a process has computed, where the system says it in files."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _print(medians: dict[str, dict[str, float]]) -> None:
    """A line for each measure: the medians, and ours divided by theirs, turned so that more than 1 is better."""
    others = [kind for kind in medians if kind != "kitpack"]
    rows = [["", *medians, *(f"vs {kind}" for kind in others)]]
    for name, direction in MEASURES.items():
        ours = medians["kitpack"][name]
        ratios = [(ours / medians[kind][name]) ** direction if ours and medians[kind][name] else 0.0 for kind in others]
        rows.append([name, *(f"{one[name]:.1f}" for one in medians.values()), *(f"{ratio:.2f}" for ratio in ratios)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        print(row[0].ljust(widths[0]), *cells, sep="  ")  # noqa: T201


if __name__ == "__main__":
    main()
