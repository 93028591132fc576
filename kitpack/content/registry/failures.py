"""What a registry's refusal means to the person who asked.

Bodies of errors come from anywhere (a proxy's HTML, plain text, nothing), so they are read with suspicion and only
ever shown, never acted on, but for the codes of the spec.

Spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kitpack.content.registry.origin import Origin, is_loopback, shown
from kitpack.errors import AuthError, DeniedError, KitpackError, NotFoundError, RateLimitedError, RegistryError
from kitpack.oci.jsontext import Json, parse_object

__all__ = ["ErrorBody", "failure", "tidied"]

MAX_ERROR_BODY = 64 << 10
_MAX_SHOWN = 300
_MAX_CODES = 10
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_DIGEST = re.compile(rb"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})")
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,60}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBody:
    """What the body of a refusal says.

    Attributes:
        codes: The error codes of the spec.
        text: Codes and messages for a person, safe to print; may be empty.
        digest: The first digest it names, or an empty string.
    """

    codes: tuple[str, ...] = ()
    text: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, raw: bytes, content_type: str = "") -> ErrorBody:
        """Read the body of an error, whatever it is."""
        try:
            errors = parse_object(raw[:MAX_ERROR_BODY]).get("errors")
        except ValueError:
            return cls(text="" if "html" in content_type or raw.lstrip()[:1] == b"<" else _plain(raw))
        entries = [_entry(error) for error in errors[:_MAX_CODES]] if isinstance(errors, list) else []
        digest = _DIGEST.search(raw[:MAX_ERROR_BODY])
        return cls(
            digest=digest.group().decode() if digest else "",
            codes=tuple(code for code, _ in entries if code),
            text="; ".join(filter(None, (": ".join(filter(None, entry)) for entry in entries)))[:_MAX_SHOWN],
        )


def failure(*, method: str, url: str, status: int, body: ErrorBody) -> KitpackError:
    """The error that an unexpected answer means."""
    message = f"{method} {shown(url)} was answered with {status}" + (f" ({body.text})" if body.text else "")
    if status == 404:
        return NotFoundError(message, hint=_HINTS[404])
    kind = {401: AuthError, 403: DeniedError, 429: RateLimitedError}.get(status, RegistryError)
    return kind(message, hint=_hint(status, body, url), status=status, codes=body.codes)


def tidied(text: str) -> str:
    """Text of strangers, fit for a terminal: one line, no control characters, not too long."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())[:_MAX_SHOWN]


_HINTS = {
    401: "log in first: kitpack login {host}",
    403: "the account may not do this; log in as another: kitpack login {host}",
    404: "check the name; a registry may also hide what the account may not see",
    413: "the registry, or a proxy before it, refuses so large a body: its operator can raise the limit",
    429: "wait a while; logging in usually raises the limit: kitpack login {host}",
}


def _hint(status: int, body: ErrorBody, url: str) -> str:
    if status == 400 and url.startswith("http://") and _may_be_about_tls(body):
        if is_loopback(Origin.of(url).host):  # which is spoken to in plain HTTP until an authority is named
            return "if this registry speaks TLS, name its certificate authority: --ca-file (--plain-http overrules it)"
        return "if this registry speaks TLS, leave out --plain-http (KITPACK_PLAIN_HTTP)"
    return _HINTS.get(status, "").format(host=shown(url).split("/")[2])


def _may_be_about_tls(body: ErrorBody) -> bool:
    """Whether a server that speaks TLS may have refused plain HTTP: with Go's words, a page of HTML, or without any."""
    return not body.text or "HTTP request to an HTTPS server" in body.text


def _entry(error: Json) -> tuple[str, str]:
    if not isinstance(error, dict):
        return "", ""
    code, message = error.get("code"), error.get("message")
    return (
        code if isinstance(code, str) and _CODE.fullmatch(code) else "",
        tidied(message) if isinstance(message, str) else "",
    )


def _plain(raw: bytes) -> str:
    return tidied(raw[:_MAX_SHOWN].decode("utf-8", "replace"))
