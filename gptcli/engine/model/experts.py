"""A mixture of experts, as orthogonal facts: who is chosen, what each counts, what is beside."""

from __future__ import annotations

from typing import Literal

from gptcli.plain import dataclass


@dataclass(frozen=True)
class Groups:
    """Experts stand in `count` groups, one after the other; each token first chooses some groups.

    A group is as good as its `best` best experts together; those of the `chosen` best groups may
    be chosen (arXiv:2405.04434, section 2.1.2, and arXiv:2412.19437, where `best` is 2).
    """

    count: int
    chosen: int
    best: int


@dataclass(frozen=True)
class SharedExpert:
    """An MLP of `hidden` features that every token goes through beside the chosen experts.

    gated: what it says is multiplied by the sigmoid of one number, a linear map of the token.
    """

    hidden: int
    gated: bool = False


@dataclass(frozen=True)
class Experts:
    """A mixture of `count` MLPs of `hidden` features, `chosen` of which each token goes through.

    Scores. A router gives each token a number for every expert, which `router_softcap` may bound
    as other softcaps do; `score` makes chances of these: softmax over all of them, or of each by
    itself its sigmoid.

    Choice. The experts with the highest chances, within the best groups where there are `groups`.
    correction: each expert has a number that is added to its chances when experts and groups are
    chosen, and nowhere else (arXiv:2408.15664).

    Shares. The chances of the chosen weigh what they say, divided by their sum where `normalised`,
    then multiplied by `scale`. on_input: they multiply what an expert reads instead.

    latent: experts read, and say, so many features, into which one linear map takes the token, and
    from which another takes their sum. shared: what is added to that sum.

    apart: the router and the experts each read the stream through a norm of their own, and a norm
    stands behind the experts' sum and behind what the shared expert says, which alone reads what
    an MLP does. The router's scores are divided by sqrt(width), and each expert has a number that
    its share is multiplied by last, as in Gemma 4.
    """

    count: int
    chosen: int
    hidden: int
    normalised: bool
    router_bias: bool = False
    score: Literal["softmax", "sigmoid"] = "softmax"
    router_softcap: float | None = None
    correction: bool = False
    groups: Groups | None = None
    scale: float = 1.0
    on_input: bool = False
    latent: int | None = None
    shared: SharedExpert | None = None
    apart: bool = False
