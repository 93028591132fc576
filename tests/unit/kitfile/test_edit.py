"""One thing in a Kitfile is changed, and nothing else."""

from __future__ import annotations

import pytest

from kitpack.errors import KitfileError, PackError
from kitpack.kitfile.edit import with_version
from kitpack.kitfile.load import parse_kitfile

REST = "model: {path: m.gguf}   # the weights\n"
CASES = {
    "plain": (
        "package:\n  name: a  # b\n  version: 1.0.0 # now\n",
        "package:\n  name: a  # b\n  version: 1.1.0 # now\n",
    ),
    "quoted": ('package:\n  version:   "1.0.0"\n', 'package:\n  version:   "1.1.0"\n'),
    "single quotes": ("package: {version: '1.0.0', name: a}\n", "package: {version: '1.1.0', name: a}\n"),
    "between braces": ("package: {name: a, version: 1.0.0}\n", "package: {name: a, version: 1.1.0}\n"),
    "missing": ("package:\n    # who\n    name: a\n", "package:\n    # who\n    version: 1.1.0\n    name: a\n"),
    "missing between braces": ("package: {name: a}\n", "package: {version: 1.1.0, name: a}\n"),
    "a key in quotes": ('package:\n  "version": 1.0\n', 'package:\n  "version": 1.1.0\n'),
    "Windows": ("package:\r\n  version: 1.0.0\r\n", "package:\r\n  version: 1.1.0\r\n"),
    "letters of two bytes": (
        "package:\n  name: \u00fc\u4e2d\n  version: 1.0\n",
        "package:\n  name: \u00fc\u4e2d\n  version: 1.1.0\n",
    ),
    "the same number elsewhere": (
        "# version: 1.0.0\npackage:\n  description: version 1.0.0\n  version: 1.0.0\n",
        "# version: 1.0.0\npackage:\n  description: version 1.0.0\n  version: 1.1.0\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "byte order mark"])
def test_the_version_alone_changes(name: str, mark: str) -> None:
    before, after = (f"{mark}manifestVersion: 1.0.0\n{text}{REST}".encode() for text in CASES[name])
    assert with_version(before, "Kitfile", "1.1.0") == after
    assert parse_kitfile(after, "Kitfile").package.version == "1.1.0"
    assert with_version(after, "Kitfile", "1.1.0") == after


def test_a_package_is_added_where_there_is_none() -> None:
    found = with_version(f"manifestVersion: 1.0.0\n{REST}".encode(), "Kitfile", "1.1.0").decode()
    assert found == f"manifestVersion: 1.0.0\n{REST}package:\n  version: 1.1.0\n"


@pytest.mark.parametrize("version", ["2026-03-15.3", "1.10", "007", "true", "null", "1e3"])
def test_a_version_stays_the_text_it_is(version: str) -> None:
    raw = b"manifestVersion: 1.0.0\npackage: {version: 1.0.0}\nmodel: {path: m.gguf}\n"
    try:
        found = with_version(raw, "Kitfile", version)
    except PackError:
        assert version == "null"  # nobody chooses that
        return
    assert parse_kitfile(found, "Kitfile").package.version == version


@pytest.mark.parametrize(
    "text", ["package:\n  version: >\n    1.0.0\n", "package: {}\n", 'package: {version: "1\\u002e0"}\n']
)
def test_what_cannot_be_changed_is_left_alone(text: str) -> None:
    with pytest.raises(PackError, match=r"write it yourself|cannot be set"):
        with_version(f"manifestVersion: 1.0.0\n{text}{REST}".encode(), "Kitfile", "1.1.0")


def test_a_kitfile_with_faults_is_not_changed() -> None:
    with pytest.raises(KitfileError):
        with_version(b"manifestVersion: 1.0.0\npackage: {versoin: 1}\n", "Kitfile", "1.1.0")
