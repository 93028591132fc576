"""Tokenizers that models bring along: the only place that knows the ``tokenizers`` library.

The library is an extra, ``pip install 'kitpack[tokens]'``; without it everything here raises
:class:`~kitpack.errors.UnsupportedError`, and callers estimate. A tokenizer is data, nothing in it is run; but its
expressions are the author's, and one made for it could take very long to match.

Spec: https://huggingface.co/docs/tokenizers
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kitpack.errors import IntegrityError, UnsupportedError
from kitpack.prompts.facts import Vocabulary
from kitpack.prompts.splitting import splitting_of
from kitpack.prompts.tokens import Counter

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["MAX_JSON", "counter_of_json", "counter_of_vocabulary"]

MAX_JSON = 64 << 20
"""Bytes above which a ``tokenizer.json`` is not read; the largest known has half as many."""

Result = TypeVar("Result")

_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4
_LONGEST = 256  # characters; no token that merges can make is longer
_MOST_CHARACTERS = 8 << 20
_SPACE = "\u2581"
_PROBE = "Hello, 世界!\n\t{{ name }} 1234 é 🙂"


def counter_of_json(tokenizer: bytes | Path, name: str = "tokenizer.json") -> Counter:
    """A counter from a ``tokenizer.json``.

    Args:
        tokenizer: Its bytes, or where it is.
        name: What to call it in front of the user.

    Raises:
        UnsupportedError: When the library is missing.
        IntegrityError: When it is not a tokenizer that the library can read.
        OSError: When the file cannot be read.
    """
    _require_library()
    from tokenizers import Tokenizer

    raw = tokenizer if isinstance(tokenizer, bytes) else _read(tokenizer)
    if len(raw) > MAX_JSON:
        raise IntegrityError(f"{name} is larger than the {MAX_JSON} bytes that are read of a tokenizer")
    built = _guarded(lambda: Tokenizer.from_buffer(raw), name)
    built.no_truncation()
    built.no_padding()
    return _Counter(built, name, exact=True)


def counter_of_vocabulary(vocabulary: Vocabulary, name: str = "the GGUF file's tokenizer") -> Counter:
    """A counter from the tokenizer in a GGUF file, which counts as llama.cpp does.

    It says that it is not exact when the file does not say how to split words, or says it by an unknown name, or when
    its vocabulary and its merges do not fit each other.

    Args:
        vocabulary: What the file says.
        name: What to call it in front of the user.

    Raises:
        UnsupportedError: When the library is missing, or the tokenizer is of a kind that cannot be built here.
        IntegrityError: When its parts do not fit each other.
    """
    _require_library()
    if vocabulary.model == "gpt2" and vocabulary.merges:
        return _byte_level(vocabulary, name)
    if vocabulary.model == "llama" and len(vocabulary.scores) == len(vocabulary.tokens):
        return _sentencepiece(vocabulary, name)
    raise UnsupportedError(f"{name} is of the kind {vocabulary.model[:40]!r}, or lacks parts of it; it cannot be built")


def _require_library() -> None:
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        raise UnsupportedError(
            "counting with a model's own tokenizer needs the tokenizers library",
            hint="pip install 'kitpack[tokens]'",
        ) from None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_JSON + 1)


class _Counter:
    """A tokenizer of the library as a counter."""

    def __init__(self, tokenizer: Tokenizer, name: str, *, exact: bool) -> None:
        self._tokenizer = tokenizer
        self.name = name
        self.exact = exact
        self.count(_PROBE)  # one that cannot count is better not chosen

    def count(self, text: str) -> int:
        """See :meth:`kitpack.prompts.tokens.Counter.count`."""
        clean = text.encode("utf-8", "replace").decode()  # the library refuses half surrogates
        return len(_guarded(lambda: self._tokenizer.encode(clean, add_special_tokens=False), self.name).ids)


def _guarded(work: Callable[[], Result], name: str) -> Result:
    """Do something in the library, whose errors are plain exceptions, or panics that are not even those."""
    try:
        return work()
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001  # panics derive from nothing else
        raise IntegrityError(f"{name} is not a tokenizer that can be used: {str(error)[:200]}") from None


def _byte_level(vocabulary: Vocabulary, name: str) -> Counter:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    numbers = _numbers(vocabulary)
    way = splitting_of(vocabulary.pre)
    merges = list(_pairs(vocabulary.merges, numbers))
    built = _guarded(
        lambda: Tokenizer(models.BPE(vocab=numbers, merges=merges, ignore_merges=way.whole)),
        name,
    )
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in way.patterns]
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    built.pre_tokenizer = pre_tokenizers.Sequence([*splits, words])
    _add_special(built, vocabulary)
    if not way.known:
        name = f"{name}, splitting words as most do ({vocabulary.pre[:40] or 'it does not say how'})"
    return _Counter(built, name, exact=way.known and len(merges) == len(vocabulary.merges))


def _sentencepiece(vocabulary: Vocabulary, name: str) -> Counter:
    from tokenizers import Tokenizer, models, normalizers

    numbers = _numbers(vocabulary)
    unknown = next((token for token, kind in _typed(vocabulary) if kind == _UNKNOWN), None)
    merges = _merges_of_scores(vocabulary, numbers)
    built = _guarded(
        lambda: Tokenizer(
            models.BPE(vocab=numbers, merges=merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
        ),
        name,
    )
    first = [] if vocabulary.space_first is False else [normalizers.Prepend(_SPACE)]
    built.normalizer = normalizers.Sequence([*first, normalizers.Replace(" ", _SPACE)])
    _add_special(built, vocabulary)
    return _Counter(built, name, exact=True)


def _numbers(vocabulary: Vocabulary) -> dict[str, int]:
    return {token: number for number, token in enumerate(vocabulary.tokens)}


def _typed(vocabulary: Vocabulary) -> Iterator[tuple[str, int]]:
    return zip(vocabulary.tokens, vocabulary.types, strict=False)


def _pairs(merges: Sequence[str], tokens: Collection[str]) -> Iterator[tuple[str, str]]:
    """The merges whose parts and whole are tokens. The first character may itself be a space."""
    for merge in merges:
        at = merge.find(" ", 1)
        left, right = merge[:at], merge[at + 1 :]
        if at > 0 and left in tokens and right in tokens and left + right in tokens:
            yield left, right


def _merges_of_scores(vocabulary: Vocabulary, tokens: Collection[str]) -> list[tuple[str, str]]:
    """SentencePiece merges whatever two neighbours make the token of the highest score; as a list of merges."""
    if sum(map(len, vocabulary.tokens)) > _MOST_CHARACTERS:
        raise UnsupportedError(f"a vocabulary of more than {_MOST_CHARACTERS} characters cannot be built")
    ordered = sorted(zip(vocabulary.tokens, vocabulary.scores, strict=True), key=lambda one: -one[1])
    return [
        (token[:at], token[at:])
        for token, _ in ordered
        if len(token) <= _LONGEST
        for at in range(1, len(token))
        if token[:at] in tokens and token[at:] in tokens
    ]


def _add_special(tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
    """Control tokens and the user's own are found in a text before anything else."""
    from tokenizers import AddedToken

    special = [token for token, kind in _typed(vocabulary) if token and kind in (_CONTROL, _USER_DEFINED)]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
