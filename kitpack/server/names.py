"""What a request is about, read from its path, and which repository a name of a layout belongs to.

Spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from kitpack.errors import InvalidReferenceError
from kitpack.oci.reference import Reference, is_tag
from kitpack.server.problems import RefusedError

__all__ = ["Endpoint", "is_repository", "parse_path", "refuse_host", "split_name"]

_COMPONENT = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_MAX_REPOSITORY = 254  # what kitpack itself can still name with a tag
_BROKEN_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a path stands for.

    Attributes:
        kind: ``base``, ``catalog``, ``tags``, ``manifest``, ``blob``, ``uploads``, ``session`` or ``referrers``.
        repository: The repository, if it is in one.
        selector: The tag, digest or session it names, if any.
    """

    kind: str
    repository: str = ""
    selector: str = ""


def is_repository(text: str) -> bool:
    """Whether the text is the name of a repository."""
    return len(text) <= _MAX_REPOSITORY and _REPOSITORY.fullmatch(text) is not None


def split_name(name: str, home: str) -> tuple[str, str] | None:
    """The repository and the tag that a name of a layout stands for.

    Args:
        name: The name: ``team/bot:1.4.0``, or a bare tag, as other tools write it.
        home: The repository of bare tags; empty for none.

    Returns:
        None for a name that cannot be asked for, such as one whose host has a port.
    """
    repository, colon, tag = name.rpartition(":")
    repository = repository if colon else home
    return (repository, tag) if is_repository(repository) and is_tag(tag) else None


def parse_path(raw_path: str) -> Endpoint:
    """Read a path as it came, with its escapes.

    Raises:
        RefusedError: When nothing can be there, or the repository's name breaks the grammar.
    """
    segments = [_unescaped(segment) for segment in raw_path.split("/")]
    if segments[:2] != ["", "v2"]:
        raise RefusedError(404, "UNSUPPORTED", f"there is nothing at {raw_path[:200]!r}; a registry begins at /v2/")
    match segments[2:]:
        case [] | [""]:
            return Endpoint("base")
        case ["_catalog"]:
            return Endpoint("catalog")
        case [*name, "blobs", "uploads", ""] | [*name, "blobs", "uploads"] if name:
            return Endpoint("uploads", _repository(name))
        case [*name, "blobs", "uploads", session] if name:
            return Endpoint("session", _repository(name), session)
        case [*name, "tags", "list"] if name:
            return Endpoint("tags", _repository(name))
        case [*name, ("manifests" | "blobs" | "referrers") as kind, selector] if name:
            return Endpoint(kind.removesuffix("s") if kind != "referrers" else kind, _repository(name), selector)
    raise RefusedError(404, "UNSUPPORTED", f"the specification knows nothing at {raw_path[:200]!r}")


def refuse_host(repository: str) -> None:
    """Refuse to write under a name that stands for another registry.

    Raises:
        RefusedError: When it does: in a layout, ``registry.example/team/bot:1`` says that it was pulled from there.
    """
    try:
        host = Reference.parse_repository(repository).registry
    except InvalidReferenceError:
        host = repository
    if host:
        raise RefusedError(
            400,
            "NAME_INVALID",
            f"{host[:100]!r} looks like the host of another registry, and {repository[:200]!r} like something pulled "
            "from there; push to a repository whose first part has no dot",
        )


def _unescaped(segment: str) -> str:
    """A part of a path without its escapes; one that hides a slash, or is no text, is nowhere."""
    try:
        text = unquote_to_bytes(segment).decode()
    except UnicodeError:
        text = "/"
    if "/" in text or not text.isprintable() or _BROKEN_ESCAPE.search(segment):
        raise RefusedError(400, "NAME_INVALID", f"{segment[:200]!r} is not a part of a path that a registry knows")
    return text


def _repository(segments: list[str]) -> str:
    name = "/".join(segments)
    if not is_repository(name):
        raise RefusedError(
            400,
            "NAME_INVALID",
            f"{name[:200]!r} is not the name of a repository; expected at most {_MAX_REPOSITORY} lower-case letters "
            "and digits, joined by '.', '_', '-' or '/'",
        )
    return name
