"""Manifests that registries could serve."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kitpack.errors import InvalidManifestError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import encode
from kitpack.oci.manifest import MAX_MANIFEST_SIZE, Manifest, build_manifest
from kitpack.oci.mediatypes import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    EMPTY_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    OCTET_STREAM,
)

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"
ONE: dict[str, Any] = {"mediaType": OCTET_STREAM, "digest": DIGEST, "size": 1}
GOOD: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": OCI_MANIFEST,
    "artifactType": "application/vnd.example",
    "config": ONE,
    "layers": [ONE],
}
INDEX: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{**ONE, "mediaType": OCI_MANIFEST}]}


def _with(base: Mapping[str, Any] = GOOD, **members: Any) -> bytes:
    return json.dumps({**base, **members}).encode()


def _without(key: str, base: Mapping[str, Any] = GOOD) -> bytes:
    return json.dumps({name: member for name, member in base.items() if name != key}).encode()


def _layer(**members: Any) -> bytes:
    return _with(layers=[{**ONE, **members}])


BAD = {
    "nothing": b"",
    "HTML": b"<html>502</html>",
    "a list": b"[]",
    "a byte order mark": b"\xef\xbb\xbf" + _with(),
    "bytes after it": _with() + b"\0",
    "a key twice": _with()[:-1] + b',"layers":[]}',
    "a key twice in a layer": _with().replace(b'"size": 1', b'"size": 1, "size": 2'),
    "nested 10 000 deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "huge number": _with().replace(b'"size": 1', b'"size": ' + b"9" * 10_000),
    "NaN": _with(x=float("nan")),
    "half a pair": _layer(annotations={"a": "\ud800"}),
    "half a pair in a list": _layer(urls=["\ud800"]),
    "no schemaVersion": _without("schemaVersion"),
    "schemaVersion 1": _with(schemaVersion=1),
    "schemaVersion '2'": _with(schemaVersion="2"),
    "schemaVersion 2.0": _with(schemaVersion=2.0),
    "schemaVersion true": _with(schemaVersion=True),
    "schemaVersion null": _with(schemaVersion=None),
    "layers and manifests": _with(manifests=[]),
    "config and manifests": _with(INDEX, config=ONE),
    "layers null and manifests": _with(INDEX, layers=None),
    "an index that says it is a manifest": _with(INDEX, mediaType=OCI_MANIFEST),
    "a manifest that says it is an index": _with(mediaType=OCI_INDEX),
    "other mediaType": _with(mediaType="application/json"),
    "mediaType with parameters": _with(mediaType=f"{OCI_MANIFEST}; charset=utf-8"),
    "mediaType in capitals": _with(mediaType=OCI_MANIFEST.upper()),
    "mediaType a list": _with(mediaType=[OCI_MANIFEST]),
    "mediaType an empty list": _with(mediaType=[]),
    "mediaType false": _with(mediaType=False),
    "mediaType 0": _with(mediaType=0),
    "artifactType an object": _with(artifactType={}),
    "artifactType a number": _with(artifactType=7),
    "schema 1": b'{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[]}',
    "no config": _without("config"),
    "config null": _with(config=None),
    "config a list": _with(config=[]),
    "config a string": _with(config=DIGEST),
    "no layers": _without("layers"),
    "layers null": _with(layers=None),
    "layers an object": _with(layers={}),
    "a layer null": _with(layers=[None]),
    "a layer a list": _with(layers=[[]]),
    "no manifests": _without("manifests", INDEX),
    "manifests null": _with(INDEX, manifests=None),
    "manifests an object": _with(INDEX, manifests={}),
    "subject a list": _with(subject=[]),
    "subject empty": _with(subject={}),
    "subject a string": _with(subject=DIGEST),
    "annotations a list": _with(annotations=[]),
    "an annotation a number": _with(annotations={"a": 1}),
    "an annotation null": _with(annotations={"a": None}),
    "no digest": _with(layers=[{"mediaType": OCTET_STREAM, "size": 1}]),
    "digest null": _layer(digest=None),
    "digest a path": _layer(digest="sha256:../../../../etc/passwd"),
    "digest in capitals": _layer(digest=DIGEST.upper()),
    "digest of another algorithm": _layer(digest=f"md5:{HEX[:32]}"),
    "digest with a newline": _layer(digest=f"{DIGEST}\n"),
    "no mediaType in a layer": _with(layers=[{"digest": DIGEST, "size": 1}]),
    "mediaType empty in a layer": _layer(mediaType=""),
    "mediaType null in a layer": _layer(mediaType=None),
    "no size": _with(layers=[{"mediaType": OCTET_STREAM, "digest": DIGEST}]),
    "size null": _layer(size=None),
    "size negative": _layer(size=-1),
    "size 2^63": _layer(size=1 << 63),
    "size a float": _layer(size=1.0),
    "size infinite": _with().replace(b'"size": 1', b'"size": 1e999'),
    "size text": _layer(size="1"),
    "size true": _layer(size=True),
    "artifactType in a layer a number": _layer(artifactType=1),
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD)
def test_hostile_manifests_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidManifestError):
        Manifest.parse(raw)


@pytest.mark.parametrize(
    ("raw", "announced", "found"),
    [
        (_with(), "", OCI_MANIFEST),
        (_with(), OCI_MANIFEST, OCI_MANIFEST),
        (_without("mediaType"), "", OCI_MANIFEST),
        (_with(mediaType=None), "", OCI_MANIFEST),
        (_with(mediaType=""), OCI_MANIFEST, OCI_MANIFEST),
        (_without("mediaType"), DOCKER_MANIFEST, DOCKER_MANIFEST),
        (_with(mediaType=DOCKER_MANIFEST), "", DOCKER_MANIFEST),
        (_with(INDEX), "", OCI_INDEX),
        (_without("mediaType", INDEX), "", OCI_INDEX),
        (_with(INDEX, mediaType=DOCKER_INDEX), DOCKER_INDEX, DOCKER_INDEX),
        (_with(layers=[]), "", OCI_MANIFEST),
        (_with(artifactType=None, annotations=None, subject=None), "", OCI_MANIFEST),
    ],
)
def test_good_manifests_are_read(raw: bytes, announced: str, found: str) -> None:
    manifest = Manifest.parse(raw, announced)
    assert manifest.media_type == found
    assert manifest.raw == raw
    assert manifest.descriptor == Descriptor.of_bytes(found, raw)


@pytest.mark.parametrize(
    ("raw", "announced"),
    [
        (_with(), OCI_INDEX),
        (_with(), DOCKER_MANIFEST),
        (_with(), "text/html"),
        (_without("mediaType"), OCI_INDEX),
        (_without("mediaType"), "text/html"),
        (_with(INDEX), OCI_MANIFEST),
        (_without("mediaType", INDEX), OCI_MANIFEST),
    ],
)
def test_a_manifest_that_was_announced_as_something_else_is_refused(raw: bytes, announced: str) -> None:
    with pytest.raises(InvalidManifestError):
        Manifest.parse(raw, announced)


def test_what_is_too_long_is_not_read() -> None:
    raw = _with()
    assert Manifest.parse(raw + b" " * (MAX_MANIFEST_SIZE - len(raw))).layers
    with pytest.raises(InvalidManifestError, match="exceeds"):
        Manifest.parse(raw + b" " * (MAX_MANIFEST_SIZE - len(raw) + 1))


def test_ten_thousand_layers_are_read() -> None:
    assert len(Manifest.parse(_with(layers=[ONE] * 10_000)).layers) == 10_000


_members = st.sampled_from(
    [None, True, 0, -1, 2, 1 << 63, 1.5, "", "x", DIGEST, OCI_MANIFEST, OCI_INDEX, [], {}, ONE, [ONE]]
)
_keys = st.sampled_from(
    ["schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations", "urls"]
)


@example(b"\xff")
@given(
    st.binary()
    | st.dictionaries(_keys, _members).map(_with)
    | st.tuples(_keys, _members).map(lambda pair: _with(INDEX, **{pair[0]: pair[1]}))
    | st.dictionaries(st.sampled_from([*ONE, "annotations", "data", "artifactType"]), _members).map(
        lambda members: _layer(**members)
    )
    | st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=3)).map(
        lambda patch: _with()[: patch[0]] + patch[1] + _with()[patch[0] + 1 :]
    )
)
def test_any_bytes_are_a_manifest_or_raise_one_error(raw: bytes) -> None:
    try:
        manifest = Manifest.parse(raw)
    except InvalidManifestError:
        return
    assert manifest.raw == raw
    for child in manifest.successors:
        assert Descriptor.from_dict(child.to_dict()) == child
        assert encode(child.to_dict())


def test_messages_stay_short_whatever_was_served() -> None:
    long = "x" * 1_000_000
    for raw in [
        _with(schemaVersion=long),
        _with(mediaType=long),
        _with(artifactType=[long]),
        _layer(digest=long),
        _layer(size=long),
        _with(annotations={long: 1}),
        _with() + long.encode(),
        _with()[:-1] + b"," + f'"{long}":1,"{long}":1}}'.encode(),
    ]:
        for announced in ("", OCI_MANIFEST):
            with pytest.raises(InvalidManifestError) as caught:
                Manifest.parse(raw, announced)
            assert len(caught.value.message) < 2000


def test_built_manifests_are_the_same_bytes_every_time() -> None:
    layer = Descriptor.of_bytes(OCTET_STREAM, b"a").annotated({"b": "1", "a": "2"})
    config = Descriptor.of_bytes(EMPTY_CONFIG, b"{}")

    def built() -> Manifest:
        return build_manifest(
            artifact_type="application/vnd.example",
            config=config,
            layers=[layer],
            annotations={"z": "é", "a": "1"},
            subject=layer,
        )

    assert built().raw == built().raw
    assert json.loads(built().raw) == {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example",
        "config": {"mediaType": EMPTY_CONFIG, "digest": str(Digest.of_bytes(b"{}")), "size": 2},
        "layers": [
            {"mediaType": OCTET_STREAM, "digest": str(layer.digest), "size": 1, "annotations": {"b": "1", "a": "2"}}
        ],
        "subject": {"mediaType": OCTET_STREAM, "digest": str(layer.digest), "size": 1},
        "annotations": {"z": "é", "a": "1"},
    }
    assert built().successors == (config, layer)


def test_the_kind_is_the_artifact_type_or_that_of_the_config() -> None:
    assert Manifest.parse(_with()).kind == "application/vnd.example"
    assert Manifest.parse(_without("artifactType")).kind == OCTET_STREAM
    assert Manifest.parse(_with(INDEX)).kind == ""


def test_a_descriptor_keeps_what_it_does_not_know() -> None:
    value = {
        **ONE,
        "annotations": {"a": "b"},
        "artifactType": "application/vnd.example",
        "urls": ["http://169.254.169.254/", "file:///etc/passwd"],
        "data": "not base64!",
        "platform": {"os": "linux"},
    }
    descriptor = Descriptor.from_dict(value)
    assert descriptor.to_dict() == value
    assert descriptor.plain().to_dict() == ONE
    assert descriptor.annotated({"c": "d"}).annotations == {"c": "d"}
    assert hash(descriptor) == hash(Descriptor.from_dict(value))
    assert not descriptor.is_manifest


def test_what_names_other_content_says_so() -> None:
    for media_type in (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX):
        assert Descriptor.of_bytes(media_type, b"").is_manifest
