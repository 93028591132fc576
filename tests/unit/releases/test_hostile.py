"""Logs that somebody wrote who wants to stop or to mislead those who release: each has its name, and a way out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kitpack import places, releasing
from kitpack.content.memory import Memory
from kitpack.content.store.layout import Layout
from kitpack.content.target import opener_of
from kitpack.errors import InvalidManifestError, LogError, NotFoundError, ReleaseError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import EMPTY_CONFIG
from kitpack.releases.answer import answer_from
from kitpack.releases.chain import Pin
from kitpack.releases.change import promote, rollback, route
from kitpack.releases.home import Home
from kitpack.releases.log import LEAP, read_last, read_log
from kitpack.releases.moment import parse_moment
from kitpack.releases.pins import load_pin, save_pin
from kitpack.releases.record import EMPTY, MAX_SEQUENCE, Record, Route, encode_record, log_tag, parse_record
from kitpack.releases.status import archive
from kitpack.releases.watch import Watch
from kitpack.releases.writing import Author
from tests.support.registry import settings_in
from tests.unit.releases.bundles import push_release, release_of

NOW = datetime(2026, 5, 15, tzinfo=UTC)
ANN = Author(actor="ann", clock=lambda: NOW, pause=lambda _: None)
VERSIONS = ("1.0.0", "1.1.0", "1.2.0", "1.3.0")


class _Counting(Memory):
    """A place that counts what is read from it by name or digest."""

    def __init__(self) -> None:
        super().__init__()
        self.resolved = 0

    def resolve(self, reference: str) -> Descriptor:
        self.resolved += 1
        return super().resolve(reference)


@pytest.fixture
def home() -> Home:
    """A channel with three records."""
    home = Home(target=_Counting(), label="assistant")
    for version in VERSIONS:
        push_release(home.target, version)
    for version in VERSIONS[:3]:
        promote(home, version, "production", ANN)
    return home


def _last(home: Home) -> Record:
    head = read_log(home, "production").head
    assert head is not None
    return head


def _forge(home: Home, version: str = "1.3.0", **facts: object) -> Record:
    """Write a record as somebody would who may write to the registry, and move the tag as it says."""
    last, bundle = _last(home), release_of(version)
    record = replace(
        last, sequence=last.sequence + 1, previous=last.digest, source=last.target, target=bundle.digest, actor="eve"
    )
    record = replace(record, target_version=version, **facts)  # type: ignore[arg-type]
    home.target.push(Descriptor.of_bytes(EMPTY_CONFIG, EMPTY), opener_of(EMPTY))
    manifest = encode_record(record, bundle)
    home.write(manifest, log_tag(record.channel, record.sequence, manifest.digest))
    return replace(record, digest=manifest.digest)


def _moved(home: Home, version: str = "1.3.0") -> None:
    home.target.tag(home.target.resolve(version), "production")


def _tag_garbage(home: Home, sequence: int) -> None:
    home.target.tag(home.target.resolve("1.0.0"), f"production.log.{sequence:06d}.deadbeef")


def _kinds(home: Home) -> list[str]:
    return [one.kind for one in read_log(home, "production").breaks]


@pytest.mark.parametrize("sequence", [LEAP + 100, 5_000_000, MAX_SEQUENCE])
def test_a_number_far_beyond_all_others_stops_nobody(home: Home, sequence: int) -> None:
    _tag_garbage(home, sequence)
    _forge(home, sequence=sequence)
    assert rollback(home, "production", ANN).record.sequence == 4
    assert promote(home, "1.3.0", "production", ANN).record.sequence == 5
    assert _kinds(home) == ["stray", "stray"]
    assert "may be removed" in read_log(home, "production").breaks[0].text
    assert Watch(home, "production").look().fault == ""
    assert answer_from(home, "production", parse_moment("-1", NOW), None).record.sequence == 4


def test_the_first_record_of_a_channel_may_be_a_stray(home: Home) -> None:
    home.target.tag(home.target.resolve("1.0.0"), f"staging.log.{MAX_SEQUENCE}.deadbeef")
    assert promote(home, "1.0.0", "staging", ANN).record.sequence == 1
    assert read_log(home, "staging").live == release_of("1.0.0").digest


def test_a_number_within_reach_leaves_room(home: Home) -> None:
    _tag_garbage(home, 999_999)
    with pytest.raises(LogError, match=r"999999\.deadbeef of assistant cannot be read"):
        rollback(home, "production", ANN)
    forced = replace(ANN, force=True)
    assert rollback(home, "production", forced).record.sequence == 1_000_000
    assert rollback(home, "production", ANN).record.sequence == 1_000_001
    assert "damaged" in _kinds(home)
    assert Watch(home, "production").look().fault == ""


def test_when_all_numbers_are_taken_that_is_said(home: Home) -> None:
    for sequence in range(LEAP, MAX_SEQUENCE, LEAP):
        _tag_garbage(home, sequence)
    _tag_garbage(home, MAX_SEQUENCE)
    with pytest.raises(LogError, match="takes the last number") as refused:
        rollback(home, "production", replace(ANN, force=True))
    assert "a channel of another name" in refused.value.hint
    assert read_log(home, "production").tagged == release_of("1.2.0").digest


def test_many_records_with_one_number_cost_little(home: Home) -> None:
    for number in range(100):
        _forge(home, sequence=3, previous=None, reason=str(number))
    assert isinstance(home.target, _Counting)
    home.target.resolved = 0
    rollback(home, "production", replace(ANN, force=True))
    assert home.target.resolved < 200, "five looks at 32 records, and not at a hundred"


def test_a_time_far_ahead_is_not_handed_on(home: Home) -> None:
    _forge(home, time=datetime(2090, 1, 1, tzinfo=UTC))
    _moved(home)
    later = NOW + timedelta(hours=1)
    assert rollback(home, "production", replace(ANN, clock=lambda: later)).record.time == later
    assert _kinds(home) == ["inconsistent"]
    live = answer_from(home, "production", parse_moment("now", later), None).record
    assert (live.sequence, live.target_version) == (5, "1.1.0")
    assert answer_from(home, "production", parse_moment("-1", later), None).record.sequence == 4
    with pytest.raises(LogError, match="earlier than the one before"):
        answer_from(home, "production", parse_moment("30 minutes ago", later), None)


def test_a_clock_that_stands_still_does_not_turn_time_back(home: Home) -> None:
    slow = replace(ANN, clock=lambda: datetime(1970, 1, 2, tzinfo=UTC))
    assert rollback(home, "production", slow).record.time == NOW
    assert _kinds(home) == []


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+23:00"])
def test_times_that_no_clock_can_show(home: Home, time: str) -> None:
    record = encode_record(_last(home), release_of("1.2.0"))
    annotations = {**record.annotations, "io.kitpack.release.time": time}
    with pytest.raises(InvalidManifestError, match="cannot be read"):
        parse_record(replace(record, annotations=annotations))


@pytest.mark.parametrize("name", ["record", "nothing"])
def test_what_a_forged_record_goes_back_to(home: Home, name: str) -> None:
    goal = _last(home).digest if name == "record" else Digest.of_bytes(b"nothing")
    assert goal is not None
    _forge(home, undo=(goal,))
    _moved(home)
    with pytest.raises((ReleaseError, NotFoundError)) as refused:
        rollback(home, "production", ANN)
    assert refused.value.message.startswith(str(goal))
    assert home.read("production").digest == release_of("1.3.0").digest
    assert rollback(home, "production", ANN, to="1.0.0").record.target_version == "1.0.0"


def test_a_record_is_no_release(home: Home) -> None:
    tag = next(iter(home.tags("production.log.000001.")))
    with pytest.raises(ReleaseError, match="not a release"):
        promote(home, tag, "staging", ANN)
    assert list(home.tags("staging")) == []


def test_a_rollback_restores_nothing_that_is_archived(home: Home) -> None:
    archive(home, "1.1.0", ANN)
    done = rollback(home, "production", ANN)
    assert done.record.target_version == "1.0.0"
    assert done.notes == (f"{release_of('1.1.0').digest} is passed over, as it is archived",)
    with pytest.raises(NotFoundError, match="nothing served"):
        rollback(home, "production", ANN)


def test_two_changes_of_routes_at_once_keep_both(home: Home) -> None:
    first, second = (Route(digest=release_of(one).digest, percent=5, salt="s") for one in ("1.0.0", "1.3.0"))
    raced = False

    def change(before: tuple[Route, ...]) -> tuple[Route, ...]:
        return (*before, second)

    class Racing(_Counting):
        """Somebody else adds a route just before tags are listed."""

        def tags(self) -> Iterator[str]:
            nonlocal raced
            if not raced:
                raced = True
                route(home, "production", ANN, lambda before: (*before, first))
            return home.target.tags()  # type: ignore[attr-defined,no-any-return]

    racing = Racing()
    racing.__dict__.update({**home.target.__dict__})
    done = route(replace(home, target=racing), "production", ANN, change)
    assert done.record.routes == (first, second)


@pytest.mark.parametrize(
    ("percents", "refused"), [((33.33, 33.33, 33.34), False), ((50, 50.01), True), ((0.004,), True)]
)
def test_percents_are_what_users_get(home: Home, percents: tuple[float, ...], *, refused: bool) -> None:
    parts = tuple(Route(digest=release_of(VERSIONS[n]).digest, percent=one) for n, one in enumerate(percents))
    if refused:
        with pytest.raises(ReleaseError, match="percent"):
            route(home, "production", ANN, lambda _: parts)
    else:
        assert route(home, "production", ANN, lambda _: parts).record.routes == parts


def test_a_registry_from_a_backup_is_believed_once_somebody_says_so(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    for version in VERSIONS:
        push_release(Layout(tmp_path / "usb"), version)
    reference = f"oci:{tmp_path / 'usb'}"
    for version in VERSIONS:
        releasing.promote(f"{reference}:{version}", "production", settings=settings)
    home, _ = places.find_home(f"{reference}:production", settings)
    for sequence in (3, 4):
        home.remove(next(iter(home.tags(f"production.log.{sequence:06d}."))))
    home.target.tag(home.target.resolve("1.1.0"), "production")
    with pytest.raises(LogError, match="cut off or rewritten"):
        releasing.rollback(f"{reference}:production", settings=settings)
    releasing.rollback(f"{reference}:production", force=True, settings=settings)
    assert not releasing.history(f"{reference}:production", settings=settings).breaks
    releasing.promote(f"{reference}:1.3.0", "production", settings=settings)


def test_places_that_are_called_alike_have_pins_of_their_own(tmp_path: Path) -> None:
    homes = [
        Home(target=Memory(), label="localhost:5000/bot"),
        Home(target=Layout(tmp_path / "store"), prefix="localhost:5000/bot:", label="localhost:5000/bot"),
        Home(target=Layout(tmp_path / "a"), label="oci:usb"),
        Home(target=Layout(tmp_path / "b"), label="oci:usb"),
    ]
    for number, home in enumerate(homes, 1):
        save_pin(tmp_path / "pins", home, "production", Pin(sequence=number, digest=Digest.of_bytes(b"")))
    found = [load_pin(tmp_path / "pins", home, "production") for home in homes]
    assert [one.sequence for one in found if one] == [1, 2, 3, 4]


# Only the end of a log is read when that proves the answer.


@pytest.fixture
def long_log(home: Home) -> Home:
    """Two hundred records, one for each minute."""
    for number in range(197):
        clock = replace(ANN, clock=lambda number=number: NOW + timedelta(minutes=number))  # type: ignore[misc]
        promote(home, VERSIONS[number % 2], "production", clock)
    return home


@pytest.mark.parametrize(
    ("moment", "sequence", "most"),
    [("-0", 200, 20), ("-1", 199, 20), ("-100", 100, 120), ("2026-05-15T03:10Z", 194, 20)],
)
def test_a_moment_costs_what_lies_behind_it(long_log: Home, moment: str, sequence: int, most: int) -> None:
    assert isinstance(long_log.target, _Counting)
    long_log.target.resolved = 0
    assert answer_from(long_log, "production", parse_moment(moment, NOW), None).record.sequence == sequence
    assert long_log.target.resolved < most * 2


@pytest.mark.parametrize("limit", [1, 16, 17, 40, 199, 200, 500])
def test_the_last_records_are_those_of_the_whole_log(long_log: Home, limit: int) -> None:
    whole, last = read_log(long_log, "production"), read_last(long_log, "production", limit)
    assert last.records[-limit:] == whole.records[-limit:]
    assert (last.live, last.tagged, last.breaks) == (whole.live, whole.tagged, ())
    assert last.is_whole == (limit >= 200)


@pytest.mark.parametrize(("damaged", "moment", "fails"), [(150, "-30", False), (150, "-60", True), (200, "-1", True)])
def test_a_break_is_named_when_it_touches_the_answer(long_log: Home, damaged: int, moment: str, *, fails: bool) -> None:
    tag = next(iter(long_log.tags(f"production.log.{damaged:06d}.")))
    long_log.target.tag(long_log.target.resolve("1.0.0"), tag)
    asked = parse_moment(moment, NOW)
    if fails:
        with pytest.raises(LogError, match="so what was live at"):
            answer_from(long_log, "production", asked, None)
    else:
        assert answer_from(long_log, "production", asked, None).record.sequence == 170


def test_a_part_that_begins_with_no_move_is_no_contradiction(home: Home) -> None:
    for number in range(40):
        part = Route(digest=release_of("1.0.0").digest, percent=number + 1)
        route(home, "production", ANN, lambda _, part=part: (part,))  # type: ignore[misc]
        if number % 7 == 0:
            promote(home, VERSIONS[number // 7 % 2], "production", ANN)
    for limit in range(1, 40):
        assert read_last(home, "production", limit).breaks == ()
