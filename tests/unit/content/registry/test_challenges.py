from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitpack.content.registry.challenges import check_realm, merge_scopes, parse_challenges
from kitpack.content.registry.origin import Origin
from kitpack.errors import AuthError

Parsed = list[tuple[str, dict[str, str]]]


@pytest.mark.parametrize(
    ("header", "parsed"),
    [
        ("", []),
        ("Basic", [("basic", {})]),
        ('BASIC realm="x"', [("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://a.example/t",service="r.example",scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {"realm": "https://a.example/t", "service": "r.example", "scope": "repository:a/b:pull,push"},
                )
            ],
        ),
        (
            'Basic realm="a, b", bearer Realm = "c\\"d\\\\"',
            [("basic", {"realm": "a, b"}), ("bearer", {"realm": 'c"d\\'})],
        ),
        (
            'Bearer realm=https://a.example/t, Basic realm="b"',
            [("bearer", {"realm": "https://a.example/t"}), ("basic", {"realm": "b"})],
        ),
        ('Bearer realm="first",realm="second"', [("bearer", {"realm": "first"})]),
        ('realm="belongs to nothing"', []),
        (',, Bearer , realm="x",', [("bearer", {"realm": "x"})]),
    ],
)
def test_challenges_are_read(header: str, parsed: Parsed) -> None:
    assert [(found.scheme, dict(found.parameters)) for found in parse_challenges(header)] == parsed


@settings(max_examples=50)
@given(st.text(alphabet='Bearer reaslm="\\,; ', max_size=80))
def test_any_header_can_be_read(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme == challenge.scheme.lower()


def test_an_open_quote_costs_no_time() -> None:
    assert parse_challenges('Bearer realm="' + "\\" * 50_000)[0].scheme == "bearer"


@pytest.mark.parametrize(
    ("realm", "registry"),
    [
        ("", "https://r.example"),
        ("/token", "https://r.example"),
        ("file:///etc/passwd", "https://r.example"),
        ("gopher://auth.example/", "https://r.example"),
        ("http://auth.example/token", "https://r.example"),
        ("https://me:pw@auth.example/token", "https://r.example"),
        ("https://127.0.0.1/token", "https://r.example"),
        ("https://localhost/token", "https://r.example"),
        ("https://[::1]/token", "https://r.example"),
        ("https://[::ffff:10.0.0.1]/token", "https://r.example"),
        ("https://169.254.169.254/latest/meta-data/", "https://r.example"),
        ("https://10.1.2.3/token", "https://r.example"),
        ("https://2130706433/token", "https://r.example"),
        ("https://0x7f.1/token", "https://r.example"),
        ("http://10.1.2.3/token", "http://127.0.0.1:5000"),
        ("http://127.0.0.1/token", "http://10.1.2.3:5000"),
    ],
)
def test_realms_that_registries_have_no_business_with_are_refused(realm: str, registry: str) -> None:
    with pytest.raises(AuthError):
        check_realm(realm, Origin.of(registry))


@pytest.mark.parametrize(
    ("realm", "registry"),
    [
        ("https://auth.example/token", "https://r.example"),
        ("http://auth.example/token", "http://r.example"),
        ("https://10.1.2.3:8443/token", "https://10.1.2.3:5000"),
        ("http://localhost:5001/auth", "http://127.0.0.1:5000"),
    ],
)
def test_other_realms_are_fine(realm: str, registry: str) -> None:
    check_realm(realm, Origin.of(registry))


def test_scopes_of_one_resource_are_joined() -> None:
    scopes = ["repository:a:pull,push", "repository:b:pull", "repository:a:pull,delete", "registry:catalog:*", "odd"]
    assert merge_scopes(scopes) == ("repository:a:delete,pull,push", "repository:b:pull", "registry:catalog:*")


@pytest.mark.parametrize(
    "header",
    [
        "a" * 60_000 + "(",
        "a" * 60_000 + " " * 60_000 + "(",
        '="a' * 20_000,
        'a="\\"' * 12_000,
        "a=" * 30_000,
        "\\" * 60_000,
    ],
)
def test_no_header_takes_long(header: str) -> None:
    started = time.process_time()
    parse_challenges(header)
    assert time.process_time() - started < 1


def test_a_word_that_cannot_be_read_is_left_out_whole() -> None:
    assert [one.scheme for one in parse_challenges("Odd( Basic")] == ["basic"]


@pytest.mark.parametrize("realm", ["ftp://u:SECRET@h/t?sig=SECRET", "u:SECRET@h", "https://u:SECRET@h/", "?SECRET://x"])
def test_a_refused_realm_keeps_its_secrets(realm: str) -> None:
    with pytest.raises(AuthError) as caught:
        check_realm(realm, Origin.of("https://r.example"))
    assert "SECRET" not in caught.value.message
