"""What the kernels' tests share: the library once for each set of instructions, models, caches."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.binding.library import FEATURES, Library, open_library
from gptcli.engine.cpu.packing.pack import Parameter, pack
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.cpu.run.key_groups import KEY_GROUP
from gptcli.engine.cpu.run.model import KernelModel
from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.state.model_state import new_state
from gptcli.engine.torch.decoder import Decoder
from gptcli.errors import UsageError
from tests.engine.helpers import runner_of
from tests.sweeps import in_turn


def _sets() -> list[str]:
    """The sets of instructions that this machine and this build have."""
    found = []
    for name in FEATURES[1:]:
        try:
            open_library(name)
        except UsageError:
            continue
        found.append(name)
    return found


SETS = _sets()


#: A test that is done for each set of instructions that this processor has.
every_set = in_turn("instructions", SETS)
needs_kernels = pytest.mark.skipif(not SETS, reason="the kernels were not built")

F32 = Kinds.all(Kind.FLOAT32)


def parameters_of(decoder: Decoder) -> dict[str, Parameter]:
    """A decoder's parameters in numpy, bfloat16 as uint16."""
    found: dict[str, Any] = {}
    for name, parameter in decoder.named_parameters():
        data = parameter.detach()
        if data.dtype == torch.bfloat16:
            found[name] = data.contiguous().view(torch.int16).numpy().view(np.uint16)
        else:
            found[name] = data.contiguous().numpy()
    return found


def model_of(
    spec: ModelSpec,
    parameters: Mapping[str, Parameter],
    instructions: str,
    kinds: Kinds = F32,
    **flags: Any,
) -> KernelModel:
    """Packed and opened; two threads unless told otherwise."""
    library = open_library(instructions)
    return KernelModel(pack(spec, kinds, parameters, library), library, **({"threads": 2} | flags))


@functools.cache
def kernels_of(
    case: str, limit: int | None = None, instructions: str = SETS[0] if SETS else ""
) -> KernelRunner:
    """A golden checkpoint in the kernels, in float32, opened once; no test changes it."""
    decoder = runner_of(case).decoder
    limit = limit or decoder.spec.context
    model = model_of(decoder.spec, parameters_of(decoder), instructions, context=limit)
    return KernelRunner(model, decoder.spec, "float32", limit)


@functools.cache
def library(instructions: str) -> Library:
    return open_library(instructions)


class Session:
    """A kernel model with keys and values, and where each row ends."""

    def __init__(
        self, model: KernelModel, batch: int = 1, capacity: int = 48, dtype: Any = np.float32
    ) -> None:
        self.model = model
        state = new_state(model.spec, batch, np.empty(0, dtype=dtype), group=KEY_GROUP)
        self.layers = state.layers
        for layer in self.layers:
            layer.reserve(0, capacity)
        self.lengths = [0] * batch

    def run(self, pieces: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Append a piece to each row, some perhaps empty; logits after every token of each."""
        tokens, rows, positions = [], [], []
        for row, piece in enumerate(pieces):
            tokens += piece
            rows += [row] * len(piece)
            positions += range(self.lengths[row], self.lengths[row] + len(piece))
            self.lengths[row] += len(piece)
        logits = self.model.forward(tokens, rows, positions, self.layers, range(len(tokens)))
        ends = np.cumsum([len(piece) for piece in pieces])
        return np.split(logits, ends[:-1])


def in_order(cache: np.ndarray) -> np.ndarray:
    """Keys position by position, number by number out of the key groups of source/cache.h."""
    *lead, capacity, head_dim = cache.shape
    positions, features = np.arange(capacity)[:, None], np.arange(head_dim)[None]
    lanes = positions % 16
    within = 16 * features + lanes
    if cache.dtype == np.uint16:
        paired = 16 * (features & ~1) + 2 * lanes + features % 2
        within = np.where(features < head_dim // 2 * 2, paired, within)
    at = (positions - lanes) * head_dim + within
    return cache.reshape(*lead, -1)[..., at]
