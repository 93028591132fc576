"""What no client should send is answered with an error, in JSON, and harms nobody."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from kitpack.content.store.layout import Layout
from kitpack.errors import KitpackError
from kitpack.server.names import is_repository, parse_path
from tests.support.distribution import Client

_HEX = "0" * 64


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "a/..",
        "../a",
        "a/../b",
        "A",
        "a/B",
        "a//b",
        "-a",
        "a-",
        "a_",
        "a___b",
        "a..b",
        "a%2fb",
        "a%2Fb",
        "%2e%2e",
        "%2e%2e/etc",
        "a%00b",
        "a%0ab",
        "a%",
        "a%zz",
        "a%ff",
        "%C3%A4",
        "a\\b",
        "a:b",
        "a@b",
        "a" * 255,
        "a/" * 127 + "aa",
        "a" * 4000,
    ],
)
@pytest.mark.parametrize(
    "rest", ["tags/list", "manifests/v1", f"blobs/sha256:{_HEX}", "blobs/uploads/", "blobs/uploads/x"]
)
def test_bad_names(client: Client, layout: Layout, name: str, rest: str) -> None:
    method = {"blobs/uploads/": "POST", "blobs/uploads/x": "PATCH"}.get(rest, "GET")
    answer = client(method, f"/v2/{name}/{rest}", b"" if method != "GET" else None)
    assert (answer.status, answer.codes) == (400, ["NAME_INVALID"])
    assert {path.name for path in layout.path.iterdir()} <= {"index.json", "index.lock", "ingest", "oci-layout"}


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/", "/v2/x", "/v2/a/b/c", "/v2//tags/list", "/v2/manifests/x", "/favicon.ico", "//v2/", "/v2/a/tags"],
)
def test_paths_that_lead_nowhere(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status in (400, 404)
    assert answer.codes[0] in ("UNSUPPORTED", "NAME_INVALID")


@pytest.mark.parametrize(
    "digest",
    [
        "sha256:",
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "G" * 64,
        "sha256:" + "A" * 64,
        f"SHA256:{_HEX}",
        f"md5:{'0' * 32}",
        f"sha512:{_HEX}",
        f":{_HEX}",
        "..",
        "%2e%2e",
        f"sha256:{'../' * 3}",
        f"sha256%3A{'%2e%2e%2f'}etc",
        "x",
    ],
)
def test_bad_digests(client: Client, digest: str) -> None:
    for kind in ("blobs", "referrers", "manifests"):
        assert client.get(f"/v2/a/{kind}/{digest}").status in (400, 404)
        assert client("DELETE", f"/v2/a/{kind}/{digest}").status in (400, 404, 405)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v2/", "GET, HEAD"),
        ("PUT", f"/v2/a/blobs/sha256:{_HEX}", "DELETE, GET, HEAD"),
        ("PATCH", "/v2/a/manifests/v1", "DELETE, GET, HEAD, PUT"),
        ("GET", "/v2/a/blobs/uploads/", "POST"),
        ("OPTIONS", "/v2/_catalog", "GET, HEAD"),
        ("PROPFIND", "/v2/a/tags/list", "GET, HEAD"),
    ],
)
def test_methods_that_mean_nothing(client: Client, method: str, path: str, allowed: str) -> None:
    answer = client(method, path)
    assert (answer.status, answer.codes, answer.headers["Allow"]) == (405, ["UNSUPPORTED"], allowed)


def test_a_body_that_is_packed_is_refused(client: Client) -> None:
    session = client.begin("a")
    answer = client("PATCH", session, b"\x1f\x8b", Content_Encoding="gzip")
    assert (answer.status, answer.codes) == (415, ["UNSUPPORTED"])


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /v2/" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /v2/ HTTP/9.9\r\n\r\n",
        b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"\r\n" * 1000,
        b"\0" * 1000,
    ],
    ids=range(10),
)
def test_bytes_that_are_no_request(client: Client, url: str, raw: bytes) -> None:
    host = urlsplit(url)
    with socket.create_connection((host.hostname, host.port), timeout=10) as rude:
        rude.sendall(raw)
        rude.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while got := rude.recv(100_000):
                answer += got
        except ConnectionResetError:
            pass
    assert not answer or answer.split()[1] in (b"202", b"400", b"404", b"414", b"431", b"505")
    assert client.get("/v2/").status == 200


@pytest.mark.parametrize(
    "text", ["/v2/%", "/v2/\udc80/tags/list", "/v2/" + "/" * 10_000, "v2/", "", "/v2/a/blobs/uploads/%2f"]
)
def test_paths_are_parsed_or_refused(text: str) -> None:
    with pytest.raises(KitpackError):
        parse_path(text)


def test_a_long_name_takes_no_time() -> None:
    assert not is_repository("a" * 200 + "." * 50 + "!")
    assert not is_repository("a-" * 120 + "!")
    assert not is_repository("_" * 250)
