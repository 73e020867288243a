"""Prefill and decode by torch: a Decoder on its device."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from functools import cached_property
from itertools import accumulate

import array_api_compat.torch  # noqa: F401 - what `arrays` uses, imported along with torch
import torch
from torch import Tensor

from gptcli.engine.edits import Edit, that_change
from gptcli.engine.host import traffic
from gptcli.engine.probe import Probe
from gptcli.engine.runner import CHUNK, HEAD_ROWS, RunnerFacts
from gptcli.engine.state.forward_state import ForwardState
from gptcli.engine.state.model_state import ModelState, new_state
from gptcli.engine.state.page_memory import PAGE
from gptcli.engine.state.paged_state import PagedState
from gptcli.engine.torch.changed import Changes
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.torch.parameters import rows_of
from gptcli.types.events import Notice


class TorchRunner:
    """See Runner. Probes are shown the tensors of all rows. `limit` is at most the model's own."""

    def __init__(
        self, decoder: Decoder, limit: int | None = None, notices: Sequence[Notice] = ()
    ) -> None:
        self.notices = tuple(notices)
        self.decoder = decoder
        self.spec = decoder.spec
        weight = decoder.embedding.weight
        self.device, self.dtype = weight.device, weight.dtype
        self.limit = min(limit or self.spec.context, self.spec.context)
        self.edits: tuple[Edit, ...] = ()
        self._changes: Changes | None = None
        decoder.prepare(self.limit)

    def edited(self, edits: Sequence[Edit]) -> TorchRunner:
        """See Runner."""
        other = copy(self)
        other.edits = (*self.edits, *that_change(edits, self.spec))
        other._changes = Changes(other.edits) if other.edits else None
        return other

    @cached_property
    def facts(self) -> RunnerFacts:
        """See Runner."""
        # A tied table is read in full by the head.
        rows = {"positions.weight", "layer_inputs.table.weight"}
        rows |= set() if self.spec.tied else {"embedding.weight"}
        parts = ((name, p.nbytes) for name, p in self.decoder.named_parameters())
        return RunnerFacts(
            device=str(self.device),
            dtype=str(self.dtype).removeprefix("torch."),
            activations=None,
            itemsize=self.dtype.itemsize,
            threads=torch.get_num_threads() if self.device.type == "cpu" else None,
            instructions=None,
            weight_bytes=traffic.weight_bytes(
                self.spec, (part for part in parts if part[0] not in rows)
            ),
        )

    @property
    def fingerprint(self) -> None:
        """See Runner: sums of torch depend on how many tokens are computed at once."""

    def wait(self) -> None:
        """See Runner."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def memory_reader(self, size: int) -> Callable[[], None]:
        """See Runner."""
        memory = torch.ones(size // 4, dtype=torch.float32, device=self.device)

        def read() -> None:
            memory.sum()
            self.wait()

        return read

    def new_state(self, batch: int = 1) -> ModelState:
        """See Runner."""
        return new_state(self.spec, batch, self.decoder.embedding.weight, limit=self.limit)

    def new_pages(self, pages: int, *, size: int = PAGE) -> PagedState:
        """See Runner."""
        weight = self.decoder.embedding.weight
        return PagedState(self.spec, weight, limit=self.limit, pages=pages, size=size)

    @torch.inference_mode()
    def run(
        self, rows: Sequence[Sequence[int]], state: PagedState, wanted: Sequence[int]
    ) -> Tensor:
        """See Runner. Rows of one id run together, the others one by one: nothing is padded."""
        held, ends = state.rows, list(accumulate(map(len, rows)))
        single = [at for at, row in enumerate(rows) if len(row) == 1]
        groups = [single, *([at] for at, row in enumerate(rows) if len(row) > 1)]
        streams: dict[int, Tensor] = {}
        try:
            for group in filter(None, groups):
                state.rows = [held[at] for at in group]
                pieces = [rows[at] for at in group]
                found = self._forward(pieces, list(map(len, pieces)), state, rows=group)
                streams |= zip(group, found, strict=True)
        finally:
            state.rows = held
        places = [(bisect_right(ends, place), place) for place in wanted]
        picked = [streams[at][place - ends[at]] for at, place in places]  # from the row's end
        return self.decoder.logits(torch.stack(picked)) if picked else self._no_logits()

    def _no_logits(self) -> Tensor:
        return torch.empty((0, self.spec.vocab), dtype=torch.float32, device=self.device)

    @torch.inference_mode()
    def prefill(
        self,
        rows: Sequence[Sequence[int]],
        state: ModelState,
        *,
        chunk: int = CHUNK,
        probe: Probe | None = None,
    ) -> Tensor:
        """See Runner. Longer prompts go through in chunks.

        The head runs on the last position of each row only: over a whole prompt it would cost
        more memory than all else.
        """
        longest = max(len(row) for row in rows)
        last: list[Tensor | None] = [None] * len(rows)
        for start in range(0, longest, chunk):
            pieces = [row[start : start + chunk] for row in rows]
            counts = [len(piece) for piece in pieces]
            stream = self._forward(pieces, counts, state, probe)
            for row, piece in enumerate(pieces):
                if piece and start + len(piece) == len(rows[row]):
                    last[row] = stream[row, len(piece) - 1]
        found = [stream for stream in last if stream is not None]
        return self.decoder.logits(torch.stack(found))

    @torch.inference_mode()
    def all_logits(
        self, row: Sequence[int], state: ModelState, *, probe: Probe | None = None
    ) -> Tensor:
        """See Runner."""
        return self.decoder.logits(self._forward([row], [len(row)], state, probe)[0])

    @torch.inference_mode()
    def logits_in_parts(
        self,
        row: Sequence[int],
        state: ModelState,
        *,
        first: int = 0,
        chunk: int = CHUNK,
        rows: int = HEAD_ROWS,
    ) -> Iterator[Tensor]:
        """See Runner."""
        for start in range(0, len(row), chunk):
            piece = row[start : start + chunk]
            stream = self._forward([piece], [len(piece)], state)[0]
            for at in range(max(first - start, 0), len(piece), rows):
                yield self.decoder.logits(stream[at : at + rows])

    @torch.inference_mode()
    def decode(
        self, ids: Sequence[int], state: ModelState, *, probe: Probe | None = None
    ) -> Tensor:
        """See Runner."""
        stream = self._forward([[token] for token in ids], [1] * len(ids), state, probe)
        return self.decoder.logits(stream[:, -1])

    @torch.inference_mode()
    def logits_of_rows(
        self, rows: Sequence[Sequence[int]], state: ModelState, *, most: int = HEAD_ROWS
    ) -> Iterator[Tensor]:
        """See Runner. All rows run at once, the shorter ones padded at their end."""
        counts = [len(row) for row in rows]
        stream = self._forward(rows, counts, state)
        real = torch.cat([stream[row, :count] for row, count in enumerate(counts)])
        for start in range(0, len(real), most):
            yield self.decoder.logits(real[start : start + most])

    @torch.inference_mode()
    def logits_of_streams(self, streams: Tensor) -> Tensor:
        """See Runner."""
        return self.decoder.logits(streams)

    @torch.inference_mode()
    def normed(self, streams: Tensor) -> Tensor:
        """See Runner."""
        found: Tensor = self.decoder.final_norm(streams)
        return found.float()

    @torch.inference_mode()
    def embeddings(self, ids: Sequence[int]) -> Tensor:
        """See Runner."""
        found = rows_of(self.decoder, "embedding.weight", ids)
        assert found is not None
        return found

    @torch.inference_mode()
    def weights(self, name: str, rows: Sequence[int] | None = None) -> Tensor | None:
        """See Runner."""
        return rows_of(self.decoder, name, rows)

    def sinks(self, layer: int) -> Tensor | None:
        """See Runner."""
        attention = self.decoder.get_submodule(f"layers.{layer}.attention")
        found: Tensor | None = attention.sinks  # type: ignore[assignment]
        return None if found is None else found.detach().float()

    def layer_scale(self, layer: int) -> float:
        """See Runner."""
        found: Tensor | None = self.decoder.layers[layer].scale  # type: ignore[assignment]
        return 1.0 if found is None else float(found)

    def shapes(self) -> Iterable[tuple[str, tuple[int, ...]]]:
        """See Runner. Adapters that are kept apart are parameters of their own."""
        return ((name, tuple(each.shape)) for name, each in self.decoder.named_parameters())

    def _forward(
        self,
        pieces: Sequence[Sequence[int]],
        counts: list[int],
        state: ForwardState,
        probe: Probe | None = None,
        rows: Sequence[int] | None = None,
    ) -> Tensor:
        """rows: which of the batch these are, None for all."""
        widest = max(counts)
        padded = [[*piece, *[0] * (widest - len(piece))] for piece in pieces]
        state.reserve(counts)
        ids = torch.tensor(padded, device=self.device)  # (batch, time)
        changes = self._changes
        if changes is not None and rows is not None:
            changes = changes.of_rows(rows)
        stream: Tensor = self.decoder(ids, state, counts, probe, changes)
        return stream
