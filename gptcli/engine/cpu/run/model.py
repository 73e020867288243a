"""A model that runs in the compiled kernels: ids in, logits out, its state in numpy."""

from __future__ import annotations

import ctypes as c
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding import abi, calls
from gptcli.engine.cpu.binding.coverage import covers
from gptcli.engine.cpu.binding.library import DONE, NO_MEMORY, Library, default_threads
from gptcli.engine.cpu.packing.memory import PackedWeights, reserve
from gptcli.engine.cpu.run.key_groups import KEY_GROUP
from gptcli.engine.cpu.run.model_struct import Weights
from gptcli.engine.cpu.run.packed_model import Ids
from gptcli.engine.cpu.run.parameters import rows_of
from gptcli.engine.cpu.run.placed import Placed
from gptcli.engine.host import traffic
from gptcli.engine.model.angles import Floats, angles
from gptcli.engine.state.recurrent_state import shapes

__all__ = ["KernelModel", "covers"]

#: What numpy calls the numbers of each kind of cache.
_FLOATS = {kind.name: name for kind, name in abi.FLOATS.items()}
_CACHES = {np.dtype(_FLOATS.get(each.name, "int8")): each for each in abi.CacheKind}
#: Positions by which the table of angles grows.
GROWTH = 1024
#: Forwards after which a model goes on long enough for its weights to be moved: that costs about
#: what it saves over one or two hundred tokens.
SETTLED = 64


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
        self._call = calls.Call()
        self._placed: Placed | None = None
        self._rows = 0
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
        layers: Sequence[Any],
        wanted: Ids,
        shown: calls.Copies | None = None,
        squares: calls.Squares | None = None,
        *,
        edits: calls.CallEdits | None = None,
        table: NDArray[np.int32] | None = None,
        near: NDArray[np.int32] | None = None,
        slots: NDArray[np.int32] | None = None,
    ) -> NDArray[np.float32]:
        """Run n tokens through all layers; logits of those `wanted`, (len(wanted), vocab).

        tokens, rows, positions: n ids, the row of the batch that each belongs to and where it
        stands there; it sees what stands before it in its row, other tokens of this call included.
        layers: keys and values, laid out as source/cache.h says, which are written to; of mixers a
        RecurrentState, padded to KEY_GROUP. wanted: below n. shown: where to copy what a probe
        wants. squares: what those of all that matrices read are added to. edits: what is changed on
        the way. table: (rows, pages), which pages hold each row's positions; near: the same of
        layers that do not see all; slots: (rows), which of the mixers' states each row has, where
        that is not the one of its number. Raises ValueError for what does not fit or a closed
        model, MemoryError.
        """
        if not self._opened:
            raise ValueError("the model was closed")
        call, count, asked = self._call, len(tokens), len(wanted)
        if not len(rows) == len(positions) == count or count == 0:
            raise ValueError(f"{count} tokens, {len(rows)} rows, {len(positions)} positions")
        for each in (table, near):
            if each is not None and (each.dtype != np.int32 or not each.flags.c_contiguous):
                raise ValueError("a table of pages must be a contiguous array of int32")
        self._move_weights()
        if (needed := int(max(positions)) + 1) > call.angles:
            self._grow_angles(needed)
        # Kept by these names until the call is over.
        numbers = np.array([*tokens, *rows, *positions, *wanted], dtype=np.int32)
        logits, at = np.empty((asked, self.spec.vocab), dtype=np.float32), numbers.ctypes.data
        self._place(layers)
        call.count, call.wanted_count = count, asked
        call.tokens, call.rows, call.positions = at, at + 4 * count, at + 8 * count
        call.wanted = at + 12 * count
        call.logits = logits.ctypes.data
        call.probe = None if shown is None else c.pointer(shown)
        call.squares = None if squares is None else c.pointer(squares)
        call.edits = None if edits is None else c.pointer(edits)
        for name, each in (("table", table), ("near", near)):
            setattr(call, name, None if each is None else each.ctypes.data)
        call.row_count, call.row_pages = (self._rows, 0) if table is None else table.shape
        call.slots = None if slots is None else slots.ctypes.data
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

    def rows(self, name: str, rows: Sequence[int] | None = None) -> NDArray[np.float32] | None:
        """See `rows_of`."""
        return rows_of(self.packed, self.library, self.threads, name, rows)

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

    def _place(self, layers: Sequence[Any]) -> None:
        if self._placed is not None and self._placed.holds(layers):
            return
        if len(layers) != self.spec.layers:
            raise ValueError(f"states of {len(layers)} layers for {self.spec.layers}")
        call = self._call
        attends = [i for i, each in enumerate(self.spec.each_layer) if each.keeps]
        # Where no layer has a cache, there is room for all rows.
        self._rows = 1 << 30
        if attends:
            dtype = layers[attends[0]].keys.dtype
            if dtype not in _CACHES:
                raise ValueError(f"keys and values cannot be {dtype}")
            call.cache_kind = _CACHES[dtype]
            self._rows = min(len(layers[at].keys) for at in attends)
        for at in attends:
            batch, _, capacity, _ = layers[at].keys.shape
            shape = (batch, self.spec.shapes[at].kv_heads, capacity)
            widths = [(*shape, width) for width in self.spec.shapes[at].widths(dtype.itemsize)]
            _check_arrays((layers[at].keys, layers[at].values), widths, dtype)
            origins = layers[at].origins
            if origins is not None and (origins.shape, origins.dtype) != ((batch,), np.int32):
                raise ValueError(f"the origins of {batch} rows must be as many of int32")
        call.slot_count = 0
        recurrent = list[int]()
        for at, each in enumerate(self.spec.each_layer):
            if each.mixer is not None:
                recurrent.append(at)
                arrays = layers[at].inputs, layers[at].memory
                call.slot_count = len(arrays[0])
                one, other = shapes(each.mixer, KEY_GROUP)
                wanted = (call.slot_count, *one), (call.slot_count, *other)
                _check_arrays(arrays, wanted, np.dtype(np.float32))
        # An interruption must leave no pointers that are taken for those of other arrays.
        self._placed = None
        placed = Placed(layers, attends, recurrent)
        for name in ("kept", "inputs", "memory"):
            setattr(call, name, c.addressof(getattr(placed, name)))
        self._placed = placed


def _check_arrays(
    arrays: tuple[Any, Any], wanted: Iterable[tuple[int, ...]], dtype: np.dtype[Any]
) -> None:
    for array, shape in zip(arrays, wanted, strict=True):
        if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
            raise ValueError(f"a layer's state must be contiguous arrays of shape {shape}")


def _check(result: int, count: int, otherwise: str) -> None:
    if result == NO_MEMORY:
        raise MemoryError(f"not enough memory for {count} tokens")
    if result != DONE:
        raise ValueError(otherwise)
