"""What may come next, and after that: the most probable continuations as a tree."""

from __future__ import annotations

from gptcli.plain import dataclass
from gptcli.types.events import Notice
from gptcli.types.question import Question
from gptcli.types.token import Source, Token

#: How many nodes a tree may have: more than anyone reads, and seconds on a laptop.
MAX_NODES = 10_000


@dataclass(frozen=True)
class TreeRequest(Question["Tree"]):
    """The `width` likeliest tokens after each node, `depth` tokens deep.

    min_p: leave out every path less probable than this, all of it together.
    special: control tokens in the prompt are obeyed.
    """

    asks = "tell probabilities"

    prompt: str
    depth: int = 3
    width: int = 3
    min_p: float = 0.0
    special: bool = False

    @property
    def nodes(self) -> int:
        """How many nodes there are at most, where nothing is pruned."""
        return sum(self.width**level for level in range(1, self.depth + 1))


@dataclass(frozen=True)
class Node:
    """A token after its path: natural log-probabilities of itself there, and of path and token.

    ends: it is an end token; nothing follows. None where a server does not tell.
    """

    token: Token
    logprob: float
    joint_logprob: float
    ends: bool | None
    children: tuple[Node, ...]


@dataclass(frozen=True)
class Tree:
    """The nodes after the prompt, likeliest first."""

    request: TreeRequest
    children: tuple[Node, ...]
    prompt_tokens: int | None
    source: Source
    notices: tuple[Notice, ...] = ()
