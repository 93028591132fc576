"""Kitfiles from text: what is accepted, and what is said about the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitpack.document import yamltext
from kitpack.document.faults import MAX_FAULTS
from kitpack.errors import Issue, KitfileError, KitpackError
from kitpack.kitfile.load import MAX_SIZE, find_kitfile, load_kitfile, parse_kitfile
from kitpack.kitfile.model import Kitfile, Package

FOUNDING = """\
# kitfile.yaml
manifestVersion: v1.0.0
package:
  name: customer-service-bot
  version: 3.2.1
  authors: ["ML Team"]
model:
  path: models/llama3-ft-customer-service.gguf
  type: llm
  framework: llama.cpp
code:
  - path: prompts/
    description: All prompt templates and variations
  - path: scripts/prompt_selector.py
    description: Dynamic prompt selection logic
datasets:
  - path: test_cases/prompt_validation.json
    description: Test cases for prompt behavior
configs:
  - path: config/prompt_config.yaml
    description: Environment-specific prompt parameters
"""

EVERYTHING = """\
manifestVersion: 1.0.0
package:
  name: assistant
  version: 1.10
  description: |
    Two
    lines
  license: Apache-2.0
  authors: [Ada, "Bob: C"]
  changelog: because
model:
  name: llama
  path: ./models//llama.gguf
  type: llm
  framework: llama.cpp
  format: gguf
  version: 3
  description: d
  license: MIT
  parts:
    - {name: tok, path: models/tokenizer.json, type: tokenizer, license: MIT}
  parameters: {layers: 0x20, quantized: yes, loss: 1e-3, limit: null}
prompts:
  - path: prompts/triage.md
    name: triage
    description: sorts
    model: bundle
    parameters: {temperature: 0.2, stop: [no, 12:30]}
    variables: {type: object, properties: {tier: {enum: [gold, "on"]}}}
    output: {type: object}
    untrusted: [ticket]
    changelog: shorter
    format: jinja
    license: MIT
  - path: prompts/reply.md
    variables: [ticket, 1]
datasets:
  - {path: data/, name: n, description: d, license: CC0-1.0, purpose: test, parameters: [1, 2]}
configs:
  - {path: config.yaml, name: n, description: d}
code:
  - {path: ., description: the rest, license: MIT}
docs:
  - {path: README.md, description: d}
"""


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds with libyaml and without it."""
    if not hasattr(yaml, request.param):
        pytest.skip("libyaml is not installed")
    monkeypatch.setattr(yamltext, "_LOADER", getattr(yaml, request.param))


def read(text: str) -> Kitfile:
    return parse_kitfile(text.encode(), "Kitfile")


def faults(text: str | bytes) -> tuple[Issue, ...]:
    with pytest.raises(KitfileError) as caught:
        parse_kitfile(text.encode() if isinstance(text, str) else text, "bot/Kitfile")
    return caught.value.issues


def body(text: str) -> str:
    """A Kitfile whose line 2 is the first line of the text."""
    return f"manifestVersion: 1.0.0\n{text}"


def test_the_founding_kitfile_loads_verbatim() -> None:
    kitfile = parse_kitfile(FOUNDING.encode(), "bot/kitfile.yaml")
    assert kitfile.path == "kitfile.yaml"
    assert kitfile.raw == FOUNDING.encode()
    assert kitfile.package == Package(name="customer-service-bot", version="3.2.1", authors=("ML Team",))
    assert [(entry.role, entry.path, entry.line, entry.column) for entry in kitfile.entries] == [
        ("model", "models/llama3-ft-customer-service.gguf", 8, 9),
        ("code", "prompts", 12, 11),
        ("code", "scripts/prompt_selector.py", 14, 11),
        ("dataset", "test_cases/prompt_validation.json", 17, 11),
        ("config", "config/prompt_config.yaml", 20, 11),
    ]


