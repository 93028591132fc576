"""Copying: what arrives, in which order, and what happens when it does not."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from kitpack.content.copy import MAX_DEPTH, copy, leased, refuse_moving_tag
from kitpack.content.events import Event
from kitpack.content.memory import Memory
from kitpack.content.store.layout import Layout
from kitpack.content.target import Opener, Source, fetch_bytes, opener_of
from kitpack.errors import IntegrityError, InvalidManifestError, NotFoundError, TagExistsError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import encode
from kitpack.oci.manifest import Manifest
from kitpack.oci.mediatypes import EMPTY_CONFIG, OCI_INDEX, OCI_MANIFEST, OCTET_STREAM
from tests.support.bundles import CONFIG, blob_of, index_of, manifest_of, noise, push_artifact, push_blob, push_manifest
from tests.support.sources import Watched

FILES = {"a": noise(3000, 1), "b": noise(2000, 2), "c/d": b"", "e": noise(100, 3)}


class Recording(Memory):
    """A target that remembers what was done to it, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[str, str]] = []
        self._guard = threading.Lock()

    def push(self, descriptor: Descriptor, open_at: Opener) -> None:
        super().push(descriptor, open_at)
        with self._guard:
            self.done.append(("push", str(descriptor.digest)))

    def tag(self, descriptor: Descriptor, reference: str) -> None:
        super().tag(descriptor, reference)
        self.done.append(("tag", reference))


class Far(Memory):
    """A target that must be asked what it lacks, presumes to have some things, and has others in another repository."""

    def __init__(self, mountable: set[Digest], presumes: frozenset[Digest] = frozenset()) -> None:
        super().__init__()
        self.mountable = mountable
        self.presumes = presumes
        self.asked: list[Digest] = []

    def exists(self, descriptor: Descriptor) -> bool:
        self.asked.append(descriptor.digest)
        return super().exists(descriptor)

    def presumed(self, manifest: Manifest) -> frozenset[Digest]:
        return self.presumes

    def push_missing(self, descriptor: Descriptor, open_at: Opener, source: Source) -> bool:
        is_mounted, asked = descriptor.digest in self.mountable, list(self.asked)
        super().push(descriptor, opener_of(fetch_bytes(source, descriptor)) if is_mounted else open_at)
        self.asked = asked  # memory asks itself
        return not is_mounted


@pytest.fixture
def source() -> Memory:
    memory = Memory()
    push_artifact(memory, FILES, "v1")
    return memory


def _assert_whole(target: Source, reference: str) -> None:
    left = [target.resolve(reference)]
    while left:
        one = left.pop()
        data = fetch_bytes(target, one)
        if one.is_manifest:
            left.extend(Manifest.parse(data, one.media_type).successors)


def test_everything_arrives_under_the_tag(source: Memory) -> None:
    target = Memory()
    copied = copy(source, "v1", target, "new")
    assert copied == target.resolve("new") == source.resolve("v1")
    _assert_whole(target, "new")


def test_without_a_tag_it_is_found_by_its_digest_alone(source: Memory) -> None:
    target = Memory()
    copied = copy(source, str(source.resolve("v1").digest), target)
    _assert_whole(target, str(copied.digest))
    assert list(target.tags()) == []


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_children_come_before_parents_and_the_tag_last(source: Memory, jobs: int) -> None:
    manifests = [push_artifact(source, {"f": noise(50, number)}) for number in range(5)]
    inner = push_manifest(source, index_of(manifests[:3]))
    outer = push_manifest(source, index_of([inner, *manifests[2:]]), "index")
    target = Recording()
    copy(source, "index", target, "index", jobs=jobs)
    digests = [digest for verb, digest in target.done if verb == "push"]
    assert len(digests) == len(set(digests))
    place = {digest: number for number, digest in enumerate(digests)}
    for descriptor in [*manifests, inner, outer]:
        manifest = Manifest.parse(fetch_bytes(source, descriptor), descriptor.media_type)
        for child in manifest.successors:
            assert place[str(child.digest)] < place[str(descriptor.digest)]
    assert target.done[-1] == ("tag", "index")
    _assert_whole(target, "index")


def test_what_is_there_is_not_fetched_again(source: Memory) -> None:
    target = Memory()
    push_blob(target, FILES["a"])
    watched = Watched(source)
    events: list[Event] = []
    copy(watched, "v1", target, "v1", on_event=events.append)
    assert blob_of(FILES["a"]).digest not in watched.fetched
    assert [event.name for event in events if event.kind == "skipped"] == ["a"]
    watched = Watched(source)
    copy(watched, "v1", target, "v1")
    assert watched.fetched == Counter({source.resolve("v1").digest: 1})


