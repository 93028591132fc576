"""Packing: the same files, the same digest; and an artifact that every reader understands."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kitpack.artifact.bundle import Bundle
from kitpack.content.copy import copy
from kitpack.content.events import Event
from kitpack.content.inplace import InPlace
from kitpack.content.memory import Memory
from kitpack.content.store.layout import Layout
from kitpack.content.target import fetch_bytes, fetch_manifest
from kitpack.errors import ChangedFileError, PackError
from kitpack.oci.manifest import Manifest
from kitpack.oci.mediatypes import ANNOTATION_FILE_METADATA, ANNOTATION_FILEPATH, ANNOTATION_KITFILE, ANNOTATION_ROLE
from tests.support.bundles import noise
from tests.support.packing import HEAD, bundle_of, pack_folder, write_files

REPOSITORY = Path(__file__).parents[4]

FILES: dict[str, bytes | str] = {
    "model/w-1.gguf": b"GGUF one",
    "model/w-2.gguf": b"GGUF two",
    "model/tokenizer.json": "{}",
    "prompts/triage.md": "Sort this.\n",
    "prompts/gr\u00fc\u00dfe an alle.md": "Gr\u00fc\u00dfe.\n",
    "app.yaml": "temperature: 0.2\n",
    "data/tests.jsonl": b"",
    "data/more.jsonl": b"",
    "code/run.sh": "#!/bin/sh\n",
    "README.md": "# Read me\n",
}
KITFILE = """\
model:
  name: tiny
  path: model/w-1.gguf
  license: MIT
  parameters: {context: 8192}
  parts:
    - {path: model/w-2.gguf, name: second}
    - {path: model/tokenizer.json, type: tokenizer}
prompts:
  - {path: prompts/triage.md, name: triage, description: Sorts}
  - path: prompts
