"""A repository of a remote registry, as a target like any other.

>>> with Repository("localhost:5000", "team/assistant", settings) as repository:      # doctest: +SKIP
...     manifest = fetch_manifest(repository, repository.resolve("production"))

Spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self
from urllib.parse import urlencode

from kitpack.content.registry import referrers as tag_schema
from kitpack.content.registry.auth import actions
from kitpack.content.registry.claims import announced, as_digest, manifest_type
from kitpack.content.registry.download import open_download
from kitpack.content.registry.exchange import Answer, Body
from kitpack.content.registry.lanes import Lanes
from kitpack.content.registry.paging import MAX_PAGE, pages
from kitpack.content.registry.tags import tags_behind, tags_from
from kitpack.content.registry.upload import Uploads
from kitpack.content.registry.whereabouts import Record, Whereabouts
from kitpack.content.target import Opener, Source, fetch_bytes, verified_blocks
from kitpack.errors import (
    IntegrityError,
    InvalidReferenceError,
    NotFoundError,
    RegistryError,
    UnsupportedError,
)
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import MAX_MANIFEST_SIZE, Manifest
from kitpack.oci.mediatypes import INDEX_TYPES, MANIFEST_TYPES, OCI_INDEX
from kitpack.oci.reference import Reference, is_tag
from kitpack.settings import Settings

if TYPE_CHECKING:
    from kitpack.content.registry.transport import Transport

__all__ = ["Repository"]

_ACCEPT = {"Accept": ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))}
_KEPT_MANIFESTS = 16
_WORTH_ASKING = 2  # below, one request saves none
_NOBODY = Digest("sha256", "0" * 64)
_REFUSALS = frozenset(range(300, 500)) - {401, 403, 408, 429}
_NO_HEAD = frozenset({400, 405, 406, 501})


class Repository:
    """A repository of a registry. Safe to share between threads.

    Args:
        registry: Host and port.
        name: The name of the repository in it.
        settings: Certificates, plain HTTP, credentials, jobs.
        transport: The way to the registry, to share connections and tokens with other repositories of it.

    Raises:
        InvalidReferenceError: When registry or name break the grammar.
    """

    def __init__(self, registry: str, name: str, settings: Settings, *, transport: Transport | None = None) -> None:
        parsed = Reference.parse_repository(f"{registry}/{name}") if registry else None
        if parsed is None or (parsed.registry, parsed.repository) != (registry, name):
            raise InvalidReferenceError(f"{registry!r} and {name!r} are not a registry and a repository of it")
        self.registry = registry
        self.name = name
        self.transport = transport or _new_transport(registry, settings)
        self._pull = (actions(name, "pull"),)
        self._push = (actions(name, "pull", "push"),)
        self._delete = (actions(name, "delete", "pull"),)
        self._has_referrers: bool | None = None
        self._manifests: OrderedDict[Digest, bytes] = OrderedDict()
        self._uploads = Uploads(self.transport, name)
        self._lanes = Lanes(settings.jobs)
        self._whereabouts = Whereabouts.of(settings.home, registry)
        self._records: Sequence[Record] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Repository({self.registry}/{self.name})"

    def close(self) -> None:
        """Close the connections to the registry; they are opened again when needed."""
        self.transport.close()

    def ping(self) -> None:
        """Ask whether this is a registry that lets us in.

        Raises:
            AuthError: When the credentials do not do.
            RegistryError: When it is no registry, or cannot be reached.
        """
        try:
            self.transport.request("GET", "/v2/").close()
        except NotFoundError as error:
            raise RegistryError(f"{error.message}; a registry answers there", status=404) from None

    def resolve(self, reference: str) -> Descriptor:
        """See :meth:`kitpack.content.target.Source.resolve`.

        What the registry says is a claim; it is proven when the manifest is fetched by the digest returned here.

        Raises:
            InvalidReferenceError: When this is neither a tag nor a digest.
            IntegrityError: When the registry answers with another digest than the one asked for.
            RegistryError: When it answers with something that is not a manifest.
        """
        url, wanted = self._manifest_url(reference), as_digest(reference)
        with self.transport.request("HEAD", url, scopes=self._pull, headers=_ACCEPT, expect={200, *_NO_HEAD}) as answer:
            found = announced(answer) if answer.status == 200 else None
        if found is None:
            answer = self.transport.request("GET", url, scopes=self._pull, headers=_ACCEPT, limit=MAX_MANIFEST_SIZE)
            algorithm = wanted.algorithm if wanted else "sha256"
            found = Descriptor(
                media_type=manifest_type(answer),
                digest=Digest.of_bytes(answer.content, algorithm),
                size=len(answer.content),
            )
        if wanted and found.digest != wanted:
            raise IntegrityError(f"{self.registry}/{self.name}: {wanted} was asked for, {found.digest} was answered")
        return found

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        """See :meth:`kitpack.content.target.Source.fetch`. Broken connections are resumed unnoticed."""
        if descriptor.is_manifest and (raw := self._manifests.get(descriptor.digest)):
            return io.BytesIO(raw[offset:])
        ask = partial(self._get, self._url_of(descriptor))
        return open_download(descriptor, offset, ask, self.transport.retry.pause, lanes=self._lanes)

    def exists(self, descriptor: Descriptor) -> bool:
        """See :meth:`kitpack.content.target.Source.exists`.

        Raises:
            IntegrityError: When the registry has something of another size under this digest: such content can
                neither be used nor replaced, so calling it missing would only lead to a failing push.
        """
        with self.transport.request(
            "HEAD", self._url_of(descriptor), scopes=self._pull, headers=_ACCEPT, expect={200, 404}
        ) as answer:
            if answer.status == 404:
                return False
            if answer.size not in {None, descriptor.size}:
                raise IntegrityError(
                    f"{self.registry}/{self.name} has {answer.size} bytes under {descriptor.digest}, "
                    f"which should be {descriptor.size}"
                )
            return True

    def push(self, descriptor: Descriptor, open_at: Opener) -> None:
        """See :meth:`kitpack.content.target.Target.push`."""
        if descriptor.is_manifest:
            self._push_manifest(descriptor, open_at)
        elif not self.exists(descriptor):
            self._uploads.send(descriptor, open_at, partial(self.exists, descriptor))

    def presumed(self, manifest: Manifest) -> frozenset[Digest]:
        """See :meth:`kitpack.content.target.TakesMissing.presumed`: what came here last is there, if its manifest is.

        The same manifest once more presumes nothing: pushing it again is how a damaged registry is repaired.
        """
        last = self._whereabouts.last(self.name)
        if last is None or last.manifest == manifest.digest:
            return frozenset()
        shared = last.blobs & {child.digest for child in manifest.successors}
        if len(shared) < _WORTH_ASKING:
            return frozenset()
        with self.transport.request(
            "HEAD", self._manifest_url(str(last.manifest)), scopes=self._pull, headers=_ACCEPT, expect={200, *_REFUSALS}
        ) as answer:
            if answer.status == 200:
                return shared
        self._whereabouts.forget(self.name)
        return frozenset()

    def push_missing(self, descriptor: Descriptor, open_at: Opener, source: Source) -> bool:
        """See :meth:`kitpack.content.target.TakesMissing.push_missing`.

        It is taken over from the source when that is in the same registry, or from where a blob is known to be.
        """
        if isinstance(source, Repository) and source.registry == self.registry and source.name != self.name:
            holder = source.name
        else:
            holder = next((one.repository for one in self._others() if descriptor.digest in one.blobs), "")
        return self._uploads.send(descriptor, open_at, partial(self.exists, descriptor), holder)

    def remember(self, manifest: Manifest) -> None:
        """See :meth:`kitpack.content.target.Remembers.remember`."""
        self._whereabouts.note(self.name, manifest)

    def fetch_named(self, reference: str) -> Manifest:
        """See :meth:`kitpack.content.target.ReadsNamed.fetch_named`."""
        url, wanted = self._manifest_url(reference), as_digest(reference)
        answer = self.transport.request("GET", url, scopes=self._pull, headers=_ACCEPT, limit=MAX_MANIFEST_SIZE)
        found = Digest.of_bytes(answer.content, wanted.algorithm if wanted else "sha256")
        if wanted not in (None, found):
            raise IntegrityError(f"{self.registry}/{self.name}: {wanted} was asked for, {found} was answered")
        self._remember(found, answer.content)
        return Manifest.parse(answer.content, manifest_type(answer), found)

    def publish(self, manifest: Manifest, reference: str) -> None:
        """See :meth:`kitpack.content.target.Publishes.publish`.

        A registry without a referrers API does not list it under its subject: the name is what finds it.
        """
        if not is_tag(reference):
            raise InvalidReferenceError(f"{reference[:140]!r} is not a tag")
        self._put(reference, manifest.descriptor, manifest.raw)
        self._remember(manifest.digest, manifest.raw)

    def tag(self, descriptor: Descriptor, reference: str) -> None:
        """See :meth:`kitpack.content.target.Target.tag`."""
        if not is_tag(reference):
            raise InvalidReferenceError(f"{reference[:140]!r} is not a tag")
        raw = self._manifests.get(descriptor.digest) or fetch_bytes(self, descriptor)
        self._put(reference, descriptor, raw)

    def untag(self, reference: str) -> None:
        """See :meth:`kitpack.content.target.Deletes.untag`. The manifest, and its other tags, are never deleted."""
        if not is_tag(reference):
            raise InvalidReferenceError(f"{reference[:140]!r} is not a tag")
        with self.transport.request(
            "DELETE", self._manifest_url(reference), scopes=self._delete, expect={200, 202, 204, 400, 405, 501}
        ) as answer:
            if answer.status < 300:
                return
            body = answer.error_body()
            if {"NAME_UNKNOWN", "MANIFEST_UNKNOWN"} & set(body.codes):
                raise NotFoundError(f"there is no tag {reference!r} in {self.registry}/{self.name}")
            raise UnsupportedError(
                f"{self.registry} cannot remove a tag alone: {answer.failure(body).message}",
                hint="let the registry's own retention rules remove it, or move the tag",
            )

    def tags(self) -> Iterator[str]:
        """See :meth:`kitpack.content.target.ListsTags.tags`: one page in memory at a time, and at most a million."""
        return self.tags_from("")

    def tags_from(self, beginning: str) -> Iterator[str]:
        """See :meth:`kitpack.content.target.ListsTagsFrom.tags_from`: not all, where the registry lists in order."""
        return tags_from(self.transport, self.name, self._pull, beginning)

    def tags_behind(self, last: str, limit: int) -> tuple[list[str], bool]:
        """See :meth:`kitpack.content.target.ListsTagsBehind.tags_behind`: one request."""
        return tags_behind(self.transport, self.name, self._pull, last, limit)

    def referrers(self, subject: Descriptor, artifact_type: str = "") -> Iterator[Descriptor]:
        """See :meth:`kitpack.content.target.ListsReferrers.referrers`.

        Raises:
            RegistryError: When there are more than a thousand.
        """
        first = self._ask_referrers(subject.digest, artifact_type) if self._has_referrers is not False else None
        if first is None:
            yield from tag_schema.linked(self, subject.digest, artifact_type)
            return
        seen: set[Digest] = set()
        for page in pages(self.transport, first, self._pull):
            for entry in _entries(page):
                # Filtered here as well: registries need not, and only some say whether they did.
                if entry.digest not in seen and artifact_type in ("", entry.artifact_type):
                    seen.add(entry.digest)
                    if len(seen) > tag_schema.MAX_REFERRERS:
                        raise RegistryError(f"{subject.digest} has more than {tag_schema.MAX_REFERRERS} referrers")
                    yield entry

    def _others(self) -> Sequence[Record]:
        """What other repositories of the registry are known to have; read once, when something is missing."""
        if self._records is None:
            self._records = list(self._whereabouts.others(self.name))
        return self._records

    def _get(self, url: str, headers: Mapping[str, str]) -> Answer:
        return self.transport.request("GET", url, scopes=self._pull, headers={**_ACCEPT, **headers}, expect={200, 206})

    def _push_manifest(self, descriptor: Descriptor, open_at: Opener) -> None:
        if descriptor.size > MAX_MANIFEST_SIZE:
            raise IntegrityError(f"a manifest of {descriptor.size} bytes exceeds the limit of {MAX_MANIFEST_SIZE}")
        with open_at(0) as stream:
            raw = b"".join(verified_blocks(stream, descriptor))
        manifest = Manifest.parse(raw, descriptor.media_type, descriptor.digest)
        if not self.exists(descriptor):
            self._put(str(descriptor.digest), descriptor, raw)
        self._remember(descriptor.digest, raw)
        # Also when it was there already: whoever pushed it may have died before listing it.
        if manifest.subject and not self._supports_referrers():
            tag_schema.link(self, manifest, self._put_index, self.transport.retry.pause)

    def _put(self, reference: str, descriptor: Descriptor, raw: bytes) -> None:
        body = Body.of_bytes(raw, descriptor.media_type)
        with self.transport.request(
            "PUT", self._manifest_url(reference), scopes=self._push, body=body, expect={201, 400, 404}
        ) as answer:
            if answer.status != 201:
                raise self._put_failure(answer)
            stored = answer.headers.get("Docker-Content-Digest", "") or str(descriptor.digest)
            if stored != str(descriptor.digest):
                raise IntegrityError(f"{self.registry} stored {descriptor.digest} as {stored[:140]!r}")

    def _put_failure(self, answer: Answer) -> Exception:
        body = answer.error_body()
        if "MANIFEST_BLOB_UNKNOWN" not in body.codes:
            return answer.failure(body)
        missing = body.digest or "content"
        return NotFoundError(
            f"the manifest names {missing}, which is not in {self.registry}/{self.name}",
            hint="push again: what is there already is not sent twice",
        )

    def _put_index(self, tag: str, raw: bytes) -> None:
        self._put(tag, Descriptor.of_bytes(OCI_INDEX, raw), raw)

    def _remember(self, digest: Digest, raw: bytes) -> None:
        """Keep what was just pushed, because it is usually tagged next."""
        self._manifests[digest] = raw
        while len(self._manifests) > _KEPT_MANIFESTS:
            self._manifests.popitem(last=False)

    def _supports_referrers(self) -> bool:
        if self._has_referrers is None:
            self._ask_referrers(_NOBODY, "")
        return bool(self._has_referrers)

    def _ask_referrers(self, subject: Digest, artifact_type: str) -> Answer | None:
        """The first page of referrers, or None when this registry has no API for them.

        A registry that has one never answers 404, but what those without answer is anything: text, a redirect to
        a page for people. So only an index counts as one.
        """
        query = f"?{urlencode({'artifactType': artifact_type})}" if artifact_type else ""
        answer = self.transport.request(
            "GET",
            f"/v2/{self.name}/referrers/{subject}{query}",
            scopes=self._pull,
            headers={"Accept": OCI_INDEX},
            expect={200, 501, *_REFUSALS},
            stay=True,
            limit=MAX_PAGE,
        )
        supported = answer.status == 200 and answer.media_type == OCI_INDEX
        if supported or "NAME_UNKNOWN" not in answer.error_body().codes:  # an unknown repository says nothing
            self._has_referrers = supported
        return answer if supported else None

    def _manifest_url(self, reference: str) -> str:
        if not is_tag(reference) and as_digest(reference) is None:
            raise InvalidReferenceError(f"{reference[:140]!r} is neither a tag nor a digest")
        return f"/v2/{self.name}/manifests/{reference}"

    def _url_of(self, descriptor: Descriptor) -> str:
        kind = "manifests" if descriptor.is_manifest else "blobs"
        return f"/v2/{self.name}/{kind}/{descriptor.digest}"


def _new_transport(registry: str, settings: Settings) -> Transport:
    from kitpack.content.registry.transport import (
        Transport,  # late: it brings the HTTP library, which is slow to import
    )

    return Transport(registry, settings)


def _entries(page: Mapping[str, object]) -> Iterator[Descriptor]:
    listed = page.get("manifests")
    if not isinstance(listed, list):
        raise RegistryError(f"expected a list of referrers, found {type(listed).__name__}")
    return map(Descriptor.from_dict, listed)
