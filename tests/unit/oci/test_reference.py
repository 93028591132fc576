"""References: everything a person may type, and everything nobody should."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitpack.errors import InvalidReferenceError
from kitpack.oci.digest import Digest
from kitpack.oci.reference import LayoutReference, Reference, is_path, is_tag, looks_like_host

HEX = "0123456789abcdef" * 4
SHA256 = f"sha256:{HEX}"
SHA512 = f"sha512:{HEX}{HEX}"

GOOD = [
    ("assistant:1.4.0", Reference("", "assistant", "1.4.0")),
    ("team/assistant:latest", Reference("", "team/assistant", "latest")),
    ("a__b--c/e.f_g:_", Reference("", "a__b--c/e.f_g", "_")),
    ("registry.example/team/bot:1", Reference("registry.example", "team/bot", "1")),
    ("localhost/bot:1", Reference("localhost", "bot", "1")),
    ("localhost:5000/bot:1", Reference("localhost:5000", "bot", "1")),
    ("Registry.Example:65535/bot:V1", Reference("Registry.Example:65535", "bot", "V1")),
    ("[::1]:5000/bot:1", Reference("[::1]:5000", "bot", "1")),
    ("[fe80::1]/bot:1", Reference("[fe80::1]", "bot", "1")),
    (f"bot@{SHA256}", Reference("", "bot", "", Digest("sha256", HEX))),
    (f"h.example/bot@{SHA512}", Reference("h.example", "bot", "", Digest("sha512", HEX + HEX))),
    (f"h.example/bot:1@{SHA256}", Reference("h.example", "bot", "1", Digest("sha256", HEX))),
    (f"bot:{'t' * 128}", Reference("", "bot", "t" * 128)),
    (f"{'n' * 254}:1", Reference("", "n" * 254, "1")),
    ("bot:production@{2026-05-15}", Reference("", "bot", "production", None, "2026-05-15")),
    ("localhost:5000/a/bot:live@{3 days ago}", Reference("localhost:5000", "a/bot", "live", None, "3 days ago")),
    ("bot:live@{2026-05-15T10:00Z}", Reference("", "bot", "live", None, "2026-05-15T10:00Z")),
]

BAD = {
    "empty": "",
    "blank": " ",
    "no version": "assistant",
    "only a tag": ":1",
    "only a digest": f"@{SHA256}",
    "upper-case repository": "Assistant:1",
    "upper-case repository behind a host": "h.example/Assistant:1",
    "upwards": "../bot:1",
    "upwards inside": "h.example/../bot:1",
    "absolute": "/bot:1",
    "absolute twice": "//bot:1",
    "double slash": "h.example//bot:1",
    "slash at the end": "team/bot/:1",
    "slash alone": "/",
    "dot": ".:1",
    "leading separator": "-bot:1",
    "trailing separator": "bot-:1",
    "three underscores": "a___b:1",
    "256 characters": f"{'n' * 255}:1",
    "256 characters with the host": f"h.example/{'n' * 246}:1",
    "port without host": ":5000/bot:1",
    "port 0": "h:0/bot:1",
    "port 65536": "h:65536/bot:1",
    "port of letters": "h:http/bot:1",
    "port in other digits": "h:\u0665\u0660\u0660\u0660/bot:1",
    "empty port": "h:/bot:1",
    "open bracket": "[::1/bot:1",
    "brackets around nothing": "[]/bot:1",
    "brackets around a name": "[h.example]/bot:1",
    "tag of 129 characters": f"bot:{'t' * 129}",
    "tag with a leading dot": "bot:.1",
    "tag with a leading dash": "bot:-1",
    "tag with a slash": "bot:1/2",
    "tag with a plus": "bot:1+2",
    "empty tag": "bot:",
    "two tags": "bot:1:2",
    "short digest": f"bot@sha256:{HEX[:-1]}",
    "long digest": f"bot@sha256:{HEX}0",
    "upper-case digest": f"bot@sha256:{HEX.upper()}",
    "upper-case algorithm": f"bot@SHA256:{HEX}",
    "unknown algorithm": f"bot@md5:{HEX[:32]}",
    "digest that is a path": "bot@sha256:../../x",
    "digest without algorithm": f"bot@{HEX}",
    "empty digest": "bot:1@",
    "two digests": f"bot@{SHA256}@{SHA256}",
    "percent-encoded slash": "team%2fbot:1",
    "NUL": "bot\0:1",
    "NUL in the tag": "bot:1\0",
    "newline at the end": "bot:1\n",
    "newline after the repository": "bot\n:1",
    "newline after the host": "h.example\n/bot:1",
    "header injection": "bot:1\r\nX-Evil: 1",
    "newline after the digest": f"bot@{SHA256}\n",
    "Cyrillic look-alike": "\u0430ssistant:1",
    "full-width colon": "bot\uff1a1",
    "full-width digits": "bot\uff11:1",
    "soft hyphen": "bo\u00adt:1",
    "lone surrogate": "bot\ud800:1",
    "user information": "user@h.example/bot:1",
    "user and password": "user:secret@h.example/bot:1",
    "scheme": "https://h.example/bot:1",
    "other scheme": "docker://h.example/bot:1",
    "query": "h.example/bot:1?x=y",
    "fragment": "h.example/bot:1#x",
    "backslash": "team\\bot:1",
    "moment without a channel": "bot@{2026-05-15}",
    "moment of a digest": f"bot:1@{SHA256}@{{2026-05-15}}",
    "moment in the middle": "bot:production@{-1}:1",
    "moment without an end": "bot:production@{-1",
    "empty moment": "bot:production@{}",
    "blank inside": "my bot:1",
}


@pytest.mark.parametrize(("text", "expected"), GOOD)
def test_good_references_are_read(text: str, expected: Reference) -> None:
    assert Reference.parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_bad_references_are_refused(text: str) -> None:
    with pytest.raises(InvalidReferenceError):
        Reference.parse(text)


@given(st.text(alphabet="aA0.:/@-_[]% \n\0é") | st.text())
def test_any_text_is_read_or_refused_and_what_is_read_is_written_the_same(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReferenceError:
        return
    assert str(reference) == text
    assert Reference.parse(str(reference)) == reference
    assert reference.selector


_alnum = st.text("abcz019", min_size=1, max_size=6)
_component = st.lists(_alnum, min_size=1, max_size=3).flatmap(
    lambda words: st.sampled_from([".", "_", "__", "-", "---"]).map(lambda glue: glue.join(words))
)
_host = st.builds(lambda name, port: f"{name}.example{port}", _alnum, st.sampled_from(["", ":1", ":5000", ":65535"]))
_tag = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", fullmatch=True)
_digest = st.text("0123456789abcdef", min_size=64, max_size=64).map(lambda digits: Digest("sha256", digits))
_references = st.builds(
    Reference,
    st.just("") | _host | st.just("localhost") | st.just("[::1]:80"),
    # Of a name without a host, the first part must not look like one.
    st.lists(_component, min_size=1, max_size=3).map(lambda parts: "/".join(["r", *parts])),
    _tag,
    st.none() | _digest,
)


@given(_references)
def test_every_reference_comes_back_from_its_text(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference


def test_the_digest_decides_when_there_is_a_tag_too() -> None:
    assert Reference.parse(f"bot:1@{SHA256}").selector == SHA256


def test_at_keeps_the_repository_only() -> None:
    assert str(Reference.parse("h.example/bot:1").at(Digest.parse(SHA256))) == f"h.example/bot@{SHA256}"


def test_an_upper_case_name_gets_the_right_spelling_as_a_hint() -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Reference.parse("h.example/Team/Bot:1")
    assert caught.value.hint == "write h.example/team/bot:1"


def test_messages_stay_short_and_on_one_line_whatever_was_typed() -> None:
    for text in ["B" * 100_000 + ":1", "b" * 100_000 + ":1", f"bot:{'t' * 100_000}", "bot:\x1b[31m\n", "\u202ebot:1"]:
        with pytest.raises(InvalidReferenceError) as caught:
            Reference.parse(text)
        assert len(caught.value.message) < 1000
        assert caught.value.message.isprintable()


@settings(max_examples=25, deadline=1000)
@given(st.sampled_from("a.-_/[:@A\n"), st.sampled_from("a.-_/]:@A\n"), st.integers(1, 50_000))
def test_no_text_takes_long(one: str, other: str, count: int) -> None:
    with pytest.raises(InvalidReferenceError):
        Reference.parse("a" * count + (one + other) * count + "!")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oci:bundles", LayoutReference("bundles")),
        ("oci:./bundles:1.4.0", LayoutReference("./bundles", "1.4.0")),
        ("oci:/media/my usb:v1", LayoutReference("/media/my usb", "v1")),
        (f"oci:bundles@{SHA256}", LayoutReference("bundles", "", Digest("sha256", HEX))),
        (f"oci:a:b@{SHA256}", LayoutReference("a:b", "", Digest("sha256", HEX))),
        ("oci:a:b:c", LayoutReference("a:b", "c")),
        ("oci:/home/me@work/bundles:v1", LayoutReference("/home/me@work/bundles", "v1")),
        (f"oci:/home/me@work@{SHA256}", LayoutReference("/home/me@work", "", Digest("sha256", HEX))),
    ],
)
def test_layouts_are_read(text: str, expected: LayoutReference) -> None:
    assert LayoutReference.parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    ["oci:", "oci::1", f"oci:@{SHA256}", "oci:dir:", "oci:dir:a/b", "oci:dir\0:1", "oci:dir@sha256:abc", "oci:dir:1\n"],
)
def test_bad_layouts_are_refused(text: str) -> None:
    with pytest.raises(InvalidReferenceError):
        LayoutReference.parse(text)


@given(st.text(string.ascii_letters + "/.:@ -", max_size=40).map(lambda rest: f"oci:{rest}"))
def test_any_layout_is_read_or_refused(text: str) -> None:
    try:
        reference = LayoutReference.parse(text)
    except InvalidReferenceError:
        return
    assert str(reference) == text
    assert LayoutReference.parse(str(reference)) == reference


def test_a_tag_ends_where_it_ends() -> None:
    assert is_tag("1.4.0")
    assert not is_tag("1.4.0\n")
    assert not is_tag("")


@pytest.mark.parametrize("text", ["/", "/x", "./x", "../x", ".", "..", "~", "~/x", "/x:1"])
def test_paths_are_told_from_references(text: str) -> None:
    assert is_path(text)
    with pytest.raises(InvalidReferenceError, match="is a path, not a reference") as caught:
        Reference.parse(text)
    assert f"kitpack check {text}" in caught.value.hint


@pytest.mark.parametrize("text", [good for good, _ in GOOD] + ["...", ".hidden", "a/..", ""])
def test_what_is_not_surely_a_path(text: str) -> None:
    assert not is_path(text)


@pytest.mark.parametrize("text", ["localhost", "localhost:5000", "registry.example", "r.example:443", "10.0.0.1:5000"])
def test_hosts_without_a_repository(text: str) -> None:
    assert looks_like_host(text)


@pytest.mark.parametrize("text", ["bot", "bot:1", "bot.v2", "bot.v2:1", "localhost:5000/x", "r.example:x", "", "."])
def test_what_does_not_look_like_a_host(text: str) -> None:
    assert not looks_like_host(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("oci:///usb:1", "write oci:/usb:1"),
        ("oci://usb:1", "write oci:usb:1; or, if it is in a registry, usb:1"),
    ],
)
def test_layouts_are_no_addresses(text: str, hint: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        LayoutReference.parse(text)
    assert caught.value.hint == hint
