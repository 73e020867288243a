"""Which texts become vectors, and of what kind."""

from __future__ import annotations

from gptcli.config import MOST, Limit, option
from gptcli.plain import dataclass
from gptcli.types.embedding import POOLINGS


@dataclass(frozen=True)
class Embedding:
    """The texts, and how their vectors are made."""

    texts: tuple[str, ...] = option((), "Texts, a vector each.", metavar="[TEXT]...", argument=True)
    pool: str | None = option(
        None,
        "The mean of the vectors of all tokens, or that of the last, which alone has seen all of"
        " the text: mean or last. Default: mean; a server's own.",
        metavar="HOW",
        brief="The mean of all tokens, or the last one's.",
        choices=POOLINGS,
    )
    normalize: bool = option(
        False,
        "Scale each vector to length 1, as a server does: the cosine of two is their product then.",
        brief="Scale each vector to length 1.",
    )
    dimensions: int | None = option(
        None,
        "Keep the first N numbers alone, which models do that were trained for it.",
        metavar="N",
        limit=Limit(1, MOST),
    )
