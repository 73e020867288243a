"""What does each part of the model add to the logit of a token? Direct logit attribution."""

from __future__ import annotations

from typing import Literal

from gptcli.plain import dataclass
from gptcli.types.events import Notice
from gptcli.types.question import Question
from gptcli.types.token import Source, Token

#: How small the parts are: each head and each MLP; attention and MLP of each layer; each layer.
By = Literal["head", "mlp", "layer"]


@dataclass(frozen=True)
class PartsRequest(Question["LogitParts"]):
    """target, versus: the text of one token each; its logit, or by how much it is the larger one.

    No target is the likeliest token. position: after which token of the prompt, below 0 from the
    end. special: control tokens in the prompt are obeyed.
    """

    asks = "be looked into"

    prompt: str
    by: By = "head"
    target: str | None = None
    versus: str | None = None
    position: int = -1
    special: bool = False


@dataclass(frozen=True)
class AddedPart:
    """What a part adds.

    name: "embedding", "attention", "head", "mlp", "told" (what a layer is told of its token),
    "layer", "mixer" (what stands beside attention), "bias", or "rounding", what numbers lose as
    they meet the weights. layer: None where it is of none, as the bias of final norm and head.
    """

    name: str
    layer: int | None
    head: int | None
    adds: float


@dataclass(frozen=True)
class LogitParts:
    """The parts, in the order of the model. Their sum is `logit`, which no soft cap bends.

    tokens: those of the prompt up to the position. said: the logit, or difference, as the model
    says it; it is another than `logit` where there is a soft cap. chances: probabilities of target
    and versus.
    """

    request: PartsRequest
    source: Source
    tokens: tuple[Token, ...]
    prompt_tokens: int
    layers: int
    target: Token
    versus: Token | None
    logit: float
    said: float
    softcap: float | None
    chances: tuple[float, ...]
    parts: tuple[AddedPart, ...]
    notices: tuple[Notice, ...] = ()

    @property
    def strongest(self) -> list[AddedPart]:
        """The parts, those that add or take most first."""
        return sorted(self.parts, key=lambda part: -abs(part.adds))
