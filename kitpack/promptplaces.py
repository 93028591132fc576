"""From what a user types to prompts: those of a bundle, of a folder with a Kitfile or without one, or of one file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from kitpack.errors import InvalidReferenceError, KitfileError, KitpackError, NotFoundError, PackError
from kitpack.oci.reference import LAYOUT_SCHEME, is_path
from kitpack.settings import Settings
from kitpack.verbs import is_folder, look

if TYPE_CHECKING:
    from kitpack.artifact.inspecting.promptset import PromptSet
    from kitpack.kitfile.model import Kitfile
    from kitpack.prompts.lint.findings import Finding

__all__ = ["find_prompts", "lint"]


def find_prompts(
    what: str | PathLike[str], *, local: bool = False, fetch: bool = False, settings: Settings | None = None
) -> PromptSet:
    """Read the prompts of a bundle, a folder or a file.

    Args:
        what: A reference, a folder with a Kitfile or without one, or a prompt file, which is read as the nearest
            Kitfile above it says.
        local: Whether to look for a reference in the local store only.
        fetch: Whether the tokenizer of a bundle in a registry may be fetched.
        settings: The surroundings.

    Raises:
        NotFoundError: When there is no such thing.
        KitfileError: When the folder has a Kitfile with faults.
        PackError: When there are several.
        OSError: When a folder cannot be read.
    """
    from kitpack.artifact.inspecting.promptset import of_bundle, of_folder

    path = Path(what)
    if is_folder(what):
        return of_folder(path, _kitfile_in(path))
    if _is_file(str(what)):
        return _of_file(path)
    try:
        return of_bundle(look(str(what), local=local, settings=settings), fetch=fetch)
    except InvalidReferenceError as error:
        if is_path(str(what)) and not path.exists():
            raise NotFoundError(f"there is no folder or file {what}") from None
        raise InvalidReferenceError(
            f"there is no folder or file {what}, and {error.message}", hint=error.hint
        ) from None


def lint(
    what: str | PathLike[str],
    *,
    against: str | PathLike[str] | None = None,
    growth: float = 10.0,
    local: bool = False,
    settings: Settings | None = None,
) -> list[Finding]:
    """Find what is wrong with prompts, as ``kitpack prompt lint`` does.

    Args:
        what: A reference, a folder or a prompt file, as in :func:`find_prompts`.
        against: The version before: what was changed since needs a changelog.
        growth: The percentage of tokens by which a prompt may grow.
        local: Whether to look for references in the local store only.
        settings: The surroundings.

    Raises:
        As :func:`find_prompts`; faults of prompts are findings.
    """
    previous = find_prompts(against, local=local, settings=settings).found if against else ()
    return find_prompts(what, local=local, settings=settings).lint(previous, growth=growth)


def _of_file(path: Path) -> PromptSet:
    from kitpack.artifact.inspecting.promptset import of_file

    for above in path.resolve().parents:
        try:
            kitfile = _kitfile_in(above)
        except (KitfileError, PackError):  # what is wrong with a folder was not asked
            break
        if kitfile:
            return of_file(path, _as_typed(path, above), kitfile)
    return of_file(path)


def _as_typed(path: Path, above: Path) -> Path:
    """A folder above a file, in the words in which the user named the file, where that can be."""
    return next((one for one in path.parents if one.resolve() == above), above)


def _is_file(text: str) -> bool:
    return not text.startswith(LAYOUT_SCHEME) and Path(text).is_file()


def _kitfile_in(folder: Path) -> Kitfile | None:
    from kitpack.kitfile.load import find_kitfile, load_kitfile
    from kitpack.kitfile.model import KITFILE_NAMES

    if not any((folder / name).is_file() for name in KITFILE_NAMES):
        return None
    try:
        found = find_kitfile(folder)
    except KitpackError as error:
        raise PackError(error.message, hint=error.hint) from None
    return load_kitfile(found)
