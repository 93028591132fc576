"""Deciding about layers: who owns a file, what becomes an archive."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kitpack.artifact.packing.plan import MAX_LAYERS, PlannedLayer, plan_layers
from kitpack.errors import PackError, UnsafePathError
from kitpack.kitfile.ignore import IgnoreRules
from kitpack.kitfile.load import find_kitfile, load_kitfile
from tests.support.packing import write_files


def plan(folder: Path, *, kitfile: Path | None = None) -> list[PlannedLayer]:
    return plan_layers(load_kitfile(kitfile or find_kitfile(folder)), folder, IgnoreRules.load(folder))


def shape(folder: Path) -> list[tuple[str, str, str, int]]:
    """Role, kind, path and number of files (0: not an archive) of every layer."""
    return [(one.role, one.base, one.path, len(one.files) * one.archived) for one in plan(folder)]


def test_layers_stand_in_the_order_of_the_kitfile_and_files_in_that_of_their_paths(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        dict.fromkeys(
            ["m/w.gguf", "m/tokenizer.json", "p/b.md", "p/a.md", "c.yaml", "d/x.csv", "src/main.py", "README.md"], b""
        ),
        """\
configs: [{path: c.yaml}]
docs: [{path: README.md}]
prompts: [{path: p}]
datasets: [{path: d}]
code: [{path: src}]
model: {path: m}
""",
    )
    assert shape(tmp_path) == [
        ("model", "weight.config", "m/tokenizer.json", 0),
        ("model", "weight", "m/w.gguf", 0),
        ("code", "code", "src/main.py", 0),
        ("dataset", "dataset", "d/x.csv", 0),
        ("doc", "doc", "README.md", 0),
        ("prompt", "code", "p/a.md", 0),
        ("prompt", "code", "p/b.md", 0),
        ("config", "code", "c.yaml", 0),
    ]


def test_where_entries_nest_the_longest_path_owns_the_file(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        dict.fromkeys(["a/1", "a/b/2", "a/b/c/3", "a/b/c/4", "a/bc", "top", "model.gguf"], b""),
        """\
