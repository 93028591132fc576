"""Referrers at registries without an API for them: an index under a tag that is made from the subject's digest.

The scheme has a race by its own words: two writers who read the same index lose one entry. So every write is read
back, and repeated when its entry is gone. And since some tools write wrong artifact types into the index, a reader
trusts the manifests alone.

Spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from kitpack.content.target import Source, fetch_manifest
from kitpack.errors import InvalidManifestError, NotFoundError, RegistryError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import Json, JsonObject, encode, parse_object
from kitpack.oci.manifest import Manifest
from kitpack.oci.mediatypes import OCI_INDEX

__all__ = ["MAX_REFERRERS", "entry_of", "fallback_tag", "link", "linked", "with_entry"]

MAX_REFERRERS = 1000
"""More than anyone has; beyond it, listing them becomes a way to stop those who verify."""

_TRIES = 5


def fallback_tag(subject: Digest) -> str:
    """The tag of the index that lists a subject's referrers."""
    return f"{subject.algorithm[:32]}-{subject.hex[:64]}"


def entry_of(manifest: Manifest) -> Descriptor:
    """How a referrer stands in a list of referrers: with its kind and all its annotations."""
    return replace(manifest.descriptor, artifact_type=manifest.kind, annotations=dict(manifest.annotations))


def with_entry(index: Manifest | None, entry: Descriptor) -> bytes:
    """The bytes of an index with one more entry, everything else in it kept; a new one when there is none."""
    value: JsonObject = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    if index is not None:
        value = parse_object(index.raw)
    listed = value["manifests"]
    others: list[Json] = [] if not isinstance(listed, list) else [other for other in listed if not _is(other, entry)]
    return encode({**value, "manifests": [*others, entry.to_dict()]})


def link(source: Source, manifest: Manifest, put: Callable[[str, bytes], None], pause: Callable[[int], None]) -> None:
    """Add a manifest to the index of its subject.

    Args:
        source: The repository it is in.
        manifest: A manifest with a subject.
        put: Stores an index under a tag.
        pause: Waits before the so-many-th repetition, counted from 0.

    Raises:
        InvalidManifestError: When the tag names something that is not an index; it is left alone.
        RegistryError: When others keep overwriting the entry.
    """
    if manifest.subject is None:
        return
    tag, entry = fallback_tag(manifest.subject.digest), entry_of(manifest)
    index = _index(source, tag)
    for attempt in range(_TRIES):
        if index is not None and entry in index.manifests:
            return
        if attempt:
            pause(attempt - 1)
            index = _index(source, tag)
        put(tag, with_entry(index, entry))
        index = _index(source, tag)
    if index is None or entry not in index.manifests:
        raise RegistryError(
            f"{entry.digest} could not be listed under {tag}: others write there at the same time",
            hint="try again: what was pushed already is kept",
        )


def linked(source: Source, subject: Digest, artifact_type: str) -> Iterator[Descriptor]:
    """The referrers that the index of a subject lists, as their own manifests describe them."""
    index = _index(source, fallback_tag(subject))
    entries = {entry.digest: entry for entry in index.manifests if entry.is_manifest} if index else {}
    if len(entries) > MAX_REFERRERS:
        raise RegistryError(f"{subject} has {len(entries)} referrers; more than {MAX_REFERRERS} are not read")
    for entry in entries.values():
        manifest = _manifest(source, entry)
        if manifest is None or manifest.subject is None or manifest.subject.digest != subject:
            continue
        if artifact_type in ("", manifest.kind):
            yield entry_of(manifest)


def _index(source: Source, tag: str) -> Manifest | None:
    try:
        index = fetch_manifest(source, source.resolve(tag))
    except NotFoundError:
        return None
    if index.media_type != OCI_INDEX:
        raise InvalidManifestError(f"the tag {tag} should name an index of referrers, but names {index.media_type}")
    return index


def _manifest(source: Source, entry: Descriptor) -> Manifest | None:
    """The manifest of an entry; None when it has been deleted since."""
    try:
        return fetch_manifest(source, entry.plain())
    except NotFoundError:
        return None


def _is(other: Json, entry: Descriptor) -> bool:
    return isinstance(other, dict) and other.get("digest") == str(entry.digest)
