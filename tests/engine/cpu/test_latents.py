"""Latent attention of the kernels over more positions than are taken at once."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import torch

from gptcli.engine.model.latents import Latents
from gptcli.engine.model.rotations import Rope
from gptcli.engine.model.spec import LayerSpec, ModelSpec
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.torch.runner import TorchRunner
from tests.engine.cpu.helpers import Session, every_set, model_of, needs_kernels, parameters_of
from tests.engine.cpu.small import SPEC

pytestmark = needs_kernels
LENGTH = 150
#: Rows of heads that begin within panels of 16, and such that do not.
SIZES = {"odd": Latents(20, 7, 6, 9, 1e-6, 11), "whole": Latents(32, 16, 8, 16, 1e-6)}


def spec_of(sizes: Latents) -> ModelSpec:
    layer = LayerSpec(Rope(1e4, sizes.turned, interleaved=True))
    return dataclasses.replace(
        SPEC,
        heads=5,
        kv_heads=1,
        head_dim=sizes.key,
        latents=sizes,
        attention_scale=0.2,
        head_norm=None,
        sinks=False,
        alibi=None,
        qkv_bias=False,
        context=192,
        each_layer=(layer, layer),
    )


@functools.cache
def decoder_of(name: str) -> Decoder:
    torch.manual_seed(5)
    decoder = Decoder(spec_of(SIZES[name])).requires_grad_(False)
    for parameter in decoder.parameters():
        parameter.copy_(0.3 * torch.randn(parameter.shape) + (parameter.dim() == 1))
    return decoder.eval()


def ids(first: int, length: int = LENGTH) -> list[int]:
    return [(first + 7 * at) % SPEC.vocab for at in range(length)]


@every_set
@pytest.mark.parametrize("name", SIZES)
def test_many_stretches_equal_torch(name, instructions):
    """Catches stretches merged with those of another head, or keys read at another place."""
    decoder = decoder_of(name)
    runner, row = TorchRunner(decoder), ids(3)
    theirs = runner.all_logits(row, runner.new_state()).numpy()
    model = model_of(decoder.spec, parameters_of(decoder), instructions)
    (ours,) = Session(model, capacity=192).run([row])
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5 * np.abs(theirs).max())


@every_set
@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.uint16, np.float16])
def test_a_token_gives_the_same_numbers_in_every_company(name, dtype, instructions):
    """Catches sums whose order depends on chunks, other rows, or how many threads there are."""
    decoder = decoder_of(name)
    parameters = parameters_of(decoder)
    texts = [ids(3), ids(4, 41), ids(5, 90)]

    def run(rows: list[list[int]], chunk: int, threads: int = 2) -> list[np.ndarray]:
        model = model_of(decoder.spec, parameters, instructions, threads=threads)
        session = Session(model, batch=len(rows), capacity=192, dtype=dtype)
        parts = [
            session.run([row[at : at + chunk] for row in rows])
            for at in range(0, max(map(len, rows)), chunk)
        ]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    alone = [run([text], 512, threads=1)[0] for text in texts]
    for chunk, threads in ((1, 3), (13, 2), (512, 2)):
        for ours, theirs in zip(run(texts, chunk, threads), alone, strict=True):
            np.testing.assert_array_equal(ours, theirs)
