"""Counting a prompt, and the estimate that says it is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitpack.oci.digest import Digest
from kitpack.prompts.prompt import Include, Message, Prompt
from kitpack.prompts.tokens import Count, count_prompt, estimate

ENGLISH = (
    "You are the support assistant of a maker of routers. Read the ticket, decide how urgent it is, and answer in "
    "at most three sentences. Never promise a refund, never mention internal systems, and ask for the serial number "
    "of the device when the customer has not given it."
)
CODE = (
    "def render(self, values: dict[str, int]) -> str:\n"
    "    lines = [f'{key}: {value}' for key, value in sorted(values.items())]\n"
    "    return '\\n'.join(lines)\n"
)


class Letters:
    """Counts characters, and calls that exact."""

    name = "letters"
    exact = True

    def count(self, text: str) -> int:
        return len(text)


def prompt(*templates: str, **includes: str) -> Prompt:
    return Prompt(
        name="p",
        path="p.md",
        format="jinja",
        digest=Digest.of_bytes(b""),
        messages=tuple(Message(role="user", template=text) for text in templates),
        includes={n: Include(path=n, digest=Digest.of_bytes(t.encode()), text=t) for n, t in includes.items()},
    )


def test_all_messages_and_each_include_are_counted_as_written() -> None:
    assert count_prompt(prompt("abc", "{{ x }}", house="12345"), Letters()) == Count(
        tokens=15, exact=True, by="letters"
    )


def test_an_estimate_is_never_called_exact_and_says_why() -> None:
    count = count_prompt(prompt(ENGLISH), estimate("the bundle has no tokenizer"))
    assert not count.exact
    assert count.by == "estimate: the bundle has no tokenizer"
    assert str(count).startswith("~")
    assert str(count_prompt(prompt("abc"), Letters())) == "3"
    assert estimate().name == "estimate"


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        (ENGLISH, 48, 62),
        (CODE, 48, 75),
        ("日本語のテキストと中文测试。", 10, 18),
        ("Привет мир, как дела?", 6, 12),
        ("1234567890" * 10, 34, 100),  # three digits at a time, or one
        ("", 0, 0),
        ("   ", 1, 1),
        ("🙂", 1, 3),
    ],
)
def test_the_estimate_is_near_what_models_count(text: str, least: int, most: int) -> None:
    assert least <= estimate().count(text) <= most


@given(st.text(max_size=200), st.text(max_size=200))
def test_more_text_is_never_much_less(one: str, other: str) -> None:
    counter = estimate()
    assert counter.count(one) <= counter.count(one + " " + other) + 2
    assert counter.count(one) <= 2 * len(one)


def test_no_text_takes_long() -> None:
    for text in ("a" * 10**6, "aA" * 10**5, " \t" * 10**5, "\n \t" * 10**5, "é" * 10**6, "_" * 10**6):
        assert estimate().count(text) > 0
