"""The fingerprint: everything that has an effect changes it, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitpack.oci.digest import Digest
from kitpack.prompts.fingerprint import engine_of, fingerprint
from kitpack.prompts.parse import parse_prompt
from kitpack.prompts.prompt import Include, Message, Prompt

TEXT = b"""\
---
name: a
parameters: {temperature: 0.5, top_p: 1}
variables: [x]
filters: {f: "{}"}
---
{{ x }}"""
PROMPT = parse_prompt(TEXT, "a.md")
EMPTY = Digest.of_bytes(b"")


@pytest.mark.parametrize(
    "changed",
    [
        replace(PROMPT, messages=(Message(role="system", template="{{ x }} "),)),
        replace(PROMPT, messages=(Message(role="user", template="{{ x }}"),)),
        replace(PROMPT, format="chat"),
        replace(PROMPT, format="text"),
        replace(PROMPT, parameters={"temperature": 0.6, "top_p": 1}),
        replace(PROMPT, variables={}),
        replace(PROMPT, output={}),
        replace(PROMPT, tools=[]),
        replace(PROMPT, filters={"f": "<{}>"}),
        replace(PROMPT, includes={"b": Include(path="b", digest=EMPTY, text="")}),
    ],
)
def test_what_has_an_effect_changes_it(changed: Prompt) -> None:
    assert fingerprint(changed) != fingerprint(PROMPT)


@pytest.mark.parametrize(
    "changed",
    [
        replace(PROMPT, name="b", path="b.md", digest=EMPTY, source="", lines={}),
        replace(PROMPT, description="d", version="2", changelog="c", model="m", metadata={"a": 1}),
        replace(PROMPT, messages=(Message(role="system", template="{{ x }}", line=99),)),
        replace(PROMPT, parameters={"top_p": 1, "temperature": 0.5}),
    ],
)
def test_what_is_only_said_about_a_prompt_does_not(changed: Prompt) -> None:
    assert fingerprint(changed) == fingerprint(PROMPT)


def test_the_engine_is_named_with_its_version() -> None:
    assert engine_of(PROMPT).startswith("jinja2 3.")
    assert engine_of(replace(PROMPT, format="braces")) == "kitpack 1"
