"""Looking at a bundle: little is fetched, nothing is believed."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import BinaryIO

import pytest

from kitpack.artifact.bundle import ARCHIVE_LIMIT, TEXT_LIMIT, TEXTS_LIMIT, Bundle, Text
from kitpack.content.memory import Memory
from kitpack.content.target import opener_of
from kitpack.errors import IntegrityError, InvalidManifestError, NotFoundError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.manifest import build_manifest
from kitpack.oci.mediatypes import (
    ANNOTATION_FILEPATH,
    ANNOTATION_KITFILE,
    ANNOTATION_ROLE,
    EMPTY_CONFIG,
    MODEL_CONFIG,
    MODEL_MANIFEST,
)
from tests.support import tars
from tests.support.bundles import index_of, push_blob, push_manifest
from tests.support.packing import layered
from tests.support.sources import Watched
from tests.support.versions import OLD, RAW, TAR


def test_prompts_are_read_and_nothing_else(old: Bundle) -> None:
    watched = Watched(old.source)
    bundle = Bundle(watched, old.descriptor)
    assert bundle.prompts() == [
        Text(path=path, size=len(text), text=text)
        for path, text in OLD.items()
        if path.startswith("prompts/") and isinstance(text, str)
    ]
    prompts = {layer.descriptor.digest for layer in old.layers if layer.role == "prompt"}
    assert set(watched.fetched) == {old.descriptor.digest, *prompts}


def test_what_was_seen_is_not_fetched_again(old: Bundle) -> None:
    watched = Watched(old.source)
    bundle = Bundle(watched, old.descriptor)
    for _ in range(2):
        assert bundle.config["modelfs"]
        assert bundle.layers
        assert bundle.declared
        assert bundle.kitfile.startswith("manifestVersion")
    assert watched.total == 3 - 1 + 1  # the manifest, the config, the Kitfile


def test_a_prompt_is_proven_before_it_is_shown(old: Bundle) -> None:
    prompt = next(layer.descriptor.digest for layer in old.layers if layer.role == "prompt")
    with pytest.raises(IntegrityError):
        Bundle(Watched(old.source, damaged=[prompt]), old.descriptor).prompts()
    with pytest.raises(IntegrityError):
        Bundle(Watched(old.source, damaged=[old.descriptor.digest]), old.descriptor)


def test_its_size_is_that_of_everything_under_it(old: Bundle) -> None:
    assert old.size == sum(child.size for child in old.manifest.successors)
    assert old.size > 100_000


def test_files_are_read_one_by_one_out_of_archives_too(old: Bundle) -> None:
    assert old.read("app.yaml") == b"t: 1\n"
    assert old.read("data/1/100.txt") == b"row 100\n"
    for path in ("data", "data/1", "prompts", "nothing", "../old", ""):
        with pytest.raises(NotFoundError):
            old.read(path)


def test_long_and_foreign_text_is_listed_and_not_shown() -> None:
    bundle = layered(
        ("long.md", b"x" * (TEXT_LIMIT + 1), RAW),
        ("full.md", b"x" * TEXT_LIMIT, RAW),
        ("latin.md", b"\xe9", RAW),
        ("empty.md", b"", RAW),
        **{ANNOTATION_ROLE: "prompt"},
    )
    assert [(text.path, text.size, text.text is None) for text in bundle.prompts()] == [
        ("long.md", TEXT_LIMIT + 1, True),
        ("full.md", TEXT_LIMIT, False),
        ("latin.md", 1, True),
        ("empty.md", 0, False),
    ]


class Same(Memory):
    """A source in which every layer is a megabyte."""

    def __init__(self) -> None:
        super().__init__()
        self.given = 0

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        if descriptor.media_type != RAW:
            return super().fetch(descriptor, offset)
        self.given += descriptor.size
        return io.BytesIO(bytes(descriptor.size))


def test_very_many_prompts_do_not_fill_the_memory() -> None:
    digest = Digest.of_bytes(bytes(TEXT_LIMIT))
    layers = [
        Descriptor(
            media_type=RAW,
            digest=digest,
            size=TEXT_LIMIT,
            annotations={ANNOTATION_FILEPATH: f"{number}.md", ANNOTATION_ROLE: "prompt"},
        )
        for number in range(500)
    ]
    source = Same()
    config = push_blob(source, b"{}", EMPTY_CONFIG)
    manifest = build_manifest(artifact_type=MODEL_MANIFEST, config=config, layers=layers, annotations={})
    source._blobs[manifest.descriptor.digest] = manifest.raw  # no honest target would take it
    prompts = Bundle(source, manifest.descriptor).prompts()
    assert len(prompts) == 500
    assert source.given <= ARCHIVE_LIMIT + TEXT_LIMIT
    assert prompts[0].text
    assert prompts[-1] == Text(path="499.md", size=TEXT_LIMIT, text=None)


def test_archives_of_very_many_prompts_are_only_listed() -> None:
    def archive(count: int) -> bytes:
        return gzip.compress(b"".join(tars.file(b"%06d.md" % one) for one in range(count)) + tars.END)

    many, few = archive(TEXTS_LIMIT + 1), archive(TEXTS_LIMIT - 1)
    kind = f"{TAR}+gzip"
    prompts = {ANNOTATION_ROLE: "prompt"}
    first = layered(*((f"p{number}", many, kind) for number in range(40)), **prompts)
    assert first.prompts() == [Text(path=f"p{number}", size=len(many), text=None) for number in range(40)]
    second = layered(("p0", few, kind), ("a.md", b"a", RAW), ("b.md", b"b", RAW), ("p1", few, kind), **prompts)
    texts = second.prompts()
    assert len(texts) == TEXTS_LIMIT + 2
    assert texts[-3:] == [
        Text(path="a.md", size=1, text="a"),
        Text(path="b.md", size=1, text=None),
        Text(path="p1", size=len(few), text=None),
    ]


def test_an_index_is_no_bundle(old: Bundle) -> None:
    source = Memory()
    index = push_manifest(source, index_of([]))
    with pytest.raises(InvalidManifestError, match="index") as caught:
        Bundle(source, index)
    assert caught.value.hint
    with pytest.raises(NotFoundError):
        Bundle(source, old.descriptor)


def _with(config: bytes, annotation: str | None = None) -> Bundle:
    store = Memory()
    descriptor = Descriptor.of_bytes(MODEL_CONFIG, config)
    store.push(descriptor, opener_of(config))
    manifest = build_manifest(
        artifact_type=MODEL_MANIFEST,
        config=descriptor,
        layers=[],
        annotations={} if annotation is None else {ANNOTATION_KITFILE: annotation},
    )
    return Bundle(store, push_manifest(store, manifest))


@pytest.mark.parametrize("config", [b"", b"[]", b"\xff", b'{"a":1,"a":2}', b"[" * 100_000])
def test_a_config_that_is_no_object_is_empty(config: bytes) -> None:
    assert _with(config).config == {}


@pytest.mark.parametrize("annotation", ["", "[]", "{", "\x1b[31m", "[" * 100_000, '{"a":1,"a":2}'])
def test_an_embedded_kitfile_that_is_none_is_an_error_in_words(annotation: str) -> None:
    with pytest.raises(InvalidManifestError, match="kitfile") as caught:
        assert not _with(b"{}", annotation).declared
    assert len(caught.value.message) < 500


STRANGE = [
    {},
    {"model": []},
    {"model": {"path": 1, "digest": None, "parts": "x"}},
    {"model": {"parts": [None, 1, [], {"path": "x"}]}},
    {"prompts": {}},
    {"prompts": [{"path": ["x"], "digest": "sha256:x"}]},
    {"code": [{"path": "../../x", "digest": "sha256:" + "0" * 64}]},
    {"datasets": [[[]]], "docs": 7, "package": None},
]


@pytest.mark.parametrize("declared", STRANGE)
def test_a_strange_embedded_kitfile_harms_nobody(declared: dict[str, object]) -> None:
    bundle = _with(b"{}", json.dumps(declared))
    assert bundle.layers == ()
    assert bundle.prompts() == []
    assert bool(bundle.kitfile) == bool(declared)


def test_an_archive_is_read_only_when_it_is_sound(tmp_path: Path) -> None:
    bundle = layered(("p", b"no tar", TAR), **{ANNOTATION_ROLE: "prompt"})
    with pytest.raises(IntegrityError):
        bundle.prompts()
    with pytest.raises(IntegrityError):
        bundle.read("p")
