"""Values as YAML: the same for every reader, the same bytes every time, and pleasant."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kitpack.document.emit import emit
from kitpack.document.faults import Faults, Kind
from kitpack.document.tree import to_json
from kitpack.document.yamltext import read_yaml

HARD = [
    *[
        "0o17",
        "1e3",
        "no",
        "Y",
        "2026-01-01",
        "12:30",
        "---",
        "...",
        "<<",
        "=",
        "~",
        ".inf",
        "0x1F",
        "1_000",
        "-",
        "- a",
    ],
    *[
        "a: b",
        "a #b",
        "x\n\n",
        "\n",
        "a\n b\n",
        "a \nb",
        "a:",
        "a\n---\nb",
        "\ta\n",
        " a\nb",
        "a\n\tb",
        "?",
        "a?",
        "#a",
    ],
    *[
        "\ufeffx",
        "\x85",
        "a\u2028b\n",
        "\x07",
        "\x7f",
        "é",
        "😀",
        "a\u200bb",
        "\u202ea",
        "'",
        '"',
        "%",
        "@",
        "`",
        "{a}",
        "",
    ],
]
TEXT = (
    st.sampled_from(HARD) | st.text(alphabet="a1:#- \n\t'\"{}[],&*!|>%@`~.0eE+x_yn?", max_size=12) | st.text(max_size=9)
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def read(text: str) -> Any:
    """What kitpack reads there; it must find no fault."""
    faults = Faults("x.yaml")
    root = read_yaml(text, Kind(noun="a document"), faults)
    value = to_json(root, {}, {}, faults.add) if root else None
    assert faults.issues == []
    return value


@settings(max_examples=300)
@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=5))
def test_every_reader_gets_the_same_values_back(value: dict[str, Any]) -> None:
    text = emit(value)
    assert yaml.safe_load(text) == value
    assert read(text) == value
    assert "\n---" not in f"\n{text}"


@pytest.mark.parametrize("text", HARD)
def test_hard_text_stays_text_wherever_it_stands(text: str) -> None:
    value: dict[str, Any] = {"top": text, text: "key", "list": [text, text], "flow": {"deep": {"deeper": text}}}
    assert yaml.safe_load(emit(value)) == value
    assert read(emit(value)) == value


def test_it_is_pleasant_to_read() -> None:
    value: dict[str, Any] = {
        "name": "product_description",
        "version": "2",
        "description": "Short, and true: no superlatives",
        "parameters": {"temperature": 0.4, "max_tokens": 600},
        "variables": {
            "product": {"type": "object", "description": "What is sold"},
            "tier": {"enum": ["gold", "silver"]},
        },
        "untrusted": ["product"],
        "tools": [{"name": "look", "parameters": {"type": "object"}}, {"name": "leap"}],
        "changelog": "Cooler.\nTold not to praise.\n",
        "metadata": {"date": "2026-03-15", "tiny": 1e-7, "nothing": None, "empty": {}},
    }
    assert emit(value) == (
        "name: product_description\n"
        'version: "2"\n'
        'description: "Short, and true: no superlatives"\n'
        "parameters:\n"
        "  temperature: 0.4\n"
        "  max_tokens: 600\n"
        "variables:\n"
        "  product: {type: object, description: What is sold}\n"
        "  tier: {enum: [gold, silver]}\n"
        "untrusted: [product]\n"
        "tools:\n"
        "  - name: look\n"
        "    parameters: {type: object}\n"
        "  - name: leap\n"
        "changelog: |\n"
        "  Cooler.\n"
        "  Told not to praise.\n"
        "metadata:\n"
        '  date: "2026-03-15"\n'
        "  tiny: 1.0e-07\n"
        "  nothing: null\n"
        "  empty: {}\n"
    )


def test_what_is_too_wide_for_one_line_gets_more() -> None:
    long: list[Any] = [f"variable_number_{number}" for number in range(12)]
    assert emit({"untrusted": long}).splitlines()[:2] == ["untrusted:", "  - variable_number_0"]


def test_nothing_is_an_empty_object() -> None:
    assert yaml.safe_load(emit({})) == {}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_does_not_have_are_refused(number: float) -> None:
    with pytest.raises(ValueError):
        emit({"temperature": number})
