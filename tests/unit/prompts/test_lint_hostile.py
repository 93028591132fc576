"""Prompts that somebody wrote to keep lint busy: it comes to an end all the same, and does not fall over."""

from __future__ import annotations

import pytest

from tests.support.linting import lint

SIZE = 1 << 16
FRONT = "---\nname: x\n---\n"
HOSTILE = {
    "mails": "bob.x@gmail.com ",
    "halves of mails": "a.b+c",
    "ends of mails": "a@a.",
    "digits": "1",
    "groups": "12-",
    "phones": "+1234 123 1234 ",
    "accounts": "DE12 5001 ",
    "tokens": "token=",
    "dashes": "a-",
    "keys": "sk-a1",
    "webs": "eyJ",
    "begins": "-----BEGIN A ",
    "addresses": "abc://",
    "limits": "at most 5 words ",
    "sentences": "at most 5 words. ",
    "nos": "no a b c ",
    "formats": "JSON only. ",
    "lists": "only in with as ",
    "hidden": "a\u200b\u202e",
    "values": "{{ a }} ",
    "silences": "{# kitpack: ignore=prompt-secret #}\n",
    "open comments": "<!-- kitpack: ",
    "lines": "\n",
    "spaces": " ",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_comes_to_an_end(name: str) -> None:
    piece = HOSTILE[name]
    lint(f"{FRONT}Hello.{piece * (SIZE // len(piece))}")


def test_many_blocks_come_to_an_end() -> None:
    lint(FRONT + "".join(f"{{% set a{number} = 1 %}}" for number in range(2000)) + "Hello.")
    lint(FRONT + "{% if a %}" + "".join(f"{{% elif b{number} %}}x" for number in range(50)) + "{% endif %}")


def test_of_very_many_findings_the_first_are_told() -> None:
    findings = lint(FRONT + "bob.x@gmail.com\n" * 500)
    assert len(findings) == 100
    assert findings[0].line == 4
