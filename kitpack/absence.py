"""What to tell a person about something that is not there: what was looked for where, and which names come near."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

from kitpack.content.store.layout import Layout
from kitpack.content.target import ListsTags
from kitpack.errors import KitpackError, NotFoundError
from kitpack.oci.reference import LAYOUT_SCHEME, Reference

__all__ = ["nearest_name", "not_in_layout", "not_in_repository"]

_MOST = 10_000  # names that are compared


def nearest_name(wanted: str, names: Iterable[str]) -> str:
    """The name that is most likely meant, or an empty string."""
    known = sorted(islice(names, _MOST))
    if near := difflib.get_close_matches(wanted, known, n=1):
        return near[0]
    sisters = [name for name in known if _bare(name) == _bare(wanted)]
    return sisters[-1] if sisters else ""


def _bare(name: str) -> str:
    """What a bundle is called, wherever it lives: ``bot`` for ``localhost:5000/team/bot:1.4.0``."""
    return name.rpartition("/")[2].partition(":")[0]


def not_in_layout(layout: Layout, label: str, name: str, error: NotFoundError) -> NotFoundError:
    """Why a name is not in the local store or a layout.

    Args:
        layout: Where it was looked for.
        label: What the user typed.
        name: The name in the layout.
        error: What the layout said.
    """
    try:
        names = list(layout.tags())
    except KitpackError:
        return error  # there is no layout at all, and the error says so
    inside = label.startswith(LAYOUT_SCHEME)
    near = nearest_name(name, names)
    meant = f"{LAYOUT_SCHEME}{layout.path}:{near}" if inside else near
    listing = f"kitpack list {LAYOUT_SCHEME}{layout.path}" if inside else "kitpack list"
    return NotFoundError(
        f"{label} is not in {layout.path}" if inside else f"{label} is not in the local store, {layout.path}",
        hint=f"did you mean {meant}?" if near else f"`{listing}` shows what is there" if names else "it is empty",
    )


def not_in_repository(repository: object, reference: Reference, local: str = "") -> NotFoundError:
    """Why a reference is not in a registry.

    Args:
        repository: Where it was looked for.
        reference: What was looked for.
        local: A name in the local store that may have been meant.
    """
    tags = _tags(repository)
    if tags == []:  # some registries do not tell empty repositories from those that never were
        hidden = f"check the name; or log in, if it is hidden from strangers: kitpack login {reference.registry}"
        return NotFoundError(
            f"{reference.registry} has no repository {reference.repository}",
            hint=f"did you mean {local}?" if local else hidden,
        )
    near = nearest_name(reference.tag, tags or ()) if reference.tag else ""
    what = f"manifest {reference.digest}" if reference.digest else f"tag {reference.tag}"
    return NotFoundError(
        f"{reference.name} has no {what}",
        hint=f"did you mean {reference.name}:{near}?" if near else f"`kitpack list {reference.name}` shows its tags",
    )


def _tags(repository: object) -> list[str] | None:
    """The tags of a repository; None when it does not tell."""
    try:
        return list(islice(repository.tags(), _MOST)) if isinstance(repository, ListsTags) else None
    except NotFoundError:
        return []
    except KitpackError:
        return None
