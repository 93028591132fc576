"""The texts that a prompt takes in from other files of its bundle.

A path starts at the folder of the file that names it; one with a leading slash starts at the top of the bundle. None
leaves the bundle. Each text is pinned by the digest of its file, so that editing it makes another prompt.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from kitpack.document.faults import Faults, Kind, decoded, with_one_break
from kitpack.errors import NotFoundError
from kitpack.oci.digest import Digest
from kitpack.prompts.pieces import Found
from kitpack.prompts.prompt import Include

__all__ = ["MAX_INCLUDES", "gather", "resolve"]

MAX_INCLUDES = 100
"""How many files a prompt may take in."""

_KIND = Kind(noun="an include", max_size=1 << 20, too_large="a prompt takes in text for a model to read")


def resolve(path: str, written: str) -> str:
    """The path in the bundle that an include leads to; it starts with ``../`` when it leaves the bundle.

    Args:
        path: The file that names it.
        written: Its name as it stands there.
    """
    if written.startswith("/"):
        return posixpath.normpath(written.lstrip("/") or ".")
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), written))


def gather(
    path: str,
    templates: Iterable[tuple[str, int]],
    read: Callable[[str], bytes] | None,
    filters: Mapping[str, str],
    faults: Faults,
) -> dict[str, Include]:
    """Read everything that templates take in, and what that takes in.

    Args:
        path: The file they stand in.
        templates: Templates without faults, and the line on which each starts.
        read: Gives the bytes of a file of the bundle.
        filters: The prompt's own filters, which its includes may use.
        faults: Takes what is wrong.
    """
    gathering = _Gathering(read=read, filters=filters, faults=faults)
    for text, line in templates:
        gathering.follow(text, line, (path,))
    return gathering.found


@dataclass(slots=True)
class _Gathering:
    read: Callable[[str], bytes] | None
    filters: Mapping[str, str]
    faults: Faults
    found: dict[str, Include] = field(default_factory=dict)

    def follow(self, text: str, line: int, chain: tuple[str, ...]) -> None:
        """Take in what a template names; ``chain`` leads to it."""
        from kitpack.prompts.jinja import uses_of

        for written, number, _ in uses_of(text).includes:
            target, place = resolve(chain[-1], written), number + line - 1
            if target in chain:
                way = " → ".join([*chain[chain.index(target) :], target])
                self._fault(chain, place, f"the include goes in a circle: {way}")
            elif target not in self.found and self._may(target, written, chain, place):
                self._take(target, written, chain, place)

    def _may(self, target: str, written: str, chain: tuple[str, ...], line: int) -> bool:
        if not target.strip(".") or target.startswith("../") or "\\" in written or "\x00" in written:
            self._fault(chain, line, f"the include {written[:80]!r} leads out of the bundle")
        elif len(self.found) >= MAX_INCLUDES:
            self._fault(chain, line, f"more than {MAX_INCLUDES} files are taken in")
        else:
            return True
        return False

    def _take(self, target: str, written: str, chain: tuple[str, ...], line: int) -> None:
        try:
            raw = self.read(target) if self.read else None
        except NotFoundError:
            raw = None
        if raw is None:
            hint = f"paths start at {posixpath.dirname(chain[-1]) or 'the top of the bundle'!r}; /… starts at the top"
            self._fault(chain, line, f"the include {written[:80]!r} is not there: {target[:120]}", hint)
            return
        inside = Faults(target)
        text = self._text(raw, inside)
        if inside.issues or text is None:
            self.faults.issues += inside.issues
            return
        self.found[target] = Include(path=target, digest=Digest.of_bytes(raw), text=text)
        self.follow(text, 1, (*chain, target))

    def _text(self, raw: bytes, inside: Faults) -> str | None:
        from kitpack.prompts.jinja import faults_of

        text = decoded(raw, _KIND, inside)
        if text is None:
            return None
        text = with_one_break(text)
        faults = faults_of(text, self.filters)
        if text.startswith("---\n"):
            faults.append(Found(1, "an include has no front matter", "take it out, or start with an empty line"))
        if "\x00" in text:
            faults.append(Found(text.count("\n", 0, text.index("\x00")) + 1, "the character U+0000", "remove it"))
        for one in faults:
            inside.add(one.line, 0, one.message, one.hint)
        return text

    def _fault(self, chain: tuple[str, ...], line: int, message: str, hint: str = "") -> None:
        if len(chain) == 1:
            self.faults.add(line, 0, message, hint)
        else:
            inside = Faults(chain[-1])
            inside.add(line, 0, message, hint)
            self.faults.issues += inside.issues
