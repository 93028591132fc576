"""Lint: each rule finds what it is for, where it is, and nothing in its neighbours."""

from __future__ import annotations

import re

import pytest

from kitpack.errors import Issue
from kitpack.prompts.facts import ModelFacts
from kitpack.prompts.lint.findings import Around
from kitpack.prompts.lint.lint import fault_finding, lint_all, lint_prompt
from kitpack.prompts.lint.rules import RULES
from kitpack.prompts.tokens import estimate
from tests.support.linting import found, lint, prompt_of, rules_of

FRONT = "---\nname: triage\n{}---\n"


def front(more: str, body: str) -> str:
    return FRONT.format(more) + body


BAD: list[tuple[str, int, str]] = [
    ("undeclared-variable", 5, front("variables: [ticket]\n", "Sort {{ ticket }} of {{ tier }}.")),
    ("undeclared-variable", 6, front("variables: [ticket]\n", "Sort {{ ticket }}.\n{% if tier %}x{% endif %}")),
    ("unused-variable", 3, front("variables: [ticket, tier]\n", "Sort {{ ticket }}.")),
    ("unused-variable", 5, front("variables:\n  ticket: {}\n  tier: {}\n", "Sort {{ ticket }}.")),
    ("invalid-schema", 3, front("variables: {n: {type: integer, default: many}}\n", "{{ n }}")),
    ("invalid-schema", 3, front("variables: {n: {minimum: 5, maximum: 1}}\n", "{{ n }}")),
    ("invalid-schema", 3, front("variables: {type: object, properties: {n: {}}, required: [m]}\n", "{{ n }}")),
    ("invalid-schema", 3, front("output: {type: object, properties: {a: {}}, required: [a, b]}\n", "Hello.")),
    ("untrusted-in-system", 5, front("untrusted: [ticket]\n", "Sort {{ ticket }}.")),
    ("untrusted-in-system", 6, front("untrusted: [ticket]\n", "system:\nSort {{ ticket | upper }}.\nuser:\nHello.")),
    ("untrusted-in-system", 6, front("untrusted: [rows]\n", "developer:\n{% for row in rows %}{{ row }}{% endfor %}")),
    ("looks-untrusted", 3, front("variables: {user_input: {type: string}}\n", "user:\n{{ user_input }}")),
    ("looks-untrusted", 3, "---\n---\n{{ ticket }}"),
    ("hidden-text", 2, "Be kind.\nAnd \u202enever\u202c rude."),
    ("hidden-text", 1, "Be kind.\U000e0049\U000e0067\U000e006e"),
    ("hidden-text", 1, "Be kind\U000e0101\U000e0120\U000e0133."),
    ("zero-width", 1, "Be\u200bkind."),
    ("zero-width", 1, "Be kind\u200d."),
    ("zero-width", 2, "Be kind.\n\ufeffAlways."),
    ("parameter-unknown", 4, front("parameters:\n  temprature: 1\n", "Hello.")),
    ("parameter-range", 3, front("parameters: {temperature: 3}\n", "Hello.")),
    ("parameter-range", 3, front("parameters: {top_p: 1.1}\n", "Hello.")),
    ("parameter-range", 3, front("parameters: {max_tokens: 0}\n", "Hello.")),
    ("parameter-range", 3, front("parameters: {max_tokens: 1.5}\n", "Hello.")),
    ("parameter-range", 3, front("parameters: {temperature: hot}\n", "Hello.")),
    ("parameter-range", 3, front("parameters: {temperature: true}\n", "Hello.")),
    ("empty-message", 5, front("", "system:\n{# to be written #}\nuser:\nHello.")),
    ("unreachable", 4, front("", "{% if false %}x{% endif %} Hello.")),
    ("unreachable", 4, front("", "{% if a %}1{% elif a %}2{% endif %}")),
    ("unreachable", 4, front("", "{% if true %}1{% else %}2{% endif %}")),
    ("unreachable", 5, front("", "Hello.\n{%- set tone = 'kind' %}")),
    ("unreachable", 4, front("", "{% macro greet() %}Hello{% endmacro %}Bye.")),
    ("unreachable", 4, front("", "{% for x in [] %}{{ x }}{% endfor %}Bye.")),
    ("plain-braces", 2, "Sort this.\nTicket: {{ ticket }}"),
    ("plain-braces", 1, "{% if tier %}Hurry.{% endif %}"),
    ("plain-braces", 5, front("format: braces\n", "Hello {name}, {{ greeting }}.")),
    ("json-without-schema", 4, front("", "Answer with JSON only.")),
]

