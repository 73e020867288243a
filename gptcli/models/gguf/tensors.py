"""Tensors of a model as data: `{i}` in a name stands for the layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from gptcli.formats.gguf.taken import RopeOrder
from gptcli.models.gguf.sizes import EMBEDDING, HEAD, Sizes
from gptcli.models.gguf.takes import Take, Woven

LAYER, BLOCK = "model.layers.{i}", "blk.{i}"


def linear(
    name: str, source: str, rows: int, columns: int, *, bias: bool = False, **options: Any
) -> list[Take]:
    """The matrix of a linear layer, and its bias. options: those of Take."""
    found = [Take(f"{name}.weight", f"{source}.weight", (rows, columns), **options)]
    if bias:
        options = {**options, "transpose": False}
        found.append(Take(f"{name}.bias", f"{source}.bias", (rows,), **options))
    return found


def norm(
    name: str, source: str, width: int, *, bias: bool = False, shift: float = 0.0
) -> list[Take]:
    """The scale of a norm, and its offset."""
    found = [Take(f"{name}.weight", f"{source}.weight", (width,), shift=shift)]
    if bias:
        found.append(Take(f"{name}.bias", f"{source}.bias", (width,)))
    return found


def attention(
    sizes: Sizes,
    *,
    turned: bool = False,
    qkv_bias: bool = False,
    out: str = "o_proj",
    out_bias: bool = False,
) -> list[Take]:
    """Queries, keys, values and the projection out, each by itself, under Llama's names.

    turned: rows of queries and keys are in llama.cpp's order for its Llama kinds.
    """
    theirs = f"{LAYER}.self_attn"

    def order(heads: int) -> RopeOrder | None:
        return RopeOrder(heads) if turned else None

    width, keys = sizes.width, sizes.keys
    rows = [("q", sizes.queries, order(sizes.heads)), ("k", keys, order(sizes.kv_heads))]
    found = []
    for part, count, placed in [*rows, ("v", keys, None)]:
        source = f"{BLOCK}.attn_{part}"
        found += linear(f"{theirs}.{part}_proj", source, count, width, bias=qkv_bias, order=placed)
    source = f"{BLOCK}.attn_output"
    return found + linear(f"{theirs}.{out}", source, width, sizes.queries, bias=out_bias)


def gated_mlp(sizes: Sizes, *, bias: bool = False, block: str = "mlp") -> list[Take]:
    """The gate, up and down of a gated MLP, under Llama's names in a module of the layer."""
    theirs, width, hidden = f"{LAYER}.{block}", sizes.width, sizes.hidden
    return [
        *linear(f"{theirs}.gate_proj", f"{BLOCK}.ffn_gate", hidden, width, bias=bias),
        *linear(f"{theirs}.up_proj", f"{BLOCK}.ffn_up", hidden, width, bias=bias),
        *linear(f"{theirs}.down_proj", f"{BLOCK}.ffn_down", width, hidden, bias=bias),
    ]


def plain_mlp(sizes: Sizes, up: str, down: str, *, bias: bool = True) -> list[Take]:
    """The up and down of an MLP without a gate."""
    width, hidden = sizes.width, sizes.hidden
    return [
        *linear(up, f"{BLOCK}.ffn_up", hidden, width, bias=bias),
        *linear(down, f"{BLOCK}.ffn_down", width, hidden, bias=bias),
    ]


def mixture(
    sizes: Sizes,
    experts: int,
    hidden: int,
    block: str,
    names: tuple[str, str, str],
    *,
    exact: bool = False,
) -> list[Take]:
    """A router, and experts that are a stack in the file and stored one by one.

    hidden: of one expert; block: where they are stored; names: of gate, up and down. exact:
    the router is stored in float32.
    """
    theirs, width = f"{LAYER}.{block}", sizes.width
    found = linear(f"{theirs}.gate", f"{BLOCK}.ffn_gate_inp", experts, width, exact=exact)
    shapes = {"gate": (hidden, width), "up": (hidden, width), "down": (width, hidden)}
    for name, (part, shape) in zip(names, shapes.items(), strict=True):
        found += stacked(theirs, name, part, experts, shape)
    return found


def stacked(
    block: str, name: str, part: str, experts: int, shape: tuple[int, int]
) -> Iterator[Take]:
    """A matrix of each expert, stored one by one, which are a stack in the file.

    name: as it is stored in an expert; part: as the file has it; shape: of one.
    """
    rows = shape[0]
    for expert in range(experts):
        yield Take(
            f"{block}.experts.{expert}.{name}.weight",
            f"{BLOCK}.ffn_{part}_exps.weight",
            (experts, *shape),
            part=(expert * rows, (expert + 1) * rows),
            stored=shape,
        )


def norms(
    width: int, pairs: dict[str, str], *, bias: bool = False, shift: float = 0.0
) -> list[Take]:
    """The norms of a layer: stored name → the file's."""
    found = []
    for name, source in pairs.items():
        found += norm(f"{LAYER}.{name}", f"{BLOCK}.{source}", width, bias=bias, shift=shift)
    return found


def whole(
    sizes: Sizes,
    per_layer: Iterable[Take | Woven] | Callable[[int], Iterable[Take | Woven]],
    *,
    embedding: str = "model.embed_tokens",
    final_norm: str = "model.norm",
    final_bias: bool = False,
    final_shift: float = 0.0,
    norm_source: str = "output_norm",
    head: str = "lm_head",
) -> tuple[Take | Woven, ...]:
    """All takes of a model: the embedding, the layers, the last norm and the head.

    per_layer: of every layer, or what they are for each.
    """
    vocabulary = (sizes.vocab, sizes.width)
    found: list[Take | Woven] = [Take(f"{embedding}.weight", EMBEDDING, vocabulary)]
    alike = [] if callable(per_layer) else list(per_layer)
    for layer in range(sizes.layers):
        parts = per_layer(layer) if callable(per_layer) else alike
        found += [_at(part, str(layer)) for part in parts]
    found += norm(final_norm, norm_source, sizes.width, bias=final_bias, shift=final_shift)
    if not sizes.tied:
        found.append(Take(f"{head}.weight", HEAD, vocabulary))
    return tuple(found)


def _at(take: Take | Woven, layer: str) -> Take | Woven:
    name = take.name.replace("{i}", layer)
    if not isinstance(take, Take):
        sources = tuple(source.replace("{i}", layer) for source in take.sources)
        return replace(take, name=name, sources=sources)
    return replace(take, name=name, source=take.source.replace("{i}", layer))
