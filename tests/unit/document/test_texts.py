"""YAML and JSON: the same tree, the same faults, and words that fit the document."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitpack.document.faults import MAX_FAULTS, Faults, Kind, decoded
from kitpack.document.jsontext import read_json
from kitpack.document.tree import Fields, Node, locate, to_json
from kitpack.document.yamltext import read_yaml
from kitpack.oci.jsontext import Json

KIND = Kind(noun="a recipe", max_size=100, too_large="split it", empty="write something")
LENIENT = Kind(noun="front matter")


def faults(text: str, kind: Kind = KIND, *, is_json: bool = False) -> list[tuple[int, int, str]]:
    found = Faults("r")
    assert (read_json if is_json else read_yaml)(text, kind, found) is None or found.issues
    return [(one.line, one.column, f"{one.message} {one.hint}") for one in found.ordered()]


def plain(root: Node | None) -> Json:
    assert root is not None
    found = Faults("r")
    value = to_json(root, {}, {}, found.add)
    assert not found.issues
    return value


@pytest.mark.parametrize(
    ("text", "is_json", "words"),
    [
        ("", False, "it is empty write something"),
        ("a: 1\n---\nb: 2\n", False, "a second document starts here; a recipe is one"),
        ("[" * 70, False, "a recipe never needs that"),
        ("", True, "it is empty write something"),
        ("{} {}", True, "more text follows; a recipe in JSON is one value"),
        ("[" * 70, True, "a recipe never needs that"),
    ],
)
def test_the_words_are_about_the_document(text: str, is_json: bool, words: str) -> None:
    ((_, _, told),) = faults(text, is_json=is_json)
    assert words in told


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "# c\n---\n# d\n"])
def test_a_document_may_be_empty_where_that_makes_sense(text: str) -> None:
    assert read_yaml(text, LENIENT, Faults("r")) == Fields(1, 1, {})


def test_what_stands_at_the_top_of_a_file_keeps_its_lines() -> None:
    root = read_yaml("# above\n---\nname: x\nlist:\n- a\n", LENIENT, Faults("r"))
    assert root is not None
    assert locate(root, ["name"]) == (3, 7)
    assert locate(root, ["list", 0]) == (5, 3)


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("{", 1, 2, "expected a key in quotes, found the end"),
        ("[1,]", 1, 4, "expected a value, found ']'"),
        ("[1 2]", 1, 4, "expected ','"),
        ('{"a" 1}', 1, 6, "expected ':'"),
        ("{a: 1}", 1, 2, "expected a key in quotes"),
        ("[01]", 1, 3, "expected ','"),
        ("NaN", 1, 1, "expected a value"),
        ('\n\t"a\nb"', 2, 4, "Invalid control character"),
        ('["a\\x"]', 1, 4, "Invalid \\escape"),
        ('"a', 1, 1, "Unterminated string"),
        ('{"a": 1,\n "a": 2}', 2, 2, "'a' is listed twice; first on line 1"),
    ],
)
def test_faults_of_json_are_placed(text: str, line: int, column: int, words: str) -> None:
    ((found_line, found_column, told),) = faults(text, is_json=True)
    assert (found_line, found_column) == (line, column)
    assert words in told


def test_very_many_values_are_refused_early() -> None:
    ((line, _, told),) = faults("[" + "1,\n" * 200_000 + "1]", is_json=True)
    assert line == 100_000
    assert "more than 100000 values" in told


def test_bytes_are_decoded_or_told() -> None:
    found = Faults("r")
    assert decoded(b"\xef\xbb\xbfa", KIND, found) == "a"
    assert decoded(b"x" * 101, KIND, found) is None
    assert decoded(b"a\n\xc3\xa4\xff", KIND, found) is None
    assert [(one.line, one.column, one.hint) for one in found.issues] == [
        (0, 0, "split it"),
        (2, 2, "save it as UTF-8"),
    ]


def test_very_many_faults_are_cut_short_in_the_order_of_their_lines() -> None:
    found = Faults("r")
    for line in range(300, 0, -1):
        found.add(line, 1, "x")
        found.add(line, 1, "x")
    ordered = found.ordered()
    assert [one.line for one in ordered] == [*range(1, MAX_FAULTS + 1), 0]
    assert "there are more" in ordered[-1].message


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=99), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(value=JSON, ascii_only=st.booleans(), indent=st.sampled_from([None, 1, "\t"]))
def test_any_json_is_read_as_what_it_says(value: Json, ascii_only: bool, indent: int | str | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    if any("\ud800" <= sign <= "\udfff" for sign in json.loads(json.dumps(str(value)))):
        return
    found = Faults("r")
    root = read_json(text, Kind(noun="a file"), found)
    assert not found.issues
    assert plain(root) == value


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.sampled_from('{}[]",:\\ntu0123.-eE \n\ttruefalsn'), max_size=40))
def test_anything_that_looks_like_json_is_read_as_python_reads_it_or_has_faults(text: str) -> None:
    found = Faults("r")
    root = read_json(text, Kind(noun="a file"), found)
    try:
        expected: Json = json.loads(text)
    except (ValueError, RecursionError):
        assert found.issues
        return
    if not found.issues and "\\ud" not in text.lower():
        collected = Faults("r")
        assert root is not None
        value = to_json(root, {}, {}, collected.add)
        assert collected.issues or value == expected