def test_events_add_up_to_the_sizes(source: Memory) -> None:
    events: list[Event] = []
    copy(source, "v1", Memory(), on_event=events.append, jobs=3)
    config = blob_of(CONFIG, EMPTY_CONFIG)
    sizes = {**{path: len(data) for path, data in FILES.items()}, config.digest.short: config.size}
    moved: Counter[str] = Counter()
    for event in events:
        if event.kind == "moved":
            moved[event.name] += event.size
    assert {name: moved[name] for name in sizes} == sizes
    assert {event.name: event.size for event in events if event.kind == "started"} == sizes
    assert {event.name: event.size for event in events if event.kind == "finished"} == sizes
    assert {event.name: event.size for event in events if event.kind == "planned"} == sizes
    assert {event.kind for event in events[: len(sizes)]} == {"planned"}
    assert {event.kind for event in events[len(sizes) :]} == {"started", "moved", "finished"}


def test_what_can_be_mounted_is_not_moved(source: Memory) -> None:
    mountable = {blob_of(FILES["a"]).digest, blob_of(FILES["e"]).digest}
    target, events = Far(mountable), list[Event]()
    copy(source, "v1", target, "v1", on_event=events.append)
    assert sorted(event.name for event in events if event.kind == "mounted") == ["a", "e"]
    assert sorted(event.name for event in events if event.kind == "finished" and event.name in FILES) == ["b", "c/d"]
    assert not {"a", "e"} & {event.name for event in events if event.kind in ("started", "moved")}
    _assert_whole(target, "v1")


def test_a_far_target_is_asked_once_about_each_blob(source: Memory) -> None:
    target, events = Far(set()), list[Event]()
    push_blob(target, FILES["a"])
    target.asked.clear()
    copy(source, "v1", target, on_event=events.append, jobs=1)
    blobs = {blob_of(data).digest for data in FILES.values()} | {blob_of(CONFIG, EMPTY_CONFIG).digest}
    assert Counter(target.asked[: len(blobs)]) == Counter(blobs)
    assert [event.name for event in events if event.kind == "skipped"] == ["a"]
    assert "a" not in {event.name for event in events if event.kind != "skipped"}


def test_what_is_presumed_is_not_asked_about(source: Memory) -> None:
    target = Far(set(), frozenset({blob_of(FILES["a"]).digest}))
    push_blob(target, FILES["a"])
    target.asked.clear()
    copy(source, "v1", target, "v1", jobs=1)
    assert blob_of(FILES["a"]).digest not in target.asked[:4]
    _assert_whole(target, "v1")


def test_what_is_presumed_in_vain_is_made_good(source: Memory) -> None:
    target = Far(set(), frozenset(blob_of(data).digest for data in FILES.values()))
    copy(source, "v1", target, "v1")
    _assert_whole(target, "v1")


def test_a_tag_of_other_content_is_not_moved_and_nothing_is_sent(source: Memory) -> None:
    target = Recording()
    old = push_artifact(target, {"old": b"old"}, "v1")
    target.done.clear()
    watched = Watched(source)
    with pytest.raises(TagExistsError) as caught:
        copy(watched, "v1", target, "v1")
    assert "--force" in caught.value.hint
    assert target.done == []
    assert not watched.fetched
    assert target.resolve("v1").digest == old.digest


def test_force_moves_the_tag(source: Memory) -> None:
    target = Memory()
    push_artifact(target, {"old": b"old"}, "v1")
    copy(source, "v1", target, "v1", force=True)
    assert target.resolve("v1") == source.resolve("v1")


def test_a_tag_that_appears_meanwhile_is_not_moved(source: Memory) -> None:
    target = Memory()

    def interfere(event: Event) -> None:
        if event.kind == "finished" and "v1" not in set(target.tags()):
            push_artifact(target, {"other": b"other"}, "v1")

    with pytest.raises(TagExistsError):
        copy(source, "v1", target, "v1", on_event=interfere, jobs=1)
    assert target.resolve("v1") != source.resolve("v1")


def test_the_same_content_may_be_tagged_again(source: Memory) -> None:
    copy(source, "v1", source, "v1")
    copy(source, "v1", source, "v2")
    refuse_moving_tag(source, "v1", source.resolve("v2").digest)


def test_what_refers_to_it_comes_along_when_asked_for(source: Memory) -> None:
    root = source.resolve("v1")
    signature = push_artifact(source, {"s": b"signature"}, subject=root)
    about_it = push_artifact(source, {"s": b"about the signature"}, subject=signature)
    report = push_artifact(source, {"r": b"report"}, subject=root)
    push_artifact(source, {"x": b"about something else"}, subject=blob_of(b"else", OCI_MANIFEST))
    plain, whole = Memory(), Recording()
    copy(source, "v1", plain, "v1")
    assert list(plain.referrers(root)) == []
    copy(source, "v1", whole, "v1", referrers=True)
    assert {one.digest for one in whole.referrers(root)} == {signature.digest, report.digest}
    assert [one.digest for one in whole.referrers(signature)] == [about_it.digest]
    assert whole.done[-1] == ("tag", "v1")
    pushed = [digest for verb, digest in whole.done if verb == "push"]
    assert pushed.index(str(root.digest)) < pushed.index(str(signature.digest)) < pushed.index(str(about_it.digest))


