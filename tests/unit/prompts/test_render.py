"""Rendering: what is put in, what is refused, and how all of it is said at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import pytest
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from kitpack.errors import RenderError
from kitpack.prompts.meter import Limits
from kitpack.prompts.parse import Declared, parse_prompt
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.render import Filter, Spoken, render
from kitpack.prompts.variables import names_of


def read(text: str, path: str = "a.j2", declared: Declared | None = None) -> Prompt:
    return parse_prompt(text.encode(), path, declared=declared)


def filled(text: str, path: str = "a.j2", **values: object) -> str:
    (spoken,) = render(read(text, path), values)
    return spoken.content


def refused(prompt: Prompt, values: Mapping[str, object]) -> RenderError:
    with pytest.raises(RenderError) as caught:
        render(prompt, values)
    return caught.value


# Templates built as the founding documents describe theirs: one in single braces, one with a loop over attributes and
# a filter for prices, one whose six variables stand in conditions and loops as well.
TRIAGE = """\
---
format: braces
---
You help in an emergency room.

CONTEXT:
- Hospital: {hospital_name}
- Wait: {wait_time}
- On duty: {specialists}
- History: {patient_history_available}

Symptoms: {symptoms}
Signs: {vitals}
Since: {duration}
"""
PRODUCT = """\
---
filters: {currency: "${:.2f}"}
---
Name: {{ product.name }}
Price: {{ product.price | currency }}
{% for key, value in product.attributes.items() %}
- {{ key }}: {{ value }}
{% endfor %}
"""
SUPPORT = """\
You support customers of {{ company_name }} with {{ product_name }}.
{% if customer_tier == "enterprise" %}
Offer a call.
{% elif customer_tier == "premium" %}
Offer a chat.
{% endif %}
{% if few_shot_examples %}
{% for example in few_shot_examples %}
Customer: {{ example.input }}
Agent: {{ example.output }}
{% endfor %}
{% endif %}
Answer in {{ response_language }}. Today is {{ current_date }}.
"""
PRODUCT_VALUES = {"name": "Lamp", "price": 12.5, "attributes": {"colour": "red", "weight": "1 kg"}}
SUPPORT_VALUES: dict[str, object] = {
    "company_name": "Acme",
    "product_name": "Stream",
    "customer_tier": "enterprise",
    "few_shot_examples": [{"input": "How?", "output": "So."}],
    "response_language": "English",
    "current_date": "2024-03-01",
}


class TestFounding:
    def test_single_braces(self) -> None:
        prompt = read(TRIAGE, "triage.md")
        names = {
            "hospital_name",
            "wait_time",
            "specialists",
            "patient_history_available",
            "symptoms",
            "vitals",
            "duration",
        }
        assert names_of(prompt) == names
        (spoken,) = render(prompt, {name: f"<{name}>" for name in names} | {"patient_history_available": True})
        assert "- Hospital: <hospital_name>\n" in spoken.content
        assert "- History: True\n" in spoken.content

    def test_a_loop_over_attributes_and_a_filter_for_prices(self) -> None:
        prompt = read(PRODUCT, "product.md")
        assert names_of(prompt) == {"product"}
        (spoken,) = render(prompt, {"product": PRODUCT_VALUES})
        assert spoken.content == "Name: Lamp\nPrice: $12.50\n\n- colour: red\n\n- weight: 1 kg\n\n"

    def test_six_variables_two_of_which_stand_in_conditions_only(self) -> None:
        prompt = read(SUPPORT, "support.j2")
        assert names_of(prompt) == set(SUPPORT_VALUES)
        bare = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(SUPPORT)
        for tier in ("enterprise", "premium", "standard"):
            values = {**SUPPORT_VALUES, "customer_tier": tier}
            assert render(prompt, values) == (Spoken(role="system", content=bare.render(values)),)


def test_missing_and_unknown_variables_are_one_error_that_lists_all() -> None:
    error = refused(read(SUPPORT), {"company_name": "a", "produkt_name": "b", "x": 1})
    assert error.missing == (
        *("current_date", "customer_tier", "few_shot_examples", "product_name", "response_language"),
    )
    assert error.unknown == ("produkt_name", "x")
    assert all(name in error.message for name in (*error.missing, *error.unknown))
    assert "did you mean product_name?" in error.hint


DECLARED = """\
---
variables:
  tier: {enum: [gold, silver], default: silver}
  count: {type: integer, minimum: 1}
  tags: {type: array, items: {type: string}}
  note: {type: [string, "null"]}
