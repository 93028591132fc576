"""What changed between two bundles, without reading weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.dialects import Layer
from kitpack.prompts.diff import LineChange, diff_lines

__all__ = ["BundleDiff", "FileChange", "PromptChange", "diff_bundles"]

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A layer that differs.

    Attributes:
        path: Its path.
        role: Its role.
        kind: Whether it is new, gone, or has other bytes.
        size_before: Bytes in the first bundle; 0 when it was not there.
        size_after: Bytes in the second bundle; 0 when it is gone.
    """

    path: str
    role: str
    kind: Kind
    size_before: int
    size_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptChange:
    """A prompt that differs.

    Attributes:
        path: Its path.
        kind: Whether it is new, gone, or has another text.
        lines: The comparison; empty when the text could not be read.
    """

    path: str
    kind: Kind
    lines: tuple[LineChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleDiff:
    """The difference between two bundles.

    Attributes:
        kitfile: The Kitfiles, line by line.
        prompts: Prompts, line by line.
        files: All layers that differ, prompts among them.
        shared: The bytes of layers that both have.
        weights_changed: Whether any weights differ.
    """

    kitfile: tuple[LineChange, ...]
    prompts: tuple[PromptChange, ...]
    files: tuple[FileChange, ...]
    shared: int
    weights_changed: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.kitfile or self.files)


def diff_bundles(before: Bundle, after: Bundle) -> BundleDiff:
    """Compare two bundles by their manifests; of all content, only prompts that differ are fetched."""
    old, new = _by_path(before), _by_path(after)
    files = tuple(_file_changes(old, new))
    digests = {layer.descriptor.digest for layer in before.layers}
    return BundleDiff(
        kitfile=tuple(diff_lines(before.kitfile, after.kitfile)),
        prompts=tuple(_prompt_changes(before, after, {change.path for change in files})),
        files=files,
        shared=sum(layer.descriptor.size for layer in after.layers if layer.descriptor.digest in digests),
        weights_changed=any(change.role in ("model", "model-part") for change in files),
    )


def _by_path(bundle: Bundle) -> dict[str, Layer]:
    return {layer.path: layer for layer in bundle.layers if layer.role != "kitfile"}


def _file_changes(old: Mapping[str, Layer], new: Mapping[str, Layer]) -> Iterator[FileChange]:
    for path in sorted({*old, *new}):
        before, after = old.get(path), new.get(path)
        if before and after and before.descriptor.digest == after.descriptor.digest and before.mode == after.mode:
            continue
        yield FileChange(
            path=path,
            role=(after or before or old[path]).role,
            kind=_kind(before, after),
            size_before=before.descriptor.size if before else 0,
            size_after=after.descriptor.size if after else 0,
        )


def _prompt_changes(before: Bundle, after: Bundle, changed: Collection[str]) -> Iterator[PromptChange]:
    old, new = _prompts(before, changed), _prompts(after, changed)
    for path in sorted({*old, *new}):
        if old.get(path) is not None and old.get(path) == new.get(path):
            continue
        lines = diff_lines(old.get(path) or "", new.get(path) or "")
        yield PromptChange(
            path=path, kind=_kind(old.get(path, _ABSENT), new.get(path, _ABSENT), _ABSENT), lines=tuple(lines)
        )


def _prompts(bundle: Bundle, changed: Collection[str]) -> dict[str, str | None]:
    layers = [layer for layer in bundle.layers if layer.role == "prompt" and layer.path in changed]
    return {text.path: text.text for text in bundle.texts(layers)}


_ABSENT = object()


def _kind(before: object, after: object, absent: object = None) -> Kind:
    if before is absent:
        return "added"
    return "removed" if after is absent else "changed"
