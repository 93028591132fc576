"""How much work a pattern can be: those that people write are tried, those that take for ever are not."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitpack.document.patterns import is_doubtful, work_of

USUAL = [
    r"^[^@]+@[^@]+\.[^@]+$",
    r"^[\w.+-]{1,64}@[\w-]{1,63}(\.[\w-]{2,63}){1,3}$",
    r"^\s*\w+\s*=\s*\w+\s*$",
    r"^(\d{1,3}\.){3}\d{1,3}$",
    r"^https?://[^/\s]+(/\S*)?$",
    r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}$",
    r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})?)?$",
    r"^v?\d+\.\d+\.\d+(-[a-z0-9.]+)?(\+[a-z0-9.]+)?$",
    r"^(low|medium|high)$",
    r"^\+?[0-9 ()-]{6,20}$",
    r"^[A-Z][a-z]+( [A-Z][a-z]+)?$",
    r"^.*foo.*$",
    r"(?i)^ticket-\d+$",
    r"\S",
    ".+",
    "foo",
    "",
]
ENDLESS = [
    r"^(a+)+$",
    r"^(a|aa)+$",
    r"^(a|b|ab)*c",
    r"^([a-z]{1,99}){1,99}$",
    r"^(\w+\s?)*$",
    r"(.*)\1$",
    r"(?P<x>.*)(?P=x)$",
    "a?" * 30 + "a" * 30,
    "(a?){40}a{40}",
    "(?i)" + "a*A*" * 4 + "x",
    "^.*.*.*.*.*.*.*.*x$",
    "^(?:a*){6}b",
    "^" + "a{0,99}" * 6 + "b",
    "(?=(a+)+$)x",
    r"^(.|\n)*x",
]


@pytest.mark.parametrize("pattern", USUAL)
def test_what_people_write_is_matched_with_texts_of_some_length(pattern: str) -> None:
    assert work_of(pattern).fits(10_000)


@pytest.mark.parametrize("pattern", ENDLESS)
def test_what_takes_for_ever_is_not_tried(pattern: str) -> None:
    assert not work_of(pattern).fits(100)


@pytest.mark.parametrize(
    "pattern", [r"\d+x", "x*x*y", "^.*.*.*x$", "(?:a*){3}b", "a?" * 12 + "a" * 12 + "b", r"\s*\s*$x"]
)
def test_what_fits_takes_seconds_at_the_most(pattern: str) -> None:
    longest = next(length for length in (5000, 1000, 300, 100, 30, 10) if work_of(pattern).fits(length))
    began = time.monotonic()
    for sign in "ax1 ":
        re.search(pattern, sign * longest)
    assert time.monotonic() - began < 20


@pytest.mark.filterwarnings("ignore::FutureWarning")  # Python warns of patterns like [[
@given(st.text(alphabet="ab.*+?|()[]{}^$\\\\1,2-", max_size=14), st.text(alphabet="ab", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_pattern_that_compiles_can_be_judged_and_then_tried(pattern: str, text: str) -> None:
    if is_doubtful(pattern):
        return
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError):
        return
    if work_of(pattern).fits(len(text)):
        began = time.monotonic()
        compiled.search(text)
        assert time.monotonic() - began < 20
