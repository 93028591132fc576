"""GGUF files for tests, written by hand, and small tokenizers that were really trained."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TypeAlias

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from kitpack.oci.jsontext import parse_object

__all__ = ["Typed", "byte_level", "entry", "gguf", "model_values", "string", "trained"]

Typed: TypeAlias = "bool | int | float | str | Sequence[Typed]"
"""Written as a bool, a uint32, a float32, a string, or an array of what its first item is; int32 in arrays."""

SENTENCES = [
    "Thank you for waiting. I have looked into your ticket and found the cause.",
    "Your refund is on its way; it takes up to five working days, don't worry.",
    "Please restart the device 12345 times and tell me whether the light turns green.",
    "Le café est fermé, l'été aussi. 日本語の文章と中文测试。 Привет, мир!",
    "def render(self, values: dict[str, int]) -> str:\n    return '\\n'.join(values)\n",
]


def string(text: str | bytes) -> bytes:
    """A GGUF string."""
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def entry(key: str | bytes, kind: int, value: bytes) -> bytes:
    """A key and the bytes of its value."""
    return string(key) + struct.pack("<I", kind) + value


def gguf(
    values: Mapping[str, Typed] | Sequence[bytes], *, version: int = 3, tensors: int = 0, tail: bytes = b"weights"
) -> bytes:
    """A whole file: its head, and something after it."""
    entries = [entry(key, *_value(value)) for key, value in values.items()] if isinstance(values, Mapping) else values
    return b"GGUF" + struct.pack("<IQQ", version, tensors, len(entries)) + b"".join(entries) + tail


def _value(value: Typed, *, in_array: bool = False) -> tuple[int, bytes]:
    match value:
        case bool():
            return 7, struct.pack("<?", value)
        case int():
            return (5, struct.pack("<i", value)) if in_array else (4, struct.pack("<I", value))
        case float():
            return 6, struct.pack("<f", value)
        case str():
            return 8, string(value)
    items = [_value(one, in_array=True) for one in value]
    return 9, struct.pack("<IQ", items[0][0] if items else 8, len(items)) + b"".join(raw for _, raw in items)


@cache
def trained(pattern: str) -> str:
    """The ``tokenizer.json`` of a byte-level BPE tokenizer that splits words by an expression."""
    tokenizer = Tokenizer(models.BPE())
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), words])
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    return tokenizer.to_str()


def byte_level(tokenizer_json: str, pre: str) -> dict[str, Typed]:
    """What a GGUF file says of such a tokenizer."""
    model = parse_object(tokenizer_json.encode())["model"]
    assert isinstance(model, dict)
    vocab, merges = model["vocab"], model["merges"]
    assert isinstance(vocab, dict)
    assert isinstance(merges, list)
    tokens = sorted(vocab, key=lambda token: int(str(vocab[token])))
    return {
        "tokenizer.ggml.model": "gpt2",
        **({"tokenizer.ggml.pre": pre} if pre else {}),
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if token == "<|end|>" else 1 for token in tokens],
        "tokenizer.ggml.merges": [" ".join(map(str, merge)) for merge in merges if isinstance(merge, list)],
    }


def model_values(**more: Typed) -> dict[str, Typed]:
    """What every model says, and more, with ``__`` for the dots."""
    known: dict[str, Typed] = {
        "general.architecture": "llama",
        "general.name": "Tiny Llama",
        "llama.context_length": 2048,
    }
    return known | {key.replace("__", "."): value for key, value in more.items()}
