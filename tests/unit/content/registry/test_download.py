"""Reading content over connections that break."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kitpack.content.registry.download import open_download
from kitpack.content.registry.exchange import Answer
from kitpack.content.registry.repository import Repository
from kitpack.content.registry.transport import Transport
from kitpack.content.target import verified_blocks
from kitpack.errors import IntegrityError, NotFoundError, RegistryError, UnreachableError
from kitpack.oci.descriptor import Descriptor
from tests.support.bundles import noise
from tests.support.registry import Registry, Reply, Seen, serving, settings_in

DATA = noise(1_000_000)
BLOB = Descriptor.of_bytes("application/octet-stream", DATA)
PIECE = 64 << 10


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry()) as running:
        running.add_blob(DATA)
        yield running


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def repository(registry: Registry, tmp_path: Path, slept: list[float]) -> Iterator[Repository]:
    settings = settings_in(tmp_path)
    transport = Transport(registry.address, settings, sleep=slept.append)
    with Repository(registry.address, "team/bot", settings, transport=transport) as made:
        yield made


def received(repository: Repository, descriptor: Descriptor = BLOB) -> bytes:
    with repository.fetch(descriptor) as stream:
        return b"".join(verified_blocks(stream, descriptor))


def start_of(seen: Seen) -> int:
    return int(seen.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


def from_there(seen: Seen, **changes: object) -> Reply:
    """A right answer to a request for a range, spoilt as asked."""
    start = start_of(seen)
    headers = {"Content-Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"} if start else {}
    known: dict[str, object] = {"status": 206 if start else 200, "body": DATA[start:], "headers": headers}
    return Reply(**(known | changes))  # type: ignore[arg-type]


def test_content_arrives_whole(registry: Registry, repository: Repository) -> None:
    assert received(repository) == DATA
    assert [seen.headers.get("range") for seen in registry.seen] == [None]


@pytest.mark.parametrize("offset", [1, 999_999, 1_000_000, 2_000_000])
def test_content_is_read_from_an_offset(repository: Repository, offset: int) -> None:
    with repository.fetch(BLOB, offset) as stream:
        assert stream.read() == DATA[offset:]
        assert stream.read(1) == b""


def test_reads_fill_their_block(registry: Registry, repository: Repository) -> None:
    registry.rules.append(lambda seen: from_there(seen, after=PIECE))
    with repository.fetch(BLOB) as stream:
        assert stream.readable()
        assert stream.read(0) == b""
        assert stream.read(3 * PIECE) == DATA[: 3 * PIECE]
        buffer = bytearray(2 * PIECE)
        assert stream.readinto(buffer) == len(buffer)  # type: ignore[attr-defined]
        assert bytes(buffer) == DATA[3 * PIECE : 5 * PIECE]
        assert stream.tell() == 5 * PIECE
    with pytest.raises(ValueError, match="closed"):
        stream.read(1)


def test_a_connection_that_breaks_at_every_piece_is_resumed(registry: Registry, repository: Repository) -> None:
    registry.rules.append(lambda seen: from_there(seen, after=PIECE))
    assert received(repository) == DATA
    assert [start_of(seen) for seen in registry.seen] == list(range(0, len(DATA), PIECE))


def test_a_reset_connection_is_resumed(registry: Registry, repository: Repository) -> None:
    registry.rules.append(lambda seen: from_there(seen, after=PIECE, reset=True) if len(registry.seen) < 4 else None)
    assert received(repository) == DATA


def test_a_server_without_ranges_is_read_again_from_the_start(registry: Registry, repository: Repository) -> None:
    whole = Reply(body=DATA)
    broken = Reply(body=DATA, after=600_000)
    registry.rule("GET", "blobs", broken, broken, whole)
    assert received(repository) == DATA
    assert start_of(registry.seen[-1]) == 600_000


def test_a_body_without_length_that_ends_early_is_resumed(registry: Registry, repository: Repository) -> None:
    registry.rule("GET", "blobs", Reply(body=DATA[:PIECE], chunked=True))
    assert received(repository) == DATA
    assert start_of(registry.seen[-1]) == PIECE


def test_breaks_without_progress_end(registry: Registry, repository: Repository, slept: list[float]) -> None:
    registry.rules.append(lambda seen: from_there(seen, after=0 if start_of(seen) else PIECE))
    with pytest.raises(UnreachableError, match="broke"):
        received(repository)
    assert {start_of(seen) for seen in registry.seen} == {0, PIECE}
    assert len(slept) == 5
    assert slept == sorted(slept)


def test_progress_renews_the_patience(registry: Registry, repository: Repository) -> None:
    lengths = iter([0, 0, 0, 10, 0, 0, 0, 10, 0, 0, 0, 10, 0, 0, len(DATA)])
    registry.rules.append(lambda seen: from_there(seen, after=next(lengths)))
    assert received(repository) == DATA


def test_an_end_before_the_end_is_an_error(registry: Registry, repository: Repository) -> None:
    short = DATA[:PIECE]
    registry.rules.append(lambda seen: Reply(body=short, chunked=True) if start_of(seen) == 0 else None)
    registry.rules.append(lambda seen: from_there(seen, body=b"", chunked=True))
    with pytest.raises(IntegrityError, match="never arrive"):
        received(repository)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(body=DATA + b"x"), IntegrityError),
        (Reply(body=DATA + b"x", chunked=True), IntegrityError),
        (Reply(body=DATA[:-1]), IntegrityError),
        (Reply(body=DATA[:-1] + b"x"), IntegrityError),
        (Reply(body=b"<html>", headers={"Content-Type": "text/html"}), IntegrityError),
        (Reply(body=b""), IntegrityError),
        (Reply(status=206, body=DATA), IntegrityError),
        (Reply(body=DATA, headers={"Content-Encoding": "gzip"}), RegistryError),
        (Reply(status=204), RegistryError),
        (Reply(status=416), RegistryError),
        (Reply(status=404), NotFoundError),
    ],
)
def test_other_bytes_are_refused(
    registry: Registry, repository: Repository, reply: Reply, error: type[Exception]
) -> None:
    registry.rule("GET", "blobs", reply, last_stays=True)
    with pytest.raises(error):
        received(repository)


@pytest.mark.parametrize(
    "span",
    [
        "bytes 0-999999/1000000",
        "bytes 500-999999/1000001",
        "bytes 500-999998/1000000",
        "bytes 501-999999/1000000",
        "500-999999/1000000",
        "bytes */1000000",
        "bytes -1-5/x",
        "",
    ],
)
def test_another_range_is_refused(registry: Registry, repository: Repository, span: str) -> None:
    registry.rule("GET", "blobs", Reply(status=206, body=DATA[500:], headers={"Content-Range": span}))
    with pytest.raises(IntegrityError, match="was announced"):
        repository.fetch(BLOB, 500)


def test_a_range_of_unknown_total_is_fine(registry: Registry, repository: Repository) -> None:
    headers = {"Content-Range": "bytes 500-999999/*"}
    registry.rule("GET", "blobs", Reply(status=206, body=DATA[500:], headers=headers))
    with repository.fetch(BLOB, 500) as stream:
        assert stream.read() == DATA[500:]


def test_every_resumption_follows_the_redirect_anew(registry: Registry, repository: Repository) -> None:
    with serving(Registry()) as storage:
        storage.rules.append(lambda seen: from_there(seen, after=400_000))
        registry.rules.append(
            lambda seen: Reply(status=307, headers={"Location": f"{storage.url}/{len(registry.seen)}"})
        )
        assert received(repository) == DATA
        assert [seen.path for seen in storage.seen] == ["/1", "/2", "/3"]


def test_empty_content(registry: Registry, repository: Repository) -> None:
    registry.add_blob(b"")
    assert received(repository, Descriptor.of_bytes("application/octet-stream", b"")) == b""


def test_closing_early_gives_up_the_connection(repository: Repository) -> None:
    for _ in range(3):
        with repository.fetch(BLOB) as stream:
            assert len(stream.read(10)) == 10


class Dripping:
    """A server whose every read takes so many seconds and yields so many bytes, on a clock of its own."""

    def __init__(self, data: bytes, seconds: float, size: int, *, ranges: bool = True) -> None:
        self.data = data
        self.seconds = seconds
        self.size = size
        self.ranges = ranges
        self.now = 0.0
        self.asked: list[int] = []
        self._position = 0

    def ask(self, headers: Mapping[str, str]) -> Answer:
        start = int(headers.get("Range", "bytes=0-")[6:-1])
        self.asked.append(start)
        self._position = start if self.ranges else 0
        span = {"Content-Range": f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"}
        status = 206 if start and self.ranges else 200
        return Answer(method="GET", url="https://r.example/x", status=status, headers=span, stream=self, strayed=False)

    def read1(self, limit: int) -> bytes:
        self.now += self.seconds
        piece = self.data[self._position :][: min(limit, self.size)]
        self._position += len(piece)
        return piece

    def close(self) -> None:
        """There is nothing to close."""

    def received(self) -> bytes:
        blob = Descriptor.of_bytes("application/octet-stream", self.data)

        def pause(attempt: int) -> None:
            self.now += attempt

        with open_download(blob, 0, self.ask, pause, lambda: self.now) as stream:
            return b"".join(verified_blocks(stream, blob))


def test_small_content_that_drips_is_given_up() -> None:
    for size, message in ((1, "fewer than 1000 bytes a second"), (6_000, "too slowly; given up after 300 s")):
        server = Dripping(DATA, 5.0, size)
        with pytest.raises(RegistryError, match=message):
            server.received()
        assert server.now <= 320


@pytest.mark.parametrize("ranges", [True, False])
def test_large_content_that_drips_is_asked_for_again_and_given_up(ranges: bool) -> None:
    server = Dripping(noise(5 << 20), 5.0, 1, ranges=ranges)
    with pytest.raises(UnreachableError, match="fewer than 1000 bytes a second"):
        server.received()
    assert server.now < 10 * 60
    assert 4 < len(server.asked) < 8


def test_slow_content_is_not_given_up_while_it_flows() -> None:
    server = Dripping(noise(5 << 20), 5.0, 6_000)
    assert server.received() == server.data
    assert server.asked == [0]


def test_a_connection_that_gets_slow_is_replaced() -> None:
    server = Dripping(noise(5 << 20), 5.0, 10)
    whole = server.ask

    def ask(headers: Mapping[str, str]) -> Answer:
        server.size = 10 if not server.asked else 1 << 16
        return whole(headers)

    server.ask = ask  # type: ignore[method-assign]
    assert server.received() == server.data
    assert len(server.asked) == 2


def test_a_reader_may_take_its_time() -> None:
    server = Dripping(noise(5 << 20), 0.001, 1 << 16)
    blob = Descriptor.of_bytes("application/octet-stream", server.data)
    found = b""
    with open_download(blob, 0, server.ask, lambda _: None, lambda: server.now) as stream:
        while piece := stream.read(1 << 16):
            found += piece
            server.now += 100.0
    assert found == server.data
    assert server.asked == [0]
