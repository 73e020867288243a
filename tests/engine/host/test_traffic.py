"""Bytes that a token reads, against counts by hand and by the slow, obvious way."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.host.traffic import cache_bytes
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.model.spec import LayerSpec
from tests.engine.cpu.helpers import needs_kernels
from tests.engine.cpu.small import SPEC, small_model
from tests.engine.helpers import runner_of

#: Whole blocks everywhere, so that nothing is padded.
ROUND = dataclasses.replace(SPEC, width=64, heads=4, head_dim=32, hidden=192, vocab=160)
#: Bytes of a number in blocks of int8 (a half for 32) and int4 (two halves for 32).
BITS = {Kind.FLOAT32: 4, Kind.BFLOAT16: 2, Kind.Q8_0: 1 + 2 / 32, Kind.Q4_1: 0.5 + 4 / 32}


def numbers_of_layers(spec) -> int:
    inner, shared = spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim
    attention = spec.width * (inner + 2 * shared) + inner * spec.width
    return spec.layers * (attention + 3 * spec.width * spec.hidden)


@needs_kernels
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("body", BITS)
def test_packed_weights_are_counted_as_they_are_read(body, tied):
    """Catches a table of embeddings that counts, a head that does not, numbers taken for bytes."""
    head = body if body in (Kind.FLOAT32, Kind.BFLOAT16) else Kind.Q8_0
    table = Kind.FLOAT32 if body is Kind.FLOAT32 else Kind.BFLOAT16
    spec = dataclasses.replace(ROUND, tied=tied)
    model = small_model("portable", Kinds(body, head, table), spec)
    norms = 4 * (2 * spec.layers + 1) * spec.width
    matrices = numbers_of_layers(spec) * BITS[body] + spec.vocab * spec.width * BITS[head]
    assert model.weight_bytes == matrices + norms


@pytest.mark.parametrize("case", ["llama/tied", "llama/untied", "gpt2/tied", "mixtral/all"])
def test_weights_of_torch_are_counted_as_they_are_read(case):
    """Catches positions or an untied table that count in full, and experts that are not read."""
    runner = runner_of(case)
    spec, total = runner.spec, 0
    for name, parameter in runner.decoder.named_parameters():
        if name == "positions.weight" or (name == "embedding.weight" and not spec.tied):
            continue
        size = 4 * parameter.numel()
        if "experts" in name:
            size = size * spec.experts.chosen / spec.experts.count
        total += size
    assert runner.facts.weight_bytes == total
    every = sum(4 * parameter.numel() for parameter in runner.decoder.parameters())
    assert (total == every) == (case == "llama/tied")


@needs_kernels
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_both_runners_count_nearly_alike(dtype, tmp_path):
    """Catches a runner that counts what the other does not; packing pads, and widens norms."""
    from tests.engine.helpers import copy_case
    from tests.opening import open_runner

    directory = copy_case("mixtral/all", tmp_path / "model")
    packed = open_runner(directory, device="cpu", dtype=dtype)
    assert packed.facts.instructions and packed.facts.threads
    torch = open_runner(directory, device="cpu", dtype=dtype, cpu_features="none")
    assert torch.facts.instructions is None and torch.facts.threads
    least = torch.facts.weight_bytes
    assert least <= packed.facts.weight_bytes <= 1.5 * least


@given(
    st.lists(
        st.builds(
            LayerSpec,
            window=st.none() | st.integers(1, 40),
            shape=st.none() | st.builds(LayerShape, *[st.integers(1, 5)] * 4),
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 50),
    st.integers(1, 30),
)
def test_keys_and_values_are_those_that_are_seen(layers, depth, tokens):
    """Catches a context that does not grow, is one token off, or reaches beyond a window.

    And a layer that is counted in the sizes of another.
    """
    spec = dataclasses.replace(SPEC, each_layer=tuple(layers))
    read = 0
    for at in range(depth, depth + tokens):
        for each in layers:
            shape, window = each.shape or SPEC.shape, each.window
            seen = sum(1 for other in range(at + 1) if window is None or at - other < window)
            read += seen * 2 * shape.kv_heads * shape.head_dim * 2
    assert cache_bytes(spec, 2, depth, tokens) == pytest.approx(read / tokens)


@needs_kernels
def test_all_of_the_memory_is_read_by_all_threads(monkeypatch):
    """Catches a bandwidth of memory that nobody wrote to: one page of zeros, read from a cache."""
    model = small_model("portable", threads=2)
    functions, sums = model.library.functions, []
    real = functions.kernels_read

    def read(address, size, threads):
        assert (size, threads) == (1 << 16, 2)
        sums.append(real(address, size, threads))

    monkeypatch.setattr(functions, "kernels_read", read)
    model.memory_reader(1 << 16)()
    assert sums == [(1 << 16) // 8 * 0x0101010101010101 % 2**64]
