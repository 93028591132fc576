"""The README's comparison: every cell of it is shown here, by the programs it speaks of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.cli import REPOSITORY
from tests.support.everything import write_tree
from tests.support.peers import Peers
from tests.support.registries import running_registry

TOOLS = ("kitpack", "kit 1.15", "oras 1.3")

TABLE = {
    "the same files give the same digest, whatever the clock and the umask": (True, False, False),
    "the text of every prompt of a remote tag, without fetching weights": (True, False, False),
    "what changed between two versions of a prompt, line by line": (True, False, False),
    "a tag that names other content is not moved unless told to": (True, False, False),
    "an old version over a newer one leaves no file of the newer": (True, False, False),
    "files that were edited are not overwritten, unchanged ones are": (True, False, False),
    "damaged bytes from a registry never stand under a file's name": (True, False, False),
    "a folder goes to a registry without a copy of it on the disk": (True, False, True),
}

KITFILE = """\
manifestVersion: 1.0.0
package: {name: bot}
model: {path: model.gguf}
prompts:
  - path: prompts
"""
WEIGHTS = b"GGUF" + bytes(range(256)) * 400


class Bot:
    """Two versions of a bundle in folders, a registry, and a machine to type on."""

    def __init__(self, folder: Path, registry: str) -> None:
        self.registry = registry
        self.folder = folder
        self.peers = Peers(folder / "machine")
        old = {"model.gguf": WEIGHTS, "prompts/triage.md": b"Sort the ticket.\nBe kind.\n"}
        new = {
            **old,
            "prompts/triage.md": b"Sort the ticket.\nBe exact.\n",
            "prompts/new.md": b"Only in the new one.\n",
        }
        self.old = write_tree(folder / "old", old, KITFILE)
        self.new = write_tree(folder / "new", new, KITFILE)

    def push(self, tool: str, folder: Path, tag: str) -> object:
        """Push a version with one of the tools; the digest of what is in the registry then."""
        reference = self.reference(tool, tag)
        if tool == "kitpack":
            self.peers.kitpack("push", folder, reference)
        elif tool == "kit":
            self.peers.kit("pack", folder, "-t", reference)
            self.peers.kit("push", "--plain-http", reference)
        else:
            files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
            self.peers.oras("push", "--plain-http", reference, *files, cwd=folder)
        return self.peers.inspect(reference)["digest"]

    def unpack(self, tool: str, tag: str, folder: Path, *, overwrite: bool = False) -> int:
        """Unpack a version with one of the tools; its exit code."""
        reference = f"{self.registry}/{tool}/bot:{tag}"
        force = {"kitpack": ["--overwrite"], "kit": ["-o"], "oras": []}[tool] if overwrite else []
        commands: dict[str, list[str | Path]] = {
            "kitpack": ["unpack", reference, "-o", folder],
            "kit": ["unpack", "--plain-http", reference, "-d", folder],
            "oras": ["pull", "--plain-http", reference, "-o", folder],
        }
        return self.peers.exit_code(tool, *commands[tool], *force)

    def reference(self, tool: str, tag: str) -> str:
        """What a tool calls a version."""
        return f"{self.registry}/{tool}/bot:{tag}"


@pytest.fixture
def bot(tmp_path: Path, embedded_registry: str) -> Bot:
    return Bot(tmp_path, embedded_registry)


@pytest.fixture
def damaging(tmp_path: Path) -> Iterator[tuple[Bot, Callable[[], None]]]:
    """A bot at a registry of its own, and how to flip a byte in the middle of its weights there."""
    data = tmp_path / "registry"
    data.mkdir()

    def damage() -> None:
        blobs = [path for path in data.rglob("*") if path.is_file() and WEIGHTS[:64] in path.read_bytes()]
        assert blobs
        for blob in blobs:
            blob.chmod(0o644)
            raw = bytearray(blob.read_bytes())
            raw[len(raw) // 2] ^= 0xFF
            blob.write_bytes(raw)

    with running_registry("kitpack", data) as address:
        yield Bot(tmp_path, address), damage


def test_same_files_same_digest(bot: Bot, tmp_path: Path) -> None:
    found = []
    for tool in ("kitpack", "kit", "oras"):
        first = bot.push(tool, bot.old, "same")
        for path in bot.old.rglob("*"):
            if path.is_file():
                path.chmod(0o664)
                os.utime(path, (1_700_000_000, 1_700_000_000))
        _wait_for_the_next_second()
        found.append(bot.push(tool, bot.old, "same") == first)
    _shown("the same files give the same digest, whatever the clock and the umask", found)


def test_prompts_of_a_remote_tag(bot: Bot) -> None:
    for tool in ("kitpack", "kit", "oras"):
        bot.push(tool, bot.old, "read")
    shown = [
        bot.peers.kitpack("inspect", bot.reference("kitpack", "read")),
        bot.peers.kit("inspect", "--remote", "--plain-http", bot.reference("kit", "read")),
        bot.peers.oras("manifest", "fetch", "--plain-http", bot.reference("oras", "read")),
    ]
    _shown("the text of every prompt of a remote tag, without fetching weights", ["Be kind." in text for text in shown])


def test_what_changed(bot: Bot) -> None:
    for tool in ("kitpack", "kit"):
        bot.push(tool, bot.old, "1")
        bot.push(tool, bot.new, "2")
    ours = bot.peers.kitpack("diff", bot.reference("kitpack", "1"), bot.reference("kitpack", "2"))
    theirs = bot.peers.kit("diff", "--plain-http", bot.reference("kit", "1"), bot.reference("kit", "2"))
    oras = bot.peers.exit_code("oras", "diff", "a", "b") == 0  # there is no such command
    _shown(
        "what changed between two versions of a prompt, line by line",
        ["- Be kind." in ours and "+ Be exact." in ours, "Be exact." in theirs, oras],
    )


def test_tags_stay(bot: Bot) -> None:
    found = []
    for tool in ("kitpack", "kit", "oras"):
        bot.push(tool, bot.old, "1.0")
        try:
            bot.push(tool, bot.new, "1.0")
            found.append(False)
        except AssertionError:
            found.append(True)
    _shown("a tag that names other content is not moved unless told to", found)


def test_old_over_new(bot: Bot, tmp_path: Path) -> None:
    found = []
    for tool in ("kitpack", "kit", "oras"):
        bot.push(tool, bot.old, "old")
        bot.push(tool, bot.new, "new")
        folder = tmp_path / "host" / tool
        assert bot.unpack(tool, "new", folder) == 0
        assert bot.unpack(tool, "old", folder, overwrite=tool == "kit") == 0
        assert (folder / "prompts" / "triage.md").read_text() == "Sort the ticket.\nBe kind.\n"
        found.append(not (folder / "prompts" / "new.md").exists())
    _shown("an old version over a newer one leaves no file of the newer", found)


def test_edited_files(bot: Bot, tmp_path: Path) -> None:
    found = []
    for tool in ("kitpack", "kit", "oras"):
        bot.push(tool, bot.old, "before")
        bot.push(tool, bot.new, "after")
        unchanged, edited = tmp_path / "unchanged" / tool, tmp_path / "edited" / tool
        for folder in (unchanged, edited):
            assert bot.unpack(tool, "before", folder) == 0
        (edited / "prompts" / "triage.md").write_text("mine")
        moved_on = bot.unpack(tool, "after", unchanged) == 0
        refused = bot.unpack(tool, "after", edited) != 0
        found.append(moved_on and refused and (edited / "prompts" / "triage.md").read_text() == "mine")
    _shown("files that were edited are not overwritten, unchanged ones are", found)


def test_damaged_bytes(damaging: tuple[Bot, Callable[[], None]], tmp_path: Path) -> None:
    bot, damage = damaging
    for tool in ("kitpack", "kit", "oras"):
        bot.push(tool, bot.old, "damaged")
    damage()
    bot.peers = Peers(tmp_path / "another machine")
    found = []
    for tool in ("kitpack", "kit", "oras"):
        folder = tmp_path / "victim" / tool
        ended = bot.unpack(tool, "damaged", folder)
        assert tool != "kitpack" or ended == 6
        landed = folder / "model.gguf"
        found.append(not landed.exists() or landed.read_bytes() == WEIGHTS)
    _shown("damaged bytes from a registry never stand under a file's name", found)


def test_no_copy(bot: Bot) -> None:
    found = []
    for tool in ("kitpack", "kit", "oras"):
        bot.push(tool, bot.old, "once")
        kept = (path for path in bot.peers.folder.rglob("*") if path.is_file())
        found.append(not any(WEIGHTS[:64] in path.read_bytes() for path in kept))
        if tool == "kit":  # so that its copy is not held against the next one
            bot.peers.kit("remove", "--all", "--force")
    _shown("a folder goes to a registry without a copy of it on the disk", found)


def test_the_readme_says_what_was_shown() -> None:
    rows = [f"| | {' | '.join(TOOLS)} |", "|---|---|---|---|"]
    rows += [f"| {claim} | {' | '.join('yes' if cell else 'no' for cell in cells)} |" for claim, cells in TABLE.items()]
    assert "\n".join(rows) in (REPOSITORY / "README.md").read_text()


def _shown(claim: str, found: list[bool]) -> None:
    assert tuple(found) == TABLE[claim]


def _wait_for_the_next_second() -> None:
    """Times in manifests are whole seconds: wait, without sleeping, until the clock shows another one."""
    import time

    second = int(time.time())
    while int(time.time()) == second:
        pass
