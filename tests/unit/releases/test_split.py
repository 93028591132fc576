"""Who gets which release: the vectors that other languages must reproduce, and what a rollout promises its users."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kitpack
from kitpack.oci.digest import Digest
from kitpack.releases.record import Route
from kitpack.releases.split import PLACES, place_of, route_of

USERS = [f"user-{number}" for number in range(20_000)]

PLACES_OF = [
    ("user-1", "", 62),
    ("user-1", "a1b2c3d4e5f60718", 6704),
    ("user-2", "a1b2c3d4e5f60718", 5940),
    ("", "a1b2c3d4e5f60718", 6998),
    ("", "", 4304),
    ("Jürgen", "a1b2c3d4e5f60718", 2025),
    ("利用者", "rollout-7", 4885),
    ("b", "a", 3503),
    ("", "ab", 5883),
]
"""Key, salt, place; reckoned by hand from the algorithm as it is documented, not by the code."""

AT = {place_of(f"key-{number}", "s"): f"key-{number}" for number in range(120_000)}
"""Somebody at (nearly) every place."""


def route(name: str, percent: float, *, salt: str = "s", shadow: bool = False) -> Route:
    return Route(digest=Digest.of_bytes(name.encode()), version=name, percent=percent, salt=salt, shadow=shadow)


def taken(key: str, *routes: Route) -> str:
    found = route_of(key, routes)
    return found.version if found else "stable"


@pytest.mark.parametrize(("key", "salt", "place"), PLACES_OF)
def test_the_vectors(key: str, salt: str, place: int) -> None:
    assert place_of(key, salt) == place


def test_the_front_door_has_it() -> None:
    assert kitpack.split is route_of


def test_places_are_spread_evenly() -> None:
    counts = [0] * 20
    for user in USERS:
        counts[place_of(user, "even") * 20 // PLACES] += 1
    expected = len(USERS) / 20
    chi_squared = sum((count - expected) ** 2 / expected for count in counts)
    assert chi_squared < 43.8  # 19 degrees of freedom: one in a thousand is beyond


@pytest.mark.parametrize(("percent", "places"), [(0, 0), (0.004, 0), (0.005, 1), (0.01, 1), (10, 1000), (100, PLACES)])
def test_a_percentage_is_so_many_places(percent: float, places: int) -> None:
    around = {0, places - 1, places, PLACES - 1} & {*range(PLACES)}
    assert around <= {*AT}
    for place in around:
        assert (taken(AT[place], route("new", percent)) == "new") == (place < places)


@given(st.text(), st.floats(0, 100), st.floats(0, 100), st.text(max_size=20))
def test_ramping_up_takes_nothing_from_anybody(key: str, one: float, other: float, salt: str) -> None:
    less, more = sorted([one, other])
    if taken(key, route("new", less, salt=salt)) == "new":
        assert taken(key, route("new", more, salt=salt)) == "new"
    assert taken(key, route("new", 100, salt=salt)) == "new"
    assert taken(key, route("new", 0, salt=salt)) == "stable"


def test_a_salt_of_its_own_chooses_other_users() -> None:
    first = {user for user in USERS if taken(user, route("new", 10, salt="one")) == "new"}
    second = {user for user in USERS if taken(user, route("new", 10, salt="two")) == "new"}
    assert abs(len(first) - 2000) < 150
    assert abs(len(first & second) - 200) < 60  # a tenth of a tenth: no connection


def test_routes_stand_side_by_side_and_shadows_take_nobody() -> None:
    routes = [route("a", 10), route("dark", 50, shadow=True), route("b", 20)]
    counts = {name: sum(taken(user, *routes) == name for user in USERS) for name in ("a", "b", "dark", "stable")}
    assert counts["dark"] == 0
    assert abs(counts["a"] - 2000) < 150
    assert abs(counts["b"] - 4000) < 200
    assert sum(counts.values()) == len(USERS)


def test_a_key_that_is_no_proper_text_is_as_good_as_another() -> None:
    assert 0 <= place_of("\ud800", "s") < PLACES
