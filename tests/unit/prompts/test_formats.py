"""The formats: what each accepts, what it becomes, and what is said about the rest."""

from __future__ import annotations

import contextlib
import time

import pytest

from kitpack.errors import Issue, PromptError
from kitpack.oci.digest import Digest
from kitpack.prompts.parse import MAX_SIZE, Declared, format_of, parse_prompt
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.variables import names_of


def read(text: str, path: str = "prompts/greet.md", declared: Declared | None = None) -> Prompt:
    return parse_prompt(text.encode(), path, declared=declared)


def faults(text: str | bytes, path: str = "prompts/greet.md", declared: Declared | None = None) -> tuple[Issue, ...]:
    with pytest.raises(PromptError) as caught:
        parse_prompt(text.encode() if isinstance(text, str) else text, path, declared=declared)
    return caught.value.issues


def said(prompt: Prompt) -> list[tuple[str, str, int]]:
    return [(message.role, message.template, message.line) for message in prompt.messages]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.txt", "Hi {{ name }} and {name}", "text"),
        ("a.md", "# Hi {{ name }}", "text"),
        ("a", "Hi {{ name }}", "text"),
        ("a.txt", "---\nname: a\n---\nHi {{ name }}", "jinja"),
        ("a.md", "---\n---\nHi {{ name }}", "jinja"),
        ("a.md", "---\nformat: text\n---\nHi {{ name }}", "text"),
        ("a.txt", "---\nformat: braces\n---\nHi {name}", "braces"),
        ("a.j2", "Hi {{ name }}", "jinja"),
        ("a.JINJA", "Hi {{ name }}", "jinja"),
        ("a.md.jinja2", "Hi {{ name }}", "jinja"),
        ("a.prompty", "Hi {{ name }}", "prompty"),
        ("a.prompt", "Hi {{name}}", "dotprompt"),
        ("a.json", '[{"role": "user", "content": "Hi {{ name }}"}]', "chat"),
        ("a.yml", "[{role: user, content: 'Hi {{ name }}'}]", "chat"),
    ],
)
def test_the_format_is_told_by_name_or_front_matter_and_never_guessed(path: str, text: str, expected: str) -> None:
    prompt = read(text, path)
    assert prompt.format == expected
    assert names_of(prompt) == (frozenset() if expected == "text" else {"name"})


def test_a_kitfile_can_name_the_format() -> None:
    assert read("Hi {name}", "a.txt", Declared(format="braces")).format == "braces"
    assert read("Hi {{ name }}", "a.txt", Declared(variables=["name"])).format == "jinja"
    assert read("Hi {{ name }}", "a.yaml", Declared(format="text")).messages[0].template == "Hi {{ name }}"
    (fault,) = faults("Hi", "a.txt", Declared(format="jinga"))
    assert "expected a format" in fault.message
    assert fault.hint == "write jinja"


@pytest.mark.parametrize(
    ("path", "expected"), [("a.j2", "jinja"), ("a.txt", None), ("a.PROMPT", "dotprompt"), ("a", None)]
)
def test_a_format_follows_from_the_suffix_or_does_not(path: str, expected: str | None) -> None:
    assert format_of(path) == expected
    assert format_of(path, "braces") == "braces"


@pytest.mark.parametrize(
    ("path", "name"),
    [("prompts/triage.md", "triage"), ("triage.v2.j2", "triage"), (".hidden.txt", "hidden"), ("x/README", "README")],
)
def test_the_name_is_that_of_the_file_without_suffixes(path: str, name: str) -> None:
    assert read("Hi", path).name == name


