"""Steps one after another, of tokens that need not come to Python before the next one runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gptcli.engine.state.model_state import ModelState
from gptcli.engine.torch.step import Steps


class StepChain:
    """See Chain."""

    def __init__(self, steps: Steps, state: ModelState, device: torch.device) -> None:
        self._steps, self._state, self._device = steps, state, device

    @torch.inference_mode()
    def next(self, ids: Tensor) -> Tensor:
        """See Chain."""
        logits = self._steps.next(ids, self._state)
        assert logits is not None, "a state of another runner"
        return logits

    def put(self, numbers: Sequence[Sequence[float]]) -> Tensor:
        """See Chain."""
        found = torch.tensor(numbers, dtype=torch.float64)
        if self._device.type != "cuda":
            return found.to(self._device)
        # From memory that stays where it is, which the device reads when it comes to that.
        return found.pin_memory().to(self._device, non_blocking=True)

    def fetch(self, numbers: Tensor) -> Callable[[], list[Any]]:
        """See Chain."""
        if self._device.type != "cuda":
            return numbers.clone().tolist
        there = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
        there.copy_(numbers, non_blocking=True)
        done = torch.cuda.Event()
        done.record(torch.cuda.current_stream(self._device))

        def wait() -> list[Any]:
            done.synchronize()
            return there.tolist()

        return wait
