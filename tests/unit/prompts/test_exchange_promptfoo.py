"""promptfoo's list of prompts: read whole, written whole, and nothing in it ever run."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings

from kitpack.errors import KitpackError, PromptError
from kitpack.prompts.exchange.nunjucks import jinja_to_nunjucks, nunjucks_to_jinja
from kitpack.prompts.exchange.promptfoo import import_promptfoo
from kitpack.prompts.exchange.promptfoo_export import export_promptfoo
from kitpack.prompts.exchange.shape import Imported
from kitpack.prompts.prompt import Prompt
from tests.support.prompting import PROMPTS, parse_files

CONFIG = """\
# yaml-language-server: $schema=https://promptfoo.dev/config-schema.json
description: all kinds of prompts
providers: &anchors [openai:gpt-5-mini]
prompts:
  - 'Translate to {{language}}: {{text}}'
  - |-
    Answer shortly.

    {{question}}
  - file://prompts/two.txt
  - prompts/chat.json
  - file://more/*.md
  - file://rows.csv
  - file://lines.jsonl
  - id: file://prompts/chat.yaml
    label: friendly
    config: {temperature: 0.2}
  - {label: inline, raw: 'Say {{ data | dump }}'}
  - file://make.py:build
  - file://make.js
  - exec:./make.sh
  - {label: computed, function: make}
tests: *anchors
"""
FILES = {
    "promptfooconfig.yaml": CONFIG.encode(),
    "prompts/two.txt": b"One {{a}}\n---\nTwo {{b}}\n",
    "prompts/chat.json": json.dumps(
        [{"role": "system", "content": "Sort."}, {"role": "user", "content": "{{ticket}}"}]
    ).encode(),
    "prompts/chat.yaml": b"- role: system\n  content: Be kind.\n- {role: user, content: '{{question}}'}\n",
    "more/a.md": b"# A {{x}}\n",
    "more/b.md": b"# B\n",
    "more/c.txt": b"not asked for",
    "rows.csv": b'prompt,label\n"Hi {{name}}, ""you""",greeting\nBye {{name}},\n,\n',
    "lines.jsonl": b'[{"role":"user","content":"L1"}]\n[{"role":"user","content":"L2"}]\n',
    "make.py": b"raise SystemExit('ran')",
    "make.js": b"process.exit(1)",
}


def read(config: str, **files: str) -> Imported:
    others = {path.replace("__", "."): text.encode() for path, text in files.items()}
    return import_promptfoo({"promptfooconfig.yaml": config.encode(), **others})


def prompts_of(found: Imported) -> dict[str, Prompt]:
    return parse_files(found.files, found.prompts)


def test_every_kind_of_prompt_is_read_in_order() -> None:
    found = import_promptfoo(FILES)
    prompts = prompts_of(found)
    said = {name: [(one.role, one.template) for one in prompt.messages] for name, prompt in prompts.items()}
    assert said == {
        "prompt-1": [("user", "Translate to {{language}}: {{text}}")],
        "prompt-2": [("user", "Answer shortly.\n\n{{question}}")],
        "two-1": [("user", "One {{a}}\n")],
        "two-2": [("user", "Two {{b}}\n")],
        "chat": [("system", "Sort."), ("user", "{{ticket}}")],
        "a": [("user", "# A {{x}}\n")],
        "b": [("user", "# B\n")],
        "greeting": [("user", 'Hi {{name}}, "you"')],
        "rows-2": [("user", "Bye {{name}}")],
        "lines-1": [("user", "L1")],
        "lines-2": [("user", "L2")],
        "friendly": [("system", "Be kind."), ("user", "{{question}}")],
        "inline": [("user", "Say {{ data | tojson }}")],
    }
    assert prompts["friendly"].parameters == {"temperature": 0.2}


def test_code_is_refused_by_name() -> None:
    notes = "\n".join(import_promptfoo(FILES).notes)
    for name in ("make.py is code", "make.js is code", "exec:./make.sh", "computed is a function", "row 3 of rows.csv"):
        assert name in notes


def test_a_list_of_nothing_but_code_is_an_error_that_says_so() -> None:
    with pytest.raises(KitpackError, match="is code"):
        read("prompts: [file://a.py]\n", a__py="boom")


