"""``.kitignore`` means what ``.dockerignore`` means."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitpack.errors import KitfileError
from kitpack.kitfile.ignore import IgnoreRules

# Each row: the lines, what they leave out, what they leave in. The first rows are those of Docker's documentation.
CASES: list[tuple[str, list[str], list[str]]] = [
    ("# comment", [], ["# comment", "comment"]),
    ("*/temp*", ["somedir/temporary.txt", "somedir/temp"], ["temp", "a/b/temp", "a/xtemp"]),
    ("*/*/temp*", ["somedir/subdir/temporary.txt"], ["somedir/temp", "a/b/c/temp"]),
    ("temp?", ["tempa", "tempb", "tempa/below"], ["temp", "tempab", "a/tempa", "temp/"]),
    ("**/*.go", ["a.go", "x/a.go", "x/y/a.go"], ["a.gox", "go"]),
    ("*.md\n!README.md", ["a.md"], ["README.md", "docs/a.md"]),
    ("*.md\n!README*.md\nREADME-secret.md", ["a.md", "README-secret.md"], ["README.md", "README-x.md"]),
    ("*.md\nREADME-secret.md\n!README*.md", ["a.md"], ["README.md", "README-secret.md"]),
    ("/foo/bar", ["foo/bar", "foo/bar/x"], ["x/foo/bar", "foo/barx"]),
    ("foo/bar/", ["foo/bar", "foo/bar/x"], ["foo"]),
    ("./foo", ["foo"], ["x/foo"]),
    ("foo/../bar", ["bar"], ["foo"]),
    (".", [], ["a", "a/b"]),
    ("/", [], ["a"]),
    ("../x", [], ["x"]),
    ("*", ["a", "a/b", ".hidden"], []),
    ("**", ["a", "a/b"], []),
    ("*\n!keep", ["a", "a/keep"], ["keep", "keep/below"]),
    ("data\n!data/keep.txt", ["data", "data/x"], ["data/keep.txt"]),
    ("data\n!data/**/*.txt\ndata/b", ["data/a.csv", "data/b/x.txt"], ["data/a/x.txt", "data/x.txt"]),
    ("!a\na", ["a"], []),
    ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a", "ab", "a/xb"]),
    ("a/**", ["a/x", "a/x/y"], ["a", "ax"]),
    ("**/a", ["a", "x/a", "x/a/y"], ["xa"]),
    ("[ab].txt", ["a.txt", "b.txt"], ["c.txt", "[ab].txt"]),
    ("[^ab].txt", ["c.txt"], ["a.txt", "/.txt"]),
    ("[a-c]x", ["ax", "cx"], ["dx", "-x"]),
    ("[a\\-c]x", ["-x", "ax"], ["bx"]),
    ("[+--]x", ["+x", ",x", "-x"], ["ax"]),
    ("[[&~|]x", ["[x", "&x", "~x", "|x"], ["ax"]),
    ("\\*.txt", ["*.txt"], ["a.txt"]),
    ("a.b+c(d)|e^f$", ["a.b+c(d)|e^f$"], ["axb+c(d)|e^f$"]),
    ("  spaced.txt \t\r\n! spaced.txt", [], ["spaced.txt"]),
    ("two words", ["two words"], ["two", "words"]),
    ("\n\n#a\n #a", ["#a"], []),
    ("\u00e4*", ["\u00e4pfel"], ["apfel"]),
    ("A", ["A"], ["a"]),
]


@pytest.mark.parametrize(("text", "ignored", "kept"), CASES)
def test_patterns_mean_what_docker_says(text: str, ignored: list[str], kept: list[str]) -> None:
    rules = IgnoreRules.parse(text)
    assert [path for path in ignored if not rules.matches(path)] == []
    assert [path for path in kept if rules.matches(path)] == []


@pytest.mark.parametrize("text", ["", "!**\n!.git\n!Kitfile\n!.kitignore"])
def test_some_files_are_never_packed_whatever_the_rules_say(text: str) -> None:
    rules = IgnoreRules.parse(text)
    for path in ["Kitfile", "kitfile.yaml", ".kitfile", ".kitignore", ".kitpack.json", ".git", ".git/x/y", "a/.git/x"]:
        assert rules.matches(path), path
    for path in ["a/Kitfile", "Kitfile/x", "Kitfile.md", ".gitignore", "a/.kitignore", "git", "."]:
        assert not rules.matches(path), path


def test_a_folder_is_only_skipped_whole_when_nothing_takes_parts_of_it_back() -> None:
    assert IgnoreRules.parse("data").covers("data")
    assert not IgnoreRules.parse("data").covers("date")
    assert not IgnoreRules.parse("data\n!**/keep").covers("data")
    assert IgnoreRules.parse("!x").covers(".git")


def test_lines_that_are_no_patterns_are_all_named(tmp_path: Path) -> None:
    (tmp_path / ".kitignore").write_text("a\n[b\n!\n[z-a]\nc\\\n")
    with pytest.raises(KitfileError) as caught:
        IgnoreRules.load(tmp_path)
    assert [(one.path, one.line) for one in caught.value.issues] == [
        (str(tmp_path / ".kitignore"), line) for line in (2, 3, 4, 5)
    ]


def test_the_file_is_read_as_utf8_with_or_without_a_mark(tmp_path: Path) -> None:
    assert not IgnoreRules.load(tmp_path).matches("a")
    (tmp_path / ".kitignore").write_bytes(b"\xef\xbb\xbf# x\r\na\r\n")
    assert IgnoreRules.load(tmp_path).matches("a")
    (tmp_path / ".kitignore").write_bytes(b"\xff")
    with pytest.raises(KitfileError, match="not UTF-8"):
        IgnoreRules.load(tmp_path)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab/*?[]!^-\\.# \n", max_size=20), st.text(alphabet="ab/.[*", max_size=10))
def test_any_text_is_rules_or_faults(text: str, path: str) -> None:
    try:
        rules = IgnoreRules.parse(text)
    except KitfileError:
        rules = IgnoreRules.parse("")
    assert rules.matches(path) or not rules.covers(path)


def matches_slowly(pattern: str, text: str) -> bool:
    """Docker's meaning of ``*``, ``**`` and plain characters, by trying everything."""
    if not pattern:
        return not text
    if pattern == "**":
        return True
    if pattern.startswith("**"):
        rest = pattern.removeprefix("**").removeprefix("/")
        starts = [0, *(index + 1 for index, char in enumerate(text) if char == "/")]
        return not rest or any(matches_slowly(rest, text[start:]) for start in starts)
    if pattern.startswith("*"):
        name = text.split("/", 1)[0]
        return any(matches_slowly(pattern[1:], text[end:]) for end in range(len(name) + 1))
    return text[:1] == pattern[0] and matches_slowly(pattern[1:], text[1:])