def test_every_key_of_front_matter_arrives() -> None:
    text = """\
---
name: triage
description: sorts tickets
version: 1.10
role: user
model: gpt-4o*
parameters: {temperature: 0.2, stop: [no]}
variables:
  tier: {type: string, enum: [gold, silver], default: silver}
  ticket: {type: string, x-kitpack-sensitive: true}
output: {type: object}
tools: [{type: function}]
untrusted: [ticket]
sensitive: [tier]
filters: {money: "${:.2f}", mask: }
changelog: shorter
metadata: {authors: [Ada], anything: {at: all}}
---

Tier {{ tier }}: {{ ticket | mask }}
"""
    prompt = read(text)
    assert (prompt.name, prompt.description, prompt.version, prompt.model) == (
        "triage",
        "sorts tickets",
        "1.10",
        "gpt-4o*",
    )
    assert prompt.parameters == {"temperature": 0.2, "stop": ["no"]}
    assert prompt.variables["required"] == ["ticket"]
    assert prompt.variables["additionalProperties"] is False
    assert prompt.declared
    assert (prompt.output, prompt.tools) == ({"type": "object"}, [{"type": "function"}])
    assert prompt.untrusted == {"ticket"}
    assert prompt.sensitive == {"ticket", "tier"}
    assert prompt.filters == {"money": "${:.2f}", "mask": ""}
    assert prompt.changelog == "shorter"
    assert prompt.metadata == {"authors": ["Ada"], "anything": {"at": "all"}}
    assert said(prompt) == [("user", "Tier {{ tier }}: {{ ticket | mask }}\n", 20)]
    assert prompt.digest == Digest.of_bytes(text.encode())
    assert (prompt.lines["name"], prompt.lines["variables"], prompt.lines["metadata"]) == (2, 8, 17)
    assert prompt.source == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi\n", [("system", "Hi\n", 1)]),
        ("\n\nHi\n\n", [("system", "\n\nHi\n\n", 1)]),
        ("---\n---\n\n \nHi\n\n", [("system", "Hi\n\n", 5)]),
        ("---\nrole: tool\n---\nHi", [("tool", "Hi", 4)]),
        ("system:\nA\n\nuser:\n\n B\n", [("system", "A", 2), ("user", " B", 6)]),
        ("\n \nuser:  \nA", [("user", "A", 4)]),
        ("Hello\nuser:\nA", [("system", "Hello\nuser:\nA", 1)]),
        ("user:\nA user: B\nsystem: c\n System:\n", [("user", "A user: B\nsystem: c\n System:", 2)]),
        ("User:\nA", [("system", "User:\nA", 1)]),
        ("developer:\nA\nassistant:\nB\ntool:\nC", [("developer", "A", 2), ("assistant", "B", 4), ("tool", "C", 6)]),
        ("user:\r\nA\r\nB\r\n", [("user", "A\nB", 2)]),
        ("\ufeffuser:\nA", [("user", "A", 2)]),
    ],
)
def test_role_markers_divide_a_text_when_it_starts_with_one(text: str, expected: list[tuple[str, str, int]]) -> None:
    assert said(read(text, "a.txt")) == expected


