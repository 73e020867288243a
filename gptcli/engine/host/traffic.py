"""Bytes that one token of one row has to read from memory: weights, and keys and values.

What reads at most as fast as memory gives cannot decode faster than this (the memory side of the
roofline model, Williams et al. 2009, doi:10.1145/1498765.1498785).
"""

from __future__ import annotations

from collections.abc import Iterable

from gptcli.engine.model.spec import LayerSpec, ModelSpec


def weight_bytes(spec: ModelSpec, parts: Iterable[tuple[str, int]]) -> int:
    """Of a model's parts, (name, bytes), what a token reads.

    Tables of which it reads a row only (embeddings) are not to be among the parts. Of a mixture
    it reads the experts that it goes through.
    """
    always, experts = 0, 0
    for name, size in parts:
        if ".experts." in name:
            experts += size
        else:
            always += size
    if spec.experts is not None:
        experts = experts * spec.experts.chosen // spec.experts.count
    return always + experts


def cache_bytes(spec: ModelSpec, itemsize: int, depth: int, tokens: int) -> float:
    """Bytes of keys and values that each of `tokens` tokens after `depth` others reads, the mean.

    A token reads its own too; where attention has a window or chunks, what stands in these; and the
    states of mixers.
    """
    kept = spec.kept(itemsize)
    size = sum(
        kept[spec.source(layer)] * _seen(each, at)
        for layer, each in enumerate(spec.each_layer)
        for at in range(depth + 1, depth + tokens + 1)
    )
    return size / tokens + spec.row_bytes


def _seen(layer: LayerSpec, tokens: int) -> int:
    """How many of so many tokens the last one sees, itself among them."""
    seen = tokens if layer.window is None else min(tokens, layer.window)
    return seen if layer.chunk is None else min(seen, (tokens - 1) % layer.chunk + 1)