def test_every_field_arrives() -> None:
    kitfile = read(EVERYTHING)
    assert kitfile.package == Package(
        name="assistant",
        version="1.10",
        description="Two\nlines\n",
        license="Apache-2.0",
        authors=("Ada", "Bob: C"),
        changelog="because",
    )
    model = kitfile.model
    assert model is not None
    assert (model.path, model.version, model.name, model.type) == ("models/llama.gguf", "3", "llama", "llm")
    assert (model.framework, model.format, model.description, model.license) == ("llama.cpp", "gguf", "d", "MIT")
    assert model.parameters == {"layers": 32, "quantized": "yes", "loss": 0.001, "limit": None}
    part = model.parts[0]
    assert (part.name, part.path, part.type, part.license) == ("tok", "models/tokenizer.json", "tokenizer", "MIT")
    triage, reply = kitfile.prompts
    assert (triage.name, triage.description, triage.model, triage.format) == ("triage", "sorts", "bundle", "jinja")
    assert triage.parameters == {"temperature": 0.2, "stop": ["no", "12:30"]}
    assert triage.variables == {"type": "object", "properties": {"tier": {"enum": ["gold", "on"]}}}
    assert (triage.output, triage.untrusted) == ({"type": "object"}, ("ticket",))
    assert (triage.changelog, triage.license) == ("shorter", "MIT")
    assert reply.variables == ["ticket", "1"]
    dataset = kitfile.datasets[0]
    assert (dataset.path, dataset.purpose, dataset.parameters) == ("data", "test", [1, 2])
    assert (dataset.name, dataset.description, dataset.license) == ("n", "d", "CC0-1.0")
    assert (kitfile.configs[0].name, kitfile.configs[0].description) == ("n", "d")
    assert (kitfile.code[0].path, kitfile.code[0].license) == (".", "MIT")
    assert (kitfile.docs[0].path, kitfile.docs[0].description) == ("README.md", "d")


@pytest.mark.parametrize("version", ["1.0.0", "v1.0.0", '"1.0.0"'])
def test_both_spellings_of_the_format_version_are_one(version: str) -> None:
    assert read(f"manifestVersion: {version}\n").manifest_version == "1.0.0"


@pytest.mark.parametrize(
    "text", ["1.10", "3.2.1", "010", "1e3", "no", "on", "true", "2024-01-01", "12:30", "0x1F", ".5"]
)
def test_where_text_is_expected_it_stays_as_written(text: str) -> None:
    assert read(body(f"package: {{version: {text}}}\n")).package.version == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("'null'", "null"),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("1_000", "1_000"),
        ("190:20:30", "190:20:30"),
        ("2024-01-01", "2024-01-01"),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.0", 1.0),
        ('"1.0"', "1.0"),
        ("0b11", "0b11"),
    ],
)
def test_free_form_values_follow_the_core_schema(text: str, value: object) -> None:
    model = read(body(f"model:\n  path: m\n  parameters:\n    x: {text}\n")).model
    assert model is not None
    assert json.dumps(model.parameters) == json.dumps({"x": value})


def test_null_is_the_same_as_nothing() -> None:
    kitfile = read(body("package: {name: ~, authors: null}\nmodel:\nprompts: null\ndocs: ~\n"))
    assert kitfile.package == Package()
    assert kitfile.entries == ()


def test_a_byte_order_mark_is_tolerated_and_kept() -> None:
    raw = b"\xef\xbb\xbfmanifestVersion: 1.0.0\n"
    assert parse_kitfile(raw, "Kitfile").raw == raw


def test_json_is_a_kitfile_too() -> None:
    value = {"manifestVersion": "1.0.0", "docs": [{"path": "a\u00e4"}], "model": {"path": "m", "parameters": 1.5}}
    kitfile = read(json.dumps(value, ensure_ascii=False))
    assert [entry.path for entry in kitfile.entries] == ["m", "a\u00e4"]


