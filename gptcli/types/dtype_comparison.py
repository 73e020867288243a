"""What does a dtype cost? A text under a model in float32, and in another dtype."""

from __future__ import annotations

from collections.abc import Callable

from gptcli.plain import dataclass
from gptcli.types.events import Notice
from gptcli.types.question import Question
from gptcli.types.score import ScoreRequest
from gptcli.types.token import Source


@dataclass(frozen=True)
class DtypeComparisonRequest(Question[Callable[[], "DtypeComparison"]]):
    """A text, and the dtype, as --dtype names it, that is held to float32 over it.

    What cannot be compared is refused at once; the answer compares when it is called.
    """

    asks = "score a text"

    text: ScoreRequest
    dtype: str


@dataclass(frozen=True)
class DtypeComparison:
    """How far a dtype is from float32, over all tokens of a text that are scored.

    exact: what float32 ran on, source: what was held to it. divergence: the mean over all places
    of KL(float32‖dtype), in nats, over the whole vocabulary; divergence_99: its 99th percentile,
    the least that 99 of 100 places do not exceed. agreement: at which share of places both find
    the same token most probable. windows, context_size, stride: as in Score.
    """

    exact: Source
    source: Source
    tokens: int
    context_tokens: int
    windows: int
    context_size: int
    stride: int
    divergence: float
    divergence_99: float
    exact_perplexity: float
    perplexity: float
    agreement: float
    notices: tuple[Notice, ...] = ()
