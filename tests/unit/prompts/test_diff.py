"""Comparing versions of a prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kitpack.oci.digest import Digest
from kitpack.prompts.diff import PromptDiff, diff_prompts
from kitpack.prompts.prompt import Include, Message, Prompt
from kitpack.prompts.textdiff import LineChange
from kitpack.prompts.tokens import Count

TEXT = "Sort {{ ticket }}.\n"


def prompt(text: str = TEXT, **members: Any) -> Prompt:
    made: dict[str, Any] = {
        "name": "triage",
        "path": "prompts/triage.j2",
        "format": "jinja",
        "digest": Digest.of_bytes(text.encode()),
        "messages": (Message(role="system", template=text),),
        "variables": {"type": "object", "properties": {"ticket": {"type": "string"}}, "required": ["ticket"]},
        "declared": True,
        "source": text,
        **members,
    }
    return Prompt(**made)


def said(found: PromptDiff) -> list[tuple[str, str, object, object]]:
    return [(one.path, one.kind, one.before, one.after) for one in found.settings]


def test_nothing_differs() -> None:
    found = diff_prompts(prompt(), prompt())
    assert not found.breaks
    assert found.is_spelling
    assert (found.messages, found.variables, found.output, found.settings, found.includes, found.lines) == ((),) * 6


def test_only_how_it_is_written() -> None:
    found = diff_prompts(prompt(), replace(prompt(), source=f"---\n# a note\n---\n{TEXT}"))
    assert found.is_spelling
    assert [line.kind for line in found.lines] == ["gap", "added", "added", "added", "same"]


def test_text_is_compared_message_by_message_in_lines_of_the_file() -> None:
    before = prompt(
        messages=(Message(role="system", template="Be kind.\nBye.", line=4), Message(role="user", template="x"))
    )
    after = prompt(
        messages=(
            Message(role="system", template="Be brief.\nBye.", line=7),
            Message(role="assistant", template="y", line=10),
            Message(role="user", template="x", line=12),
        )
    )
    first, second = diff_prompts(before, after).messages
    assert (first.kind, first.role, first.role_before) == ("changed", "system", "system")
    assert first.lines == (
        LineChange("gap", "-4,2 +7,2"),
        LineChange("removed", "Be kind.", ((3, 7),)),
        LineChange("added", "Be brief.", ((3, 8),)),
        LineChange("same", "Bye."),
    )
    assert (second.kind, second.role, second.role_before) == ("added", "assistant", "")


def test_another_speaker_is_a_change() -> None:
    before, after = (prompt(messages=(Message(role=role, template="x"),)) for role in ("system", "developer"))
    (message,) = diff_prompts(before, after).messages
    assert (message.kind, message.role_before, message.role, message.lines) == ("changed", "system", "developer", ())


def test_messages_keep_their_partners_when_some_go() -> None:
    spoken = [("system", "a"), ("user", "b"), ("assistant", "c"), ("user", "d"), ("user", "e")]
    left = [("system", "a!"), ("user", "d!"), ("user", "e")]
    before, after = (
        prompt(messages=tuple(Message(role=role, template=text) for role, text in side)) for side in (spoken, left)
    )
    found = diff_prompts(before, after).messages
    assert [(one.kind, one.role) for one in found] == [
        ("changed", "system"),
        ("changed", "user"),
        ("removed", "assistant"),
        ("removed", "user"),
    ]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"model": "gpt-4o"}, ("model", "added", None, "gpt-4o")),
        ({"parameters": {"temperature": 1, "stop": ["x"]}}, ("parameters.temperature", "changed", 0.5, 1)),
        ({"untrusted": frozenset()}, ("untrusted", "removed", ["ticket"], [])),
        ({"untrusted": frozenset({"a", "ticket"})}, ("untrusted", "changed", ["ticket"], ["a", "ticket"])),
        ({"sensitive": frozenset({"ticket"})}, ("sensitive", "added", [], ["ticket"])),
        ({"tools": [{"name": "search"}]}, ("tools", "added", None, [{"name": "search"}])),
        ({"filters": {"currency": "${:,.2f}"}}, ("filters.currency", "added", None, "${:,.2f}")),
        ({"changelog": "Be kinder."}, ("changelog", "changed", "first", "Be kinder.")),
        ({"description": "Sorts."}, ("description", "added", None, "Sorts.")),
        ({"format": "text"}, ("format", "changed", "jinja", "text")),
        ({"version": "2"}, ("version", "added", None, "2")),
        ({"metadata": {"tags": ["a"]}}, ("metadata.tags", "added", None, ["a"])),
    ],
)
def test_what_the_author_says(members: dict[str, Any], expected: tuple[Any, ...]) -> None:
    base: dict[str, Any] = {
        "parameters": {"temperature": 0.5, "stop": ["x"]},
        "untrusted": frozenset({"ticket"}),
        "changelog": "first",
    }
    found = diff_prompts(prompt(**base), prompt(**(base | members)))
    assert said(found) == [expected]
    assert not found.is_spelling


def test_variables_that_callers_must_give_break_them() -> None:
    wider = {"type": "object", "properties": {"ticket": {"type": "string"}, "tone": {"type": "string"}}}
    required = diff_prompts(prompt(), prompt(variables={**wider, "required": ["ticket", "tone"]}))
    optional = diff_prompts(prompt(), prompt(variables={**wider, "required": ["ticket"]}))
    assert [(one.kind, one.breaks) for one in required.variables] == [("added", True)]
    assert [(one.kind, one.breaks) for one in optional.variables] == [("added", False)]
    assert (required.breaks, optional.breaks) == (True, False)


def test_a_new_name_breaks_callers_and_a_new_file_does_not() -> None:
    renamed = diff_prompts(prompt(), prompt(name="sort"))
    moved = diff_prompts(prompt(), prompt(path="p/triage.j2"))
    assert (renamed.breaks, renamed.name_before, renamed.is_spelling) == (True, "triage", False)
    assert (moved.breaks, moved.path_before, moved.is_spelling) == (False, "prompts/triage.j2", False)


def test_included_texts() -> None:
    def taken(text: str) -> dict[str, Include]:
        return {"tone.txt": Include(path="tone.txt", digest=Digest.of_bytes(text.encode()), text=text)}

    found = diff_prompts(prompt(includes=taken("kind\n")), prompt(includes=taken("brief\n")))
    (include,) = found.includes
    assert (include.kind, include.path) == ("changed", "tone.txt")
    assert [line.text for line in include.lines] == ["-1 +1", "kind", "brief"]
    assert [one.kind for one in diff_prompts(prompt(), prompt(includes=taken("x"))).includes] == ["added"]


class Letters:
    """Counts letters, exactly."""

    name = "letters"
    exact = True

    def count(self, text: str) -> int:
        return len(text)


def test_tokens_and_by_how_much_they_grew() -> None:
    found = diff_prompts(prompt("x" * 100), prompt("x" * 111), counters=(Letters(), Letters()))
    assert found.tokens is not None
    assert found.tokens.before == Count(tokens=100, exact=True, by="letters")
    assert (found.tokens.percent, found.grew(10), found.grew(11)) == (11.0, True, False)
    estimated = diff_prompts(prompt("a b c d"), prompt("a b")).tokens
    assert estimated is not None
    assert estimated.before is not None
    assert (estimated.before.exact, estimated.percent) == (False, -50.0)


def test_a_new_prompt_and_one_that_is_gone() -> None:
    new, gone = diff_prompts(None, prompt(model="x")), diff_prompts(prompt(model="x"), None)
    assert (new.kind, new.name_before, new.breaks, gone.kind, gone.name, gone.breaks) == (
        *("added", "", False),
        *("removed", "triage", True),
    )
    assert new.tokens is not None
    assert (new.tokens.before, new.tokens.percent, new.grew(0)) == (None, None, False)
    assert [one.kind for one in (*new.messages, *gone.messages)] == ["added", "removed"]
    assert ("model", "added", None, "x") in said(new)
    assert ("model", "removed", "x", None) in said(gone)
    with pytest.raises(ValueError):
        diff_prompts(None, None)
