"""Choosing files by words, paths and globs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitpack.artifact.dialects import Layer
from kitpack.artifact.select import EVERYTHING, Selection
from kitpack.errors import NotFoundError
from kitpack.oci.descriptor import Descriptor


def layer(path: str, role: str = "code", *, archived: bool = False) -> Layer:
    return Layer(
        path=path,
        role=role,
        descriptor=Descriptor.of_bytes("application/octet-stream", path.encode()),
        mode=0o644,
        archived=archived,
        verbatim=not archived,
    )


@pytest.mark.parametrize(
    ("word", "roles"),
    [
        ("prompt", {"prompt"}),
        ("prompts", {"prompt"}),
        ("PROMPTS", {"prompt"}),
        (" configs ", {"config"}),
        ("model", {"model", "model-part"}),
        ("models", {"model", "model-part"}),
        ("datasets", {"dataset"}),
        ("code", {"code"}),
        ("docs", {"doc"}),
        ("kitfile", {"kitfile"}),
    ],
)
def test_words_are_roles(word: str, roles: set[str]) -> None:
    assert Selection.parse([word]) == Selection(frozenset(roles), ())


def test_other_words_are_paths() -> None:
    assert Selection.parse(["./model", "promptss", "a/", "", " "]).patterns == ("model", "promptss", "a")


@pytest.mark.parametrize(
    ("pattern", "chosen", "others"),
    [
        ("a", ["a", "a/b", "a/b/c"], ["ab", "b/a", "A"]),
        ("a/*", ["a/b", "a/b/c"], ["a", "b/a/c"]),
        ("*.md", ["x.md", ".md", "x.md/y"], ["a/x.md", "x_md", "x.mdx"]),
        ("**/*.md", ["x.md", "a/x.md", "a/b/x.md"], ["x.txt"]),
        ("**", ["a", "a/b", "\n"], []),
        ("a/**", ["a/b", "a/b/c"], ["b"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["a/zz", "z"]),
        ("?.md", ["a.md", "é.md"], ["ab.md", "/.md", ".md"]),
        ("a.b", ["a.b"], ["axb"]),
        ("[ab]", ["[ab]"], ["a"]),
        ("a+b(c)|d\\e^$", ["a+b(c)|d\\e^$"], ["d"]),
        ("a\nb", ["a\nb"], ["a"]),
    ],
)
def test_globs(pattern: str, chosen: list[str], others: list[str]) -> None:
    selection = Selection(patterns=(pattern,))
    assert [path for path in chosen if not selection.covers("code", path)] == []
    assert [path for path in others if selection.covers("code", path)] == []


@given(st.text("ab/*?.[", max_size=8), st.text("ab/.", min_size=1, max_size=8))
def test_whatever_a_pattern_chooses_in_an_archive_the_archive_is_reached_into(pattern: str, path: str) -> None:
    selection = Selection.parse([pattern])
    parts = path.strip("/").split("/")
    if selection.covers("code", "/".join(parts)):
        for depth in range(len(parts)):
            folder = "/".join(parts[:depth]) or "."
            assert selection.may_reach_into(layer(folder, archived=True))


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_pattern_is_an_error_by_itself(pattern: str, path: str) -> None:
    Selection.parse([pattern]).covers("code", path)


def test_archives_that_cannot_hold_it_are_not_fetched() -> None:
    selection = Selection.parse(["data/train/*.csv"])
    assert selection.may_reach_into(layer("data", archived=True))
    assert selection.may_reach_into(layer("data/train", archived=True))
    assert selection.may_reach_into(layer(".", archived=True))
    assert not selection.may_reach_into(layer("data/test", archived=True))
    assert not selection.may_reach_into(layer("code", archived=True))
    assert not selection.may_reach_into(layer("data/train", archived=False))


def test_everything_is_everything() -> None:
    assert Selection.parse([]) == Selection.parse(["", " "]) == EVERYTHING
    assert EVERYTHING.covers("file", "anything")
    assert EVERYTHING.may_reach_into(layer("x", "file"))
    EVERYTHING.check([], [])


def test_every_pattern_must_find_something_and_so_must_all_words_together() -> None:
    layers = [layer("a.md", "prompt"), layer("b", "code")]
    Selection.parse(["prompts", "datasets"]).check(["a.md"], layers)
    with pytest.raises(NotFoundError, match=r"dataset.*holds code, prompt") as caught:
        Selection.parse(["datasets"]).check([], layers)
    assert "prompt" in caught.value.hint
    with pytest.raises(NotFoundError, match="confgs"):
        Selection.parse(["prompts", "confgs"]).check(["a.md"], layers)


def test_the_kitfile_comes_along_with_prompts_and_does_not_count_as_one() -> None:
    prompts, files = Selection.parse(["prompts"]), [layer("Kitfile", "kitfile"), layer("code", "code")]
    assert prompts.covers("kitfile", "Kitfile")
    assert not Selection.parse(["configs"]).covers("kitfile", "Kitfile")
    assert not Selection.parse(["a.md"]).covers("kitfile", "Kitfile")
    with pytest.raises(NotFoundError, match="prompt"):
        prompts.check(["Kitfile"], files)
    Selection.parse(["prompts", "kitfile"]).check(["Kitfile"], files)