configs: [{path: app.yaml}]
datasets: [{path: data, name: tests, purpose: test, parameters: [1, 2.5, null, {a: b}]}]
code: [{path: code}]
docs: [{path: README.md}]
"""
GOLDEN = "sha256:ac28c8d4f40a5dfd665feff2bf1d27a88424795b27f7ff284e2f2886903cfe51"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = write_files(tmp_path / "folder", FILES, KITFILE)
    (made / "code" / "run.sh").chmod(0o755)
    return made


def manifest_of(folder: Path) -> Manifest:
    return bundle_of(folder).manifest


def test_the_golden_digest(folder: Path) -> None:
    """Whoever changes this digest changes that of every bundle there is: a new version has to say so."""
    _, packed = pack_folder(folder)
    assert str(packed.digest) == GOLDEN


def test_the_order_of_creation_and_times_and_other_mode_bits_do_not_count(folder: Path, tmp_path: Path) -> None:
    chance = random.Random(7)
    names = [*FILES]
    for attempt in range(3):
        chance.shuffle(names)
        other = write_files(tmp_path / str(attempt), {name: FILES[name] for name in names}, KITFILE)
        for path in [*other.rglob("*"), other]:
            os.utime(path, (chance.randrange(2_000_000_000), chance.randrange(2_000_000_000)))
            path.chmod(0o700 if path.is_dir() else chance.choice([0o600, 0o644, 0o666, 0o640]))
        (other / "code" / "run.sh").chmod(chance.choice([0o755, 0o700, 0o711]))
        (other / "empty").mkdir()
        assert pack_folder(other)[1] == pack_folder(folder)[1]


@pytest.mark.parametrize("jobs", [1, 2, 16])
def test_the_number_of_threads_and_the_kind_of_store_do_not_count(folder: Path, tmp_path: Path, jobs: int) -> None:
    expected = pack_folder(folder)[1]
    for store in (Layout(tmp_path / "layout"), InPlace(), Memory()):
        assert pack_folder(folder, store, jobs=jobs)[1] == expected


ENVIRONMENTS = [
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "2", "TZ": "America/St_Johns", "LC_ALL": "C.UTF-8", "LANG": "tr_TR.UTF-8"},
    {"PYTHONHASHSEED": "random", "TZ": "", "LC_ALL": "POSIX", "USER": "somebody", "HOSTNAME": "elsewhere"},
    {"PYTHONUTF8": "1", "PYTHONOPTIMIZE": "2", "COLUMNS": "10"},
]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("umask", [0o077, 0])
def test_the_environment_does_not_count(folder: Path, tmp_path: Path, environment: dict[str, str], umask: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kitpack", "pack", str(folder), "-q"],
        cwd=tmp_path,
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(tmp_path),
            "KITPACK_HOME": str(tmp_path / "store"),
            **environment,
        },
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str(pack_folder(folder)[1].digest)


def test_every_byte_and_the_executable_bit_do_count(folder: Path) -> None:
    digests = {pack_folder(folder)[1].digest}
    (folder / "code" / "run.sh").chmod(0o644)
    digests.add(pack_folder(folder)[1].digest)
    (folder / "app.yaml").write_text("temperature: 0.3\n")
    digests.add(pack_folder(folder)[1].digest)
    (folder / "app.yaml").rename(folder / "prompts" / "app.md")
    with pytest.raises(PackError):
        pack_folder(folder)
    (folder / "prompts" / "app.md").rename(folder / "app.yaml")
    (folder / "Kitfile").write_text((folder / "Kitfile").read_text() + "# a comment\n")
    digests.add(pack_folder(folder)[1].digest)
    assert len(digests) == 4


def test_no_time_is_recorded_but_the_one_that_is_given(folder: Path) -> None:
    store, plain = pack_folder(folder)
    assert b"created" not in fetch_manifest(store, plain).raw
    _, timed = pack_folder(folder, store, created=0)
    assert timed != plain
    manifest = fetch_manifest(store, timed)
    assert manifest.annotations["org.opencontainers.image.created"] == "1970-01-01T00:00:00Z"
    assert Bundle(store, timed).config["descriptor"]["createdAt"] == "1970-01-01T00:00:00Z"  # type: ignore[index,call-overload]
    assert pack_folder(folder, created=0)[1] == timed
    _, last = pack_folder(folder, store, created=253402300799)
    assert fetch_manifest(store, last).annotations["org.opencontainers.image.created"] == "9999-12-31T23:59:59Z"


@pytest.mark.parametrize(("epoch", "code"), [("0", 0), ("253402300799", 0), ("253402300800", 2), ("-1", 2), ("x", 2)])
def test_the_clock_comes_from_the_environment_or_is_refused(
    folder: Path, tmp_path: Path, epoch: str, code: int
) -> None:
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "SOURCE_DATE_EPOCH": epoch, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "kitpack", "pack", str(folder), "-q"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_every_layer_says_where_it_goes_and_what_it_is(folder: Path) -> None:
    bundle = bundle_of(folder)
    assert [(layer.role, layer.path, layer.archived, oct(layer.mode)) for layer in bundle.layers] == [
        ("model", "model/w-1.gguf", False, "0o644"),
        ("model-part", "model/w-2.gguf", False, "0o644"),
        ("model-part", "model/tokenizer.json", False, "0o644"),
        ("code", "code/run.sh", False, "0o755"),
        ("dataset", "data/more.jsonl", False, "0o644"),
        ("dataset", "data/tests.jsonl", True, "0o644"),
        ("doc", "README.md", False, "0o644"),
        ("prompt", "prompts/triage.md", False, "0o644"),
        ("prompt", "prompts/gr\u00fc\u00dfe an alle.md", False, "0o644"),
        ("config", "app.yaml", False, "0o644"),
        ("kitfile", "Kitfile", False, "0o644"),
    ]
    for layer in bundle.manifest.layers:
        annotations = layer.annotations
        assert annotations[ANNOTATION_FILEPATH].strip("/.") == annotations[ANNOTATION_FILEPATH]
        if layer.media_type.endswith(".raw"):
            metadata = json.loads(annotations[ANNOTATION_FILE_METADATA])
            assert metadata["size"] == layer.size
            assert metadata["mtime"] == "0001-01-01T00:00:00Z"
            assert (metadata["uid"], metadata["gid"], metadata["typeflag"]) == (0, 0, 0)
            assert metadata["name"] == annotations[ANNOTATION_FILEPATH].rpartition("/")[2]
    assert bundle.kitfile == (folder / "Kitfile").read_text()


_STRINGS = {"type": "array", "items": {"type": "string"}}
_TEXTS = ("family", "docURL", "sourceURL", "version", "revision", "vendor", "title", "description")

CONFIG_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["descriptor", "config", "modelfs"],
    "properties": {
        "descriptor": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "createdAt": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
                "name": {"type": "string", "minLength": 1},
                **dict.fromkeys(("authors", "licenses", "datasetsURL"), _STRINGS),
                **{key: {"type": "string"} for key in _TEXTS},
            },
        },
        "config": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "capabilities": {"type": "object"},
                **{key: {"type": "string"} for key in ("architecture", "format", "paramSize", "precision")},
                "quantization": {"type": "string"},
            },
        },
        "modelfs": {
            "type": "object",
            "additionalProperties": False,
            "required": ["type", "diffIds"],
            "properties": {
                "type": {"const": "layers"},
                "diffIds": {"type": "array", "minItems": 1, "items": {"pattern": "^sha256:[0-9a-f]{64}$"}},
            },
        },
    },
}
"""As modelpack/model-spec's schema/config-schema.json has it: no member of our own at any level."""

