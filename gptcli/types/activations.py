"""What numbers does a text have inside the model? A row for each token, or one for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from gptcli.plain import dataclass
from gptcli.types.events import Notice
from gptcli.types.question import Question
from gptcli.types.token import Source

#: Where they are read: the stream behind a layer, what its attention (or what is in its place) or
#: its MLP adds to that, what its heads have gathered, one after another, before they are put
#: together, and the embedding before the first layer.
At = Literal["stream", "attention", "mlp", "head", "embedding"]
POINTS: tuple[At, ...] = ("stream", "attention", "mlp", "head", "embedding")
#: How the rows of a text's tokens become one, or that they stay.
Pool = Literal["none", "mean", "last"]
POOLS: tuple[Pool, ...] = ("none", "mean", "last")


@dataclass(frozen=True)
class NamedText:
    """A text, and what an error calls it."""

    text: str
    subject: str = "text"


@dataclass(frozen=True)
class ActivationsRequest(Question[Iterator["ActivationRows"]]):
    """Texts. layers: behind or in which, each once; None for all that have the point.

    special: names of control tokens in the texts are read as these tokens.
    """

    asks = "show its activations"

    texts: tuple[NamedText, ...]
    at: At = "stream"
    layers: tuple[int, ...] | None = None
    pool: Pool = "none"
    special: bool = False


@dataclass(frozen=True)
class ActivationRows:
    """Some rows of a text, in their order; of a text that is pooled, the one it has.

    ids: the tokens that they are of. values: (rows, layers, width), float32, little-endian.
    layers: which ones, -1 for the embedding. text: its number among those asked about; last: it has
    no more. notices: what a user should know of the text.
    """

    source: Source
    layers: tuple[int, ...]
    width: int
    ids: tuple[int, ...]
    rows: int
    values: bytes
    text: int
    last: bool
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class ActivationsWritten:
    """What is in a file: rows of so many texts, which have so many tokens; size in bytes."""

    source: Source
    file: str
    at: At
    pool: Pool
    layers: tuple[int, ...]
    width: int
    rows: int
    texts: int
    tokens: int
    size: int
