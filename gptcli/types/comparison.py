"""How far apart are distributions? Their tokens beside each other, and divergences in bits."""

from __future__ import annotations

from gptcli.plain import dataclass
from gptcli.types.next_tokens import Distribution
from gptcli.types.token import Token


@dataclass(frozen=True)
class Divergence:
    """Of the first distribution P and another one Q, in bits; infinite where one forbids what the
    other may draw.

    forward: KL(P‖Q); backward: KL(Q‖P); jensen_shannon: from 0 to 1.
    """

    forward: float
    backward: float
    jensen_shannon: float


@dataclass(frozen=True)
class ComparedToken:
    """A token, and its raw probability in each distribution; None where it is no token there.

    The token's id is that of the first distribution which has the token.
    """

    token: Token
    probabilities: tuple[float | None, ...]


@dataclass(frozen=True)
class Comparison:
    """Distributions beside each other. Divergences are those of the first and each further one,
    None where the vocabularies differ, so that there is nothing to compare token by token.
    """

    distributions: tuple[Distribution, ...]
    tokens: tuple[ComparedToken, ...]
    divergences: tuple[Divergence | None, ...]
