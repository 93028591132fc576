"""The shapes that prompts are exchanged in, by the names that users give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from kitpack.errors import KitpackError, UsageError
from kitpack.prompts.exchange.shape import Exported, Imported
from kitpack.prompts.prompt import Prompt

__all__ = ["KINDS", "export_prompts", "import_prompts", "kind_of"]

KINDS = ("prompty", "dotprompt", "promptfoo", "record")
"""Prompty's files, a folder of dotprompt's, promptfoo's list of prompts, JSON release records."""

_CONFIG = "promptfooconfig."


def kind_of(name: str, names: Sequence[str]) -> str:
    """The shape that a source is in, by the names of its files; nothing is opened for it.

    Args:
        name: The name of the file that the user named; empty for a folder.
        names: The paths of the files in the folder.

    Raises:
        UsageError: When the names do not tell.
    """
    if name.startswith(_CONFIG) or (not name and any(one.startswith(_CONFIG) for one in names)):
        return "promptfoo"
    suffixes = {PurePosixPath(name).suffix} if name else {PurePosixPath(one).suffix for one in names}
    found = [kind for suffix, kind in ((".prompty", "prompty"), (".prompt", "dotprompt"), (".json", "record"))
             if suffix in suffixes]  # fmt: skip
    if len(found) > 1 and found[-1] == "record":
        found.pop()  # a folder of prompts may well hold other JSON
    if len(found) != 1:
        seen = f"it holds {' and '.join(found)}" if found else "no name in it tells"
        raise UsageError(f"what kind of prompts are in {name or 'the folder'}? {seen}", hint=f"--from {KINDS[0]}")
    return found[0]


def import_prompts(kind: str, files: Mapping[str, bytes], name: str = "") -> Imported:
    """Read prompts.

    Args:
        kind: One of :data:`KINDS`.
        files: The files of a folder by path, which may be read when they are asked for.
        name: The file in it that is meant; empty for all of the folder.

    Raises:
        PromptError: With all of their faults.
        KitpackError: When there are none.
    """
    if kind == "promptfoo":
        from kitpack.prompts.exchange.promptfoo import import_promptfoo

        return import_promptfoo(files, name)
    if kind == "dotprompt":
        from kitpack.prompts.exchange.dotprompt import import_dotprompt

        partials = [one for one in files if one.endswith(".prompt") and PurePosixPath(one).name.startswith("_")]
        return import_dotprompt({one: files[one] for one in (name, *partials)} if name else files)
    if kind == "prompty":
        from kitpack.prompts.exchange.prompty import import_prompty

        return import_prompty({name: files[name]} if name else files)
    return _records(files, name)


def _records(files: Mapping[str, bytes], name: str) -> Imported:
    from kitpack.prompts.exchange.record import import_records

    names = [name] if name else sorted(one for one in files if one.endswith(".json") and "/" not in one)
    if not names:
        raise KitpackError("there is no .json file with records", hint="name the file itself")
    return import_records({one: files[one] for one in names})


def export_prompts(kind: str, prompts: Sequence[Prompt]) -> Exported:
    """Write prompts for another tool.

    Args:
        kind: One of :data:`KINDS`.
        prompts: The prompts.

    Raises:
        PromptError: With everything that the tool's templates cannot say.
    """
    if kind == "promptfoo":
        from kitpack.prompts.exchange.promptfoo_export import export_promptfoo

        return export_promptfoo(prompts)
    if kind == "dotprompt":
        from kitpack.prompts.exchange.dotprompt_export import export_dotprompt

        return export_dotprompt(prompts)
    if kind == "prompty":
        from kitpack.prompts.exchange.prompty import export_prompty

        return export_prompty(prompts)
    from kitpack.prompts.exchange.record import export_records

    return export_records(prompts)
