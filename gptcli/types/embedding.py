"""Where does a text lie in the model's last layer? One vector for all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gptcli.types.question import Question
from gptcli.types.token import Source

#: How the vectors of a text's tokens become one. Attention looks back only, so that the last token
#: alone has seen all of the text; the mean has more of each of its parts.
POOLINGS = ("mean", "last")


@dataclass(frozen=True)
class EmbeddingRequest(Question["Embedding"]):
    """A text, or its tokens. pooling: one of POOLINGS.

    dimensions: how many numbers of the vector, the first, as it is asked of models that put most
    into these; None for all of them.
    """

    asks = "embed a text"

    text: str = ""
    ids: tuple[int, ...] | None = None
    pooling: Literal["mean", "last"] = "mean"
    dimensions: int | None = None


@dataclass(frozen=True)
class Embedding:
    """The pooled hidden state behind the final norm, scaled to length 1, float32."""

    vector: tuple[float, ...]
    tokens: int
    source: Source
