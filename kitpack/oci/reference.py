"""References: how a person names a bundle.

======================================  ===============================================
``assistant:1.4.0``                     a tag in the local store
``registry.example/team/bot:1.4.0``     a tag in a repository of a registry
``registry.example/team/bot@sha256:…``  exactly this manifest
``oci:DIR:1.4.0``, ``oci:DIR@sha256:…`` a tag or manifest in an OCI image layout anywhere
``bot:production@{2026-05-15}``         what was live at a channel at a moment
======================================  ===============================================

Spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests (names and tags)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from kitpack.errors import InvalidDigestError, InvalidReferenceError
from kitpack.oci.digest import Digest

__all__ = ["LAYOUT_SCHEME", "LayoutReference", "Reference", "is_path", "is_tag", "looks_like_host", "path_error"]

LAYOUT_SCHEME = "oci:"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_REGISTRY = re.compile(rf"(?:{_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[0-9a-fA-F:]+\])(?::([0-9]{{1,5}}))?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_PATH = re.compile(r"[/~].*|\.{1,2}(?:/.*)?", re.DOTALL)
_MAX_NAME = 255


def is_tag(text: str) -> bool:
    """Whether the text is a tag by the spec: at most 128 letters, digits, ``_``, ``.``, ``-``, no leading ``.-``."""
    return _TAG.fullmatch(text) is not None


def is_path(text: str) -> bool:
    """Whether the text can only be a path: it starts with ``/``, ``~``, ``./`` or ``../``."""
    return _PATH.fullmatch(text) is not None


def path_error(text: str) -> InvalidReferenceError:
    """What to say when a path stands where a reference is expected."""
    return InvalidReferenceError(
        f"{text[:300]!r} is a path, not a reference",
        hint=f"`oci:{text[:300]}:TAG` names a bundle in a layout; `kitpack check {text[:300]}` looks at a folder",
    )


def looks_like_host(text: str) -> bool:
    """Whether the text is the address of a registry without a repository behind it, such as ``localhost:5000``."""
    labels = text.partition(":")[0].split(".")
    known = labels == ["localhost"] or (len(labels) > 1 and (labels[-1].isalpha() or all(map(str.isdigit, labels))))
    return known and _REGISTRY.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Reference:
    """A repository, and usually one thing in it.

    Attributes:
        registry: Host and port; empty for the local store.
        repository: The name inside the registry.
        tag: The tag, or an empty string.
        digest: The digest of the manifest; when both are given, the digest decides.
        moment: When the tag is a channel: the moment whose release is meant, as written between the braces.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: Digest | None = None
    moment: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference to one bundle.

        Raises:
            InvalidReferenceError: When the text breaks the grammar, or names a repository without tag or digest.
        """
        reference = cls.parse_repository(text)
        if not reference.selector:
            raise InvalidReferenceError(
                f"{text[:300]!r} names a repository but no version in it",
                hint=f"add a tag: {text}:TAG (`kitpack list {text}` shows which there are)",
            )
        return reference

    @classmethod
    def parse_repository(cls, text: str) -> Reference:
        """Read a reference whose tag and digest may be missing.

        Raises:
            InvalidReferenceError: When the text breaks the grammar.
        """
        _refuse_odd(text)
        whole, moment = _split_moment(text)
        name, at, digest_text = whole.partition("@")
        head, _, rest = name.partition("/")
        registry = head if rest and ("." in head or ":" in head or head == "localhost" or head[:1] == "[") else ""
        path = rest if registry else name
        repository, colon, tag = path.partition(":")
        _check_registry(text, registry)
        _check_repository(text, registry, repository)
        if colon and not is_tag(tag):
            raise InvalidReferenceError(
                f"{text[:300]!r}: {tag[:140]!r} is not a tag; expected at most 128 letters, digits, '_', '.' or '-', "
                "not starting with '.' or '-'"
            )
        _check_moment(text, moment, tag, at)
        return cls(registry, repository, tag, _digest(text, digest_text) if at else None, moment)

    @property
    def name(self) -> str:
        """Registry and repository, without tag or digest."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    @property
    def selector(self) -> str:
        """What picks one manifest in the repository: the digest if there is one, else the tag."""
        return str(self.digest) if self.digest else self.tag

    def at(self, digest: Digest) -> Reference:
        """The same repository at exactly this manifest."""
        return replace(self, tag="", digest=digest, moment="")

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}{_written_moment(self.moment)}"


