"""Prefill and decode by torch: a Decoder on its device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from functools import cached_property

import array_api_compat.torch  # noqa: F401 - what `arrays` uses, imported along with torch
import torch
from torch import Tensor

from gptcli.engine.edits import Edit, that_change
from gptcli.engine.probe import Watching
from gptcli.engine.runner import CHUNK, HEAD_ROWS, RunnerFacts
from gptcli.engine.state.forward_state import ForwardState
from gptcli.engine.state.model_state import ModelState, new_state
from gptcli.engine.state.page_memory import PAGE
from gptcli.engine.state.paged_state import PagedState
from gptcli.engine.state.static_state import StaticState
from gptcli.engine.torch.chain import StepChain
from gptcli.engine.torch.changed import Changes
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.torch.facts import facts_of
from gptcli.engine.torch.graphs import capture_for
from gptcli.engine.torch.parameters import rows_of, shapes_of
from gptcli.engine.torch.shown import Shown
from gptcli.engine.torch.step import Capture, Steps
from gptcli.engine.torch.together import Together
from gptcli.types.events import Notice


class TorchRunner:
    """See Runner. `limit` is at most the model's own."""

    def __init__(
        self,
        decoder: Decoder,
        limit: int | None = None,
        notices: Sequence[Notice] = (),
        *,
        capture: Capture | None = None,
    ) -> None:
        """capture: of its steps, None for what its device does best."""
        self.notices = tuple(notices)
        self.decoder = decoder
        self.spec = decoder.spec
        weight = decoder.embedding.weight
        self.device, self.dtype = weight.device, weight.dtype
        self.limit = min(limit or self.spec.context, self.spec.context)
        self.edits: tuple[Edit, ...] = ()
        self._changes: Changes | None = None
        decoder.prepare(self.limit)
        capture = capture or capture_for(self.device, self.spec)
        self._steps = None if capture is None else Steps(decoder, capture)

    def edited(self, edits: Sequence[Edit]) -> TorchRunner:
        """See Runner."""
        other = copy(self)
        other.edits = (*self.edits, *that_change(edits, self.spec))
        other._changes = Changes(other.edits) if other.edits else None
        return other

    @cached_property
    def facts(self) -> RunnerFacts:
        """See Runner."""
        return facts_of(self.decoder)

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
        # What holds a window has it elsewhere from time to time, which no recorded step can follow.
        still = self._steps is not None and not self.spec.near(self.limit)
        like, kind = self.decoder.embedding.weight, StaticState if still else ModelState
        return new_state(self.spec, batch, like, limit=self.limit, kind=kind)

    def new_pages(self, pages: int, *, size: int = PAGE) -> PagedState:
        """See Runner."""
        weight = self.decoder.embedding.weight
        return PagedState(self.spec, weight, limit=self.limit, pages=pages, size=size)

    @torch.inference_mode()
    def run(
        self, rows: Sequence[Sequence[int]], state: PagedState, wanted: Sequence[int]
    ) -> Tensor:
        """See Runner. Rows of one id run together, the others one by one: nothing is padded."""
        return Together(self.decoder, self._steps_now, self._forward).run(rows, state, wanted)

    def chain(self, state: ModelState) -> StepChain | None:
        """See Runner."""
        steps = self._steps_now
        # Apple's GPUs have no float64, which draws are made in.
        if steps is None or self.device.type == "mps" or not state.rewinds:
            return None
        return StepChain(steps, state, self.device)

    @property
    def _steps_now(self) -> Steps | None:
        """Steps, where they do what a pass does now."""
        return None if self._changes is not None else self._steps

    @torch.inference_mode()
    def prefill(
        self,
        rows: Sequence[Sequence[int]],
        state: ModelState,
        *,
        chunk: int = CHUNK,
        probe: Watching | None = None,
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
        self, row: Sequence[int], state: ModelState, *, probe: Watching | None = None
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
        self, ids: Sequence[int], state: ModelState, *, probe: Watching | None = None
    ) -> Tensor:
        """See Runner."""
        if probe is None and self._steps_now is not None:
            logits = self._steps_now.next(ids, state)
            if logits is not None:
                return logits
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
        return shapes_of(self.decoder)

    def _forward(
        self,
        pieces: Sequence[Sequence[int]],
        counts: list[int],
        state: ForwardState,
        probe: Watching | None = None,
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
        shown = None if probe is None else Shown(probe, state.lengths, counts)
        stream: Tensor = self.decoder(ids, state, counts, shown, changes)
        return stream
