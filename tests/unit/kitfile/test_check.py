"""A Kitfile held against its folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kitpack.kitfile.check import check_files
from kitpack.kitfile.load import parse_kitfile


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    folder = tmp_path / "bot"
    for name in ["models/llama.gguf", "prompts/a.md", "prompts/b.md", "data/x.csv"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return folder


def found(folder: Path, *entries: str, follow_symlinks: bool = False) -> list[str]:
    """The faults of a Kitfile with these lines after its first, as line, message and hint."""
    text = "\n".join(["manifestVersion: 1.0.0", *entries]) + "\n"
    kitfile = parse_kitfile(text.encode(), str(folder / "Kitfile"))
    issues = check_files(kitfile, folder, follow_symlinks=follow_symlinks)
    assert all(one.path == str(folder / "Kitfile") for one in issues)
    return [f"{one.line}:{one.column} {one.message} ({one.hint})" for one in issues]


def test_a_good_folder_has_no_faults(bot: Path) -> None:
    assert found(bot, "model: {path: models/llama.gguf}", "prompts: [{path: prompts/}]", "code: [{path: .}]") == []


def test_missing_paths_are_named_with_the_nearest_name(bot: Path) -> None:
    faults = found(
        bot,
        "model: {path: models/lama.gguf}",
        "docs: [{path: Prompts/a.md}]",
        "code: [{path: zzz}]",
        "datasets: [{path: data/x.csv/y}]",
    )
    assert faults == [
        "2:15 models/lama.gguf does not exist (did you mean models/llama.gguf?)",
        "3:15 Prompts/a.md does not exist (did you mean prompts?)",
        "4:15 zzz does not exist ()",
        "5:19 data/x.csv/y does not exist ()",
    ]


def test_a_reference_to_another_bundle_is_understood_and_refused(bot: Path) -> None:
    for reference in ["registry.example/team/llama:7b", "llama:7b"]:
        (fault,) = found(bot, f"model: {{path: '{reference}'}}")
        assert "does not refer to another bundle" in fault
        assert f"kitpack unpack {reference}" in fault


def test_a_file_whose_name_looks_like_a_reference_is_a_file(bot: Path) -> None:
    (bot / "llama:7b").write_text("x")
    assert found(bot, "model: {path: 'llama:7b'}") == []


def test_what_kitignore_leaves_out_cannot_be_an_entry(bot: Path) -> None:
    (bot / ".kitignore").write_text("data\n")
    assert found(bot, "datasets: [{path: data/x.csv}]") == [
        "2:19 data/x.csv is left out by .kitignore (add `!data/x.csv` to .kitignore)"
    ]
    (bot / ".kitignore").write_text("data\n!data/x.csv\n")
    assert found(bot, "datasets: [{path: data}]") == []
    (fault,) = found(bot, "code: [{path: .kitignore}]")
    assert fault == "2:15 .kitignore cannot be an entry (take it out of the Kitfile)"


def test_a_folder_must_hold_something_to_pack(bot: Path) -> None:
    (bot / "empty" / "inner").mkdir(parents=True)
    (bot / ".kitignore").write_text("data/*\n!data/inner\n")
    faults = found(bot, "code: [{path: empty}]", "datasets: [{path: data}]")
    assert [fault.split(" (")[0] for fault in faults] == [
        "2:15 empty holds no files to pack",
        "3:19 data holds no files to pack",
    ]
    (bot / "data" / "inner").mkdir()
    (bot / "data" / "inner" / "kept").write_text("x")
    assert found(bot, "datasets: [{path: data}]") == []


def test_prompts_are_utf8_text(bot: Path) -> None:
    (bot / "prompts" / "logo.png").write_bytes(b"\x89PNG\r\n")
    (bot / "prompts" / "large.md").write_bytes(b"x" * ((4 << 20) + 1))
    faults = found(bot, "prompts: [{path: prompts}]")
    assert [fault.split(" (")[0] for fault in faults] == [
        "2:18 'prompts/large.md' is too large for a prompt: more than 4194304 bytes",
        "2:18 'prompts/logo.png' is not a prompt: byte 0 is not UTF-8",
    ]
    assert found(bot, "prompts: [{path: prompts}]", "docs: [{path: prompts/logo.png}, {path: prompts/large.md}]") == []


class TestLinks:
    def test_to_a_file_inside_are_fine(self, bot: Path) -> None:
        (bot / "alias.gguf").symlink_to("models/llama.gguf")
        assert found(bot, "model: {path: alias.gguf}") == []

    @pytest.mark.parametrize("entry", ["out.txt", "data", "prompts/../data/out.txt"])
    def test_out_of_the_folder_are_refused_unless_followed(self, bot: Path, entry: str) -> None:
        outside = bot.parent / "secret.txt"
        outside.write_text("x")
        (bot / "out.txt").symlink_to(outside)
        (bot / "data" / "out.txt").symlink_to(outside)
        (fault,) = found(bot, f"code: [{{path: {entry}}}]")
        assert "out.txt' is a link out of the folder" in fault
        assert found(bot, f"code: [{{path: {entry}}}]", follow_symlinks=True) == []

    def test_through_a_folder_out_of_the_folder_are_refused(self, bot: Path) -> None:
        (bot.parent / "other").mkdir()
        (bot.parent / "other" / "x").write_text("x")
        (bot / "way").symlink_to(bot.parent / "other")
        (fault,) = found(bot, "code: [{path: way/x}]")
        assert "is a link out of the folder" in fault

    def test_to_nothing_to_folders_and_in_circles_are_refused(self, bot: Path) -> None:
        (bot / "nothing").symlink_to("nowhere")
        (bot / "circle").symlink_to("circle")
        (bot / "folder").symlink_to("data")
        faults = found(bot, "code: [{path: nothing}, {path: circle}, {path: folder}]")
        assert [fault.split(" (")[0].split(" ", 1)[1] for fault in faults] == [
            "'nothing' is a link that leads nowhere",
            "'circle' is a link that leads nowhere",
            "'folder' is a link to a folder",
        ]

    def test_to_a_folder_above_do_not_lead_round_and_round(self, bot: Path) -> None:
        (bot / "data" / "up").symlink_to("..")
        (fault,) = found(bot, "datasets: [{path: data}]", follow_symlinks=True)
        assert "'data/up/data' is a link to a folder above itself" in fault


def test_what_is_no_file_is_refused(bot: Path) -> None:
    os.mkfifo(bot / "data" / "pipe")
    (fault,) = found(bot, "datasets: [{path: data}]")
    assert "'data/pipe' is neither a file nor a folder" in fault


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_a_fault(bot: Path) -> None:
    (bot / "data").chmod(0)
    try:
        (fault,) = found(bot, "datasets: [{path: data}]")
    finally:
        (bot / "data").chmod(0o755)
    assert "cannot be read" in fault
