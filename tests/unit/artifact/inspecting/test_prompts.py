"""The prompts of bundles and folders: which files they are, what is said about them; no fault hides another."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitpack.artifact.bundle import TEXT_LIMIT, Bundle
from kitpack.artifact.inspecting.prompts import Prompts, bundle_prompts, folder_prompts, known_prompts
from kitpack.errors import IntegrityError
from kitpack.kitfile.load import load_kitfile
from kitpack.oci.digest import Digest
from kitpack.oci.mediatypes import ANNOTATION_LAYER_SUBTYPE
from tests.support.bots import TRIAGE, write_bot
from tests.support.bundles import noise
from tests.support.packing import bundle_of, layered, pack_folder, write_files
from tests.support.sources import Watched

RAW = "application/vnd.cncf.model.code.v1.raw"


def names(prompts: Prompts) -> dict[str, str]:
    return {one.name: one.path for one in prompts.found}


def declared(folder: Path) -> Prompts:
    return folder_prompts(folder, load_kitfile(folder / "Kitfile"))


def test_a_bundle_and_its_folder_have_the_same_prompts(tmp_path: Path) -> None:
    folder = write_bot(tmp_path / "bot")
    packed, written = bundle_prompts(bundle_of(folder)), declared(folder)
    assert packed.faults == written.faults == ()
    assert {one.name: one for one in packed.found} == {one.name: one for one in written.found}
    assert names(packed) == {"triage": "prompts/triage.md", "hello": "prompts/hello.txt"}
    triage = next(one for one in packed.found if one.name == "triage")
    assert triage.digest == Digest.of_bytes(TRIAGE.encode())
    assert triage.includes["prompts/_rules.md"].text == "Be brief.\n"
    assert next(one for one in packed.found if one.name == "hello").description == "Says hello"


def test_only_prompts_and_the_kitfile_are_fetched(tmp_path: Path) -> None:
    store, descriptor = pack_folder(write_bot(tmp_path / "bot"))
    source = Watched(store)
    bundle = Bundle(source, descriptor)
    assert len(bundle_prompts(bundle).found) == 2
    roles = {layer.descriptor.digest: layer.role for layer in bundle.layers}
    assert {roles[digest] for digest in source.fetched if digest in roles} == {"prompt", "kitfile"}
    assert max(source.fetched.values()) == 1


def test_an_include_may_stand_anywhere_in_the_bundle(tmp_path: Path) -> None:
    files = {"prompts/a.j2": "{% include '/docs/house.md' %}", "docs/house.md": "Be kind.\n"}
    folder = write_files(tmp_path / "bot", {**files}, "prompts: [{path: prompts}]\ndocs: [{path: docs}]\n")
    for prompts in (bundle_prompts(bundle_of(folder)), declared(folder)):
        assert prompts.faults == ()
        assert prompts.found[0].includes["docs/house.md"].text == "Be kind.\n"


@pytest.mark.parametrize("path", ["../../outside.md", "/etc/passwd", "/link.md", "none.md", "/model.gguf"])
def test_an_include_stays_inside_and_is_text(tmp_path: Path, path: str) -> None:
    (tmp_path / "outside.md").write_text("secret")
    folder = tmp_path / "bot"
    files: dict[str, bytes | str] = {
        "prompts/a.j2": f"{{% include '{path}' %}}",
        "prompts/b.md": "b",
        "model.gguf": noise(2 << 20),
    }
    write_files(folder, files, "model: {path: model.gguf}\nprompts: [{path: prompts}]\n")
    (folder / "link.md").symlink_to(tmp_path / "outside.md")
    for prompts in (declared(folder), bundle_prompts(bundle_of(folder))):
        assert list(names(prompts)) == ["b"]
        assert [issue.path for issue in prompts.faults] == ["prompts/a.j2"]


def test_no_fault_hides_another_prompt(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "prompts/good.md": "Hello",
        "prompts/open.j2": "{% if x %}",
        "prompts/latin.md": b"\xe9",
        "prompts/large.md": b"x" * ((1 << 20) + 1),
    }
    folder = write_files(tmp_path / "bot", files, "prompts: [{path: prompts}]\n")
    for prompts in (declared(folder), bundle_prompts(bundle_of(folder))):
        assert list(names(prompts)) == ["good"]
        assert {issue.path for issue in prompts.faults} == set(files) - {"prompts/good.md"}


def test_two_prompts_of_one_name_are_a_fault_that_names_both(tmp_path: Path) -> None:
    files = {"prompts/a.md": "---\nname: x\n---\na", "prompts/b/x.txt": "b"}
    folder = write_files(tmp_path / "bot", {**files}, "prompts: [{path: prompts}]\n")
    for prompts in (declared(folder), bundle_prompts(bundle_of(folder))):
        (issue,) = prompts.faults
        assert "prompts/a.md" in issue.message
        assert "prompts/b/x.txt" in issue.message
        assert len(prompts.found) == 2


def test_what_the_kitfile_says(tmp_path: Path) -> None:
    kitfile = """\
