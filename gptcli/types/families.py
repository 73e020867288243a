"""Which families of models run, and what of them does."""

from __future__ import annotations

from typing import Literal

from gptcli.plain import dataclass

Runs = Literal["kernels", "torch"]


@dataclass(frozen=True)
class FamilyFacts:
    """What users are told of a family.

    difference: the largest one between its logits and transformers', on the tests' models; runs:
    what can run it; left_out: what its checkpoints may have beside the text model, in words.
    """

    name: str
    supports: str
    difference: float
    runs: tuple[Runs, ...]
    left_out: tuple[str, ...]
