"""Which tokens lie near a word? In the table of embeddings, or where the word stands in a text."""

from __future__ import annotations

from typing import Literal

from gptcli.plain import dataclass
from gptcli.types.events import Notice
from gptcli.types.question import Question
from gptcli.types.token import Source, Token

#: How a word became a vector: as one token, with a space before it or without; as the mean of its
#: tokens' vectors; as a sum of words; from where it stands in a text.
How = Literal["spaced", "bare", "mean", "sum", "context"]


@dataclass(frozen=True)
class Term:
    """A word of a sum, and whether it is added or taken away."""

    sign: Literal[1, -1]
    word: str


@dataclass(frozen=True)
class NeighborsRequest(Question["Neighbors"]):
    """Words, or a sum of words (terms), or one word in texts that hold it (contexts).

    rows: how many neighbours. forms: tell also those that are the word itself, spelt with other
    spaces or capitals. layer: after which layer the word of a context is looked at,
    -1 for its embedding; None is the last layer for one context, and no neighbours for more.
    """

    asks = "be looked into"

    words: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
    contexts: tuple[str, ...] = ()
    layer: int | None = None
    rows: int = 10
    forms: bool = False
    special: bool = False

    @property
    def nearest(self) -> bool:
        """Whether neighbours are wanted: not where contexts are only compared."""
        return len(self.contexts) < 2 or self.layer is not None


@dataclass(frozen=True)
class Neighbor:
    """A token, and the cosine of its embedding with the vector."""

    token: Token
    cosine: float


@dataclass(frozen=True)
class Neighborhood:
    """What lies near one vector.

    tokens: those that the vector is made of; norm: its length (of a sum, before anything is
    scaled). left_out: how many spellings of the word itself were passed over. context, position
    and layer say where the word stood; own: the cosine of the vector there with the word's own
    embedding; says: what the stream there would say, read out.
    """

    word: str
    how: How
    tokens: tuple[Token, ...]
    norm: float
    found: tuple[Neighbor, ...]
    left_out: int = 0
    context: str | None = None
    position: int | None = None
    layer: int | None = None
    own: float | None = None
    says: tuple[tuple[Token, float], ...] = ()


@dataclass(frozen=True)
class Drift:
    """How far apart a word is in two contexts: 1 - cosine, as embeddings and after each layer."""

    word: str
    contexts: tuple[str, str]
    distances: tuple[float, ...]


@dataclass(frozen=True)
class Neighbors:
    """A neighbourhood for each word or context; drifts between the first context and the others."""

    request: NeighborsRequest
    source: Source
    vocabulary: int
    width: int
    found: tuple[Neighborhood, ...]
    drifts: tuple[Drift, ...] = ()
    notices: tuple[Notice, ...] = ()