class Gossip(Memory):
    """A source in which ever more things refer to everything."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def referrers(self, subject: Descriptor, artifact_type: str = "") -> Iterator[Descriptor]:
        self.asked += 1
        for number in range(1000):
            yield blob_of(f"{subject.digest}{number}".encode(), OCI_MANIFEST)


def test_endless_referrers_end() -> None:
    source = Gossip()
    push_artifact(source, FILES, "v1")
    with pytest.raises(IntegrityError, match="refer to it"):
        copy(source, "v1", Memory(), referrers=True)
    assert source.asked < 1000


def _nested(target: Memory, depth: int) -> Descriptor:
    one = push_artifact(target, {"f": b"x"})
    for _ in range(depth):
        one = push_manifest(target, index_of([one]))
    target.tag(one, "deep")
    return one


def test_indexes_may_nest_a_little_and_not_a_lot() -> None:
    source = Memory()
    _nested(source, MAX_DEPTH - 1)
    copy(source, "deep", Memory(), "deep")
    _nested(source, 100)
    target = Recording()
    with pytest.raises(IntegrityError, match="levels"):
        copy(source, "deep", target, "deep")
    assert target.done == []


def test_a_child_that_stands_there_a_hundred_thousand_times_is_fetched_once() -> None:
    source = Memory()
    child = push_artifact(source, {"f": b"x"}).plain()
    repeated = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child.to_dict()] * 24_000})
    push_manifest(source, Manifest.parse(repeated), "index")
    watched, target = Watched(source), Recording()
    copy(watched, "index", target, "index")
    assert set(watched.fetched.values()) == {1}
    assert len(target.done) == len({*target.done})


class Endless(Memory):
    """A source whose index lists manifests of four megabytes each, without end."""

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        if not self.exists(descriptor):
            raise NotFoundError("asked for what was too much")
        return super().fetch(descriptor, offset)


def test_manifests_that_would_fill_the_memory_are_not_fetched() -> None:
    source = Endless()
    big = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": blob_of(b"").to_dict(), "layers": []})
    big = big.ljust(4 << 20)
    push_blob(source, b"")
    first = push_manifest(source, Manifest.parse(big))
    others = [Descriptor(media_type=OCI_MANIFEST, digest=blob_of(b"%d" % n).digest, size=1 << 60) for n in range(3)]
    listing = encode(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [one.to_dict() for one in (first, *others)]}
    )
    listed = Descriptor.of_bytes(OCI_INDEX, listing)
    source._blobs[listed.digest] = listing  # no honest target would take it
    source._manifests[listed.digest] = Manifest.parse(listing)
    with pytest.raises(IntegrityError, match="bytes of manifests"):
        copy(source, str(listed.digest), Memory())


@pytest.mark.parametrize("what", ["blob", "manifest", "config"])
def test_damaged_content_does_not_arrive(source: Memory, what: str) -> None:
    root = source.resolve("v1")
    manifest = Manifest.parse(fetch_bytes(source, root))
    assert manifest.config is not None
    damaged = {"blob": manifest.layers[0], "manifest": root, "config": manifest.config}[what].digest
    target = Recording()
    with pytest.raises(IntegrityError):
        copy(Watched(source, damaged=[damaged]), "v1", target, "v1")
    assert ("tag", "v1") not in target.done
    assert ("push", str(root.digest)) not in target.done
    with pytest.raises(NotFoundError):
        target.resolve("v1")


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("into", ["memory", "layout"])
def test_whatever_fetch_fails_no_tag_appears_and_the_next_try_succeeds(
    source: Memory, tmp_path: Path, into: str, *, short: bool
) -> None:
    for number in range(1, 7):
        target = Memory() if into == "memory" else Layout(tmp_path / str(number))
        with pytest.raises(ConnectionResetError):
            copy(Watched(source, fail_at=number, failure=ConnectionResetError, short=short), "v1", target, "v1", jobs=2)
        with pytest.raises(NotFoundError):
            target.resolve("v1")
        copy(source, "v1", target, "v1")
        _assert_whole(target, "v1")
    everything = Watched(source)
    copy(everything, "v1", Memory())
    assert everything.total == 6  # each fetch there is has failed once


class Blocking(Memory):
    """A source in which some content comes only when it is let go."""

    def __init__(self, held: set[Digest], failing: set[Digest]) -> None:
        super().__init__()
        self.held, self.failing = held, failing
        self.begun: list[Digest] = []
        self.arrived = threading.Event()
        self.go = threading.Event()

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        self.begun.append(descriptor.digest)
        if descriptor.digest in self.held:
            self.arrived.set()
            assert self.go.wait(20)
        if descriptor.digest in self.failing:
            assert self.arrived.wait(20)
            self.go.set()
            raise ConnectionAbortedError("first")
        return super().fetch(descriptor, offset)


def test_one_failure_stops_the_others_and_is_the_one_reported() -> None:
    files = {f"f{number:02}": noise(100, number) for number in range(30)}
    digests = [blob_of(data).digest for data in files.values()]
    source = Blocking(held={digests[0]}, failing={digests[1]})
    push_artifact(source, files, "v1")
    events: list[Event] = []
    with pytest.raises(ConnectionAbortedError, match="first"):
        copy(source, "v1", Memory(), "v1", jobs=2, on_event=events.append)
    assert len([one for one in source.begun if one in digests]) < 10
    assert "f29" not in {event.name for event in events if event.kind != "planned"}


@pytest.mark.parametrize("kind", ["started", "moved", "finished"])
def test_an_interrupt_in_a_callback_ends_it_and_leaves_no_tag(source: Memory, tmp_path: Path, kind: str) -> None:
    target = Layout(tmp_path / "layout")

    def interrupt(event: Event) -> None:
        if event.kind == kind:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(Layout(_layout_of(source, tmp_path)), "v1", target, "v1", on_event=interrupt)
    with pytest.raises(NotFoundError):
        target.resolve("v1")
    copy(source, "v1", target, "v1")
    _assert_whole(target, "v1")


def _layout_of(source: Memory, tmp_path: Path) -> Path:
    copy(source, "v1", Layout(tmp_path / "source"), "v1")
    return tmp_path / "source"


def test_what_a_manifest_names_and_the_source_lacks_is_not_found(source: Memory) -> None:
    manifest = manifest_of({"gone": b"gone"})
    source._blobs[manifest.descriptor.digest] = manifest.raw  # no honest target would take it
    source._manifests[manifest.descriptor.digest] = manifest
    source._tags["v2"] = manifest.descriptor
    target = Recording()
    with pytest.raises(NotFoundError):
        copy(source, "v2", target, "v2")
    assert ("tag", "v2") not in target.done


def test_an_unknown_reference_is_not_found(source: Memory) -> None:
    with pytest.raises(NotFoundError):
        copy(source, "v9", Memory(), "v9")


def test_a_manifest_that_is_none_is_refused(source: Memory) -> None:
    push_blob(source, b"<html>")
    lie = Descriptor(media_type=OCI_MANIFEST, digest=blob_of(b"<html>").digest, size=6)
    source._tags["lie"] = lie
    with pytest.raises(InvalidManifestError):
        copy(source, "lie", Memory(), "lie")


def test_a_digest_that_is_once_a_blob_and_once_a_manifest_brings_its_children(source: Memory, tmp_path: Path) -> None:
    """Who remembers only digests skips the manifest's children."""
    child = push_artifact(source, {"hidden": b"hidden"})
    as_blob = Descriptor(media_type=OCTET_STREAM, digest=child.digest, size=child.size)
    holder = encode(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": blob_of(CONFIG, EMPTY_CONFIG).to_dict(),
            "layers": [as_blob.to_dict()],
        }
    )
    index = index_of([push_manifest(source, Manifest.parse(holder)), child])
    push_manifest(source, index, "both")
    for target in (Memory(), Layout(tmp_path)):
        copy(source, "both", target, "both")
        _assert_whole(target, "both")


def test_leases_are_taken_of_all_that_have_one_and_given_back(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    push_artifact(layout, {"a": b"a"}, "v1")
    with leased(layout, Memory(), object()):
        assert layout._lease._holders == 1
    assert layout._lease._holders == 0


@pytest.mark.parametrize("make", [Memory, Recording])
def test_copying_onto_itself_changes_nothing(make: Callable[[], Memory]) -> None:
    place = make()
    root = push_artifact(place, FILES, "v1")
    assert copy(place, "v1", place, "v1") == root
    _assert_whole(place, "v1")


class Lossy(Memory):
    """A source that has lost one blob, though a manifest names it."""

    lost: Digest | None = None

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        if descriptor.digest == self.lost:
            raise NotFoundError("it is gone")
        return super().fetch(descriptor, offset)


def test_a_missing_blob_is_named_by_its_path() -> None:
    source = Lossy()
    push_artifact(source, {"model/w.gguf": b"weights"}, "1")
    source.lost = Digest.of_bytes(b"weights")
    with pytest.raises(NotFoundError, match=r"^model/w\.gguf is part of the bundle, but .* it is gone"):
        copy(source, "1", Memory(), "1")
