"""Includes: found from the file that names them, pinned, and never outside of the bundle or in a circle."""

from __future__ import annotations

import pytest

from kitpack.errors import Issue, NotFoundError, PromptError, RenderError
from kitpack.oci.digest import Digest
from kitpack.prompts.fingerprint import fingerprint
from kitpack.prompts.parse import parse_prompt
from kitpack.prompts.prompt import Prompt
from kitpack.prompts.render import render
from kitpack.prompts.variables import names_of

Files = dict[str, str]


def read(files: Files, path: str = "prompts/a.j2") -> Prompt:
    def fetch(name: str) -> bytes:
        try:
            return files[name].encode()
        except KeyError:
            raise NotFoundError(f"{name} is not there") from None

    return parse_prompt(files[path].encode(), path, read=fetch)


def faults(files: Files) -> tuple[Issue, ...]:
    with pytest.raises(PromptError) as caught:
        read(files)
    return caught.value.issues


FILES: Files = {
    "prompts/a.j2": "A {{ one }}\n{% include 'parts/rules.md' %}\n{% from '/macros.j2' import bold %}{{ bold(two) }}",
    "prompts/parts/rules.md": "Rules for {{ three }}: {% include '../shared.txt' %}",
    "prompts/shared.txt": "be {{ four }} {{ '{{' }}",
    "macros.j2": "{% macro bold(x) %}*{{ x }}*{% endmacro %}",
}


def test_includes_are_found_from_the_file_that_names_them_and_pinned() -> None:
    prompt = read(FILES)
    assert set(prompt.includes) == {"prompts/parts/rules.md", "prompts/shared.txt", "macros.j2"}
    rules = prompt.includes["prompts/parts/rules.md"]
    assert rules.digest == Digest.of_bytes(FILES["prompts/parts/rules.md"].encode())
    assert names_of(prompt) == {"one", "two", "three", "four"}
    (spoken,) = render(prompt, {"one": 1, "two": "{{ x }}", "three": 3, "four": "kind"})
    assert spoken.content == "A 1\nRules for 3: be kind {{\n*{{ x }}*"


def test_another_text_makes_another_fingerprint() -> None:
    changed = {**FILES, "prompts/shared.txt": "be {{ four }} "}
    assert read(FILES).digest == read(changed).digest
    assert fingerprint(read(FILES)) != fingerprint(read(changed))


def test_what_a_loop_names_is_no_variable_of_its_include() -> None:
    files = {"prompts/a.j2": "{% for x in xs %}{% include 'b' %}{% endfor %}", "prompts/b": "{{ x }}{{ y }}"}
    prompt = read(files)
    assert names_of(prompt) == {"xs", "y"}
    assert render(prompt, {"xs": [1, 2], "y": "-"})[0].content == "1-2-"


def test_an_import_sees_no_variables_unless_it_is_told_to() -> None:
    files = {"prompts/a.j2": "{% import 'b' as b %}{{ b.m() }}", "prompts/b": "{% macro m() %}{{ x }}{% endmacro %}"}
    assert names_of(read(files)) == frozenset()
    with pytest.raises(RenderError, match=r"prompts/b:1: 'x' is undefined"):
        render(read(files), {})
    told = {**files, "prompts/a.j2": "{% import 'b' as b with context %}{{ b.m() }}"}
    assert render(read(told), {"x": 3})[0].content == "3"


def test_the_filters_of_a_prompt_are_there_in_its_includes() -> None:
    files = {"prompts/a.md": '---\nfilters: {f: "<{}>"}\n---\n{% include "b" %}', "prompts/b": "{{ x | f }}"}
    assert render(read(files, "prompts/a.md"), {"x": 3})[0].content == "<3>"


@pytest.mark.parametrize(
    ("files", "path", "line", "words"),
    [
        ({"prompts/a.j2": "\n{% include 'b' %}"}, "prompts/a.j2", 2, "'b' is not there: prompts/b"),
        ({"prompts/a.j2": "{% include '../../etc/passwd' %}"}, "prompts/a.j2", 1, "leads out of the bundle"),
        ({"prompts/a.j2": "{% include '/../x' %}"}, "prompts/a.j2", 1, "leads out of the bundle"),
        ({"prompts/a.j2": "{% include 'b\\\\c' %}"}, "prompts/a.j2", 1, "leads out of the bundle"),
        ({"prompts/a.j2": "{% include '' %}"}, "prompts/a.j2", 1, "is not there"),
        ({"prompts/a.j2": "{% include '..' %}"}, "prompts/a.j2", 1, "leads out of the bundle"),
        ({"prompts/a.j2": "{% include name %}"}, "prompts/a.j2", 1, "whose name is calculated"),
        ({"prompts/a.j2": "{% include 'b' ignore missing %}"}, "prompts/a.j2", 1, "is there or it is not"),
        ({"prompts/a.j2": "\n{% include 'a.j2' %}"}, "prompts/a.j2", 2, "prompts/a.j2 → prompts/a.j2"),
        (
            {
                "prompts/a.j2": "{% include 'b' %}",
                "prompts/b": "{% include 'c' %}",
                "prompts/c": "\n{% include './b' %}",
            },
            *("prompts/c", 2, "in a circle: prompts/b → prompts/c → prompts/b"),
        ),
        ({"prompts/a.j2": "{% include 'b' %}", "prompts/b": "\n{{ x"}, "prompts/b", 2, "it is not Jinja here"),
        ({"prompts/a.j2": "{% include 'b' %}", "prompts/b": "---\nname: x\n---\n"}, "prompts/b", 1, "no front matter"),
        ({"prompts/a.j2": "{% include 'b' %}", "prompts/b": "\n\x00"}, "prompts/b", 2, "U+0000"),
        ({"prompts/a.j2": "{% include 'b' %}", "prompts/b": "{{ x|nop }}"}, "prompts/b", 1, "there is no filter 'nop'"),
    ],
)
def test_faults_are_named_with_their_file(files: Files, path: str, line: int, words: str) -> None:
    found = faults(files)
    assert any((one.path, one.line) == (path, line) and words in one.message for one in found), found


def test_bytes_that_are_no_text_are_a_fault_of_the_include() -> None:
    with pytest.raises(PromptError) as caught:
        parse_prompt(b"{% include 'b' %}", "a.j2", read=lambda _: b"\xff")
    assert [(one.path, one.line) for one in caught.value.issues] == [("b", 1)]


def test_without_files_there_are_no_includes() -> None:
    with pytest.raises(PromptError, match="is not there"):
        parse_prompt(b"{% include 'b' %}", "a.j2")


def test_very_many_includes_are_refused() -> None:
    files = {f"prompts/{n}": f"{{% include '{n + 1}' %}}" for n in range(200)} | {"prompts/a.j2": "{% include '0' %}"}
    assert any("more than 100 files" in one.message for one in faults(files))


def test_a_failure_inside_of_an_include_is_placed_there() -> None:
    files = {"prompts/a.j2": "\n\n{% include 'b' %}", "prompts/b": "\n{{ 1 // x }}"}
    with pytest.raises(RenderError, match=r"^prompts/b:2: integer division"):
        render(read(files), {"x": 0})


def test_an_include_that_multiplies_is_stopped() -> None:
    files = {"prompts/a.j2": "{% include '1' %}"}
    files |= {f"prompts/{n}": f"{{% include '{n + 1}' %}}" * 10 for n in range(1, 12)} | {"prompts/12": "x"}
    with pytest.raises(RenderError, match=r"characters|steps|seconds"):
        render(read(files), {})
