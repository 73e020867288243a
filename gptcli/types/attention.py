"""Who looks at whom? Attention weights, by layer and head."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gptcli.types.events import Notice
from gptcli.types.question import Question
from gptcli.types.token import Source, Token
from gptcli.types.window import Window

#: How many weights an answer may hold: more than a screen shows, and seconds on a laptop.
MAX_WEIGHTS = 16_000_000

Over = Literal["mean", "max"]
#: What a weight is told as: itself, or by how long what the value gives is (arXiv:2004.10102).
Weigh = Literal["attention", "values"]

#: What a layer carries from token to token in place of attention: memories by the gated delta rule,
#: memories by the steps of Mamba-2, or the last inputs of a short convolution.
Carries = Literal["delta", "step", "convolution"]


@dataclass(frozen=True)
class AttentionRequest(Question["Attention"]):
    """layer and head: None for all of them. over: one map made of all that are asked for.

    In a layer that carries a state, head is one of its memories, and over makes one of them.
    weigh: "values" multiplies each weight by the length of the value behind its head's part of the
    output projection, and of the gain of a norm behind it, whose scale only `totals` would show.
    special: control tokens in the prompt are obeyed.
    """

    asks = "be looked into"

    prompt: str
    layer: int | None = None
    head: int | None = None
    over: Over | None = None
    weigh: Weigh = "attention"
    window: Window = field(default_factory=Window)
    special: bool = False


@dataclass(frozen=True)
class AttentionMap:
    """One map: row after row, how a query shares its attention out over the keys of the window.

    layer and head are None where the map was made of several. weights[q][k] is 0 where k is later
    than q, or out of the layer's sliding window. outside[q] went to tokens before the window. A
    row and its outside sum to 1, less what a sink takes; a map of maxima has no such sum. Weighed
    by values they are shares of totals[q], the lengths of a row together.
    """

    layer: int | None
    head: int | None
    weights: tuple[tuple[float, ...], ...]
    outside: tuple[float, ...]
    totals: tuple[float, ...] = ()


@dataclass(frozen=True)
class CarriedState:
    """How long the state of a layer without attention is, lengths[token][memory], behind each.

    The length of a memory is its Frobenius norm. memories: which these are, (None,) where one
    number was made of all; a short convolution has the one, 0.
    """

    layer: int
    kind: Carries
    memories: tuple[int | None, ...]
    lengths: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Attention:
    """The maps, layer by layer and in them head by head, and the states of layers without.

    attending: the layers that have attention; of others there is no map. tokens are those of the
    window, the first at position `first` of `prompt_tokens`. group: how many heads share one head
    of keys and values. windows: how far back each layer sees.
    """

    request: AttentionRequest
    source: Source
    tokens: tuple[Token, ...]
    first: int
    prompt_tokens: int
    layers: int
    heads: int
    group: int
    windows: tuple[int | None, ...]
    sinks: bool
    attending: tuple[int, ...]
    maps: tuple[AttentionMap, ...]
    states: tuple[CarriedState, ...] = ()
    notices: tuple[Notice, ...] = ()

    def shared(self, head: int) -> range:
        """The heads that read the same keys and values as `head`, itself among them."""
        first = head // self.group * self.group
        return range(first, first + self.group)
