"""A first Kitfile for a folder that has none: every file put where its name says it belongs.

It is a draft for its author to read, so it explains itself, and what could not be placed is named rather than guessed.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kitpack.kitfile.classify import (
    HEAD_SIZE,
    dataset_purpose,
    is_lfs_pointer,
    is_secret,
    is_weight,
    model_format,
    model_framework,
    part_type,
    role_of,
    weight_rank,
)
from kitpack.kitfile.ignore import IgnoreRules
from kitpack.kitfile.model import MANIFEST_VERSION
from kitpack.kitfile.paths import path_fault

__all__ = ["draft_kitfile"]

_MAX_ENTRIES = 50
"""With more entries of one kind than this, folders that hold nothing else are named instead of their files."""

_MAX_NAMED = 20
_SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages"})
_LICENSES = (
    ("Apache-2.0", r"Apache License\s+Version 2\.0"),
    ("GPL-3.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 3"),
    ("MIT", r"MIT License|Permission is hereby granted, free of charge, to any person"),
    ("BSD-3-Clause", r"BSD 3-Clause|Redistribution and use in source and binary forms.*Neither the name"),
)
_SECTIONS = {"prompts": "prompt", "configs": "config", "datasets": "dataset", "code": "code", "docs": "doc"}
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_NOT_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file of the folder and its first bytes."""

    path: str
    head: bytes


def draft_kitfile(folder: Path, *, name: str | None = None) -> str:
    """Write a Kitfile for what is in a folder: the same files always give the same text.

    Args:
        folder: The folder; its ``.kitignore`` is respected.
        name: The name of the package; by default made from the folder's.

    Returns:
        The text of a Kitfile without faults, with comments for its author.

    Raises:
        KitfileError: When the ``.kitignore`` has faults.
        OSError: When the folder cannot be read.
    """
    files, unlisted = _list_files(folder, IgnoreRules.load(folder))
    roles = _assign_roles(files)
    package = name if name and name.isprintable() and len(name) <= 256 else _slug(name or folder.resolve().name)
    lines = [
        "# Drafted from the files in this folder. Read it, correct it, then run: kitpack check",
        f"manifestVersion: {MANIFEST_VERSION}",
        "",
        *_package_lines(package, _license_of(folder, roles)),
        *_model_lines([file for file in files if roles[file.path] in {"model", "model-part"}], roles),
    ]
    occupied = {**roles, **dict.fromkeys(unlisted, "")}
    for section, role in _SECTIONS.items():
        lines += _section_lines(section, role, occupied)
    lines += _comment_lines(files, roles, unlisted)
    return "\n".join(lines).rstrip("\n") + "\n"


def _list_files(folder: Path, rules: IgnoreRules) -> tuple[list[_File], list[str]]:
    """The files to place, and the paths that a Kitfile must not or cannot name."""
    files: list[_File] = []
    unlisted: list[str] = []
    real = folder.resolve(strict=True)
    for path in sorted(_walk(folder, rules, unlisted)):
        location = folder / path
        hidden = PurePosixPath(path).name.startswith(".") and not is_secret(path)
        inside = location.is_file() and location.resolve().is_relative_to(real)
        if hidden or not inside or path_fault(path):
            unlisted.append(path)
        else:
            files.append(_File(path=path, head=_head(location)))
    return files, unlisted


def _walk(folder: Path, rules: IgnoreRules, unlisted: list[str]) -> Iterator[str]:
    """The paths of all files that ``.kitignore`` does not leave out; what is not entered goes to ``unlisted``."""
    for above, folders, names in os.walk(folder, onerror=_raise):
        place = Path(above).relative_to(folder)
        for name in list(folders):
            path = (place / name).as_posix()
            if rules.covers(path):
                folders.remove(name)
            elif _is_skipped(Path(above, name)):
                folders.remove(name)
                unlisted.append(path if (folder / path).is_symlink() else f"{path}/")
        yield from (path for name in names if not rules.matches(path := (place / name).as_posix()))


def _raise(error: OSError) -> None:
    raise error


def _is_skipped(folder: Path) -> bool:
    """Whether it is a link, or holds what tools put there: caches, installed packages, version control."""
    return (
        folder.is_symlink()
        or folder.name.startswith(".")
        or folder.name in _SKIPPED_FOLDERS
        or folder.name.endswith(".egg-info")
        or (folder / "pyvenv.cfg").exists()
    )


def _head(location: Path) -> bytes:
    with location.open("rb") as file:
        return file.read(HEAD_SIZE)


def _assign_roles(files: Sequence[_File]) -> dict[str, str]:
    """The role of every file: ``secret``, or one of a Kitfile's, or an empty string."""
    secrets = {file.path for file in files if is_secret(file.path)}
    weights = sorted(
        (file.path for file in files if file.path not in secrets and is_weight(file.path, file.head)), key=weight_rank
    )
    weight_folders = {str(PurePosixPath(path).parent) for path in weights}
    roles = {file.path: role_of(file.path, file.head) for file in files}
    parts = [file.path for file in files if part_type(file.path, weight_folders)]
    return {
        **roles,
        **dict.fromkeys([*parts, *weights], "model-part"),
        **dict.fromkeys(weights[:1], "model"),
        **dict.fromkeys(secrets, "secret"),
    }


