"""Lists that a registry hands out page by page.

Spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kitpack.content.registry.exchange import Answer
from kitpack.content.registry.origin import Origin, absolute, shown
from kitpack.errors import RegistryError
from kitpack.oci.jsontext import JsonObject

if TYPE_CHECKING:
    from kitpack.content.registry.transport import Transport

__all__ = ["MAX_PAGE", "MAX_PAGES", "MAX_PAGES_BYTES", "next_page", "pages"]

MAX_PAGE = 32 << 20
"""Bytes of one page: some registries send all their tags at once."""

MAX_PAGES = 2000
MAX_PAGES_BYTES = 64 << 20
"""Bytes of all pages of a list: a million tags, and more than anyone wants to wait for."""

_MAX_LINK = 8 << 10

_LINK = re.compile(r"<([^<>]*)>((?:\s*;\s*[^,;<>]*)*)")
_REL_NEXT = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next)\s*(?:;|$)', re.IGNORECASE)


def pages(transport: Transport, first: Answer, scopes: Sequence[str]) -> Iterator[JsonObject]:
    """All pages that follow from a first, loaded one, itself included.

    Raises:
        RegistryError: When a page is no JSON object, the pages lead in a circle or away from the registry, or are
            too many or too large in all.
    """
    seen = {first.url}
    answer, total = first, 0
    for _ in range(MAX_PAGES):
        total += len(answer.content)
        if total > MAX_PAGES_BYTES:
            raise RegistryError(f"the pages of {shown(first.url)} have more than {MAX_PAGES_BYTES} bytes in all")
        yield answer.object()
        url = next_page(answer)
        if not url:
            return
        if url in seen:
            raise RegistryError(f"the pages of {shown(first.url)} lead in a circle")
        seen.add(url)
        answer = transport.request("GET", url, scopes=scopes, limit=MAX_PAGE)
    raise RegistryError(f"{shown(first.url)} has more than {MAX_PAGES} pages")


def next_page(answer: Answer) -> str:
    """Where the next page is, or an empty string.

    Raises:
        RegistryError: When it is at another place: a registry must not make its clients ask others.
    """
    for target, parameters in _LINK.findall(answer.headers.get("Link", "")[:_MAX_LINK]):
        if _REL_NEXT.search(parameters):
            url = absolute(answer.url, target)
            if Origin.of(url) != Origin.of(answer.url):
                raise RegistryError(f"the next page of {shown(answer.url)} is at another place, {shown(url)}")
            return url
    return ""
