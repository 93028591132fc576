"""A registry client that sends exactly what a test says, one request after the other on one connection."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest
from tests.support.bundles import CONFIG, manifest_of

__all__ = ["Answer", "Client", "talking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        """The error codes in the body."""
        assert self.headers["Content-Type"] == "application/json"
        return [error["code"] for error in self.json["errors"]]

    @property
    def message(self) -> str:
        """The sentences of the error."""
        return " / ".join(error["message"] for error in self.json["errors"])


class Client:
    """Somebody who talks to a registry.

    Args:
        url: Its address.
        headers: Headers of every request.
        context: How to trust it, with TLS.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str] | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self.headers = dict(headers or {})
        self.connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(parts.hostname, parts.port, timeout=30, context=context)
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        )

    def __call__(self, method: str, path: str, body: bytes | Iterable[bytes] | None = None, **headers: str) -> Answer:
        """Send a request; an underscore in the name of a header is a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, {**self.headers, **named})
        response = self.connection.getresponse()
        return Answer(status=response.status, headers=response.headers, body=response.read())

    def begin(self, repository: str, query: str = "") -> str:
        """Open an upload and return where it goes on."""
        answer = self("POST", f"/v2/{repository}/blobs/uploads/{query}", Content_Length="0")
        assert answer.status == 202, answer
        return answer.headers["Location"]

    def push_blob(self, repository: str, data: bytes) -> Digest:
        """Upload a blob."""
        digest = Digest.of_bytes(data)
        answer = self("PUT", self.whole(repository, digest), data, Content_Type="application/octet-stream")
        assert answer.status == 201, answer
        return digest

    def whole(self, repository: str, digest: Digest) -> str:
        """Begin an upload and return where the bytes of a digest may be put in one piece."""
        location = self.begin(repository)
        return f"{location}{'&' if '?' in location else '?'}digest={digest}"

    def push_manifest(self, repository: str, manifest: Manifest, selector: str = "", **headers: str) -> Answer:
        """Put a manifest under a tag, or under its digest."""
        path = f"/v2/{repository}/manifests/{selector or manifest.digest}"
        return self("PUT", path, manifest.raw, Content_Type=manifest.media_type, **headers)

    def push_bundle(
        self, repository: str, tag: str = "", *, text: bytes = b"a", subject: Manifest | None = None
    ) -> Manifest:
        """Upload a manifest over one small file."""
        self.push_blob(repository, text)
        self.push_blob(repository, CONFIG)
        manifest = manifest_of({"a": text}, subject=subject.descriptor if subject else None)
        answer = self.push_manifest(repository, manifest, tag)
        assert answer.status == 201, answer
        return manifest

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for something."""
        return self("GET", path, None, **headers)

    def has(self, repository: str, selector: object) -> bool:
        """Whether a repository shows a manifest."""
        path = f"/v2/{repository}/manifests/{selector}"
        found = {self("HEAD", path).status, self.get(path).status}
        assert len(found) == 1, found
        return found == {200}

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository."""
        found: list[str] = self.get(f"/v2/{repository}/tags/list").json["tags"]
        return found

    def referrers(self, repository: str, subject: object) -> list[str]:
        """The digests of what refers to a manifest."""
        answer = self.get(f"/v2/{repository}/referrers/{subject}")
        assert answer.status == 200, answer
        return [one["digest"] for one in answer.json["manifests"]]


@contextlib.contextmanager
def talking(
    url: str, headers: Mapping[str, str] | None = None, context: ssl.SSLContext | None = None
) -> Iterator[Client]:
    """A client whose connection is closed at the end."""
    client = Client(url, headers, context)
    try:
        yield client
    finally:
        client.connection.close()
