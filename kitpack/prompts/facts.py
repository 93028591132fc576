"""What a model's own files say about it, as far as prompts care: its name, its kind, how much it can see at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from kitpack.prompts.gguf import Scalar, Value

__all__ = ["ModelFacts", "Vocabulary", "context_window", "read_head", "read_vocabulary"]

Item = TypeVar("Item")

_LARGEST = 1 << 31  # beyond it, "as long as you like" is meant: Hugging Face writes 1e30
_WINDOWS = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length", "n_ctx")
_INSIDE = ("text_config", "llm_config", "language_config")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is known about the model that is packed with the prompts. Text that is not known is empty.

    Attributes:
        name: What it is called: by the Kitfile, else by its file's own words, else by the name of its file.
        names: Everything it is called, the name first.
        path: Its file in the bundle.
        format: How its file is laid out, such as ``gguf``.
        architecture: What it is built as, such as ``llama`` or ``qwen2``.
        context_window: How many tokens it can see at once; None when unknown.
    """

    name: str = ""
    names: tuple[str, ...] = ()
    path: str = ""
    format: str = ""
    architecture: str = ""
    context_window: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The tokenizer in a GGUF file.

    Attributes:
        model: Its algorithm: ``gpt2`` is byte-level BPE, ``llama`` is SentencePiece's BPE.
        pre: How text is split before that, by llama.cpp's name for it; empty when the file does not say.
        tokens: The tokens, by number.
        types: What each is: 1 normal, 2 unknown, 3 control, 4 defined by the user, 5 unused, 6 a byte.
        scores: How early each is merged; only for ``llama``.
        merges: Pairs with a space between them, in their order; only for ``gpt2``.
        space_first: Whether a space is put before a text; None when the file does not say.
    """

    model: str
    pre: str = ""
    tokens: tuple[str, ...]
    types: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    merges: tuple[str, ...] = ()
    space_first: bool | None = None


def read_head(values: Iterable[tuple[str, Value]]) -> dict[str, Scalar]:
    """The plain values of a GGUF file that stand before its vocabulary.

    Args:
        values: As :func:`kitpack.prompts.gguf.read_gguf` reads them; no more of them are asked for than is needed.
    """
    found: dict[str, Scalar] = {}
    for key, value in values:
        if key.startswith("tokenizer.") and _is_complete(found):
            break
        if not isinstance(value, tuple):
            found[key] = value
    return found


def _is_complete(found: Mapping[str, Scalar]) -> bool:
    return "general.architecture" in found and context_window(found) is not None


def read_vocabulary(values: Iterable[tuple[str, Value]]) -> Vocabulary | None:
    """The tokenizer of a GGUF file; None when it has none, as adapters and projectors have.

    Args:
        values: As :func:`kitpack.prompts.gguf.read_gguf` reads them.
    """
    prefix = "tokenizer.ggml."
    found = {key.removeprefix(prefix): value for key, value in values if key.startswith(prefix)}
    model, pre, space_first = found.get("model"), found.get("pre"), found.get("add_space_prefix")
    tokens = _items(found.get("tokens"), str)
    if not tokens or not isinstance(model, str):
        return None
    return Vocabulary(
        model=model,
        pre=pre if isinstance(pre, str) else "",
        tokens=tokens,
        types=_items(found.get("token_type"), int),
        scores=_items(found.get("scores"), float),
        merges=_items(found.get("merges"), str),
        space_first=space_first if isinstance(space_first, bool) else None,
    )


def _items(value: object, kind: type[Item]) -> tuple[Item, ...]:
    """An array of values of one type; an empty one for anything else."""
    return value if isinstance(value, tuple) and all(isinstance(one, kind) for one in value) else ()


def context_window(values: Mapping[str, object]) -> int | None:
    """How many tokens a model can see at once, where its files say so.

    Args:
        values: The keys of a GGUF file, or the fields of Hugging Face's ``config.json`` or ``tokenizer_config.json``.

    Returns:
        None when they do not say, or name a number so large that "without end" is meant.
    """
    architecture = values.get("general.architecture")
    names = (f"{architecture}.context_length", *_WINDOWS)
    found = [_window(values.get(name)) for name in names]
    nested = [context_window(one) for one in map(values.get, _INSIDE) if isinstance(one, Mapping)]
    return next(filter(None, [*found, *nested, _window(values.get("model_max_length"))]), None)


def _window(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 < value < _LARGEST else None
