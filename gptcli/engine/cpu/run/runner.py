"""A Runner whose model is one call into the kernels. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import Array
from gptcli.engine.cpu.packing.section import EMBEDDING, UNEMBEDDING
from gptcli.engine.cpu.packing.sections import shapes
from gptcli.engine.cpu.run.cache_dtype import cache_dtype, said
from gptcli.engine.cpu.run.key_groups import KEY_GROUP
from gptcli.engine.cpu.run.norm import normed
from gptcli.engine.cpu.run.packed_model import PackedModel
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.runner import CHUNK, HEAD_ROWS, RunnerFacts
from gptcli.engine.state.forward_state import ForwardState
from gptcli.engine.state.model_state import ModelState, new_state
from gptcli.engine.state.paged_state import PagedState
from gptcli.engine.state.pages import PAGE
from gptcli.types.events import Notice

if TYPE_CHECKING:
    from gptcli.engine.cpu.run.changed import Changes
    from gptcli.engine.edits import Edit
    from gptcli.engine.probe import Probe


class KernelRunner:
    """See Runner. limit: the context that the model was packed for; notices: of its packing; cache:
    of what keys and values are, None for the dtype's own; tells: makes the fingerprint.
    """

    def __init__(
        self,
        model: PackedModel,
        spec: ModelSpec,
        dtype_name: str,
        limit: int,
        notices: Sequence[Notice] = (),
        tells: Callable[[], str] | None = None,
        *,
        cache: np.dtype[Any] | None = None,
    ) -> None:
        self.notices, self.limit = tuple(notices), limit
        self.model, self.spec = model, spec
        self._dtype_name, self._tells = dtype_name, tells
        self._like = np.empty(0, cache or cache_dtype(dtype_name))
        self.edits: tuple[Edit, ...] = ()
        self._changes: Changes | None = None

    @cached_property
    def facts(self) -> RunnerFacts:
        """See Runner."""
        return RunnerFacts(
            device="cpu",
            dtype=self._dtype_name,
            activations=self.model.activations,
            itemsize=self._like.itemsize,
            threads=self.model.threads,
            instructions=self.model.instructions,
            weight_bytes=self.model.weight_bytes,
            alike=True,
            kv_dtype=said(self._dtype_name, self._like.dtype),
        )

    @cached_property
    def fingerprint(self) -> str | None:
        """See Runner."""
        plain = None if self._tells is None else self._tells()
        if plain is None or not self.edits:
            return plain
        from gptcli.engine.edits import digest

        return digest(self.edits, plain)

    def edited(self, edits: Sequence[Edit]) -> KernelRunner:
        """See Runner."""
        from gptcli.engine.cpu.run.changed import Changes
        from gptcli.engine.edits import that_change

        other, every = copy(self), (*self.edits, *that_change(edits, self.spec))
        vars(other).pop("fingerprint", None)
        other.edits, other._changes = every, Changes(self.spec, every) if every else None
        return other

    def wait(self) -> None:
        """See Runner: a call into the kernels returns when all is done."""

    def memory_reader(self, size: int) -> Callable[[], None]:
        """See Runner."""
        return self.model.memory_reader(size)

    def new_state(self, batch: int = 1) -> ModelState:
        """See Runner."""
        return new_state(self.spec, batch, self._like, limit=self.limit, group=KEY_GROUP)

    def new_pages(self, pages: int, *, size: int = PAGE) -> PagedState:
        """See Runner."""
        return PagedState(
            self.spec, self._like, limit=self.limit, pages=pages, size=size, group=KEY_GROUP
        )

    def run(
        self, rows: Sequence[Sequence[int]], state: PagedState, wanted: Sequence[int]
    ) -> NDArray[np.float32]:
        """See Runner. At most CHUNK tokens go through at once."""
        parts = list(self._parts(rows, state, np.array(wanted, np.int64), CHUNK))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def prefill(
        self,
        rows: Sequence[Sequence[int]],
        state: ModelState,
        *,
        chunk: int = CHUNK,
        probe: Probe | None = None,
    ) -> NDArray[np.float32]:
        """See Runner. At most `chunk` tokens go through at once, of all rows together."""
        last = np.cumsum([len(row) for row in rows]) - 1
        parts = list(self._parts(rows, state, last, chunk, probe))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def decode(
        self, ids: Sequence[int], state: ModelState, *, probe: Probe | None = None
    ) -> NDArray[np.float32]:
        """See Runner."""
        if probe is not None or self._changes is not None:
            return self.prefill([[token] for token in ids], state, probe=probe)
        # What `_parts` does, without what takes a moment each time.
        count, rows = len(ids), range(len(ids))
        state.reserve([1] * count)
        logits = self.model.forward(ids, rows, state.lengths, state.layers, rows)
        state.advance([1] * count)
        return logits

    def all_logits(self, row: Sequence[int], state: ModelState) -> NDArray[np.float32]:
        """See Runner."""
        return np.concatenate(list(self._parts([row], state, np.arange(len(row)), CHUNK)))

    def logits_in_parts(
        self,
        row: Sequence[int],
        state: ModelState,
        *,
        first: int = 0,
        chunk: int = CHUNK,
        rows: int = HEAD_ROWS,
    ) -> Iterator[NDArray[np.float32]]:
        """See Runner."""
        for _ in self._parts([row[:first]], state, np.arange(0), chunk):
            pass
        rest = row[first:]
        yield from self._parts([rest], state, np.arange(len(rest)), min(chunk, rows))

    def logits_of_rows(
        self, rows: Sequence[Sequence[int]], state: ModelState, *, most: int = HEAD_ROWS
    ) -> Iterator[NDArray[np.float32]]:
        """See Runner."""
        return self._parts(rows, state, np.arange(sum(map(len, rows))), most)

    def logits_of_streams(self, streams: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Runner."""
        return self.model.unembed(streams)

    def normed(self, streams: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Runner."""
        weight, bias = (self.model.rows(f"final_norm.{name}") for name in ("weight", "bias"))
        return normed(streams, self.spec.norm, weight, bias)

    def embeddings(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """See Runner."""
        return np.asarray(self.weights(EMBEDDING, ids))

    def weights(self, name: str, rows: Sequence[int] | None = None) -> Array | None:
        """See Runner."""
        return self.model.rows(self.model.packed.head if name == UNEMBEDDING else name, rows)

    def sinks(self, layer: int) -> NDArray[np.float32] | None:
        """See Runner."""
        return self.weights(f"layers.{layer}.attention.sinks")

    def layer_scale(self, layer: int) -> float:
        """See Runner."""
        found = self.weights(f"layers.{layer}.scale")
        return 1.0 if found is None else float(found[0])

    def shapes(self) -> Iterable[tuple[str, tuple[int, ...]]]:
        """See Runner."""
        return shapes(self.spec).items()

    def _parts(
        self,
        rows: Sequence[Sequence[int]],
        state: ForwardState,
        wanted: NDArray[np.int64],
        most: int,
        probe: Probe | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """The logits of the wanted tokens, in parts, one for every `most` tokens that are run.

        The rows stand one after another: a row's later tokens may run in a later call than its
        first, next to the first tokens of another row.
        """
        if probe is not None and len(rows) > 1:
            raise ValueError(f"a probe looks on while one row runs, and not {len(rows)}")
        counts, changes = [len(row) for row in rows], self._changes
        state.reserve(counts)
        tokens = np.fromiter(chain.from_iterable(rows), np.int32, sum(counts))
        row_of = np.repeat(np.arange(len(rows), dtype=np.int32), counts)
        # A token's place in its row is its place among all, less where its row begins.
        starts = np.array(state.lengths) - np.cumsum([0, *counts[:-1]])
        positions = (np.arange(len(tokens)) + starts[row_of]).astype(np.int32)
        for start in range(0, len(tokens), most):
            part = slice(start, start + most)
            here = wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, start + most)]
            shown = None
            if probe is not None:
                from gptcli.engine.cpu.run.shown import Shown

                first = int(positions[start])
                shown = Shown(self.spec, probe, range(first, first + len(tokens[part])))
            taken = np.bincount(row_of[part], minlength=len(rows)).tolist()
            state.under_way = taken
            logits = self.model.forward(
                tokens[part],
                row_of[part],
                positions[part],
                state.layers,
                (here - start).astype(np.int32),
                None if shown is None else shown.struct,
                edits=None if changes is None else changes.of(row_of[part], positions[part]),
                table=state.table,
                slots=state.slots,
            )
            # Counted call by call, so that an interruption leaves what was stored before it.
            state.advance(taken)
            if shown is not None:
                shown.show(state)
            yield logits
