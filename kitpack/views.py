"""Looking at bundles: what is in one, and what changed between two.

::

    import kitpack

    kitpack.inspect("localhost:5000/team/assistant:1.4.0").prompts()
    kitpack.diff("assistant:1.3.0", "samples/support-bot").prompts

Wherever a bundle can be named, a folder can: then it is what packing it would make, and nothing is written.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from kitpack.artifact.bundle import Bundle
from kitpack.content.events import OnEvent, ignore
from kitpack.content.store.folder import MARKER
from kitpack.errors import KitfileError, PackError, UsageError
from kitpack.oci.reference import LAYOUT_SCHEME
from kitpack.settings import Settings
from kitpack.verbs import is_folder, look, pack_into

if TYPE_CHECKING:
    from kitpack.artifact.inspecting.diff import BundleDiff

__all__ = ["diff", "inspect", "look_at_both"]


def inspect(
    what: str | PathLike[str],
    *,
    kitfile: str | PathLike[str] | None = None,
    local: bool = False,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
) -> Bundle:
    """Look at a bundle without fetching its weights, or at what packing a folder would make, without writing anything.

    A reference in a registry is resolved there; what the local store has of its content is not fetched again.

    Args:
        what: A reference, a folder with a Kitfile, or a folder that something was unpacked into.
        kitfile: The folder's Kitfile, when it is not in the folder under one of its usual names.
        local: Whether to look for a reference in the local store only.
        settings: The surroundings.
        on_event: Told about the reading of a folder's files.

    Raises:
        NotFoundError: When it is not there.
        KitfileError, PackError: When a folder is not fit to be packed.
    """
    settings = settings or Settings.from_env()
    if is_folder(what):
        return _standing(Path(what), kitfile, settings, on_event)
    return look(str(what), local=local, settings=settings)


def diff(
    before: str | PathLike[str],
    after: str | PathLike[str],
    *,
    local: bool = False,
    settings: Settings | None = None,
    on_event: OnEvent = ignore,
) -> BundleDiff:
    """Compare two bundles, wherever they are, without fetching weights.

    Args:
        before: The older one: a reference, or a folder as in :func:`inspect`.
        after: The newer one, likewise.
        local: Whether to look for references in the local store only.
        settings: The surroundings.
        on_event: Told about the reading of a folder's files.

    Raises:
        NotFoundError: When one of them is not there.
        KitfileError, PackError: When a folder is not fit to be packed.
    """
    from kitpack.artifact.inspecting.diff import diff_bundles

    settings = settings or Settings.from_env()
    sides = look_at_both(before, after, local=local, settings=settings, on_event=on_event)
    return diff_bundles(*sides, jobs=settings.jobs)


def look_at_both(
    before: str | PathLike[str],
    after: str | PathLike[str],
    *,
    local: bool,
    settings: Settings,
    on_event: OnEvent = ignore,
) -> tuple[Bundle, Bundle]:
    """The two bundles of a comparison; a folder is looked at in the light of the bundle it is compared with."""
    found = [None if is_folder(one) else look(str(one), local=local, settings=settings) for one in (before, after)]
    return (
        found[0] or _standing(Path(before), None, settings, on_event, like=found[1]),
        found[1] or _standing(Path(after), None, settings, on_event, like=found[0]),
    )


def _standing(
    folder: Path,
    kitfile: str | PathLike[str] | None,
    settings: Settings,
    on_event: OnEvent,
    *,
    like: Bundle | None = None,
) -> Bundle:
    """What packing a folder would make or, when it holds parts of a bundle, what is left of those."""
    from kitpack.artifact.unpacking.installed import Installed
    from kitpack.artifact.unpacking.standing import Standing, left_of

    if (folder / MARKER).is_file():
        raise UsageError(f"{folder} is a store of bundles", hint=f"name one of them: {LAYOUT_SCHEME}{folder}:TAG")
    installed = Installed.load(folder)
    store = Standing(folder, installed)
    try:
        packed = pack_into(store, folder, kitfile, settings, follow_symlinks=False, on_event=on_event)
    except (KitfileError, PackError):
        if installed is None:
            raise
        return left_of(folder, installed, like)
    return Bundle(store, packed)
