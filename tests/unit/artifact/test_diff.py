"""Comparing bundles without their weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitpack.artifact.bundle import TEXT_LIMIT, Bundle
from kitpack.artifact.diff import FileChange, diff_bundles
from kitpack.prompts.diff import LineChange
from tests.support.packing import bundle_of, layered, write_files
from tests.support.sources import Watched
from tests.support.versions import NEW, OLD, RAW

KITFILE = "model: {path: w.gguf}\nprompts: [{path: p}]\nconfigs: [{path: c.yaml}]\ncode: [{path: run.sh}]\n"
BEFORE: dict[str, bytes | str] = {
    "w.gguf": b"GGUF",
    "p/a.md": "one\ntwo\n",
    "p/b.md": "b\n",
    "c.yaml": "1\n",
    "run.sh": "#!\n",
}


@pytest.fixture
def before(tmp_path: Path) -> Bundle:
    return bundle_of(write_files(tmp_path / "before", BEFORE, KITFILE))


def changed(tmp_path: Path, files: dict[str, bytes | str], kitfile: str = KITFILE) -> Bundle:
    kept = {path: data for path, data in {**BEFORE, **files}.items() if data != b"gone"}
    return bundle_of(write_files(tmp_path / "after", kept, kitfile))


def test_a_bundle_does_not_differ_from_itself(before: Bundle) -> None:
    watched = Watched(before.source)
    found = diff_bundles(before, Bundle(watched, before.descriptor))
    assert found.is_empty
    assert not found.weights_changed
    assert found.shared == sum(layer.descriptor.size for layer in before.layers)
    assert watched.total <= 2  # the manifest and the Kitfile


def test_an_edited_prompt(before: Bundle, tmp_path: Path) -> None:
    found = diff_bundles(before, changed(tmp_path, {"p/a.md": "one\n2\n"}))
    assert [(prompt.path, prompt.kind) for prompt in found.prompts] == [("p/a.md", "changed")]
    assert found.prompts[0].lines == (
        LineChange("gap", "-1,2 +1,2"),
        LineChange("same", "one"),
        LineChange("removed", "two"),
        LineChange("added", "2"),
    )
    assert found.files == (FileChange(path="p/a.md", role="prompt", kind="changed", size_before=8, size_after=6),)
    assert not found.weights_changed
    assert found.kitfile == ()


def test_new_and_lost_files_and_other_weights(before: Bundle, tmp_path: Path) -> None:
    after = changed(tmp_path, {"p/b.md": b"gone", "p/c.md": "c\n", "w.gguf": b"GGUF2"}, f"{KITFILE}# more\n")
    found = diff_bundles(before, after)
    assert [(change.path, change.kind, change.size_before, change.size_after) for change in found.files] == [
        ("p/b.md", "removed", 2, 0),
        ("p/c.md", "added", 0, 2),
        ("w.gguf", "changed", 4, 5),
    ]
    assert [(prompt.path, prompt.kind) for prompt in found.prompts] == [("p/b.md", "removed"), ("p/c.md", "added")]
    assert found.weights_changed
    assert [line.text for line in found.kitfile if line.kind == "added"] == ["# more"]
    assert not found.is_empty


def test_only_prompts_that_differ_are_fetched(old: Bundle, new: Bundle) -> None:
    watched = Watched(new.source)
    found = diff_bundles(old, Bundle(watched, new.descriptor))
    fetched = {layer.path for layer in new.layers if layer.descriptor.digest in watched.fetched}
    assert fetched == {"prompts/a.md", "prompts/c/new.md", "Kitfile"}
    assert {change.path for change in found.files if not change.path.startswith(("data", "code"))} == {
        path for path in {*OLD, *NEW} if OLD.get(path) != NEW.get(path) and not path.startswith(("data", "code"))
    }


def test_an_executable_bit_is_a_change_but_of_no_text(tmp_path: Path, before: Bundle) -> None:
    folder = write_files(tmp_path / "after", BEFORE, KITFILE)
    (folder / "run.sh").chmod(0o755)
    (folder / "p" / "a.md").chmod(0o755)
    found = diff_bundles(before, bundle_of(folder))
    assert [change.path for change in found.files] == ["p/a.md", "run.sh"]
    assert found.prompts == ()


@pytest.mark.parametrize(("one", "other"), [(b"\xff", b"\xfe"), (b"x" * (TEXT_LIMIT + 1), b"y" * (TEXT_LIMIT + 1))])
def test_prompts_that_cannot_be_shown_differ_nevertheless(one: bytes, other: bytes) -> None:
    role = {"io.kitpack.role": "prompt"}
    found = diff_bundles(layered(("p.md", one, RAW), **role), layered(("p.md", other, RAW), **role))
    assert [(prompt.path, prompt.kind, prompt.lines) for prompt in found.prompts] == [("p.md", "changed", ())]


def test_another_role_shows_in_the_kitfile_alone(tmp_path: Path, before: Bundle) -> None:
    kitfile = KITFILE.replace("configs: [{path: c.yaml}]", "docs: [{path: c.yaml}]")
    found = diff_bundles(before, changed(tmp_path, {}, kitfile))
    assert found.files == ()
    assert found.kitfile
    assert not found.is_empty