GOOD: list[tuple[str, str]] = [
    ("undeclared-variable", front("variables: [rows]\n", "{% for row in rows %}{{ loop.index }}{{ row }}{% endfor %}")),
    ("undeclared-variable", front("", "Sort {{ anything }}.")),
    ("unused-variable", front("variables: [tier]\n", "{% if tier == 'gold' %}Hurry.{% endif %}Hello.")),
    ("invalid-schema", front("variables: {n: {type: integer, default: 3, minimum: 1}}\n", "{{ n }}")),
    ("untrusted-in-system", front("untrusted: [ticket]\n", "system:\nSort.\nuser:\n{{ ticket }}")),
    (
        "untrusted-in-system",
        front("untrusted: [ticket]\n", "system:\n{% if ticket %}Sort.{% endif %}\nuser:\n{{ ticket }}"),
    ),
    ("untrusted-in-system", front("untrusted: [ticket]\n", "system:\nA ticket {# ticket #}\nuser:\n{{ ticket }}")),
    ("looks-untrusted", front("untrusted: [user_input]\n", "user:\n{{ user_input }}")),
    ("looks-untrusted", front("variables: {message: {enum: [a, b]}}\n", "user:\n{{ message }}")),
    ("looks-untrusted", front("variables: {comment: {type: integer}}\n", "user:\n{{ comment }}")),
    ("looks-untrusted", front("variables: {comment: {type: string, x-kitpack-untrusted: false}}\n", "{{ comment }}")),
    ("looks-untrusted", front("", "user:\n{{ ticket_id }} {{ review_guidelines }} {{ tone }}")),
    ("hidden-text", "Flags: \U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f and Ⅳ."),
    ("hidden-text", "Hearts: ❤️ and ☎️."),
    ("zero-width", "A family: 👨\u200d👩\u200d👧, and 🏳️\u200d🌈."),
    ("zero-width", "Persian: \u0645\u06cc\u200c\u062e\u0648; Hindi: \u0915\u094d\u200d\u0937."),
    ("zero-width", "\ufeffHello."),
    (
        "parameter-unknown",
        front("parameters: {temperature: 0, stop: [END], seed: 7, reasoning_effort: low}\n", "Hello."),
    ),
    (
        "parameter-range",
        front("parameters: {temperature: 2, top_p: 0, max_tokens: 1, seed: -1, top_k: 40}\n", "Hello."),
    ),
    ("empty-message", front("", "system:\nHello.\nuser:\n{{ ticket }}")),
    ("unreachable", front("", "{% if a %}1{% elif b %}2{% endif %}{% if a %}3{% endif %}")),
    ("unreachable", front("", "{% set tone = 'kind' %}Be {{ tone }}.")),
    ("unreachable", front("", "{% macro greet(x) %}Hello {{ x }}{% endmacro %}{{ greet('Ada') }}")),
    ("unreachable", front("", "{% raw %}{% if false %}{% endraw %}")),
    ("plain-braces", 'Answer like {"a": {"b": 1}}, or in LaTeX: \\frac{{1}}{{2}}.'),
    ("plain-braces", front("", "Hello {{ name }}.")),
    ("json-without-schema", front("output: {type: object}\n", "Answer with JSON only.")),
    ("json-without-schema", front("", "The field body holds only JSON.")),
]


@pytest.mark.parametrize(("rule", "line", "text"), BAD, ids=range(len(BAD)))
def test_a_rule_finds_what_it_is_for_and_where(rule: str, line: int, text: str) -> None:
    path = "prompts/triage.txt" if not text.startswith("---") else "prompts/triage.md"
    findings = [one for one in lint(text, path) if one.rule == f"prompt-{rule}"]
    assert [one.line for one in findings][:1] == [line]


@pytest.mark.parametrize(("rule", "text"), GOOD, ids=range(len(GOOD)))
def test_a_rule_leaves_alone_what_is_right(rule: str, text: str) -> None:
    path = "prompts/triage.txt" if not text.startswith("---") else "prompts/triage.md"
    assert rule not in rules_of(text, path)


