"""How models with byte-level BPE split a text into words before they merge anything.

A ``tokenizer.json`` says it itself. A GGUF file only names the way, by the names that llama.cpp gave to the tokenizers
it knows. The expressions are those of the models' own ``tokenizer.json``; one after the other, each splits what the one
before left whole.

Spec: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#ggml
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Splitting", "splitting_of"]

_BREAKS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_SHORT = r"'(?i:s|t|re|ve|m|ll|d)"
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
_CASED = (
    rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+{{short}}"
    rf"|[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*{{short}}"
    rf"|\p{{N}}{{digits}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_BREAKS}"
)

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_GPT4 = rf"{_SHORT}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_BREAKS}"
_QWEN2 = _GPT4.replace("{1,3}", "")
_QWEN35 = rf"{_SHORT}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_BREAKS}"
_TEKKEN = _CASED.replace("{short}", "").replace("{digits}", "")
_GPT4O = _CASED.replace("{short}", f"(?:{_SHORT})?").replace("{digits}", "{1,3}")
_DEEPSEEK3 = (
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    r"[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|" + _BREAKS,
)
_DEEPSEEK_CODER = (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+", r"\p{N}")
_DEFAULT = (r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]")
_FALCON = (r"[\p{P}\$\+<=>\^~\|`]+", _GPT2, "[0-9][0-9][0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Splitting:
    """A way to split.

    Attributes:
        patterns: Expressions in Oniguruma's grammar, to be applied one after the other.
        whole: Whether a word that is a token is taken as it is, whatever the merges would make of it.
        known: Whether this is what the model does; else it is the most likely guess.
    """

    patterns: tuple[str, ...]
    whole: bool = False
    known: bool = True


_WAYS = (
    (Splitting(patterns=_DEFAULT), "default"),
    (Splitting(patterns=(_GPT2,)), "gpt-2 phi-2 mpt olmo jais jina-es jina-de jina-v1-en jina-v2-es jina-v2-de"),
    (Splitting(patterns=(_GPT2,)), "jina-v2-code roberta-bpe gigachat modern-bert mellum exaone4 trillion a.x-4.0"),
    (Splitting(patterns=(_GPT2,)), "granite-docling"),
    (Splitting(patterns=(r"\p{N}", _GPT2)), "starcoder refact command-r smollm codeshell exaone minerva-7b"),
    (Splitting(patterns=(_GPT4,), whole=True), "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2"),
    (Splitting(patterns=(_GPT4,)), "dbrx smaug-bpe glm4 chatglm-bpe"),
    (Splitting(patterns=(_QWEN2,)), "qwen2 deepseek-r1-qwen megrez stablelm2 hunyuan grok-2"),
    (Splitting(patterns=(_QWEN35,)), "qwen35"),
    (Splitting(patterns=(_TEKKEN,), whole=True), "tekken"),
    (Splitting(patterns=(_GPT4O,)), "gpt-4o llama4 minimax-m2"),
    (Splitting(patterns=_DEEPSEEK3), "deepseek-v3 hunyuan-dense"),
    (Splitting(patterns=_DEEPSEEK_CODER), "deepseek-coder"),
    (Splitting(patterns=_FALCON), "falcon"),
)
_BY_NAME = {name: way for way, names in _WAYS for name in names.split()}
_GUESS = Splitting(patterns=(_GPT4,), known=False)  # most models of today differ from it in details
_UNNAMED = Splitting(patterns=_DEFAULT, known=False)  # what llama.cpp does then, with a warning


def splitting_of(name: str) -> Splitting:
    """The way that a GGUF file names.

    Args:
        name: Its ``tokenizer.ggml.pre``; empty when it has none.
    """
    return _BY_NAME.get(name, _GUESS) if name else _UNNAMED
