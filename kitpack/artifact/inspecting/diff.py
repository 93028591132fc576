"""What changed between two bundles, by what it means, without reading weights.

Of all content, only what differs and is small is fetched, and the prompts, because one that stayed may take in a text
that did not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from kitpack.artifact.bundle import ARCHIVE_LIMIT, TEXT_LIMIT, Bundle
from kitpack.artifact.dialects import Layer
from kitpack.artifact.inspecting.contentdiff import (
    ConfigChange,
    DatasetChange,
    TextChange,
    diff_config,
    diff_dataset,
    diff_text,
)
from kitpack.artifact.inspecting.promptsdiff import Counters, compare_prompts
from kitpack.artifact.inspecting.tokenizer import find_counter
from kitpack.content.remembering import Remembering
from kitpack.content.target import fetch_bytes
from kitpack.errors import Issue
from kitpack.oci.digest import Digest
from kitpack.prompts.diff import PromptDiff
from kitpack.prompts.textdiff import LineChange, diff_lines

__all__ = ["BundleDiff", "FileChange", "diff_bundles"]

_WEIGHTS = ("model", "model-part")
_INSIDE = ("config", "dataset", "code", "doc", "file")
"""The roles of layers that are compared by what is in them; prompts are compared as prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A layer that differs.

    Attributes:
        path: Its path.
        role: Its role.
        kind: Whether it is new, gone, has other bytes, or the same ones under another path.
        size_before: Bytes in the first bundle; 0 when it was not there.
        size_after: Bytes in the second bundle; 0 when it is gone.
        path_before: Where it was, when it moved.
        mode_changed: Whether one can be executed and the other cannot.
    """

    path: str
    role: str
    kind: Literal["added", "removed", "changed", "moved"]
    size_before: int
    size_after: int
    path_before: str = ""
    mode_changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleDiff:
    """The difference between two bundles.

    Attributes:
        kitfile: The Kitfiles, line by line.
        prompts: Prompts that differ.
        configs: Settings that both have and that differ.
        datasets: Datasets that both have and that differ.
        texts: Code and documents that both have and that differ.
        files: All layers that differ, whatever is in them.
        shared: The bytes of layers that both have.
        weights_changed: Whether any weights differ.
        faults: What keeps prompts of either from being compared as such; their files are compared all the same.
    """

    kitfile: tuple[LineChange, ...]
    prompts: tuple[PromptDiff, ...]
    configs: tuple[ConfigChange, ...]
    datasets: tuple[DatasetChange, ...]
    texts: tuple[TextChange, ...]
    files: tuple[FileChange, ...]
    shared: int
    weights_changed: bool
    faults: tuple[Issue, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.kitfile or self.files or self.prompts or self.configs or self.datasets or self.texts)

    @property
    def breaks(self) -> bool:
        """Whether an application that works with the first fails, or may fail, with the second."""
        return any(prompt.breaks for prompt in self.prompts)

    def grown(self, percent: float) -> tuple[PromptDiff, ...]:
        """The prompts that have more tokens than before by more than so many percent."""
        return tuple(prompt for prompt in self.prompts if prompt.grew(percent))


def diff_bundles(before: Bundle, after: Bundle, *, jobs: int = 4, limit: int = TEXT_LIMIT) -> BundleDiff:
    """Compare two bundles by their manifests, and by their content where it differs and is small.

    Args:
        before: The older one.
        after: The newer one.
        jobs: Layers fetched at the same time.
        limit: Bytes above which a file is said to differ and is not read.

    Raises:
        NotFoundError, IntegrityError: When a layer that is needed is missing or damaged.
    """
    old, new = _sides(before, after, limit)
    files = tuple(_file_changes(old.layers, new.layers))
    for side, other in ((old, new), (new, old)):
        side.fetch_ahead(other, files, jobs)
    inside = list(_inside(old, new))
    prompts, faults = compare_prompts(
        old.bundle, new.bundle, files_differ=bool(files), counters=partial(_counters, before, after)
    )
    digests = {layer.descriptor.digest for layer in before.layers}
    return BundleDiff(
        kitfile=tuple(diff_lines(old.bundle.kitfile, new.bundle.kitfile)),
        prompts=prompts,
        configs=tuple(one for one in inside if isinstance(one, ConfigChange)),
        datasets=tuple(one for one in inside if isinstance(one, DatasetChange)),
        texts=tuple(one for one in inside if isinstance(one, TextChange)),
        files=files,
        shared=sum(layer.descriptor.size for layer in after.layers if layer.descriptor.digest in digests),
        weights_changed=any(change.role in _WEIGHTS and change.kind != "moved" for change in files),
        faults=faults,
    )


def _counters(before: Bundle, after: Bundle) -> Counters:
    """What counts tokens: each bundle's own tokenizer, or an estimate for both, so that the counts can be compared."""
    weights = [
        {(layer.path, layer.descriptor.digest) for layer in bundle.layers if layer.role in _WEIGHTS}
        for bundle in (before, after)
    ]
    old = find_counter(before)
    new = old if weights[0] == weights[1] else find_counter(after)
    return (old, new) if old.exact == new.exact else (new, new) if old.exact else (old, old)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One of the two bundles.

    Attributes:
        bundle: The bundle, which fetches nothing twice.
        source: Where its bytes come from.
        limit: Bytes above which a file is not read.
        layers: Its layers by path, without the Kitfile.
        digests: What they are.
    """

    bundle: Bundle
    source: Remembering
    limit: int
    layers: Mapping[str, Layer]
    digests: frozenset[Digest]

    def fetch_ahead(self, other: _Side, files: tuple[FileChange, ...], jobs: int) -> None:
        """Fetch what will be compared, several layers at a time."""
        wanted = [layer for layer in self.layers.values() if _is_compared(layer, other)]
        if files:
            wanted += [layer for layer in self.layers.values() if layer.role == "prompt"]
        wanted += [layer for layer in self.bundle.layers if layer.role == "kitfile"]
        self.source.fetch_ahead((layer.descriptor for layer in wanted), jobs)

    def files(self, other: _Side) -> dict[str, tuple[Layer, int, bytes | None]]:
        """The files in layers that the other side lacks: layer, size, and the bytes unless they are too many."""
        found: dict[str, tuple[Layer, int, bytes | None]] = {}
        for layer in self.layers.values():
            if not _is_compared(layer, other):
                continue
            size = layer.descriptor.size
            if layer.verbatim:
                raw = fetch_bytes(self.source, layer.descriptor, self.limit) if size <= self.limit else None
                found[layer.path] = layer, size, raw
            else:
                for text in self.bundle.texts([layer]):
                    found[text.path] = layer, text.size, None if text.text is None else text.text.encode()
        return found


def _sides(before: Bundle, after: Bundle, limit: int) -> tuple[_Side, _Side]:
    known: dict[Digest, bytes] = {}
    old, new = (_side(bundle, known, limit) for bundle in (before, after))
    return old, new


def _side(bundle: Bundle, known: dict[Digest, bytes], limit: int) -> _Side:
    known[bundle.descriptor.digest] = bundle.manifest.raw
    source = Remembering(bundle.source, known, min(limit, ARCHIVE_LIMIT))
    again = Bundle(source, bundle.descriptor)
    layers = {layer.path: layer for layer in again.layers if layer.role != "kitfile"}
    digests = frozenset(layer.descriptor.digest for layer in layers.values())
    return _Side(bundle=again, source=source, limit=limit, layers=layers, digests=digests)


def _is_compared(layer: Layer, other: _Side) -> bool:
    """Whether to look into a layer: it differs, and the other side has, or may have, the same file."""
    if layer.role not in _INSIDE or layer.descriptor.digest in other.digests:
        return False
    return layer.path in other.layers or any(_overlap(layer, one) for one in other.layers.values())


def _overlap(one: Layer, other: Layer) -> bool:
    """Whether one of two layers is an archive that may hold what is in the other."""
    return _may_hold(one, other.path) or _may_hold(other, one.path)


def _may_hold(layer: Layer, path: str) -> bool:
    return layer.archived and layer.role in _INSIDE and (layer.path == "." or path.startswith(f"{layer.path}/"))


def _inside(old: _Side, new: _Side) -> Iterator[ConfigChange | DatasetChange | TextChange]:
    """The files of both that differ, by what is in them."""
    before, after = old.files(new), new.files(old)
    for path in after:
        if path not in before:
            continue
        (_, old_size, old_raw), (layer, new_size, new_raw) = before[path], after[path]
        if old_raw is not None and old_raw == new_raw:
            continue
        if layer.role == "config":
            yield diff_config(path, old_raw, new_raw)
        elif layer.role == "dataset":
            yield diff_dataset(path, old_raw, new_raw, (old_size, new_size))
        else:
            yield diff_text(path, layer.role, old_raw, new_raw)


def _file_changes(old: Mapping[str, Layer], new: Mapping[str, Layer]) -> Iterator[FileChange]:
    origins = _moved(old, new)
    for path in sorted({*old, *new} - set(origins.values())):
        before, after = old.get(origins.get(path, path)), new.get(path)
        same = before and after and before.descriptor.digest == after.descriptor.digest
        mode_changed = bool(before and after and before.mode != after.mode)
        if same and not mode_changed and path not in origins:
            continue
        yield FileChange(
            path=path,
            role=(after or before or old[path]).role,
            kind="moved" if path in origins else "changed" if before and after else "added" if after else "removed",
            size_before=before.descriptor.size if before else 0,
            size_after=after.descriptor.size if after else 0,
            path_before=origins.get(path, ""),
            mode_changed=mode_changed,
        )


def _moved(old: Mapping[str, Layer], new: Mapping[str, Layer]) -> dict[str, str]:
    """For new paths, the old ones of the same bytes that are gone; empty files are not followed."""
    gone = {layer.descriptor.digest: path for path, layer in old.items() if path not in new and layer.descriptor.size}
    found: dict[str, str] = {}
    for path, layer in new.items():
        if path not in old and layer.descriptor.digest in gone:
            found[path] = gone.pop(layer.descriptor.digest)
    return found
