"""Norms over the last axis."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcli.engine.model.spec import NormSpec


class Norm(nn.Module):
    """A norm over the last axis, with a weight for each feature, or for each of some heads."""

    def __init__(self, spec: NormSpec, *shape: int) -> None:
        super().__init__()
        self.spec = spec
        self.weight = None if spec.weightless else nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(shape)) if spec.bias else None
        self.fused = spec.weightless or (len(shape) == 1 and not spec.offset)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        over, eps = x.shape[-1:], self.spec.eps
        if self.fused or self.weight is None:
            if self.spec.kind == "rmsnorm":
                return F.rms_norm(x, over, self.weight, eps)
            return F.layer_norm(x, over, self.weight, self.bias, eps)
        kernel = F.rms_norm if self.spec.kind == "rmsnorm" else F.layer_norm
        weight = self.weight.float()
        normed = kernel(x.float(), over, eps=eps) * (1 + weight if self.spec.offset else weight)
        if self.bias is not None:
            normed = normed + self.bias.float()
        return normed.to(x.dtype)
