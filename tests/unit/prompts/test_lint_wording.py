"""Contradictions that can be seen without understanding a word, and the many rules that do not contradict."""

from __future__ import annotations

import pytest

from tests.support.linting import found, rules_of

FRONT = "---\nname: x\noutput: {type: object}\n---\n"

CONTRADICTING = [
    "Answer in at most 50 words. Never use more than 100 words.",
    "Keep it under 50 words.\nBe kind.\nDo not exceed 80 words.",
    "Use at least 200 words. Maximum 100 words.",
    "Exactly 3 sentences. At most 2 sentences.",
    "Exactly three sentences. Write exactly 4 sentences.",
    "The summary must not exceed 80 words. Keep the summary under 50 words.",
    "Answer within 1,000 characters. Your answer must be limited to 500 characters.",
    "Respond in 3 sentences or fewer. Your response: max 5 sentences.",
    "No more than two bullet points. Up to five bullet points.",
    "Please answer in no more than 100 words; the reply should be at most 120 words long.",
]

AGREEING = [
    "Answer in at most 50 words. Really: at most 50 words.",
    "Answer in at most 50 words and at most 3 sentences.",
    "A title of at most 10 words and a summary of at most 100 words.",
    "Title: at most 10 words.\nSummary: at most 100 words.",
    "- headline (max 8 words)\n- body (max 80 words)",
    "If the customer is angry, use at most 50 words. Otherwise use at most 100 words.",
    "Use at most 50 words for questions. At most 100 words for outages.",
    "Each bullet: at most 10 words. The whole answer: at most 100 words.",
    "{% if tier == 'gold' %}At most 100 words.{% else %}At most 50 words.{% endif %}",
    "At most {{ limit }} words. Never more than 100 words.",
    "Between 50 and 100 words. At most 100 words.",
    "Use at least 50 words. Maximum 100 words.",
    "Exactly 3 sentences. At most 5 sentences.",
    "Be brief. Be thorough. Write at most 100 words.",
    "The user may send up to 500 words. Answer in at most 50 words.",
    "The first paragraph has at most 50 words, the second at most 80 words.",
    "Within 30 days we answer at most 100 words.",
    "It took me under 5 lines of code, up to 10 lines of tests.",
]


@pytest.mark.parametrize("text", CONTRADICTING)
def test_two_limits_that_cannot_both_be_meant(text: str) -> None:
    one = found(FRONT + text, "prompt-length-conflict")
    assert "contradicts" in one.message


@pytest.mark.parametrize("text", AGREEING)
def test_limits_that_go_together(text: str) -> None:
    assert "length-conflict" not in rules_of(FRONT + text)


def test_what_an_answer_in_an_example_says_is_no_rule() -> None:
    body = "system:\nAt most 50 words.\nassistant:\nAt most 100 words.\nuser:\nHello."
    assert rules_of(FRONT + body) == []


def test_limits_of_several_messages_meet() -> None:
    body = "system:\nAnswer in at most 50 words.\nuser:\nAnswer in at most 100 words."
    one = found(FRONT + body, "prompt-length-conflict")
    assert (one.line, one.column) == (8, 11)
    assert "of line 6" in one.message


@pytest.mark.parametrize(
    "text",
    [
        "Respond only in Markdown. Output JSON only.",
        "Reply with nothing but valid JSON.\nOnly plain text.",
        "Return XML only. Answer with JSON only.",
        "Answer exclusively in CSV. Respond with only a JSON object.",
        "Answer in Markdown only.",
        "XML only.",
    ],
)
def test_formats_that_exclude_each_other(text: str) -> None:
    assert "format-conflict" in rules_of(FRONT + text)


@pytest.mark.parametrize(
    "text",
    [
        "Answer with JSON only. Do not wrap it in Markdown.",
        "Answer with JSON only. Again: only JSON.",
        "Answer with JSON only. Never answer with Markdown only.",
        "Answer with JSON only. The field body holds only Markdown.",
        "Answer with JSON only if asked; otherwise Markdown only.",
        "{% if json %}JSON only.{% else %}Markdown only.{% endif %}",
        "We not only support JSON but also XML.",
        "The user sends JSON, XML or CSV. Answer with JSON only.",
        "Answer with JSON only. The input contains XML only.",
    ],
)
def test_formats_that_go_together(text: str) -> None:
    assert "format-conflict" not in rules_of(FRONT + text)


def test_markdown_only_without_a_schema_is_fine() -> None:
    assert rules_of("---\nname: x\n---\nAnswer in Markdown only.") == []
