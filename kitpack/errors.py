"""Every error that kitpack raises on purpose.

::

    KitpackError
    ├ UsageError                    the command cannot be understood
    ├ KitfileError(issues)          every fault of a Kitfile at once
    ├ PromptError(issues)           every fault of one or more prompts at once
    ├ RenderError                   values that do not fit a prompt, or a template that cannot be filled
    ├ ModelError                    a model's endpoint that failed (ModelAuthError, ModelBusyError)
    ├ PackError                     files that cannot become layers (ChangedFileError)
    ├ InvalidReferenceError, InvalidDigestError, InvalidManifestError   text that breaks the spec's grammar
    ├ ReleaseError                  GateError, RaceError, LogError, OutsideMoveError
    ├ ContentError                  NotFoundError, TagExistsError, IntegrityError, UnsupportedError, StoreError
    ├ RegistryError                 AuthError, DeniedError, RateLimitedError, UnreachableError
    ├ UnpackError                   UnsafePathError, FileConflictError
    └ VerifyError                   what is stored or unpacked is not what was packed

A message says what was found and what was expected; a hint names what to type next. Failures of foreign libraries
are translated once, in the module that imports the library. ``OSError`` passes through as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

__all__ = [
    "AuthError",
    "ChangedFileError",
    "ContentError",
    "DeniedError",
    "FileConflictError",
    "GateError",
    "IntegrityError",
    "InvalidDigestError",
    "InvalidManifestError",
    "InvalidReferenceError",
    "Issue",
    "KitfileError",
    "KitpackError",
    "LogError",
    "ModelAuthError",
    "ModelBusyError",
    "ModelError",
    "NotFoundError",
    "OutsideMoveError",
    "PackError",
    "PromptError",
    "RaceError",
    "RateLimitedError",
    "RegistryError",
    "ReleaseError",
    "RenderError",
    "StoreError",
    "TagExistsError",
    "UnpackError",
    "UnreachableError",
    "UnsafePathError",
    "UnsupportedError",
    "UsageError",
    "VerifyError",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One fault in something the user wrote.

    Attributes:
        path: The file it stands in, as the user would type it.
        line: Its line, counted from 1; 0 when the fault is the file itself.
        column: Its column, counted from 1; 0 when unknown.
        message: What was found and what is allowed.
        hint: What to write instead, or an empty string.
        severity: ``"error"`` or ``"warning"``.
    """

    path: str
    message: str
    line: int = 0
    column: int = 0
    hint: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        place = ":".join([self.path, *(str(n) for n in (self.line, self.column) if n)])
        advice = f" ({self.hint})" if self.hint else ""
        return f"{place}: {self.message}{advice}"


