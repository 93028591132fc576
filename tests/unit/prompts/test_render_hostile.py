"""Templates that want out, or want everything: each is stopped, soon, and with a sentence."""

from __future__ import annotations

import time
from threading import Thread

import pytest

from kitpack.errors import PromptError, RenderError
from kitpack.prompts.meter import Limits
from kitpack.prompts.parse import parse_prompt
from kitpack.prompts.render import render

BIG = "{% set b = 'a' * 1000000 %}"
LIST = "{% set l = range(100000) | list %}"
ENDLESS = "{% for i in range(100000) %}{% for j in range(100000) %}"


def outcome(template: str, limits: Limits | None = None) -> str:
    """What a template gives, or what is said about it."""
    try:
        prompt = parse_prompt(template.encode(), "h.j2")
        required = prompt.variables["required"]
        values = dict.fromkeys(map(str, required if isinstance(required, list) else []), "hello")
        return render(prompt, values, limits=limits or Limits(steps=3_000_000))[0].content
    except (PromptError, RenderError) as error:
        return f"!{error}"


ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ x.__class__.__mro__[1].__subclasses__() }}",
    "{{ x['__class__'] }}",
    "{{ x['__cl' ~ 'ass__'] }}",
    "{{ x | attr('__class__') }}",
    "{{ [x] | map(attribute='__class__') | list }}",
    "{{ [x] | map('attr', '__class__') | list }}",
    "{{ [x] | selectattr('__class__') | list }}",
    "{{ [x] | groupby('__class__') }}",
    "{{ range.__init__ }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ joiner['__init__']['__globals__'] }}",
    "{{ namespace.__init__ }}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ loop.__class__ }}",
    "{% for x in [1] %}{{ loop['__class__'] }}{% endfor %}",
    "{% for x in [1] %}{{ loop._iterable }}{% endfor %}",
    "{% macro m() %}{% endmacro %}{{ m.__globals__ }}{{ m['_func'] }}",
    "{{ x.upper.__self__ }}",
    "{{ x.format(x) }}",
    "{{ '{0.__class__}'.format(x) }}",
    "{{ '{:>9999999999}'.format(x) }}",
    "{{ x.format_map({}) }}",
    "{{ [].append(1) }}",
    "{{ {}.update(a=1) }}",
    "{{ {}.clear() }}",
    "{{ x.encode() }}",
    "{{ (1).to_bytes(10) }}",
    "{{ x.upper }}",
    "{{ range }}",
    "{{ x | map('upper') }}",
    "{{ namespace(a=1) }}",
    "{{ 7() }}",
    "{% include x %}",
    "{% include ['a', 'b'] %}",
    "{% import x as y %}",
    "{% extends 'x' %}",
    "{% block x %}{% endblock %}",
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{{ x | pprint }}",
    "{{ x | random }}",
    "{{ x is callable }}",
    "{% debug %}",
    "{% do x %}",
    "{% autoescape true %}{% endautoescape %}{{ x is escaped }}",
]


@pytest.mark.parametrize("template", ESCAPES)
def test_nothing_reaches_out_of_the_sandbox(template: str) -> None:
    found = outcome(template)
    assert found.startswith("!")
    assert " at 0x" not in found
    assert "<class" not in found


