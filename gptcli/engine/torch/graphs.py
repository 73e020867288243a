"""Steps recorded as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.torch.step import Capture, as_it_is


def capture_for(device: torch.device, spec: ModelSpec) -> Capture | None:
    """How steps are captured on a device; None where states grow with their texts.

    Apple's GPUs record nothing, but keep what they compiled by its shapes, which had better stay
    as they are. A mixture asks on its way who was chosen.
    """
    if device.type == "cuda":
        return as_it_is if spec.mixtures else Graphs(device)
    return as_it_is if device.type == "mps" else None


class Graphs:
    """A Capture. What graphs hold on their way stands in one piece of memory, since none runs
    beside another; what they give is to be used before the next of them runs.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = None

    def __call__(self, function: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """See Capture."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device):
            if self._pool is None:
                self._pool = torch.cuda.graph_pool_handle()
            # Other threads may go on meanwhile.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                found = function()

        def again() -> Tensor:
            graph.replay()
            return found

        return again
