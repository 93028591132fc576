from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitpack.artifact.paths import Tree, check_tree, printable, safe_path
from kitpack.errors import UnsafePathError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "a"),
        ("./a//b/", "a/b"),
        ("a/./b/.", "a/b"),
        ("weights/model-00001-of-00002.gguf", "weights/model-00001-of-00002.gguf"),
        ("prompts/grüße/模板.md", "prompts/grüße/模板.md"),
        ("a..b/...", "a..b/..."),
        ("notes ", "notes "),
        ("notes.", "notes."),
        ("con/aux.txt", "con/aux.txt"),
        ("ab:c", "ab:c"),
        ("docs/C:", "docs/C:"),
        ("docs/~draft", "docs/~draft"),
        ("docs/.kitpacknotes", "docs/.kitpacknotes"),
        (".kitignore", ".kitignore"),
        (".gitignore", ".gitignore"),
        (".github/x", ".github/x"),
        ("family 👨‍👩‍👧.txt", "family 👨‍👩‍👧.txt"),
        ("x" * 255, "x" * 255),
        ("/".join(["x" * 240] * 17), "/".join(["x" * 240] * 17)),
    ],
)
def test_safe_paths_get_their_one_spelling(text: str, expected: str) -> None:
    assert safe_path(text) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty"),
        (".", "names no file"),
        ("./", "names no file"),
        ("././/.", "names no file"),
        ("/", "absolute"),
        ("/etc/passwd", "absolute"),
        ("//server/share", "absolute"),
        ("..", "upwards"),
        ("../x", "upwards"),
        ("a/../../b", "upwards"),
        ("a/..", "upwards"),
        ("a/b/../c", "upwards"),
        ("C:\\Windows", "backslash"),
        ("\\\\server\\share", "backslash"),
        ("a\\..\\b", "backslash"),
        ("C:", "drive letter"),
        ("c:/x", "drive letter"),
        ("./C:/x", "drive letter"),
        ("C:x", "drive letter"),
        ("~", "tilde"),
        ("~/x", "tilde"),
        ("./~root/x", "tilde"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\rb", "control"),
        ("a\tb", "control"),
        ("\x1b[2Ja", "control"),
        ("\x1b]0;title\x07a", "control"),
        ("a\x7f", "control"),
        ("a\x9b2J", "control"),
        ("a\u2028b", "control"),
        ("a\u2029b", "control"),
        ("gpj\u202e.exe", "control"),
        ("a\u200fb", "control"),
        ("a\u2066b", "control"),
        ("a\u061cb", "control"),
        ("a\ud800b", "control"),
        ("a\udcff", "control"),
        ("x" * 256, "more than 255 bytes"),
        ("é" * 128, "more than 255 bytes"),
        ("a/" * 2049, "4098 bytes long"),
        ("/".join(["é" * 120] * 18), "bytes long"),
        (".git", ".git folder"),
        (".git/hooks/post-checkout", ".git folder"),
        (".GIT/config", ".git folder"),
        ("a/.Git/config", ".git folder"),
        (".git./config", ".git folder"),
        (".git /config", ".git folder"),
        (".g\u200cit/config", ".git folder"),
        (".ssh/authorized_keys", "may not write"),
        ("./.SSH", "may not write"),
        (".kitpack.json", "may not write"),
        (".KitPack.JSON", "may not write"),
        (".kitpack.json/x", "may not write"),
        (".kitpack-staging/x", "may not write"),
        (".KITPACK-1", "may not write"),
        ("bot/.kitpack-staging/moving.json", "may not write"),
        ("a/b/.Kitpack-x", "may not write"),
        ("a/.kit\u200cpack-x/y", "may not write"),
        ("a/.kitpack.json", "may not write"),
        ("a/.KITPACK.json /x", "may not write"),
    ],
)
def test_unsafe_paths_are_refused_by_name(text: str, fault: str) -> None:
    with pytest.raises(UnsafePathError, match=fault) as caught:
        safe_path(text)
    message = str(caught.value)
    assert printable(text[:200]) in message
    assert printable(message) == message
    assert len(message) < 600


@given(st.text(st.sampled_from("ab./~:\\é\0\u202e\ud800 -git"), max_size=30) | st.text(max_size=60))
def test_whatever_passes_stays_inside(text: str) -> None:
    try:
        path = safe_path(text)
    except UnsafePathError:
        return
    assert safe_path(path) == path
    assert path.encode()
    assert not set(path.split("/")) & {"", ".", ".."}


def test_files_side_by_side() -> None:
    check_tree([])
    check_tree(["a", "b/a", "b/c/a", "c/a", "a.txt", "b.txt", "ab"])


@pytest.mark.parametrize(
    ("paths", "named", "fault"),
    [
        (["a/b", "a/b"], ["a/b"], "twice"),
        (["a", "a/b"], ["a"], "both a file and a folder"),
        (["a/b", "a"], ["a"], "both a file and a folder"),
        (["x/a/b/c", "x/a"], ["x/a"], "both a file and a folder"),
        (["README", "readme"], ["README", "readme"], "one and the same"),
        (["d/A", "d/a"], ["d/A", "d/a"], "one and the same"),
        (["D/x", "d/y"], ["D", "d"], "one and the same"),
        (["D", "d/y"], ["D", "d"], "one and the same"),
        (["d/y", "D"], ["d", "D"], "one and the same"),
        (["x/É", "x/é"], ["x/É", "x/é"], "one and the same"),
        (["caf\u00e9", "cafe\u0301"], ["caf\u00e9", "cafe\u0301"], "one and the same"),
        (["caf\u00e9/a", "cafe\u0301/b"], ["caf\u00e9", "cafe\u0301"], "one and the same"),
        (["straße", "STRASSE"], ["straße", "STRASSE"], "one and the same"),
        (["ab", "a\u200db"], ["ab", "a\u200db"], "one and the same"),
        (["\u212a", "k"], ["\u212a", "k"], "one and the same"),
    ],
)
def test_files_that_cannot_stand_side_by_side(paths: list[str], named: list[str], fault: str) -> None:
    with pytest.raises(UnsafePathError, match=fault) as caught:
        check_tree(paths)
    assert all(f"'{name}'" in str(caught.value) for name in named)


def test_a_folder_may_be_listed_once_before_or_after_its_files() -> None:
    tree = Tree()
    tree.add_folder("a")
    tree.add_file("a/b/c")
    tree.add_folder("a/b")
    assert tree.entries == 3
    for path in ("a", "a/b"):
        with pytest.raises(UnsafePathError, match="listed twice"):
            tree.add_folder(path)
    with pytest.raises(UnsafePathError, match="both a file and a folder"):
        tree.add_folder("a/b/c")


def test_printable_leaves_text_alone_and_escapes_the_rest() -> None:
    assert printable("grüße 模板 👨‍👩‍👧 \\n") == "grüße 模板 👨‍👩‍👧 \\n"
    assert printable("\x1b[31m\u202e\ud800\x9b\n") == r"\x1b[31m\u202e\ud800\x9b\n"
    assert printable("one\n\ttwo\x1b", keep="\n\t") == "one\n\ttwo\\x1b"
