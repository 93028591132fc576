"""Listing the tags of a repository, from its beginning or from where the wanted ones begin.

Spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from kitpack.content.registry.exchange import Answer
from kitpack.content.registry.paging import MAX_PAGE, next_page, pages
from kitpack.errors import NotFoundError, RegistryError
from kitpack.oci.jsontext import JsonObject
from kitpack.oci.reference import is_tag

if TYPE_CHECKING:
    from kitpack.content.registry.transport import Transport

__all__ = ["tags_behind", "tags_from"]

_PER_PAGE = 1000  # some registries refuse to be asked for more
_MOST = 1_000_000


def tags_from(transport: Transport, repository: str, scopes: Sequence[str], beginning: str = "") -> Iterator[str]:
    """The tags that begin with a text, page by page.

    A registry that lists in order is asked for what comes after the text, and no further than necessary; this may leave
    out a tag that is the text itself. Of any other registry all tags are listed.

    Raises:
        NotFoundError: When there is no such repository.
        RegistryError: When there are more than a million, or the list is none.
    """
    first = _ask(transport, repository, scopes, beginning)
    names = _names(first.object(), transport, repository)
    is_in_order = bool(beginning) and all(beginning < one for one in names) and names == sorted(names)
    if beginning and next_page(first):  # a short list is whole, whatever its order
        is_in_order = is_in_order and _begins_before(transport, repository, scopes, beginning)
        first = first if is_in_order else _ask(transport, repository, scopes)
    left = _MOST
    for page in pages(transport, first, scopes):
        names = _names(page, transport, repository)
        left -= len(names)
        if left < 0:
            raise RegistryError(f"{transport.registry}/{repository} lists more than {_MOST} tags")
        yield from (name for name in names if name.startswith(beginning) and is_tag(name))
        if is_in_order and names and names[-1] > beginning and not names[-1].startswith(beginning):
            return


def _begins_before(transport: Transport, repository: str, scopes: Sequence[str], text: str) -> bool:
    """Whether the whole list begins with something before a text.

    If so, and what was listed behind the text did not, the registry knows what comes before what. Otherwise a list in
    order is told from one that only begins that way by nothing.
    """
    names = _names(_page(transport, repository, scopes, {"n": 1}).object(), transport, repository)
    return bool(names) and names[0] < text


def tags_behind(
    transport: Transport, repository: str, scopes: Sequence[str], last: str, limit: int
) -> tuple[list[str], bool]:
    """One page of what comes after a text, as the registry sees it, and whether there is more."""
    answer = _page(transport, repository, scopes, {"n": limit, "last": last})
    return _names(answer.object(), transport, repository), bool(next_page(answer))


def _ask(transport: Transport, repository: str, scopes: Sequence[str], last: str = "") -> Answer:
    if last:
        try:
            return _page(transport, repository, scopes, {"n": _PER_PAGE, "last": last})
        except NotFoundError:
            pass  # no such repository, or no such tag: there are registries that want to be told an existing one
    return _page(transport, repository, scopes, {"n": _PER_PAGE})


def _page(transport: Transport, repository: str, scopes: Sequence[str], query: dict[str, object]) -> Answer:
    return transport.request("GET", f"/v2/{repository}/tags/list?{urlencode(query)}", scopes=scopes, limit=MAX_PAGE)


def _names(page: JsonObject, transport: Transport, repository: str) -> list[str]:
    names = page.get("tags") or []
    if not isinstance(names, list):
        raise RegistryError(f"{transport.registry}/{repository}: expected a list of tags, found {type(names).__name__}")
    return [name for name in names if isinstance(name, str)]
