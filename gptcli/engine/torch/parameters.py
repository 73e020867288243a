"""What a decoder computes with, number by number, for who looks at its weights."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from gptcli.engine.torch.adapters import Adapted
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.torch.norm import Norm


def rows_of(decoder: Decoder, name: str, rows: Sequence[int] | None) -> Tensor | None:
    """See Runner.weights."""
    place, _, part = name.rpartition(".")
    if place == "unembedding" and decoder.unembedding is None:
        place = "embedding"
    module: nn.Module = decoder
    for each in filter(None, place.split(".")):
        if getattr(module, each, None) is None:
            return None
        module = getattr(module, each)
    which = slice(None) if rows is None else _index(rows)
    updates: list[Tensor] = []
    if isinstance(module, Adapted):
        if part == "weight":
            sides = zip(module.downs, module.ups, strict=True)
            updates = [up[which].float() @ down.float() for down, up in sides]
        module = module.layer
    found: Tensor | None = getattr(module, part, None)
    if found is None:
        return None
    numbers = found.detach()[which].float()
    for update in updates:
        numbers = numbers + update
    added = part == "weight" and isinstance(module, Norm) and module.spec.offset
    return numbers + 1 if added else numbers


def _index(rows: Sequence[int]) -> slice | list[int]:
    return slice(rows.start, rows.stop) if isinstance(rows, range) else list(rows)
