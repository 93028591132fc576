"""Many clients at once, and other processes beside: nothing is lost, torn, or collected too early."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kitpack.content.store.audit import audit
from kitpack.content.store.collect import collect_garbage
from kitpack.content.store.folder import blob_path
from kitpack.content.store.layout import Layout
from kitpack.errors import StoreError
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest
from kitpack.server.problems import RefusedError
from kitpack.server.served import Served
from kitpack.server.uploads import IDLE, SPARED, Uploads, remove_leftovers
from tests.support.bundles import manifest_of, noise, push_artifact
from tests.support.distribution import Client, talking

CLIENTS = 20
DAY = 24 * 3600.0


def _at_once(url: str, work: Callable[[Client, int], object]) -> None:
    def one(number: int) -> object:
        with talking(url) as client:
            return work(client, number)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(one, range(CLIENTS)))


def test_no_referrer_is_lost(url: str, client: Client, layout: Layout) -> None:
    subject = client.push_bundle("a", "v1")
    _at_once(url, lambda one, number: one.push_bundle("a", text=str(number).encode(), subject=subject))
    assert len(client.referrers("a", subject.digest)) == CLIENTS
    assert list(audit(layout)) == []


def test_no_tag_is_lost(url: str, client: Client, layout: Layout) -> None:
    _at_once(url, lambda one, number: one.push_bundle("a", f"v{number:02}", text=str(number).encode()))
    assert client.tags("a") == [f"v{number:02}" for number in range(CLIENTS)]
    assert list(audit(layout)) == []


def test_one_of_many_wins_an_empty_tag(url: str, client: Client) -> None:
    answers: list[int] = []

    def race(one: Client, number: int) -> None:
        text = str(number).encode()
        one.push_blob("a", text)
        answers.append(one.push_manifest("a", manifest_of({"a": text}), "v", If_None_Match="*").status)

    client.push_blob("a", b"{}")
    _at_once(url, race)
    assert sorted(answers) == [201] + [412] * (CLIENTS - 1)


def test_the_same_blob_from_everywhere(url: str, client: Client, layout: Layout) -> None:
    data = noise(500_000, 1)
    _at_once(url, lambda one, _: one.push_blob("a", data))
    assert client.get(f"/v2/a/blobs/{Digest.of_bytes(data)}").body == data
    assert list((layout.path / "ingest").iterdir()) == []


def test_other_writers_beside(url: str, client: Client, layout: Layout) -> None:
    def both(one: Client, number: int) -> None:
        text = str(number).encode()
        if number % 2:
            push_artifact(Layout(layout.path), {"a": text}, f"a:v{number:02}")
        else:
            one.push_bundle("a", f"v{number:02}", text=text)
        assert one.has("a", f"v{number:02}")

    _at_once(url, both)
    assert client.tags("a") == [f"v{number:02}" for number in range(CLIENTS)]


def test_a_moving_tag_is_always_something(url: str, client: Client) -> None:
    bundles = [client.push_bundle("a", "v", text=str(number).encode()) for number in range(3)]
    known = {bundle.raw for bundle in bundles}

    def move_or_read(one: Client, number: int) -> None:
        for turn in range(5):
            if number % 2:
                assert one.push_manifest("a", bundles[(number + turn) % 3], "v").status == 201
            else:
                answer = one.get("/v2/a/manifests/v")
                assert answer.body in known
                assert answer.headers["Docker-Content-Digest"] == str(Digest.of_bytes(answer.body))

    _at_once(url, move_or_read)


def test_garbage_is_collected_beside_an_idle_server(client: Client, layout: Layout) -> None:
    client.push_bundle("a", "v1")
    lost = client.push_blob("a", b"lost")
    assert collect_garbage(layout, now=lambda: 2e10).blobs == 1
    assert client.get(f"/v2/a/blobs/{lost}").status == 404
    assert client.has("a", "v1")


def test_an_open_upload_keeps_garbage_collection_away(client: Client, layout: Layout) -> None:
    session = client.begin("a")
    with pytest.raises(StoreError, match="in use"):
        collect_garbage(layout, now=lambda: 2e10)
    client("DELETE", session)
    collect_garbage(layout, now=lambda: 2e10)


def test_a_pull_makes_its_manifest_young(client: Client, layout: Layout) -> None:
    manifest = client.push_bundle("a", "v1")
    path = blob_path(layout.path, manifest.digest)
    os.utime(path, (0, 0))
    client.get("/v2/a/manifests/v1")
    assert path.stat().st_mtime > 1e9
    layout.untag("a:v1")
    assert collect_garbage(layout, grace=DAY).blobs == 0


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def served(layout: Layout, now: list[float]) -> Served:
    push_artifact(layout, {"a": b"a"}, "a:v1")
    return Served(layout.path, clock=lambda: now[0])


def test_new_blobs_stay_young_for_a_day_or_until_they_are_named(served: Served, now: list[float]) -> None:
    paths = {name: blob_path(served.root, Digest.of_bytes(name)) for name in (b"a", b"{}")}
    for name in paths:
        served.expect_name(Digest.of_bytes(name))

    def touched() -> set[bytes]:
        for path in paths.values():
            os.utime(path, (0, 0))
        served.keep_young()
        return {name for name, path in paths.items() if path.stat().st_mtime}

    assert touched() == {b"a", b"{}"}
    served.named([Digest.of_bytes(b"a")])
    assert touched() == {b"{}"}
    now[0] += DAY - 1
    assert touched() == {b"{}"}
    now[0] += 2
    assert touched() == set()


def test_forgotten_uploads_expire(served: Served, now: list[float]) -> None:
    uploads = Uploads(served)
    old, used, busy = (uploads.begin("a") for _ in range(3))
    uploads.release(old)
    now[0] += IDLE - 1
    uploads.release(used)
    uploads.expire()
    assert len(uploads) == 3
    now[0] += 2
    uploads.expire()
    assert len(uploads) == 2
    with pytest.raises(RefusedError):
        uploads.find("a", old.id)
    assert len(list((served.root / "ingest").iterdir())) == 2
    uploads.release(busy)
    uploads.close()
    assert list((served.root / "ingest").iterdir()) == []
    collect_garbage(served.layout)


def test_there_is_an_end_to_open_uploads(served: Served, now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kitpack.server.uploads.MOST_SESSIONS", 3)
    uploads = Uploads(served)
    first, *others = (uploads.begin("a") for _ in range(3))
    with pytest.raises(RefusedError) as failure:
        uploads.begin("a")
    assert failure.value.status == 429
    assert failure.value.headers["Retry-After"]
    for number, session in enumerate([first, *others]):
        now[0] += number
        uploads.release(session)
    first.append(b"something")
    again = uploads.begin("a")
    assert len(uploads) == 3
    assert uploads.find("a", first.id) is first
    with pytest.raises(RefusedError):
        uploads.find("a", others[0].id)
    for session in (others[1], again):
        session.append(b"something")
        uploads.release(session)
    with pytest.raises(RefusedError):
        uploads.begin("a")
    now[0] += SPARED - 1
    uploads.release(uploads.claim("a", again.id))
    now[0] += 1
    uploads.release(uploads.begin("a"))
    assert uploads.find("a", again.id) is again
    with pytest.raises(RefusedError):
        uploads.find("a", first.id)
    uploads.close()


def test_an_ended_upload_takes_nothing_more(served: Served) -> None:
    uploads = Uploads(served)
    session = uploads.begin("a")
    uploads.drop(session)
    with pytest.raises(RefusedError):
        session.append(b"x")
    with pytest.raises(RefusedError):
        uploads.finish(session, Digest.of_bytes(b""))


def test_leftovers_of_the_killed_go_and_those_of_the_living_stay(served: Served) -> None:
    uploads = Uploads(served)
    session = uploads.begin("a")
    ingest = served.root / "ingest"
    for name in ("dead.upload", "other.tmp", "sha256-00.part"):
        (ingest / name).write_bytes(b"x")
    (ingest / "link.upload").symlink_to(ingest / "other.tmp")
    assert remove_leftovers(served.root) == 1
    assert {path.name for path in ingest.iterdir()} == {
        session.draft.path.name,
        "other.tmp",
        "sha256-00.part",
        "link.upload",
    }
    uploads.close()


def test_a_manifest_that_is_forgotten_and_read_again(served: Served, layout: Layout) -> None:
    entry = layout.resolve("a:v1")
    first = served.manifest(entry)
    assert served.manifest(entry) is first
    path = blob_path(served.root, entry.digest)
    path.chmod(0o600)
    path.write_bytes(first.raw + b" ")
    assert served.readable(entry) is None
    path.write_bytes(first.raw)
    assert isinstance(served.readable(entry), Manifest)


def test_a_file_that_is_written_in_place_is_noticed(client: Client, layout: Layout, tmp_path: Path) -> None:
    client.push_bundle("a", "v1")
    assert client.tags("a") == ["v1"]
    index = layout.path / "index.json"
    index.write_text(index.read_text().replace("a:v1", "a:v22"))
    assert client.tags("a") == ["v22"]
    index.write_text("{")
    assert client.get("/v2/a/tags/list").status == 500
    index.unlink()
    assert client.get("/v2/a/tags/list").status == 500
