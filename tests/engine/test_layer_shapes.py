"""A model whose layers differ in all their sizes: by its formulas, and each way through it."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import torch

from gptcli.engine.arrays import host
from gptcli.engine.cpu.binding.coverage import covers
from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.model.rotations import Rope
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec, NormSpec
from gptcli.engine.probes.attention import AttentionWeights
from gptcli.engine.probes.parameters import parts
from gptcli.engine.runner import Runner
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.torch.runner import TorchRunner
from tests.engine.cpu.helpers import every_set, model_of, needs_kernels, parameters_of
from tests.engine.numpy_llama import NumpyLlama

SHAPES = (LayerShape(4, 2, 8, 24), LayerShape(2, 1, 20, 40), LayerShape(6, 3, 12, 72))
LLAMA = ModelSpec(
    width=32,
    heads=4,
    kv_heads=4,
    head_dim=8,
    hidden=64,
    vocab=61,
    context=48,
    each_layer=(
        *(LayerSpec(Rope(10000.0, shape.head_dim), shape=shape) for shape in SHAPES),
        # The sizes of the model.
        LayerSpec(Rope(10000.0, 8)),
    ),
    norm=NormSpec("rmsnorm", 1e-5),
    activation="silu",
    gated=True,
    tied=True,
)
#: What depends on a layer's heads beside its matrices.
BIASED = dataclasses.replace(
    LLAMA, each_layer=tuple(LayerSpec(shape=each.shape) for each in LLAMA.each_layer), alibi=1.0
)
SINKS = dataclasses.replace(LLAMA, sinks=True, qkv_bias=True, attention_softcap=9.0)
EACH_HEAD, WIDTH = (
    dataclasses.replace(LLAMA, head_norm=HeadNorm(NormSpec("layernorm", 1e-5), over))
    for over in ("each_head", "width")
)
SPECS = {"llama": LLAMA, "alibi": BIASED, "sinks": SINKS, "each head": EACH_HEAD, "width": WIDTH}
every_spec = pytest.mark.parametrize("name", SPECS)
TEXT = tuple(int(i) for i in np.random.default_rng(5).integers(0, 61, 48))


@functools.cache
def torch_runner(name: str) -> TorchRunner:
    decoder = Decoder(SPECS[name]).requires_grad_(False)
    random = torch.Generator().manual_seed(3)
    for key, parameter in decoder.named_parameters():
        parameter.normal_(generator=random)
        if "norm" in key:
            parameter.mul_(0.1).add_(1)
        elif parameter.dim() == 2 and "embedding" not in key:
            parameter.mul_(parameter.size(1) ** -0.5)
    return TorchRunner(decoder)


@functools.cache
def written_out() -> KernelRunner:
    decoder = torch_runner("llama").decoder
    weights = {name: each.numpy() for name, each in decoder.named_parameters()}
    return KernelRunner(NumpyLlama(LLAMA, weights), LLAMA, "float32", LLAMA.context)


def near(ours, expected) -> None:
    np.testing.assert_allclose(host(ours), host(expected), rtol=0, atol=3e-5)


def test_torch_is_the_formulas():
    """Catches a layer that has the sizes, the rotation or the scale of another."""
    exact = written_out().all_logits(TEXT, written_out().new_state())
    assert np.abs(exact).max() > 1
    near(torch_runner("llama").all_logits(TEXT, torch_runner("llama").new_state()), exact)


def ways(runner: Runner) -> None:
    """Cached = uncached, chunked = whole, a row in a batch = alone, gone back = fresh."""
    whole = host(runner.all_logits(TEXT, runner.new_state()))
    state = runner.new_state()
    near(np.concatenate([host(runner.decode([token], state)) for token in TEXT]), whole)
    assert state.truncate([7])
    near(runner.prefill([TEXT[7:20]], state, chunk=5)[0], whole[19])
    state = runner.new_state(3)
    runner.prefill([TEXT[:9], TEXT[:3], TEXT[:14]], state)
    state.pick([2, 1, 0, 2])
    snapshot = state.snapshot()
    for _ in range(2):
        logits = runner.decode([TEXT[14], TEXT[3], TEXT[9], TEXT[14]], state)
        near(logits, whole[[14, 3, 9, 14]])
        assert state.restore(snapshot)
    assert state.truncate([10, 9, 9, 9]) and state.lengths == [10, 3, 9, 9]
    near(runner.decode([TEXT[10], TEXT[3], TEXT[9], TEXT[9]], state), whole[[10, 3, 9, 9]])
    assert state.bytes == runner.spec.cache_bytes(state.capacity, 4, batch=4)


@every_spec
def test_every_way_is_the_same(name):
    """Catches a state of one layer's shape for another, and bytes that are counted by one shape."""
    ways(torch_runner(name))


def test_every_way_of_the_stand_in_is_the_same():
    """Catches a stand-in that is no reference."""
    ways(written_out())


@every_spec
def test_probes_see_each_layer_in_its_shape(name):
    """Catches weights of attention that are computed for the heads of another layer."""
    runner = torch_runner(name)
    seen = AttentionWeights(runner, range(2, 9))
    probed = runner.prefill([TEXT[:9]], runner.new_state(), probe=seen)
    assert torch.equal(probed, runner.prefill([TEXT[:9]], runner.new_state()))
    for layer, shape in enumerate(runner.spec.shapes):
        weights = host(seen.of(layer))
        assert weights.shape == (shape.heads, 7, 9)
        sums = weights.sum(axis=-1)
        assert (sums < 1).all() if name == "sinks" else np.allclose(sums, 1, atol=1e-6)
        assert (weights[:, 0, 3:] == 0).all() and (weights[:, 0, :3] > 0).all()


def test_parts_are_told_by_shape():
    """Catches layers that are counted together though their matrices differ."""
    runner = torch_runner("llama")
    found = [each for each in parts(runner.shapes()) if each.name == "mlp.up.weight"]
    assert [each.shape for each in found] == [(24, 32), (40, 32), (72, 32), (64, 32)]
    whole = sum(each.parameters for each in parts(runner.shapes()))
    assert whole == sum(each.numel() for each in runner.decoder.parameters())


@needs_kernels
@every_set
@every_spec
def test_kernels_are_torch(name, instructions):
    """Catches a layer that the kernels run, or keep the state of, in the sizes of another."""
    spec, exact = SPECS[name], torch_runner(name)
    assert covers(spec) is None
    model = model_of(spec, parameters_of(exact.decoder), instructions, context=spec.context)
    runner = KernelRunner(model, spec, "float32", spec.context)
    whole = exact.all_logits(TEXT, exact.new_state())
    near(runner.all_logits(TEXT, runner.new_state()), whole)
    ways(runner)
    seen, theirs = (AttentionWeights(each, range(2, 9)) for each in (runner, exact))
    runner.prefill([TEXT[:9]], runner.new_state(), probe=seen)
    exact.prefill([TEXT[:9]], exact.new_state(), probe=theirs)
    for layer in range(spec.layers):
        near(seen.of(layer), theirs.of(layer))
    assert list(runner.shapes()) and dict(runner.shapes()) == dict(exact.shapes())
