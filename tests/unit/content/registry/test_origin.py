from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from kitpack.content.registry.origin import Origin, absolute, api_host, is_loopback, is_private, shown
from kitpack.errors import RegistryError


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Registry.Example/v2/", ("https", "registry.example", 443)),
        ("http://127.0.0.1:5000/v2/", ("http", "127.0.0.1", 5000)),
        ("http://[::1]:5000", ("http", "::1", 5000)),
        ("https://registry.example.:443/", ("https", "registry.example", 443)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: tuple[str, str, int]) -> None:
    assert Origin.of(url) == Origin(*origin)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "registry.example/v2/",
        "/v2/",
        "file:///etc/passwd",
        "ftp://registry.example/",
        "javascript:alert(1)",
        "http://",
        "http://:80/",
        "http://user@registry.example/",
        "http://user:secret@registry.example/",
        "http://registry.example\\@evil.example/",
        "http://registry.example:99999/",
        "http://registry.example:x/",
        "http://registry.example/a b",
        "http://registry.example/\r\nX: y",
        "http://registry.example/\0",
        "http://reg\u0456stry.example/",
        "http://[::1/",
    ],
)
def test_odd_addresses_are_refused(url: str) -> None:
    with pytest.raises(RegistryError):
        Origin.of(url)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/v2/x?a=b", "https://r.example/v2/x?a=b"),
        ("next", "https://r.example/v2/next"),
        ("//cdn.example/x", "https://cdn.example/x"),
        ("https://cdn.example/x?sig=%2B", "https://cdn.example/x?sig=%2B"),
    ],
)
def test_locations_are_resolved(location: str, url: str) -> None:
    assert absolute("https://r.example/v2/here", location) == url


def test_https_never_leads_to_http() -> None:
    with pytest.raises(RegistryError, match="from https to http"):
        absolute("https://r.example/v2/", "http://r.example/v2/")


@pytest.mark.parametrize(
    ("host", "loopback", "private"),
    [
        ("localhost", True, True),
        ("LOCALHOST.", True, True),
        ("127.0.0.1", True, True),
        ("127.8.9.1", True, True),
        ("::1", True, True),
        ("[::1]", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("0x7f.1", True, True),
        ("2130706433", True, True),
        ("0177.0.0.1", True, True),
        ("0.0.0.0", False, True),
        ("10.0.0.1", False, True),
        ("169.254.169.254", False, True),
        ("fe80::1%eth0", False, True),
        ("fd00::1", False, True),
        ("8.8.8.8", False, False),
        ("registry.example", False, False),
        ("1password.example", False, False),
    ],
)
def test_hosts_are_known_by_every_spelling(host: str, loopback: bool, private: bool) -> None:
    assert (is_loopback(host), is_private(host)) == (loopback, private)


def test_secrets_of_an_address_are_not_shown() -> None:
    assert shown("https://me:pw@r.example/v2/x?sig=secret#more") == "https://r.example/v2/x"


@pytest.mark.parametrize(
    "url",
    [
        "https://u:SECRET@r.example/?SECRET",
        "ftp://u:SECRET@h/t?SECRET",
        "/signed?SECRET",
        "/signed?x=http://h/SECRET",
        "//u:SECRET@h/x",
        "u:SECRET@h/x",
        "http:/u:SECRET@h/x",
        "http:\\\\u:SECRET@h/x",
        "u:SECRET@http://h/x",
        "data:,x#SECRET",
        "https://u:SECRET@[::1/",
        "https://h/a|b?SECRET",
        "https://\uff0fu:SECRET@h/x?SECRET",
    ],
)
def test_no_message_about_an_odd_address_tells_its_secrets(url: str) -> None:
    assert "SECRET" not in shown(url)
    asks: list[Callable[[str], object]] = [Origin.of, functools.partial(absolute, "https://r.example/")]
    for ask in asks:
        try:
            ask(url)
        except RegistryError as error:
            assert "SECRET" not in error.message  # noqa: PT017 - not all of them are refused


def test_docker_hub_is_served_elsewhere() -> None:
    assert api_host("docker.io") == "registry-1.docker.io"
    assert api_host("localhost:5000") == "localhost:5000"