WORDS = st.lists(st.text(alphabet="ab*", min_size=1, max_size=5), min_size=1, max_size=3).map("/".join)


@settings(max_examples=500, deadline=None)
@given(WORDS, st.lists(st.text(alphabet="ab", min_size=1, max_size=4), min_size=1, max_size=3).map("/".join))
def test_every_pattern_means_what_trying_everything_finds(pattern: str, path: str) -> None:
    parts = path.split("/")
    above = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    assert IgnoreRules.parse(pattern).matches(path) == any(matches_slowly(pattern, one) for one in above)


def test_many_stars_take_no_time() -> None:
    assert not IgnoreRules.parse("*a" * 40 + "b").matches("a" * 200)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("**/a" * 8 + "/**/b", "/".join("a" * 100)),
        ("**a" * 300 + "b", "/".join("a" * 400)),
        ("a**" * 300 + "b", "a" * 400),
        ("**/*a" * 150 + "b", "/".join(["aa"] * 300)),
        ("**/" * 300 + "b", "/".join("a" * 400)),
        ("[ab]**/" * 100 + "c", "/".join("ab" * 200)),
        ("**" + "?" * 900, "/".join("a" * 400)),
    ],
)
def test_no_pattern_takes_long(pattern: str, path: str) -> None:
    started = time.process_time()
    assert not IgnoreRules.parse(pattern).matches(path)
    assert time.process_time() - started < 5


def test_what_is_remembered_stays_bounded() -> None:
    rules = IgnoreRules.parse("**/*[ab]" + "?" * 30 + "/x")
    noise = random.Random(1)
    for _ in range(200):
        assert not rules.matches("".join(noise.choice("ab") for _ in range(100)))
    assert rules.matches("y/b" + "z" * 30 + "/x/below")


def test_a_pattern_longer_than_any_path_is_a_fault() -> None:
    with pytest.raises(KitfileError, match="longer than"):
        IgnoreRules.parse("a" * 1001)


def test_a_file_that_is_too_large_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / ".kitignore").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(KitfileError, match="more than 1048576 bytes"):
        IgnoreRules.load(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".kitignore")
    with pytest.raises(OSError, match="not an ordinary file"):
        IgnoreRules.load(tmp_path)


def test_a_link_to_a_file_is_fine(tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("a\r\nb\rc\n")
    (tmp_path / ".kitignore").symlink_to("shared")
    assert all(map(IgnoreRules.load(tmp_path).matches, "abc"))


def test_what_an_unpack_leaves_is_never_packed() -> None:
    rules = IgnoreRules.parse("!**")
    assert rules.matches("vendor/bot/.kitpack.json")
    assert rules.covers("vendor/bot/.kitpack-staging")
    assert not rules.matches("vendor/bot/kitpack.json")
