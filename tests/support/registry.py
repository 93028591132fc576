"""A small registry in this process, as well behaved as its rules allow.

Without rules it serves blobs, manifests, tags and referrers from memory, and remembers every request. A rule sees a
request first and may answer it instead: with a wrong status, other bytes, half of them, a redirect, nothing at all.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import OCI_INDEX
from kitpack.settings import Settings

__all__ = ["Registry", "Reply", "Rule", "Seen", "config_of", "refused_port", "serving", "settings_in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def query(self, name: str) -> list[str]:
        return parse_qs(urlsplit(self.path).query).get(name, [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer.

    Attributes:
        status: The HTTP status; 0 breaks the connection without an answer.
        length: The length to announce instead of the true one.
        chunked: Whether to announce none, and send in chunks.
        hang_up: Whether to close the connection after it.
        reset: Whether to break the connection after it.
        after: The number of body bytes after which the connection is closed or broken.
        hold: What to wait for before answering.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None
    chunked: bool = False
    hang_up: bool = False
    reset: bool = False
    after: int | None = None
    hold: threading.Event | None = None


Rule: TypeAlias = Callable[[Seen], Reply | None]


class Registry:
    """The state of the server, and what it has seen.

    It knows one upload session, whose bytes so far are in ``arrived``.
    """

    def __init__(self, *, native_referrers: bool = False) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.tags: dict[str, str] = {}
        self.arrived = bytearray()
        self.rules: list[Rule] = []
        self.seen: list[Seen] = []
        self.native_referrers = native_referrers
        self.address = ""
        self.scheme = "http"
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.address}"

    def rule(self, method: str, pattern: str, *replies: Reply, last_stays: bool = False) -> None:
        """Answer requests whose path matches with these replies, one after the other, and then as usual."""
        left = list(replies)

        def apply(seen: Seen) -> Reply | None:
            if seen.method != method or not re.search(pattern, seen.path) or not left:
                return None
            return left[0] if last_stays and len(left) == 1 else left.pop(0)

        self.rules.append(apply)

    def add_blob(self, data: bytes) -> str:
        digest = str(Digest.of_bytes(data))
        self.blobs[digest] = data
        return digest

    def add_manifest(self, media_type: str, raw: bytes, tag: str = "") -> str:
        digest = str(Digest.of_bytes(raw))
        self.manifests[digest] = (media_type, raw)
        if tag:
            self.tags[tag] = digest
        return digest

    def asked(self, method: str, pattern: str = "") -> list[Seen]:
        """The requests seen so far that match."""
        return [seen for seen in self.seen if seen.method == method and re.search(pattern, seen.path)]

    def answer(self, seen: Seen) -> Reply:
        with self._lock:
            self.seen.append(seen)
            for rule in self.rules:
                if (reply := rule(seen)) is not None:
                    return reply
            return self._served(seen)

    def _served(self, seen: Seen) -> Reply:
        path = urlsplit(seen.path).path
        if path == "/v2/":
            return Reply()
        for pattern, serve in _ROUTES:
            if match := re.fullmatch(pattern, path):
                return serve(self, seen, *match.groups()[1:])
        return _error(404, "NAME_UNKNOWN")

    def blob(self, seen: Seen, digest: str) -> Reply:
        if digest not in self.blobs:
            return _error(404, "BLOB_UNKNOWN")
        data = self.blobs[digest]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", seen.headers.get("range", ""))
        if wanted is None:
            return Reply(body=data, headers={"Docker-Content-Digest": digest, "Accept-Ranges": "bytes"})
        first, last = int(wanted[1]), int(wanted[2] or len(data) - 1)
        span = f"bytes {first}-{last}/{len(data)}"
        return Reply(status=206, body=data[first : last + 1], headers={"Content-Range": span})

    def upload(self, seen: Seen, session: str) -> Reply:
        if seen.method == "DELETE":
            return Reply(status=204)
        if seen.method == "POST":
            if seen.query("mount") and seen.query("mount")[0] in self.blobs:
                return Reply(status=201)
            self.arrived.clear()
            return Reply(status=202, headers={"Location": f"{urlsplit(seen.path).path}session?_state=a%3D%3D"})
        if seen.method in ("GET", "PATCH"):
            return self._chunk(seen)
        digest, data = seen.query("digest")[0], bytes(self.arrived) + seen.body
        if str(Digest.of_bytes(data, digest.partition(":")[0])) != digest:
            return _error(400, "DIGEST_INVALID")
        self.blobs[digest] = data
        return Reply(status=201, headers={"Docker-Content-Digest": digest})

    def _chunk(self, seen: Seen) -> Reply:
        begins = seen.headers.get("content-range", f"{len(self.arrived)}-").partition("-")[0]
        if int(begins) != len(self.arrived):
            return _error(416, "BLOB_UPLOAD_INVALID")
        self.arrived += seen.body
        state = {"Location": seen.path, "Range": f"0-{max(len(self.arrived) - 1, 0)}"}
        return Reply(status=202 if seen.method == "PATCH" else 204, headers=state)

    def manifest(self, seen: Seen, reference: str) -> Reply:
        if seen.method == "PUT":
            return self._put_manifest(seen, reference)
        if seen.method == "DELETE":
            return Reply(status=202 if self.tags.pop(reference, None) else 404)
        digest = self.tags.get(reference, reference)
        if digest not in self.manifests:
            return _error(404, "MANIFEST_UNKNOWN")
        media_type, raw = self.manifests[digest]
        return Reply(body=raw, headers={"Content-Type": media_type, "Docker-Content-Digest": digest})

    def _put_manifest(self, seen: Seen, reference: str) -> Reply:
        digest = self.add_manifest(seen.headers["content-type"], seen.body)
        if ":" not in reference:
            self.tags[reference] = digest
        return Reply(status=201, headers={"Docker-Content-Digest": digest})

    def list_tags(self, seen: Seen) -> Reply:
        names = sorted(self.tags)
        last = (seen.query("last") or [""])[0]
        size = int((seen.query("n") or ["1000"])[0])
        page = [name for name in names if name > last][:size]
        more = (
            {"Link": f'<{urlsplit(seen.path).path}?n={size}&last={page[-1]}>; rel="next"'}
            if page and page[-1] != names[-1]
            else {}
        )
        return Reply(body=json.dumps({"name": "x", "tags": page}).encode(), headers=more)

    def list_referrers(self, seen: Seen, subject: str) -> Reply:
        if not self.native_referrers:
            return Reply(status=404, body=b"404 page not found\n", headers={"Content-Type": "text/plain"})
        found = []
        for digest, (media_type, raw) in self.manifests.items():
            value = json.loads(raw)
            if (value.get("subject") or {}).get("digest") == subject:
                entry = {"mediaType": media_type, "digest": digest, "size": len(raw)}
                found.append(
                    {
                        **entry,
                        "artifactType": value.get("artifactType", ""),
                        "annotations": value.get("annotations", {}),
                    }
                )
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}).encode()
        return Reply(body=body, headers={"Content-Type": OCI_INDEX})


_ROUTES: list[tuple[str, Callable[..., Reply]]] = [
    (r"/v2/(.+)/blobs/uploads/(.*)", Registry.upload),
    (r"/v2/(.+)/blobs/([^/]+)", Registry.blob),
    (r"/v2/(.+)/manifests/([^/]+)", Registry.manifest),
    (r"/v2/(.+)/tags/list", Registry.list_tags),
    (r"/v2/(.+)/referrers/([^/]+)", Registry.list_referrers),
]


def _error(status: int, code: str) -> Reply:
    body = json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}).encode()
    return Reply(status=status, body=body, headers={"Content-Type": "application/json"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: Registry

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if len(body) < length:  # the client thought better of it
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.registry.answer(Seen(method=self.command, path=self.path, headers=headers, body=body))
        if reply.hold is not None:
            reply.hold.wait(10)
        with contextlib.suppress(OSError):
            self._send(reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - named by the base class

    def _send(self, reply: Reply) -> None:
        if not reply.status:
            self._break()
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
        self.end_headers()
        body = reply.body[: reply.after]
        if self.command != "HEAD":
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if reply.chunked else body)
        if reply.reset:
            self._break()
        self.close_connection = self.close_connection or reply.hang_up or reply.after is not None

    def _break(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is none of ours."""

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close without a farewell, so that what SO_LINGER asked for happens."""
        self.close_request(request)


@contextlib.contextmanager
def serving(registry: Registry, tls: ssl.SSLContext | None = None) -> Iterator[Registry]:
    """Serve a registry on a free loopback port while the context lasts."""
    handler = type("_BoundHandler", (_Handler,), {"registry": registry})
    with _Server(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
            registry.scheme = "https"
        registry.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()


def refused_port() -> str:
    """An address of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def settings_in(folder: Path, **changes: object) -> Settings:
    """Settings that know nothing outside of a folder."""
    known: dict[str, object] = {"home": folder / "home", "docker_config": folder / "docker" / "config.json"}
    return Settings(**(known | changes))  # type: ignore[arg-type]


def config_of(settings: Settings) -> Path:
    """Docker's configuration file, which such settings always name."""
    assert settings.docker_config is not None
    return settings.docker_config
