"""Adapters beside the weights that they change, which stay as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.weights.lora.adapter import Update
from gptcli.engine.weights.matching import Placement


class Adapted(nn.Module):
    """A linear layer and low-rank updates of it: y = W x + Σ B (A x), the scale within B."""

    def __init__(self, layer: nn.Linear, sides: Sequence[tuple[Tensor, Tensor]]) -> None:
        """`sides` are pairs of A (rank, in) and B (out, rank)."""
        super().__init__()
        self.layer = layer
        self.downs = nn.ParameterList(nn.Parameter(a, requires_grad=False) for a, _ in sides)
        self.ups = nn.ParameterList(nn.Parameter(b, requires_grad=False) for _, b in sides)

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) → (…, out)."""
        y: Tensor = self.layer(x)
        for down, up in zip(self.downs, self.ups, strict=True):
            y = y + nn.functional.linear(nn.functional.linear(x, down), up)
        return y


def can_stand_apart(decoder: Decoder, placement: Placement) -> bool:
    """Whether all that a stored tensor becomes are linear layers' weights.

    Embeddings and the head are tables, which adapters are added to.
    """
    layout = placement.layout
    if len(placement.stored) > 1 or layout.stacked:
        return False
    names = [target.rpartition(".") for target in layout.targets[0]]
    return all(
        part == "weight" and isinstance(decoder.get_submodule(module), nn.Linear)
        for module, _, part in names
    )


def attach(
    decoder: Decoder,
    placement: Placement,
    updates: Sequence[Update],
    shapes: Mapping[str, torch.Size],
) -> None:
    """Put updates beside the layers of a placement, where these are and in their dtype.

    Of a stored tensor that several layers share, A is the same for all, and B is cut as it is.
    """
    sides: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for update in updates:
        a, b = update.read()
        layout = placement.layout
        stored = b.t() if layout.rule.transpose else b
        for target, piece in layout.cut([stored], shapes):
            sides.setdefault(target, []).append((a, piece))
    for target, pairs in sides.items():
        name = target.removesuffix(".weight")
        parent, _, own = name.rpartition(".")
        layer = decoder.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        device, dtype = layer.weight.device, layer.weight.dtype
        moved = [(a.to(device, dtype), b.to(device, dtype)) for a, b in pairs]
        setattr(decoder.get_submodule(parent), own, Adapted(layer, moved))