@pytest.mark.parametrize(
    "config",
    [
        "prompts: 'One {{a}}'\n",
        "prompts: ['One {{a}}']\nother: 1\n",
        '{"prompts": ["One {{a}}"], "tests": []}\n',
        "prompts:\n- 'One {{a}}'\n# comment\nproviders: []\n",
        "prompts: file://list.yaml\n",
        "prompts: {file://one.txt: prompt-1}\n",
    ],
)
def test_every_spelling_of_the_list(config: str) -> None:
    found = read(config, list__yaml="- 'One {{a}}'\n", one__txt="One {{a}}")
    (prompt,) = prompts_of(found).values()
    assert (prompt.name, prompt.messages[0].template) == ("prompt-1", "One {{a}}")


def test_a_json_configuration() -> None:
    found = import_promptfoo({"promptfooconfig.json": b'{"prompts": ["One {{a}}"], "tests": []}'})
    assert [*prompts_of(found)] == ["prompt-1"]


def test_a_chat_written_out_as_text_is_a_chat() -> None:
    found = read('prompts:\n  - \'[{"role": "system", "content": "Sort {{a}}"}]\'\n')
    (prompt,) = prompts_of(found).values()
    assert [(one.role, one.template) for one in prompt.messages] == [("system", "Sort {{a}}")]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("prompts: [file://missing.txt]\n", "missing.txt"),
        ("prompts: [file://../../etc/passwd.txt]\n", "there is no file ../../etc/passwd.txt"),
        ("prompts: [file:///etc/hosts.txt]\n", "/etc/hosts.txt"),
        ("prompts: ['no/*.txt']\n", "no file is like"),
        ("prompts: [3]\n", "is no prompt"),
        ("prompts: [{label: x}]\n", "has no text"),
        ("prompts: &x ['a']\n", "anchor"),
        ("prompts: [file://bad.json]\n", "bad.json"),
        ("prompts: [file://odd.json]\n", "odd.json is no chat"),
        ("prompts: [file://self.yaml]\n", "lists itself"),
        ("prompts: ['a', 'b'\n", "YAML"),
    ],
)
def test_faults_are_told(config: str, words: str) -> None:
    files = {"bad__json": '{"a": {{x}}}', "odd__json": '[{"role": "pilot", "content": "x"}]'}
    with pytest.raises(PromptError) as error:
        read(config, **files, self__yaml="- file://self.yaml\n")
    assert words in str(error.value)


@pytest.mark.parametrize("config", ["tests: []\n", "prompts: []\n", "prompts:\n"])
def test_no_prompts_are_an_error(config: str) -> None:
    with pytest.raises(KitpackError, match="no prompt"):
        read(config)


def test_no_configuration_is_an_error() -> None:
    with pytest.raises(KitpackError, match="there is no promptfooconfig"):
        import_promptfoo({"x.yaml": b""})


@pytest.mark.parametrize(
    ("nunjucks", "jinja"),
    [
        ("{{ a | dump }}", "{{ a | tojson }}"),
        ("{{ 'a | dump' }} | dump", "{{ 'a | dump' }} | dump"),
        ("{% if a === 'x' %}1{% elseif b !== 2 %}2{% endif %}", "{% if a == 'x' %}1{% elif b != 2 %}2{% endif %}"),
        ("{% for k, v in a.b %}{{ k }}{% endfor %}", "{% for k, v in a.b.items() %}{{ k }}{% endfor %}"),
        ("plain === text elseif", "plain === text elseif"),
    ],
)
def test_words_of_nunjucks(nunjucks: str, jinja: str) -> None:
    assert nunjucks_to_jinja(nunjucks)[0] == jinja
    assert nunjucks_to_jinja(jinja_to_nunjucks(jinja)[0])[0] == jinja


def test_the_founding_template_goes_out_without_python() -> None:
    jinja = "{% for key, value in product.attributes.items() %}\n- {{ key }}: {{ value.strip() }}\n{% endfor %}"
    template, notes = jinja_to_nunjucks(jinja)
    assert template.startswith("{% for key, value in product.attributes %}")
    assert notes == (".strip(…) is a method of Python, which Nunjucks does not have",)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(PROMPTS)
def test_what_goes_out_comes_back(prompt: Prompt) -> None:
    exported = export_promptfoo([prompt])
    found = import_promptfoo(dict(exported.files))
    (again,) = prompts_of(found).values()
    assert (again.name, again.parameters) == (prompt.name, prompt.parameters)
    assert [(one.role, one.template) for one in again.messages] == [(one.role, one.template) for one in prompt.messages]
    for key in ("description", "version", "model", "changelog", "metadata", "tools"):
        assert not getattr(prompt, key) or any(key in note for note in exported.notes)
