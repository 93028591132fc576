"""Blobs over HTTP: fetched whole and in part, uploaded in every way there is, resumed, mounted, deleted."""

from __future__ import annotations

import http.client
import os
import socket
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from kitpack.content.store.audit import audit
from kitpack.content.store.folder import blob_path
from kitpack.content.store.layout import Layout
from kitpack.oci.digest import Digest
from tests.support.bundles import noise
from tests.support.distribution import Client

DATA = noise(300_000, 7)
DIGEST = Digest.of_bytes(DATA)
BLOB = f"/v2/a/blobs/{DIGEST}"


def test_the_base_says_what_it_is(client: Client) -> None:
    for path in ("/v2/", "/v2"):
        answer = client.get(path)
        assert (answer.status, answer.json) == (200, {})
        assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@pytest.mark.parametrize("data", [b"", b"{}", DATA], ids=len)
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("hint", [False, True])
def test_a_blob_goes_in_and_comes_out(client: Client, data: bytes, algorithm: str, hint: bool) -> None:
    digest = Digest.of_bytes(data, algorithm)
    session = client.begin("team/bot", f"?digest-algorithm={algorithm}" if hint else "")
    answer = client("PUT", f"{session}?digest={quote(str(digest), safe='')}", data)
    assert (answer.status, answer.headers["Docker-Content-Digest"]) == (201, str(digest))
    assert answer.headers["Location"] == f"/v2/team/bot/blobs/{digest}"
    for path in (answer.headers["Location"], f"/v2/other/blobs/{quote(str(digest), safe='')}"):
        head, whole = client("HEAD", path), client.get(path)
        assert (head.status, head.body, whole.status, whole.body) == (200, b"", 200, data)
        for name in ("Content-Length", "Docker-Content-Digest", "ETag", "Content-Type"):
            assert head.headers[name] == whole.headers[name]
        assert head.headers["Content-Length"] == str(len(data))


def test_what_is_not_there_is_404(client: Client) -> None:
    for method in ("GET", "HEAD", "DELETE"):
        assert client(method, BLOB).status == 404
    assert client.get(BLOB).codes == ["BLOB_UNKNOWN"]


