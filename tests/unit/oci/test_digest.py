"""Digests."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitpack.errors import InvalidDigestError
from kitpack.oci.digest import Digest

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        f"sha256:{HEX[1:]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX.upper()}",
        f"SHA256:{HEX}",
        f"sha512:{HEX}",
        f"md5:{HEX[:32]}",
        f"sha256:{HEX}\n",
        f" sha256:{HEX}",
        "sha256:../../../../../../../../../../../../../../../../../../etc/passwd",
        f"sha256::{HEX}",
        f"sha256:{HEX[:-1]}٣",
        f"sha256+b64u:{HEX}",
        f"blake3:{HEX}",
    ],
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidDigestError):
        Digest.parse(text)


@given(st.binary(), st.sampled_from(["sha256", "sha512"]))
def test_a_digest_is_that_of_its_bytes_and_comes_back_from_its_text(data: bytes, algorithm: str) -> None:
    digest = Digest.of_bytes(data, algorithm)
    assert digest.hex == hashlib.new(algorithm, data).hexdigest()
    assert Digest.parse(str(digest)) == digest
    hasher = digest.hasher()
    hasher.update(data)
    assert digest.matches(hasher)
    hasher.update(b"x")
    assert not digest.matches(hasher)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidDigestError):
        assert str(Digest.parse(text)) == text


def test_a_message_about_very_long_text_is_short() -> None:
    for text in ["a" * 100_000, "a" * 100_000 + ":" + "0" * 100_000, "sha256:" + "0" * 100_000]:
        with pytest.raises(InvalidDigestError) as caught:
            Digest.parse(text)
        assert len(caught.value.message) < 500
