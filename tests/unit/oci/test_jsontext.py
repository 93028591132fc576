"""JSON that two readers could understand differently is not JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitpack.oci.jsontext import Json, JsonObject, encode, parse_object

BAD = {
    "nothing": b"",
    "a list": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "latin-1": '{"a":"é"}'.encode("latin-1"),
    "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "an encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "bytes after the value": b'{"a":1}x',
    "a second value": b'{"a":1}{"a":2}',
    "NUL after the value": b'{"a":1}\0',
    "a key twice": b'{"a":1,"a":1}',
    "a key twice, once escaped": b'{"a":1,"\\u0061":2}',
    "a key twice, deep inside": b'{"a":[{"b":{"c":1,"c":2}}]}',
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "infinity in a list": b'{"a":[Infinity]}',
    "a number that becomes infinity": b'{"a":1e999}',
    "a number that becomes minus infinity": b'{"a":[-1e999]}',
    "26 digits": b'{"a":' + b"1" * 26 + b"}",
    "5000 digits": b'{"a":' + b"1" * 5000 + b"}",
    "half a pair as value": b'{"a":"\\ud800"}',
    "half a pair as key": b'{"\\udc00":1}',
    "half a pair in a list": b'{"a":["\\ud800"]}',
    "half a pair in a list in a list": b'{"a":[["x",["\\udfff"]]]}',
    "half a pair beside another half": b'{"a":"\\ud800\\ud800"}',
    "nested 10 000 deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "lists nested 100 000 deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a comma too many": b'{"a":1,}',
    "single quotes": b"{'a':1}",
    "a comment": b'{"a":1/**/}',
    "a control character": b'{"a":"\x01"}',
    "plus sign": b'{"a":+1}',
    "leading zero": b'{"a":01}',
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD)
def test_what_parsers_disagree_about_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_object(raw)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b' \n{"a" : 1}\r\n', {"a": 1}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a":["\\ud83d\\ude00"]}', {"a": ["\U0001f600"]}),
        (b'{"a":1e300,"b":-0.5}', {"a": 1e300, "b": -0.5}),
        (b'{"a":9223372036854775807}', {"a": (1 << 63) - 1}),
        (b'{"a":{"b":1},"b":{"b":1}}', {"a": {"b": 1}, "b": {"b": 1}}),
    ],
)
def test_plain_json_is_read(raw: bytes, value: JsonObject) -> None:
    assert parse_object(raw) == value


_text = st.text(st.characters(exclude_categories=["Cs"]))
_json: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(_text, _json, max_size=5))
def test_what_is_written_is_read_and_written_the_same(value: JsonObject) -> None:
    raw = encode(value)
    assert parse_object(raw) == value
    assert encode(parse_object(raw)) == raw


@given(st.binary() | st.text().map(lambda text: json.dumps({"a": [text]}).encode()))
def test_any_bytes_are_read_or_refused_and_what_is_read_can_be_written(raw: bytes) -> None:
    try:
        value = parse_object(raw)
    except ValueError:
        return
    assert parse_object(encode(value)) == value


def test_one_encoding_only() -> None:
    assert encode({"b": "é/\u2028", "a": [1, 2.5, None, True]}) == '{"b":"é/\u2028","a":[1,2.5,null,true]}'.encode()
    with pytest.raises(ValueError, match=r"."):
        encode({"a": float("nan")})
