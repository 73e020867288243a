"""Which matrix gets how many bits, where --dtype int4 rounds: where they save most for their bytes.

All matrices begin in about 4 bits. Then, as long as the bytes last, the one gets more whose loss
shrinks most for each byte: how much its error matters times how much smaller that gets. The bytes
are those of llama.cpp's mixture Q4_K_M for the same shapes.

This follows from the model's shapes, so that where everything stands is known before a weight is
read; and from which blocks give back a matrix as it is, see `grids`.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.packing.section import EMBEDDING, LAYER_TABLE, UNEMBEDDING, Kinds, Section
from gptcli.engine.cpu.packing.sections import sections
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats import ggml_blocks
from gptcli.plain import dataclass

#: Blocks from small to large, and what a search leaves of normal random numbers: the mean square of
#: what is left, in parts of that of the numbers.
_OF_256 = {Kind.Q4_K: 4.8e-3, Kind.Q5_K: 1.17e-3, Kind.Q6_K: 2.7e-4, Kind.Q8_0: 2.3e-5}
#: For rows that are not whole blocks of 256.
_OF_32 = {Kind.IQ4_NL: 5.4e-3, Kind.Q5_0: 1.6e-3, Kind.Q5_1: 1.09e-3, Kind.Q8_0: 2.3e-5}
#: How much a matrix matters, that of queries is 1: the KL divergence that one more of its kind in 4
#: bits brings about, the geometric mean of SmolLM2-135M and Gemma 3 270M.
_MATTERS = {"query": 1.0, "key": 1.2, "value": 2.9, "out": 2.6, "gate": 3.9, "up": 6.5, "down": 7.7}
#: Of latent attention, what they make, as nothing was measured: a latent is keys and values.
_MATTERS |= {"query_latent": 1.0, "absorb": 1.2, "latent": 2.9}
_HEAD = 200.0
#: As the matrices of an MLP that read and say as much.
_MATTERS |= {"latent_in": _MATTERS["up"], "latent_out": _MATTERS["down"]}
#: So much more do those of the MLP matter in the first and the last eighth of the layers.
_ENDS = 2.0
#: Those of all experts of a layer are alike.
_EXPERT = re.compile(r"\.experts\.\d+\.")


@dataclass(frozen=True)
class _Matrix:
    """Matrices that share a kind: one, or those of a layer's experts."""

    names: tuple[str, ...]
    rows: int
    columns: int
    matters: float
    grid: Kind | None

    @cached_property
    def kinds(self) -> dict[Kind, float]:
        """The kinds that it may have, from small to large, and what these leave."""
        found = _OF_32 if self.columns % 256 else _OF_256
        if self.grid is None:
            return found
        whole = self.bytes(self.grid)
        return {k: left for k, left in found.items() if self.bytes(k) < whole} | {self.grid: 0.0}

    def bytes(self, kind: Kind) -> int:
        """How long its blocks are."""
        blocks = -(-self.columns // ggml_blocks.NUMBERS[kind.name])
        return len(self.names) * self.rows * blocks * ggml_blocks.SIZES[kind.name]


def int4_kinds(spec: ModelSpec, grids: Mapping[str, Kind] | None = None) -> Kinds:
    """The kinds of int4. Routers stay in bfloat16.

    grids: for sections, by name, the smallest kind that gives them back as they are.
    """
    found = list(_matrices(spec, grids or {}))
    left = _budget(spec, found) - sum(each.bytes(next(iter(each.kinds))) for each in found)
    chosen = [0] * len(found)
    waiting = [(_gain(each, 0), n) for n, each in enumerate(found) if len(each.kinds) > 1]
    heapq.heapify(waiting)
    while waiting:
        _, number = heapq.heappop(waiting)
        matrix, at = found[number], chosen[number]
        kinds = list(matrix.kinds)
        more = matrix.bytes(kinds[at + 1]) - matrix.bytes(kinds[at])
        if more > left:
            continue
        left -= more
        chosen[number] = at + 1
        if at + 2 < len(kinds):
            heapq.heappush(waiting, (_gain(matrix, at + 1), number))
    own = {
        name: list(each.kinds)[at]
        for each, at in zip(found, chosen, strict=True)
        for name in each.names
    }
    table = EMBEDDING if spec.tied else UNEMBEDDING
    head = own[table]
    if not spec.tied:
        # Of an embedding only a row is read: as Q4_K_M has it.
        own[EMBEDDING] = _of_a_row(spec.width)
    if spec.layer_inputs is not None:
        own[LAYER_TABLE] = _of_a_row(spec.layers * spec.layer_inputs.size)
    return Kinds(Kind.Q4_K, head, Kind.BFLOAT16, own)


def _of_a_row(columns: int) -> Kind:
    return Kind.Q5_0 if columns % 256 else Kind.Q4_K


def _gain(matrix: _Matrix, at: int) -> float:
    """What the next larger kind saves for a byte, negative: a heap begins with the smallest."""
    kinds = list(matrix.kinds)
    saved = matrix.kinds[kinds[at]] - matrix.kinds[kinds[at + 1]]
    return -matrix.matters * saved / (matrix.bytes(kinds[at + 1]) - matrix.bytes(kinds[at]))


def _matrices(spec: ModelSpec, grids: Mapping[str, Kind]) -> Iterator[_Matrix]:
    """The matrices that tokens go through."""
    groups: dict[str, list[Section]] = {}
    for section in sections(spec, Kinds(Kind.Q4_K, Kind.Q4_K, Kind.Q4_K)):
        if section.form == "matrix":
            groups.setdefault(_EXPERT.sub(".experts.", section.name), []).append(section)
    for name, members in groups.items():
        role = name.split(".")[-2]
        names = tuple(each.name for each in members)
        if name == (EMBEDDING if spec.tied else UNEMBEDDING):
            matters = _HEAD
        elif role in _MATTERS:
            matters = _MATTERS[role] * (_ENDS if "mlp" in name and _at_an_end(spec, name) else 1)
        else:
            continue
        (grid, *others) = {grids.get(each) for each in names}
        rows, columns = members[0].shape
        yield _Matrix(names, rows, columns, matters, None if others else grid)


def _at_an_end(spec: ModelSpec, name: str) -> bool:
    layer = int(name.split(".")[1])
    return layer < spec.layers // 8 or layer >= 7 * spec.layers // 8


def _budget(spec: ModelSpec, matrices: Iterable[_Matrix]) -> int:
    """How many bytes Q4_K_M takes of these.

    That has 6 bits for the head, and for values and the last matrix of the MLP in the first and the
    last eighth and in each third layer between them, else 4; and where rows are not whole blocks of
    256, 8 and 5 bits.
    """
    total, eighth = 0, spec.layers // 8
    for each in matrices:
        _, *rest = each.names[0].split(".")
        more = each.names[0] in (EMBEDDING, UNEMBEDDING)
        if not more and rest[-2] in ("value", "down"):
            layer = int(rest[0])
            more = _at_an_end(spec, each.names[0]) or (layer - eighth) % 3 == 2
        if each.columns % 256:
            total += each.bytes(Kind.Q8_0 if more else Kind.Q5_0)
        else:
            total += each.bytes(Kind.Q6_K if more else Kind.Q4_K)
    return total