@pytest.mark.parametrize(
    ("wanted", "status", "start", "stop"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=10-", 206, 10, len(DATA)),
        ("bytes=-5", 206, len(DATA) - 5, len(DATA)),
        ("bytes=0-99999999999", 206, 0, len(DATA)),
        ("bytes=-99999999999", 206, 0, len(DATA)),
        ("BYTES = 3 - 4", 206, 3, 5),
        (f"bytes={len(DATA) - 1}-", 206, len(DATA) - 1, len(DATA)),
        (f"bytes={len(DATA)}-", 416, 0, 0),
        ("bytes=500-0", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=-", 200, 0, len(DATA)),
        ("bytes=0-1,5-6", 200, 0, len(DATA)),
        ("bytes=0-5,3-9", 200, 0, len(DATA)),
        ("bytes=--5", 200, 0, len(DATA)),
        ("bytes=a-b", 200, 0, len(DATA)),
        ("lines=0-1", 200, 0, len(DATA)),
        (f"bytes={'9' * 30}-", 200, 0, len(DATA)),
    ],
)
def test_ranges(client: Client, wanted: str, status: int, start: int, stop: int) -> None:
    client.push_blob("a", DATA)
    answer = client.get(BLOB, Range=wanted)
    assert answer.status == status
    if status == 416:
        assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"
        return
    assert answer.body == DATA[start:stop]
    assert answer.headers["Content-Length"] == str(stop - start)
    assert answer.headers.get("Content-Range") == (f"bytes {start}-{stop - 1}/{len(DATA)}" if status == 206 else None)


def test_a_range_of_other_content_gives_all_of_this(client: Client) -> None:
    client.push_blob("a", DATA)
    assert client.get(BLOB, Range="bytes=1-2", If_Range=f'"{DIGEST}"').status == 206
    assert client.get(BLOB, Range="bytes=1-2", If_Range='"other"').status == 200
    assert client("HEAD", BLOB, Range="bytes=1-2").headers["Content-Length"] == str(len(DATA))
    assert client.get(BLOB, If_None_Match=f'"{DIGEST}"').status == 304
    assert client.get(BLOB, If_None_Match='"other"').body == DATA


def test_neither_a_compressed_sibling_nor_a_link_is_served(client: Client, layout: Layout, tmp_path: Path) -> None:
    client.push_blob("a", DATA)
    path = blob_path(layout.path, DIGEST)
    path.with_name(f"{path.name}.gz").write_bytes(b"something else")
    assert client.get(BLOB, Accept_Encoding="gzip").body == DATA
    (tmp_path / "secret").write_bytes(DATA)
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    assert client.get(BLOB).status == 500
    path.unlink()
    os.mkfifo(path)
    assert client.get(BLOB).status == 500


def test_one_post(client: Client) -> None:
    answer = client("POST", f"/v2/a/blobs/uploads/?digest={DIGEST}", DATA)
    assert (answer.status, answer.headers["Location"]) == (201, BLOB)
    assert client.get(BLOB).body == DATA
    wrong = client("POST", f"/v2/a/blobs/uploads/?digest={DIGEST}", DATA + b"!")
    assert (wrong.status, wrong.codes) == (400, ["DIGEST_INVALID"])
    assert str(Digest.of_bytes(DATA + b"!")) in wrong.message


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_chunks(client: Client, algorithm: str) -> None:
    digest = Digest.of_bytes(DATA, algorithm)
    session = client.begin("a")
    for start in range(0, len(DATA) - 100_000, 100_000):
        chunk = DATA[start : start + 100_000]
        answer = client("PATCH", session, chunk, Content_Range=f"{start}-{start + len(chunk) - 1}")
        assert (answer.status, answer.headers["Range"]) == (202, f"0-{start + len(chunk) - 1}")
        session = answer.headers["Location"]
    last = {"Content-Range": f"200000-{len(DATA) - 1}"}
    assert client("PUT", f"{session}?digest={digest}", DATA[200_000:], **last).status == 201
    assert client.get(f"/v2/a/blobs/{digest}").body == DATA


def test_a_stream_without_a_length(client: Client) -> None:
    session = client.begin("a")
    assert client("PATCH", session, iter([DATA[:1], DATA[1:200_000], DATA[200_000:]])).status == 202
    assert client("PUT", f"{session}?digest={DIGEST}", b"").status == 201
    assert client.get(BLOB).body == DATA


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_chunk_out_of_order_says_where_to_go_on(client: Client, method: str) -> None:
    session = client.begin("a")
    client("PATCH", session, DATA[:10], Content_Range="0-9")
    for wrong in ("0-9", "11-20"):
        answer = client(method, f"{session}?digest={DIGEST}", DATA[:10], Content_Range=wrong)
        assert (answer.status, answer.headers["Range"], answer.headers["Location"]) == (416, "0-9", session)
    state = client.get(session)
    assert (state.status, state.headers["Range"], state.headers["Location"]) == (204, "0-9", session)
    assert client("PUT", f"{session}?digest={DIGEST}", DATA[10:]).status == 201


@pytest.mark.parametrize("header", ["x", "5-", "-5", "9-2", "0-1/5", "bytes */5", "0-" + "9" * 40])
def test_a_range_that_makes_no_sense_is_refused_and_the_session_stays(client: Client, header: str) -> None:
    session = client.begin("a")
    assert client("PATCH", session, b"12345", Content_Range=header).status in (400, 416)
    assert client.get(session).status == 204


def test_a_chunk_of_another_length_than_promised(client: Client) -> None:
    session = client.begin("a")
    answer = client("PATCH", session, b"12345", Content_Range="0-9")
    assert (answer.status, answer.codes) == (400, ["SIZE_INVALID"])
    assert client.get(session).headers["Range"] == "0-0"
    assert client("PATCH", session, iter([b"123", b"45"]), Content_Range="0-9").status == 400
    assert client.get(session).status == 404


def test_a_wrong_digest_ends_the_session_and_leaves_nothing(client: Client, layout: Layout) -> None:
    session = client.begin("a")
    answer = client("PUT", f"{session}?digest={DIGEST}", DATA[1:])
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])
    assert client.get(session).status == 404
    assert client.get(BLOB).status == 404
    assert list((layout.path / "ingest").iterdir()) == []


@pytest.mark.parametrize("query", ["", "?digest=", "?digest=sha256:abc", "?digest=md5:" + "0" * 32, "?digest=x"])
def test_an_upload_ends_with_a_digest(client: Client, query: str) -> None:
    session = client.begin("a")
    answer = client("PUT", f"{session}{query}", DATA)
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])
    assert client("PUT", f"{session}?digest={DIGEST}", DATA).status == 201


@pytest.mark.parametrize("query", ["?digest=sha256:1", "?digest-algorithm=md5", "?mount=x"])
def test_an_upload_does_not_begin_with_nonsense(client: Client, query: str) -> None:
    answer = client("POST", f"/v2/a/blobs/uploads/{query}", b"")
    assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])


def test_cancelling(client: Client, layout: Layout) -> None:
    session = client.begin("a")
    client("PATCH", session, DATA)
    assert client("DELETE", session).status == 204
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        answer = client(method, f"{session}?digest={DIGEST}", b"" if method in ("PATCH", "PUT") else None)
        assert answer.status == 404
    assert client.get(session).codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert list((layout.path / "ingest").iterdir()) == []


def test_a_session_belongs_to_its_repository(client: Client) -> None:
    session = client.begin("a")
    assert client.get(session.replace("/v2/a/", "/v2/b/")).status == 404


