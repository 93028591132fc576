"""What a file is, judged by its name, its folder and its first bytes. Only what is certain is said."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePosixPath

__all__ = [
    "HEAD_SIZE",
    "dataset_purpose",
    "is_lfs_pointer",
    "is_secret",
    "is_weight",
    "model_format",
    "model_framework",
    "part_type",
    "role_of",
    "weight_rank",
]

HEAD_SIZE = 512
"""The number of first bytes that every question here is answered from."""

_WEIGHTS = {
    ".gguf": "gguf",
    ".ggml": "ggml",
    ".llamafile": "llamafile",
    ".safetensors": "safetensors",
    ".onnx": "onnx",
    ".onnx_data": "onnx",
    ".pt": "pytorch",
    ".pt2": "pytorch",
    ".pth": "pytorch",
    ".ckpt": "",
    ".bin": "",
    ".tflite": "tflite",
    ".keras": "keras",
    ".h5": "hdf5",
    ".pb": "protobuf",
    ".mlmodel": "coreml",
    ".nemo": "nemo",
    ".pkl": "pickle",
    ".joblib": "joblib",
}
_OFTEN_DATA = frozenset({".bin", ".h5", ".pb", ".pkl", ".joblib"})
_FRAMEWORKS = {
    ".pt": "pytorch",
    ".pt2": "pytorch",
    ".pth": "pytorch",
    ".tflite": "tensorflow-lite",
    ".keras": "keras",
    ".mlmodel": "coreml",
    ".nemo": "nemo",
}
_SIDE_WEIGHT = re.compile(r"adapter|lora|mmproj|projector|optimizer|scheduler|training_args|rng_state|onnx_data|draft")
_TOKENIZER = re.compile(
    r"tokenizer(_config)?\.json|.*special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt"
    r"|(tokenizer|spiece|sentencepiece|spm)[\w.]*\.model|.*\.tiktoken|chat_template\.(json|jinja2?)"
)
_MODEL_CONFIG = re.compile(
    r"config\.json|\w+_config\.json|params\.json|model_index\.json|modules\.json|.*\.index\.json"
)
_SECRET = re.compile(
    r"\.env(\..*)?|.*\.(env|pem|key|p12|pfx|jks|keystore|kdbx|ppk)|id_(rsa|dsa|ecdsa|ed25519)[^.]*"
    r"|(\.|aws|gcp|google|docker)?[-_]?credentials?([-_.].*)?|secrets?(\.(json|ya?ml|toml|ini|txt|env))?"
    r"|service[-_]account.*\.json|client[-_]secret.*\.json|\.(netrc|npmrc|pypirc|pgpass|htpasswd|git-credentials)"
)
_SECRET_TEMPLATE = re.compile(r".*[.-](example|sample|template)")

_PROMPT = re.compile(
    r".*\.prompt(\..*|y)?|.*\.(j2|jinja2?|poml|mustache|hbs)|.*prompts?\.(txt|md|json|ya?ml)|(agents|skill|claude)\.md"
)
_PROMPT_SUFFIXES = frozenset({"", ".txt", ".md", ".json", ".yaml", ".yml", ".xml", ".tmpl", ".tpl", ".liquid"})
_DATASETS = frozenset(
    {".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".feather", ".npy", ".npz", ".tfrecord"}
)
_SETTINGS = frozenset({".yaml", ".yml", ".toml", ".json", ".ini", ".cfg", ".conf", ".properties"})
_DOCS = frozenset({".md", ".rst", ".adoc", ".pdf", ".html", ".txt"})
_CODE = frozenset(
    {".py", ".pyi", ".ipynb", ".sh", ".bash", ".js", ".mjs", ".ts", ".tsx", ".go", ".rs", ".java", ".kt", ".scala"}
    | {".c", ".cc", ".cpp", ".cu", ".h", ".hpp", ".rb", ".r", ".jl", ".lua", ".sql", ".swift", ".php", ".cs", ".tf"}
)
_CODE_NAMES = re.compile(
    r"dockerfile.*|containerfile|makefile|justfile|pyproject\.toml|setup\.cfg|tox\.ini|pipfile|package(-lock)?\.json"
    r"|tsconfig.*\.json|(.*[-_])?requirements.*\.(txt|in)|go\.(mod|sum)|cargo\.toml|.*\.lock|environment\.ya?ml"
)
_DOC_NAMES = re.compile(r"(readme|licen[sc]e|notice|copying|changelog|model_?card|authors|citation)([-_.].*)?")
_FOLDERS = {
    "prompt": {"prompt", "prompts"},
    "config": {"config", "configs", "conf", "settings"},
    "doc": {"doc", "docs", "documentation"},
    "dataset": {"data", "dataset", "datasets", "corpus", "fixtures", "golden", "train", "training", "validation"}
    | {"test", "tests", "test_cases", "testcases", "test_data", "testdata", "eval", "evals", "evaluation"},
}
_PURPOSES = {
    "test": {"test", "tests", "testing", "testcases", "testdata", "eval", "evals", "evaluation", "golden"},
    "train": {"train", "training"},
    "validation": {"val", "valid", "validation", "dev"},
}


def is_secret(path: str) -> bool:
    """Whether the name is one that keys and passwords are kept under."""
    name = PurePosixPath(path).name.lower()
    return bool(_SECRET.fullmatch(name)) and not _SECRET_TEMPLATE.fullmatch(name)


def is_lfs_pointer(head: bytes) -> bool:
    """Whether the file only says where Git LFS keeps the real one."""
    return head.startswith(b"version https://git-lfs.github.com/spec/")


def is_weight(path: str, head: bytes) -> bool:
    """Whether the file holds weights."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in _OFTEN_DATA and _folder_role(path) == "dataset":
        return False
    return suffix in _WEIGHTS or head.startswith(b"GGUF")


