"""Where each of a model's parameters goes in packed memory, in the order in which it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from gptcli.engine.cpu.binding.abi import TABLES, Kind
from gptcli.engine.model.spec import HeadNorm, LayerShape, LayerSpec, ModelSpec

#: Bytes that every section begins at a multiple of: a cache line.
LINE = 64
ROWS = 16


@dataclass(frozen=True)
class Kinds:
    """How the matrices of a model are stored.

    body: those of the layers; head: the unembedding; table: the embedding (and routers), never
    quantised, since only a row of it is read for a token. own: sections of the body, by name, that
    have another kind than it.
    """

    body: Kind
    head: Kind
    table: Kind
    own: Mapping[str, Kind] = field(default_factory=dict)

    @staticmethod
    def all(kind: Kind) -> Kinds:
        """One float kind for everything."""
        return Kinds(kind, kind, kind)


@dataclass(frozen=True)
class Section:
    """A piece of packed memory, made of one or more parameters.

    form: a "matrix" in panels of 16 rows as source/kinds/panel.h says, a "table" of rows, or a
    "vector" of float32. rows: how many each part has (for a vector: numbers); in matrices and
    vectors each part is padded to 16. turns: the parts take turns, 16 rows each. added: what is
    added to every number. heads: the first axis of a vector's parameter, where that has two.
    """

    name: str
    parts: tuple[str, ...]
    form: Literal["matrix", "table", "vector"]
    kind: Kind
    rows: tuple[int, ...]
    columns: int = 1
    turns: bool = False
    added: float = 0.0
    heads: int | None = None

    def shape(self, number: int) -> tuple[int, ...]:
        """The shape of a part's parameter."""
        if self.form != "vector":
            return self.rows[number], self.columns
        size = self.rows[number]
        return (size,) if self.heads is None else (self.heads, size // self.heads)

    @property
    def padded(self) -> tuple[int, ...]:
        """Rows of each part, padded to whole panels."""
        return tuple(-(-n // ROWS) * ROWS for n in self.rows)

    def bytes(self, panel_bytes: Callable[[int, int], int]) -> int:
        """How long it is; `panel_bytes` tells that of a panel of a kind, of so many columns."""
        if self.form == "matrix":
            return sum(self.padded) // ROWS * panel_bytes(self.kind, self.columns)
        size = np.dtype(TABLES[self.kind]).itemsize
        rows = sum(self.padded if self.form == "vector" else self.rows)
        return rows * self.columns * size


def sections(spec: ModelSpec, kinds: Kinds) -> Iterator[Section]:
    """All sections of a model."""
    for section in _sections(spec, kinds):
        kind = kinds.own.get(section.name)
        yield section if kind is None else replace(section, kind=kind)


def shapes(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    """The parameters of a model and their shapes, as its decoder has them."""
    return {
        name: section.shape(number)
        for section in sections(spec, Kinds.all(Kind.FLOAT32))
        for number, name in enumerate(section.parts)
    }


def _sections(spec: ModelSpec, kinds: Kinds) -> Iterator[Section]:
    yield _table("embedding", spec.vocab, spec.width, kinds.table)
    if spec.learned_positions:
        yield _table("positions", spec.context, spec.width, Kind.FLOAT32)
    if spec.embedding_norm:
        yield from _norm(spec, "embedding_norm", spec.width)
    for index, (this, shape) in enumerate(zip(spec.each_layer, spec.shapes, strict=True)):
        yield from _layer(spec, this, shape, f"layers.{index}", kinds)
    yield from _norm(spec, "final_norm", spec.width)
    table = "embedding" if spec.tied else "unembedding"
    yield Section("head", (f"{table}.weight",), "matrix", kinds.head, (spec.vocab,), spec.width)
    if spec.head_bias:
        yield Section("head.bias", ("head_bias",), "vector", Kind.FLOAT32, (spec.vocab,))


def _layer(
    spec: ModelSpec, this: LayerSpec, shape: LayerShape, at: str, kinds: Kinds
) -> Iterator[Section]:
    inner, shared = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    before, after = spec.norms in ("before", "both"), spec.norms in ("after", "both")
    attention = f"{at}.attention"
    if before:
        yield from _norm(spec, f"{at}.attention_norm", spec.width)
    yield from _matrix(
        f"{at}.qkv",
        [f"{attention}.{name}" for name in ("query", "key", "value")],
        kinds.body,
        (inner, shared, shared),
        spec.width,
        bias=spec.qkv_bias,
    )
    if spec.head_norm is not None:
        for name, heads in (("query_norm", shape.heads), ("key_norm", shape.kv_heads)):
            yield from _head_norm(spec.head_norm, f"{attention}.{name}", heads, shape.head_dim)
    if spec.sinks:
        yield _vector(f"{attention}.sinks", shape.heads)
    out = f"{attention}.out"
    yield from _matrix(out, [out], kinds.body, (spec.width,), inner, bias=spec.out_bias)
    if after:
        yield from _norm(spec, f"{at}.attention_post_norm", spec.width)
    if before and spec.blocks != "parallel_one_norm":
        yield from _norm(spec, f"{at}.mlp_norm", spec.width)
    if this.mixture and spec.experts is not None:
        router = f"{at}.mlp.router"
        yield from _matrix(
            router,
            [router],
            kinds.table,
            (spec.experts.count,),
            spec.width,
            bias=spec.experts.router_bias,
        )
        for n in range(spec.experts.count):
            yield from _mlp(spec, f"{at}.mlp.experts.{n}", spec.experts.hidden, kinds)
    else:
        yield from _mlp(spec, f"{at}.mlp", shape.hidden, kinds)
    if after:
        yield from _norm(spec, f"{at}.mlp_post_norm", spec.width)


def _mlp(spec: ModelSpec, at: str, hidden: int, kinds: Kinds) -> Iterator[Section]:
    names = [f"{at}.gate", f"{at}.up"] if spec.gated else [f"{at}.up"]
    rows = (hidden,) * len(names)
    yield from _matrix(
        f"{at}.into", names, kinds.body, rows, spec.width, bias=spec.mlp_bias, turns=True
    )
    down = f"{at}.down"
    yield from _matrix(down, [down], kinds.body, (spec.width,), hidden, bias=spec.mlp_bias)


def _matrix(
    name: str,
    parts: list[str],
    kind: Kind,
    rows: tuple[int, ...],
    columns: int,
    *,
    bias: bool,
    turns: bool = False,
) -> Iterator[Section]:
    weights = tuple(f"{part}.weight" for part in parts)
    yield Section(name, weights, "matrix", kind, rows, columns, turns)
    if bias:
        biases = tuple(f"{part}.bias" for part in parts)
        yield Section(f"{name}.bias", biases, "vector", Kind.FLOAT32, rows, turns=turns)


def _table(name: str, rows: int, columns: int, kind: Kind) -> Section:
    return Section(name, (f"{name}.weight",), "table", kind, (rows,), columns)


def _norm(spec: ModelSpec, name: str, size: int) -> Iterator[Section]:
    added = 1.0 if spec.norm.offset else 0.0
    yield _vector(f"{name}.weight", size, added)
    if spec.norm.bias:
        yield _vector(f"{name}.bias", size)


def _head_norm(norm: HeadNorm, name: str, heads: int, head_dim: int) -> Iterator[Section]:
    size = head_dim if norm.over == "head" else heads * head_dim
    axis = heads if norm.over == "each_head" else None
    yield _vector(f"{name}.weight", size, 1.0 if norm.norm.offset else 0.0, axis)
    if norm.norm.bias:
        yield _vector(f"{name}.bias", size, heads=axis)


def _vector(name: str, size: int, added: float = 0.0, heads: int | None = None) -> Section:
    return Section(name, (name,), "vector", Kind.FLOAT32, (size,), added=added, heads=heads)
