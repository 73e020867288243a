"""A model that runs in the compiled kernels: ids in, logits out, its state in numpy."""

from __future__ import annotations

import ctypes as c
from collections.abc import Callable, Sequence
from operator import attrgetter, call, is_
from typing import TYPE_CHECKING
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding import abi
from gptcli.engine.cpu.binding.coverage import covers
from gptcli.engine.cpu.binding.library import DONE, NO_MEMORY, Library, default_threads
from gptcli.engine.cpu.packing.memory import PackedWeights, reserve
from gptcli.engine.cpu.run.model_struct import Weights
from gptcli.engine.cpu.run.packed_model import Ids
from gptcli.engine.host import traffic
from gptcli.engine.model.angles import Floats, angles

if TYPE_CHECKING:
    from gptcli.engine.state.keys_values import KeysValues

__all__ = ["KernelModel", "covers"]

#: What numpy calls the numbers of each kind of cache.
_CACHES = {np.dtype(abi.FLOATS[abi.Kind[each.name]]): each for each in abi.CacheKind}
#: Positions by which the table of angles grows.
GROWTH = 1024
_KEYS, _VALUES = attrgetter("keys"), attrgetter("values")
#: Forwards after which a model goes on long enough for its weights to be moved: that costs about
#: what it saves over one or two hundred tokens.
SETTLED = 64


class _Placed:
    """Pointers to the arrays of the last call: to ask numpy costs more than to compare arrays.

    These are not kept alive: of a state that grows, the old ones are to go layer by layer.
    """

    def __init__(self, layers: Sequence[KeysValues]) -> None:
        self._keys = [ref(layer.keys) for layer in layers]
        self._values = [ref(layer.values) for layer in layers]
        pointers = c.c_void_p * len(layers)
        self.keys = pointers(*(layer.keys.ctypes.data for layer in layers))
        self.values = pointers(*(layer.values.ctypes.data for layer in layers))

    def holds(self, layers: Sequence[KeysValues]) -> bool:
        """Whether those of the layers are still the same arrays."""
        return (
            len(layers) == len(self._keys)
            and all(map(is_, map(call, self._keys), map(_KEYS, layers)))
            and all(map(is_, map(call, self._values), map(_VALUES, layers)))
        )


