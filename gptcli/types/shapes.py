"""What is the model made of? Its tensors, and those that a prompt makes on its way."""

from __future__ import annotations

from dataclasses import dataclass

from gptcli.types.events import Notice
from gptcli.types.question import Question
from gptcli.types.token import Source


@dataclass(frozen=True)
class ShapesRequest(Question["Shapes"]):
    """special: the prompt may contain control tokens, which are then obeyed."""

    asks = "be looked into"

    prompt: str
    special: bool = False


@dataclass(frozen=True)
class Part:
    """Tensors of one name and shape; times: how many there are, in `layers` (none: outside)."""

    name: str
    shape: tuple[int, ...]
    layers: tuple[int, ...]
    times: int
    parameters: int


@dataclass(frozen=True)
class Flow:
    """A tensor of the forward pass; layers: which of them make one, none where it is made once."""

    name: str
    shape: tuple[int, ...]
    layers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Shapes:
    """The parts' parameters sum to `parameters`. tied: the head is the table of embeddings."""

    source: Source
    prompt_tokens: int
    layers: int
    parts: tuple[Part, ...]
    flow: tuple[Flow, ...]
    parameters: int
    tied: bool
    notices: tuple[Notice, ...] = ()
