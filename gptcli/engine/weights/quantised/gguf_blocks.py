"""GGUF's blocks, as gptcli keeps them of the files that it converts: see formats.ggml_blocks.

Rows are outputs, also in a family whose plain weights are stored as (in, out).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.weights.checkpoint import SourceTensor
from gptcli.engine.weights.quantised.base import QuantisedWeight
from gptcli.errors import ModelError
from gptcli.formats import ggml_blocks


@dataclass(frozen=True)
class GgufBlocks:
    """Every name says by itself what it holds: there is nothing to be set."""

    parts = frozenset(ggml_blocks.PARTS)
    unread: frozenset[str] = frozenset()

    def left_out(self, module: str) -> bool:
        """See Method."""
        return False

    def is_packed(self, parts: Mapping[str, SourceTensor]) -> bool:
        """See Method."""
        return True

    def weight(self, packed: QuantisedWeight) -> SourceTensor:
        """See Method. Numbers are exact in float32."""
        name, *others = packed.parts
        stored = packed.parts[name]
        if others:
            reason = f"{packed.module}.weight is stored twice, as {name} and as {others[0]}"
            raise ModelError(str(stored.file), reason)
        packed.check_dtype(stored, torch.uint8)
        form = ggml_blocks.PARTS[name]
        rows, columns = ggml_blocks.shape_in(stored.file, stored.name, form, stored.shape)
        shape = packed.oriented((columns, rows))
        return SourceTensor(f"{packed.module}.weight", stored.file, shape, torch.float32)

    def dequantise(self, packed: QuantisedWeight, parts: Mapping[str, Tensor]) -> Tensor:
        """See Method."""
        ((name, stored),) = parts.items()
        weight = torch.from_numpy(ggml_blocks.dequantise(stored.numpy(), ggml_blocks.PARTS[name]))
        return weight.t() if packed.transpose else weight


def method(config: ConfigFields) -> GgufBlocks:
    """The method that a quantization_config describes. Raises ModelError for what is not known."""
    config.refuse_others("quant_method")
    return GgufBlocks()