def test_markers_in_comments_are_comments_and_in_blocks_are_faults() -> None:
    prompt = read("user:\nA\n{#\nsystem:\n#}\nB", "a.j2")
    assert [message.role for message in prompt.messages] == ["user"]
    found = faults("user:\n{% if x %}\nA\nsystem:\nB\n{% endif %}\n", "a.j2")
    assert any(one.line == 4 and "{% if %}" in one.message for one in found)
    raw = faults("user:\n{% raw %}\nsystem:\n{% endraw %}", "a.j2")
    assert any(one.line == 3 and "inside of" in one.message for one in raw)
    block = faults("user:\n{% set x %}\nsystem:\n{% endset %}", "a.j2")
    assert any(one.line == 3 for one in block)


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 0, 0, "it is empty"),
        (" \n", 0, 0, "it is empty"),
        ("---\nname: a\n", 1, 1, "has no end"),
        ("---\nnam: a\n---\nHi", 2, 1, "did you mean 'name'?"),
        ("---\nname: [a]\n---\nHi", 2, 7, "expected text"),
        ("---\nname: a\nname: b\n---\nHi", 3, 1, "listed twice"),
        ("---\nname: &a b\n---\nHi", 2, 7, "the anchor &a"),
        ("---\n- a\n---\nHi", 2, 1, "expected a mapping, found a list"),
        ("---\nname: a: b\n---\nHi", 2, 8, "needs quotes"),
        ("---\nrole: usr\n---\nHi", 2, 7, "write user"),
        ("---\nformat: jinja2\n---\nHi", 2, 9, "write jinja"),
        ("---\nformat: chat\n---\nHi", 2, 9, "follows from the name of the file"),
        ("---\nvariables: [1a]\n---\nHi", 2, 12, "cannot be the name of a variable"),
        ("---\nvariables: {a: text}\n---\nHi", 2, 16, "write `a: {type: text}`"),
        ("---\nvariables: {a: {type: strng}}\n---\nHi", 2, 23, "write string"),
        ("---\nvariables: {a: {pattern: '('}}\n---\nHi", 2, 26, "no regular expression"),
        ("---\nvariables: {a: {pattern: '(a+)+$'}}\n---\nHi", 2, 26, "take for ever"),
        ("---\nvariables: {a: {$ref: 'https://x.example/s'}}\n---\nHi", 2, 23, "leads out of the schema"),
        ("---\nvariables: {a: {$ref: '#/$defs/x'}}\n---\nHi", 2, 23, "leads nowhere"),
        ("---\noutput: {type: nope}\n---\nHi", 2, 16, "nope"),
        ("---\nvariables: [a]\nuntrusted: [b]\n---\nHi {{ a }}", 3, 12, "there is no variable 'b'"),
        ("---\nfilters: {f: '{} {}'}\n---\nHi", 2, 14, "a filter formats one"),
        ("---\nfilters: {f: '{0.real}'}\n---\nHi", 2, 14, "is not allowed"),
        ("---\nfilters: {f: '{:{}}'}\n---\nHi", 2, 14, "more than 99"),
        ("---\nfilters: {f: '{:999999999}'}\n---\nHi", 2, 14, "more than 99"),
        ("---\nfilters: {f: '{'}\n---\nHi", 2, 14, "is no format string"),
        ("---\nformat: text\nfilters: {f: '{}'}\n---\nHi", 3, 10, "has no filters"),
        ("---\nname: a\n---\n\n", 0, 0, "it says nothing"),
        ("---\nname: a\n---\nuser:\n\nsystem:\nB", 4, 1, "nothing follows"),
        ("---\nname: a\n---\n\nHi {{ a", 5, 0, "it is not Jinja here"),
        ("---\nname: a\n---\nHi {{ a | nop }}", 4, 0, "there is no filter 'nop'"),
        ("a\x00b", 1, 0, "U+0000"),
        ("---\nname: a\x1bb\n---\nHi", 2, 8, "U+001B"),
    ],
)
def test_a_fault_is_named_with_its_place(text: str, line: int, column: int, words: str) -> None:
    found = faults(text)
    at_place = [f"{one.message} {one.hint}" for one in found if (one.line, one.column) == (line, column)]
    assert any(words in one for one in at_place), found
    assert {one.path for one in found} == {"prompts/greet.md"}


def test_all_faults_come_at_once() -> None:
    found = faults("---\nnam: a\nvariables: {a: 3}\nuntrusted: x\n---\n{{ a | nope }}\n{% if %}")
    assert [one.line for one in found] == [2, 3, 4, 7]
    assert [one.line for one in faults("---\nx: 1\n---\n{{ a|b }}\n\n{{ c|x }}")] == [2, 4, 6]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"a\n\xff", "byte 0xff is not UTF-8"),
        ("text".encode("utf-16"), "is not UTF-8"),
        (b"a" * (MAX_SIZE + 1), "has more than"),
        (b"---\nx: " + b"[" * 500 + b"\n---\na", "nested more than 64 deep"),
        (b"---\nx: [" + b"1," * 200_000 + b"]\n---\na", "more than 100000 values"),
        (b"---\na: &a [x]\nb: &b [*a, *a]\n---\nx", "the alias *a is not allowed"),
        (b"{{ a }}" * 20_001, "tags"),
        (b"{{ " + b"[" * 500, "nested too deeply"),
        (b"{{ " + b"a+" * 5000 + b"a }}", "nested too deeply"),
        (b"{% for a in b %}" * 30 + b"{% endfor %}" * 30, "nested too deeply"),
        (b"{{ [" + b"1," * 200_000 + b"] }}", "characters in them"),
        (b"{% if a %}" * 3000, "nested too deeply"),
    ],
)
def test_bytes_that_cannot_be_a_prompt_are_refused_early(raw: bytes, words: str) -> None:
    path = "a.j2" if not raw.startswith(b"---") else "a.md"
    found = [f"{one.message} {one.hint}" for one in faults(raw, path)]
    assert any(words in one for one in found), found
    assert all(len(one) < 500 for one in found)


