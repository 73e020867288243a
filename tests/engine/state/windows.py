"""A small model of which most layers see a bit of a text only, in the kernels and in torch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest
import torch

from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.engine.model import sight
from gptcli.engine.model.rotations import Rope
from gptcli.engine.model.spec import LayerSpec
from gptcli.engine.runner import Runner
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.torch.runner import TorchRunner
from tests.engine.cpu.small import SPEC, small_model, small_parameters

ROPE = Rope(10000.0, 20)
LIMIT = 700
NEAR = replace(
    SPEC,
    context=LIMIT,
    each_layer=(
        LayerSpec(ROPE, window=20),
        LayerSpec(ROPE),
        LayerSpec(ROPE, chunk=50),
        LayerSpec(ROPE, window=33),
    ),
)
#: In place of those in use: what is held moves every few dozen tokens.
BACK, ROOM = 8, 40
IDS = [int(i) for i in np.random.default_rng(3).integers(3, SPEC.vocab, LIMIT)]

T = TypeVar("T")


@contextmanager
def narrow() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sight, "BACK", BACK)
        patch.setattr(sight, "ROOM", ROOM)
        yield


@functools.cache
def kernels(dtype: str = "float32") -> KernelRunner:
    cache = np.dtype("int8") if dtype == "int8" else None
    of = "float32" if dtype == "int8" else dtype
    model = small_model("", spec=NEAR, threads=2)
    tells = functools.partial(format, 7, "064x")
    return KernelRunner(model, NEAR, of, LIMIT, tells=tells, cache=cache)


@functools.cache
def in_torch() -> TorchRunner:
    decoder = Decoder(NEAR)
    numbers = {name: torch.from_numpy(each) for name, each in small_parameters(NEAR).items()}
    missing = decoder.load_state_dict(numbers, strict=False)
    assert not missing.unexpected_keys and not missing.missing_keys
    return TorchRunner(decoder.requires_grad_(False).eval())


RUNNERS: dict[str, Callable[[], Runner]] = {
    "float32": kernels,
    "bfloat16": functools.partial(kernels, "bfloat16"),
    "int8": functools.partial(kernels, "int8"),
    "torch": in_torch,
}


@functools.cache
def whole(name: str, ids: tuple[int, ...] = tuple(IDS)) -> np.ndarray:
    """Logits after every token, by a state that holds all."""
    runner = RUNNERS[name]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sight, "ROOM", 1 << 20)
        state = runner.new_state()
    assert state.rewinds
    parts = runner.logits_in_parts(ids, state)
    return np.concatenate([np.asarray(part) for part in parts])