PACKAGES = [
    HEAD,
    "manifestVersion: v1.0.0\n",
    "manifestVersion: 1.0.0\npackage: {}\n",
    "manifestVersion: 1.0.0\npackage: {name: n, version: 1.10, description: d, license: MIT, authors: [a, b]}\n",
]


@pytest.mark.parametrize("head", PACKAGES)
@pytest.mark.parametrize("created", [None, 1_700_000_000])
def test_the_config_stays_inside_the_schema_of_modelpack(folder: Path, head: str, created: int | None) -> None:
    (folder / "Kitfile").write_text(head + KITFILE)
    bundle = Bundle(*pack_folder(folder, created=created))
    jsonschema.validate(bundle.config, CONFIG_SCHEMA, cls=jsonschema.Draft202012Validator)
    config = json.loads(json.dumps(bundle.config))
    assert config["modelfs"]["diffIds"] == [str(layer.digest) for layer in bundle.manifest.layers]
    assert config["config"] == {"format": "gguf"}


def _entries(declared: Any) -> list[dict[str, Any]]:
    model = dict(declared.get("model", {}))
    parts = model.pop("parts", [])
    sections = [entry for name in ("code", "datasets", "docs", "prompts") for entry in declared.get(name, [])]
    return [*([model] if model else []), *parts, *sections]


def test_the_embedded_kitfile_lists_each_layer_exactly_once(folder: Path) -> None:
    manifest = manifest_of(folder)
    entries = _entries(json.loads(manifest.annotations[ANNOTATION_KITFILE]))
    layers = [layer for layer in manifest.layers if layer.annotations[ANNOTATION_ROLE] != "kitfile"]
    assert Counter(entry["digest"] for entry in entries) == Counter(str(layer.digest) for layer in layers)
    assert {entry["digest"]: entry["path"] for entry in entries} == {
        str(layer.digest): layer.annotations[ANNOTATION_FILEPATH] for layer in layers
    }
    for entry in entries:
        assert entry["diffId"] == entry["digest"]
        assert set(entry) <= {
            *("name", "path", "digest", "diffId", "description", "license", "type", "framework", "format", "version"),
            "parameters",
        }


def test_what_the_author_said_stands_in_the_embedded_kitfile(folder: Path) -> None:
    declared = json.loads(manifest_of(folder).annotations[ANNOTATION_KITFILE])
    assert declared["manifestVersion"] == "1.0.0"
    assert declared["package"] == {"name": "tiny"}
    assert declared["model"]["parameters"] == {"context": 8192}
    assert declared["model"]["license"] == "MIT"
    assert [part.get("name", part.get("type")) for part in declared["model"]["parts"]] == ["second", "tokenizer"]
    assert [entry["parameters"] for entry in declared["datasets"]] == [[1, 2.5, None, {"a": "b"}]] * 2
    assert [entry.get("description", "") for entry in declared["prompts"]] == ["Sorts", ""]
    assert "configs" not in declared


