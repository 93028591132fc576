"""Which version comes next, and what a version promises."""

from __future__ import annotations

from datetime import date

import pytest

from kitpack.errors import UsageError
from kitpack.releases.numbers import Bump, asks_for_major, highest_version, next_calver, next_version

TAGS = ["1.3.0", "1.4.0", "1.10.2", "production", "production.log.000001.0123abcd", "2026-03-15.2", "latest", "sha-1"]


@pytest.mark.parametrize(
    ("current", "taken", "bump", "expected"),
    [
        ("1.4.0", TAGS, "patch", "1.10.3"),
        ("1.4.0", TAGS, "minor", "1.11.0"),
        ("1.4.0", TAGS, "major", "2.0.0"),
        ("3.0.0", TAGS, "patch", "3.0.1"),
        ("v1.4.0", ["v1.4.0"], "minor", "v1.5.0"),
        ("1.4", [], "patch", "1.4.1"),
        ("1.5.0-rc.1", ["1.4.0"], "patch", "1.5.0"),
        ("", [], "patch", "0.0.1"),
        ("", [], "minor", "0.1.0"),
        ("", [], "major", "1.0.0"),
        ("", ["1.4.0"], "minor", "1.5.0"),
    ],
)
def test_the_next_number_is_free(current: str, taken: list[str], bump: Bump, expected: str) -> None:
    found = next_version(current, taken, bump)
    assert found == expected
    assert found not in taken


@pytest.mark.parametrize("current", ["latest", "2026-03-15.3", "1", "1.2.3.4", "1.04.0", "9" * 40 + ".0.0"])
def test_what_is_no_number_has_no_next_one(current: str) -> None:
    with pytest.raises(UsageError, match="is not counted as"):
        next_version(current, [], "patch")


@pytest.mark.parametrize(
    ("taken", "expected"), [([], "2026-03-15.1"), (TAGS, "2026-03-15.3"), (["2026-03-14.9"], "2026-03-15.1")]
)
def test_days_are_counted(taken: list[str], expected: str) -> None:
    assert next_calver(date(2026, 3, 15), taken) == expected


@pytest.mark.parametrize(
    ("below", "expected"),
    [("1.5.0", "1.4.0"), ("1.3.1", "1.3.0"), ("1.3.0", ""), ("2026-03-16.1", "2026-03-15.2"), ("", "2026-03-15.2")],
)
def test_the_version_before(below: str, expected: str) -> None:
    assert highest_version(TAGS, below=below) == expected


@pytest.mark.parametrize(
    ("before", "after", "asks"),
    [
        ("1.4.0", "1.5.0", True),
        ("1.4.0", "2.0.0", False),
        ("v1.4.0", "v2.0.0", False),
        ("0.4.0", "0.5.0", False),
        ("0.4.0", "0.4.1", True),
        ("0.4.0", "1.0.0", False),
        ("2026-03-15.1", "2026-03-16.1", True),
        ("stable", "2.0.0", True),
        ("", "", True),
    ],
)
def test_who_breaks_callers_says_so_by_the_number(before: str, after: str, asks: bool) -> None:
    assert asks_for_major(before, after) is asks