def test_mounting(client: Client) -> None:
    client.push_blob("a", DATA)
    for query in (f"?mount={DIGEST}&from=a", f"?mount={DIGEST}"):
        answer = client("POST", f"/v2/b/blobs/uploads/{query}", b"")
        assert (answer.status, answer.headers["Location"]) == (201, f"/v2/b/blobs/{DIGEST}")
    missing = client("POST", f"/v2/b/blobs/uploads/?mount={Digest.of_bytes(b'?')}&from=a", b"")
    assert missing.status == 202
    assert client("PUT", f"{missing.headers['Location']}?digest={Digest.of_bytes(b'?')}", b"?").status == 201


def test_a_dropped_connection_leaves_a_session_that_goes_on(client: Client, url: str, layout: Layout) -> None:
    session, host = client.begin("a"), urlsplit(url)
    with socket.create_connection((host.hostname, host.port)) as cut:
        head = f"PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(DATA)}\r\n\r\n"
        cut.sendall(head.encode() + DATA[:200_000])
        cut.shutdown(socket.SHUT_WR)
        while cut.recv(10_000):
            pass
    state = client.get(session)
    assert (state.status, state.headers["Range"]) == (204, "0-199999")
    answer = client("PATCH", session, DATA[200_000:], Content_Range=f"200000-{len(DATA) - 1}")
    assert answer.status == 202
    assert client("PUT", f"{session}?digest={DIGEST}", b"").status == 201
    assert list(audit(layout)) == []


def test_a_client_that_falls_silent_is_given_up(client: Client, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kitpack.server.receiving.QUIET", 0.1)
    session, host = client.begin("a"), urlsplit(url)
    with socket.create_connection((host.hostname, host.port)) as slow:
        slow.sendall(f"PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345".encode())
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")
        slow.sendall(b"67890")
    assert client.get(session).headers["Range"] == "0-4"


def test_a_session_is_used_by_one_request_at_a_time(client: Client, url: str) -> None:
    session, host = client.begin("a"), urlsplit(url)
    with socket.create_connection((host.hostname, host.port)) as slow:
        slow.sendall(
            f"PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert slow.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        assert client("PATCH", session, b"x").status == 409
        assert client("DELETE", session).status == 409
        assert client.get(session).status == 204
        slow.sendall(b"0123456789")
        assert slow.recv(1000).startswith(b"HTTP/1.1 202")
    assert client.get(session).headers["Range"] == "0-9"


def test_a_client_that_waits_for_leave_is_not_asked_in_vain(client: Client, url: str) -> None:
    host = urlsplit(url)
    with socket.create_connection((host.hostname, host.port)) as waiting:
        waiting.sendall(b"PUT /v2/a/blobs/uploads/none?digest=x HTTP/1.1\r\nHost: x\r\n")
        waiting.sendall(b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        answer = http.client.HTTPResponse(waiting)
        answer.begin()
        assert answer.status == 400
        assert answer.getheader("Connection") == "close"


def test_the_connection_lives_on_after_an_early_refusal(client: Client) -> None:
    first = client.connection
    for _ in range(3):
        assert client("PUT", "/v2/a/blobs/uploads/none?digest=x", b"x" * 1000).status == 400
        assert client("PUT", "/v2/a/manifests/x", b"x" * 1000).status == 400
    assert client.connection is first
    assert client.get("/v2/").status == 200


def test_deleting_a_blob(client: Client) -> None:
    client.push_blob("a", DATA)
    assert client("DELETE", BLOB).status == 202
    assert client.get(BLOB).status == 404
    used = client.push_bundle("a", "v1", text=b"needed")
    for digest in (Digest.of_bytes(b"needed"), used.config and used.config.digest, used.digest):
        answer = client("DELETE", f"/v2/b/blobs/{digest}")
        assert (answer.status, answer.codes) == (405, ["DENIED"])
        assert str(used.digest) in answer.message
    client("DELETE", f"/v2/a/manifests/{used.digest}")
    assert client("DELETE", f"/v2/b/blobs/{Digest.of_bytes(b'needed')}").status == 202


def test_deleting_during_a_pull_cuts_nothing_short(client: Client, url: str) -> None:
    data = noise(8 << 20, 3)
    digest, host = client.push_blob("a", data), urlsplit(url)
    pull = http.client.HTTPConnection(host.hostname or "", host.port)
    try:
        pull.request("GET", f"/v2/a/blobs/{digest}")
        answer = pull.getresponse()
        start = answer.read(1000)
        assert client("DELETE", f"/v2/a/blobs/{digest}").status == 202
        assert start + answer.read() == data
    finally:
        pull.close()


def test_the_same_bytes_again_are_stored_once(client: Client, layout: Layout) -> None:
    for _ in range(2):
        client.push_blob("a", DATA)
    assert [path.name for path in (layout.path / "blobs" / "sha256").iterdir()] == [DIGEST.hex]
    assert list((layout.path / "ingest").iterdir()) == []