# Each row: the text, then for every expected fault its line and column and words from message and hint.
FAULTY: list[tuple[str, list[tuple[int, int, str]]]] = [
    ("", [(1, 1, "it is empty"), (1, 1, "kitpack init")]),
    ("# nothing\n", [(1, 1, "it is empty")]),
    ("---\n", [(1, 1, "it is empty")]),
    ("just text\n", [(1, 1, "expected a mapping, found the text 'just text'")]),
    ("- a\n", [(1, 1, "expected a mapping, found a list")]),
    ("package: {name: x}\n", [(1, 1, "manifestVersion is missing"), (1, 1, "add `manifestVersion: 1.0.0`")]),
    ("manifestVersion: 2.0.0\n", [(1, 18, "expected 1.0.0 or v1.0.0, found '2.0.0'")]),
    ("manifestVersion: [1]\n", [(1, 18, "expected text, found a list")]),
    (body("pakage: {}\n"), [(2, 1, "unknown key 'pakage'"), (2, 1, "did you mean 'package'?")]),
    (body("package: {licence: MIT}\n"), [(2, 11, "allowed here: name, version,"), (2, 11, "'license'")]),
    (body("Model: {path: x}\n"), [(2, 1, "did you mean 'model'?")]),
    (body("mcpServers: []\n"), [(2, 1, "kitpack does not pack MCP servers")]),
    (body("datasets: [{path: d, remotePath: s3://b/k}]\n"), [(2, 22, "kitpack does not pack data that stays")]),
    (body("package: {authors: Ada}\n"), [(2, 20, 'write a list: authors: ["Ada"]')]),
    (body("package: [1]\n"), [(2, 10, "expected a mapping, found a list")]),
    (body("package: {version: [1]}\n"), [(2, 20, "package.version: expected text, found a list")]),
    (body("prompts:\n- prompts/\n"), [(3, 3, "write `- path: prompts/`")]),
    (body("prompts:\n- \n"), [(3, 2, "expected a mapping, found nothing")]),
    (body("prompts:\n  path: p\n"), [(3, 3, "expected a list, found a mapping"), (3, 3, "dash")]),
    (body("prompts:\n- name: p\n"), [(3, 3, "path is missing")]),
    (body("prompts:\n- path: ~\n"), [(3, 3, "path is missing")]),
    (body("model: {name: m}\n"), [(2, 1, "model: path is missing")]),
    (body("docs: [{path: ''}]\n"), [(2, 15, "found an empty string")]),
    (
        body("datasets: [{path: d, purpose: tests}]\n"),
        [(2, 31, "expected test or train or validation"), (2, 31, "write test")],
    ),
    (body("prompts: [{path: p, parameters: 1}]\n"), [(2, 33, "expected a mapping, found the number 1")]),
    (body("prompts: [{path: p, untrusted: {a: b}}]\n"), [(2, 32, "expected a list, found a mapping")]),
    (body("prompts: [{path: p, variables: text}]\n"), [(2, 32, "expected a mapping or a list")]),
    (body("prompts: [{path: p, variables: [{a: b}]}]\n"), [(2, 33, "expected text, found a mapping")]),
    (body("prompts: [{path: p, variables: {type: strng}}]\n"), [(2, 39, "write string")]),
    (body("prompts: [{path: p, output: {required: a}}]\n"), [(2, 40, "expected a list, found the text 'a'")]),
    (body("model: {path: m, parts: [{path: t, type: a b}]}\n"), [(2, 42, "characters that are not allowed")]),
    (body(f"package: {{name: {'x' * 300}}}\n"), [(2, 17, "at most 256 characters, found 300")]),
    # YAML's ways to say one thing and mean another
    (body("package:\n  name: a\n  name: b\n"), [(4, 3, "'name' is listed twice; first on line 3")]),
    (body("package: &p {name: a}\n"), [(2, 10, "the anchor &p is not allowed")]),
    (body("package: {name: &p a, license: *p}\n"), [(2, 17, "the anchor &p"), (2, 32, "the alias *p")]),
    (body("package: *p\n"), [(2, 10, "the alias *p is not allowed")]),
    (body("package: {<<: {name: a}}\n"), [(2, 11, "merge keys (<<) are not allowed")]),
    (body("package: !!python/object:os.system {name: a}\n"), [(2, 10, "the tag !!python/object:os.system is not")]),
    (body("package: {version: !!str 1.0}\n"), [(2, 20, "the tag !!str is not allowed")]),
    (body("package: {name: !x a}\n"), [(2, 17, "the tag !x is not allowed")]),
    (body("---\na: b\n"), [(2, 1, "a second document starts here")]),
    (body("model: {path: m, parameters: {1: a}}\n"), [(2, 31, "a key that is not text")]),
    (body("model: {path: m, parameters: {~: a}}\n"), [(2, 31, "a key that is not text")]),
    (body("? [a, b]\n: c\n"), [(2, 3, "a key that is not text")]),
    (body("model: {path: m, parameters: .inf}\n"), [(2, 30, ".inf is not a number JSON can hold")]),
    (body("model: {path: m, parameters: .NaN}\n"), [(2, 30, ".NaN is not a number JSON can hold")]),
    (body("model: {path: m, parameters: 1e999}\n"), [(2, 30, "larger than any number")]),
    (body(f"model: {{path: m, parameters: {'9' * 5000}}}\n"), [(2, 30, "a number of 5000 digits")]),
    (body('package: {name: "a\\eb"}\n'), [(2, 17, "the control character U+001B")]),
    (body("package:\n\tname: a\n"), [(3, 1, "a tab stands where YAML wants spaces")]),
    (body("package:\n  name: a: b\n"), [(3, 10, "needs quotes")]),
    (body("package: 'a\n"), [(3, 1, "it is not YAML here")]),
    (body("package: {name: a\x00b}\n"), [(2, 18, "the character U+0000 is not allowed")]),
    (body("package: {name: \u2028\ufeff}\n"), [(2, 18, "the character U+FEFF is not allowed")]),
    # paths
    (body("docs: [{path: /etc/passwd}]\n"), [(2, 15, "is absolute")]),
    (body("docs: [{path: C:/temp}]\n"), [(2, 15, "is absolute")]),
    (body("docs: [{path: ../x}]\n"), [(2, 15, "leaves the Kitfile's folder")]),
    (body("docs: [{path: a/../../x}]\n"), [(2, 15, "leaves the Kitfile's folder")]),
    (body("docs: [{path: ..}]\n"), [(2, 15, "leaves the Kitfile's folder")]),
    (body("docs: [{path: 'a\\b'}]\n"), [(2, 15, "has a backslash"), (2, 15, "write a/b")]),
    (body("docs: [{path: https://x.example/a}]\n"), [(2, 15, "is an address")]),
    (body("docs: [{path: ' a'}]\n"), [(2, 15, "starts or ends with a space")]),
    (body('docs: [{path: "a\\0"}]\n'), [(2, 15, "U+0000")]),
    (body('docs: [{path: "a\\u202eb"}]\n'), [(2, 15, "U+202E")]),
    (body("docs:\n- path: a/\ncode:\n- path: ./a\n"), [(5, 9, "is listed twice; first on line 3")]),
    (body("configs: conf/\n"), [(2, 10, "write a list: configs: [{path: conf/}]")]),
    (body("configs: 'my conf'\n"), [(2, 10, 'write a list: configs: [{path: "my conf"}]')]),
    (body("package:\n  name:bot\n"), [(3, 3, "a key needs a space after its colon: `name: bot`")]),
    (body("package:\n  name:bot\n  version: 1\n"), [(3, 3, "write `name: bot`")]),
    (body("prompts:\n- path: a\n  name:b\n"), [(4, 3, "write `name: b`")]),
    ("manifestVersion:1.0.0\npackage: {name: a}\n", [(1, 1, "write `manifestVersion: 1.0.0`")]),
    (body("docs: [{path: a}, {path: a}]\n"), [(2, 26, "is listed twice; first on line 2")]),
]


