"""Lint with the version before in mind: changelog, callers, tokens."""

from __future__ import annotations

import pytest

from kitpack.prompts.tokens import estimate
from tests.support.linting import found, prompt_of, rules_of

BEFORE = """---
name: triage
changelog: The first one.
variables: {ticket: {type: string}, tier: {type: string}}
output: {type: object, properties: {severity: {type: integer}}, required: [severity]}
untrusted: [ticket]
---
system:
Sort tickets of {{ tier }} customers. One sentence more, so that there is something to grow from.
user:
{{ ticket }}
"""
PREVIOUS = prompt_of(BEFORE)


def changed(changelog: str, old: str = "Sort", new: str = "Order") -> str:
    return BEFORE.replace("The first one.", changelog).replace(old, new)


def test_nothing_is_asked_of_a_prompt_that_stayed() -> None:
    assert rules_of(BEFORE, previous=PREVIOUS, counter=estimate()) == []
    assert (
        rules_of(BEFORE.replace("name: triage\n", "name: triage\ndescription: New words.\n"), previous=PREVIOUS) == []
    )


def test_nothing_is_asked_of_a_first_version() -> None:
    assert rules_of(changed("")) == []


@pytest.mark.parametrize(
    "changelog",
    [
        "",
        "update",
        "Updated.",
        "fix",
        "Fixed",
        "bugfix",
        ".",
        "...",
        "-",
        "changes",
        "Minor changes.",
        "Small tweaks",
        "wip",
        "TODO",
        "n/a",
        "none",
        "v2",
        "1.4.0",
        "Update prompt",
        "Fixed the prompt",
        "improved wording",
        "test",
        "The first one.",
        "misc",
        "new version",
        "Edited the text",
    ],
)
def test_a_change_needs_a_reason(changelog: str) -> None:
    one = found(changed(f"'{changelog}'"), "prompt-changelog-missing", previous=PREVIOUS)
    assert (one.line, one.severity) == (3, "error")


def test_a_missing_changelog_is_told_at_the_head() -> None:
    text = changed("").replace("changelog: \n", "")
    assert found(text, "prompt-changelog-missing", previous=PREVIOUS).line == 2


@pytest.mark.parametrize(
    "changelog",
    [
        "Gold customers come first.",
        "Fixed the order of severities.",
        "Says please.",
        "Kürzer.",
        "日本語の指示を追加",
        "Update the severity scale to 1-5",
        "Tests showed that it obeyed tickets",
        "Removes a contradiction",
    ],
)
def test_a_reason_is_enough(changelog: str) -> None:
    assert rules_of(changed(f"'{changelog}'"), previous=PREVIOUS) == []


@pytest.mark.parametrize(
    ("old", "new", "said", "line"),
    [
        ("tier: {type: string}", "tier: {type: integer}", "Shorter.", 4),
        ("tier: {type: string}", "tier: {type: string}, region: {}", "Shorter.", 4),
        ("severity: {type: integer}", "severity: {type: string}", "Shorter.", 5),
    ],
)
def test_callers_that_break_are_told(old: str, new: str, said: str, line: int) -> None:
    body = "{{ tier }}{{ region }}" if "region" in new else "{{ tier }}"
    text = changed(said, old, new).replace("{{ tier }}", body)
    one = found(text, "prompt-breaking-change", previous=PREVIOUS)
    assert (one.line, one.severity) == (line, "warning")


@pytest.mark.parametrize("said", ["BREAKING: other types.", "tier is a number now.", "Breaks old callers."])
def test_a_break_that_is_named_is_fine(said: str) -> None:
    text = changed(f"'{said}'", "tier: {type: string}", "tier: {type: integer}")
    assert "breaking-change" not in rules_of(text, previous=PREVIOUS)


def test_an_optional_variable_more_breaks_nobody() -> None:
    text = changed("Knows regions.", "tier: {type: string}", "tier: {type: string}, region: {default: EU}")
    assert rules_of(text.replace("{{ tier }}", "{{ tier }} {{ region }}"), previous=PREVIOUS) == []


def test_growth_is_measured_in_tokens() -> None:
    longer = changed("Says more.", "One sentence more", "Many a sentence more, and then some of them again, and again")
    one = found(longer, "prompt-token-growth", previous=PREVIOUS, counter=estimate())
    assert "% more than before (estimate)" in one.message
    assert one.severity == "warning"
    assert rules_of(longer, previous=PREVIOUS, counter=estimate(), growth=500.0) == []
    assert rules_of(longer, previous=PREVIOUS) == []
