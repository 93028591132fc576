"""Rules about rules: what a prompt asks for twice, differently, as far as it can be seen without understanding it.

Two limits contradict each other only when they are about the same thing. What they are about is what is left of the
clause when the limit and the filler words are taken away: "a title of at most 10 words" and "at most 100 words" do not
meet, "answer in at most 50 words" and "never more than 100 words" do. What stands in a condition, in the template or
in the sentence, is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from kitpack.prompts.lint.findings import Around, Found
from kitpack.prompts.lint.tags import guarded, plain
from kitpack.prompts.lint.where import spot
from kitpack.prompts.prompt import Message, Prompt

__all__ = ["format_conflicts", "length_conflicts"]

_NUMBER_WORDS = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty",
)
_NUMBERS = {word: number for number, word in enumerate(_NUMBER_WORDS)} | {"thirty": 30, "fifty": 50, "hundred": 100}
_UNITS = {"word": "word", "sentence": "sentence", "character": "character", "char": "character", "line": "line"}
_UNITS |= {"paragraph": "paragraph", "bullet": "bullet", "bullet point": "bullet", "token": "token"}
_NUMBER = rf"\d{{1,3}}(?:,\d{{3}})+|\d+|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))}"
_UNIT = r"bullet[ ]points?|words?|sentences?|characters?|chars?|lines?|paragraphs?|bullets?|tokens?"
_LIMIT = rf"""
    \b(?:
        (?P<most>
            (?:no|not|never|cannot|don't|mustn't|shouldn't|can't) \s+ (?:\w+\s+){{0,3}}? more \s+ than
            | (?:not|never|don't|mustn't|shouldn't|can't) \s+ (?:\w+\s+)? exceed(?:ing)?
            | at \s+ (?:the \s+)? most | max(?:imum)?\.? (?:\s+length)? (?:\s+of|\s*:)? | up \s+ to
            | (?:fewer|less) \s+ than | under | below | within | limit(?:ed)? (?:\s+ (?:\w+ \s+){{0,3}}?) to
        )
        | (?P<least> at \s+ least | (?:no|not) \s+ (?:fewer|less) \s+ than | min(?:imum)?\.? (?:\s+of|\s*:)? )
        | (?P<exact> exactly )
    ) \s+ (?:a \s+)? (?P<n1>{_NUMBER}) [ -] (?P<u1>{_UNIT}) \b
    | \b (?P<n2>{_NUMBER}) [ -] (?P<u2>{_UNIT}) \s* ,? \s*
        (?P<after> max(?:imum)?\b | or \s+ (?:less|fewer)\b | at \s+ (?:the \s+)? most\b | tops\b )
    """
_FREELY = re.IGNORECASE | re.VERBOSE
_MOST = 200
"""Rules of one message after which nobody looks for contradictions."""

_NEAR = 300
"""Characters around a rule that belong to it at most."""

_CLAUSE_END = re.compile(r"[;!?\n]|\.(?=\s|$)|,|\band\b|\bbut\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[!?\n]|\.(?=\s|$)")
_CONDITION = re.compile(
    r"\b(?:if|when|unless|otherwise|else|for|in case|depending|except|each|every|per|then|example|instead|first|second"
    r"|last)\b",
    re.IGNORECASE,
)
_FILLER = re.compile(
    "a|an|the|your|you|it|its|this|that|these|be|is|are|must|should|shall|may|can|will|do|does|not|never|always|please"
    "|use|write|keep|make|answers?|respond|reply|replies|response|output|result|text|message|in|with|to|of|at|as|or|no"
    "|total|length|long|overall|whole|entire|only|strictly|limit|limited|yourself|give|return|produce|stay|short|brief"
    "|concise|and|but|exceed|have|has|contain|than|more"
)
"""Words that do not say what a limit is about: it is the answer."""


@dataclass(frozen=True, slots=True)
class _Limit:
    kind: str
    number: int
    unit: str
    about: frozenset[str]
    message: Message
    offset: int
    text: str

    def contradicts(self, other: _Limit) -> bool:
        if (self.unit, self.about) != (other.unit, other.about):
            return False
        kinds = {self.kind: self.number, other.kind: other.number}
        if self.kind == other.kind:
            return self.kind != "least" and self.number != other.number
        if "exact" not in kinds:
            return kinds["least"] > kinds["most"]
        return kinds["exact"] > kinds["most"] if "most" in kinds else kinds["exact"] < kinds["least"]


def length_conflicts(prompt: Prompt, around: Around) -> Iterator[Found]:  # noqa: ARG001
    """Find limits of length that cannot all be kept, or of which one is idle."""
    seen: list[_Limit] = []
    for limit in (one for message in _instructing(prompt) for one in _limits(prompt, message)):
        before = next((one for one in seen if one.contradicts(limit)), None)
        if before is None:
            seen.append(limit)
            continue
        line, column = spot(prompt, limit.message, limit.offset)
        first, _ = spot(prompt, before.message, before.offset)
        message = f"“{limit.text}” contradicts “{before.text}” of line {first}"
        yield Found(rule="prompt-length-conflict", message=message, line=line, column=column)


def _instructing(prompt: Prompt) -> Iterator[Message]:
    """The messages that tell the model what to do: answers that are shown to it are examples."""
    return (message for message in prompt.messages if message.role not in ("assistant", "tool"))


def _limits(prompt: Prompt, message: Message) -> Iterator[_Limit]:
    text = plain(prompt.format, message.template)
    if not _mentions(text, _UNITS):
        return
    for found in islice(re.finditer(_LIMIT, text, _FREELY), _MOST):
        if guarded(prompt.format, message.template, found.start()) or _CONDITION.search(_around(text, found)):
            continue
        about = re.sub(_LIMIT, " ", _within(_CLAUSE_END, text, found), flags=_FREELY)
        words = (word for word in re.findall(r"[^\W\d_]+", about.lower()) if not _FILLER.fullmatch(word))
        number = (found["n1"] or found["n2"]).replace(",", "").lower()
        kind = "least" if found["least"] else "exact" if found["exact"] else "most"
        yield _Limit(
            kind=kind,
            number=_NUMBERS.get(number) or int(number),
            unit=_UNITS[(found["u1"] or found["u2"]).lower().removesuffix("s")],
            about=frozenset(words),
            message=message,
            offset=found.start(),
            text=" ".join(found[0].split()),
        )


def _mentions(text: str, words: Iterable[str]) -> bool:
    """Whether any of some words is in a text: where none is, a large pattern need not even be compiled."""
    folded = text.casefold()
    return any(word in folded for word in words)


def _around(text: str, found: re.Match[str]) -> str:
    return _within(_SENTENCE_END, text, found)


def _within(end: re.Pattern[str], text: str, found: re.Match[str]) -> str:
    """The clause, or the sentence, in which something was found; of a very long one, what is near."""
    first, last = max(found.start() - _NEAR, 0), min(found.end() + _NEAR, len(text))
    start = max((one.end() for one in end.finditer(text, first, found.start())), default=first)
    after = end.search(text, found.end(), last)
    return text[start : after.start() if after else last]


_FORMATS = {"json": "JSON", "markdown": "Markdown", "xml": "XML", "csv": "CSV", "yaml": "YAML", "html": "HTML"}
_FORMATS |= {"plain text": "plain text"}
_F = "|".join(_FORMATS).replace(" ", r"\s+")
_SHAPE = r"(?:\s+(?:object|array|document|text|format|output|code|table|list|string))?"
_LEADING = "in with as a an the valid raw pure one single minified strict well-formed output return respond reply"
_EXCLUSIVE = rf"""
    (?<!not[ ]) \b (?:only | nothing \s+ (?:else \s+)? (?:but|except) | exclusively | solely) \s+
        (?: (?:{_LEADING.replace(" ", "|")}) \s+ ){{0,4}} (?P<f1>{_F}) \b {_SHAPE} (?! \s+ if\b )
    | (?<!not[ ]) \b (?P<f2>{_F}) {_SHAPE} \s* [,\u2013\u2014-]? \s*
        (?: only\b (?! \s+ (?:if|when|for|the|in|to)\b ) | and \s+ nothing \s+ else\b | exclusively\b )
    """
_PART = re.compile(
    r"\b(?:field|key|value|propert(?:y|ies)|inside|column|cell|attribute|element|body|section|if|when|unless|otherwise|either"
    r"|accepts?|reads?|contains?|input|example|never|don't|do not|files?)\b",
    re.IGNORECASE,
)


def format_conflicts(prompt: Prompt, around: Around) -> Iterator[Found]:  # noqa: ARG001
    """Find formats that exclude each other, and JSON of which nobody knows the shape."""
    first: tuple[str, Message, int] | None = None
    for name, message, offset in _exclusive_formats(prompt):
        line, column = spot(prompt, message, offset)
        if first is None:
            first = (name, message, offset)
            yield from _against_schema(prompt, name, line, column)
        elif name != first[0]:
            before, _ = spot(prompt, *first[1:])
            text = f"{name} only, after {first[0]} only in line {before}"
            yield Found(rule="prompt-format-conflict", message=text, line=line, column=column)


def _against_schema(prompt: Prompt, name: str, line: int, column: int) -> Iterator[Found]:
    if name == "JSON" and prompt.output is None:
        message = "the answer is to be JSON only, and no output schema says which"
        yield Found(rule="prompt-json-without-schema", message=message, line=line, column=column)
    elif name not in ("JSON", "YAML") and (prompt.output or {}).get("type") in ("object", "array"):
        message = f"{name} only, and the output schema wants JSON"
        yield Found(rule="prompt-format-conflict", message=message, line=line, column=column)


def _exclusive_formats(prompt: Prompt) -> Iterator[tuple[str, Message, int]]:
    for message in _instructing(prompt):
        text = plain(prompt.format, message.template)
        if not _mentions(text, ("plain", *_FORMATS)):
            continue
        for found in islice(re.finditer(_EXCLUSIVE, text, _FREELY), _MOST):
            if not guarded(prompt.format, message.template, found.start()) and not _PART.search(_around(text, found)):
                yield _FORMATS[" ".join((found["f1"] or found["f2"]).lower().split())], message, found.start()
