"""What a model's own files say about it."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest

from kitpack.prompts.facts import context_window, read_head, read_vocabulary
from kitpack.prompts.gguf import read_gguf
from tests.support.ggufs import gguf, model_values


@pytest.mark.parametrize(
    ("values", "window"),
    [
        ({"general.architecture": "qwen2", "qwen2.context_length": 32768}, 32768),
        ({"general.architecture": "qwen2", "llama.context_length": 4096}, None),
        ({"max_position_embeddings": 8192}, 8192),
        ({"n_positions": 1024, "n_ctx": 1024}, 1024),
        ({"text_config": {"max_position_embeddings": 131072}}, 131072),
        ({"model_max_length": 512}, 512),
        ({"model_max_length": 512, "max_position_embeddings": 514}, 514),
        ({"model_max_length": 1000000000000000019884624838656}, None),
        ({"model_max_length": 1e30}, None),
        ({"model_max_length": float("inf")}, None),
        ({"model_max_length": float("nan")}, None),
        ({"max_position_embeddings": "4096"}, None),
        ({"max_position_embeddings": True}, None),
        ({"max_position_embeddings": -1}, None),
        ({"max_position_embeddings": 0.5}, None),
        ({"max_position_embeddings": None, "text_config": None}, None),
        ({}, None),
    ],
)
def test_the_window_is_found_wherever_it_stands(values: Mapping[str, object], window: int | None) -> None:
    assert context_window(values) == window


def test_the_head_ends_where_the_vocabulary_begins() -> None:
    raw = gguf(model_values(tokenizer__ggml__model="gpt2", tokenizer__ggml__tokens=["t"] * 50_000, late__key=1))
    stream = io.BytesIO(raw)
    assert read_head(read_gguf(stream, len(raw))) == model_values()
    assert stream.tell() <= 64 << 10


def test_the_head_is_looked_for_behind_the_vocabulary_too() -> None:
    raw = gguf({"tokenizer.ggml.tokens": ["t"] * 50_000, "tokenizer.ggml.model": "gpt2"} | model_values())
    head = read_head(read_gguf(io.BytesIO(raw), len(raw)))
    assert head == {"tokenizer.ggml.model": "gpt2"} | model_values()


def test_a_file_without_tokens_has_no_vocabulary() -> None:
    assert read_vocabulary([("general.architecture", "clip")]) is None
    assert read_vocabulary([("tokenizer.ggml.model", "gpt2"), ("tokenizer.ggml.tokens", ())]) is None
    assert read_vocabulary([("tokenizer.ggml.model", 3), ("tokenizer.ggml.tokens", ("a",))]) is None


def test_arrays_of_another_type_are_as_good_as_none() -> None:
    found = read_vocabulary(
        [
            ("tokenizer.ggml.model", "llama"),
            ("tokenizer.ggml.tokens", ("a", "b")),
            ("tokenizer.ggml.scores", ("x", 1.0)),
            ("tokenizer.ggml.merges", 7),
        ]
    )
    assert found is not None
    assert (found.scores, found.merges, found.space_first) == ((), (), None)
