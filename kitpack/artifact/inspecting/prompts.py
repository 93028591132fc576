"""The prompts of a bundle, or of a folder that may become one; the only place that knows what a prompt is *in*.

In a bundle that kitpack packed, the Kitfile says what the files do not; of others, the layers that are prompts count.
In a folder without a Kitfile, every file that looks like a prompt counts, so that a plain folder of prompts is enough.
A file whose name begins with an underscore is a part that others take in, and no prompt of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kitpack.artifact.bundle import READABLE_ARCHIVE, TEXT_LIMIT, Bundle
from kitpack.artifact.inspecting.promptfiles import (
    declared_files,
    has_prompt_suffix,
    is_part,
    prompt_like,
    read_inside,
    read_or_note,
)
from kitpack.artifact.smallfiles import read_files
from kitpack.errors import (
    Issue,
    KitfileError,
    NotFoundError,
    PromptError,
)
from kitpack.kitfile.ignore import IgnoreRules
from kitpack.kitfile.model import Kitfile
from kitpack.kitfile.model import Prompt as Entry
from kitpack.kitfile.paths import owner_of
from kitpack.oci.digest import Digest
from kitpack.prompts.prompt import Include, Prompt

if TYPE_CHECKING:
    from kitpack.prompts.parse import Declared  # it brings YAML, which is slow to import

__all__ = ["Prompts", "bundle_prompts", "declared_kitfile", "folder_prompts", "known_prompts"]


Read = Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """Prompts that were looked for together.

    Attributes:
        found: Those that could be read, in the order of their files.
        faults: What is wrong with the others, and with the names of those; none hides another.
    """

    found: tuple[Prompt, ...] = ()
    faults: tuple[Issue, ...] = ()


def bundle_prompts(bundle: Bundle, *, jobs: int = 4) -> Prompts:
    """Read the prompts of a bundle; only their layers, what they include and the Kitfile are fetched.

    Args:
        bundle: The bundle, wherever it is.
        jobs: Layers fetched at the same time.

    Raises:
        NotFoundError, IntegrityError: When a layer is missing or damaged.
        RegistryError: When the registry refuses or cannot be reached.
    """
    files = read_files(bundle, {"prompt"}, jobs=jobs)
    kitfile, faults = declared_kitfile(bundle)

    taken: dict[str, bytes | None] = {}  # an archive is not read again for each prompt that takes in a part of it

    def read(path: str) -> bytes:
        known = files.get(path)
        if known is None and path not in taken:
            with suppress(NotFoundError):
                taken[path] = _included(bundle, path)
        known = taken.setdefault(path, None) if known is None else known
        if known is None:
            raise NotFoundError(f"the bundle has no file {path!r} that a prompt could take in")
        return known

    candidates = [_candidate(path, kitfile, raw) for path, raw in files.items()]
    return _parsed(candidates, read, faults)


def declared_kitfile(bundle: Bundle) -> tuple[Kitfile | None, tuple[Issue, ...]]:
    """The Kitfile as its author wrote it, when kitpack packed the bundle, or else what is wrong with it."""
    if all(layer.role != "kitfile" for layer in bundle.layers):
        return None, ()
    path = next(layer.path for layer in bundle.layers if layer.role == "kitfile")
    try:
        return _kitfile_of(bundle.kitfile.encode(), path), ()
    except KitfileError as error:
        return None, error.issues


@lru_cache(maxsize=16)
def _kitfile_of(raw: bytes, name: str) -> Kitfile:
    """A Kitfile; the same bytes, which a bundle's digest proves, need not be read twice in one process."""
    from kitpack.kitfile.load import parse_kitfile

    return parse_kitfile(raw, name)


def folder_prompts(folder: Path, kitfile: Kitfile | None = None) -> Prompts:
    """Read the prompts of a folder.

    Args:
        folder: The folder.
        kitfile: What its author declares; without it, every file that looks like a prompt is taken for one.

    Raises:
        KitfileError: When the folder's ``.kitignore`` has faults.
        OSError: When the folder cannot be read.
    """
    root, faults = folder.resolve(), list[Issue]()
    files = _read_all(folder, kitfile, faults)

    def read(path: str) -> bytes:
        known = files.get(path)
        return read_inside(root, path) if known is None else known

    candidates = [_candidate(path, kitfile, raw) for path, raw in files.items()]
    return _parsed(candidates, read, tuple(faults))


def known_prompts(
    files: Mapping[str, bytes], kitfile: Kitfile | None = None, *, others: Mapping[str, bytes] | None = None
) -> Prompts:
    """The prompts in files that somebody has read already, and knows to be prompts.

    Args:
        files: Their bytes by path.
        kitfile: What the author declares.
        others: The bytes of further files, by path, that they may take in.
    """

    def read(path: str) -> bytes:
        if path in files:
            return files[path]
        if others and path in others:
            return others[path]
        raise NotFoundError(f"the bundle has no file {path!r} that a prompt could take in")

    return _parsed([_candidate(path, kitfile, raw) for path, raw in files.items()], read, ())


