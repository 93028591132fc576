"""Write the sample's model: a genuine GGUF file, small enough to keep in a repository.

The model is a bigram table: the logits of the next byte given the last one, counted over a few lines of support talk.
It is of no use, but every GGUF reader opens it. The same script always writes the same bytes.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

    python samples/make_model.py samples/support-bot/model/support-bot.gguf
"""

import math
import struct
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

CORPUS = (
    "Thank you for waiting. I have looked into your ticket and found the cause.",
    "Your refund is on its way; it takes up to five working days.",
    "I am handing this over to a colleague who can see your account.",
    "Please restart the device and tell me whether the light turns green.",
)
ALIGNMENT = 32
UINT32, FLOAT32, STRING = 4, 6, 8
SIZE = 96  # printable ASCII and one place for everything else


def text(value: str) -> bytes:
    """A GGUF string: its length in 64 bits, then its bytes."""
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def entry(key: str, kind: int, value: bytes) -> bytes:
    """A GGUF metadata entry."""
    return text(key) + struct.pack("<I", kind) + value


def token(char: str) -> int:
    """The place of a character in the table."""
    return ord(char) - 32 if " " <= char <= "~" else SIZE - 1


def logits(lines: Iterable[str]) -> list[float]:
    """Log probabilities of every next character, with add-one smoothing, row by row."""
    counts = [[1] * SIZE for _ in range(SIZE)]
    for line in lines:
        for first, second in pairwise(line):
            counts[token(first)][token(second)] += 1
    return [math.log(count / sum(row)) for row in counts for count in row]


def gguf() -> bytes:
    """The whole file."""
    metadata = [
        entry("general.architecture", STRING, text("bigram")),
        entry("general.name", STRING, text("support-bot-bigram")),
        entry("general.alignment", UINT32, struct.pack("<I", ALIGNMENT)),
        entry("general.file_type", UINT32, struct.pack("<I", 0)),
        entry("bigram.context_length", UINT32, struct.pack("<I", 2048)),  # it reads them all, and looks at the last
        entry("bigram.vocab_size", UINT32, struct.pack("<I", SIZE)),
    ]
    tensor = text("token_bigram.weight") + struct.pack("<IQQIQ", 2, SIZE, SIZE, 0, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(metadata)) + b"".join(metadata) + tensor
    padding = -len(head) % ALIGNMENT
    values = logits(CORPUS)
    return head + b"\0" * padding + struct.pack(f"<{len(values)}f", *values)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(gguf())
