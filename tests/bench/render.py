"""How long it takes to fill a prompt of 200 lines, beside Jinja alone.

::

    python -m tests.bench.render [REPETITIONS]

Prints the median of each in microseconds, and its ratio to Jinja's own sandbox with a compiled template. It is no test:
a time means something on a quiet machine only.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from jinja2 import Environment, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from kitpack.prompts.parse import parse_prompt
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.render import render

HEAD = """\
---
name: triage
variables:
  hospital: {type: string}
  wait_minutes: {type: integer}
  specialists: {type: array, items: {type: string}}
  severity: {enum: [low, medium, high]}
  history: {type: array, items: {type: object, properties: {date: {type: string}, note: {type: string}}}}
  symptoms: {type: string}
  vitals: {type: object, additionalProperties: {type: number}}
  duration: {type: string}
untrusted: [symptoms]
---
"""
PART = """\
## Section {number}
- Never state a diagnosis as certain.
- The hospital is {{{{ hospital }}}}, and people wait {{{{ wait_minutes }}}} minutes there.
{{% if severity == "high" %}}
- Ask for a physician at once.
{{% else %}}
- Ask again after {{{{ wait_minutes * 2 }}}} minutes.
{{% endif %}}
- Answer in short sentences.
- Keep to the format that is described below.
"""
TAIL = """\
{% for one in specialists %}
- Available: {{ one }}
{% endfor %}
{% for visit in history %}
- {{ visit.date }}: {{ visit.note | upper }}
{% endfor %}
{% for name, value in vitals.items() %}
- {{ name }}: {{ value }}
{% endfor %}
{{ symptoms }}
{{ duration }}
"""
VALUES = {
    "hospital": "St. Mary",
    "wait_minutes": 45,
    "specialists": ["cardiology", "surgery", "neurology"],
    "severity": "high",
    "history": [{"date": "2026-01-02", "note": "asthma"}, {"date": "2026-03-04", "note": "fracture"}],
    "symptoms": "a cough for three days",
    "vitals": {"pulse": 91, "temperature": 38.2, "pressure": 120},
    "duration": "three days",
}


def template() -> str:
    """The body of the prompt."""
    return "".join(PART.format(number=number) for number in range(1, 20)) + TAIL


def prompt() -> Prompt:
    """The prompt."""
    return parse_prompt((HEAD + template()).encode(), "prompts/triage.md")


def measured() -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    ready, bare = prompt(), Environment(undefined=StrictUndefined).from_string(template())
    options = {"undefined": StrictUndefined, "keep_trailing_newline": True}
    sandboxed = ImmutableSandboxedEnvironment(**options).from_string(template())
    assert render(ready, VALUES)[0].content == sandboxed.render(VALUES)
    return {
        "jinja": lambda: bare.render(VALUES),
        "jinja in its sandbox": lambda: sandboxed.render(VALUES),
        "kitpack, values checked": lambda: render(ready, VALUES),
        "kitpack, parsed again": prompt,
    }


def main() -> None:
    """Measure in turns, so that what else the machine does hits all alike."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    work = measured()
    times: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds):
        for name, function in work.items():
            if name.endswith("again") and number % 50:
                continue
            before = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - before)
    medians = {name: statistics.median(found) for name, found in times.items()}
    print(f"{len(template().splitlines())} lines")  # noqa: T201
    for name, median in medians.items():
        ratio = median / medians["jinja in its sandbox"]
        print(f"{name:24} {median * 1e6:8.1f} µs  {ratio:6.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
