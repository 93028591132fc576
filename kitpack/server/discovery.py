"""What there is: tags, repositories, and what refers to a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock

from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import JsonObject, encode
from kitpack.oci.manifest import Manifest
from kitpack.oci.mediatypes import INDEX_TYPES, OCI_INDEX
from kitpack.server.catalog import Catalog
from kitpack.server.pages import Wanted, page_of
from kitpack.server.problems import RefusedError
from kitpack.server.served import Served

__all__ = ["Found", "Referrers", "list_repositories", "list_tags"]

_JSON = "application/json"
_MOST_REFERRERS = 1000
_MOST_BYTES = 3 << 20  # an index that clients accept


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A list to answer with.

    Attributes:
        body: Its JSON.
        media_type: What that is.
        headers: What the answer says besides.
    """

    body: bytes
    media_type: str = _JSON
    headers: Mapping[str, str]


def list_tags(served: Served, repository: str, wanted: Wanted) -> Found:
    """The tags of a repository, in the order of their characters.

    Raises:
        RefusedError: When there is no such repository.
    """
    catalog = served.catalog()
    if not catalog.knows(repository):
        raise RefusedError(404, "NAME_UNKNOWN", f"there is no repository {repository!r}")
    page = page_of(sorted(catalog.tags(repository)), wanted, f"/v2/{repository}/tags/list")
    return Found(body=encode({"name": repository, "tags": list(page.items)}), headers=_link(page.link))


def list_repositories(served: Served, wanted: Wanted) -> Found:
    """All repositories, as clients of the older protocol list them."""
    page = page_of(served.catalog().repositories(), wanted, "/v2/_catalog")
    return Found(body=encode({"repositories": list(page.items)}), headers=_link(page.link))


class Referrers:
    """Which manifests speak of which: read once, looked up for every version of the index.

    Args:
        served: The layout.
    """

    def __init__(self, served: Served) -> None:
        self._served = served
        self._lock = Lock()
        self._read: dict[Descriptor, tuple[Digest, Descriptor] | None] = {}
        self._catalog: Catalog | None = None
        self._by_subject: dict[Digest, list[Descriptor]] = {}

    def page(self, repository: str, subject: Digest, artifact_type: str, wanted: Wanted) -> Found:
        """The index of what refers to a manifest in one repository; empty when nothing does, or nothing is known.

        Args:
            repository: The repository.
            subject: The manifest, which need not be there.
            artifact_type: The one kind of referrers to list; empty for all.
            wanted: Which page.
        """
        found = sorted(self._of(repository, subject), key=lambda one: str(one.digest))
        chosen = {str(one.digest): one for one in found if artifact_type in ("", one.artifact_type)}
        count = _fitting([one for digest, one in chosen.items() if digest > wanted.last], wanted.count)
        query = {"artifactType": artifact_type} if artifact_type else {}
        page = page_of(list(chosen), replace(wanted, count=count), f"/v2/{repository}/referrers/{subject}", query)
        value: JsonObject = {"schemaVersion": 2, "mediaType": OCI_INDEX}
        value["manifests"] = [chosen[digest].to_dict() for digest in page.items]
        filtered = {"OCI-Filters-Applied": "artifactType"} if artifact_type else {}
        return Found(body=encode(value), media_type=OCI_INDEX, headers={**_link(page.link), **filtered})

    def _of(self, repository: str, subject: Digest) -> list[Descriptor]:
        catalog = self._served.catalog()
        if not catalog.knows(repository):
            return []
        with self._lock:
            if catalog is not self._catalog:
                self._sort(catalog)
            known = self._by_subject.get(subject, [])
        shown = catalog.listed(repository).keys() | catalog.shared.keys()
        found = {one.digest: one for one in known if one.digest in shown}
        return [*{**found, **self._in_fallback(catalog, repository, subject)}.values()]

    def _sort(self, catalog: Catalog) -> None:
        """Ask every listed manifest of whom it speaks; an entry of the index might say anything."""
        before, self._read, self._by_subject, self._catalog = self._read, {}, {}, catalog
        for entry in catalog.entries.values():
            known = before.get(entry)
            if entry not in before:
                manifest = self._served.readable(entry)
                if manifest is None:
                    continue
                known = _referrer(manifest)
            self._read[entry] = known
            if known:
                self._by_subject.setdefault(known[0], []).append(known[1])

    def _in_fallback(self, catalog: Catalog, repository: str, subject: Digest) -> dict[Digest, Descriptor]:
        """Those that a client listed under a tag, for registries that do not know referrers."""
        entry = catalog.tags(repository).get(f"{subject.algorithm}-{subject.hex[:64]}")
        index = self._served.readable(entry) if entry and entry.media_type in INDEX_TYPES else None
        found: dict[Digest, Descriptor] = {}
        for one in index.manifests if index else ():
            manifest = self._served.readable(one.plain()) if one.is_manifest else None
            known = _referrer(manifest) if manifest else None
            if known and known[0] == subject:
                found[one.digest] = known[1]
        return found


def _referrer(manifest: Manifest) -> tuple[Digest, Descriptor] | None:
    """The subject of a manifest, and how the list of its referrers shows the manifest."""
    if manifest.subject is None:
        return None
    shown = replace(manifest.descriptor, artifact_type=manifest.kind, annotations=dict(manifest.annotations))
    return manifest.subject.digest, shown


def _fitting(found: list[Descriptor], count: int) -> int:
    """How many of these fit into one answer."""
    left, fitting = _MOST_BYTES, 0
    for one in found[: min(count, _MOST_REFERRERS)]:
        left -= len(encode(one.to_dict()))
        if left < 0 and fitting:
            break
        fitting += 1
    return fitting


def _link(link: str) -> dict[str, str]:
    return {"Link": link} if link else {}
