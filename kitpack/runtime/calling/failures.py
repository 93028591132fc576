"""What an endpoint's refusal means to the person who asked, without the key, whatever the endpoint repeats of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kitpack.errors import ModelAuthError, ModelBusyError, ModelError
from kitpack.oci.jsontext import JsonObject
from kitpack.runtime.calling.dialect import load_object, text_in
from kitpack.runtime.calling.provider import Provider, shown

__all__ = ["MAX_ERROR_BODY", "Refusal", "cut_off", "failure", "not_an_answer", "redacted"]

MAX_ERROR_BODY = 64 << 10
_MAX_SHOWN = 300
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_LIKE_A_KEY = re.compile(r"\b(?:sk|pk|key|Bearer)[-_ ][A-Za-z0-9_*.\-]{6,}")
_USED_UP = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_error"})
_BUSY = frozenset({"overloaded_error", "rate_limit_error", "rate_limit_exceeded", "server_overloaded"})
_NO_KEY = frozenset({"authentication_error", "invalid_api_key", "permission_error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What an endpoint says about a failure.

    Attributes:
        text: Its words for a person; may be empty.
        codes: Its words for machines: type and code.
        html: Whether it is a page for browsers: a proxy speaks, or the address is not that of an API.
    """

    text: str = ""
    codes: frozenset[str] = frozenset()
    html: bool = False

    @classmethod
    def parse(cls, raw: bytes, content_type: str = "") -> Refusal:
        """Read the body of an error, whatever it is."""
        found = load_object(raw[:MAX_ERROR_BODY])
        if found is not None:
            return cls.of(found)
        if "html" in content_type or raw.lstrip()[:1] == b"<":
            return cls(html=True)
        return cls(text=raw[:MAX_ERROR_BODY].decode("utf-8", "replace"))

    @classmethod
    def of(cls, found: JsonObject) -> Refusal:
        """Read an object with an error in it: as both APIs write it, or as other servers do."""
        error = found.get("error")
        inner = error if isinstance(error, dict) else found
        text = error if isinstance(error, str) else text_in(inner, "message", "detail", "msg")
        codes = frozenset(str(one)[:80] for name in ("type", "code") if isinstance(one := inner.get(name), str | int))
        return cls(text=text, codes=codes)


def failure(provider: Provider, url: str, status: int, refusal: Refusal) -> ModelError:
    """The error that an unexpected status means, or an error inside of an answer (whose status is 200)."""
    said = redacted(provider, refusal.text) or ("a page of HTML" if refusal.html else "")
    answered = f"answered with {status}" if status >= 300 else "sent an error instead of an answer"
    message = f"{shown(url)} {answered}" + (f" ({said})" if said else "")
    meant = status if status >= 300 else _status_of(refusal)
    kind = _KINDS.get(meant, ModelBusyError if meant >= 500 else ModelError)
    if refusal.codes & _USED_UP:
        kind = ModelError
    return kind(message, hint=_hint(provider, meant, refusal), status=status)


def not_an_answer(url: str, found: str, *, status: int = 200) -> ModelError:
    """The error about something that came in place of an answer."""
    return ModelError(
        f"{shown(url)} sent {found}, expected an answer as JSON",
        hint="check the address: it is the one below which the API is, and usually ends in /v1",
        status=status,
    )


def cut_off(url: str, why: str) -> ModelError:
    """The error about an answer that ended before the model did."""
    return ModelError(f"the answer of {shown(url)} broke off: {why}", hint="ask again")


def redacted(provider: Provider, text: str) -> str:
    """Text of strangers, fit for a message: one line, no control characters, not too long, without anything secret."""
    for secret in (provider.key.text, *provider.headers.values()):
        if len(secret) >= 4:
            text = text.replace(secret, "…")
    text = " ".join(_UNPRINTABLE.sub(" ", text).split())
    return _LIKE_A_KEY.sub("…", text)[:_MAX_SHOWN]


_KINDS: dict[int, type[ModelError]] = {
    401: ModelAuthError,
    403: ModelAuthError,
    429: ModelBusyError,
    500: ModelError,
    501: ModelError,
    505: ModelError,
}


def _status_of(refusal: Refusal) -> int:
    """The status that an error inside of an answer would have had."""
    numbers = [int(code) for code in refusal.codes if code.isascii() and code.isdigit() and len(code) == 3]
    if numbers:
        return numbers[0]
    return 429 if refusal.codes & _BUSY else 401 if refusal.codes & _NO_KEY else 0


def _hint(provider: Provider, status: int, refusal: Refusal) -> str:
    if refusal.codes & _USED_UP or status == 402:
        return "the account has nothing left to spend; waiting does not help"
    if status == 401:
        return f"check {provider.key_from or 'the key'}" + ("" if provider.key else ", which is not set")
    if status == 404:
        return "check the model's name, and the address, which usually ends in /v1"
    return _HINTS.get(status, "")


_HINTS = {
    403: "the key is known, but may not do this: ask whoever gave it",
    413: "the prompt is too long for this endpoint",
    429: "wait a while, or ask for less",
    503: "wait a while: the endpoint is overloaded, or loading its model",
    529: "wait a while: the endpoint is overloaded",
}
