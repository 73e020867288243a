"""How does a prompt become its next token? The walk through the model, in its own numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from gptcli.types.next_tokens import Candidate, Distribution
from gptcli.types.parts import AddedPart
from gptcli.types.question import Question
from gptcli.types.sampling import SamplingWish
from gptcli.types.token import Token
from gptcli.types.window import Window

#: The temperatures at which the last softmax is shown.
TEMPERATURES = (0.2, 0.7, 1.0, 1.5)

#: What is told of, in this order: the chapters of a round, and of its first what is held to it.
STAGES = (
    *("tokens", "embedding", "attention", "mlp", "layers", "unembedding", "softmax", "draw"),
    *("parts", "again", "what-if"),
)
#: The last of them.
WHAT_IF = STAGES[-1]

#: "state": what a layer adds that carries one from token to token in place of attention; "told": of
#: what it is told of the token by itself, where there is such.
BlockName = Literal["attention", "state", "mlp", "told"]


@dataclass(frozen=True)
class Facts:
    """What the model is, as far as the words need it.

    side_by_side: attention and MLP of a layer read the same stream. group: how many heads share
    keys and values. attending: how many layers have attention, carrying: how many carry a state in
    its place. positions: how the model knows the order of tokens.
    """

    width: int
    layers: int
    attending: int
    carrying: int
    heads: int
    group: int
    head_dim: int
    hidden: int
    vocabulary: int
    tied: bool
    side_by_side: bool
    experts: int
    positions: Literal["rotation", "table", "distance", "none"]


@dataclass(frozen=True)
class Embedded:
    """A token as a vector before the first layer: its length, and whose rows lie nearest to its."""

    token: Token
    norm: float
    near: tuple[tuple[Token, float], ...]


@dataclass(frozen=True)
class Block:
    """What one block adds to the last position's stream.

    norm: the length of the update; cosine: with the stream that it is added to; says: what the
    stream would say with it, read out. looks: how attention is shared out, the most first, as
    (position, token, share), the mean over the heads; empty for what is no attention. state: how
    long each memory of a layer's state is then; empty where there is none.
    """

    layer: int
    name: BlockName
    norm: float
    cosine: float
    stream_norm: float
    says: tuple[tuple[Token, float], ...]
    looks: tuple[tuple[int, Token, float], ...] = ()
    state: tuple[float, ...] = ()


@dataclass(frozen=True)
class Contribution:
    """What a part adds to the logit of the token that was drawn; see AddedPart.

    looks: of the strongest heads, where that one head looks, as Block.looks.
    """

    part: AddedPart
    looks: tuple[tuple[int, Token, float], ...] = ()


@dataclass(frozen=True)
class Round:
    """One time through the model, from the ids to the token that is drawn.

    number counts from 1. prompt_tokens: all tokens so far; tokens are those of the window, the
    first at position `first`. In a round after the first, only the last token is new, and only it
    is computed. vector: the last position's embedding, feature by feature; final: its stream
    after the last layer; sum_error: the largest difference between that and the embedding with
    every update added. distribution has the logits, at TEMPERATURES as well, and the sampler.
    text: what was drawn in the rounds before. contributions: of all parts, those that add or take
    most first, to the logit of what is drawn; they add up to it, as it is before a soft cap.
    """

    number: int
    facts: Facts
    prompt_tokens: int
    tokens: tuple[Token, ...]
    first: int
    embedded: tuple[Embedded, ...]
    vector: tuple[float, ...]
    blocks: tuple[Block, ...]
    final: tuple[float, ...]
    final_norm: float
    sum_error: float
    distribution: Distribution
    drawn: Candidate
    text: str
    contributions: tuple[Contribution, ...] = ()


@dataclass(frozen=True)
class ExplainRequest(Question[Iterator[Round]]):
    """steps: how many tokens to draw. layers: which layers to tell of, None for all of them.

    rows: how many of the likeliest tokens, neighbours and so on to tell. seed: of the draws.
    """

    asks = "be looked into"

    prompt: str
    sampling: SamplingWish = field(default_factory=SamplingWish)
    steps: int = 1
    layers: tuple[int, ...] | None = None
    rows: int = 5
    window: Window = field(default_factory=Window)
    special: bool = False
    seed: int = 0
