"""Linear layers that read the same, as one product: a device is told of one in place of some."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Joined:
    """The product of several layers, whose weights become views of its own.

    They stay what they were for whoever uses them one by one; no number is held twice.
    """

    def __init__(self, layers: list[nn.Linear]) -> None:
        self.sizes = [len(layer.weight) for layer in layers]
        self._weight = torch.cat([layer.weight.detach() for layer in layers])
        self._bias: Tensor | None = None
        biases = [layer.bias for layer in layers]
        if biases[0] is not None:
            self._bias = torch.cat([bias.detach() for bias in biases])
        for layer, part in zip(layers, self._weight.split(self.sizes), strict=True):
            layer.weight = nn.Parameter(part, requires_grad=False)

    def __call__(self, x: Tensor) -> Tensor:
        """(…, columns) → (…, rows), those of the first, of the second and so on."""
        return F.linear(x, self._weight, self._bias)


def joined(*layers: nn.Module | None) -> Joined | None:
    """The product of layers of one form; None where one is missing, or of another kind."""
    plain = [layer for layer in layers if type(layer) is nn.Linear]
    alike = {(layer.weight.dtype, layer.bias is None) for layer in plain}
    if len(plain) < len(layers) or len(alike) > 1:
        return None
    return Joined(plain)