model: {path: model.gguf}
code: [{path: .}]
datasets: [{path: a/b}]
docs: [{path: a}, {path: a/b/c/3}]
""",
    )
    assert [(role, path) for role, _, path, _ in shape(tmp_path)] == [
        ("model", "model.gguf"),
        ("code", "top"),
        ("dataset", "a/b/2"),
        ("dataset", "a/b/c/4"),
        ("doc", "a/1"),
        ("doc", "a/bc"),
        ("doc", "a/b/c/3"),
    ]


def test_an_entry_whose_files_all_belong_to_others_has_no_layer(tmp_path: Path) -> None:
    write_files(tmp_path, {"a/1": b""}, "code: [{path: a}]\ndocs: [{path: a/1}]\n")
    assert [(role, path) for role, _, path, _ in shape(tmp_path)] == [("doc", "a/1")]


def test_the_rest_of_the_folder_is_everything_but_the_kitfile_and_what_git_and_kitignore_keep(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {".git/config": b"", "a": b"", "sub/Kitfile": b"", "x.tmp": b"", ".kitignore": "*.tmp\n", ".hidden": b""},
        "code: [{path: .}]\n",
    )
    (tmp_path / ".kitpack.json").write_text("{}")
    assert [path for _, _, path, _ in shape(tmp_path)] == [".hidden", "a", "sub/Kitfile"]


def test_a_kitfile_of_another_name_is_not_packed_twice(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": b"", "Kitfile.prod": "manifestVersion: 1.0.0\ncode: [{path: .}]\n"})
    assert [one.path for one in plan(tmp_path, kitfile=tmp_path / "Kitfile.prod")] == ["a"]


def test_a_kitfile_from_elsewhere_needs_a_name_that_can_be_unpacked(tmp_path: Path) -> None:
    write_files(tmp_path / "folder", {"a": b""})
    text = "manifestVersion: 1.0.0\ncode: [{path: a}]\n"
    for name in ("~kit", ".kitpack.json", "kit\nfile"):
        write_files(tmp_path, {name: text})
        with pytest.raises(UnsafePathError):
            plan(tmp_path / "folder", kitfile=tmp_path / name)


def test_a_kitfile_from_elsewhere_must_not_hide_a_file_of_its_name(tmp_path: Path) -> None:
    text = "manifestVersion: 1.0.0\ncode: [{path: .}]\n"
    write_files(tmp_path, {"app.yaml": text, "folder/app.yaml": "temperature: 1\n", "folder/b": b""})
    with pytest.raises(UnsafePathError, match="stands twice"):
        plan(tmp_path / "folder", kitfile=tmp_path / "app.yaml")
    (tmp_path / "folder" / "app.yaml").write_text(text)
    assert [one.path for one in plan(tmp_path / "folder", kitfile=tmp_path / "app.yaml")] == ["b"]


@pytest.mark.parametrize(
    ("kitfile", "found"),
    [
        ("code: [{path: gone}]\n", "gone does not exist"),
        ("code: [{path: empty}]\n", "empty holds no files"),
        ("code: [{path: hidden}]\n", r"hidden .*\.kitignore"),
        ("code: [{path: all-hidden}]\n", "all-hidden holds no files"),
        ("code: [{path: file/below}]\n", "file/below does not exist"),
        ("code: [{path: Kitfile}]\n", "Kitfile"),
    ],
)
def test_entries_without_files_are_refused(tmp_path: Path, kitfile: str, found: str) -> None:
    write_files(tmp_path, {"file": b"", "hidden": b"", "all-hidden/a.o": b"", ".kitignore": "hidden\n*/*.o\n"}, kitfile)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PackError, match=found):
        plan(tmp_path)


COLLISIONS = [
    ["Readme.md", "README.md"],
    ["d/a", "D/b"],
    ["caf\u00e9", "cafe\u0301"],
    ["stra\u00dfe", "STRASSE"],
]


@pytest.mark.parametrize("names", COLLISIONS)
def test_names_that_are_one_on_other_machines_are_refused(tmp_path: Path, names: list[str]) -> None:
    write_files(tmp_path, dict.fromkeys(names, b""), "code: [{path: .}]\n")
    if len({path.name for path in tmp_path.iterdir()} & {name.partition("/")[0] for name in names}) < len(names):
        pytest.skip("this file system takes them for one")
    with pytest.raises(UnsafePathError):
        plan_layers(load_kitfile(tmp_path / "Kitfile"), tmp_path, IgnoreRules())


def test_a_crowd_of_small_files_becomes_one_archive(tmp_path: Path) -> None:
    write_files(tmp_path, {f"data/{number:03}": b"x" for number in range(129)}, "datasets: [{path: data}]\n")
    assert shape(tmp_path) == [("dataset", "dataset", "data", 129)]
    (tmp_path / "data" / "000").unlink()
    assert len(shape(tmp_path)) == 128


def test_a_crowd_of_large_files_does_not(tmp_path: Path) -> None:
    write_files(tmp_path, {f"data/{number:03}": b"" for number in range(129)}, "datasets: [{path: data}]\n")
    for path in (tmp_path / "data").iterdir():
        with path.open("wb") as file:
            file.truncate(1 << 20)  # sparse
    assert {archived for *_, archived in shape(tmp_path)} == {0}


def test_files_of_a_nested_entry_are_not_in_the_archive(tmp_path: Path) -> None:
    files = {f"data/{number:03}": b"x" for number in range(200)}
    write_files(tmp_path, {**files, "data/sub/one": b""}, "datasets: [{path: data}]\nconfigs: [{path: data/sub}]\n")
    assert shape(tmp_path) == [("dataset", "dataset", "data", 200), ("config", "code", "data/sub/one", 0)]


def test_with_too_many_layers_the_fullest_folders_become_archives(tmp_path: Path) -> None:
    sizes = {"a": 100, "b": 120, "c": 90, "d": 128, "e": 110, "f": 100}
    write_files(
        tmp_path,
        {f"{name}/{number:03}": b"" for name, count in sizes.items() for number in range(count)},
        "datasets:\n" + "".join(f"  - path: {name}\n" for name in sizes),
    )
    found = shape(tmp_path)
    assert {path: count for *_, path, count in found if count} == {"b": 120, "d": 128}
    assert len(found) == sum(sizes.values()) - 119 - 127 <= MAX_LAYERS


def test_single_files_count_towards_too_many_layers(tmp_path: Path) -> None:
    singles = [f"s/{number:03}" for number in range(450)]
    write_files(
        tmp_path,
        {**dict.fromkeys(singles, b""), **{f"data/{number:03}": b"" for number in range(100)}},
        "datasets: [{path: data}]\ncode:\n" + "".join(f"  - path: {path}\n" for path in singles),
    )
    found = shape(tmp_path)
    assert {path: count for *_, path, count in found if count} == {"data": 100}
    assert len(found) == 451


PROMPTS = [
    ("code/x.prompt", True),
    ("code/x.prompty", True),
    ("code/chat.jinja2", True),
    ("code/x.prompt.md", True),
    ("code/X.J2", True),
    ("prompts/x.md", True),
    ("code/prompts/deep/x.txt", True),
    ("prompts/x", True),
    ("prompts/x.py", False),
    ("code/x.md", False),
    ("code/prompts.md", False),
]


@pytest.mark.parametrize(("path", "is_prompt"), PROMPTS)
def test_prompts_among_code_are_known_by_their_names(tmp_path: Path, path: str, *, is_prompt: bool) -> None:
    write_files(tmp_path, {path: b""}, f"code: [{{path: {path}}}]\n")
    assert [one.role for one in plan(tmp_path)] == ["prompt" if is_prompt else "code"]


@pytest.mark.parametrize("name", [".env", "src/id_rsa", "deploy/server.key"])
def test_a_secret_is_not_swept_up(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, {"app.py": b"1", name: b"secret"}, "code: [{path: .}]\n")
    with pytest.raises(PackError, match=re.escape(name)):
        plan(tmp_path)
    (tmp_path / ".kitignore").write_text(name)
    assert [one.path for one in plan(tmp_path)] == ["app.py"]


def test_a_secret_whose_name_is_in_the_kitfile_is_packed(tmp_path: Path) -> None:
    write_files(tmp_path, {".env": b"A=1"}, "configs: [{path: .env}]\n")
    assert [one.path for one in plan(tmp_path)] == [".env"]
