"""What goes wrong, as the specification says it: a status, and JSON with a code and a sentence.

Spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping, Sequence

from kitpack.errors import (
    IntegrityError,
    InvalidDigestError,
    InvalidManifestError,
    InvalidReferenceError,
    KitpackError,
    NotFoundError,
)

__all__ = ["RefusedError", "error_body", "refusal_of"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_BUSY = frozenset({errno.EMFILE, errno.ENFILE})

_GRAMMAR: dict[type[KitpackError], str] = {
    InvalidReferenceError: "NAME_INVALID",
    InvalidDigestError: "DIGEST_INVALID",
    InvalidManifestError: "MANIFEST_INVALID",
}


class RefusedError(KitpackError):
    """A request that is answered with an error.

    Args:
        status: The HTTP status.
        code: The code of the specification.
        message: What was found and what was expected.
        others: Further sentences under the same code.
        headers: What the answer says besides.
        close: Whether the connection ends with the answer, because what comes next on it cannot be told.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        others: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.messages = (message, *others)
        self.headers = dict(headers or {})
        self.close = close


def refusal_of(error: KitpackError | OSError) -> RefusedError:
    """What to answer when something else failed; where things are on this machine, nobody else needs to know."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, OSError):
        return _of_system(error)
    for kind, code in _GRAMMAR.items():
        if isinstance(error, kind):
            return RefusedError(400, code, error.message)
    if isinstance(error, NotFoundError):
        return RefusedError(404, "BLOB_UNKNOWN", "it is listed, but not here any more")
    if isinstance(error, IntegrityError):
        return RefusedError(
            500, "UNKNOWN", "what is stored is damaged; `kitpack verify` tells the registry's owner more"
        )
    return RefusedError(500, "UNKNOWN", "the registry cannot do this; its owner sees why")


def error_body(error: RefusedError) -> bytes:
    """The JSON of an answer, in ASCII: a name that came in may hold anything."""
    errors = [{"code": error.code, "message": message} for message in error.messages]
    return json.dumps({"errors": errors}).encode()


def _of_system(error: OSError) -> RefusedError:
    reason = error.strerror or type(error).__name__
    if error.errno in _FULL:
        return RefusedError(507, "UNKNOWN", f"the registry cannot store this: {reason}; ask its owner to make room")
    if error.errno in _BUSY:
        return RefusedError(503, "UNKNOWN", f"the registry is too busy: {reason}", headers={"Retry-After": "10"})
    return RefusedError(500, "UNKNOWN", f"the registry cannot do this: {reason}")
