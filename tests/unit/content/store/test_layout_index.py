"""The value of ``index.json``."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from kitpack.content.store.index import Index, name_of
from kitpack.oci.descriptor import Descriptor
from tests.support.bundles import blob_of

NAMES = st.sampled_from(["", "a", "b", "c"])
ENTRIES = st.builds(
    lambda content, name: blob_of(content).annotated({"org.opencontainers.image.ref.name": name} if name else {}),
    st.sampled_from([b"0", b"1", b"2"]),
    NAMES,
)
INDEXES = st.builds(
    lambda entries, extra: Index(entries=tuple(entries), extra=extra),
    st.lists(ENTRIES, max_size=6),
    st.dictionaries(
        st.sampled_from(["annotations", "x"]), st.dictionaries(st.text(max_size=3), st.integers(-9, 9), max_size=3)
    ),
)


@settings(max_examples=50)
@given(INDEXES)
def test_it_comes_back_as_it_was(index: Index) -> None:
    assert Index.parse(index.encode()) == index
    assert json.loads(index.encode())["schemaVersion"] == 2


@settings(max_examples=100)
@given(INDEXES, ENTRIES, st.sampled_from(["a", "b", "c"]))
def test_naming_changes_that_name_alone(index: Index, entry: Descriptor, name: str) -> None:
    after = index.with_name(entry.plain(), name)
    named = after.named(name)
    assert named is not None
    assert named.plain() == entry.plain()
    assert [name_of(one) for one in after.entries].count(name) == 1
    assert [one for one in after.entries if name_of(one) != name] == [
        one for one in index.entries if name_of(one) != name
    ]
    assert after.extra == index.extra
    assert (after.entries.index(named) == len(after.entries) - 1) or index.named(name) is not None
    assert after.with_name(entry.plain(), name) == after


@settings(max_examples=100)
@given(INDEXES, st.sampled_from(["a", "b", "c"]))
def test_forgetting_changes_that_name_alone(index: Index, name: str) -> None:
    after = index.without_name(name)
    assert after.named(name) is None
    assert after.names == index.names - {name}
    assert list(after.entries) == [one for one in index.entries if name_of(one) != name]


@settings(max_examples=50)
@given(INDEXES, ENTRIES)
def test_listing_twice_is_listing_once(index: Index, entry: Descriptor) -> None:
    after = index.with_entry(entry.plain())
    assert after.listed(entry.digest) is not None
    assert after.with_entry(entry.plain()) == after
    assert after == index or after.entries[:-1] == index.entries


@settings(max_examples=50)
@given(INDEXES, ENTRIES)
def test_dropping_spares_names(index: Index, entry: Descriptor) -> None:
    after = index.without_unnamed({entry.digest})
    assert after.names == index.names
    assert all(name_of(one) for one in after.entries if one.digest == entry.digest)
    assert after.digests >= index.digests - {entry.digest}