@pytest.mark.parametrize(("text", "expected"), FAULTY)
def test_a_fault_is_named_with_its_place(text: str, expected: list[tuple[int, int, str]]) -> None:
    found = faults(text)
    for line, column, words in expected:
        at_place = [f"{one.message} {one.hint}" for one in found if (one.line, one.column) == (line, column)]
        assert any(words in one for one in at_place), found
    assert {(one.line, one.column) for one in found} == {(line, column) for line, column, _ in expected}
    assert {one.path for one in found} == {"bot/Kitfile"}


def test_all_faults_come_at_once_in_the_order_of_their_lines() -> None:
    found = faults(
        "package: {licence: MIT, version: [1]}\n"
        "model: {path: /abs}\n"
        "prompts: [x]\n"
        "docs:\n- path: a\n- path: a\n  titel: b\n"
        "manifestVersion: 3\n"
    )
    assert [one.line for one in found] == [1, 1, 2, 3, 6, 7, 8]


def test_nested_paths_are_no_fault() -> None:
    assert len(read(body("code: [{path: .}, {path: a}]\ndocs: [{path: a/b}]\n")).entries) == 3


@pytest.mark.parametrize(
    ("raw", "words", "place"),
    [
        (b"manifestVersion: 1.0.0\npackage: {name: \xff}\n", "byte 0xff is not UTF-8", (2, 17)),
        ("manifestVersion: 1.0.0".encode("utf-16"), "is not UTF-8", (1, 1)),
        (b"a" * (MAX_SIZE + 1), f"more than {MAX_SIZE} bytes", (0, 0)),
        (b"[" * 5000, "nested more than 64 deep", (1, 66)),
        (b"{a: " * 5000, "nested more than 64 deep", (1, 258)),
        (b"- " * 5000, "nested more than 64 deep", (1, 131)),
        (b"[" + b"a," * 200_000 + b"]", "more than 100000 values", (1, 200_000)),
    ],
    ids=["latin-1", "utf-16", "large", "lists", "mappings", "dashes", "many"],
)
def test_bytes_that_cannot_be_a_kitfile_are_refused_early(raw: bytes, words: str, place: tuple[int, int]) -> None:
    (fault,) = faults(raw)
    assert words in fault.message
    assert (fault.line, fault.column) == place


