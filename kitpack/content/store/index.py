"""``index.json`` of an image layout: which manifests it lists and under which names.

The file is never changed in place. One process at a time reads it, makes the new value and puts that in its place;
readers need no lock. Members and entries that kitpack does not know stay as they are.

Spec: https://github.com/opencontainers/image-spec/blob/main/image-layout.md#indexjson-file
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kitpack.content.store.durable import make_folders, write_whole
from kitpack.content.store.folder import INDEX, INDEX_LOCK, INGEST
from kitpack.content.store.locks import exclusive
from kitpack.errors import InvalidManifestError, StoreError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import Json, JsonObject, encode, parse_object
from kitpack.oci.mediatypes import ANNOTATION_REF_NAME, ANNOTATION_REPOSITORY, OCI_INDEX

__all__ = ["Index", "change_index", "name_of", "read_index", "repository_of"]

_KNOWN = frozenset({"schemaVersion", "mediaType", "manifests"})


def name_of(entry: Descriptor) -> str:
    """The name an entry gives its manifest, or an empty string."""
    return entry.annotations.get(ANNOTATION_REF_NAME, "")


def repository_of(entry: Descriptor) -> str:
    """The one repository that an entry without a name belongs to, as a registry server lists what has no tag; or empty.

    An entry without a name that says nothing belongs to the layout as a whole.
    """
    return "" if name_of(entry) else entry.annotations.get(ANNOTATION_REPOSITORY, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The content of ``index.json``. Changes make a new value; entries keep their order.

    Attributes:
        entries: What it lists; an entry has at most one name, a manifest any number of entries.
        extra: Members kitpack does not know, kept as they are.
    """

    entries: tuple[Descriptor, ...] = ()
    extra: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: bytes) -> Index:
        """Read the bytes of the file.

        Raises:
            ValueError: When they are not an OCI image index.
        """
        value = parse_object(raw)
        if value.get("schemaVersion") != 2 or value.get("mediaType", OCI_INDEX) != OCI_INDEX:
            raise ValueError("its schemaVersion or mediaType is not that of an OCI image index")
        listed = value.get("manifests")
        if not isinstance(listed, list | None):
            raise ValueError(f"manifests: expected a list, found {type(listed).__name__}")
        return cls(
            entries=tuple(Descriptor.from_dict(entry) for entry in listed or ()),
            extra={key: member for key, member in value.items() if key not in _KNOWN},
        )

    def encode(self) -> bytes:
        """The bytes of the file."""
        value: JsonObject = {"schemaVersion": 2, "mediaType": OCI_INDEX}
        value["manifests"] = [entry.to_dict() for entry in self.entries]
        return encode({**value, **self.extra})

    @property
    def names(self) -> frozenset[str]:
        """All names."""
        return frozenset(filter(None, map(name_of, self.entries)))

    @property
    def digests(self) -> frozenset[Digest]:
        """All manifests."""
        return frozenset(entry.digest for entry in self.entries)

    def named(self, name: str) -> Descriptor | None:
        """The entry of a name; of two entries with one name, the last decides."""
        return next((entry for entry in reversed(self.entries) if name_of(entry) == name), None)

    def listed(self, digest: Digest) -> Descriptor | None:
        """The last entry of a manifest."""
        return next((entry for entry in reversed(self.entries) if entry.digest == digest), None)

    def with_name(self, entry: Descriptor, name: str) -> Index:
        """Let a name stand for a manifest: in the place of the entry that has the name, else at the end."""
        entry = entry.annotated({**entry.annotations, ANNOTATION_REF_NAME: name})
        old = self.named(name)
        kept = tuple(entry if one is old else one for one in self.entries if one is old or name_of(one) != name)
        return replace(self, entries=kept if old else (*kept, entry))

    def without_name(self, name: str) -> Index:
        """Forget a name."""
        return replace(self, entries=tuple(entry for entry in self.entries if name_of(entry) != name))

    def with_entry(self, entry: Descriptor) -> Index:
        """List a manifest without a name, unless it is listed already, and for more than one repository."""
        is_listed = any(one.digest == entry.digest and not repository_of(one) for one in self.entries)
        return self if is_listed else replace(self, entries=(*self.entries, entry))

    def without_unnamed(self, digests: Collection[Digest]) -> Index:
        """Drop entries of these manifests that have no name."""
        kept = tuple(entry for entry in self.entries if name_of(entry) or entry.digest not in digests)
        return replace(self, entries=kept)


def read_index(root: Path) -> Index:
    """Read the index of a layout.

    Raises:
        StoreError: When the file is missing or damaged.
    """
    path = root / INDEX
    try:
        return _parsed(path.read_bytes())
    except FileNotFoundError:
        reason = "is missing"
    except InvalidManifestError as error:
        reason = f"is damaged: {error.message}"
    except ValueError as error:
        reason = f"is damaged: {error}"
    raise StoreError(
        f"{path} {reason}; expected an OCI image index", hint=f"`kitpack verify {root}` shows what is left"
    )


def change_index(root: Path, change: Callable[[Index], Index]) -> None:
    """Read, change and replace the index while nobody else does.

    Args:
        root: The layout.
        change: Makes the new value from the current one; giving back an equal one writes nothing.

    Raises:
        StoreError: As :func:`read_index`.
    """
    with exclusive(root / INDEX_LOCK):
        before = read_index(root)
        after = change(before)
        if after != before:
            raw = after.encode()
            make_folders(root / INGEST)
            write_whole(root / INDEX, raw, root / INGEST)
            _remember(raw, after)


_last = [(b"", Index())]  # what was read or written last; to parse thousands of entries takes longer than all the rest


def _parsed(raw: bytes) -> Index:
    """Parse the bytes of an index, unless they are those of the last one."""
    known, index = _last[0]
    if not known or known != raw:
        index = Index.parse(raw)
        _remember(raw, index)
    return index


def _remember(raw: bytes, index: Index) -> None:
    _last[0] = raw, index
