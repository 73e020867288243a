"""A piece of packed memory: one parameter, and in which kinds a model's matrices are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Literal

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.plain import dataclass

#: Bytes that every section begins at a multiple of: a cache line.
LINE = 64
ROWS = 16
EMBEDDING, UNEMBEDDING = "embedding.weight", "unembedding.weight"
#: Of all tokens, for all layers: only rows of it are read. It stands last.
LAYER_TABLE = "layer_inputs.table.weight"


@dataclass(frozen=True)
class Kinds:
    """How the matrices of a model are stored.

    body: those of the layers; head: the unembedding; table: the embedding (and routers). A head
    that is tied and of the table's kind is the embedding, and stored once. own: sections, by
    name, that have another kind than that; ordered: those whose columns stand in an order of their
    own.
    """

    body: Kind
    head: Kind
    table: Kind
    own: Mapping[str, Kind] = field(default_factory=dict)
    ordered: frozenset[str] = frozenset()

    @staticmethod
    def all(kind: Kind) -> Kinds:
        """One kind for everything."""
        return Kinds(kind, kind, kind)


@dataclass(frozen=True)
class Section:
    """A piece of packed memory: one parameter.

    name: the parameter's, but UNEMBEDDING for a tied head that is stored by itself. form: a
    "matrix" in panels of 16 rows as source/kinds/panel.h says, a "table" of rows of float32, a
    "vector" of float32, padded to 16, or a "filter" of as many of these as it has columns; of a
    matrix' columns the "order", int32, and a "scale" of all its numbers, float32. rows: for all but
    tables, matrices and filters, numbers. added: what is added to every number. heads: the first
    axis of a vector's parameter, where that has two.
    """

    name: str
    parameter: str
    form: Literal["matrix", "table", "vector", "filter", "order", "scale"]
    kind: Kind
    rows: int
    columns: int = 1
    added: float = 0.0
    heads: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the parameter."""
        if self.form != "vector":
            return self.rows, self.columns
        return (self.rows,) if self.heads is None else (self.heads, self.rows // self.heads)

    @property
    def padded(self) -> int:
        """Rows, padded to whole panels."""
        return -(-self.rows // ROWS) * ROWS

    def bytes(self, panel_bytes: Callable[[int, int], int]) -> int:
        """How long it is; `panel_bytes` tells that of a panel of a kind, of so many columns."""
        if self.form == "matrix":
            return self.padded // ROWS * panel_bytes(self.kind, self.columns)
        padded = self.form in ("vector", "filter")
        return 4 * (self.padded if padded else self.rows) * self.columns