class KitpackError(Exception):
    """The root of all errors raised on purpose.

    Args:
        message: What was wrong: what was found, what was expected.
        hint: What to do next, usually a command to type.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(KitpackError):
    """The command line asks for something that makes no sense."""

    exit_code = 2


class _IssuesError(KitpackError):
    """Text with faults: ``issues`` lists all of them, in the order of their lines."""

    exit_code = 3
    _where = "the text"

    def __init__(self, issues: Sequence[Issue]) -> None:
        count, names = len(issues), " and ".join(dict.fromkeys(PurePath(issue.path).name for issue in issues))
        super().__init__(f"{count} fault{'s' if count != 1 else ''} in {names or self._where}")
        self.issues = tuple(issues)

    def __str__(self) -> str:
        return "\n".join([self.message, *map(str, self.issues)])


class KitfileError(_IssuesError):
    """A Kitfile, or its ``.kitignore``, with faults: ``issues`` lists all of them, in the order of their lines."""

    _where = "the Kitfile"


class PromptError(_IssuesError):
    """Prompts with faults: ``issues`` lists all of them, in the order of their lines."""

    _where = "the prompt"


class RenderError(KitpackError):
    """Values that do not fit a prompt, or a template that could not be filled with them.

    Args:
        message: What was wrong, in one line.
        missing: The required variables that were not given.
        unknown: The names that were given and are no variables.
        hint: What to do next.
    """

    exit_code = 3

    def __init__(
        self, message: str, *, missing: Sequence[str] = (), unknown: Sequence[str] = (), hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.missing = tuple(missing)
        self.unknown = tuple(unknown)


class ModelError(KitpackError):
    """A model's endpoint that failed or answered with something else than an answer.

    Args:
        message: What was asked and what came back, without secrets.
        hint: What to do next.
        status: The HTTP status, or 0 when no answer came.
    """

    exit_code = 9

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ModelAuthError(ModelError):
    """The endpoint does not accept the key, or there is none."""


class ModelBusyError(ModelError):
    """The endpoint is overloaded or asks to slow down, and waiting did not help."""


class PackError(KitpackError):
    """Files that cannot be packed as the Kitfile asks."""

    exit_code = 3


class ChangedFileError(PackError):
    """A file that changed while it was being read."""


class InvalidReferenceError(KitpackError, ValueError):
    """Text that is not a reference to a bundle."""

    exit_code = 2


class InvalidDigestError(KitpackError, ValueError):
    """Text that is not a digest."""

    exit_code = 2


class InvalidManifestError(KitpackError, ValueError):
    """Bytes that are not a manifest kitpack can trust."""

    exit_code = 6


class ContentError(KitpackError):
    """Something about stored content."""


class NotFoundError(ContentError):
    """The blob, manifest, tag or repository is not there."""

    exit_code = 4


class TagExistsError(ContentError):
    """The tag already names other content, and tags of versions are not moved."""

    exit_code = 5

    @classmethod
    def of(cls, tag: str, found: str, wanted: str) -> TagExistsError:
        """The error about a tag that stands for one digest and was to stand for another."""
        return cls(
            f"the tag {tag!r} already names other content: {found}, not {wanted}",
            hint="choose a new tag, or move this one with --force",
        )


class IntegrityError(ContentError):
    """Bytes that do not match their digest or size."""

    exit_code = 6


class UnsupportedError(ContentError):
    """The content or the place cannot do what was asked."""


class StoreError(ContentError):
    """A local store that cannot be used: damaged, busy, or of another version."""


class RegistryError(ContentError):
    """A registry that answered with a failure.

    Args:
        message: What was asked and what came back, without secrets.
        hint: What to do next.
        status: The HTTP status, or 0 when no answer came.
        codes: The error codes of the distribution spec that the body carried.
    """

    exit_code = 7

    def __init__(self, message: str, *, hint: str = "", status: int = 0, codes: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.codes = tuple(codes)


class AuthError(RegistryError):
    """The registry does not know who is asking."""

    exit_code = 8


class DeniedError(RegistryError):
    """The registry knows who is asking, and refuses."""

    exit_code = 8


class RateLimitedError(RegistryError):
    """The registry asks to slow down, and waiting did not help."""


class UnreachableError(RegistryError):
    """No answer: the name, the network, TLS or a time limit failed."""


class UnpackError(KitpackError):
    """A bundle that cannot be written out; the target folder is as it was."""

    exit_code = 6


class UnsafePathError(UnpackError):
    """A path in the bundle that could write outside the target folder or harm it."""


class FileConflictError(UnpackError):
    """Files in the target folder that would be overwritten though they were changed."""

    exit_code = 5


class VerifyError(KitpackError):
    """Stored or unpacked content differs from what was packed."""

    exit_code = 6


class ReleaseError(KitpackError):
    """A release that cannot be made; what was live is live."""


class GateError(ReleaseError):
    """A gate did not let the release through."""

    exit_code = 10


class RaceError(ReleaseError):
    """Somebody else changed the channel at the same time, or something else is live than was expected."""

    exit_code = 5


class OutsideMoveError(ReleaseError):
    """The channel's tag was moved by somebody who wrote no record."""

    exit_code = 5


class LogError(ReleaseError):
    """A release log that is broken: a record is missing, damaged or contradicts the others."""

    exit_code = 6