@pytest.mark.parametrize("text", ["/", "../", "a\\", "http://"])
def test_messages_stay_short_whatever_was_written(text: str) -> None:
    found = faults(body(f"docs: [{{path: '{text * 100_000}'}}, {{path: '{text * 100_000}', {'k' * 1000}: 1}}]\n"))
    assert max(len(str(issue)) for issue in found) < 400


def test_very_many_faults_are_cut_short() -> None:
    found = faults(body("docs:\n" + "- x\n" * 5000))
    assert len(found) == MAX_FAULTS


def test_faults_of_two_kinds_are_cut_short_with_a_word_about_it() -> None:
    found = faults(body("docs:\n" + "- {path: /x, y: z}\n" * 100))
    assert len(found) == MAX_FAULTS + 1
    assert "there are more" in found[-1].message


def test_a_json_schema_as_deep_as_yaml_may_be_is_checked_or_refused() -> None:
    deep = "{not: " * 60 + "{}" + "}" * 60
    found = outcome(body(f"prompts: [{{path: p, output: {deep}}}]\n").encode())
    if isinstance(found, KitfileError):
        assert "nested too deeply" in found.issues[0].message
    else:
        assert found.prompts[0].output


class TestFinding:
    @pytest.mark.parametrize("name", ["Kitfile", "kitfile", ".kitfile", "kitfile.yaml", "kitfile.yml"])
    def test_every_known_name_is_found(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text(FOUNDING)
        (tmp_path / "kitfile.json").write_text("{}")
        found = find_kitfile(tmp_path)
        assert found == tmp_path / name
        assert load_kitfile(found).path == name

    def test_none_is_an_error_that_says_what_to_type(self, tmp_path: Path) -> None:
        (tmp_path / "Kitfile").mkdir()
        with pytest.raises(KitpackError) as caught:
            find_kitfile(tmp_path)
        assert caught.value.hint == f"kitpack init {tmp_path}"

    def test_several_are_an_error_that_names_them(self, tmp_path: Path) -> None:
        (tmp_path / "Kitfile").write_text("")
        (tmp_path / "kitfile.yml").write_text("")
        with pytest.raises(KitpackError, match=r"2 Kitfiles: Kitfile and kitfile\.yml"):
            find_kitfile(tmp_path)

    def test_faults_name_the_file_as_it_was_given(self, tmp_path: Path) -> None:
        (tmp_path / "Kitfile").write_text("a: b")
        with pytest.raises(KitfileError) as caught:
            load_kitfile(tmp_path / "Kitfile")
        assert str(caught.value.issues[0]).startswith(f"{tmp_path}/Kitfile:1:1: ")

    def test_a_huge_file_is_refused(self, tmp_path: Path) -> None:
        with (tmp_path / "Kitfile").open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(KitfileError):
            load_kitfile(tmp_path / "Kitfile")


ANYTHING = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SNIPPETS = st.sampled_from(
    [
        *("manifestVersion: 1.0.0\n", "prompts:\n", "- ", "path: ", "a: ", "[", "]", "{", "}", ",", "\n", "  ", "\t"),
        *("'", '"', "\\", "&a ", "*a ", "!!int ", "<<: ", "? ", "|\n", ">-\n", "---\n", "...\n", "%YAML 1.2\n", "#"),
        *("package: ", "model: ", "variables: ", "output: ", "parameters: ", "~", "0x", "1e9999", "\ufeff", "\u2028"),
        *("\x85", "\\ud800"),
    ]
)


def outcome(raw: bytes) -> Kitfile | KitfileError:
    try:
        return parse_kitfile(raw, "Kitfile")
    except KitfileError as error:
        return error


def parses_or_faults(raw: bytes) -> None:
    """One of the two, and nothing else is raised; what parses can be written as JSON."""
    found = outcome(raw)
    if isinstance(found, KitfileError):
        assert found.issues
        assert all(str(issue) for issue in found.issues)
    else:
        assert found.raw == raw
        json.dumps([found.model and found.model.parameters], allow_nan=False, ensure_ascii=False).encode()


@ANYTHING
@given(st.binary(max_size=200))
def test_any_bytes_give_a_kitfile_or_its_faults(raw: bytes) -> None:
    parses_or_faults(raw)


@ANYTHING
@given(st.text(max_size=200))
def test_any_text_gives_a_kitfile_or_its_faults(text: str) -> None:
    parses_or_faults(text.encode("utf-8", "surrogatepass"))


@ANYTHING
@given(st.lists(SNIPPETS, max_size=25).map("".join), st.booleans())
def test_anything_that_looks_like_yaml_gives_a_kitfile_or_its_faults(text: str, started: bool) -> None:
    parses_or_faults((body(text) if started else text).encode())


# YAML takes a key without a question mark only when it is shorter than 1024 characters, escapes counted.
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=99), inner, max_size=4),
    max_leaves=12,
)


@ANYTHING
@given(JSON)
def test_free_form_values_survive_as_json(value: object) -> None:
    text = json.dumps({"manifestVersion": "1.0.0", "model": {"path": "m", "parameters": {"v": value}}})
    if "\\ud" in text or "\\u007f" in text:  # YAML knows no pairs of surrogates
        return
    model = read(text).model
    assert model is not None
    assert model.parameters == {"v": value}


@ANYTHING
@given(st.dictionaries(st.sampled_from(["package", "model", "prompts", "docs", "x"]), JSON))
def test_any_value_in_any_section_gives_a_kitfile_or_its_faults(value: dict[str, object]) -> None:
    parses_or_faults(json.dumps({"manifestVersion": "1.0.0", **value}).encode())
