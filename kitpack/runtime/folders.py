"""A bundle that is a folder: one that was unpacked, one that an author works in, or just some prompts in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from kitpack.artifact.inspecting.prompts import Prompts, folder_prompts, known_prompts
from kitpack.artifact.packing.files import walk_files
from kitpack.artifact.unpacking.installed import Installed, InstalledFile, is_unchanged
from kitpack.content.store.folder import MARKER
from kitpack.errors import NotFoundError, PackError, UnsafePathError, UsageError, VerifyError
from kitpack.kitfile.classify import is_secret, role_of
from kitpack.kitfile.ignore import IgnoreRules
from kitpack.kitfile.load import find_kitfile, load_kitfile, parse_kitfile
from kitpack.kitfile.model import KITFILE_NAMES, Kitfile
from kitpack.kitfile.paths import owner_of, read_bounded
from kitpack.oci.digest import Digest
from kitpack.runtime.loaded import Contents

__all__ = ["folder_contents"]

_LARGEST_CONFIG = 4 << 20
_MOST_CONFIGS = 1000
_READ = frozenset({"prompt", "config", "kitfile", "code", "doc"})
"""What is proven by each load: what is read at once, and what prompts may take in."""


def folder_contents(folder: Path, *, accept_changes: bool = False) -> Contents:
    """Read what a folder holds.

    Args:
        folder: The folder.
        accept_changes: Whether an unpacked folder may differ from its bundle; it has no digest then.

    Raises:
        VerifyError: When files of an unpacked bundle were changed.
        KitfileError: When its Kitfile has faults.
        NotFoundError: When there is nothing in it that could be loaded.
    """
    if (folder / MARKER).is_file():
        raise UsageError(f"{folder} is a layout of bundles", hint=f"name one of them: oci:{folder}:TAG")
    installed = Installed.load(folder)
    return _unpacked(folder, installed, accept_changes=accept_changes) if installed else _written(folder)


def _kitfile(folder: Path) -> Kitfile | None:
    if not any((folder / name).is_file() for name in KITFILE_NAMES):
        return None
    return load_kitfile(find_kitfile(folder))


def _written(folder: Path) -> Contents:
    """What an author works on, or a plain folder of prompts."""
    kitfile = _kitfile(folder)
    prompts = folder_prompts(folder, kitfile)
    configs = dict(_declared_configs(folder, kitfile) if kitfile else _config_like(folder, prompts))
    if kitfile is None and not prompts.found and not prompts.faults:
        raise NotFoundError(
            f"{folder} has neither a Kitfile nor prompts", hint="a prompt is a text: .md, .txt, .j2, .prompt, .prompty"
        )
    return Contents(
        reference=str(folder),
        version=kitfile.package.version if kitfile else "",
        resolved_at=datetime.now(UTC),
        prompts=prompts,
        configs=configs,
        place_model=partial(_written_model, folder, kitfile),
    )


def _unpacked(folder: Path, installed: Installed, *, accept_changes: bool) -> Contents:
    """A bundle as it was unpacked: only files that belong to it, and only with the bytes it has for them."""
    name = installed.reference or installed.digest
    ours = {path: file for path, file in installed.files.items() if file.origin in ("", name)}
    small = {path: file for path, file in ours.items() if file.role in _READ and file.size <= _LARGEST_CONFIG}
    read = {path: raw for path in small if (raw := _read(folder / path)) is not None}
    changed = [path for path, file in small.items() if path not in read or not _is(read[path], file)]
    if changed and not accept_changes:
        raise VerifyError(
            f"{len(changed)} of the files that were unpacked into {folder} are missing or changed: "
            f"{', '.join(changed[:5])}",
            hint=f"`kitpack unpack {name} -o {folder} --overwrite` restores them; "
            "accept_changes=True takes them as they are",
        )
    prompts = {path: raw for path, raw in read.items() if small[path].role == "prompt"}
    kitfile = next((parse_kitfile(raw, path) for path, raw in read.items() if small[path].role == "kitfile"), None)
    return Contents(
        reference=name,
        digest="" if changed else installed.digest,
        version=kitfile.package.version if kitfile else "",
        resolved_at=datetime.now(UTC),
        prompts=known_prompts(prompts, kitfile, others=read),
        configs={path: raw for path, raw in read.items() if small[path].role == "config"},
        place_model=partial(_unpacked_model, folder, kitfile, ours),
    )


def _read(location: Path) -> bytes | None:
    try:
        return None if location.is_symlink() else read_bounded(location, _LARGEST_CONFIG)
    except OSError:
        return None


def _is(raw: bytes, file: InstalledFile) -> bool:
    """Whether bytes are those of the bundle: what is served is what was packed."""
    return str(Digest.of_bytes(raw, Digest.parse(file.digest).algorithm)) == file.digest


def _declared_configs(folder: Path, kitfile: Kitfile) -> Iterator[tuple[str, bytes]]:
    rules, paths = IgnoreRules.load(folder), {entry.path for entry in kitfile.entries}
    for entry in kitfile.configs:
        try:
            for file in walk_files(folder, entry.path, rules):
                if owner_of(file.path, paths) == entry.path and file.size <= _LARGEST_CONFIG:
                    yield file.path, Path(file.location).read_bytes()
        except (PackError, UnsafePathError) as error:
            raise NotFoundError(f"{entry.path}: {error.message}", hint=error.hint) from None


def _config_like(folder: Path, prompts: Prompts) -> Iterator[tuple[str, bytes]]:
    """Files of settings in a folder without a Kitfile; links are not followed."""
    taken, count = {prompt.path for prompt in prompts.found}, 0
    for above, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith((".", "_")) and one != "node_modules")
        for name in sorted(files):
            location = Path(above) / name
            path = location.relative_to(folder).as_posix()
            if name.startswith(".") or path in taken or is_secret(path) or role_of(path, b"") != "config":
                continue
            if location.is_file() and not location.is_symlink() and location.stat().st_size <= _LARGEST_CONFIG:
                yield path, location.read_bytes()
                count += 1
                if count >= _MOST_CONFIGS:
                    return


def _written_model(folder: Path, kitfile: Kitfile | None) -> Path:
    if kitfile is None or kitfile.model is None:
        raise NotFoundError(f"{folder} has no Kitfile that names a model")
    if not (folder / kitfile.model.path).exists():
        raise NotFoundError(f"{folder} has no {kitfile.model.path}, which its Kitfile says is the model")
    return folder / kitfile.model.path


def _unpacked_model(folder: Path, kitfile: Kitfile | None, files: Mapping[str, InstalledFile]) -> Path:
    """The model of an unpacked bundle, when all of its files were unpacked and still are what they were."""
    weights = {path: file for path, file in files.items() if file.role in ("model", "model-part")}
    named = kitfile.model.path if kitfile and kitfile.model else next(iter(sorted(weights)), "")
    if not any(path == named or path.startswith(f"{named}/") or named == "." for path in weights):
        raise NotFoundError(
            f"the weights were not unpacked into {folder}", hint=f"kitpack unpack REF -o {folder} --only model"
        )
    changed = [path for path, file in weights.items() if not is_unchanged(folder / path, file)]
    if changed:
        raise VerifyError(
            f"weights in {folder} are missing or changed: {', '.join(changed[:5])}",
            hint=f"kitpack unpack REF -o {folder} --only model --overwrite",
        )
    return folder / named
