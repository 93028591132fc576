"""Which words of changed lines have changed."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitpack.prompts.matching import Patience
from kitpack.prompts.textdiff import diff_lines
from kitpack.prompts.worddiff import Spans, changed_words

PLENTY = 1_000_000


def marked(line: str, spans: Spans) -> str:
    """The line with brackets around what is marked."""
    for start, end in reversed(spans):
        line = f"{line[:start]}[{line[start:end]}]{line[end:]}"
    return line


def compared(old: str, new: str) -> tuple[str, str]:
    lines = old.split("\n"), new.split("\n")
    spans = changed_words(*lines, Patience(PLENTY))
    before, after = (
        "\n".join(marked(*one) for one in zip(side, found, strict=True))
        for side, found in zip(lines, spans, strict=True)
    )
    return before, after


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Answer {{ [name] }} briefly.", "Answer {{ [customer] }} briefly."),
        ("a question is [always] severity 4", "a question is severity 4"),
        ("temperature: [0.2]", "temperature: [0.25]"),
        ("one line that ends in [a full stop]", "one line that ends in [an exclamation mark]"),
        ("Be brief and kind to people.", "Be brief[, friendly] and kind to people."),
        ("wrapped text of one\nparagraph in two lines", "wrapped text\nof one paragraph in two [short] lines"),
        ("trailing space", "trailing space[ ]"),
        ("\tindented by something", "[    ]indented by something"),
        ("请用[中]文回答这个问题", "请用[英]文回答这个问题"),
        ("all other words here", "nothing shared at whatever"),
        ("same words", "same words"),
        ("the quick brown fox\nthe lazy dog", "the quick [red] fox\nthe lazy dog"),
        ("kept kept kept cafe\u0301", "kept kept kept [te\u0301]"),
    ],
)
def test_what_is_marked(old: str, new: str) -> None:
    if old.startswith("the quick"):
        old = old.replace("brown", "[brown]")
    if old.startswith("kept"):
        old = old.replace("cafe\u0301", "[cafe\u0301]")
    if old.startswith("\t"):
        old = old.replace("\t", "[\t]")
    plain = [side.replace("[", "").replace("]", "") for side in (old, new)]
    assert compared(*plain) == (old, new)


@given(st.lists(st.text("ab ,é\u0301", max_size=12), max_size=5), st.lists(st.text("ab ,中", max_size=12), max_size=5))
def test_marks_stay_inside_of_lines_and_apart_from_each_other(old: list[str], new: list[str]) -> None:
    for lines, found in zip((old, new), changed_words(old, new, Patience(PLENTY)), strict=True):
        for line, spans in zip(lines, found, strict=True):
            edges = [0, *(edge for span in spans for edge in span), len(line)]
            assert edges == sorted(edges)
            assert all(start < end for start, end in spans)


@given(st.text("ab \n", max_size=40), st.text("ab \n", max_size=40))
def test_only_lines_that_changed_have_marks(old: str, new: str) -> None:
    assert all(not line.spans for line in diff_lines(old, new) if line.kind in ("same", "gap"))


def test_patience_ends_and_nothing_is_marked() -> None:
    words = [" ".join(random.Random(seed).choices("abcdefgh", k=3000)) for seed in (1, 2)]
    started = time.process_time()
    assert changed_words([words[0]], [words[1]], Patience(100)) == ([()], [()])
    diff_lines(*(f"{word} {word}\n" * 200 for word in words))
    assert time.process_time() - started < 10
