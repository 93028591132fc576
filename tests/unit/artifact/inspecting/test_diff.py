"""Comparing bundles without their weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitpack.artifact.bundle import TEXT_LIMIT, Bundle
from kitpack.artifact.inspecting.diff import BundleDiff, FileChange, diff_bundles
from kitpack.prompts.textdiff import LineChange
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


def test_only_prompts_and_what_is_small_and_differs_is_fetched(old: Bundle, new: Bundle) -> None:
    watched = Watched(new.source)
    found = diff_bundles(old, Bundle(watched, new.descriptor))
    fetched = {layer.path for layer in new.layers if layer.descriptor.digest in watched.fetched}
    assert fetched == {"prompts/a.md", "prompts/c/new.md", "app.yaml", "data"}  # what is the same came from the other
    assert max(watched.fetched.values()) == 1
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


def diffed(
    tmp_path: Path, old: dict[str, bytes | str], new: dict[str, bytes | str], kitfile: str = KITFILE
) -> BundleDiff:
    sides = [
        bundle_of(write_files(tmp_path / name, {**BEFORE, **files}, kitfile))
        for name, files in (("old", old), ("new", new))
    ]
    return diff_bundles(*sides)


def test_prompts_are_compared_by_what_they_mean(tmp_path: Path) -> None:
    before = "---\nname: greet\nparameters: {temperature: 0}\nvariables: [who]\n---\nHello {{ who }}\n"
    after = before.replace("0}", "1}").replace("[who]", "[who, tone]").replace("Hello", "Hello, {{ tone }}")
    found = diffed(tmp_path, {"p/a.md": before}, {"p/a.md": after})
    (prompt,) = found.prompts
    assert (prompt.name, prompt.path, prompt.breaks, found.breaks) == ("greet", "p/a.md", True, True)
    assert [(one.name, one.kind, one.breaks) for one in prompt.variables] == [("tone", "added", True)]
    assert [(one.path, one.before, one.after) for one in prompt.settings] == [("parameters.temperature", 0, 1)]
    assert prompt.tokens is not None
    assert found.grown(10) == (prompt,)
    assert found.grown(1000) == ()


@pytest.mark.parametrize(
    ("path", "text", "was"),
    [
        ("p/a.md", "---\nname: new\n---\nx\n", ("old", "p/a.md")),
        ("p/z.md", "---\nname: old\n---\nall others\n", ("old", "p/a.md")),
        ("p/z.md", "---\nname: new\n---\nx\n", ("old", "p/a.md")),
        ("p/z.md", "---\nname: new\n---\nsomething else entirely\n", ("", "")),
    ],
)
def test_prompts_are_followed(tmp_path: Path, path: str, text: str, was: tuple[str, str]) -> None:
    kitfile = KITFILE.replace("prompts: [{path: p}]", "prompts: [{path: p}, {path: q.md}]")
    old = write_files(tmp_path / "o", {**BEFORE, "q.md": "q", "p/a.md": "---\nname: old\n---\nx\n"}, kitfile)
    new = write_files(tmp_path / "n", {**BEFORE, "q.md": "q"}, kitfile)
    (new / "p/a.md").unlink()
    write_files(new, {path: text})
    found = diff_bundles(bundle_of(old), bundle_of(new)).prompts
    (prompt,) = [one for one in found if one.path == path]
    assert (prompt.name_before, prompt.path_before) == was


def test_a_renamed_and_slightly_edited_prompt_is_the_same_one(tmp_path: Path) -> None:
    text = "You answer letters of people who wrote to us, in as few words as you can, and always with a smile.\n"
    old = write_files(tmp_path / "o", {**BEFORE, "p/one.md": text}, KITFILE)
    new = write_files(tmp_path / "n", {**BEFORE, "p/two.md": text.replace("few words", "few short words")}, KITFILE)
    (prompt,) = diff_bundles(bundle_of(old), bundle_of(new)).prompts
    assert (prompt.kind, prompt.name_before, prompt.name) == ("changed", "one", "two")


def test_a_prompt_that_takes_in_a_text_that_changed(tmp_path: Path) -> None:
    prompt = "{% include '_tone.txt' %}\nHello\n"
    found = diffed(
        tmp_path, {"p/a.j2": prompt, "p/_tone.txt": "Be kind.\n"}, {"p/a.j2": prompt, "p/_tone.txt": "Be brief.\n"}
    )
    by_path = {one.path: one for one in found.prompts}
    assert [one.path for one in by_path["p/a.j2"].includes] == ["p/_tone.txt"]
    assert by_path["p/_tone.txt"].name == ""
    assert by_path["p/_tone.txt"].lines


def test_what_the_kitfile_says_about_a_prompt(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"p.txt": "Sort {{ ticket }}\n"}
    sides = [
        bundle_of(
            write_files(tmp_path / model, files, f"prompts: [{{path: p.txt, variables: [ticket], model: {model}}}]\n")
        )
        for model in ("small", "large")
    ]
    found = diff_bundles(*sides)
    assert found.files == ()
    (prompt,) = found.prompts
    assert [(one.path, one.before, one.after) for one in prompt.settings] == [("model", "small", "large")]


def test_prompts_with_faults_are_compared_as_text(tmp_path: Path) -> None:
    good = "---\nvariables: [a]\n---\n{{ a }}\n"
    found = diffed(tmp_path, {"p/a.md": good}, {"p/a.md": good.replace("[a]", "[b")})
    (prompt,) = found.prompts
    assert (prompt.kind, prompt.name, prompt.path, prompt.tokens) == ("changed", "", "p/a.md", None)
    assert [line.text for line in prompt.lines if line.kind == "added"] == ["variables: [b"]
    assert [issue.path for issue in found.faults] == ["p/a.md"]


def test_settings_are_compared_by_what_they_mean(tmp_path: Path) -> None:
    found = diffed(tmp_path, {"c.yaml": "a: {b: 1}\nc: [1]\n"}, {"c.yaml": "# note\nc: [1]\na:\n  b: 2\n"})
    (config,) = found.configs
    assert [(one.path, one.before, one.after) for one in config.values] == [("a.b", 1, 2)]
    assert (config.by_meaning, bool(config.lines)) == (True, True)
    (written,) = diffed(tmp_path / "2", {"c.yaml": "a: 1\n"}, {"c.yaml": "a:  1\n"}).configs
    assert (written.by_meaning, written.values, bool(written.lines)) == (True, (), True)
    (text,) = diffed(tmp_path / "3", {"c.yaml": "a: &x 1\n"}, {"c.yaml": "a: &y 1\n"}).configs
    assert (text.by_meaning, bool(text.lines)) == (False, True)


DATA = "datasets: [{path: d.jsonl}, {path: e.bin}]\n"


def test_datasets_are_compared_row_by_row(tmp_path: Path) -> None:
    old: dict[str, bytes | str] = {"d.jsonl": '{"id": 1, "q": "a"}\n{"id": 2}\n', "e.bin": b"\0x"}
    new: dict[str, bytes | str] = {"d.jsonl": '{"id": 1, "q": "b"}\n{"id": 3}\n', "e.bin": b"\0yy"}
    rows, binary = diffed(tmp_path, old, new, KITFILE + DATA).datasets
    assert rows.rows is not None
    assert [(one.kind, one.key) for one in rows.rows.changes] == [("changed", "1"), ("added", "3"), ("removed", "2")]
    assert (binary.rows, binary.lines, binary.size_before, binary.size_after) == (None, (), 2, 3)


def test_what_is_too_large_is_said_to_differ_and_not_read(tmp_path: Path) -> None:
    row = '{"id": 1}\n'
    old, new = (
        bundle_of(write_files(tmp_path / name, {**BEFORE, "d.jsonl": row * many, "e.bin": b"x"}, KITFILE + DATA))
        for name, many in (("old", 200_000), ("new", 200_001))
    )
    watched = Watched(new.source)
    (dataset,) = diff_bundles(old, Bundle(watched, new.descriptor)).datasets
    assert (dataset.rows, dataset.lines, dataset.size_after) == (None, (), 2_000_010)
    assert not any(layer.descriptor.digest in watched.fetched for layer in new.layers if layer.path == "d.jsonl")


def test_code_line_by_line_and_moved_files(tmp_path: Path) -> None:
    old = write_files(tmp_path / "o", {**BEFORE, "run.sh": "#!\none\n"}, KITFILE)
    new = write_files(tmp_path / "n", {**BEFORE, "run.sh": "#!\ntwo\n", "v.gguf": b"GGUF"}, KITFILE.replace("w.", "v."))
    (new / "w.gguf").unlink()
    found = diff_bundles(bundle_of(old), bundle_of(new))
    (text,) = found.texts
    assert (text.path, text.role) == ("run.sh", "code")
    assert [line.text for line in text.lines if line.kind == "added"] == ["two"]
    (moved,) = (change for change in found.files if change.kind == "moved")
    assert (moved.path, moved.path_before, moved.role) == ("v.gguf", "w.gguf", "model")
    assert not found.weights_changed


def test_files_in_archives_are_compared_one_by_one(old: Bundle, new: Bundle) -> None:
    found = diff_bundles(old, new)
    (dataset,) = found.datasets
    assert dataset.path == "data/0/000.txt"
    assert [line.text for line in dataset.lines if line.kind == "added"] == ["another row"]
    assert [config.path for config in found.configs] == ["app.yaml"]


def test_everything_is_compared_with_nothing(tmp_path: Path) -> None:
    empty = bundle_of(write_files(tmp_path / "empty", {}, "# nothing\n"))
    full = bundle_of(write_files(tmp_path / "full", BEFORE, KITFILE))
    for before, after, kind in ((empty, full, "added"), (full, empty, "removed")):
        found = diff_bundles(before, after)
        assert {one.kind for one in found.files} == {one.kind for one in found.prompts} == {kind}
        assert (found.configs, found.datasets, found.texts) == ((), (), ())
