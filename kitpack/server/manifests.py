"""Manifests: found by tag or digest, stored byte for byte, listed and forgotten under the lock of the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from kitpack.content.store.folder import blob_path, touch
from kitpack.content.store.index import Index
from kitpack.content.store.ingest import store_blob
from kitpack.content.store.stored import first_missing, intact_manifest
from kitpack.content.target import opener_of
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest
from kitpack.oci.reference import is_tag
from kitpack.server.catalog import Catalog
from kitpack.server.conditions import Conditions
from kitpack.server.membership import Repository, with_manifest, without_manifest, without_tag
from kitpack.server.names import refuse_host
from kitpack.server.problems import RefusedError
from kitpack.server.served import Served

__all__ = ["Push", "delete", "pull", "push"]

_MOST_NAMED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A manifest that a client sent.

    Attributes:
        raw: Its bytes.
        media_type: What the client calls it; empty when it does not say.
        tags: Tags to give it besides.
        conditions: What the client expects those tags to stand for.
    """

    raw: bytes
    media_type: str = ""
    tags: Sequence[str] = ()
    conditions: Conditions = field(default_factory=Conditions)


def pull(served: Served, repository: str, selector: str) -> Manifest:
    """Find a manifest by tag or digest.

    Raises:
        RefusedError: When the repository shows no such manifest.
        InvalidDigestError: When the selector is neither.
        IntegrityError: When it is damaged.
    """
    catalog = served.catalog()
    if not catalog.knows(repository):
        raise _unknown_repository(repository)
    if is_tag(selector):
        found = catalog.tags(repository).get(selector)
    else:
        found = catalog.find(repository, Digest.parse(selector), served.readable)
    if found is None:
        raise _unknown(repository, selector)
    manifest = served.manifest(found)
    served.touch(found.digest)
    return manifest


def push(served: Served, repository: str, selector: str, pushed: Push) -> Manifest:
    """Store a manifest and list it under a tag, or by its digest.

    Raises:
        RefusedError: When the digest is another, something it names is missing, or a condition does not hold.
        InvalidManifestError: When it is not a manifest.
        InvalidDigestError: When the selector is neither a tag nor a digest.
    """
    refuse_host(repository)
    tags = [selector] if is_tag(selector) else list(dict.fromkeys(pushed.tags))
    manifest = Manifest.parse(pushed.raw, pushed.media_type, _digest_of(selector, pushed.raw))
    if is_tag(selector) and pushed.tags:
        raise RefusedError(400, "UNSUPPORTED", "the parameter tag goes with a digest, not with another tag")
    if bad := [tag for tag in tags if not is_tag(tag)]:
        raise RefusedError(400, "MANIFEST_INVALID", f"{bad[0][:200]!r} is not a tag")
    place = Repository(repository, served.home)
    entry = replace(manifest.descriptor, artifact_type=manifest.artifact_type)

    def listed(index: Index) -> Index:
        for tag in tags:
            pushed.conditions.check(tag, _tagged(index, place, tag))
        _require_content(served, manifest)
        return with_manifest(index, place, entry, tags)

    with served.layout.lease():
        _require_content(served, manifest)
        _store(served, manifest)
        served.changes.make(listed)
    served.named(one.digest for one in (manifest.descriptor, *manifest.successors))
    return manifest


def delete(served: Served, repository: str, selector: str, conditions: Conditions) -> None:
    """Forget a tag, whose manifest stays, or a manifest with all of its tags in this repository.

    Raises:
        RefusedError: When it is not there, an index of the repository names it, or a condition does not hold.
        InvalidDigestError: When the selector is neither a tag nor a digest.
    """
    place = Repository(repository, served.home)
    digest = None if is_tag(selector) else Digest.parse(selector)

    def forgotten(index: Index) -> Index:
        catalog = Catalog(index, served.home)
        if not catalog.knows(repository):
            raise _unknown_repository(repository)
        if digest:
            return _without(served, catalog, index, place, digest)
        found = _tagged(index, place, selector)
        conditions.check(selector, found)
        if found is None:
            raise _unknown(repository, selector)
        return without_tag(index, place, selector)

    with served.layout.lease():
        served.changes.make(forgotten)


def _without(served: Served, catalog: Catalog, index: Index, place: Repository, digest: Digest) -> Index:
    if digest in catalog.parts(place.name, served.readable):
        raise RefusedError(
            405,
            "DENIED",
            f"{digest} is a part of an index in {place.name!r}; delete that index first",
            headers=_ALLOWED,
        )
    found = catalog.find(place.name, digest, served.readable)
    if found is None:
        raise _unknown(place.name, str(digest))
    manifest = served.readable(found)
    subject = manifest.subject.digest if manifest and manifest.subject else None
    others = [one for one in catalog.repositories() if subject is None or subject in catalog.listed(one)]
    return without_manifest(index, place, digest, [one for one in others if one != place.name])


_ALLOWED = {"Allow": "GET, HEAD, PUT"}


def _digest_of(selector: str, raw: bytes) -> Digest:
    """The digest of bytes; one that the client names must be it."""
    if is_tag(selector):
        return Digest.of_bytes(raw)
    wanted = Digest.parse(selector)
    if (found := Digest.of_bytes(raw, wanted.algorithm)) != wanted:
        raise RefusedError(400, "DIGEST_INVALID", f"the manifest has the digest {found}, not {wanted}")
    return wanted


def _tagged(index: Index, place: Repository, tag: str) -> Digest | None:
    entries = (index.named(name) for name in place.names_of(tag))
    return next((entry.digest for entry in entries if entry), None)


def _require_content(served: Served, manifest: Manifest) -> None:
    """Make sure that everything is here that a manifest names, all the way down; its subject need not be."""
    missing = [(child, lost) for child in manifest.successors if (lost := first_missing(served.root, child))]
    if not missing:
        return
    found = [
        f"{child.digest} ({child.media_type[:100]}, {child.size} bytes) is not here"
        if lost.digest == child.digest
        else f"{child.digest} is here, but it needs {lost.digest} ({lost.size} bytes), which is not"
        for child, lost in missing[:_MOST_NAMED]
    ]
    raise RefusedError(400, "MANIFEST_BLOB_UNKNOWN", found[0], others=found[1:])


def _store(served: Served, manifest: Manifest) -> None:
    if intact_manifest(served.root, manifest.descriptor):
        touch(blob_path(served.root, manifest.digest))
    else:
        store_blob(served.root, manifest.descriptor, opener_of(manifest.raw))


def _unknown_repository(repository: str) -> RefusedError:
    return RefusedError(404, "NAME_UNKNOWN", f"there is no repository {repository!r}")


def _unknown(repository: str, selector: str) -> RefusedError:
    return RefusedError(404, "MANIFEST_UNKNOWN", f"{repository!r} has no manifest {selector[:200]!r}")
