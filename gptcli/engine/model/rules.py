"""Weights as data: which stored tensor becomes which of the decoder's parameters.

The decoder's own names: embedding, embedding_norm, positions, layers.{i}.{attention_norm,
attention.{query, key, value, gate, out, query_norm, key_norm} or mixer.{query, key, value, gate,
step, strength, norm, out, …_filter}, attention_post_norm, mlp_norm, mlp.{gate, up, down} or
mlp.{router, latent_in, experts.{n}.{gate, up, down}, latent_out, shared.{gate, up, down},
shared_gate, {router, experts}_norm, {experts, shared}_post_norm}, mlp_post_norm,
told.{gate, out, norm}}, layer_inputs.{table, project, norm}, final_norm, unembedding; each with
.weight and, where the spec says so, .bias; and, by themselves, layers.{i}.attention.sinks,
layers.{i}.mixer.{step_bias, decay_log, skip}, layers.{i}.mlp.{correction, expert_scales},
layers.{i}.scale and head_bias. Latent attention has attention.{query_latent, query_latent_norm,
query, latent, latent_norm, absorb, value, out}.
"""

from __future__ import annotations

import re
from typing import Literal

from gptcli.plain import dataclass


@dataclass(frozen=True)
class Rule:
    """One stored tensor and where it goes. `{i}` stands for the layer in both names.

    into: one of our names, or several that the tensor is cut into along its output features, in
    this order. transpose: it is stored as (in, out), not as (out, in). groups: the output
    features come in so many equal groups, each of which is cut into the targets. skip: so many
    rows at its beginning are not used. either: where only so its shape fits, it is stored the other
    way than `transpose` says. first_turned: each group of the first target is stored by itself as
    (in, out). apart: names under which the targets may be stored instead, each by itself and as it
    is.

    layers: the layers it is for, None for all. members: `{n}` stands for each number below it (an
    expert, a head). Where both names have `{n}`, each member is stored by itself; where only ours
    has, the stored tensor is a stack of all members, first axis; where only the stored name has,
    ours is.

    between: an axis of 1 stands between the two of ours, as in the weight of a convolution.

    packed: the numbers are stored in another form, in tensors of their own: "mxfp4" in
    `<stored>_blocks` and `<stored>_scales`.

    exact: float32 whatever dtype the model runs in. one_row: a vector that is stored as a matrix
    of one row.

    unless: where a tensor of that name is stored, the same is in it, and this rule is for nothing.
    """

    stored: str
    into: str | tuple[str, ...]
    transpose: bool = False
    groups: int = 1
    skip: int = 0
    layers: tuple[int, ...] | None = None
    members: int = 1
    between: bool = False
    packed: Literal["mxfp4"] | None = None
    exact: bool = False
    one_row: bool = False
    either: bool = False
    unless: str | None = None
    first_turned: bool = False
    apart: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Our names, always as a tuple."""
        return (self.into,) if isinstance(self.into, str) else self.into


@dataclass(frozen=True)
class Beside:
    """Part of a checkpoint that does not run: what it is, and its stored names.

    stored: a regular expression of names without their prefix.
    """

    what: str
    stored: str


def next_tokens(stored: str) -> Beside:
    """What guesses further tokens, which would be drawn faster so, and be the same."""
    return Beside("what guesses more than the next token", stored)


@dataclass(frozen=True)
class Rules:
    """All rules of a family.

    prefix: what checkpoints may put before the stored names ("transformer."), with or without;
    other_prefixes: others that may stand there instead. ignored: regular expressions of stored
    names that are left out on purpose, as nothing that runs needs them; beside: what is left out
    and would do something, of which users are told.
    """

    rules: tuple[Rule, ...]
    prefix: str = ""
    ignored: tuple[str, ...] = ()
    other_prefixes: tuple[str, ...] = ()
    beside: tuple[Beside, ...] = ()

    @property
    def left_out(self) -> re.Pattern[str]:
        """What stored names match, without prefix, that are left out for either reason."""
        names = (*self.ignored, *(each.stored for each in self.beside))
        return re.compile("|".join(names) or r"(?!)")

    def bare(self, name: str) -> str:
        """A stored name without its prefix."""
        for prefix in (self.prefix, *self.other_prefixes):
            if prefix and name.startswith(prefix):
                return name.removeprefix(prefix)
        return name


def linear(
    stored: str,
    into: str | tuple[str, ...],
    *,
    bias: bool,
    transpose: bool = False,
    groups: int = 1,
    layers: tuple[int, ...] | None = None,
    members: int = 1,
) -> list[Rule]:
    """The rules of a linear layer or a norm: its weight and, where it has one, its bias."""
    targets = (into,) if isinstance(into, str) else into
    weights = tuple(f"{t}.weight" for t in targets)
    found = [Rule(f"{stored}.weight", weights, transpose, groups, 0, layers, members)]
    if bias:
        biases = tuple(f"{t}.bias" for t in targets)
        found.append(Rule(f"{stored}.bias", biases, False, groups, 0, layers, members))
    return found
