"""Prompts for tests that exchange them: made from files, compared, and invented by hypothesis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from kitpack.errors import NotFoundError
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.prompts.exchange.shape import Draft
from kitpack.prompts.exchange.write import write_draft
from kitpack.prompts.parse import parse_prompt
from kitpack.prompts.prompt import Prompt

__all__ = ["PROMPTS", "bare", "parse", "parse_files"]

NOWHERE = Digest.of_bytes(b"")


def parse(raw: bytes | str, path: str = "prompts/p.md", files: Mapping[str, bytes] | None = None) -> Prompt:
    """Read a prompt whose includes are among some files."""

    def read(wanted: str) -> bytes:
        if files is None or wanted not in files:
            raise NotFoundError(f"there is no {wanted}")
        return files[wanted]

    return parse_prompt(raw.encode() if isinstance(raw, str) else raw, path, read=read)


def parse_files(files: tuple[tuple[str, bytes], ...], prompts: tuple[str, ...]) -> dict[str, Prompt]:
    """Read prompts among files, by name."""
    known = dict(files)
    found = [parse(known[path], path, known) for path in prompts]
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def bare(prompt: Prompt) -> Prompt:
    """A prompt without what depends on its file: path and digest; a chat is Jinja in another file."""
    form = "jinja" if prompt.format in ("chat", "prompty") else prompt.format
    return replace(prompt, path="", digest=NOWHERE, format=form)


_WORD = st.text(alphabet="abcXYZ éß中😀-_.:#'\"{}%", min_size=1, max_size=12)
_TEXT = st.text(alphabet="ab {}%#\n\r\t\\-:~|é", max_size=20) | st.sampled_from(
    ["user:", "system: \nx", "a\n\nuser:\nb", "\n\nx", "x\n", "x \n", " x", "---\nx", "{{", "{%", "{{{", "\xa0x\xa0"]
)
_SCALAR = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from([0.5, 1e-7, 1e16]) | _WORD
_JSON = st.recursive(
    _SCALAR, lambda one: st.lists(one, max_size=3) | st.dictionaries(_WORD, one, max_size=3), max_leaves=6
)
_OBJECT: st.SearchStrategy[JsonObject] = st.dictionaries(_WORD, _JSON, max_size=3)
_NAMES = ["ticket", "tier", "region", "type", "items"]
_MEMBER: st.SearchStrategy[Json] = st.sampled_from(
    [
        {},
        {"type": "string"},
        {"type": "string", "description": "What: it is"},
        {"type": "integer", "minimum": 1},
        {"type": "number", "default": 0.5},
        {"enum": ["a", "b"], "default": "a"},
        {"type": "array", "items": {"type": "string"}},
        {"type": "boolean", "x-kitpack-untrusted": True},
        {"type": "string", "examples": ["x"]},
        {"type": ["string", "null"]},
    ]
)


@st.composite
def _variables(draw: st.DrawFn) -> Json:
    members = draw(st.dictionaries(st.sampled_from(_NAMES), _MEMBER, max_size=4))
    kind = draw(st.sampled_from(["none", "names", "members", "schema"]))
    if kind == "none":
        return None
    if kind == "names":
        return list[Json](members)
    if kind == "members":
        return members
    some: list[Json] = [name for name in members if draw(st.booleans())]
    return {"type": "object", "properties": members, "required": some, "minProperties": 0}


def _literal(text: str) -> str:
    """Any characters as a template without faults."""
    return text.replace("{", "{{ '{' }}")


@st.composite
def _drafts(draw: st.DrawFn) -> Draft:
    place = st.sampled_from(["", "{{ ticket }}", "{% if tier %}y{% else %}n{% endif %}", "{{ region | upper }}"])
    text = st.builds(lambda one, two, three: _literal(one) + two + _literal(three), _TEXT, place, _TEXT)
    role = st.sampled_from(["system", "user", "assistant", "developer"])
    messages = draw(st.lists(st.tuples(role, text.filter(lambda one: bool(one.strip()))), min_size=1, max_size=3))
    variables = draw(_variables())
    listed = variables.get("properties", variables) if isinstance(variables, dict) else variables
    names = sorted(str(name) for name in listed) if isinstance(listed, list | dict) else []
    some = st.lists(st.sampled_from(names), unique=True) if names else st.just(list[str]())
    keys: dict[str, Any] = {
        "description": draw(_WORD | _TEXT.filter(lambda one: "\r" not in one)),
        "version": draw(st.sampled_from(["", "2", "1.10", "2026-03-15.3", "true"])),
        "model": draw(st.sampled_from(["", "gpt-4.1", "claude-*", "bundle"])),
        "parameters": draw(st.sampled_from([{}, {"temperature": 0.4, "max_tokens": 600}, {"stop": ["\n", "x"]}])),
        "variables": variables,
        "output": draw(st.sampled_from([None, {"type": "object", "properties": {"team": {"type": "string"}}}])),
        "tools": draw(st.sampled_from([None, [{"name": "look", "parameters": {"type": "object"}}]])),
        "untrusted": list[Json](draw(some)),
        "sensitive": list[Json](draw(some)),
        "filters": draw(st.sampled_from([{}, {"currency": "${:,.2f}", "local": None}])),
        "changelog": draw(st.sampled_from(["", "Shorter.", "First line\nSecond: line\n"])),
        "metadata": draw(_OBJECT),
    }
    return Draft(name=draw(st.sampled_from(["triage", "Support Bot", "a/b", "é"])), messages=tuple(messages), keys=keys)


def _parsed(draft: Draft) -> Prompt:
    suffix, raw = write_draft(draft)
    return parse(raw, f"prompts/p{suffix}")


PROMPTS: st.SearchStrategy[Prompt] = _drafts().map(_parsed)
"""Prompts of every kind that a file can hold."""
