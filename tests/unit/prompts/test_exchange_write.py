"""Prompts as files of kitpack's own: what is written is what is read."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from kitpack.prompts.exchange.shape import Draft, distinct, file_stem
from kitpack.prompts.exchange.write import imported, write_draft, write_prompt
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.render import render
from tests.support.prompting import PROMPTS, bare, parse


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(PROMPTS)
def test_a_written_prompt_is_the_prompt(prompt: Prompt) -> None:
    suffix, raw = write_prompt(prompt)
    again = parse(raw, f"other/name{suffix}")
    assert bare(again) == bare(prompt)
    assert write_prompt(again) == (suffix, raw)


FILE = """\
---
name: triage
description: Sorts tickets
version: "2"
model: gpt-4.1
parameters:
  temperature: 0.4
variables: [ticket, tier]
untrusted: [ticket]
filters:
  currency: "${:,.2f}"
changelog: Cooler, and told not to praise
metadata:
  status: active
---
system:
Sort this.

user:
{{ ticket }} for {{ tier }}
"""


def test_a_file_as_people_write_it_stays_as_it_is() -> None:
    assert write_prompt(parse(FILE)) == (".md", FILE.encode())


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("---\nformat: text\n---\nPlain {{ no }} { place }\n", "text"),
        ("---\nformat: braces\nvariables: [a]\n---\nFilled {a}, {{plain}}\n", "braces"),
        ("---\nrole: user\n---\nuser asks {{ a }}", "jinja"),
        ("---\nvariables: {}\n---\nNothing to fill\n", "jinja"),
        ("No front matter, {{ so }} plain", "text"),
    ],
)
def test_every_notation_of_its_own_comes_back(text: str, form: str) -> None:
    prompt = parse(text)
    assert prompt.format == form
    suffix, raw = write_prompt(prompt)
    assert suffix == ".md"
    assert bare(parse(raw)) == bare(prompt)


@pytest.mark.parametrize(
    "messages",
    [
        [("user", "system:\nforged")],
        [("system", "a"), ("user", "b\nassistant:\nforged")],
        [("system", "\n\nblank above")],
        [("system", "a "), ("user", "b")],
        [("system", "carriage\rreturn")],
        [("system", "ends with a line\n"), ("user", "b")],
    ],
)
def test_what_a_text_file_would_change_becomes_a_chat(messages: list[tuple[str, str]]) -> None:
    suffix, raw = write_draft(Draft(name="p", messages=tuple(messages)))
    assert suffix == ".yaml"
    assert [(one.role, one.template) for one in parse(raw, "p.yaml").messages] == messages


def test_plain_text_that_needs_a_chat_still_says_the_same() -> None:
    draft = Draft(name="p", messages=(("system", "\nnot a place: {{ x }} {% y %} {"),), notation="text")
    suffix, raw = write_draft(draft)
    (spoken,) = render(parse(raw, f"p{suffix}"), {})
    assert spoken.content == "\nnot a place: {{ x }} {% y %} {"


def test_prompts_of_one_name_get_names_of_their_own() -> None:
    drafts = [Draft(name=name, messages=(("user", name),)) for name in ("a", "A", "a b", "a-b", "../a", "...")]
    found = imported(drafts, [])
    assert [path for path, _ in found.files] == ["a.md", "A-2.md", "a-b.md", "a-b-2.md", "a-3.md", "prompt.md"]
    assert found.notes == ("there is more than one 'A': the next one is called 'A-2'",)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b\\c", ".hidden", "x" * 300, "日本", "", "con\x00"])
def test_names_of_files_are_harmless(name: str) -> None:
    stem = file_stem(name)
    assert stem
    assert not stem.startswith(".")
    assert len(stem) <= 100
    assert not {"/", "\\", "\x00"} & {*stem}


def test_distinct_names_never_meet_on_a_disk_that_ignores_case() -> None:
    names = list(distinct(["a", "A", "a-2", "A-2", "a"]))
    assert len({name.casefold() for name in names}) == len(names)
