"""Finding what counts a bundle's tokens, and what is known of its model, without fetching much."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from kitpack.artifact.bundle import Bundle
from kitpack.artifact.inspecting.tokenizer import FAR_HEAD, describe_model, find_counter
from kitpack.content.copy import copy
from kitpack.content.memory import Memory
from kitpack.content.nearest import Nearest
from kitpack.content.registry.repository import Repository
from kitpack.content.target import Source, opener_of
from kitpack.errors import UnreachableError
from kitpack.kitfile.load import find_kitfile, load_kitfile
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.prompts.facts import ModelFacts
from kitpack.prompts.splitting import splitting_of
from kitpack.prompts.tokenizers import counter_of_json
from tests.support.ggufs import SENTENCES, byte_level, gguf, model_values, trained
from tests.support.packing import bundle_of, layered, write_files
from tests.support.registry import Registry, serving, settings_in
from tests.support.tars import file

TOKENIZER = trained(splitting_of("gpt-2").patterns[0])
TEXT = SENTENCES[0]
EXACT = counter_of_json(TOKENIZER.encode()).count(TEXT)
WEIGHTS = b"\0" * (3 << 20)
GGUF = gguf(model_values() | byte_level(TOKENIZER, "gpt-2"), tail=WEIGHTS)
PLAIN_GGUF = gguf(model_values(), tail=WEIGHTS)
KITFILE = "model: {name: tiny, path: model/m.gguf, format: gguf, parts: [{path: model/tokenizer.json}]}\n"


class Far:
    """A source somewhere else, which counts what is read from it.

    Args:
        source: Where the content really is.
        failing: Whether the connection is lost whenever content is read.
    """

    def __init__(self, source: Source, *, failing: Callable[[], bool] = lambda: False) -> None:
        self.bytes = 0
        self._source = source
        self._failing = failing

    def resolve(self, reference: str) -> Descriptor:
        return self._source.resolve(reference)

    def exists(self, descriptor: Descriptor) -> bool:
        return self._source.exists(descriptor)

    def fetch(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        if self._failing():
            raise UnreachableError("no answer")
        far = self
        stream = self._source.fetch(descriptor, offset)

        class Counted(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                block = super().read(size)
                far.bytes += len(block)
                return block

        return Counted(stream.read())


def folder(tmp_path: Path, model: bytes = PLAIN_GGUF, tokenizer: str | None = TOKENIZER) -> Path:
    files: dict[str, bytes | str] = {"model/m.gguf": model, "prompts/p.md": "Hello\n"}
    kitfile = KITFILE if tokenizer is not None else "model: {name: tiny, path: model/m.gguf}\n"
    return write_files(tmp_path / "f", files | ({"model/tokenizer.json": tokenizer} if tokenizer else {}), kitfile)


def far_bundle(path: Path) -> tuple[Bundle, Far]:
    packed = bundle_of(path)
    far = Far(packed.source)
    return Bundle(far, packed.descriptor), far


def test_a_tokenizer_json_is_the_first_choice(tmp_path: Path) -> None:
    path = folder(tmp_path, GGUF)
    for place in (path, bundle_of(path)):
        counter = find_counter(place)
        assert (counter.name, counter.exact) == ("the bundle's tokenizer.json", True)
        assert counter.count(TEXT) == EXACT


def test_the_vocabulary_in_the_model_is_the_second(tmp_path: Path) -> None:
    path = folder(tmp_path, GGUF, None)
    for place in (path, bundle_of(path)):
        counter = find_counter(place)
        assert (counter.name, counter.exact) == ("the tokenizer in model/m.gguf", True)
        assert counter.count(TEXT) == EXACT


def test_an_estimate_is_the_last_and_says_why(tmp_path: Path) -> None:
    path = folder(tmp_path, PLAIN_GGUF, None)
    for place in (path, bundle_of(path)):
        counter = find_counter(place)
        assert (counter.name, counter.exact) == ("estimate: the bundle has no tokenizer", False)


@pytest.mark.parametrize(("model", "exact"), [(GGUF, True), (PLAIN_GGUF, False), (b"GGUF nonsense" * 9, False)])
def test_what_is_damaged_is_passed_over_and_said(tmp_path: Path, model: bytes, *, exact: bool) -> None:
    path = folder(tmp_path, model, "{}")
    for place in (path, bundle_of(path)):
        counter = find_counter(place)
        assert counter.exact is exact
        assert exact or "tokenizer.json is not a tokenizer" in counter.name


def test_a_kitfile_decides_what_belongs_to_the_bundle(tmp_path: Path) -> None:
    path = folder(tmp_path, PLAIN_GGUF, None)
    write_files(path, {"elsewhere/tokenizer.json": TOKENIZER, ".hidden/tokenizer.json": TOKENIZER})
    assert not find_counter(path).exact
    assert not find_counter(path, kitfile=load_kitfile(find_kitfile(path))).exact
    (path / "Kitfile").unlink()
    assert find_counter(path).exact


def test_a_tokenizer_beside_the_model_goes_before_one_elsewhere(tmp_path: Path) -> None:
    path = folder(tmp_path)
    write_files(path, {"a/tokenizer.json": "{}"}, KITFILE + "docs: [{path: a}]\n")
    for place in (path, bundle_of(path)):
        assert find_counter(place).exact


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = write_files(tmp_path / "out", {"tokenizer.json": TOKENIZER})
    path = folder(tmp_path, PLAIN_GGUF, None)
    (path / "model" / "tokenizer.json").symlink_to(outside / "tokenizer.json")
    (path / "Kitfile").unlink()
    assert not find_counter(path).exact


# somewhere else


def test_nothing_is_fetched_from_elsewhere_unless_asked(tmp_path: Path) -> None:
    bundle, far = far_bundle(folder(tmp_path, GGUF))
    before = far.bytes
    counter = find_counter(bundle)
    assert counter.name == "estimate: the bundle's tokenizer is not on this machine"
    assert far.bytes == before


def test_a_tokenizer_is_fetched_when_asked_and_the_model_is_not(tmp_path: Path) -> None:
    bundle, far = far_bundle(folder(tmp_path, GGUF))
    before = far.bytes
    assert find_counter(bundle, fetch=True).count(TEXT) == EXACT
    assert far.bytes - before == len(TOKENIZER.encode())


def test_of_a_model_only_the_head_is_fetched(tmp_path: Path) -> None:
    bundle, far = far_bundle(folder(tmp_path, GGUF, None))
    before = far.bytes
    assert find_counter(bundle, fetch=True).exact
    assert far.bytes - before < len(GGUF) - len(WEIGHTS) + (64 << 10) < FAR_HEAD


def test_what_is_on_this_machine_is_read_without_asking(tmp_path: Path) -> None:
    path = folder(tmp_path, GGUF)
    bundle, far = far_bundle(path)
    store = Memory()
    store.push(Descriptor.of_bytes("x/y", TOKENIZER.encode()), opener_of(TOKENIZER.encode()))
    before = far.bytes
    assert find_counter(Bundle(Nearest(store, far), bundle.descriptor)).count(TEXT) == EXACT
    manifest = bundle.descriptor.size
    assert far.bytes - before - manifest < 10_000  # the Kitfile at most


def test_a_lost_connection_leads_to_an_estimate(tmp_path: Path) -> None:
    packed = bundle_of(folder(tmp_path, GGUF))
    lost: list[bool] = []
    bundle = Bundle(Far(packed.source, failing=lambda: bool(lost)), packed.descriptor)
    assert bundle.layers
    lost.append(True)
    assert find_counter(bundle, fetch=True).name == "estimate: no answer"


def test_a_model_that_says_too_much_is_not_read_to_its_end() -> None:
    tokens = ["x" * 1000] * (FAR_HEAD // 1000)
    raw = gguf(model_values(tokenizer__ggml__model="gpt2", tokenizer__ggml__tokens=tokens), tail=b"")
    packed = layered(("m.gguf", raw, "application/vnd.cncf.model.weight.v1.raw"))
    far = Far(packed.source)
    assert not find_counter(Bundle(far, packed.descriptor), fetch=True).exact
    assert far.bytes < FAR_HEAD + 10_000


def test_from_a_registry_too(tmp_path: Path) -> None:
    path = folder(tmp_path, GGUF, None)
    with serving(Registry()) as registry, Repository(registry.address, "a/b", settings_in(tmp_path)) as repository:
        packed = bundle_of(path)
        copy(packed.source, str(packed.descriptor.digest), repository, "v1")
        bundle = Bundle(repository, repository.resolve("v1"))
        assert not find_counter(bundle).exact
        assert not registry.asked("GET", str(Digest.of_bytes(GGUF)))
        assert find_counter(bundle, fetch=True).count(TEXT) == EXACT
        assert describe_model(bundle, fetch=True) == describe_model(path)
        assert len(registry.asked("GET", str(Digest.of_bytes(GGUF)))) == 2


# other tools' layers


@pytest.mark.parametrize("suffix", ["tar", "tar+gzip"])
def test_tokenizers_and_models_in_archives_are_found(suffix: str) -> None:
    def layer(role: str, path: str, data: bytes) -> tuple[str, bytes, str]:
        raw = file(path.encode(), data) + bytes(1024)
        return (
            path,
            gzip.compress(raw) if suffix == "tar+gzip" else raw,
            f"application/vnd.cncf.model.{role}.v1.{suffix}",
        )

    model, tokenizer = layer("weight", "m.gguf", GGUF), layer("weight.config", "tokenizer.json", TOKENIZER.encode())
    for fetch in (False, True):
        packed = layered(model, tokenizer)
        place = Bundle(Far(packed.source), packed.descriptor) if fetch else packed
        assert find_counter(place, fetch=fetch).name == "the bundle's tokenizer.json"
        packed = layered(model)
        place = Bundle(Far(packed.source), packed.descriptor) if fetch else packed
        assert find_counter(place, fetch=fetch).name == "the tokenizer in m.gguf"
        facts = describe_model(place, fetch=fetch)
        assert facts is not None
        assert (facts.architecture, facts.context_window) == ("llama", 2048)


def test_an_archive_without_what_it_promises_is_passed_over() -> None:
    packed = layered(("m.gguf", file(b"readme", b"x") + bytes(1024), "application/vnd.cncf.model.weight.v1.tar"))
    assert find_counter(packed).name.startswith("estimate: ")
    assert describe_model(packed) == ModelFacts(name="m.gguf", names=("m.gguf",), path="m.gguf", format="gguf")


# the model


def test_what_is_known_of_a_gguf_model(tmp_path: Path) -> None:
    path = folder(tmp_path, GGUF)
    wanted = ModelFacts(
        name="tiny",
        names=("tiny", "Tiny Llama", "m.gguf"),
        path="model/m.gguf",
        format="gguf",
        architecture="llama",
        context_window=2048,
    )
    assert describe_model(path) == describe_model(bundle_of(path)) == wanted
    bundle, far = far_bundle(path)
    before = far.bytes
    assert describe_model(bundle, fetch=True) == wanted
    assert far.bytes - before < 100_000
    assert describe_model(far_bundle(path)[0]) == ModelFacts(
        name="tiny", names=("tiny", "m.gguf"), path="model/m.gguf", format="gguf"
    )


def test_what_is_known_of_a_hugging_face_model(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "m/model.safetensors": b"\0" * 100,
        "m/config.json": json.dumps({"model_type": "bert", "max_position_embeddings": 514}),
        "m/tokenizer_config.json": json.dumps({"model_max_length": 512}),
    }
    path = write_files(tmp_path / "f", files, "model: {path: m}\n")
    wanted = ModelFacts(
        name="model.safetensors",
        names=("model.safetensors",),
        path="m/model.safetensors",
        format="safetensors",
        architecture="bert",
        context_window=514,
    )
    assert describe_model(path) == describe_model(bundle_of(path)) == wanted
    (path / "Kitfile").unlink()
    assert describe_model(path) == wanted


def test_damaged_configs_say_nothing(tmp_path: Path) -> None:
    path = write_files(tmp_path / "f", {"m.safetensors": b"x", "config.json": "[", "tokenizer_config.json": "{}"}, "")
    facts = describe_model(path)
    assert facts is not None
    assert (facts.architecture, facts.context_window) == ("", None)


def test_no_model_is_none(tmp_path: Path) -> None:
    path = write_files(tmp_path / "f", {"p.md": "x"}, "prompts: [{path: p.md}]\n")
    assert describe_model(path) is None
    assert describe_model(bundle_of(path)) is None