GREEDY = [
    "{{ 'a' * 10**9 }}",
    "{{ 10**9 * 'a' }}",
    "{{ [0] * 10**9 }}",
    "{{ ([[1] * 1000] * 1000) * 1000 }}",
    "{{ 'a' | center(10**9) }}",
    "{{ '%1000000000d' % 3 }}",
    "{{ '%*d' | format(1000000000, 3) }}",
    "{{ '%(a)0999999999d' | format(a=3) }}",
    "{{ '%.999999999f' % 3 }}",
    "{{ '%%%d%(a(b))99999d' % {'a(b)': 3} }}",
    "{{ ('%(' * 500000) | format(a=1) }}",
    "{{ '%9999d' * 2000 % ((1,) * 2000) }}",
    "{{ 10**5000 }}",
    "{{ (0 - 10)**5000 }}",
    "{{ 2.5**1000000 }}",
    "{{ 1 | round(10**9) }}",
    "{{ 1.5 | round(1000000000, 'floor') }}",
    "{{ 'a\nb' | indent(10**9) }}",
    "{{ 'a\nb' | indent('x' * 2000000) }}",
    "{{ 'a b' | wordwrap(1, wrapstring='x' * 2000000) }}",
    BIG + "{{ b | wordwrap(1) | length }}",
    "{{ [1, 2] | slice(10**9) | list }}",
    "{{ [1] | slice(slices=10**8) | list }}",
    "{{ [1, 2] | batch(10**9, 0) | list }}",
    "{{ range(10**9) | list }}",
    "{{ [[1]] | sum(start=[]) }}",
    ENDLESS + "{% endfor %}{% endfor %}",
    ENDLESS + "x{% endfor %}{% endfor %}",
    BIG + "{% for i in range(100000) %}{{ b }}{% endfor %}",
    BIG + "{% filter upper %}{% for i in range(100000) %}{{ b }}{% endfor %}{% endfilter %}",
    BIG + "{% set c %}{% for i in range(100000) %}{{ b }}{% endfor %}{% endset %}",
    BIG + "{% macro m() %}{% for i in range(100000) %}{{ b }}{% endfor %}{% endmacro %}{{ m() }}",
    BIG + "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}" + "{{ b }}" * 99 + "{% endcall %}",
    BIG + "{{ b | replace('a', b) }}",
    BIG + "{{ b.replace('a', b) }}",
    BIG + "{{ range(100000) | join(b) }}",
    BIG + "{{ range(100000) | map('string') | join(b) }}",
    BIG + "{{ b.join(range(100000) | map('string')) }}",
    BIG + "{{ ('%s' * 1000) | format(*([b] * 1000)) }}",
    BIG + "{{ ('%(a)s' * 1000) | format(a=b) }}",
    LIST + "{% for i in range(100000) %}{% if 0.5 in l %}{% endif %}{% endfor %}",
    LIST + "{% for i in range(100000) %}{% if 0.5 is in(l) %}{% endif %}{% endfor %}",
    LIST + "{% for i in range(100000) %}{% set x = l | unique | list %}{% endfor %}",
    LIST + "{% for i in range(100000) %}{% set x = l.count(1) %}{% endfor %}",
    LIST + "{% for i in range(100000) %}{% if loop.changed(l) %}{% endif %}{% endfor %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
]
DOUBLING = [
    ("'a' * 1000", "{% set x = x ~ x %}"),
    ("'a' * 1000", "{% set x = x + x %}"),
    ("'a' * 1000", "{% set x = x * 2 %}"),
    ("'a' * 1000", "{% set x %}{{ x }}{{ x }}{% endset %}"),
    ("'a' * 1000", "{% set x = '%s%s' % (x, x) %}"),
    ("'a' * 1000", "{% set x = [x, x] | join %}"),
    ("['a']", "{% set x = [x, x] %}"),
    ("['a']", "{% set x = (x, x) %}"),
    ("['a']", "{% set x = {'a': x, 'b': x} %}"),
    ("['a']", "{% set x = dict(a=x, b=x) %}"),
    ("['a']", "{% set x = [x] * 2 %}"),
    ("['a']", "{% set x = x | batch(9, x) | list %}"),
    ("['a']", "{% set x = x + [x] %}"),
    ("9", "{% set x = x * x %}"),
]


@pytest.mark.parametrize("template", [*GREEDY, *(f"{{% set x = {a} %}}{b * 60}{{{{ x }}}}" for a, b in DOUBLING)])
def test_whatever_grows_is_stopped(template: str) -> None:
    before = time.process_time()
    assert outcome(template).startswith("!")
    assert time.process_time() - before < 5


@pytest.mark.parametrize(
    "end", ["{{ x == y }}", "{{ x in [y] }}", "{{ x | tojson }}", "{{ x ~ '' }}", "{{ [x, y] | unique | list }}"]
)
def test_what_is_large_only_when_written_out_is_stopped(end: str) -> None:
    template = "{% set x = ['a'] %}{% set y = ['a'] %}" + "{% set x = [x, x] %}{% set y = [y, y] %}" * 18
    assert outcome(template + end, Limits(steps=1_000_000)).startswith("!")


def test_time_is_a_limit_of_its_own() -> None:
    limits = Limits(steps=10**12, seconds=0.2)
    before = time.process_time()
    assert "longer than 0.2 seconds" in outcome(ENDLESS + "{% if i %}{% endif %}{% endfor %}{% endfor %}", limits)
    assert time.process_time() - before < 3


def test_a_stopped_template_leaves_nothing_behind() -> None:
    assert outcome(BIG * 3 + "{{ b * 9 }}").startswith("!")
    assert outcome("{{ 'a' * 9 }}") == "a" * 9


def test_each_thread_has_a_meter_of_its_own() -> None:
    prompt = parse_prompt(b"{% for i in range(1000) %}{{ a }}{% endfor %}", "h.j2")
    found: dict[int, str] = {}

    def work(number: int) -> None:
        for _ in range(20):
            found[number] = render(prompt, {"a": str(number)}, limits=Limits(steps=20_000))[0].content

    threads = [Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: str(number) * 1000 for number in range(4)}
