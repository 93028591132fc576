"""Findings for people, for code scanning and for GitHub."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from kitpack.cli.findings import chosen, findings_json, github, report, sarif
from kitpack.prompts.lint.findings import Finding
from kitpack.prompts.lint.rules import RULES

ONE = Finding(
    rule="prompt-secret",
    severity="error",
    path="prompts/a b#1.md",
    line=3,
    column=7,
    message="50 % found: a, b\nand c",
    why="because",
    hint="take it out",
    silence="{# kitpack: ignore=prompt-secret #}",
)
FILE = Finding(rule="kitfile", severity="error", path="/abs/Kitfile", message="it is gone")
HINT = Finding(rule="prompt-looks-untrusted", severity="hint", path="a.md", line=1, message="maybe", why="because")

SARIF: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs", "$schema"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/run"}},
    },
    "$defs": {
        "text": {
            "type": "object",
            "required": ["text"],
            "additionalProperties": False,
            "properties": {"text": {"type": "string", "minLength": 1}},
        },
        "level": {"enum": ["none", "note", "warning", "error"]},
        "run": {
            "type": "object",
            "required": ["tool", "results"],
            "additionalProperties": False,
            "properties": {
                "tool": {
                    "type": "object",
                    "required": ["driver"],
                    "properties": {
                        "driver": {
                            "type": "object",
                            "required": ["name"],
                            "additionalProperties": False,
                            "properties": {
                                "name": {"type": "string"},
                                "version": {"type": "string"},
                                "rules": {"type": "array", "uniqueItems": True, "items": {"$ref": "#/$defs/rule"}},
                            },
                        }
                    },
                },
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            },
        },
        "rule": {
            "type": "object",
            "required": ["id"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": "string"},
                "name": {"type": "string"},
                "shortDescription": {"$ref": "#/$defs/text"},
                "fullDescription": {"$ref": "#/$defs/text"},
                "help": {"$ref": "#/$defs/text"},
                "defaultConfiguration": {"type": "object", "properties": {"level": {"$ref": "#/$defs/level"}}},
            },
        },
        "result": {
            "type": "object",
            "required": ["message"],
            "additionalProperties": False,
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": -1},
                "level": {"$ref": "#/$defs/level"},
                "message": {"$ref": "#/$defs/text"},
                "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
                "locations": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["physicalLocation"],
                        "properties": {
                            "physicalLocation": {
                                "type": "object",
                                "required": ["artifactLocation"],
                                "additionalProperties": False,
                                "properties": {
                                    "artifactLocation": {
                                        "type": "object",
                                        "required": ["uri"],
                                        "properties": {"uri": {"type": "string", "pattern": "^[^ \\\\#]+$"}},
                                    },
                                    "region": {
                                        "type": "object",
                                        "additionalProperties": False,
                                        "properties": {
                                            "startLine": {"type": "integer", "minimum": 1},
                                            "startColumn": {"type": "integer", "minimum": 1},
                                        },
                                    },
                                },
                            }
                        },
                    },
                },
            },
        },
    },
}
"""The parts of SARIF's schema that matter here, closed, so that a key nobody knows is found."""


def test_sarif_follows_its_schema() -> None:
    log: Any = sarif([ONE, FILE, HINT])
    jsonschema.validate(json.loads(json.dumps(log)), SARIF)
    run = log["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert set(RULES) <= set(rules)
    assert [rules[one["ruleIndex"]] for one in run["results"]] == [ONE.rule, FILE.rule, HINT.rule]
    assert [one["level"] for one in run["results"]] == ["error", "error", "note"]


def test_sarif_says_where() -> None:
    log: Any = sarif([ONE, FILE, HINT])
    places = [one["locations"][0]["physicalLocation"] for one in log["runs"][0]["results"]]
    assert places[0] == {
        "artifactLocation": {"uri": "prompts/a%20b%231.md"},
        "region": {"startLine": 3, "startColumn": 7},
    }
    assert places[1] == {"artifactLocation": {"uri": "file:///abs/Kitfile"}}
    assert places[2]["region"] == {"startLine": 1}


def test_sarif_recognizes_a_finding_that_moved() -> None:
    moved = Finding(rule=ONE.rule, severity="error", path=ONE.path, line=99, message=ONE.message)
    logs: list[Any] = [sarif([ONE]), sarif([moved])]
    first, second = (log["runs"][0]["results"][0]["partialFingerprints"] for log in logs)
    assert first == second


def test_sarif_of_nothing_is_a_run_without_results() -> None:
    log: Any = sarif([])
    jsonschema.validate(json.loads(json.dumps(log)), SARIF)
    assert log["runs"][0]["results"] == []


def test_github_escapes_what_it_would_misread() -> None:
    line = github(ONE)
    assert line.startswith("::error file=prompts/a b#1.md,line=3,col=7,title=prompt-secret::50 %25 found: a, b")
    assert "\n" not in line
    assert github(FILE) == "::error file=/abs/Kitfile,title=kitfile::it is gone"
    assert github(HINT).startswith("::notice ")


@pytest.mark.parametrize("path", ["a,b.md", "a:b.md", "a%b.md", "a::error::b.md", "a\nb.md"])
def test_github_properties_cannot_be_forged(path: str) -> None:
    line = github(Finding(rule="x", severity="warning", path=path, message="::stop::"))
    found = re.fullmatch(r"::warning file=([^,:\n]*),title=x::(.*)", line)
    assert found is not None
    assert found[2] == "::stop::"


def test_json_names_everything() -> None:
    assert findings_json([ONE])[0]["rule"] == "prompt-secret"
    assert set(findings_json([ONE])[0]) == {
        *("path", "line", "column", "severity", "rule", "message", "why", "hint", "silence")
    }


@pytest.mark.parametrize(
    ("shape", "as_json", "expected"),
    [(None, False, "text"), (None, True, "json"), ("sarif", True, "sarif"), ("github", False, "github")],
)
def test_the_format_is_what_was_asked_for(shape: str | None, as_json: bool, expected: str) -> None:
    assert chosen(shape, as_json=as_json) == expected


def test_nothing_is_switched_on_by_where_it_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("CI", "true")
    report([HINT], chosen(None, as_json=False), nothing="nothing")
    assert capsys.readouterr().out.startswith("a.md:1: hint: maybe [prompt-looks-untrusted]\n")
