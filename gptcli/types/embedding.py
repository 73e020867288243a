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
    """A text, or its tokens. pooling: one of POOLINGS; None for the mean, or a server's own.

    dimensions: how many numbers of the vector, the first, as it is asked of models that put most
    into these; None for all of them. scaled: to length 1. special: names of control tokens in the
    text are read as these tokens. subject: what an error calls the text.
    """

    asks = "embed a text"

    text: str = ""
    ids: tuple[int, ...] | None = None
    pooling: Literal["mean", "last"] | None = None
    dimensions: int | None = None
    scaled: bool = True
    special: bool = False
    subject: str = "text"


@dataclass(frozen=True)
class Embedding:
    """The pooled hidden state behind the final norm, float32, of so many tokens.

    tokens: None where a server does not count them.
    """

    vector: tuple[float, ...]
    tokens: int | None
    source: Source