def _slug(text: str) -> str:
    """A name that registries take, too: lower-case letters, digits and single dashes."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:100].rstrip("-") or "bundle"


def _license_of(folder: Path, roles: Mapping[str, str]) -> str:
    named = (path for path in roles if re.fullmatch(r"(licen[sc]e|copying)(\.\w+)?", path.lower()))
    for path in named:
        with (folder / path).open("rb") as file:
            text = file.read(4096).decode("utf-8", "replace")
        for identifier, sign in _LICENSES:
            if re.search(sign, text, re.DOTALL):
                return identifier
    return ""


def _package_lines(name: str, license_id: str) -> list[str]:
    return [
        "package:",
        f"  name: {_quoted(name)}",
        "  version: 0.1.0",
        "  # description: What this bundle is for, in one sentence",
        f"  license: {license_id}" if license_id else "  # license: Apache-2.0",
        "  # authors: [Your team]",
        "",
    ]


def _model_lines(files: Sequence[_File], roles: Mapping[str, str]) -> list[str]:
    main = next((file for file in files if roles[file.path] == "model"), None)
    if main is None:
        return ["# No weights were found. A model is declared like this:", "# model:", "#   path: model.gguf", ""]
    form, framework = model_format(main.path, main.head), model_framework(main.path)
    folders = {str(PurePosixPath(file.path).parent) for file in files}
    return [
        "model:",
        f"  name: {_quoted(_SHARD.sub('', PurePosixPath(main.path).stem)[:256])}",
        f"  path: {_quoted(main.path)}",
        *([f"  format: {form}"] if form else []),
        f"  framework: {framework}" if framework else "  # framework: what runs it, such as llama.cpp",
        *(["  parts:"] if len(files) > 1 else []),
        *(line for file in files if file is not main for line in _part_lines(file.path, part_type(file.path, folders))),
        "",
    ]


def _part_lines(path: str, kind: str) -> list[str]:
    return [f"    - path: {_quoted(path)}", *([f"      type: {kind}"] if kind else [])]


def _section_lines(section: str, role: str, roles: Mapping[str, str]) -> list[str]:
    paths = [path for path, found in roles.items() if found == role]
    if len(paths) > _MAX_ENTRIES:
        paths = _in_folders(paths, roles)
    entries = [
        line for path in sorted(paths) for line in _entry_lines(path, dataset_purpose(path) * (role == "dataset"))
    ]
    if not entries and role == "prompt":
        return ["# No prompts were found. They are declared like this:", "# prompts:", "#   - path: prompts/", ""]
    return [f"{section}:", *entries, ""] if entries else []


def _entry_lines(path: str, purpose: str) -> list[str]:
    return [f"  - path: {_quoted(path)}", *([f"    purpose: {purpose}"] if purpose else [])]


def _in_folders(paths: Sequence[str], roles: Mapping[str, str]) -> list[str]:
    """The same files by their topmost folders that hold nothing of another kind, where there are such folders."""
    kinds: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for path, role in roles.items():
        for parent in PurePosixPath(path).parents:
            kinds[str(parent)].add((role, dataset_purpose(path) * (role == "dataset")))
    return list(dict.fromkeys(_topmost(path, kinds) for path in paths))


def _topmost(path: str, kinds: Mapping[str, set[tuple[str, str]]]) -> str:
    parents = [str(parent) for parent in PurePosixPath(path).parents][-2::-1]  # from the top, without "."
    return next((parent for parent in parents if len(kinds[parent]) == 1 and not path_fault(parent)), path)


def _comment_lines(files: Sequence[_File], roles: Mapping[str, str], unlisted: Sequence[str]) -> list[str]:
    secrets = [path for path, role in roles.items() if role == "secret"]
    unknown = [path for path, role in roles.items() if not role]
    unnamable = [path for path in unlisted if not path.endswith("/") and not PurePosixPath(path).name.startswith(".")]
    pointers = [file.path for file in files if is_lfs_pointer(file.head)]
    return [
        *_named("Left out, because by their names they hold secrets; list them in .kitignore, too:", secrets),
        *_named("Left out, because nothing tells what they are; add them where they belong:", unknown),
        *_named("Left out, because they are links out of this folder, or cannot be named in a Kitfile:", unnamable),
        *_named("Only pointers of Git LFS so far; before packing, run: git lfs pull", pointers),
    ]


def _named(reason: str, paths: Sequence[str]) -> list[str]:
    if not paths:
        return []
    shown = [f"#   {path if path.isprintable() else ascii(path)}" for path in sorted(paths)[:_MAX_NAMED]]
    more = [f"#   and {len(paths) - _MAX_NAMED} more"] if len(paths) > _MAX_NAMED else []
    return [f"# {reason}", *shown, *more, ""]


def _quoted(text: str) -> str:
    """The text as a YAML value that every parser reads as this text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    written = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in written)