def _read_all(folder: Path, kitfile: Kitfile | None, faults: list[Issue]) -> dict[str, bytes | None]:
    rules = IgnoreRules.load(folder)
    paths = declared_files(folder, kitfile, rules, faults) if kitfile else prompt_like(folder, rules)
    return {path: read_or_note(folder, path, faults) for path in sorted(set(paths))}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A file that may be a prompt.

    Attributes:
        path: Its path in the bundle.
        raw: Its bytes; None when they could not be read.
        declared: What the Kitfile says about it.
        named: Whether the Kitfile names the very file: then it is a prompt, or a fault.
    """

    path: str
    raw: bytes | None
    declared: Declared | None
    named: bool

    @property
    def counts(self) -> bool:
        """Whether it is meant to be a prompt of its own."""
        if self.named:
            return True
        is_declared = self.declared is not None and bool(self.declared.format)
        return not is_part(self.path) and (is_declared or has_prompt_suffix(self.path))


def _candidate(path: str, kitfile: Kitfile | None, raw: bytes | None) -> _Candidate:
    entry = _owner(path, kitfile.prompts) if kitfile else None
    named = entry is not None and entry.path == path
    return _Candidate(path=path, raw=raw, declared=_declared(entry, named=named) if entry else None, named=named)


def _owner(path: str, entries: Sequence[Entry]) -> Entry | None:
    by_path = {entry.path: entry for entry in entries}
    owner = owner_of(path, by_path)
    return by_path[owner] if owner else None


def _declared(entry: Entry, *, named: bool) -> Declared | None:
    """What an entry says about a file; what an entry about a folder is called is not what its files are called."""
    from kitpack.prompts.parse import Declared

    own = entry if named else replace(entry, name="", description="")
    said = Declared(
        name=own.name,
        description=own.description,
        model=own.model,
        parameters=own.parameters,
        variables=own.variables,
        output=own.output,
        untrusted=own.untrusted,
        changelog=own.changelog,
        format=own.format,
        line=own.line,
    )
    return None if said == Declared(line=own.line) else said


def _parsed(candidates: Iterable[_Candidate], read: Read, faults: Sequence[Issue]) -> Prompts:
    found, issues = list[Prompt](), list(faults)
    for one in candidates:
        if one.raw is None or not one.counts:
            if one.raw is None and not any(issue.path == one.path for issue in issues):
                issues.append(_unreadable(one.path))
            continue
        try:
            found.append(_prompt_of(one.raw, one, read))
        except PromptError as error:
            issues += error.issues
    return Prompts(found=tuple(found), faults=(*issues, *_name_faults(found)))


_KNOWN: dict[tuple[str, Digest, Declared | None], Prompt] = {}
_MOST_KNOWN = 512
_LONGEST_KNOWN = 64 << 10


def _prompt_of(raw: bytes, one: _Candidate, read: Read) -> Prompt:
    """A prompt from its bytes; where they are the same as before, and those it takes in too, it is the same value.

    Checking a prompt takes a hundred times as long as reading its file, and applications load again and again.
    """
    from kitpack.prompts.parse import parse_prompt

    key = (one.path, Digest.of_bytes(raw), one.declared)
    known = _KNOWN.get(key)
    if known and all(_is_same(included, read) for included in known.includes.values()):
        return known
    prompt = parse_prompt(raw, one.path, declared=one.declared, read=read)
    if len(raw) <= _LONGEST_KNOWN:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[key] = prompt
    return prompt


def _is_same(included: Include, read: Read) -> bool:
    try:
        return Digest.of_bytes(read(included.path), included.digest.algorithm) == included.digest
    except NotFoundError:
        return False


def _unreadable(path: str) -> Issue:
    most = f"{TEXT_LIMIT} bytes (as an archive, {READABLE_ARCHIVE})"
    return Issue(
        path=path,
        message=f"it is no text, or has more than {most}; no prompt has",
        hint="list it in another section of the Kitfile",
    )


def _name_faults(found: Iterable[Prompt]) -> Iterator[Issue]:
    """Names that several prompts have: an application that asks for one must not get any of them."""
    by_name: defaultdict[str, list[Prompt]] = defaultdict(list)
    for prompt in found:
        by_name[prompt.name].append(prompt)
    for name, same in by_name.items():
        first, *others = same
        for other in others:
            yield Issue(
                path=other.path,
                line=other.lines.get("name", 0),
                message=f"two prompts are called {name!r}: {first.path} and {other.path}",
                hint="give one of them another `name:`",
            )


def _included(bundle: Bundle, path: str) -> bytes:
    """The bytes of a file that a prompt takes in; weights are no text to take in."""
    layer = next((one for one in bundle.layers if one.path == path and one.verbatim), None)
    if layer and layer.descriptor.size > TEXT_LIMIT:
        raise NotFoundError(f"{path!r} has {layer.descriptor.size} bytes; no text to include has")
    return bundle.read(path)
