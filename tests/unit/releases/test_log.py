"""The log of a channel: whatever is wrong with it is found, and called by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kitpack.content.memory import Memory
from kitpack.content.target import opener_of
from kitpack.errors import KitpackError, LogError, NotFoundError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.mediatypes import EMPTY_CONFIG
from kitpack.releases.chain import Log, Pin
from kitpack.releases.change import promote, rollback
from kitpack.releases.home import Home
from kitpack.releases.log import read_log
from kitpack.releases.record import EMPTY, Record, encode_record, log_tag
from kitpack.releases.writing import Author
from tests.unit.releases.bundles import push_release, release_of

BEGIN = datetime(2026, 5, 15, tzinfo=UTC)
ANN = Author(actor="ann", clock=lambda: BEGIN, pause=lambda _: None)


@pytest.fixture
def home() -> Home:
    """A channel with four records: 1.0.0, 1.1.0, 1.2.0, and back to 1.1.0."""
    home = Home(target=Memory(), label="assistant")
    for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0"):
        push_release(home.target, version)
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        promote(home, version, "production", ANN)
    rollback(home, "production", ANN)
    return home


def _tag(home: Home, sequence: int) -> str:
    return next(tag for tag in home.tags(f"production.log.{sequence:06d}."))


def _retag(home: Home, tag: str, version: str) -> None:
    home.target.tag(home.target.resolve(version), tag)


def _write(home: Home, record: Record, version: str) -> Record:
    """Write a record as somebody would who does not keep to the rules."""
    bundle = release_of(version)
    home.target.push(Descriptor.of_bytes(EMPTY_CONFIG, EMPTY), opener_of(EMPTY))
    manifest = encode_record(replace(record, target=bundle.digest, target_version=version), bundle)
    home.write(manifest, log_tag(record.channel, record.sequence, manifest.digest))
    return replace(record, target=bundle.digest, digest=manifest.digest)


def _gap(home: Home) -> None:
    home.remove(_tag(home, 2))


def _begins_late(home: Home) -> None:
    home.remove(_tag(home, 1))


def _damaged_by_another_manifest(home: Home) -> None:
    _retag(home, _tag(home, 2), "1.0.0")


def _damaged_by_another_record(home: Home) -> None:
    home.target.tag(home.target.resolve(_tag(home, 1)), _tag(home, 2))


def _fork(home: Home) -> None:
    promote(home, "1.3.0", "production", ANN)
    before = _log(home).records[0]
    for sequence in (2, 3, 4):
        before = _write(home, replace(before, sequence=sequence, previous=before.digest, actor="eve"), "1.3.0")


def _moved(home: Home) -> None:
    _retag(home, "production", "1.3.0")


def _tag_gone(home: Home) -> None:
    home.remove("production")


def _interrupted(home: Home) -> None:
    _retag(home, "production", "1.2.0")


def _wrong_source(home: Home) -> None:
    last = _log(home).records[-1]
    record = replace(last, sequence=5, previous=last.digest, source=release_of("1.0.0").digest, action="promote")
    _write(home, record, "1.3.0")
    _retag(home, "production", "1.3.0")


def _back_in_time(home: Home) -> None:
    last = _log(home).records[-1]
    earlier = BEGIN - timedelta(days=1)
    _write(home, replace(last, sequence=5, previous=last.digest, source=last.target, time=earlier), "1.3.0")
    _retag(home, "production", "1.3.0")


def _log(home: Home, pin: Pin | None = None) -> Log:
    return read_log(home, "production", pin=pin)


BREAKS: dict[str, tuple[Callable[[Home], None], str, str]] = {
    "a record is missing": (_gap, "gap", "record 2 is missing; record 3 follows it"),
    "the first record is missing": (_begins_late, "gap", "record 1 is missing"),
    "a record is a bundle": (_damaged_by_another_manifest, "damaged", "cannot be read"),
    "a record is another one": (_damaged_by_another_record, "damaged", "stands for another record"),
    "two histories": (_fork, "fork", "eve"),
    "the tag was moved": (_moved, "moved", "which no record explains"),
    "the tag is gone": (_tag_gone, "moved", "the tag production is gone"),
    "a change was not finished": (_interrupted, "moved", "interrupted, or undone by hand"),
    "a record lies about what was before": (_wrong_source, "inconsistent", "was live before it"),
    "a record is older than the one before": (_back_in_time, "inconsistent", "earlier than the one before"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_every_break_has_its_name(home: Home, name: str) -> None:
    assert _log(home).breaks == ()
    spoil, kind, words = BREAKS[name]
    spoil(home)
    found = [one for one in _log(home).breaks if one.kind == kind and words in one.text]
    assert found, _log(home).breaks
    assert {one.kind for one in _log(home).breaks} <= {kind}


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_a_log_that_was_cut_off_is_missed(home: Home, cut: int) -> None:
    head = _log(home).head
    assert head is not None
    assert head.digest is not None
    pin = Pin(sequence=head.sequence, digest=head.digest)
    assert _log(home, pin).breaks == ()
    for sequence in range(4, 4 - cut, -1):
        home.remove(_tag(home, sequence))
    assert "truncated" in {one.kind for one in _log(home, pin).breaks}
    with pytest.raises(LogError, match="cut off or rewritten"):
        promote(home, "1.3.0", "production", replace(ANN, pin=pin))


def test_a_log_that_was_written_anew_is_missed(home: Home) -> None:
    head = _log(home).head
    assert head is not None
    assert head.digest is not None
    for sequence in range(1, 5):
        home.remove(_tag(home, sequence))
    home.remove("production")
    for version in ("1.0.0", "1.2.0", "1.3.0", "1.2.0"):
        promote(home, version, "production", ANN)
    assert _log(home).breaks == ()
    pin = Pin(sequence=head.sequence, digest=head.digest)
    assert [one.kind for one in _log(home, pin).breaks] == ["truncated"]


def test_losing_a_race_breaks_nothing(home: Home) -> None:
    before = _log(home).records
    lost = [_write(home, replace(before[2], actor=f"w{number}", reason="too late"), "1.3.0") for number in range(20)]
    log = _log(home)
    assert len(log.records) == 4
    assert len(log.records) + len(log.lost) == 4 + len(lost)


@pytest.mark.parametrize("spoil", [_damaged_by_another_manifest, _gap, _begins_late])
def test_a_break_below_does_not_stop_the_way_back(home: Home, spoil: Callable[[Home], None]) -> None:
    spoil(home)
    assert rollback(home, "production", ANN).record.target_version == "1.0.0"


def test_a_broken_end_stops_everything_but_force(home: Home) -> None:
    _retag(home, _tag(home, 4), "1.0.0")
    with pytest.raises(LogError, match="cannot be read"):
        rollback(home, "production", ANN)
    with pytest.raises(LogError, match="cannot be read"):
        promote(home, "1.3.0", "production", ANN)
    done = rollback(home, "production", replace(ANN, force=True), to="1.0.0")
    assert "the log is broken" in done.notes[0]
    assert "what was trusted is record 3" in done.notes[0]
    assert _log(home).live == release_of("1.0.0").digest


def test_an_empty_log(home: Home) -> None:
    assert read_log(home, "staging") == Log(channel="staging")
    with pytest.raises(NotFoundError):
        rollback(home, "staging", ANN)


def test_a_tag_that_is_nearly_one_of_a_record_is_none(home: Home) -> None:
    for tag in ("production.log", "production.log.1.x", "production.log.000009.zzzzzzzz", "production.log.old"):
        _retag(home, tag, "1.0.0")
    assert _log(home).breaks == ()
    assert len(_log(home).records) == 4


def test_every_error_is_one_of_ours(home: Home) -> None:
    for sequence in range(1, 5):
        _retag(home, _tag(home, sequence), "1.3.0")
    assert _log(home).records == ()
    assert {one.kind for one in _log(home).breaks} == {"damaged"}
    with pytest.raises(KitpackError):
        promote(home, "1.3.0", "production", ANN)
