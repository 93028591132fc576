"""What other tools would make of a bundle before it is packed: KitOps (``kit``), ``modctl``, Docker Model Runner.

All of them read what kitpack writes, but not everything of it. Each finding is a warning: where, why it matters, and
what to do about it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TypeAlias

from kitpack.artifact.packing.plan import PlannedLayer
from kitpack.artifact.paths import printable
from kitpack.errors import Issue, UsageError

__all__ = ["READERS", "choose_readers", "lint"]

_Found: TypeAlias = Iterator[tuple[PlannedLayer | None, str, str]]
"""The layer it is about (None: all of them), what happens, and what to do."""

_WEIGHTS = frozenset({".gguf", ".safetensors", ".dduf"})
_TWIN_LIMIT = 1 << 20


def choose_readers(names: Iterable[str]) -> tuple[str, ...]:
    """Read the names of tools.

    Raises:
        UsageError: When one of them is unknown.
    """
    chosen = tuple(dict.fromkeys(filter(None, (name.strip().lower() for name in names))))
    for name in chosen:
        if name not in READERS:
            raise UsageError(f"{name!r} is not a tool kitpack knows", hint=f"choose among {', '.join(READERS)}")
    return chosen


def lint(planned: Sequence[PlannedLayer], readers: Collection[str], *, kitfile: str) -> list[Issue]:
    """Find what the tools would not read as it is meant.

    Args:
        planned: The layers to be.
        readers: Tools, as :func:`choose_readers` gave them.
        kitfile: The Kitfile, as the user would type it.
    """
    return [
        Issue(
            path=kitfile,
            line=layer.entry.line if layer else 0,
            column=layer.entry.column if layer else 0,
            message=f"{reader}: {message}",
            hint=hint,
            severity="warning",
        )
        for reader in readers
        for rule in READERS[reader]
        for layer, message, hint in rule(planned)
    ]


def _needs_new_kit(planned: Sequence[PlannedLayer]) -> _Found:
    if any(not layer.archived for layer in planned):
        yield None, "versions before 1.15 cannot unpack files that are layers of their own", "use kit 1.15 or later"


def _shows_configs_as_code(planned: Sequence[PlannedLayer]) -> _Found:
    for layer in planned:
        if layer.role == "config":
            message = f"{printable(layer.path)} is unpacked, but listed as code: kit knows no configs"
            yield layer, message, "with kit, select it by `--filter code`"


def _refuses_dots(planned: Sequence[PlannedLayer]) -> _Found:
    for layer in planned:
        if layer.archived and (names := [file.path for file in layer.files if ".." in file.path]):
            folder, name = printable(layer.path), printable(names[0])
            message = f"refuses the whole bundle: {folder} becomes an archive, and in it {name} holds two dots in a row"
            yield layer, message, "rename it"


def _needs_weights(planned: Sequence[PlannedLayer]) -> _Found:
    runnable = (layer.base == "weight" and not layer.archived and _suffix(layer) in _WEIGHTS for layer in planned)
    if not any(runnable):
        model = next((layer for layer in planned if layer.role == "model"), None)
        message = "finds nothing to run: it looks for a .gguf or .safetensors file that is a layer of its own"
        yield model, message, "name such a file under model"


def _confuses_templates(planned: Sequence[PlannedLayer]) -> _Found:
    found = [layer for layer in planned if "/" not in layer.path and _suffix(layer) == ".jinja" and not layer.archived]
    if len(found) > 1:
        names = ", ".join(printable(layer.path) for layer in found)
        message = f"refuses a bundle with more than one *.jinja file outside of folders: {names}"
        yield found[1], message, "move all but the chat template into a folder, such as prompts/"


def _leaves_archives(planned: Sequence[PlannedLayer]) -> _Found:
    for layer in planned:
        if layer.archived:
            message = f"shows {printable(layer.path)} as one tar file: its {len(layer.files)} files become an archive"
            yield layer, message, "list the files that the model needs one by one"


def _leaves_twins(planned: Sequence[PlannedLayer]) -> _Found:
    for first, *others in _twins(planned):
        for layer in others:
            message = f"shows {printable(layer.path)} as a tar file, because its bytes equal those of "
            yield layer, message + printable(first.path), "make them differ, or leave one out"


def _twins(planned: Sequence[PlannedLayer]) -> Iterator[list[PlannedLayer]]:
    """Small files with equal bytes; large ones are not read for this."""
    by_size = defaultdict(list)
    for layer in planned:
        if not layer.archived and layer.files[0].size <= _TWIN_LIMIT:
            by_size[layer.files[0].size].append(layer)
    for alike in by_size.values():
        by_content = defaultdict(list)
        for layer in alike if len(alike) > 1 else ():
            with layer.files[0].open_at(0) as file:
                by_content[sha256(file.read()).digest()].append(layer)
        yield from (twins for twins in by_content.values() if len(twins) > 1)


def _suffix(layer: PlannedLayer) -> str:
    return PurePosixPath(layer.path).suffix.lower()


READERS: dict[str, tuple[Callable[[Sequence[PlannedLayer]], _Found], ...]] = {
    "kit": (_needs_new_kit, _shows_configs_as_code),
    "modctl": (_refuses_dots,),
    "docker": (_needs_weights, _confuses_templates, _leaves_archives, _leaves_twins),
}
"""The tools kitpack knows, and what may go wrong with each."""
