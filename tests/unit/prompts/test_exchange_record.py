"""Release records: the shape of the field's checklists, in and out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from kitpack.errors import PromptError
from kitpack.prompts.exchange.record import export_records, import_records
from kitpack.prompts.prompt import Prompt
from tests.support.prompting import PROMPTS, bare, parse, parse_files

FOUNDING = {
    "prompt_id": "support-triage",
    "version": "2026-03-15.3",
    "model": "gpt-4.1",
    "template": "Classify the ticket by severity and team...",
    "variables": ["customer_tier", "ticket_body", "region"],
    "rollback_to": "2026-03-12.1",
}

WHOLE: dict[str, Any] = {
    "prompt_id": "support-triage",
    "version": "4",
    "model": "gpt-4.1",
    "messages": [{"role": "system", "content": "Sort."}, {"role": "user", "content": "{{ ticket }}\n"}],
    "variables": {"type": "object", "properties": {"ticket": {"type": "string", "x-kitpack-untrusted": True}},
                  "required": ["ticket"], "additionalProperties": False},
    "output_schema": {"type": "object", "properties": {"team": {"type": "string"}}},
    "params": {"temperature": 0.2},
    "changelog": "Says which team",
    "author": "Ada",
    "created_at": "2026-03-15T10:00:00Z",
    "evaluator_results": [{"suite": "cases", "dataset_digest": "sha256:0", "result": "PASSED",
                           "scores": {"team": 0.9}}],
    "rollout": {"stage": "canary", "percent": 10, "started_at": "2026-03-15", "actor": "Ada", "reason": "trial"},
    "rollback_to": "3",
    "status": "active",
    "tokens": {"tokenizer": "o200k", "count": 12},
    "tags": ["support"],
}  # fmt: skip


def read(*records: Any) -> dict[str, Prompt]:
    value = records[0] if len(records) == 1 else list(records)
    found = import_records({"release.json": json.dumps(value).encode()})
    return parse_files(found.files, found.prompts)


def notes(*records: Any) -> tuple[str, ...]:
    return import_records({"release.json": json.dumps(list(records)).encode()}).notes


def written(prompt: Prompt) -> Any:
    ((_, raw),) = export_records([prompt]).files
    return json.loads(raw)


def test_the_founding_record_becomes_a_prompt_and_comes_back() -> None:
    (prompt,) = read(FOUNDING).values()
    assert (prompt.name, prompt.version, prompt.model) == ("support-triage", "2026-03-15.3", "gpt-4.1")
    assert [(one.role, one.template) for one in prompt.messages] == [("system", FOUNDING["template"])]
    assert prompt.variables["required"] == FOUNDING["variables"]
    assert prompt.metadata == {"rollback_to": "2026-03-12.1"}
    record = written(prompt)
    assert record.pop("digest") == str(prompt.digest)
    assert record == FOUNDING
    assert list(record) == ["prompt_id", "version", "model", "template", "variables", "rollback_to"]
    assert notes(FOUNDING) == ()


def test_a_whole_record_comes_back_whole() -> None:
    (prompt,) = read(WHOLE).values()
    assert prompt.untrusted == {"ticket"}
    record = written(prompt)
    del record["digest"]
    assert record.pop("x-kitpack") == {"untrusted": ["ticket"]}
    assert record == WHOLE


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(PROMPTS)
def test_what_goes_out_comes_back(prompt: Prompt) -> None:
    found = import_records(dict(export_records([prompt]).files))
    (again,) = parse_files(found.files, found.prompts).values()
    kept = {key: value for key, value in again.metadata.items() if key != "record_digest"}
    assert again.metadata["record_digest"] == str(prompt.digest)
    assert bare(replace(again, metadata=kept)) == bare(prompt)


def test_of_several_versions_the_active_one_has_the_name() -> None:
    old = {**FOUNDING, "version": "1", "template": "Old", "status": "active"}
    new = {**FOUNDING, "version": "2", "template": "New", "status": "shadow"}
    found = read(old, new)
    assert {name: one.version for name, one in found.items()} == {"support-triage": "1", "support-triage_v2": "2"}
    assert "support-triage: version 1 has this name, 2 is support-triage_v2" in notes(old, new)
    both = read({**old, "status": "x"}, {**new, "status": "x"})
    assert both["support-triage"].version == "2"


def test_nothing_is_lost_silently() -> None:
    said = notes({**FOUNDING, "approver": "Grace", "digest": "sha256:12"})
    assert any("approver" in note for note in said)
    assert any("record_digest" in note for note in said)
    (prompt,) = read({**FOUNDING, "approver": "Grace", "digest": "sha256:12"}).values()
    assert prompt.metadata["approver"] == "Grace"
    assert prompt.metadata["record_digest"] == "sha256:12"


def test_single_braces_are_pointed_out() -> None:
    (note,) = notes({**FOUNDING, "template": "Sort {ticket_body}"})
    assert "{ticket_body}" in note
    assert "format: braces" in note


def test_includes_are_written_into_the_record() -> None:
    files = {"prompts/_rules.md": b"Be {{ tone }}."}
    prompt = parse("---\nname: p\n---\nA. {% include '_rules.md' %} B.\n", "prompts/p.md", files)
    exported = export_records([prompt])
    assert json.loads(exported.files[0][1])["template"] == "A. Be {{ tone }}. B.\n"
    assert any("_rules.md" in note for note in exported.notes)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ([], "empty"),
        ([1], "record 1 is no object"),
        ({}, "prompt_id"),
        ({**FOUNDING, "prompt_id": 7}, "prompt_id"),
        ({**FOUNDING, "version": 1.5}, "version"),
        ({**FOUNDING, "version": True}, "version"),
        ({**FOUNDING, "template": None}, "neither a template nor messages"),
        ({**FOUNDING, "messages": [{"role": "user", "content": "x"}]}, "or both"),
        ({**WHOLE, "messages": []}, "neither"),
        ({**WHOLE, "messages": [{"role": "boss", "content": "x"}]}, "message 1"),
        ({**WHOLE, "messages": ["x"]}, "message 1"),
        ({**FOUNDING, "variables": "a"}, "variables"),
        ({**FOUNDING, "variables": [1]}, "variables"),
        ([FOUNDING, {**FOUNDING, "version": None}], "record 2"),
    ],
)
def test_what_is_no_record_is_refused_with_its_place(record: Any, words: str) -> None:
    with pytest.raises(PromptError) as error:
        import_records({"release.json": json.dumps(record).encode()})
    assert words in str(error.value)
    assert all(issue.path == "release.json" for issue in error.value.issues)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"{}{}", b'{"a":1,"a":2}', b"\xff", b"NaN", b'{"found":1},"found":{}', b'[],"x":1']
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(PromptError):
        import_records({"release.json": raw})


def test_all_faults_of_all_files_come_at_once() -> None:
    with pytest.raises(PromptError) as error:
        import_records({"a.json": b"{}", "b.json": b"["})
    assert {issue.path for issue in error.value.issues} == {"a.json", "b.json"}