@pytest.mark.parametrize(
    ("start", "middle", "path"),
    [
        ("user:\n", "a\nuser:\n", "a.txt"),
        ("", " ", "a.prompty"),
        ("", "user:\na\n", "a.prompty"),
        ("", "#", "a.prompty"),
        ("", "{{", "a.prompt"),
        ("", "{{!--", "a.prompt"),
        ("", "{{a}}\n", "a.prompt"),
        ("", '{{role "user"}}\na', "a.prompt"),
        ("", "#\n", "a.prompt"),
        ("---\nformat: braces\n---\n", "{a}\n", "a.md"),
        ("---\nformat: braces\n---\n", "{", "a.md"),
        ("", "{%", "a.j2"),
        ("", "{#", "a.j2"),
        ("", "{% raw %}", "a.j2"),
        ("", "\n", "a.txt"),
        ("", "[", "a.json"),
        ("[", '"a",\n', "a.json"),
        ("", "- ", "a.yaml"),
    ],
)
def test_no_text_takes_long(start: str, middle: str, path: str) -> None:
    before = time.process_time()
    text = (start + middle * (1_000_000 // len(middle))).encode()
    with contextlib.suppress(PromptError):
        parse_prompt(text, path)
    assert time.process_time() - before < 5


def test_metadata_stands_in_one_place_only() -> None:
    declared = Declared(name="a", description="d", model="m", changelog="c", untrusted=("x",), variables=["x"], line=7)
    prompt = read("Hi {{ x }}", "a.txt", declared)
    assert (prompt.name, prompt.description, prompt.model, prompt.changelog) == ("a", "d", "m", "c")
    assert prompt.untrusted == {"x"}
    assert (prompt.declared, prompt.format) == (True, "jinja")
    (fault,) = faults("---\nname: b\n---\nHi {{ x }}", "a.txt", declared)
    assert "described twice" in fault.message
    assert "line 7" in fault.message
    assert read("---\nname: b\n---\nHi", "a.txt", Declared(format="jinja", line=7)).name == "b"


class TestChat:
    def test_a_list_of_messages(self) -> None:
        prompt = read(
            '[{"role": "system", "content": "A"},\n {"role": "user", "content": "\\ud83d\\ude00 {{ b }}"}]', "a.json"
        )
        assert said(prompt) == [("system", "A", 1), ("user", "\U0001f600 {{ b }}", 2)]

    def test_a_mapping_with_the_keys_of_front_matter(self) -> None:
        text = "name: x\nvariables: [b]\nuntrusted: [b]\nmessages:\n- role: user\n  content: |\n    A\n    {{ b }}\n"
        prompt = read(text, "a.yaml")
        assert prompt.untrusted == {"b"}
        assert (prompt.name, prompt.declared) == ("x", True)
        assert said(prompt) == [("user", "A\n{{ b }}\n", 7)]

    def test_text_in_a_message_is_whatever_it_is(self) -> None:
        assert read('[{"role": "user", "content": "a\\r\\n\\u0007"}]', "a.json").messages[0].template == "a\r\n\x07"
        assert read("[{role: user, content: 1.10}]", "a.yaml").messages[0].template == "1.10"

    @pytest.mark.parametrize(
        ("text", "path", "place", "words"),
        [
            ("[]", "a.json", (1, 1), "[] is not allowed"),
            ("{}", "a.json", (1, 1), "messages is missing"),
            ('[{"role": "user"}]', "a.json", (1, 2), "content is missing"),
            ('[{"role": "model", "content": ""}]', "a.json", (1, 11), "expected system or"),
            ('[{"role": "user",\n"content": ["a"]}]', "a.json", (2, 12), "expected text, found a list"),
            ('[{"role": "user", "content": "a", "name": "b"}]', "a.json", (1, 35), "unknown key 'name'"),
            ('[{"role": "user" "content": "a"}]', "a.json", (1, 18), "expected ','"),
            ('{"messages": [{"role": "user", "content": "a"}], "nme": 1}', "a.json", (1, 50), "did you mean 'name'?"),
            ("[1, 2", "a.json", (1, 6), "found the end"),
            ('[{"role": "user", "content": "\\u0000"}]', "a.json", (1, 30), "U+0000"),
            ('[{"role": "user", "content": "\\ud800"}]', "a.json", (1, 30), "surrogate"),
            ("- role: user\n  content: |\n    a\n    {{ b\n", "a.yaml", (4, 0), "not Jinja"),
            ("- role: user\n  content: ''\n", "a.yaml", (0, 0), "it says nothing"),
            ("just text", "a.yaml", (1, 1), "expected a mapping"),
        ],
    )
    def test_faults(self, text: str, path: str, place: tuple[int, int], words: str) -> None:
        found = faults(text, path)
        assert any((one.line, one.column) == place and words in f"{one.message} {one.hint}" for one in found), found


class TestPrompty:
    def test_version_2(self) -> None:
        text = """\
---
name: chat
displayName: Chat
description: talks
metadata: {authors: [a], tags: [t], version: "2.1"}
model:
  id: gpt-4o
  provider: openai
  connection: {key: "${env:KEY}"}
  options: {temperature: 0.3, maxOutputTokens: 100, topP: 0.9, stopSequences: [x], additionalProperties: {top_a: 1}}
inputs:
  - {name: first, kind: string, description: d, example: Jane}
  - {name: age, kind: integer, default: 3}
  - {name: kind, kind: string, enumValues: [a, b], required: false}
outputs:
  score: {kind: float}
template: {format: {kind: jinja2}, parser: prompty}
---
Be kind.

# User:
Hi {{ first }}

Assistant:
Hello
"""
        prompt = read(text, "chat.prompty")
        assert (prompt.name, prompt.description, prompt.version, prompt.model) == ("chat", "talks", "2.1", "gpt-4o")
        assert prompt.parameters == {"temperature": 0.3, "max_tokens": 100, "top_p": 0.9, "stop": ["x"], "top_a": 1}
        assert prompt.variables["required"] == ["first"]
        assert prompt.output == {"type": "object", "properties": {"score": {"type": "number"}}, "required": ["score"]}
        assert prompt.metadata["displayName"] == "Chat"
        assert said(prompt) == [("system", "Be kind.", 19), ("user", "Hi {{ first }}", 22), ("assistant", "Hello", 25)]

    def test_the_older_spelling(self) -> None:
        text = """\
---
name: chat
authors: [a]
model:
  api: chat
  configuration: {type: azure_openai, azure_deployment: gpt-35}
  parameters: {max_tokens: 10}
inputs:
  first: {type: string}
sample: {first: Jane}
template: jinja2
---
system:
Hi {{ first }}
"""
        prompt = read(text, "chat.prompty")
        assert (prompt.model, prompt.parameters) == ("gpt-35", {"max_tokens": 10})
        assert prompt.metadata["sample"] == {"first": "Jane"}
        assert said(prompt) == [("system", "Hi {{ first }}", 14)]

    @pytest.mark.parametrize(
        ("front", "words"),
        [
            ("inputs: [{kind: string}]", "name is missing"),
            ("inputs: {a: {kind: thread}}", "the kind 'thread' is not supported"),
            ("template: mustache", "the template format 'mustache'"),
            ("inputs: {a: '${env:HOME}'}", "${env:HOME} is not read"),
            ("description: '${file:/etc/passwd}'", "is not read"),
            ("modl: x", "did you mean 'model'?"),
        ],
    )
    def test_faults(self, front: str, words: str) -> None:
        found = faults(f"---\n{front}\n---\nHi {{{{ a }}}}", "a.prompty")
        assert any(one.line == 2 and words in f"{one.message} {one.hint}" for one in found), found

    def test_attributes_of_roles_are_faults(self) -> None:
        (fault,) = faults("user[name=x]:\nHi", "a.prompty")
        assert fault.line == 1


class TestDotprompt:
    def test_front_matter_and_messages(self) -> None:
        text = """\
# Copyright
---
model: googleai/gemini
config: {temperature: 0.5, maxOutputTokens: 9}
input:
  schema:
    name: string, who it is
    style?: string
    tags(array, some): string
    kind(enum): [a, b]
  default: {style: plain}
output: {format: json, schema: {score: number}}
kitpack.changelog: shorter
kitpack.untrusted: [name]
acme.key: 3
---
{{role "system"}}
Be {{style}}. {{! a note }}
{{role 'user'}}
{{name}} {{{tags}}} {{kind}}
{{role "model"}}
Yes
"""
        prompt = read(text, "x/greet.formal.prompt")
        assert (prompt.name, prompt.model, prompt.changelog) == ("greet", "googleai/gemini", "shorter")
        assert prompt.parameters == {"temperature": 0.5, "max_tokens": 9}
        assert prompt.variables["required"] == ["name", "tags", "kind"]
        assert prompt.untrusted == {"name"}
        assert prompt.output is not None
        assert prompt.output["required"] == ["score"]
        assert prompt.metadata == {"acme.key": 3}
        assert [(role, line) for role, _, line in said(prompt)] == [("system", 18), ("user", 20), ("assistant", 22)]

    def test_text_before_a_marker_is_the_users(self) -> None:
        assert said(read("Hi {{name}}", "a.prompt")) == [("user", "Hi {{name}}", 1)]

    def test_defaults_without_a_schema(self) -> None:
        prompt = read("---\ninput: {default: {a: 1}}\n---\n{{a}} {{b}}", "a.prompt")
        assert (prompt.variables["required"], prompt.declared) == (["b"], False)

    @pytest.mark.parametrize(
        "construct",
        [
            *("{{#each x}}", "{{/each}}", "{{#if x}}", "{{else}}", "{{json x}}", "{{history}}", "{{media url=x}}"),
            *("{{> part}}", "{{section 'a'}}", "{{@root.x}}", "{{this}}", "{{../x}}", "{{~x~}}", "\\{{x}}", "{{x y}}"),
            *("{{{x}}", "{{ x", "{{x {{y", "{{& x}}", "{{x[0]}}", "{{role x}}", '{{role "nobody"}}'),
        ],
    )
    def test_what_is_not_supported_is_named_with_its_line(self, construct: str) -> None:
        found = faults(f"Hi\n\n{construct} there", "a.prompt")
        assert {one.line for one in found} == {3}

    @pytest.mark.parametrize(
        ("schema", "words"),
        [
            ("{a: strin}", "'strin' is not a type"),
            ("{a: 3}", "expected the name of a type"),
            ("{'a(list)': string}", "is not a field"),
            ("{'a(enum)': string}", "an enum is a list"),
            ("string", "describes no mapping"),
        ],
    )
    def test_faults_of_picoschema(self, schema: str, words: str) -> None:
        found = faults(f"---\ninput: {{schema: {schema}}}\n---\n{{{{a}}}}", "a.prompt")
        assert any(one.line == 2 and words in one.message for one in found), found


class TestBraces:
    def test_names_in_braces(self) -> None:
        prompt = read('---\nformat: braces\n---\n{{"a": {name}}} {other_1}')
        assert sorted(names_of(prompt)) == ["name", "other_1"]

    @pytest.mark.parametrize(
        "text", ["{a.b}", "{a[0]}", "{a!r}", "{a:>10}", "{}", "{0}", "{a b}", "{", "}", "{a", "{a\n}"]
    )
    def test_all_else_is_a_fault(self, text: str) -> None:
        found = faults(f"---\nformat: braces\n---\nHi\n{text}")
        assert {one.line for one in found} <= {5, 6}