prompts:
  - path: prompts
    model: gpt-*
    description: All of them
  - path: prompts/one.txt
    name: first
    variables: [who]
    format: jinja
"""
    files = {"prompts/one.txt": "Hello {{ who }}", "prompts/two.txt": "Bye", "prompts/three/four.md": "Hm"}
    folder = write_files(tmp_path / "bot", {**files}, kitfile)
    for prompts in (declared(folder), bundle_prompts(bundle_of(folder))):
        assert prompts.faults == ()
        assert set(names(prompts)) == {"first", "two", "four"}
        first, two = (next(one for one in prompts.found if one.name == name) for name in ("first", "two"))
        assert (first.model, first.format, two.model, two.format) == ("", "jinja", "gpt-*", "text")
        assert two.description == ""


def test_files_of_other_sections_are_none(tmp_path: Path) -> None:
    kitfile = "prompts: [{path: .}]\ndocs: [{path: docs}]\ncode: [{path: code}]\nconfigs: [{path: a.json}]\n"
    files = {"docs/a.md": "", "code/main.py": "", "code/old.prompt.md": "Old", "a.json": "{}", "b.md": "B"}
    folder = write_files(tmp_path / "bot", {**files}, kitfile)
    assert set(names(declared(folder)).values()) == {"b.md", "code/old.prompt.md"}
    assert set(names(bundle_prompts(bundle_of(folder))).values()) == {"b.md", "code/old.prompt.md"}


def test_an_entry_without_files_is_a_fault_beside_the_others(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "bot", {"a.md": "A"}, "prompts: [{path: a.md}, {path: none.md}]\n")
    prompts = declared(folder)
    assert list(names(prompts)) == ["a"]
    assert [(issue.path, issue.line) for issue in prompts.faults] == [("Kitfile", 3)]


def test_many_prompts_in_one_archive(tmp_path: Path) -> None:
    files = {f"prompts/p{number:03}.md": f"Prompt {number}" for number in range(140)}
    folder = write_files(tmp_path / "bot", {**files}, "prompts: [{path: prompts}]\n")
    bundle = bundle_of(folder)
    assert any(layer.archived for layer in bundle.layers)
    assert names(bundle_prompts(bundle)) == names(declared(folder))


def test_an_archive_of_prompts_may_be_larger_than_a_prompt_may_be(tmp_path: Path) -> None:
    files = {f"prompts/p{number:03}.txt": f"Prompt {number}\n" * 900 for number in range(140)}
    folder = write_files(tmp_path / "bot", {**files}, "prompts: [{path: prompts}]\n")
    bundle = bundle_of(folder)
    assert max(layer.descriptor.size for layer in bundle.layers if layer.archived) > TEXT_LIMIT
    found = bundle_prompts(bundle)
    assert found.faults == ()
    assert len(found.found) == 140


def test_an_archive_is_read_once_for_each_file_that_is_taken_in(tmp_path: Path) -> None:
    parts = {f"code/part{number:03}.md": f"Part {number}" for number in range(140)}
    texts = {f"prompts/p{number}.j2": "{% include '/code/part001.md' %}" for number in range(9)}
    broken = {f"prompts/q{number}.j2": "{% include '/code/none.md' %}" for number in range(9)}
    kitfile = "prompts: [{path: prompts}]\ncode: [{path: code}]\n"
    store, descriptor = pack_folder(write_files(tmp_path / "bot", {**parts, **texts, **broken}, kitfile))
    source = Watched(store)
    found = bundle_prompts(Bundle(source, descriptor))
    assert (len(found.found), len(found.faults)) == (9, 9)
    archive = next(layer for layer in Bundle(store, descriptor).layers if layer.archived)
    assert source.fetched[archive.descriptor.digest] == 2  # one file that is there, and one that is not


def test_bundles_of_other_tools(tmp_path: Path) -> None:
    bundle = layered(
        ("prompts/system.md", b"Be brief.", RAW),
        ("prompts/user.j2", b"{{ question }}", RAW),
        **{ANNOTATION_LAYER_SUBTYPE: "prompt"},
    )
    prompts = bundle_prompts(bundle)
    assert prompts.faults == ()
    assert names(prompts) == {"system": "prompts/system.md", "user": "prompts/user.j2"}


def test_a_damaged_prompt_is_no_fault_of_its_author(tmp_path: Path) -> None:
    store, descriptor = pack_folder(write_bot(tmp_path / "bot"))
    source = Watched(store, damaged=[Digest.of_bytes(TRIAGE.encode())])
    with pytest.raises(IntegrityError, match=r"prompts/triage\.md"):
        bundle_prompts(Bundle(source, descriptor))


def test_a_plain_folder_of_prompts_is_enough(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "triage.md": "---\nname: sort\n---\nSort {{ ticket }}",
        "reply.txt": "Reply",
        "deep/er/ask.j2": "{{ question }}",
        "chats/prompts/talk.json": '[{"role": "user", "content": "hi"}]',
        "_part.md": "taken in",
        "README.md": "About these",
        "LICENSE": "",
        "requirements.txt": "kitpack",
        "docs/manual.md": "How to",
        "tests/cases.md": "Cases",
        "settings.yaml": "a: 1",
        "data.csv": "a,b",
        "main.py": "",
        ".hidden.md": "",
        ".git/x.md": "",
        "node_modules/x/y.md": "",
        "secrets.txt": "",
        "ignored.md": "",
        ".kitignore": "ignored.md\n",
    }
    folder = write_files(tmp_path / "mine", files)
    (folder / "link.md").symlink_to("triage.md")
    prompts = folder_prompts(folder)
    assert prompts.faults == ()
    assert names(prompts) == {
        "talk": "chats/prompts/talk.json",
        "ask": "deep/er/ask.j2",
        "reply": "reply.txt",
        "sort": "triage.md",
    }


def test_a_folder_called_prompts_has_chats_at_its_top(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "prompts", {"talk.json": '[{"role": "user", "content": "hi"}]'})
    assert list(names(folder_prompts(folder))) == ["talk"]


def test_bytes_that_somebody_has_read_already() -> None:
    files = {"x/a.md": b"A", "b.json": b"{", "_c.md": b"", "d.j2": b"{% include 'e.md' %}{% include 'x/a.md' %}"}
    assert set(names(known_prompts(files))) == {"a"}
    assert set(names(known_prompts(files, others={"e.md": b"E"}))) == {"a", "d"}


def test_an_edited_include_makes_another_prompt_of_the_same_file(tmp_path: Path) -> None:
    files = {"a.j2": "{% include 'b.md' %}", "b.md": "One"}
    folder = write_files(tmp_path / "mine", {**files})
    first, same = folder_prompts(folder).found[0], folder_prompts(folder).found[0]
    assert first is same, "nothing has to be checked twice in one process"
    (folder / "b.md").write_text("Two")
    second = folder_prompts(folder).found[0]
    assert [one.includes["b.md"].text for one in (first, second)] == ["One", "Two"]
    (folder / "b.md").unlink()
    assert folder_prompts(folder).found == ()
    assert len(folder_prompts(folder).faults) == 1
