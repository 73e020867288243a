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
from gptcli.engine.weights.quantised.base import PackedWeight
from gptcli.errors import ModelError
from gptcli.formats import ggml_blocks as blocks


@dataclass(frozen=True)
class GgufBlocks:
    """Every name says by itself what it holds: there is nothing to be set."""

    parts = frozenset(blocks.PARTS)
    unread: frozenset[str] = frozenset()

    def left_out(self, module: str) -> bool:
        """See Method."""
        return False

    def is_packed(self, parts: Mapping[str, SourceTensor]) -> bool:
        """See Method."""
        return True

    def weight(self, packed: PackedWeight) -> SourceTensor:
        """See Method. Numbers are exact in float32."""
        name, *others = packed.parts
        stored = packed.parts[name]
        if others:
            reason = f"{packed.module}.weight is stored twice, as {name} and as {others[0]}"
            raise ModelError(str(stored.file), reason)
        packed.check_dtype(stored, torch.uint8)
        form = blocks.PARTS[name]
        rows, columns = blocks.shape_in(stored.file, stored.name, form, stored.shape)
        shape = packed.oriented((columns, rows))
        return SourceTensor(f"{packed.module}.weight", stored.file, shape, torch.float32)

    def dequantise(self, packed: PackedWeight, parts: Mapping[str, Tensor]) -> Tensor:
        """See Method."""
        ((name, stored),) = parts.items()
        weight = torch.from_numpy(blocks.dequantise(stored.numpy(), blocks.PARTS[name]))
        return weight.t() if packed.transpose else weight


def method(config: ConfigFields) -> GgufBlocks:
    """The method that a quantization_config describes. Raises ModelError for what is not known."""
    config.refuse_others("quant_method")
    return GgufBlocks()
