"""Silences: where they are heard, and that none is forgotten."""

from __future__ import annotations

import pytest

from tests.support.linting import found, lint, rules_of

KEY = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7xY9zaB3dE5gH"
FRONT = "---\nname: x\n---\n"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"{FRONT}Use {KEY}. {{# kitpack: ignore=prompt-secret #}}", "a.md"),
        (f"{FRONT}{{# kitpack: ignore=prompt-secret #}}\nUse {KEY}.", "a.md"),
        (f"{FRONT}{{#- kitpack: ignore=prompt-secret -#}}\nUse {KEY}.", "a.j2"),
        (f"{FRONT}<!-- kitpack: ignore=prompt-secret -->\nUse {KEY}.", "a.md"),
        (f"Use {KEY}. <!-- kitpack: ignore=prompt-secret -->", "a.txt"),
        (f"<!-- kitpack: ignore=prompt-secret -->\nUse {KEY}.", "a.md"),
        (f"---\nname: x\ndescription: {KEY} # kitpack: ignore=prompt-secret\n---\nHello.", "a.md"),
        (f"---\nname: x\n# kitpack: ignore=prompt-secret\ndescription: {KEY}\n---\nHello.", "a.md"),
        (f"---\nname: x\n  # kitpack: ignore=prompt-secret\ndescription: {KEY}\n---\nHello.", "a.txt"),
        (f"# kitpack: ignore=prompt-secret\n- {{role: user, content: {KEY}}}\n", "a.yaml"),
        (f"{FRONT}{{# kitpack: ignore=prompt-secret,prompt-zero-width #}}\nUse {KEY}\u200b.", "a.md"),
        (
            f"{FRONT}{{# kitpack: ignore=prompt-secret #}}\n{{# kitpack: ignore=prompt-zero-width #}}\n{KEY}\u200b.",
            "a.md",
        ),
    ],
)
def test_a_silence_is_heard(text: str, path: str) -> None:
    assert rules_of(text, path) == []


@pytest.mark.parametrize(
    ("text", "path", "rules"),
    [
        (f"{FRONT}{{# kitpack: ignore=prompt-secret #}}\nHello.\n{KEY}.", "a.md", ["unused-silence", "secret"]),
        (f"{FRONT}{KEY}\n{{# kitpack: ignore=prompt-secret #}}", "a.md", ["secret", "unused-silence"]),
        (f"{FRONT}Hi. {{# kitpack: ignore=prompt-secret #}}\n{KEY}", "a.md", ["unused-silence", "secret"]),
        (f"{FRONT}{{# kitpack: ignore=prompt-zero-width #}}\n{KEY}", "a.md", ["unused-silence", "secret"]),
        (f"{FRONT}{{# kitpack: ignore=prompt-secrets #}}\n{KEY}", "a.md", ["unknown-rule", "secret"]),
        (f"{{# kitpack: ignore=prompt-secret #}} {KEY}", "a.txt", ["secret"]),
        (f"{FRONT}# kitpack: ignore=prompt-secret\n{KEY}", "a.md", ["secret"]),
        (f"{FRONT}The comment `# kitpack: ignore=prompt-secret` silences a rule.", "a.md", []),
        (f"{FRONT}{{# ignore=prompt-secret #}}{KEY}", "a.md", ["secret"]),
        (f"{FRONT}{{# kitpack: ignore=prompt-unused-silence #}}\nHello.", "a.md", ["unused-silence"]),
    ],
)
def test_a_silence_is_about_its_line_and_its_rule(text: str, path: str, rules: list[str]) -> None:
    assert rules_of(text, path) == rules


def test_an_unknown_rule_may_be_meant_otherwise() -> None:
    one = found(f"{FRONT}{{# kitpack: ignore=prompt-secrets #}}\n{KEY}", "prompt-unknown-rule")
    assert (one.line, one.column, one.hint, one.silence) == (4, 1, "did you mean prompt-secret?", "")


@pytest.mark.parametrize("path", ["a.md", "a.txt", "a.j2", "a.yaml"])
def test_what_a_finding_says_about_silencing_it_works(path: str) -> None:
    text = {
        "a.md": f"{FRONT}Hello.\n{KEY}",
        "a.txt": f"Hello.\n{KEY}",
        "a.j2": f"Hello.\n{KEY}",
        "a.yaml": f"- role: user\n  content: {KEY}\n",
    }[path]
    (one,) = lint(text, path)
    lines = text.split("\n")
    for changed in (
        [*lines[: one.line - 1], one.silence, *lines[one.line - 1 :]],
        [*lines[: one.line - 1], f"{lines[one.line - 1]} {one.silence}", *lines[one.line :]],
    ):
        assert rules_of("\n".join(changed), path) == []


def test_every_line_of_the_front_matter_can_be_silenced() -> None:
    text = "---\nname: x\nparameters: {temprature: 1}\n---\nHello."
    (one,) = lint(text)
    assert one.silence == "# kitpack: ignore=prompt-parameter-unknown"
    assert rules_of(text.replace("1}", f"1}} {one.silence}")) == []
