"""Records of releases: what is written is read again, and what others wrote is not believed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitpack.errors import InvalidManifestError, UsageError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import Manifest, build_manifest
from kitpack.oci.mediatypes import EMPTY_CONFIG
from kitpack.releases.record import (
    EMPTY,
    RELEASE_TYPE,
    Gate,
    LogTag,
    Record,
    Route,
    check_channel,
    encode_record,
    log_tag,
    parse_record,
)
from tests.unit.releases.bundles import release_of

BUNDLE = release_of("1.0.0")
OTHER = release_of("1.1.0")
RECORD = Record(
    channel="production",
    sequence=7,
    action="promote",
    target=BUNDLE.digest,
    target_version="1.0.0",
    source=OTHER.digest,
    source_version="1.1.0",
    previous=Digest.of_bytes(b"the record before"),
    actor="ann@host",
    time=datetime(2026, 5, 15, 8, 30, 1, 250_000, tzinfo=UTC),
    reason="fewer refunds\nsecond line \u2713",
    undo=(OTHER.digest,),
    routes=(Route(digest=OTHER.digest, version="1.1.0", percent=12.5, salt="ab"),),
    gates=(Gate(name="complete", passed=True, detail="7 pieces"), Gate(name="lint", passed=False)),
    override="it must",
)
FACTS = {
    key.removeprefix("io.kitpack.release."): value for key, value in encode_record(RECORD, BUNDLE).annotations.items()
}


def _written(facts: dict[str, str], subject: Manifest | None = BUNDLE, kind: str = RELEASE_TYPE) -> Manifest:
    return build_manifest(
        artifact_type=kind,
        config=Descriptor.of_bytes(EMPTY_CONFIG, EMPTY),
        layers=[],
        annotations={f"io.kitpack.release.{key}": value for key, value in facts.items()},
        subject=subject.descriptor if subject else None,
    )


def test_what_is_written_is_read_again() -> None:
    manifest = encode_record(RECORD, BUNDLE)
    found = parse_record(manifest)
    assert found == RECORD
    assert found.digest == manifest.digest
    assert manifest.subject is not None
    assert manifest.subject.digest == BUNDLE.digest


def test_a_record_that_makes_a_release_live_holds_its_content() -> None:
    held = {one.digest for one in encode_record(RECORD, BUNDLE).layers}
    assert held == {one.digest for one in BUNDLE.successors}
    for action in ("adopt", "withdraw", "archive", "route", "restore"):
        assert encode_record(replace(RECORD, action=action), BUNDLE).layers == ()


@given(
    st.text(max_size=200),
    st.text(max_size=200),
    st.integers(1, 999_999_999),
    st.integers(0, 4_000_000_000),
    st.integers(-14, 14),
)
@settings(max_examples=60, deadline=None)
def test_any_words_survive(actor: str, reason: str, sequence: int, seconds: int, hours: int) -> None:
    when = datetime.fromtimestamp(seconds, timezone(timedelta(hours=hours)))
    written = replace(RECORD, actor=actor, reason=reason, sequence=sequence, time=when)
    try:
        manifest = encode_record(written, BUNDLE)
    except UnicodeEncodeError:
        assert any("\ud800" <= char <= "\udfff" for char in actor + reason)
        return
    assert parse_record(manifest) == written


def test_the_time_is_the_same_wherever_it_is_written() -> None:
    there = RECORD.time.astimezone(timezone(timedelta(hours=9)))
    assert encode_record(replace(RECORD, time=there), BUNDLE).raw == encode_record(RECORD, BUNDLE).raw


def test_long_words_are_cut_off() -> None:
    manifest = encode_record(replace(RECORD, reason="x" * 1_000_000, actor="y" * 1_000_000), BUNDLE)
    assert len(manifest.raw) < 20_000
    assert len(parse_record(manifest).reason) == 4000


HOSTILE = {
    "no action": {"action": None},
    "an action of the future": {"action": "sell"},
    "no sequence": {"sequence": None},
    "the sequence 0": {"sequence": "0"},
    "a negative sequence": {"sequence": "-1"},
    "a sequence in other digits": {"sequence": "\u0661"},
    "a sequence with a space": {"sequence": " 1"},
    "a sequence of a million digits": {"sequence": "1" * 1_000_000},
    "no target": {"target": None},
    "a target that is no digest": {"target": "sha256:abc"},
    "a target of another kind": {"target": "md5:" + "a" * 32},
    "another target than the subject": {"target": str(OTHER.digest)},
    "a source that is no digest": {"source": "latest"},
    "a predecessor that is no digest": {"previous": "../../etc"},
    "no time": {"time": None},
    "a time without a zone": {"time": "2026-05-15T10:00:00"},
    "a time that is none": {"time": "yesterday"},
    "a time before all times": {"time": "0001-01-01T00:00:00+23:59"},
    "a time after all times": {"time": "9999-12-31T23:59:59-23:59"},
    "no channel": {"channel": None},
    "undo that is no digest": {"undo": "sha256:x y"},
    "routes that are no JSON": {"routes": "{"},
    "routes that are no list": {"routes": '{"routes": {"a": 1}}'},
    "routes without their key": {"routes": "{}"},
    "routes that are a list": {"routes": "[]"},
    "a route without a digest": {"routes": '{"routes": [{"percent": 1}]}'},
    "a route without percent": {"routes": f'{{"routes": [{{"digest": "{OTHER.digest}"}}]}}'},
    "a route of 101 percent": {"routes": f'{{"routes": [{{"digest": "{OTHER.digest}", "percent": 101}}]}}'},
    "a route of true percent": {"routes": f'{{"routes": [{{"digest": "{OTHER.digest}", "percent": true}}]}}'},
    "a route of no number": {"routes": f'{{"routes": [{{"digest": "{OTHER.digest}", "percent": NaN}}]}}'},
    "routes nested without end": {"routes": '{"routes": ' + "[" * 100_000},
    "gates that are no list": {"gates": '{"gates": "all"}'},
    "a gate without a name": {"gates": '{"gates": [{"passed": true}]}'},
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_what_cannot_be_a_record_is_refused(change: dict[str, str | None]) -> None:
    facts = {key: value for key, value in {**FACTS, **change}.items() if value is not None}
    with pytest.raises(InvalidManifestError):
        parse_record(_written(facts))


def test_a_gate_passed_only_when_it_says_so() -> None:
    found = parse_record(_written({**FACTS, "gates": '{"gates": [{"name": "lint", "passed": "yes"}, "x", 3]}'}))
    assert found.gates == (Gate(name="lint", passed=False),)


@pytest.mark.parametrize(
    ("subject", "kind"), [(None, RELEASE_TYPE), (OTHER, RELEASE_TYPE), (BUNDLE, "application/vnd.other+json")]
)
def test_a_record_speaks_of_its_subject(subject: Manifest | None, kind: str) -> None:
    with pytest.raises(InvalidManifestError):
        parse_record(_written(FACTS, subject, kind))


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("production.log.000001.0123abcd", 1),
        ("production.log.999999.0123abcd", 999_999),
        ("production.log.1000000.0123abcd", 1_000_000),
        ("production.log.0000001.0123abcd", None),
        ("production.log.00001.0123abcd", None),
        ("production.log.000001.0123ABCD", None),
        ("production.log.000001.0123abc", None),
        ("staging.log.000001.0123abcd", None),
        ("production.log.x.log.000001.0123abcd", None),
        ("production", None),
    ],
)
def test_the_tag_of_a_record(tag: str, expected: int | None) -> None:
    found = LogTag.parse("production", tag)
    assert (found.sequence if found else None) == expected
    if found:
        assert log_tag("production", found.sequence, Digest.parse(f"sha256:{found.short}{'0' * 56}")) == tag


@pytest.mark.parametrize("name", ["", "-x", "a b", "x" * 101, "a.log.b", "_archive", "sha256:abc", "../x"])
def test_what_cannot_be_a_channel(name: str) -> None:
    with pytest.raises(UsageError):
        check_channel(name)