class KernelModel:
    """Packed weights and the library that runs them. Not for several threads at once.

    context: the most tokens that may be used, on which some rotations depend. threads: 0 for
    `default_threads`. met: as what weights of 8 and fewer bits meet activations; where those are
    floats, all weights do.
    """

    def __init__(
        self,
        packed: PackedWeights,
        library: Library,
        *,
        context: int | None = None,
        threads: int = 0,
        met: abi.Met = abi.Met.INT16,
    ) -> None:
        self.spec, self.packed = packed.spec, packed
        self.library = library
        self.context = min(context or self.spec.context, self.spec.context)
        self.threads = threads or default_threads()
        self._weights = Weights(packed, met)
        self._mover = packed.mover
        self._forwards = 0
        self._angles: dict[object, tuple[Floats, Floats]] = {}
        self._call = abi.Call()
        self._placed: _Placed | None = None
        self._opened = library.functions.kernels_open(
            c.byref(self._weights.model), library.instructions.encode(), self.threads
        )
        self._grow_angles(1)

    @property
    def activations(self) -> str | None:
        """What activations are where they meet the weights, None where that is what these are."""
        read = self.packed.read_whole()
        kinds = {section.kind for section in read if section.form == "matrix"}
        return self.library.activations(kinds, abi.Met(self._weights.model.met))

    def forward(
        self,
        tokens: Ids,
        rows: Ids,
        positions: Ids,
        layers: Sequence[KeysValues],
        wanted: Ids,
        shown: abi.Copies | None = None,
        squares: abi.Squares | None = None,
        table: NDArray[np.int32] | None = None,
    ) -> NDArray[np.float32]:
        """Run n tokens through all layers; logits of those `wanted`, (len(wanted), vocab).

        tokens, rows, positions: n ids, the row of the batch that each belongs to and where it
        stands there. Its key and value are written to that place in each layer's, which are laid
        out as source/cache.h says; it sees what stands before it in its row, other tokens of this
        call included. wanted: indices below n. shown: where to copy what a probe wants to see.
        squares: what those of all that matrices read are added to. table: (rows, pages), where the
        layers' arrays are pages: which of them hold each row's positions. Raises ValueError for
        what does not fit and for a model that was closed, MemoryError.
        """
        if not self._opened:
            raise ValueError("the model was closed")
        call, count, asked = self._call, len(tokens), len(wanted)
        if not len(rows) == len(positions) == count or count == 0:
            raise ValueError(f"{count} tokens, {len(rows)} rows, {len(positions)} positions")
        if table is not None and (table.dtype != np.int32 or not table.flags.c_contiguous):
            raise ValueError("a table of pages must be a contiguous array of int32")
        self._move_weights()
        needed = int(max(positions)) + 1
        if needed > call.angles:
            self._grow_angles(needed)
        # Kept by these names until the call is over.
        numbers = np.array([*tokens, *rows, *positions, *wanted], dtype=np.int32)
        logits = np.empty((asked, self.spec.vocab), dtype=np.float32)
        self._place(layers)
        at = numbers.ctypes.data
        call.count, call.wanted_count = count, asked
        call.tokens, call.rows, call.positions = at, at + 4 * count, at + 8 * count
        call.wanted = at + 12 * count
        call.logits = logits.ctypes.data
        call.probe = None if shown is None else c.pointer(shown)
        call.squares = None if squares is None else c.pointer(squares)
        call.table = None if table is None else table.ctypes.data
        call.table_rows, call.row_pages = (0, 0) if table is None else table.shape
        result = self.library.functions.kernels_forward(self._opened, c.byref(call))
        _check(result, count, "a token, row or position is outside of the model or the cache")
        return logits

    def unembed(self, streams: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (n, vocab) of streams (n, width), before the final norm. Raises as `forward`."""
        if not self._opened:
            raise ValueError("the model was closed")
        count, width = streams.shape
        if width != self.spec.width or streams.dtype != np.float32:
            raise ValueError(f"streams cannot be {streams.dtype} of shape {streams.shape}")
        streams = np.ascontiguousarray(streams)
        logits = np.empty((count, self.spec.vocab), dtype=np.float32)
        result = self.library.functions.kernels_unembed(
            self._opened, streams.ctypes.data, count, logits.ctypes.data
        )
        _check(result, count, "there are no streams")
        return logits

    def embeddings(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Rows of the embedding, (n, width). Raises ValueError for ids that are none."""
        out = np.empty((len(ids), self.spec.width), dtype=np.float32)
        result = self.library.functions.kernels_rows(
            self.library.instructions.encode(),
            c.byref(self._weights.model.embedding),
            ids.ctypes.data,
            len(ids),
            out.ctypes.data,
            self.threads,
        )
        _check(result, len(ids), "a token is outside of the vocabulary")
        return out

    @property
    def instructions(self) -> str:
        """The set of instructions in use, one of `library.FEATURES`."""
        return self.library.instructions

    @property
    def weight_bytes(self) -> int:
        """Bytes of packed weights that a token of one row reads, see `traffic`."""
        panel_bytes = self.library.functions.kernels_panel_bytes
        read = self.packed.read_whole()
        return traffic.weight_bytes(
            self.spec, ((each.name, each.bytes(panel_bytes)) for each in read)
        )

    def memory_reader(self, size: int) -> Callable[[], None]:
        """What reads `size` bytes of memory, by as many threads as run the model."""
        memory = reserve(size)
        # Memory that nobody wrote to is one page of zeros, over and over.
        memory.fill(1)

        def read() -> None:
            self.library.functions.kernels_read(memory.ctypes.data, size, self.threads)

        return read

    def close(self) -> None:
        """Free what the kernels hold. The model cannot be used afterwards."""
        if self._opened:
            self.library.functions.kernels_close(self._opened)
            self._opened = None

    def __del__(self) -> None:
        if getattr(self, "_opened", None):
            self.close()

    def _move_weights(self) -> None:
        """Bring some weights nearer, once that is worth it."""
        self._forwards += 1
        if self._mover is None or self._forwards <= SETTLED:
            return
        moved = self._mover.step()
        self._weights.move(moved)
        if not moved:
            self._mover = None

    def _grow_angles(self, needed: int) -> None:
        if needed > self.context:
            raise ValueError(f"position {needed - 1} is beyond the context of {self.context}")
        rows = min(max(needed, 2 * self._call.angles, GROWTH), self.context)
        self._angles = {rope: angles(rope, rows, self.context) for rope in self._weights.ropes}
        self._weights.point_to_angles(self._angles)
        self._call.angles = rows

    def _place(self, layers: Sequence[KeysValues]) -> None:
        if self._placed is not None and self._placed.holds(layers):
            return
        if len(layers) != self.spec.layers:
            raise ValueError(f"states of {len(layers)} layers for {self.spec.layers}")
        batch, _, capacity, _ = layers[0].keys.shape
        dtype = layers[0].keys.dtype
        if dtype not in _CACHES:
            raise ValueError(f"keys and values cannot be {dtype}")
        for layer, sizes in zip(layers, self.spec.shapes, strict=True):
            shape = (batch, sizes.kv_heads, capacity, sizes.head_dim)
            for array in (layer.keys, layer.values):
                if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
                    raise ValueError(f"keys and values must be contiguous arrays of shape {shape}")
        # An interruption must leave no pointers that are taken for those of other arrays.
        self._placed = None
        placed = _Placed(layers)
        self._call.keys = c.addressof(placed.keys)
        self._call.values = c.addressof(placed.values)
        self._call.batch, self._call.capacity = batch, capacity
        self._call.cache_kind = _CACHES[dtype]
        self._placed = placed


def _check(result: int, count: int, otherwise: str) -> None:
    if result == NO_MEMORY:
        raise MemoryError(f"not enough memory for {count} tokens")
    if result != DONE:
        raise ValueError(otherwise)
