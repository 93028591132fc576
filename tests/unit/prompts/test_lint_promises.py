"""What a prompt has to say in every version."""

from __future__ import annotations

import pytest

from kitpack.prompts.diff import diff_prompts
from kitpack.prompts.exchange.dotprompt import import_dotprompt
from kitpack.prompts.exchange.dotprompt_export import export_dotprompt
from kitpack.prompts.exchange.prompty import export_prompty, import_prompty
from kitpack.prompts.exchange.record import export_records, import_records
from kitpack.prompts.exchange.write import write_prompt
from kitpack.prompts.fingerprint import fingerprint
from kitpack.prompts.lint.findings import Around
from kitpack.prompts.lint.lint import lint_prompt
from kitpack.prompts.parse import parse_prompt
from tests.support.linting import found, prompt_of, rules_of

TEXT = """---
name: triage
changelog: The first one that counsel has read.
must_contain:
  - Never share   patient data.
  - |
    Call a physician
    at once.
---
system:
Sort. Never share patient
data.

user:
{% if true %}Call a physician at once.{% endif %}
"""


def test_a_prompt_that_says_what_it_must() -> None:
    assert rules_of(TEXT) == []
    assert prompt_of(TEXT).must_contain == ("Never share   patient data.", "Call a physician\nat once.\n")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("Never share patient\n", "Do not share patient\n", 5),
        ("Never share patient\ndata.", "Never share patient {# data. #}", 5),
        ("Sort. Never share patient\ndata.", "{# Never share patient data. #}Sort.", 5),
        ("{% if true %}Call a physician at once.{% endif %}", "Call a physician, at once.", 7),
    ],
)
def test_a_prompt_that_does_not(old: str, new: str, line: int) -> None:
    one = found(TEXT.replace(old, new), "prompt-must-contain")
    assert (one.severity, one.line) == ("error", line)


def test_what_is_taken_in_is_said_as_well() -> None:
    text = TEXT.replace("Never share patient\ndata.", "{% include '_rules.md' %}")
    prompt = prompt_of(text, files={"prompts/_rules.md": "Never share patient data.\n"})
    assert lint_prompt(prompt, Around()) == []


def test_in_plain_text_a_comment_is_said() -> None:
    text = "---\nformat: text\nmust_contain: ['{# so it is #}']\n---\nSay {# so it is #}.\n"
    assert "must-contain" not in rules_of(text)


def test_a_promise_is_not_dropped_in_silence() -> None:
    before = prompt_of(TEXT)
    text = TEXT.replace("  - Never share   patient data.\n", "").replace("The first", "Another")
    one = found(text, "prompt-must-contain-dropped", previous=before)
    assert (one.severity, one.line) == ("error", 4)
    assert "Never share" in one.message
    assert "must-contain-dropped" not in rules_of(TEXT.replace("share   patient", "share patient"), previous=before)
    silenced = text.replace("must_contain:", "must_contain:  # kitpack: ignore=prompt-must-contain-dropped")
    assert "must-contain-dropped" not in rules_of(silenced, previous=before)


def test_promises_are_compared_and_travel_along_and_change_nothing_that_a_model_sees() -> None:
    prompt = prompt_of(TEXT)
    without = prompt_of(TEXT[: TEXT.index("must_contain")] + TEXT[TEXT.index("---\nsystem") :])
    assert fingerprint(prompt) == fingerprint(without)
    changes = diff_prompts(without, prompt).settings
    assert [one.path for one in changes] == ["must_contain"]
    suffix, raw = write_prompt(prompt)
    assert parse_prompt(raw, f"triage{suffix}").must_contain == prompt.must_contain
    plain = prompt_of(TEXT.replace("{% if true %}", "").replace("{% endif %}", ""))
    for bring, give in (
        (import_dotprompt, export_dotprompt),
        (import_prompty, export_prompty),
        (import_records, export_records),
    ):
        again = bring(dict(give([plain]).files))
        [(path, raw)] = again.files
        assert parse_prompt(raw, path).must_contain == prompt.must_contain
