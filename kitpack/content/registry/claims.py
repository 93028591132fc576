"""What the headers of an answer claim about a manifest; its bytes prove it later."""

from __future__ import annotations

from kitpack.content.registry.exchange import Answer
from kitpack.content.registry.origin import shown
from kitpack.errors import InvalidDigestError, RegistryError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import is_manifest

__all__ = ["announced", "as_digest", "manifest_type"]


def as_digest(reference: str) -> Digest | None:
    """A reference as a digest, if it is one."""
    try:
        return Digest.parse(reference)
    except InvalidDigestError:
        return None


def announced(answer: Answer) -> Descriptor | None:
    """What the headers say, if they say all that is needed."""
    digest = as_digest(answer.headers.get("Docker-Content-Digest", ""))
    if digest is None or answer.size is None or not is_manifest(answer.media_type):
        return None
    return Descriptor(media_type=answer.media_type, digest=digest, size=answer.size)


def manifest_type(answer: Answer) -> str:
    """The media type of an answer that must be a manifest.

    Raises:
        RegistryError: When it is something else.
    """
    if not is_manifest(answer.media_type):
        raise RegistryError(
            f"{shown(answer.url)} answered with {answer.media_type[:120] or 'no media type'!r}; expected a manifest",
            hint="is this the address of a registry?",
            status=answer.status,
        )
    return answer.media_type
