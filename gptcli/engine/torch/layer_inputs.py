"""What each layer is told of its token: see LayerInputs. Shapes: b batch, t time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcli.engine.model.layer_inputs import LayerInputs
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.torch.mlp import ACTIVATIONS
from gptcli.engine.torch.norm import Norm
from gptcli.engine.torch.table import Table


class ToldToLayers(nn.Module):
    """The table of all tokens and what the embedding is projected to, for all layers at once."""

    def __init__(self, spec: ModelSpec, inputs: LayerInputs) -> None:
        super().__init__()
        self.layers, self.size = spec.layers, inputs.size
        self.table = Table(inputs.rows, spec.layers * inputs.size)
        self.project = nn.Linear(spec.width, spec.layers * inputs.size, bias=False)
        self.norm = Norm(spec.norm, inputs.size)
        self.width_scale = spec.width**-0.5
        self.scale = math.sqrt(inputs.size)

    def prepare(self) -> None:
        """Round as the model's dtype does, once its weights are in place."""
        scale = torch.tensor(math.sqrt(self.size), dtype=self.table.weight.dtype)
        self.scale = scale.item()

    def forward(self, ids: Tensor, embedded: Tensor) -> Tensor:
        """(b, t) and their embeddings (b, t, width) → (b, t, layers, size)."""
        shape = (*ids.shape, self.layers, self.size)
        looked_up = F.embedding(ids, self.table.weight).view(shape) * self.scale
        projected = (self.project(embedded) * self.width_scale).view(shape)
        return (self.norm(projected) + looked_up) * 2**-0.5  # type: ignore[no-any-return]


class Told(nn.Module):
    """What one layer makes of what it is told, by what its stream lets through."""

    def __init__(self, spec: ModelSpec, inputs: LayerInputs) -> None:
        super().__init__()
        self.gate = nn.Linear(spec.width, inputs.size, bias=False)
        self.out = nn.Linear(inputs.size, spec.width, bias=False)
        self.norm = Norm(spec.norm, spec.width)
        self.activation = ACTIVATIONS[spec.activation]

    def forward(self, stream: Tensor, told: Tensor) -> Tensor:
        """(b, t, width), (b, t, size) → what is added to the stream, (b, t, width)."""
        return self.norm(self.out(self.activation(self.gate(stream)) * told))  # type: ignore[no-any-return]
