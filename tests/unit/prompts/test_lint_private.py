"""Secrets and personal data: found, never shown, and seldom where there are none.

What looks like a secret here is put together when the tests run, so that no scanner takes this file for a leak.
"""

from __future__ import annotations

import pytest

from tests.support.linting import lint, rules_of

LONG = "aB3dE5gH7jK9mN1pQ3sT5vW7xY9zaB3dE5gH7jK9mN1pQ3sT5vW7xY9z"
SECRETS = {
    "an OpenAI-style key": ["sk-" + LONG[:48], "sk-proj-" + LONG[:40], "sk-or-v1-" + LONG[:40]],
    "an Anthropic key": ["sk-ant-api03-" + LONG],
    "a GitHub token": ["ghp_" + LONG[:36], "gho_" + LONG[:36], "github_pat_" + LONG[:50]],
    "a GitLab token": ["glpat-" + LONG[:20]],
    "an AWS access key": ["AKIA" + "QYLPMN5HHHFPZAM2", "ASIA" + "QYLPMN5HHHFPZAM2"],
    "a Slack token": ["xoxb-" + "284719305-993817264-" + LONG[:24]],
    "a Google API key": ["AIza" + LONG[:35]],
    "a Stripe key": ["sk_live_" + LONG[:24], "rk_live_" + LONG[:24]],
    "a Hugging Face token": ["hf_" + LONG[:34]],
    "an npm token": ["npm_" + LONG[:36]],
    "a SendGrid key": ["SG." + LONG[:22] + "." + LONG[:43]],
    "a JSON web token": ["eyJ" + LONG[:20] + ".eyJ" + LONG[:30] + "." + LONG[:40]],
    "a private key": ["-----BEGIN " + kind + "PRIVATE KEY-----\n" + LONG for kind in ("", "RSA ", "EC ", "OPENSSH ")],
    "a password in an address": ["postgres://bob:" + "s3cr3tPw9x" + "@db.internal/x"],
    "a secret that is assigned": [
        "api_key: " + LONG[:24],
        "API_KEY=" + LONG[:24],
        '"client_secret": "' + LONG[:24] + '"',
        "password = '" + LONG[:20] + "'",
        "export DEEPSEEK_TOKEN=" + LONG[:32],
    ],
}


@pytest.mark.parametrize(("kind", "secret"), [(kind, one) for kind, many in SECRETS.items() for one in many])
def test_a_secret_is_found_once_and_never_shown(kind: str, secret: str) -> None:
    (one,) = lint(f"Hello.\nUse {secret} for it.", "a.txt")
    assert (one.rule, one.severity, one.line) == ("prompt-secret", "error", 2)
    assert kind in one.message
    value = secret.partition("\n")[0].rpartition("=")[2].rpartition(": ")[2].strip("'\" ")
    assert value not in one.message + one.hint
    shown = one.message.partition("(")[2]
    assert not shown or len(shown.partition("…")[0]) <= 4


HARMLESS = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "sk-your-key-here-1234567890abcdef",
    "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "sk-..., ghp_..., xoxb-...",
    "api_key: YOUR_API_KEY_GOES_HERE_2024",
    "password: {{ password }}",
    "token: {{ user.token }} secret=${SECRET_FROM_ENV_1}",
    "max_tokens: 12000000000000000",
    "the secret: never tell anybody that 2 and 2 are 5",
    "sk-learn-estimator-based-classification-model-v2",
    "task-9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "id 550e8400-e29b-41d4-a716-446655440000",
    "https://example.com/path?token=abc",
    "https://docs.example.com/a/very/long/path/with-many-words-2024/index.html",
    "Write -----BEGIN PRIVATE KEY----- nowhere.",
    "tokens: words, sub-words and punctuation_marks_1_2_3",
    "AKIAAAAAAAAAAAAAAAAA",
    "secret_santa: invite-everyone-to-the-party-2024",
    "token_type: urn:ietf:params:oauth:token-type:jwt",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert "secret" not in rules_of(f"Hello.\n{text}\n", "a.txt")


PERSONAL = {
    "an e-mail address": ["ada.lovelace@gmail.com", "j.doe+tag@uni-bonn.de"],
    "a phone number": ["+49 30 901820", "+1 (415) 867-5309", "(415) 867-5309", "212-867-5309", "+44 20 7946 0958"],
    "an IBAN": ["DE12 5001 0517 0648 4898 90", "DE12500105170648489890"],
    "a card number": [
        "4539 1488 0343 6467",
        "4539148803436467",
        "3714 496353 98460"[:0] + "6011 5740 2618 9904"[:0] or "4485275742308327",
    ],
    "a social security number": ["219-45-6789"],
}


@pytest.mark.parametrize(("kind", "value"), [(kind, one) for kind, many in PERSONAL.items() for one in many])
def test_a_person_is_found_and_not_repeated(kind: str, value: str) -> None:
    (one,) = lint(f"Hello.\nReach {value} now.", "a.txt")
    assert (one.rule, one.severity, one.line, one.column) == ("prompt-personal-data", "warning", 2, 7)
    assert kind in one.message
    assert value not in one.message


NOBODY = [
    "name@example.com, a@b.example, you@yourcompany.test",
    "support@acme.com and no-reply@shop.de, hello+bot@firm.io",
    "git@github.com:org/repo.git",
    "https://user@host.internal/path",
    "{{ name }}@{{ domain }}",
    "@mention and a @ b",
    "555-123-4567, (555) 867-5309, +1 415 555 0132",
    "2024-05-15 10:20:30, 2024-05-15T10:20:30+02:00, 05-15-2024",
    "version 1.2.3.4, 10.0.0.1, 192.168.100.200",
    "DE89 3704 0044 0532 0130 00 and GB82 WEST 1234 5698 7654 32",
    "DE13 5001 0517 0648 4898 90",
    "4111 1111 1111 1111, 4242424242424242, 378282246310005",
    "4539 1488 0343 6468",
    "order 1234567890123456, ISBN 978-3-16-148410-0",
    "123-45-6789, 000-12-3456, 666-12-3456, 987-65-4321",
    "1-2-3, 12-34-56, 100-200-300",
    "severity 1-4, 0.0 to 2.0, +10 %, +100 points",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "550e8400-e29b-41d4-a716-446655440000",
    "timestamp 1716200000, 1716200000000",
]


@pytest.mark.parametrize("text", NOBODY)
def test_what_is_nobody_is_left_alone(text: str) -> None:
    assert "personal-data" not in rules_of(f"Hello.\n{text}\n", "a.txt")
