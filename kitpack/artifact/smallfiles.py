"""The small files of a bundle by what they are for, read and proven, from afar several at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial

from kitpack.artifact.bundle import ARCHIVE_LIMIT, TEXT_LIMIT, Bundle
from kitpack.artifact.dialects import Layer
from kitpack.content.copy import blaming
from kitpack.content.events import OnEvent, ignore
from kitpack.content.sidebyside import side_by_side
from kitpack.content.target import fetch_bytes

__all__ = ["read_files"]


def read_files(bundle: Bundle, roles: Collection[str], *, jobs: int = 4) -> dict[str, bytes | None]:
    """Read every small file of some roles; nothing else is fetched.

    Args:
        bundle: Whose files.
        roles: What they are for, such as ``prompt``.
        jobs: Layers fetched at the same time; 1 where fetching is opening a file.

    Returns:
        The bytes by path, those out of archives last; None for what is too long to be read here, and for members of
        archives that are no text.

    Raises:
        NotFoundError, IntegrityError: When a layer is missing or damaged.
    """
    layers = [layer for layer in bundle.layers if layer.role in roles]
    at_once = list(_within_reason(layers))
    fetched = dict(zip((layer.path for layer in at_once), _fetched(bundle, at_once, jobs), strict=True))
    found: dict[str, bytes | None] = {**fetched}
    texts = bundle.texts(layer for layer in layers if layer.path not in fetched)
    return found | {one.path: None if one.text is None else one.text.encode() for one in texts}


def _within_reason(layers: Collection[Layer]) -> Iterator[Layer]:
    """The layers that are small files themselves, while all of them together fit into memory easily."""
    total = 0
    for layer in layers:
        if layer.verbatim and layer.descriptor.size <= TEXT_LIMIT:
            total += layer.descriptor.size
            if total > ARCHIVE_LIMIT:
                return
            yield layer


def _fetched(bundle: Bundle, layers: Collection[Layer], jobs: int) -> list[bytes]:
    fetch = partial(_fetch, bundle)
    if jobs == 1 or len(layers) < 2:
        return [fetch(layer, ignore) for layer in layers]
    return side_by_side(fetch, layers, jobs, ignore)


def _fetch(bundle: Bundle, layer: Layer, _: OnEvent) -> bytes:
    with blaming(layer.path):
        return fetch_bytes(bundle.source, layer.descriptor)
