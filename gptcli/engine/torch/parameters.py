"""What a decoder computes with, number by number, for who looks at its weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from gptcli.engine.torch.adapters import Adapted
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.torch.norm import Norm
from gptcli.engine.torch.packed import Packed


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
    if isinstance(module, Packed) and part == "weight":
        return module.widened()[which].float()
    found: Tensor | None = getattr(module, part, None)
    if found is None:
        return None
    numbers = found.detach()[which].float()
    for update in updates:
        numbers = numbers + update
    added = part == "weight" and isinstance(module, Norm) and module.spec.offset
    return numbers + 1 if added else numbers


def shapes_of(decoder: Decoder) -> Iterator[tuple[str, tuple[int, ...]]]:
    """See Runner.shapes."""
    for name, each in decoder.named_parameters():
        place, _, part = name.rpartition(".")
        module = decoder.get_submodule(place)
        if not isinstance(module, Packed) or part == "bias":
            yield name, tuple(each.shape)
        elif part == "weight":
            yield name, (module.rows, module.columns)


def _index(rows: Sequence[int]) -> slice | list[int]:
    return slice(rows.start, rows.stop) if isinstance(rows, range) else list(rows)