def test_a_model_folder_starts_with_weights_even_where_a_config_comes_first(tmp_path: Path) -> None:
    write_files(tmp_path, {"m/config.json": b"{}", "m/w.safetensors": b"w"}, "model: {path: m, name: x}\n")
    declared = json.loads(manifest_of(tmp_path).annotations[ANNOTATION_KITFILE])
    assert declared["model"]["path"] == "m/w.safetensors"
    assert [part["path"] for part in declared["model"]["parts"]] == ["m/config.json"]


def test_without_a_model_there_is_none_in_the_embedded_kitfile(tmp_path: Path) -> None:
    write_files(tmp_path, {"p.md": b"p"}, "prompts: [{path: p.md}]\n")
    assert "model" not in json.loads(manifest_of(tmp_path).annotations[ANNOTATION_KITFILE])


def test_of_equal_files_the_later_ones_become_archives(tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {"a": b"same", "b": b"same", "c/d": b"same", "e": b"", "f": b"", "g": b"other"},
        "code: [{path: .}]\n",
    )
    bundle = bundle_of(tmp_path)
    assert [(layer.path, layer.archived) for layer in bundle.layers] == [
        ("a", False),
        ("b", True),
        ("c/d", True),
        ("e", False),
        ("f", True),
        ("g", False),
        ("Kitfile", False),
    ]
    assert len({layer.digest for layer in bundle.manifest.layers}) == 7
    for path in ("a", "b", "c/d"):
        assert bundle.read(path) == b"same"
    assert bundle.read("f") == b""


def test_a_copy_of_the_kitfile_is_an_archive_too(tmp_path: Path) -> None:
    kitfile = "code: [{path: .}]\n"
    write_files(tmp_path, {"old/Kitfile": HEAD + kitfile}, kitfile)
    bundle = bundle_of(tmp_path)
    assert [(layer.role, layer.path, layer.archived) for layer in bundle.layers] == [
        ("code", "old/Kitfile", True),
        ("kitfile", "Kitfile", False),
    ]
    assert bundle.read("old/Kitfile") == bundle.read("Kitfile")


def test_a_dataset_of_ten_thousand_files_is_one_layer_and_takes_seconds(tmp_path: Path) -> None:
    write_files(
        tmp_path, {f"data/{number % 100:02}/{number:05}.txt": f"{number}\n" for number in range(10_000)},
        "datasets: [{path: data}]\n",
    )  # fmt: skip
    started = time.monotonic()
    bundle = bundle_of(tmp_path, Layout(tmp_path.parent / "store"))
    assert time.monotonic() - started < 30
    assert [(layer.path, layer.archived) for layer in bundle.layers] == [("data", True), ("Kitfile", False)]
    assert bundle.manifest.layers[0].size > 10_000 * 1024


def test_five_hundred_layers_fit_into_a_small_manifest(tmp_path: Path) -> None:
    deep = "a folder with a rather long name/" * 4
    write_files(
        tmp_path,
        {f"{name}/{deep}{number:03}.txt": f"{name}{number}" for name in "abcdef" for number in range(100)},
        "datasets:\n" + "".join(f"  - path: {name}\n" for name in "abcdef"),
    )
    bundle = bundle_of(tmp_path)
    assert len(bundle.layers) == 502
    assert len(bundle.manifest.raw) < 1 << 20


def test_a_manifest_that_registries_could_refuse_is_not_written(tmp_path: Path) -> None:
    deep = "/".join(["d" * 200] * 5)
    names = [f"{deep}/{number:03}" for number in range(300)]
    write_files(
        tmp_path,
        {name: name for name in names},
        "code:\n" + "".join(f"  - path: {name}\n" for name in names),
    )
    store = Memory()
    with pytest.raises(PackError, match="manifest") as caught:
        pack_folder(tmp_path, store)
    assert "folders" in caught.value.hint


