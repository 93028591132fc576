"""Counting with the tokenizer that a model brings along, held against what it was made from."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from kitpack.errors import IntegrityError, UnsupportedError
from kitpack.prompts.facts import Vocabulary, read_vocabulary
from kitpack.prompts.gguf import read_gguf
from kitpack.prompts.splitting import splitting_of
from kitpack.prompts.tokenizers import counter_of_json, counter_of_vocabulary
from tests.support.ggufs import SENTENCES, Typed, byte_level, gguf, model_values, trained

SINGLE = ["gpt-2", "llama-bpe", "qwen2", "qwen35", "tekken", "gpt-4o", "dbrx"]
SEVERAL = ["default", "starcoder", "deepseek-v3", "deepseek-coder", "falcon"]
TEXTS = [
    *SENTENCES,
    "",
    " ",
    "\n\n \n\t x",
    "He'll say: DON'T! 1234567 3.14159",
    "<|end|> of <|end|>",
    "camelCase HTTPServer x_y",
    "🙂🙃 é ﬁ",
]


def vocabulary_of(values: dict[str, Typed]) -> Vocabulary:
    raw = gguf(model_values() | values)
    found = read_vocabulary(read_gguf(io.BytesIO(raw), len(raw)))
    assert found is not None
    return found


def length(tokenizer: Tokenizer, text: str) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize("pre", SINGLE)
def test_a_gguf_file_counts_as_the_tokenizer_it_was_made_from(pre: str) -> None:
    raw = trained(splitting_of(pre).patterns[0])
    truth, counter = Tokenizer.from_str(raw), counter_of_vocabulary(vocabulary_of(byte_level(raw, pre)))
    truth.model.ignore_merges = splitting_of(pre).whole
    assert counter.exact
    assert [counter.count(text) for text in TEXTS] == [length(truth, text) for text in TEXTS]


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_so_it_does_for_any_text(text: str) -> None:
    raw = trained(splitting_of("qwen2").patterns[0])
    counter = counter_of_vocabulary(vocabulary_of(byte_level(raw, "qwen2")))
    assert counter.count(text) == length(Tokenizer.from_str(raw), text) == counter_of_json(raw.encode()).count(text)


def words(pre: str, text: str) -> list[str]:
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in splitting_of(pre).patterns]
    return [word for word, _ in pre_tokenizers.Sequence(splits).pre_tokenize_str(text)]


@pytest.mark.parametrize(
    ("pre", "wanted"),
    [
        ("gpt-2", ["It", "'s", " 12345", " o", "'", "Clock", "!!", "\n"]),
        ("llama-bpe", ["It", "'s", " ", "123", "45", " o", "'Clock", "!!\n"]),
        ("qwen2", ["It", "'s", " ", "1", "2", "3", "4", "5", " o", "'Clock", "!!\n"]),
        ("tekken", ["It", "'s", " ", "1", "2", "3", "4", "5", " o", "'Clock", "!!\n"]),
        ("gpt-4o", ["It's", " ", "123", "45", " o", "'Clock", "!!\n"]),
        ("starcoder", ["It", "'s", " ", "1", "2", "3", "4", "5", " o", "'", "Clock", "!!", "\n"]),
        ("deepseek-v3", ["It", "'s", " ", "123", "45", " o", "'Clock", "!!\n"]),
        ("deepseek-coder", ["It", "'", "s", " ", "1", "2", "3", "4", "5", " o", "'", "Clock", "!!", "\n"]),
        ("falcon", ["It", "'", "s", " ", "123", "45", " o", "'", "Clock", "!!", "\n"]),
        ("default", ["It", "'", "s", " ", "123", "45", " o", "'", "Clock", "!!", "\n"]),
    ],
)
def test_words_are_split_as_the_models_do(pre: str, wanted: list[str]) -> None:
    assert words(pre, "It's 12345 o'Clock!!\n") == wanted


@pytest.mark.parametrize("pre", [*SINGLE, *SEVERAL])
def test_splitting_loses_nothing(pre: str) -> None:
    assert ["".join(words(pre, text)) for text in TEXTS] == TEXTS


@pytest.mark.parametrize("pre", ["", "of-tomorrow"])
def test_an_unknown_way_to_split_is_not_called_exact(pre: str) -> None:
    counter = counter_of_vocabulary(vocabulary_of(byte_level(trained(splitting_of("qwen2").patterns[0]), pre)))
    assert not counter.exact
    assert (pre or "does not say") in counter.name
    assert counter.count(SENTENCES[0]) > 10


def test_merges_that_do_not_fit_are_left_out_and_it_is_said() -> None:
    values = byte_level(trained(splitting_of("gpt-2").patterns[0]), "gpt-2")
    whole = counter_of_vocabulary(vocabulary_of(values))
    merges = values["tokenizer.ggml.merges"]
    assert isinstance(merges, list)
    damaged = counter_of_vocabulary(vocabulary_of(values | {"tokenizer.ggml.merges": ["no such", "x", *merges]}))
    assert (whole.exact, damaged.exact) == (True, False)
    assert damaged.count(SENTENCES[1]) == whole.count(SENTENCES[1])


# SentencePiece

PIECES = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "<mark>"]
TYPES = [2, 3, 3, *[6] * 256, 4]
WORDS = ["▁", *"abcdt.", "▁a", "ab", "abc", "bc", "▁ab", "▁abc", "cd", "▁▁", "▁▁▁▁", "bcd", "dd", "▁t", "td"]


def sentencepiece(*, space_first: bool | None = None) -> dict[str, Typed]:
    prefix: dict[str, Typed] = {} if space_first is None else {"tokenizer.ggml.add_space_prefix": space_first}
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [*PIECES, *WORDS],
        "tokenizer.ggml.scores": [0.0] * len(PIECES) + [-float(place) for place in range(len(WORDS))],
        "tokenizer.ggml.token_type": [*TYPES, *[1] * len(WORDS)],
        **prefix,
    }


def merged(text: str, *, space_first: bool = True) -> int:
    """What SentencePiece does, in the plainest way: merge the best two neighbours until there are none."""
    symbols = list((" " * space_first + text).replace(" ", "▁")) if text else []
    scores = {word: -place for place, word in enumerate(WORDS)}
    while True:
        pairs = [(scores.get(a + b, -1000), -at) for at, (a, b) in enumerate(pairwise(symbols))]
        best, at = max(pairs, default=(-1000, 0))
        if best == -1000:
            break
        symbols[-at : -at + 2] = ["".join(symbols[-at : -at + 2])]
    return sum(1 if symbol in scores else len(symbol.encode()) for symbol in symbols)


@settings(max_examples=150)
@given(st.text(alphabet="aabbccdt. é世", max_size=25), st.booleans())
def test_scores_merge_as_in_sentencepiece(text: str, space_first: bool) -> None:
    counter = counter_of_vocabulary(vocabulary_of(sentencepiece(space_first=space_first)))
    assert counter.exact
    assert counter.count(text) == merged(text, space_first=space_first)


def test_a_space_comes_first_unless_the_file_says_otherwise() -> None:
    assert counter_of_vocabulary(vocabulary_of(sentencepiece())).count("abc") == 1
    assert counter_of_vocabulary(vocabulary_of(sentencepiece(space_first=False))).count("▁abc") == 1


def test_marks_of_the_model_are_one_token_each() -> None:
    counter = counter_of_vocabulary(vocabulary_of(sentencepiece(space_first=False)))
    assert counter.count("<s>abc<mark></s>") == 4


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"tokenizer.ggml.model": "t5"}, UnsupportedError),
        ({"tokenizer.ggml.scores": [0.0]}, UnsupportedError),
        ({"tokenizer.ggml.model": "gpt2"}, UnsupportedError),
        ({"tokenizer.ggml.tokens": ["x" * (1 << 20)] * 9, "tokenizer.ggml.scores": [0.0] * 9}, UnsupportedError),
    ],
)
def test_what_cannot_be_built_is_said(values: dict[str, Typed], error: type[Exception]) -> None:
    with pytest.raises(error):
        counter_of_vocabulary(vocabulary_of(sentencepiece() | values))


@settings(max_examples=40)
@given(
    st.sampled_from(["gpt2", "llama"]),
    st.lists(st.text(max_size=4), min_size=1, max_size=8),
    st.lists(st.integers(-1, 8), max_size=8),
    st.lists(st.floats(), max_size=8),
    st.lists(st.text(max_size=5), max_size=8),
)
def test_any_vocabulary_is_built_or_refused(
    model: str, tokens: list[str], types: list[int], scores: list[float], merges: list[str]
) -> None:
    vocabulary = Vocabulary(
        model=model, tokens=tuple(tokens), types=tuple(types), scores=tuple(scores), merges=tuple(merges)
    )
    with contextlib.suppress(IntegrityError, UnsupportedError):
        assert counter_of_vocabulary(vocabulary).count("some text") >= 0


# tokenizer.json


def test_padding_and_truncation_are_not_counted(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_str(trained(splitting_of("gpt-2").patterns[0]))
    truth = length(tokenizer, SENTENCES[0])
    tokenizer.enable_truncation(3)
    padded = Tokenizer.from_str(tokenizer.to_str())
    padded.enable_padding(length=500)
    path = tmp_path / "tokenizer.json"
    padded.save(str(path))
    counter = counter_of_json(path)
    assert (counter.count(SENTENCES[0]), counter.count("a"), counter.exact) == (truth, 1, True)


def test_half_of_a_pair_does_not_stop_the_count() -> None:
    assert counter_of_json(trained(splitting_of("gpt-2").patterns[0]).encode()).count("a \ud800 b") > 0


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"\xff", b"[1]", b'{"model": {"type": "BPE"}}', json.dumps({"model": {"type": "??"}}).encode()],
)
def test_what_is_no_tokenizer_is_refused(raw: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"tokenizer\.json"):
        counter_of_json(raw)


def test_one_that_fails_while_counting_is_refused() -> None:
    broken = Tokenizer(models.WordLevel({"a": 0}, unk_token="?"))  # no word of the text is in it
    with pytest.raises(IntegrityError):
        counter_of_json(broken.to_str().encode())


def test_without_the_library_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['tokenizers'] = None\n"
        "from kitpack.errors import UnsupportedError\n"
        "from kitpack.prompts.tokenizers import counter_of_json\n"
        "try: counter_of_json(b'{}')\n"
        "except UnsupportedError as error: print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "pip install 'kitpack[tokens]'\n"