@dataclass(frozen=True, slots=True)
class LayoutReference:
    """A folder that is an OCI image layout, and usually one thing in it.

    Attributes:
        path: The folder as typed.
        tag: The name of an entry of its index, or an empty string.
        digest: The digest of a manifest in it.
        moment: See :attr:`Reference.moment`.
    """

    path: str
    tag: str = ""
    digest: Digest | None = None
    moment: str = ""

    @classmethod
    def parse(cls, text: str) -> LayoutReference:
        """Read ``oci:DIR``, ``oci:DIR:TAG`` or ``oci:DIR@DIGEST``.

        Raises:
            InvalidReferenceError: When the folder is missing or the tag or digest breaks the grammar.
        """
        whole, moment = _split_moment(text.removeprefix(LAYOUT_SCHEME))
        if whole.startswith("//"):
            raise InvalidReferenceError(
                f"{text[:300]!r}: a layout is named without the slashes of an address, oci:DIR:TAG",
                hint=f"write oci:{whole[2:]}"
                + ("" if is_path(whole[2:]) else f"; or, if it is in a registry, {whole[2:]}"),
            )
        path, at, digest_text = whole.rpartition("@")
        if not at or "/" in digest_text:  # a folder's name may hold the character too
            path, at = whole, ""
        tag = ""
        if not at and ":" in path:
            path, _, tag = path.rpartition(":")
            if not is_tag(tag):
                raise InvalidReferenceError(
                    f"{text[:300]!r}: {tag[:140]!r} is not a tag",
                    hint="write oci:DIR:TAG, for example oci:./bundles:1.4.0",
                )
        if not path or "\0" in path:
            raise InvalidReferenceError(f"{text[:300]!r} names no folder", hint="write oci:DIR:TAG")
        _check_moment(text, moment, tag, at)
        return cls(path, tag, _digest(text, digest_text) if at else None, moment)

    @property
    def selector(self) -> str:
        """What picks one manifest in the layout: the digest if there is one, else the tag."""
        return str(self.digest) if self.digest else self.tag

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{LAYOUT_SCHEME}{self.path}{tag}{digest}{_written_moment(self.moment)}"


def _refuse_odd(text: str) -> None:
    if not text:
        raise InvalidReferenceError("the reference is empty", hint="write NAME:TAG, for example assistant:1.4.0")
    if is_path(text):
        raise path_error(text)
    if "://" in text:
        raise InvalidReferenceError(
            f"{text[:300]!r} starts with a scheme", hint=f"leave it out: {text.partition('://')[2]}"
        )


def _split_moment(text: str) -> tuple[str, str]:
    """The text without ``@{…}`` at its end, and what stands between the braces."""
    whole, at, moment = text.rpartition("@{")
    return (whole, moment[:-1]) if at and moment.endswith("}") else (text, "")


def _check_moment(text: str, moment: str, tag: str, at: str) -> None:
    if (moment and (at or not tag)) or (not moment and ("@{" in text)):
        raise InvalidReferenceError(
            f"{text[:300]!r}: a moment stands in braces after a channel, and nothing stands after it",
            hint="write NAME:production@{2026-05-15}, or @{3 days ago}",
        )


def _written_moment(moment: str) -> str:
    return f"@{{{moment}}}" if moment else ""


def _check_registry(text: str, registry: str) -> None:
    if not registry:
        return
    match = _REGISTRY.fullmatch(registry)
    if match is None or int(match.group(1) or 1) not in range(1, 65536):
        raise InvalidReferenceError(f"{text[:300]!r}: {registry[:200]!r} is not a registry; expected HOST or HOST:PORT")


def _check_repository(text: str, registry: str, repository: str) -> None:
    if not _REPOSITORY.fullmatch(repository):
        lower = repository.lower()
        better = f"write {text.replace(repository, lower)}" if _REPOSITORY.fullmatch(lower) else ""
        raise InvalidReferenceError(
            f"{text[:300]!r}: {repository[:200]!r} is not a repository name; expected lower-case letters and digits, "
            "joined by '.', '_', '-' or '/'",
            hint=better,
        )
    if len(registry) + 1 + len(repository) > _MAX_NAME:
        raise InvalidReferenceError(f"the repository name {repository[:60]!r}… is longer than {_MAX_NAME} characters")


def _digest(text: str, digest_text: str) -> Digest:
    try:
        return Digest.parse(digest_text)
    except InvalidDigestError as error:
        raise InvalidReferenceError(f"{text[:300]!r}: {error.message}") from None
