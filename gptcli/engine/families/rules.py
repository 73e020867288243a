"""Weights as data: which stored tensor becomes which of the decoder's parameters.

The decoder's own names: embedding, positions, layers.{i}.{attention_norm, attention.{query, key,
value, out}, mlp_norm, mlp.{gate, up, down}}, final_norm, unembedding; each with .weight and,
where the spec says so, .bias.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One stored tensor and where it goes. `{i}` stands for the layer in both names.

    into: one of our names, or several that the tensor is cut into along its output features, in
    this order. transpose: it is stored as (in, out), not as (out, in).
    """

    stored: str
    into: str | tuple[str, ...]
    transpose: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """Our names, always as a tuple."""
        return (self.into,) if isinstance(self.into, str) else self.into


@dataclass(frozen=True)
class Rules:
    """All rules of a family.

    prefix: what checkpoints may put before the stored names ("transformer."), with or without.
    ignored: regular expressions of stored names that are left out on purpose.
    """

    rules: tuple[Rule, ...]
    prefix: str = ""
    ignored: tuple[str, ...] = ()


def linear(
    stored: str, into: str | tuple[str, ...], *, bias: bool, transpose: bool = False
) -> list[Rule]:
    """The rules of a linear layer: its weight and, where it has one, its bias."""
    targets = (into,) if isinstance(into, str) else into
    found = [Rule(f"{stored}.weight", tuple(f"{t}.weight" for t in targets), transpose)]
    if bias:
        found.append(Rule(f"{stored}.bias", tuple(f"{t}.bias" for t in targets)))
    return found
