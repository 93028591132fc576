"""Artifacts as other tools wrote or write them, built by hand where no such tool is at hand any more."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import zstandard

from kitpack.artifact.bundle import ARCHIVE_LIMIT, READABLE_ARCHIVE, TEXT_LIMIT, Bundle
from kitpack.artifact.select import Selection
from kitpack.artifact.unpacking.unpack import unpack
from kitpack.content.memory import Memory
from kitpack.content.target import opener_of
from kitpack.errors import IntegrityError, NotFoundError, UnpackError, UnsafePathError, UnsupportedError
from kitpack.oci.descriptor import Descriptor
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import JsonObject
from kitpack.oci.mediatypes import EMPTY_CONFIG, OCI_MANIFEST
from tests.support import tars
from tests.support.bundles import noise, push_blob
from tests.support.everything import tree_of

KITOPS, JOZU, DOCKER = "application/vnd.kitops.modelkit", "application/vnd.jozu", "application/vnd.docker.ai"
CNCF, CNAI = "application/vnd.cncf.model", "application/vnd.cnai.model"
FILEPATH, METADATA = "org.cncf.model.filepath", "org.cncf.model.file.metadata+json"
TITLE, UNPACK = "org.opencontainers.image.title", "io.deis.oras.content.unpack"
PROMPT = {"ml.kitops.modelkit.layer-subtype": "prompt"}


@dataclass(frozen=True)
class Blob:
    """A layer to be."""

    media_type: str
    data: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return str(Digest.of_bytes(self.data))


def blob(media_type: str, data: bytes, path: str = "", **more: str) -> Blob:
    return Blob(media_type, data, {**({FILEPATH: path} if path else {}), **more})


def bundle_of(
    layers: Sequence[Blob],
    config: JsonObject | None = None,
    config_type: str = EMPTY_CONFIG,
    annotations: Mapping[str, str] | None = None,
    *,
    with_media_type: bool = True,
) -> Bundle:
    memory = Memory()
    value: dict[str, object] = {
        "schemaVersion": 2,
        "config": push_blob(memory, json.dumps(config or {}).encode(), config_type).to_dict(),
        "layers": [
            push_blob(memory, layer.data, layer.media_type).annotated(layer.annotations).to_dict() for layer in layers
        ],
        "annotations": annotations or {},
    }
    if with_media_type:
        value["mediaType"] = OCI_MANIFEST
    raw = json.dumps(value).encode()
    descriptor = Descriptor.of_bytes(OCI_MANIFEST, raw)
    memory.push(descriptor, opener_of(raw))
    return Bundle(memory, descriptor)


def tar(*members: bytes) -> bytes:
    return b"".join(members) + tars.END


def roles(bundle: Bundle) -> dict[str, str]:
    return {layer.path: layer.role for layer in bundle.layers}


def unpacked(bundle: Bundle, folder: Path) -> dict[str, bytes]:
    unpack(bundle, folder)
    again = unpack(bundle, folder)
    assert again.written == ()
    return {path: data for path, (data, _) in tree_of(folder).items()}


# KitOps before 0.5: no digests, no annotations, names relative to the folder above the layer's path

OLD_KITFILE: JsonObject = {
    "manifestVersion": "1.0.0",
    "package": {"name": "old"},
    "model": {
        "path": "./weights/m.gguf",
        "parts": [{"path": "weights/adapters/lora.gguf"}, {"path": "tokenizer.json"}],
    },
    "code": [{"path": "src/app"}, {"path": "run.py"}],
    "datasets": [{"path": "data/sets/train/"}, {"path": "data/sets/test"}],
    "docs": [{"path": "README.md"}],
}
OLD_LAYERS = [
    ("model", tar(tars.file(b"m.gguf", b"weights"))),
    ("modelpart", tar(tars.file(b"lora.gguf", b"lora"))),
    ("modelpart", tar(tars.file(b"tokenizer.json", b"{}"))),
    ("code", tar(tars.folder(b"app"), tars.file(b"app/main.py", b"print(1)"))),
    ("code", tar(tars.file(b"run.py", b"print(2)"))),
    ("dataset", tar(tars.folder(b"train"), tars.folder(b"train/a"), tars.file(b"train/a/1.txt", b"1"))),
    ("dataset", tar(tars.folder(b"test"), tars.file(b"test/2.txt", b"2"))),
    ("docs", tar(tars.file(b"README.md", b"# Read me"))),
]
OLD_FILES = {
    "weights/m.gguf": b"weights",
    "weights/adapters/lora.gguf": b"lora",
    "tokenizer.json": b"{}",
    "src/app/main.py": b"print(1)",
    "run.py": b"print(2)",
    "data/sets/train/a/1.txt": b"1",
    "data/sets/test/2.txt": b"2",
    "README.md": b"# Read me",
}


def old_bundle(compress: str) -> Bundle:
    pack = gzip.compress if compress else bytes
    layers = [blob(f"{KITOPS}.{base}.v1.tar{compress}", pack(data)) for base, data in OLD_LAYERS]
    return bundle_of(layers, OLD_KITFILE, f"{KITOPS}.config.v1+json", with_media_type=False)


@pytest.mark.parametrize("compress", ["", "+gzip"])
def test_kitops_before_digests(tmp_path: Path, compress: str) -> None:
    bundle = old_bundle(compress)
    assert bundle.manifest.media_type == OCI_MANIFEST
    assert roles(bundle) == {
        "weights/m.gguf": "model",
        "weights/adapters/lora.gguf": "model-part",
        "tokenizer.json": "model-part",
        "src/app": "code",
        "run.py": "code",
        "data/sets/train": "dataset",
        "data/sets/test": "dataset",
        "README.md": "doc",
    }
    assert unpacked(bundle, tmp_path / "out") == OLD_FILES
    assert bundle.read("data/sets/train/a/1.txt") == b"1"


def test_some_of_an_old_one(tmp_path: Path) -> None:
    unpack(old_bundle(""), tmp_path / "out", only=Selection.parse(["data/sets/train/a/*", "docs"]))
    assert set(tree_of(tmp_path / "out")) == {"data/sets/train/a/1.txt", "README.md"}


def test_an_old_one_whose_model_is_another_modelkit(tmp_path: Path) -> None:
    """``model.path`` may name a ModelKit; that has no layer here, its parts and the rest have."""
    kitfile: JsonObject = {"model": {"path": "registry.example/llama:1.0", "parts": [{"path": "a/lora.bin"}]}}
    layers = [blob(f"{KITOPS}.modelpart.v1.tar", tar(tars.file(b"lora.bin", b"lora")))]
    bundle = bundle_of(layers, kitfile, f"{KITOPS}.config.v1+json")
    assert unpacked(bundle, tmp_path / "out") == {"a/lora.bin": b"lora"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("../weights/m.gguf", b"m.gguf"),
        ("/weights/m.gguf", b"m.gguf"),
        ("weights/m.gguf", b"../m.gguf"),
        ("weights/m.gguf", b"/m.gguf"),
        (".ssh/keys/x", b"x"),
        ("a/.git/config", b"config"),
    ],
)
def test_an_old_one_may_not_leave_the_folder(tmp_path: Path, path: str, name: bytes) -> None:
    layers = [blob(f"{KITOPS}.model.v1.tar", tar(tars.file(name, b"x")))]
    bundle = bundle_of(layers, {"model": {"path": path}}, f"{KITOPS}.config.v1+json")
    with pytest.raises(UnsafePathError):
        unpack(bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# KitOps 0.5 to 1.9: digests, no annotations, names relative to the root


def test_kitops_with_digests(tmp_path: Path) -> None:
    model = blob(f"{KITOPS}.model.v1.tar+gzip", gzip.compress(tar(tars.folder(b"m"), tars.file(b"m/w.gguf", b"w"))))
    second = blob(f"{KITOPS}.dataset.v1.tar", tar(tars.file(b"b.txt", b"b")))
    first = blob(f"{KITOPS}.dataset.v1.tar", tar(tars.file(b"a.txt", b"a")))
    kitfile: JsonObject = {
        "model": {"path": "./m/w.gguf", "digest": model.digest},
        "datasets": [{"path": "a.txt", "digest": first.digest}, {"path": "b.txt", "digest": second.digest}],
    }
    bundle = bundle_of([model, second, first], kitfile, f"{KITOPS}.config.v1+json", with_media_type=False)
    assert roles(bundle) == {"m/w.gguf": "model", "b.txt": "dataset", "a.txt": "dataset"}
    assert unpacked(bundle, tmp_path / "out") == {"m/w.gguf": b"w", "a.txt": b"a", "b.txt": b"b"}


def test_two_entries_with_the_same_bytes_keep_their_roles(tmp_path: Path) -> None:
    layers = [
        blob(f"{CNCF}.doc.v1.raw", b"same", "docs/a.md"),
        blob(f"{CNCF}.code.v1.raw", b"same", "prompts/a.md"),
    ]
    kitfile = {
        "docs": [{"path": "docs/a.md", "digest": layers[0].digest}],
        "prompts": [{"path": "prompts/a.md", "digest": layers[1].digest}],
    }
    bundle = bundle_of(layers, annotations={"ml.kitops.modelkit.kitfile": json.dumps(kitfile)})
    assert roles(bundle) == {"docs/a.md": "doc", "prompts/a.md": "prompt"}
    assert unpacked(bundle, tmp_path / "out") == {"docs/a.md": b"same", "prompts/a.md": b"same"}


# jozu, as KitOps was called for three weeks: names relative to the layer's path


def test_jozu(tmp_path: Path) -> None:
    kitfile: JsonObject = {
        "manifestVersion": "1.0.0",
        "models": [{"path": "./models/one"}, {"path": "models/two"}],
        "code": [{"path": "src"}],
        "datasets": [{"path": "."}],
    }
    layers = [
        blob(f"{JOZU}.model.code.v1.tar+gzip", gzip.compress(tar(tars.file(b"main.py", b"print(1)")))),
        blob(f"{JOZU}.dataset.content.v1.tar+gzip", gzip.compress(tar(tars.file(b"rows.txt", b"1")))),
        blob(f"{JOZU}.model.content.v1.tar+gzip", gzip.compress(tar(tars.file(b"w.bin", b"one")))),
        blob(f"{JOZU}.model.content.v1.tar+gzip", gzip.compress(tar(tars.file(b"w.bin", b"two")))),
    ]
    bundle = bundle_of(layers, kitfile, f"{JOZU}.model.config.v1+json", with_media_type=False)
    assert roles(bundle) == {"src": "code", ".": "dataset", "models/one": "model", "models/two": "model"}
    assert unpacked(bundle, tmp_path / "out") == {
        "src/main.py": b"print(1)",
        "rows.txt": b"1",
        "models/one/w.bin": b"one",
        "models/two/w.bin": b"two",
    }


# Docker Model Runner


def docker_layer(kind: str, data: bytes, path: str, mode: int = 0o644) -> Blob:
    metadata = {"name": path, "mode": mode, "uid": 0, "gid": 0, "size": len(data), "typeflag": 0}
    more = {METADATA: json.dumps(metadata), "org.cncf.model.file.mediatype.untested": "false"}
    return blob(f"{DOCKER}.{kind}", data, path, **more)


def docker_config(version: str) -> str:
    return f"{DOCKER}.model.config.{version}+json"


DOCKER_CONFIG: JsonObject = {
    "config": {"format": "gguf", "size": "1 MB"},
    "descriptor": {"created": "2026-01-01T00:00:00Z"},
    "rootfs": {"type": "rootfs", "diff_ids": []},
}


def test_docker_model_runner(tmp_path: Path) -> None:
    layers = [
        docker_layer("gguf.v3", b"GGUF", "model.gguf"),
        docker_layer("gguf.v3.lora", b"LORA", "lora.gguf"),
        docker_layer("safetensors", b"ST", "unet/model.safetensors"),
        docker_layer("dduf", b"DDUF", "image.dduf"),
        docker_layer("mmproj", b"MM", "mmproj.gguf"),
        docker_layer("chat.template.jinja", b"{{ messages }}", "template.jinja"),
        docker_layer("model.file", b"{}", "text_encoder/config.json", 0o755),
        docker_layer("license", b"MIT", "LICENSE"),
    ]
    bundle = bundle_of(layers, DOCKER_CONFIG, docker_config("v0.2"))
    assert bundle.manifest.kind == docker_config("v0.2")
    assert roles(bundle) == {
        "model.gguf": "model",
        "lora.gguf": "model-part",
        "unet/model.safetensors": "model",
        "image.dduf": "model",
        "mmproj.gguf": "model-part",
        "template.jinja": "model-part",
        "text_encoder/config.json": "model-part",
        "LICENSE": "doc",
    }
    assert unpacked(bundle, tmp_path / "out") == {layer.annotations[FILEPATH]: layer.data for layer in layers}
    assert (tmp_path / "out/text_encoder/config.json").stat().st_mode & 0o777 == 0o755
    assert (bundle.kitfile, bundle.prompts()) == ("", [])


def test_docker_archives_fill_the_root(tmp_path: Path) -> None:
    layers = [
        docker_layer("safetensors", b"ST", "model.safetensors"),
        docker_layer("vllm.config.tar", tar(tars.file(b"config.json", b"{}")), "vllm-config.tar"),
        blob(f"{DOCKER}.dir.tar", tar(tars.folder(b"tokenizer"), tars.file(b"tokenizer/t.json", b"[]"))),
    ]
    bundle = bundle_of(layers, DOCKER_CONFIG, docker_config("v0.1"))
    assert [(layer.path, layer.role, layer.archived) for layer in bundle.layers] == [
        ("model.safetensors", "model", False),
        (".", "model-part", True),
        (".", "model-part", True),
    ]
    files = {"model.safetensors": b"ST", "config.json": b"{}", "tokenizer/t.json": b"[]"}
    assert unpacked(bundle, tmp_path / "out") == files
    unpack(bundle, tmp_path / "some", only=Selection.parse(["tokenizer/**"]))
    assert set(tree_of(tmp_path / "some")) == {"tokenizer/t.json"}


def test_docker_layers_without_paths(tmp_path: Path) -> None:
    """Its first format named no files. What has a name is unpacked; where nothing has, that is said."""
    nameless = blob(f"{DOCKER}.gguf.v3", b"GGUF")
    bundle = bundle_of([nameless], DOCKER_CONFIG, docker_config("v0.1"))
    assert bundle.layers == ()
    with pytest.raises(NotFoundError, match="none of the 1 layers"):
        unpack(bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    bundle = bundle_of([nameless, docker_layer("license", b"MIT", "LICENSE")], DOCKER_CONFIG, docker_config("v0.1"))
    assert unpacked(bundle, tmp_path / "out") == {"LICENSE": b"MIT"}


def test_docker_as_modelpack(tmp_path: Path) -> None:
    """``docker model package --format cncf``, today and with the extensions it used before."""
    layers = [
        blob(f"{CNCF}.weight.v1.raw", b"GGUF", "model.gguf"),
        blob(f"{CNCF}.weight.v1.gguf", b"OLD", "old.gguf"),
        blob(f"{CNCF}.weight.v1.safetensors", b"ST", "model.safetensors"),
        blob(f"{CNCF}.weight.config.v1.raw", b"{}", "config.json"),
        blob(f"{CNCF}.doc.v1.raw", b"MIT", "LICENSE"),
    ]
    bundle = bundle_of(layers, {}, f"{CNCF}.config.v1+json")
    assert list(roles(bundle).values()) == ["model", "model", "model", "model-part", "doc"]
    assert unpacked(bundle, tmp_path / "out") == {layer.annotations[FILEPATH]: layer.data for layer in layers}


# modctl before 0.2


@pytest.mark.parametrize("vendor", [CNCF, CNAI])
def test_modctl(tmp_path: Path, vendor: str) -> None:
    prefix = "org.cncf.model" if vendor == CNCF else "org.cnai.model"
    script = {f"{prefix}.filepath": "bin/run", f"{prefix}.file.metadata+json": '{"name":"run","mode":493,"typeflag":0}'}
    weights = {f"{prefix}.filepath": "w/model.bin", f"{prefix}.file.metadata+json": '{"mode":420}'}
    layers = [
        Blob(f"{vendor}.code.v1.raw", b"#!/bin/sh", script),
        Blob(f"{vendor}.weight.v1.tar", tar(tars.file(b"w/model.bin", b"weights")), weights),
    ]
    bundle = bundle_of(layers, {}, f"{vendor}.config.v1+json", with_media_type=False)
    assert roles(bundle) == {"bin/run": "code", "w/model.bin": "model"}
    assert unpacked(bundle, tmp_path / "out") == {"bin/run": b"#!/bin/sh", "w/model.bin": b"weights"}
    assert (tmp_path / "out/bin/run").stat().st_mode & 0o777 == 0o755


# oras


def test_a_folder_of_oras_is_gzip_whatever_its_type_says(tmp_path: Path) -> None:
    data = gzip.compress(tar(tars.folder(b"dir"), tars.file(b"dir/a", b"a")))
    for media_type in ("application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.example.folder", "text/plain"):
        bundle = bundle_of([Blob(media_type, data, {TITLE: "dir", UNPACK: "true"})])
        assert unpacked(bundle, tmp_path / media_type.rpartition(".")[2]) == {"dir/a": b"a"}


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/gzip",
        "application/x-tar",
        "application/vnd.example.v1.raw+zstd",
    ],
)
def test_a_file_stays_a_file_whatever_its_type_says(tmp_path: Path, media_type: str) -> None:
    bundle = bundle_of([Blob(media_type, b"neither tar nor gzip", {TITLE: "a.bin"})])
    assert roles(bundle) == {"a.bin": "file"}
    assert unpacked(bundle, tmp_path / "out") == {"a.bin": b"neither tar nor gzip"}


# compressed files


def compressed(form: str, data: bytes) -> bytes:
    return gzip.compress(data) if form == "gzip" else zstandard.compress(data)


@pytest.mark.parametrize("form", ["gzip", "zstd"])
@pytest.mark.parametrize("vendor", [KITOPS, CNCF])
def test_a_compressed_file_is_unpacked_as_itself(tmp_path: Path, form: str, vendor: str) -> None:
    text = "Grüße\n" * 1000
    mode = {METADATA: '{"mode": 493, "size": 7000}'}
    layers = [
        blob(f"{vendor}.code.v1.raw+{form}", compressed(form, text.encode()), "prompts/a.md", **PROMPT, **mode),
        blob(f"{vendor}.dataset.v1.raw+{form}", compressed(form, b""), "empty"),
    ]
    bundle = bundle_of(layers)
    assert [(one.path, one.size, one.text) for one in bundle.prompts()] == [("prompts/a.md", 8000, text)]
    assert bundle.read("prompts/a.md") == text.encode()
    assert unpacked(bundle, tmp_path / "out") == {"prompts/a.md": text.encode(), "empty": b""}
    assert (tmp_path / "out/prompts/a.md").stat().st_mode & 0o777 == 0o755
    (tmp_path / "out/prompts/a.md").unlink()
    assert unpack(bundle, tmp_path / "out").written == ("prompts/a.md",)


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_a_damaged_compressed_file_leaves_nothing(tmp_path: Path, form: str) -> None:
    good = blob(f"{KITOPS}.docs.v1.raw", b"good", "good.md")
    bad = blob(f"{KITOPS}.code.v1.raw+{form}", compressed(form, noise(5000))[:-3], "bad.md", **PROMPT)
    bundle = bundle_of([good, bad])
    with pytest.raises(IntegrityError):
        unpack(bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(IntegrityError):
        bundle.prompts()


def test_a_compression_nobody_knows(tmp_path: Path) -> None:
    bundle = bundle_of([blob(f"{KITOPS}.code.v1.raw+brotli", b"?", "a.md")])
    with pytest.raises(UnsupportedError, match="brotli"):
        unpack(bundle, tmp_path / "out")


# reading small files


def test_a_long_prompt_in_a_small_archive_is_listed_without_its_text() -> None:
    archive = tar(tars.file(b"p/long.md", b" " * (TEXT_LIMIT + 1)), tars.file(b"p/short.md", b"short"))
    bundle = bundle_of([blob(f"{KITOPS}.code.v1.tar+gzip", gzip.compress(archive), "p", **PROMPT)])
    assert [(one.path, one.size, one.text) for one in bundle.prompts()] == [
        ("p/long.md", TEXT_LIMIT + 1, None),
        ("p/short.md", 5, "short"),
    ]


def test_a_prompt_that_grows_too_large_for_memory_is_refused() -> None:
    data = zstandard.compress(bytes(ARCHIVE_LIMIT + 1))
    bundle = bundle_of([blob(f"{KITOPS}.code.v1.raw+zstd", data, "bomb.md", **PROMPT)])
    with pytest.raises(UnpackError):
        bundle.prompts()


def test_a_file_in_a_large_archive_is_not_read_into_memory() -> None:
    archive = tar(tars.file(b"p/large.bin", bytes(READABLE_ARCHIVE)), tars.file(b"p/a.md", b"a"))
    bundle = bundle_of([blob(f"{KITOPS}.code.v1.tar", archive, "p")])
    with pytest.raises(IntegrityError, match="archive"):
        bundle.read("p/a.md")
    with pytest.raises(NotFoundError):
        bundle.read("q/a.md")
