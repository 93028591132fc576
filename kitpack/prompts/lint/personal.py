"""What identifies a person. A bundle is copied and kept, and nothing in it can be deleted later."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kitpack.prompts.lint.findings import Around, Found
from kitpack.prompts.lint.where import Text, texts
from kitpack.prompts.prompt import Prompt

__all__ = ["personal_data"]


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    pattern: re.Pattern[str]
    is_real: Callable[[str], bool]


_MADE_UP_HOSTS = re.compile(
    r"(?:^|\.)(?:example(?:\.[a-z]{2,3}){0,2}|test|invalid|localhost|local|email\.com|domain\.com|company\.com|mail\.com"
    r"|acme\.(?:com|org|net|io)|foo\.com|bar\.com|contoso\.com|fabrikam\.com|users\.noreply\.github\.com)$",
    re.IGNORECASE,
)
_ROLES = re.compile(
    r"^(?:abuse|admin|billing|careers|contact|data-?protection|dpo|feedback|hello|help|helpdesk|hr|info|jobs|legal|mail"
    r"|marketing|media|no-?reply|do-?not-?reply|office|orders|postmaster|press|privacy|returns|sales|security|service"
    r"|customer-?service|support|team|webmaster|user(?:name)?|name|you|your\.?name|me|someone|somebody|first(?:name)?\.last(?:name)?"
    r"|git)(?:[+-].*)?$",
    re.IGNORECASE,
)
_KNOWN_EXAMPLES = frozenset(
    {
        "DE89370400440532013000",
        "GB82WEST12345698765432",
        "GB29NWBK60161331926819",
        "GB33BUKB20201555555555",
        "FR1420041010050500013M02606",
        "FR7630006000011234567890189",
        "CH9300762011623852957",
        "NL91ABNA0417164300",
        "ES9121000418450200051332",
        "AT611904300234573201",
        "BE68539007547034",
        "IT60X0542811101000000123456",
        "4111111111111111",
        "4242424242424242",
        "4012888888881881",
        "4000056655665556",
        "5555555555554444",
        "5105105105105100",
        "5200828282828210",
        "378282246310005",
        "371449635398431",
        "6011111111111117",
        "6011000990139424",
        "3530111333300000",
        "30569309025904",
        "38520000023237",
        "078051120",
        "219099999",
        "123456789",
        "111223333",
    }
)
"""Numbers that documentation uses: valid, and nobody's."""


def personal_data(prompt: Prompt, around: Around) -> Iterator[Found]:  # noqa: ARG001
    """Find addresses and numbers of people, each place once."""
    for text in texts(prompt):
        taken: list[tuple[int, int]] = []
        for kind in _KINDS:
            for found in kind.pattern.finditer(text.text):
                start, end = found.span()
                if all(end <= first or last <= start for first, last in taken) and kind.is_real(found[0]):
                    taken.append((start, end))
                    yield _finding(kind, found, text)


def _finding(kind: _Kind, found: re.Match[str], text: Text) -> Found:
    line, column = text.at(found.start())
    message = f"this looks like {kind.name} ({_masked(found[0])})"
    return Found(rule="prompt-personal-data", message=message, line=line, column=column, path=text.path)


def _masked(value: str) -> str:
    name, at, host = value.partition("@")
    return f"{name[0]}…@{host}" if at else f"{value[:3]}…{value[-2:]}"


def _compact(value: str) -> str:
    return re.sub("[^A-Za-z0-9]", "", value).upper()


def _is_mailbox(value: str) -> bool:
    name, _, host = value.rpartition("@")
    return not _MADE_UP_HOSTS.search(host) and not _ROLES.match(name)


def _is_iban(value: str) -> bool:
    compact = _compact(value)
    if compact in _KNOWN_EXAMPLES or not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def _is_card(value: str) -> bool:
    digits = _compact(value)
    if digits in _KNOWN_EXAMPLES or not 13 <= len(digits) <= 19 or _is_pattern(digits):
        return False
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def _is_social_security(value: str) -> bool:
    area, group, serial = value.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000" and not _is_example(value)


def _is_phone(value: str) -> bool:
    digits = _compact(value)
    fictitious = re.search(r"^\(?555|555[- ]?\d{4}$|^\+?44\D*7700\D*900", value.replace(".", "-"))
    return 9 <= len(digits) <= 15 and not fictitious and not _is_pattern(digits)


def _is_example(value: str) -> bool:
    return _compact(value) in _KNOWN_EXAMPLES or _is_pattern(_compact(value))


def _is_pattern(digits: str) -> bool:
    """Whether digits are what people type when they make one up: hardly any different ones, or a row."""
    return len(set(digits)) <= 3 or any(row in digits for row in ("12345", "23456", "98765", "00000"))


_MAIL = r"(?<![\w.+/:@-])[A-Za-z0-9][\w.+-]*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?![\w@])"
_IBAN = r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b"
_CARD = (
    r"(?<![\d.-])(?:4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|3[47]\d{2}|6(?:011|5\d{2}))"
    r"(?:(?:[ -]?\d{4}){2,3}(?:[ -]?\d{1,4})?|[ -]?\d{6}[ -]?\d{5})(?![.-]?\d)"
)
_PHONE = (
    r"(?<![\w+.])(?:\+[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}"
    r"|\(\d{3}\) ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4})(?![.-]?\d)"
)
_KINDS = (
    _Kind("an e-mail address", re.compile(_MAIL), _is_mailbox),
    _Kind("an IBAN", re.compile(_IBAN), _is_iban),
    _Kind("a card number", re.compile(_CARD), _is_card),
    _Kind("a social security number", re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])"), _is_social_security),
    _Kind("a phone number", re.compile(_PHONE), _is_phone),
)
"""The most particular first: each place is named once."""