class Appending:
    """A listener that writes to a file as soon as it hears that it is being read."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self._guard = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._guard:
            if event.kind == "started" and event.name == self.name:
                with self.path.open("ab") as file:
                    file.write(b"more")


@pytest.mark.parametrize("make", [Memory, InPlace, None])
def test_a_file_that_grows_while_it_is_packed_is_refused(folder: Path, tmp_path: Path, make: Any) -> None:
    store = make() if make else Layout(tmp_path / "layout")
    listener = Appending("model/w-1.gguf", folder / "model" / "w-1.gguf")
    with pytest.raises(ChangedFileError, match="model/w-1"):
        pack_folder(folder, store, on_event=listener)
    if isinstance(store, Layout):
        assert [*(store.path / "ingest").iterdir()] == []
    assert pack_folder(folder, store)[1] == pack_folder(folder)[1]


def test_a_file_in_an_archive_that_grows_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {f"data/{number:03}": b"x" for number in range(200)}, "datasets: [{path: data}]\n")
    with pytest.raises(ChangedFileError, match="data/150"):
        pack_folder(tmp_path, on_event=Appending("data", tmp_path / "data" / "150"))


def test_a_file_that_grows_before_it_is_sent_from_where_it_is_does_not_arrive(folder: Path) -> None:
    store = InPlace()
    _, packed = pack_folder(folder, store)
    (folder / "app.yaml").write_text("temperature: 0.9\n")
    target = Memory()
    with pytest.raises(ChangedFileError):
        copy(store, str(packed.digest), target, "v1")
    assert list(target.tags()) == []


def test_events_of_packing_and_of_sending_from_where_it_is_add_up(folder: Path) -> None:
    store, events = InPlace(), list[Event]()
    _, packed = pack_folder(folder, store, on_event=events.append)
    assert _moved(events) == _sizes(events, "started") == _sizes(events, "finished")
    assert _moved(events)["model/w-1.gguf"] == len(FILES["model/w-1.gguf"])
    sent: list[Event] = []
    told = len(events)
    copy(store, str(packed.digest), Memory(), on_event=sent.append)
    assert len(events) == told
    assert all(event.size >= 0 for event in sent)
    assert _moved(sent) == _sizes(sent, "started") == _sizes(sent, "finished")


def _moved(events: list[Event]) -> Counter[str]:
    found: Counter[str] = Counter()
    for event in events:
        found[event.name] += event.size if event.kind == "moved" else 0
    return found


def _sizes(events: list[Event], kind: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for event in events:
        found[event.name] += event.size if event.kind == kind else 0
    return found


MEASURE = """
import resource, sys
from pathlib import Path
from tests.support.packing import pack_folder
from kitpack.content.store.layout import Layout
pack_folder(Path(sys.argv[1]), Layout(sys.argv[2]))
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(used if sys.platform == "darwin" else used * 1024)
"""


def _memory_of_packing(folder: Path, store: Path) -> int:
    command = [sys.executable, "-c", MEASURE, str(folder), str(store)]
    return int(subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=120).stdout)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    kitfile = "model: {path: w.gguf}\n"
    small = write_files(tmp_path / "small", {"w.gguf": b"x"}, kitfile)
    large = write_files(tmp_path / "large", {"w.gguf": b"x"}, kitfile)
    with (large / "w.gguf").open("r+b") as file:
        file.truncate(300 << 20)  # sparse
    base = _memory_of_packing(small, tmp_path / "a")
    assert _memory_of_packing(large, tmp_path / "b") < base + (48 << 20)


def test_a_second_packing_stores_nothing_new(folder: Path, tmp_path: Path) -> None:
    store = Layout(tmp_path / "layout")
    _, packed = pack_folder(folder, store)
    before = {path: path.stat().st_ino for path in (tmp_path / "layout" / "blobs").rglob("*") if path.is_file()}
    (folder / "prompts" / "triage.md").write_text("Sort this well.\n")
    _, edited = pack_folder(folder, store)
    after = {path: path.stat().st_ino for path in (tmp_path / "layout" / "blobs").rglob("*") if path.is_file()}
    assert edited != packed
    assert before.items() <= after.items()
    assert len(after) == len(before) + 3  # the prompt, the config, the manifest


def test_large_content_comes_back_as_it_was(tmp_path: Path) -> None:
    data = noise((3 << 20) + 17)
    write_files(tmp_path, {"w.gguf": data}, "model: {path: w.gguf}\n")
    bundle = bundle_of(tmp_path, Layout(tmp_path.parent / "store"))
    assert fetch_bytes(bundle.source, bundle.layers[0].descriptor) == data