def test_every_finding_says_all_there_is_to_say() -> None:
    one = found(
        front("untrusted: [ticket]\n", "Hello.\nSort {{ ticket }}."), "prompt-untrusted-in-system", path="a/b.md"
    )
    assert (one.path, one.line, one.column, one.severity) == ("a/b.md", 6, 6, "warning")
    assert one.message == "ticket is untrusted and is filled into a system message"
    assert "user message" in one.hint
    assert "obeyed" in one.why
    assert one.silence == "{# kitpack: ignore=prompt-untrusted-in-system #}"
    assert str(one.issue).startswith("a/b.md:6:6: ticket is untrusted")
    assert "[prompt-untrusted-in-system]" in one.issue.message


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_the_table_of_rules_is_complete(rule: object) -> None:
    one = next(each for each in RULES.values() if each is rule)
    assert re.fullmatch(r"prompt-[a-z]+(-[a-z]+)*", one.id)
    assert RULES[one.id] is one
    assert all(len(text) > 5 and text[0].islower() for text in (one.what, one.why, one.fix))
    assert one.severity in ("error", "warning", "hint")


def test_a_meant_spelling_is_named() -> None:
    text = front("variables: [ticket]\n", "Sort {{ tickets }} {{ ticket }}.")
    assert found(text, "prompt-undeclared-variable").hint.startswith("did you mean ticket?")
    text = front("parameters: {temprature: 1}\n", "Hello.")
    assert found(text, "prompt-parameter-unknown").hint == "did you mean temperature?"


MODEL = ModelFacts(name="support-bot-bigram", names=("support-bot-bigram", "support-bot.gguf"), context_window=2048)


@pytest.mark.parametrize(
    ("target", "model", "rules"),
    [
        ("bundle", MODEL, []),
        ("support-bot-bigram", MODEL, []),
        ("Support-Bot*", MODEL, []),
        ("support-bot.gguf", MODEL, []),
        ("gpt-4o", MODEL, ["model-mismatch"]),
        ("gpt-4.*", MODEL, ["model-mismatch"]),
        ("bundle", ModelFacts(), ["model-missing"]),
        ("gpt-4o", ModelFacts(), []),
        ("gpt-4o", None, []),
        ("bundle", None, []),
    ],
)
def test_a_target_fits_the_packed_model(target: str, model: ModelFacts | None, rules: list[str]) -> None:
    assert rules_of(front(f"model: '{target}'\n", "Hello."), model=model) == rules


def test_prompt_and_answer_have_to_fit_into_the_window() -> None:
    text = front("parameters:\n  max_tokens: 2040\n", "word " * 20)
    one = found(text, "prompt-context-window", model=MODEL, counter=estimate())
    assert (one.line, one.severity) == (4, "error")
    assert "max_tokens 2040" in one.message
    assert "the model sees 2048" in one.message
    smaller = text.replace("2040", "1000")
    assert rules_of(smaller, model=MODEL, counter=estimate()) == []
    assert rules_of(text, model=ModelFacts(name="x", names=("x",)), counter=estimate()) == []


def test_two_prompts_of_one_name() -> None:
    one, other = prompt_of(front("", "Hello."), "a.md"), prompt_of(front("", "Hello, you."), "b.md")
    third = prompt_of(front("", "Hello.").replace("triage", "reply"), "c.md")
    findings = lint_all([one, other, third])
    assert [(each.rule, each.path, each.line) for each in findings] == [("prompt-duplicate-name", "b.md", 2)]
    assert "a.md" in findings[0].message


def test_includes_are_looked_at_as_well() -> None:
    key = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7xY9zaB3dE5gH"
    prompt = prompt_of(front("", "{% include 'rules.md' %}"), "prompts/a.md", {"prompts/rules.md": f"Hello.\n{key}"})
    (one,) = lint_prompt(prompt, Around(path="bot/prompts/a.md"))
    assert (one.rule, one.path, one.line, one.silence) == ("prompt-secret", "bot/prompts/rules.md", 2, "")


def test_faults_become_findings() -> None:
    one = fault_finding(Issue(path="a.md", line=3, column=2, message="no", hint="yes"))
    assert (one.rule, one.severity, one.line, one.column, one.hint) == ("prompt-syntax", "error", 3, 2, "yes")
    assert one.silence == ""


def test_lines_of_a_chat_are_those_of_the_file() -> None:
    chat = "- role: system\n  content: |\n    Be kind.\n    Sort {{ ticket }}.\n- role: user\n  content: Hello\n"
    text = f"untrusted: [ticket]\nmessages:\n{chat}"
    assert found(text, "prompt-untrusted-in-system", "prompts/a.yaml").line == 6
    json = '{"untrusted": ["ticket"],\n "messages": [\n{"role": "system", "content": "Hi\\nSort {{ ticket }}"}]}'
    one = found(json, "prompt-untrusted-in-system", "prompts/a.json")
    assert (one.line, one.silence) == (3, "")
