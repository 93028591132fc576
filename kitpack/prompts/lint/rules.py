"""The rules: what each of them looks for, why, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kitpack.prompts.lint.findings import Severity

__all__ = ["RULES", "Rule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule.

    Attributes:
        id: What it is called in findings and silences; it never changes its meaning.
        severity: How bad it is to break it.
        what: What it finds, in one line.
        why: Why that matters, in one line.
        fix: What to do about it.
    """

    id: str
    severity: Severity
    what: str
    why: str
    fix: str


def _table(rules: Iterable[Rule]) -> Mapping[str, Rule]:
    return {rule.id: rule for rule in rules}


RULES: Mapping[str, Rule] = _table(
    [
        Rule(
            id="prompt-syntax",
            severity="error",
            what="a file that is no prompt: its template or its front matter has a fault",
            why="nobody can render it",
            fix="correct it as the message says",
        ),
        Rule(
            id="prompt-duplicate-name",
            severity="error",
            what="two prompts of a bundle with the same name",
            why="applications ask for a prompt by its name, and would get one of the two",
            fix="give one of them another `name:`",
        ),
        Rule(
            id="prompt-undeclared-variable",
            severity="error",
            what="a variable that the template uses and `variables:` does not list",
            why="callers are told by the declaration what to give; rendering would fail",
            fix="list it under `variables:`, or correct its spelling",
        ),
        Rule(
            id="prompt-unused-variable",
            severity="warning",
            what="a variable that is declared and that no message uses",
            why="callers compute and send a value that changes nothing",
            fix="take it out of `variables:`, or use it",
        ),
        Rule(
            id="prompt-invalid-schema",
            severity="error",
            what="variables or an output whose JSON Schema cannot be right",
            why="no value, or not the intended one, would be accepted",
            fix="correct the schema",
        ),
        Rule(
            id="prompt-untrusted-in-system",
            severity="warning",
            what="a variable that users control, filled into a system or developer message",
            why="what users write there is obeyed like your own instructions",
            fix="move it into a user message: put it under a line `user:`",
        ),
        Rule(
            id="prompt-looks-untrusted",
            severity="hint",
            what="a variable that sounds as if users controlled it, and is not declared so",
            why="only declared variables are watched: in system messages, in logs, in tests of injection",
            fix="add it to `untrusted:`, if users control it",
        ),
        Rule(
            id="prompt-secret",
            severity="error",
            what="what looks like a key, a token or a password",
            why="everybody who can pull the bundle could use it, for as long as the digest exists",
            fix="take it out and revoke it; let the application bring it when it is needed",
        ),
        Rule(
            id="prompt-personal-data",
            severity="warning",
            what="an e-mail address, phone number, IBAN, card or social security number",
            why="a bundle is copied, kept and never edited; personal data in it cannot be deleted",
            fix="make it a variable, or use a made-up one such as name@example.com",
        ),
        Rule(
            id="prompt-hidden-text",
            severity="error",
            what="characters that hide or reorder text: bidirectional controls, tag characters",
            why="the model reads something else than the reviewer sees",
            fix="delete them",
        ),
        Rule(
            id="prompt-zero-width",
            severity="warning",
            what="characters without width, where the script needs none",
            why="they are invisible, cost tokens and split words for the model",
            fix="delete them",
        ),
        Rule(
            id="prompt-model-missing",
            severity="error",
            what="a prompt for the packed model (`model: bundle`) in a bundle that packs none",
            why="there is nothing it could be sent to",
            fix="name the model it is tuned for, or pack one",
        ),
        Rule(
            id="prompt-model-mismatch",
            severity="warning",
            what="a prompt that is tuned for another model than the packed one",
            why="a prompt and the model it was tuned for are one thing",
            fix="write `model: bundle`, or a name or glob that fits the packed model",
        ),
        Rule(
            id="prompt-context-window",
            severity="error",
            what="a prompt that together with `max_tokens` exceeds the model's context window",
            why="the answer would be cut off, or refused",
            fix="shorten the prompt, or lower `max_tokens`",
        ),
        Rule(
            id="prompt-token-growth",
            severity="warning",
            what="a prompt with many more tokens than its previous version",
            why="every call costs more and takes longer",
            fix="shorten it, or silence this once the growth is worth it",
        ),
        Rule(
            id="prompt-parameter-unknown",
            severity="warning",
            what="a sampling parameter that no usual model server knows",
            why="servers ignore it, or refuse the call",
            fix="correct its spelling",
        ),
        Rule(
            id="prompt-parameter-range",
            severity="warning",
            what="a sampling parameter outside of its usual range",
            why="servers refuse the call, or clip the value",
            fix="choose a value within the range",
        ),
        Rule(
            id="prompt-length-conflict",
            severity="warning",
            what="two rules about the length of the same thing that contradict each other",
            why="the model obeys one of them, and not always the same",
            fix="keep one of the two",
        ),
        Rule(
            id="prompt-format-conflict",
            severity="warning",
            what="two rules about the format of the answer that contradict each other",
            why="the model obeys one of them, and not always the same; parsers break",
            fix="keep one of the two",
        ),
        Rule(
            id="prompt-json-without-schema",
            severity="hint",
            what="a prompt that wants JSON only, without saying which",
            why="with an output schema, answers and later versions can be checked against it",
            fix="add `output:` with a JSON Schema",
        ),
        Rule(
            id="prompt-empty-message",
            severity="warning",
            what="a message without text",
            why="most model servers refuse it",
            fix="write something, or take the message out",
        ),
        Rule(
            id="prompt-unreachable",
            severity="warning",
            what="a part of the template that nothing can reach",
            why="it looks as if it did something",
            fix="take it out, or correct the condition",
        ),
        Rule(
            id="prompt-plain-braces",
            severity="warning",
            what="what looks like a place for a value, in a text that has none",
            why="the model is shown the braces instead of the value",
            fix="declare `format: jinja`, or begin the file with front matter",
        ),
        Rule(
            id="prompt-must-contain",
            severity="error",
            what="a prompt that does not say what it must: a text under `must_contain:`",
            why="somebody decided that no version may leave it out",
            fix="put it back, word for word, or change what the prompt must say",
        ),
        Rule(
            id="prompt-must-contain-dropped",
            severity="error",
            what="a text under `must_contain:` of the version before that is not there any more",
            why="somebody decided that no version may leave it out",
            fix="put it back under `must_contain:`, or silence this once it was decided otherwise",
        ),
        Rule(
            id="prompt-changelog-missing",
            severity="error",
            what="a prompt that differs from its previous version and does not say why",
            why="whoever reads the history later sees what was changed, but not what for",
            fix="say it in one sentence: `changelog: ...`",
        ),
        Rule(
            id="prompt-breaking-change",
            severity="warning",
            what="a change of variables or output that breaks callers, which the changelog does not mention",
            why="applications that call the prompt fail when they get the new version",
            fix="name it in `changelog:`, or keep the old variables working",
        ),
        Rule(
            id="prompt-unknown-rule",
            severity="warning",
            what="a silence for a rule that does not exist",
            why="it silences nothing",
            fix="correct the name",
        ),
        Rule(
            id="prompt-unused-silence",
            severity="warning",
            what="a silence on a line where the rule finds nothing",
            why="it would hide the next fault there",
            fix="take it out",
        ),
    ]
)
"""Every rule, by its id."""
