"""The values themselves, and that the schema speaks of the same ones."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace

import pytest

from kitpack.kitfile.model import (
    ROLES,
    Code,
    Config,
    Dataset,
    Doc,
    Entry,
    Item,
    Kitfile,
    Model,
    ModelPart,
    Package,
    Prompt,
)
from kitpack.kitfile.schema import definition, kitfile_schema

_POSITION = {"line", "column"}


def test_entries_come_in_packing_order_with_their_roles() -> None:
    kitfile = Kitfile(
        model=Model(path="m.gguf", parts=(ModelPart(path="t.json"),)),
        prompts=(Prompt(path="p", line=7, column=9),),
        configs=(Config(path="c.yaml"),),
        datasets=(Dataset(path="d.csv"),),
        code=(Code(path="x.py"), Code(path="a.py")),
        docs=(Doc(path="README.md"),),
    )
    assert [(entry.role, entry.path) for entry in kitfile.entries] == [
        ("model", "m.gguf"),
        ("model-part", "t.json"),
        ("code", "x.py"),
        ("code", "a.py"),
        ("dataset", "d.csv"),
        ("doc", "README.md"),
        ("prompt", "p"),
        ("config", "c.yaml"),
    ]
    assert list(dict.fromkeys(entry.role for entry in kitfile.entries)) == list(ROLES)
    prompt = kitfile.entries[6]
    assert (prompt.line, prompt.column, prompt.item) == (7, 9, kitfile.prompts[0])


def test_entries_can_be_told_apart_in_a_set_even_with_free_form_values() -> None:
    one = Entry(role="dataset", item=Dataset(path="a", parameters={"rows": [1]}))
    assert {one, replace(one)} == {one}
    assert len({one, Entry(role="dataset", item=Dataset(path="b"))}) == 2


def test_the_place_in_the_file_does_not_make_two_entries_different() -> None:
    assert Doc(path="a", line=3, column=5) == Doc(path="a")


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("package", Package),
        ("model", Model),
        ("part", ModelPart),
        ("prompt", Prompt),
        ("config", Config),
        ("dataset", Dataset),
        ("code", Code),
        ("doc", Doc),
    ],
)
def test_the_schema_and_the_values_have_the_same_fields(name: str, cls: type[Item | Package]) -> None:
    properties = definition(name)["properties"]
    assert isinstance(properties, dict)
    assert set(properties) == {field.name for field in fields(cls)} - _POSITION


def test_the_schema_and_the_kitfile_have_the_same_sections() -> None:
    properties = kitfile_schema()["properties"]
    assert isinstance(properties, dict)
    known = {field.name for field in fields(Kitfile)} - {"raw", "path", "manifest_version"} | {"manifestVersion"}
    assert set(properties) == known


def test_the_values_cost_nothing_to_import() -> None:
    script = "import sys, kitpack.kitfile.model; print({'yaml', 'jsonschema'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