---
{{ tier }} {{ count }} {{ tags | join(",") }} {{ note }}"""


def test_values_are_held_against_the_schema_and_all_faults_told() -> None:
    prompt = read(DECLARED, "a.md")
    good = {"count": 2, "tags": ["a"], "note": None}
    assert render(prompt, good)[0].content == "silver 2 a None"
    assert render(prompt, {**good, "tier": "gold", "note": "n"})[0].content == "gold 2 a n"
    error = refused(prompt, {"tier": "iron", "count": 0, "tags": ["a", 3], "note": 1.5})
    for words in (
        "tier: expected gold or silver",
        "count: 0 is not allowed",
        "tags[]: expected text",
        "note: expected",
    ):
        assert words in error.message
    assert "count: expected a whole number" in refused(prompt, {**good, "count": True}).message


def test_a_whole_schema_can_leave_variables_out_and_let_more_in() -> None:
    schema = "{type: object, properties: {a: {type: string}, b: {}}, required: [a], additionalProperties: true}"
    prompt = read(f"---\nvariables: {schema}\n---\n{{{{ a }}}}{{% if b is defined %}}{{{{ b }}}}{{% endif %}}", "a.md")
    assert render(prompt, {"a": "x"})[0].content == "x"
    assert render(prompt, {"a": "x", "b": 1, "c": 2})[0].content == "x1"
    assert "a" in refused(prompt, {"b": 1}).missing


def test_a_schema_that_needs_the_full_check_is_checked() -> None:
    prompt = read(
        "---\nvariables: {a: {oneOf: [{type: string, pattern: '^x'}, {type: integer}]}}\n---\n{{ a }}", "a.md"
    )
    assert render(prompt, {"a": "xy"})[0].content == "xy"
    assert render(prompt, {"a": 3})[0].content == "3"
    refused(prompt, {"a": "y"})


def test_references_inside_of_a_schema_are_followed() -> None:
    schema = (
        "{type: object, properties: {a: {$ref: '#/$defs/t'}}, $defs: {t: {type: array, items: {$ref: '#/$defs/t'}}}}"
    )
    prompt = read(f"---\nvariables: {schema}\n---\n{{{{ a }}}}", "a.md")
    assert render(prompt, {"a": [[], [[]]]})[0].content == "[[], [[]]]"
    refused(prompt, {"a": [[1]]})


class Colour(StrEnum):
    RED = "red"


@dataclass
class Thing:
    name: str = "x"


def test_values_are_plain_data_and_nothing_else() -> None:
    assert filled("{{ a }}|{{ a ~ '<' }}", a=Markup("<b>")) == "<b>|<b><"
    assert filled("{{ a }}", a=Colour.RED) == "red"
    assert filled("{{ a }}", a=("x", ("y",))) == "['x', ['y']]"
    assert filled("{{ a.b.c }}", a={"b": {"c": 1}}) == "1"
    for odd in (Thing(), {"x": [Thing()]}, object(), b"x", {1: 2}, {"a": {None: 1}}, lambda: 1, {1, 2}, 1j):
        assert refused(read("{{ a }}"), {"a": odd}).message.startswith("the value of a has")


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert "nested" in refused(read("{{ a }}"), {"a": loop}).message


def test_what_is_undefined_is_never_written() -> None:
    for template in (
        "{{ a.b }}",
        "{{ [a.b] }}",
        "{{ a.b ~ 'x' }}",
        "{% for x in a.b %}{% endfor %}",
        "{% if a.b %}{% endif %}",
    ):
        error = refused(read(f"\n{template}"), {"a": {}})
        assert error.message == "a.j2:2: 'dict object' has no attribute 'b'"
    assert filled("{{ a.b | default('none') }}{{ 1 if a.b is defined else 2 }}", a={}) == "none2"


def test_the_line_of_a_failure_is_that_of_the_file() -> None:
    prompt = read("---\nname: x\n---\nsystem:\nA\n\nuser:\nB\n{{ 1 // n }}\n", "a.md")
    assert refused(prompt, {"n": 0}).message == "a.md:9: integer division or modulo by zero"


def test_the_last_line_break_and_blanks_are_kept() -> None:
    assert filled("  a {{ b }}  \n\n", b=" x ") == "  a  x   \n\n"
    assert filled("{% if b %}\n a\n{% endif %}\n", b=1) == "\n a\n\n"


class TestFilters:
    @pytest.mark.parametrize(
        ("template", "text"),
        [
            ("{{ [1, 2] | tojson }}", "[1, 2]"),
            ("{{ {'ä': '<&>'} | tojson }}", '{"ä": "<&>"}'),
            ("{{ {'a': [1]} | tojson(indent=2) }}", '{\n  "a": [\n    1\n  ]\n}'),
            ("{{ '<a>' | e }}|{{ '<a>' | safe }}", "&lt;a&gt;|<a>"),
            ("{{ ['b', 'a'] | sort | join(', ') }}", "a, b"),
            ("{{ 'x' | upper ~ 1 | string }}", "X1"),
            ("{{ [{'n': 1}, {'n': 2}] | map(attribute='n') | list }}", "[1, 2]"),
            ("{{ [{'n': 1}, {'n': 2}] | sum(attribute='n') }}", "3"),
            ("{% for g in [{'k': 1, 'v': 2}] | groupby('k') %}{{ g.grouper }}{{ g.list[0].v }}{% endfor %}", "12"),
            ("{{ 'a\nb' | indent(2, first=true) }}", "  a\n  b"),
            ("{{ '%s-%03d' | format('a', 7) }}", "a-007"),
            ("{{ ', '.join(['a', 'b']).replace('a', 'c') }}", "c, b"),
            ("{{ 'a b'.split() | length }}", "2"),
            ("{% set ns = namespace(n=0) %}{% for x in [1, 2] %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}", "3"),
            ("{% macro m(x) %}<{{ x }}{{ caller() }}>{% endmacro %}{% call m(1) %}!{% endcall %}", "<1!>"),
            (
                "{% for x in [1, 2, 3] %}{{ loop.index }}/{{ loop.length }}{{ loop.cycle('a', 'b') }}{% endfor %}",
                "1/3a2/3b3/3a",
            ),
            ("{% raw %}{{ x }}{% endraw %}{# c #}", "{{ x }}"),
            ("{{ 7 // 2 }} {{ 2 ** 10 }} {{ 'ab' * 2 }} {{ 7 % 4 }} {{ [1] + [2] }}", "3 1024 abab 3 [1, 2]"),
        ],
    )
    def test_jinjas_own(self, template: str, text: str) -> None:
        assert filled(template) == text

    def test_a_format_of_the_prompts_own(self) -> None:
        prompt = read('---\nfilters: {eur: "{:,.2f} EUR", pad: "{:>5}"}\n---\n{{ a | eur }}|{{ b | pad }}', "a.md")
        assert render(prompt, {"a": 1234.5, "b": "x"})[0].content == "1,234.50 EUR|    x"
        assert "cannot format 'x'" in refused(prompt, {"a": "x", "b": "y"}).message
        assert "not list" in refused(prompt, {"a": [], "b": "y"}).message

    def test_functions_are_brought_by_the_application(self) -> None:
        prompt = read("---\nfilters: {mask: , cut: }\n---\n{{ a | mask }}{{ a | cut(1, end='.') }}", "a.md")
        filters: dict[str, Filter] = {
            "mask": lambda text: "*" * len(text),
            "cut": lambda text, size, end: text[:size] + end,
        }
        assert render(prompt, {"a": "xyz"}, filters=filters)[0].content == "***x."
        with pytest.raises(RenderError, match="needs filters from its application: cut") as missing:
            render(prompt, {"a": "xyz"}, filters={"mask": str})
        assert "filters=" in missing.value.hint
        with pytest.raises(RenderError, match="no such filters"):
            render(prompt, {"a": "xyz"}, filters={**filters, "more": str})

    def test_a_function_that_fails_is_named(self) -> None:
        prompt = read("---\nfilters: {f: }\n---\n\n{{ a | f }}", "a.md")
        with pytest.raises(RenderError, match=r"a\.md:5: the filter f failed: ValueError: no") as caught:
            render(prompt, {"a": 1}, filters={"f": _fail})
        assert isinstance(caught.value.__cause__, ValueError)


def _fail(value: object) -> str:
    raise ValueError(f"no {value}")


class TestDotprompt:
    def test_values_are_put_in(self) -> None:
        assert (
            filled("Hi {{name}}, {{a.b}} {{{a.c}}}{{! x }}", "a.prompt", name="<N>", a={"b": 1, "c": True})
            == "Hi <N>, 1 True"
        )

    def test_nothing_is_written_for_what_may_be_left_out(self) -> None:
        prompt = read("---\ninput: {schema: {a?: string, b: string}}\n---\n[{{a}}{{b}}]", "a.prompt")
        assert render(prompt, {"b": "x"})[0].content == "[x]"
        assert render(prompt, {"a": None, "b": "x"})[0].content == "[x]"
        assert refused(prompt, {"a": "x"}).missing == ("b",)

    def test_a_hole_inside_of_a_value_is_an_error(self) -> None:
        assert refused(read("\n{{a.b.c}}", "a.prompt"), {"a": {"b": {}}}).message == "a.prompt:2: 'a.b.c' is undefined"


def test_two_prompts_of_one_file_do_not_mix() -> None:
    first, second = read("A {{ a }}"), read("B {{ a }}")
    for _ in range(2):
        assert render(first, {"a": 1})[0].content == "A 1"
        assert render(second, {"a": 1})[0].content == "B 1"


def test_more_prompts_than_are_kept_all_work() -> None:
    prompts = [read(f"{number} {{{{ a }}}}") for number in range(300)]
    for _ in range(2):
        assert [render(prompt, {"a": "x"})[0].content for prompt in prompts] == [f"{n} x" for n in range(300)]


def test_output_beyond_the_limit_is_refused() -> None:
    for text, path in (
        ("{{ a }}{{ a }}", "a.j2"),
        ("---\nformat: braces\n---\n{a}{a}", "a.md"),
        ("{{a}}{{a}}", "a.prompt"),
    ):
        prompt = read(text, path)
        assert len(render(prompt, {"a": "x" * 50}, limits=Limits(output=100))[0].content) == 100
        with pytest.raises(RenderError, match="100 characters"):
            render(prompt, {"a": "x" * 51}, limits=Limits(output=100))
    both = read("user:\n{{ a }}\nassistant:\n{{ a }}")
    with pytest.raises(RenderError, match="100 characters"):
        render(both, {"a": "x" * 51}, limits=Limits(output=100))
