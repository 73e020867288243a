"""What llama-perplexity keeps of a run: the tokens, and the distributions at those it scored.

A file of its `--kl-divergence-base`: "_logits_", int32 context, vocabulary and chunks, the int32
tokens of all chunks; then for each scored place float32 step and least, and a uint16 for each
token of the vocabulary, padded to an even number: its log-probability is step · number + least.
The text is cut into chunks of the context; of each, what follows its second half's tokens is
scored. Where the model begins texts with a BOS token, it stands in place of a chunk's first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_HEAD = 4


@dataclass(frozen=True)
class Base:
    """context, vocab: sizes in tokens; chunks: (chunks, context) ids; places: as they stand."""

    context: int
    vocab: int
    chunks: NDArray[np.int32]
    places: NDArray[np.uint16]

    @property
    def first(self) -> int:
        """The place in a chunk after whose token is scored first."""
        return self.context // 2

    @property
    def scored(self) -> int:
        """How many places of a chunk are scored."""
        return self.context - 1 - self.first

    def logprobs(self, chunk: int) -> Iterator[NDArray[np.float64]]:
        """(vocab,) for each scored place of a chunk, natural."""
        for row in self.places[chunk * self.scored : (chunk + 1) * self.scored]:
            step, least = row[:_HEAD].copy().view(np.float32)
            numbers = row[_HEAD : _HEAD + self.vocab].astype(np.float64)
            yield float(step) * numbers + float(least)


def read(path: Path) -> Base:
    """What such a file holds, mapped. Raises ValueError for any other file."""
    with path.open("rb") as file:
        if file.read(8) != b"_logits_":
            raise ValueError(f"{path}: not a base of llama-perplexity")
        context, vocab, chunks = np.frombuffer(file.read(12), np.int32).tolist()
        tokens = np.frombuffer(file.read(4 * chunks * context), np.int32)
        begin = file.tell()
    row = 2 * ((vocab + 1) // 2) + _HEAD
    rows = chunks * (context - 1 - context // 2)
    places = np.memmap(path, np.uint16, "r", begin, (rows, row))
    return Base(context, vocab, tokens.reshape(chunks, context), places)
