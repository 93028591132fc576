"""Points in time as people write them, and what was live then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitpack.content.memory import Memory
from kitpack.errors import InvalidReferenceError, LogError, NotFoundError
from kitpack.releases.answer import answer_from, told
from kitpack.releases.change import promote
from kitpack.releases.home import Home
from kitpack.releases.moment import parse_moment
from kitpack.releases.writing import Author
from tests.unit.releases.bundles import push_release

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 5, 15, 12, 0, tzinfo=UTC)

MOMENTS = {
    "2026-05-15": datetime(2026, 5, 15, 21, 59, 59, 999_999, tzinfo=UTC),
    "2026-01-15": datetime(2026, 1, 15, 22, 59, 59, 999_999, tzinfo=UTC),
    "2026-03-29": datetime(2026, 3, 29, 21, 59, 59, 999_999, tzinfo=UTC),  # the day that has 23 hours
    "2026-05-15T10:00": datetime(2026, 5, 15, 8, 0, tzinfo=UTC),
    "2026-05-15 10:00": datetime(2026, 5, 15, 8, 0, tzinfo=UTC),
    "2026-05-15T10:00Z": datetime(2026, 5, 15, 10, 0, tzinfo=UTC),
    "2026-05-15T10:00:30.5+09:00": datetime(2026, 5, 15, 1, 0, 30, 500_000, tzinfo=UTC),
    "2026-05-15 10:00 -0330": datetime(2026, 5, 15, 13, 30, tzinfo=UTC),
    "2026-02-15T10:00": datetime(2026, 2, 15, 9, 0, tzinfo=UTC),
    "3 days ago": NOW - timedelta(days=3),
    "1 day ago": NOW - timedelta(days=1),
    "  90   minutes ago ": NOW - timedelta(minutes=90),
    "2 Weeks Ago": NOW - timedelta(weeks=2),
    "now": NOW,
    "yesterday": datetime(2026, 5, 14, 21, 59, 59, 999_999, tzinfo=UTC),
}


@pytest.mark.parametrize("text", MOMENTS)
def test_what_people_write(text: str) -> None:
    assert parse_moment(text, NOW, BERLIN).at == MOMENTS[text]


@pytest.mark.parametrize(("text", "back"), [("-1", 1), ("-0", 0), ("-12", 12)])
def test_changes_are_counted_back(text: str, back: int) -> None:
    found = parse_moment(text, NOW)
    assert (found.at, found.back) == (None, back)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1",
        "--1",
        "-99999",
        "tomorrow",
        "last week",
        "2026-13-01",
        "2026-02-30",
        "2026-05-15T25:00",
        "2026-05-15T10:00+99:00",
        "15.05.2026",
        "05/15/2026",
        "three days ago",
        "3 fortnights ago",
        "999999 years ago",
        "9999999 days ago",
        "-1 days ago",
        "\u0663 days ago",
        "2026-05-15; rm -rf /",
        "0001-01-01",
        "x" * 100_000,
    ],
)
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(InvalidReferenceError):
        parse_moment(text, NOW, BERLIN)


@given(st.text(max_size=40) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(Z|[+-][0-9]{4})?)?"))
@settings(max_examples=200, deadline=None)
def test_nothing_else_is_ever_raised(text: str) -> None:
    try:
        found = parse_moment(text, NOW, BERLIN)
    except InvalidReferenceError:
        return
    assert found.at is None or found.at.tzinfo is UTC


def _same(when: datetime) -> datetime:
    return when


@pytest.fixture
def home() -> Home:
    """1.0.0 at noon of the 13th, 1.1.0 in the morning and 1.2.0 in the evening of the 14th, all in Berlin."""
    home = Home(target=Memory(), label="assistant")
    for version, day, hour in (("1.0.0", 13, 12), ("1.1.0", 14, 8), ("1.2.0", 14, 20)):
        push_release(home.target, version)
        when = datetime(2026, 5, day, hour, tzinfo=BERLIN)
        promote(home, version, "production", Author(actor="ann", clock=partial(_same, when)))
    return home


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2026-05-13", "1.0.0"),
        ("2026-05-13T12:00", "1.0.0"),
        ("2026-05-14T07:59:59", "1.0.0"),
        ("2026-05-14T08:00", "1.1.0"),
        ("2026-05-14T18:00Z", "1.2.0"),
        ("2026-05-14", "1.2.0"),
        ("2030-01-01", "1.2.0"),
        ("-0", "1.2.0"),
        ("-1", "1.1.0"),
        ("-2", "1.0.0"),
    ],
)
def test_what_was_live(home: Home, text: str, version: str) -> None:
    answered = answer_from(home, "production", parse_moment(text, NOW, BERLIN), None)
    assert answered.record.target_version == version


def test_a_day_with_several_answers_says_so(home: Home) -> None:
    answered = answer_from(home, "production", parse_moment("2026-05-14", NOW, BERLIN), None)
    words = told(answered, "assistant:production@{2026-05-14}", BERLIN)
    assert "record 3, promote by ann on 2026-05-14 20:00:00 CEST" in words
    assert "it changed 2 times on that day, this is its end" in words


@pytest.mark.parametrize("text", ["2026-05-13T11:59", "2020-01-01", "-3"])
def test_before_the_log_begins(home: Home, text: str) -> None:
    with pytest.raises(NotFoundError, match=r"nothing was live at assistant:production@\{.*its log begins on"):
        answer_from(home, "production", parse_moment(text, NOW, BERLIN), None)


def test_a_channel_without_a_log(home: Home) -> None:
    with pytest.raises(NotFoundError, match="it has no release log"):
        answer_from(home, "staging", parse_moment("now", NOW), None)


def test_a_broken_log_answers_nothing(home: Home) -> None:
    home.remove(next(iter(home.tags("production.log.000002."))))
    with pytest.raises(LogError, match="record 2 is missing"):
        answer_from(home, "production", parse_moment("2026-05-14T10:00", NOW, BERLIN), None)
