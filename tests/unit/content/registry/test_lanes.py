"""One blob over several connections: only where that pays, in order, and whole whatever happens."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator

import pytest

from kitpack.content.registry.download import open_download
from kitpack.content.registry.lanes import MOST, PART, Lanes, Parts
from kitpack.content.registry.repository import Repository
from kitpack.content.target import verified_blocks
from kitpack.errors import KitpackError
from kitpack.oci.descriptor import Descriptor
from tests.support.bundles import noise
from tests.support.registry import Registry, Reply, Seen, serving

DATA = noise(1 << 20) * 90
BLOB = Descriptor.of_bytes("application/octet-stream", DATA)
SLOW, QUICK = 0.05, 0.0001  # seconds that pass between one look at the clock and the next


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry()) as running:
        running.add_blob(DATA)
        yield running


def clock(step: float) -> Callable[[], float]:
    """A clock on which so much time passes whenever somebody looks, whatever the thread."""
    guard, now = threading.Lock(), [0.0]

    def look() -> float:
        with guard:
            now[0] += step
            return now[0]

    return look


def received(repository: Repository, step: float, lanes: Lanes, offset: int = 0) -> bytes:
    url = f"/v2/team/bot/blobs/{BLOB.digest}"
    with open_download(
        BLOB,
        offset,
        lambda headers: repository.transport.request("GET", url, headers=headers, expect={200, 206}),
        repository.transport.retry.pause,
        clock(step),
        lanes,
    ) as stream:
        return DATA[:offset] + b"".join(iter(lambda: stream.read(1 << 20), b""))


def ranges(registry: Registry) -> list[str]:
    return [seen.headers["range"] for seen in registry.seen if re.search(r"-\d", seen.headers.get("range", ""))]


def test_a_slow_connection_gets_company(registry: Registry, repository: Repository) -> None:
    lanes = Lanes(4)
    assert received(repository, SLOW, lanes) == DATA
    assert len(ranges(registry)) >= 7
    assert lanes.widen() == 4  # all were given back


def test_a_fast_connection_stays_alone(registry: Registry, repository: Repository) -> None:
    assert received(repository, QUICK, Lanes(4)) == DATA
    assert len(registry.seen) == 1


def test_the_rest_of_a_broken_download_gets_company_as_well(registry: Registry, repository: Repository) -> None:
    assert received(repository, SLOW, Lanes(4), 1000) == DATA
    assert ranges(registry)


def test_no_more_connections_than_are_free(registry: Registry, repository: Repository) -> None:
    lanes = Lanes(1)
    assert received(repository, SLOW, lanes) == DATA
    assert ranges(registry) == []
    assert Lanes(64).widen() == MOST


@pytest.mark.parametrize("announced", ["none", ""])
def test_a_registry_without_ranges_is_not_asked_for_any(
    registry: Registry, repository: Repository, announced: str
) -> None:
    registry.rule("GET", "blobs", Reply(body=DATA, headers={"Accept-Ranges": announced}), last_stays=True)
    assert received(repository, SLOW, Lanes(4)) == DATA
    assert len(registry.seen) == 1


def test_a_registry_that_only_announces_ranges_is_read_in_one(registry: Registry, repository: Repository) -> None:
    registry.rule("GET", "blobs", Reply(body=DATA, headers={"Accept-Ranges": "bytes"}), last_stays=True)
    lanes = Lanes(4)
    assert received(repository, SLOW, lanes) == DATA
    assert lanes.widen() == 4


def test_parts_whose_connection_breaks_are_resumed(registry: Registry, repository: Repository) -> None:
    def break_some(seen: Seen) -> Reply | None:
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", seen.headers.get("range", ""))
        if not found or int(found[2]) - int(found[1]) < PART - 1:
            return None
        first, last = int(found[1]), int(found[2])
        span = {"Content-Range": f"bytes {first}-{last}/{len(DATA)}"}
        return Reply(status=206, body=DATA[first : last + 1], headers=span, after=1 << 20)

    registry.rules.append(break_some)
    assert received(repository, SLOW, Lanes(4)) == DATA


@pytest.mark.parametrize("reply", [Reply(status=404), Reply(status=206, headers={"Content-Range": "bytes 0-1/2"})])
def test_a_part_that_cannot_be_had_is_a_failure(registry: Registry, repository: Repository, reply: Reply) -> None:
    registry.rules.append(lambda seen: reply if re.search(r"-\d", seen.headers.get("range", "")) else None)
    lanes = Lanes(4)
    with pytest.raises(KitpackError, match=r"404|announced"):
        received(repository, SLOW, lanes)
    assert lanes.widen() == 4


def test_bytes_arrive_in_order_and_few_are_held() -> None:
    held: list[int] = []
    guard = threading.Lock()

    def fetch(start: int, stop: int) -> bytes:
        with guard:
            held.append(start)
        return DATA[start:stop]

    parts = Parts(fetch, 5, len(DATA), 3)
    try:
        done = 5
        while not parts.is_empty:
            piece = parts.read1(1 << 20)
            assert piece == DATA[done : done + len(piece)]
            done += len(piece)
            assert max(held) - done <= 4 * PART
        assert done == len(DATA)
    finally:
        parts.close()


def test_the_stream_of_a_repository_is_whole(repository: Repository) -> None:
    with repository.fetch(BLOB) as stream:
        assert b"".join(verified_blocks(stream, BLOB)) == DATA