def weight_rank(path: str) -> tuple[bool, str]:
    """Sorts weights: the model itself before adapters, projectors and what training left behind."""
    return bool(_SIDE_WEIGHT.search(PurePosixPath(path).name.lower())), path


def model_format(path: str, head: bytes) -> str:
    """The layout of a file with weights, or an empty string."""
    return "gguf" if head.startswith(b"GGUF") else _WEIGHTS.get(PurePosixPath(path).suffix.lower(), "")


def model_framework(path: str) -> str:
    """What made a file with weights, where only one thing can have, or an empty string."""
    file = PurePosixPath(path)
    return "pytorch" if file.name.startswith("pytorch_model") else _FRAMEWORKS.get(file.suffix.lower(), "")


def part_type(path: str, weight_folders: Collection[str]) -> str:
    """``tokenizer`` or ``config`` for the small files that a model needs beside its weights, or an empty string.

    Args:
        path: The file.
        weight_folders: The folders that hold weights.
    """
    file = PurePosixPath(path)
    if not weight_folders:
        return ""
    if _TOKENIZER.fullmatch(file.name.lower()):
        return "tokenizer"
    beside = str(file.parent) in weight_folders
    return "config" if beside and _MODEL_CONFIG.fullmatch(file.name.lower()) else ""


def role_of(path: str, head: bytes) -> str:
    """The role of a file that is neither a secret nor part of a model; an empty string when it could be anything."""
    name, suffix = PurePosixPath(path).name.lower(), PurePosixPath(path).suffix.lower()
    if suffix in _CODE or _CODE_NAMES.fullmatch(name):
        return "code"
    if _DOC_NAMES.fullmatch(name):
        return "doc"
    folder = _folder_role(path)
    if _PROMPT.fullmatch(name) or (folder == "prompt" and suffix in _PROMPT_SUFFIXES):
        return "prompt" if b"\0" not in head else ""
    if suffix in _DATASETS or suffix in _WEIGHTS:  # weights in a folder of data are data
        return "dataset"
    if suffix in _SETTINGS | _DOCS and folder in {"dataset", "doc"}:
        return folder
    return "config" if suffix in _SETTINGS else "doc" if suffix in _DOCS else ""


def dataset_purpose(path: str) -> str:
    """``test``, ``train`` or ``validation``, when the name or a folder says so; data for tests is for nothing else."""
    words = set(re.split(r"[^a-z0-9]+", path.lower()))
    return next((purpose for purpose, signs in _PURPOSES.items() if words & signs), "")


def _folder_role(path: str) -> str:
    """The role that the nearest folder with a telling name gives to its files."""
    for part in reversed(PurePosixPath(path).parts[:-1]):
        for role, names in _FOLDERS.items():
            if part.lower() in names:
                return role
    return ""
