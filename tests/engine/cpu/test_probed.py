"""Forwards of the kernels that a probe looks into; tests/engine/test_probes.py has the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from gptcli.engine.cpu.binding import calls
from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.cpu.run.codes import rounded_values
from gptcli.engine.cpu.run.runner import KernelRunner
from tests.engine.cpu import reference
from tests.engine.cpu.helpers import SETS, every_set, kernels_of, needs_kernels
from tests.engine.cpu.small import SPEC, small_model
from tests.engine.helpers import Recorder, every_way, rows_of, runner_of

pytestmark = needs_kernels
KINDS = {
    "float32": Kinds.all(Kind.FLOAT32),
    "bfloat16": Kinds.all(Kind.BFLOAT16),
    "int8": Kinds(Kind.Q8_0, Kind.Q8_0, Kind.BFLOAT16),
    "int4": Kinds(Kind.Q4_1, Kind.Q8_0, Kind.BFLOAT16),
}
TEXT = [7 * at % 131 for at in range(70)]


def small_runner(instructions: str, dtype: str, threads: int = 2) -> KernelRunner:
    model = small_model(instructions, KINDS[dtype], threads=threads)
    return KernelRunner(model, SPEC, dtype, SPEC.context)


@every_set
@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_probed_pass_gives_the_same_bits(instructions, dtype, threads):
    """Catches an update that is rounded otherwise where it is shown than where it is not."""
    runner = small_runner(instructions, dtype, threads)
    caches = runner.new_state(), runner.new_state()
    for at, end in ((0, 41), (41, 42), (42, 43), (43, 60)):
        piece = TEXT[at:end]
        recorder = Recorder(range(at, end))
        probed = runner.prefill([piece], caches[0], chunk=16, probe=recorder)
        assert np.array_equal(probed, runner.prefill([piece], caches[1], chunk=16))
        assert recorder.shown
    for layer in range(SPEC.layers):
        assert np.array_equal(*(cache.layers[layer].keys for cache in caches))


@every_way
def test_every_family_gives_the_same_bits(case):
    """Catches a way through a block, of parallel blocks or a mixture, that only a probe takes."""
    runner, row = kernels_of(case), rows_of(case)[0]
    caches = runner.new_state(), runner.new_state()
    for piece in (row[:9], row[9:10]):
        probed = runner.prefill([piece], caches[0], probe=Recorder(range(len(row))))
        assert np.array_equal(probed, runner.prefill([piece], caches[1]))


def test_points_come_in_the_order_of_the_forward():
    """Catches a point that is missing, doubled or misplaced, and positions that are not wanted."""
    runner, recorder = small_runner(SETS[0], "float32"), Recorder(range(5, 20))
    runner.prefill([TEXT[:24]], runner.new_state(), chunk=8, probe=recorder)
    points = ("queries", "keys", "values", "heads", "attention", "mlp", "stream")
    order = [("embedding", -1), *((p, layer) for layer in range(SPEC.layers) for p in points)]
    assert [(point, layer) for point, layer, _, _ in recorder.shown] == 3 * order
    d = SPEC.head_dim
    for (first, end), part in zip(((5, 8), (8, 16), (16, 20)), np.arange(3), strict=True):
        shown = recorder.shown[part * len(order) : (part + 1) * len(order)]
        for point, _, start, array in shown:
            if point in ("keys", "values"):
                assert (start, array.shape) == (0, (1, SPEC.kv_heads, 8 * (part + 1), d))
            elif point == "queries":
                assert (start, array.shape) == (first, (1, SPEC.heads, end - first, d))
            else:
                size = SPEC.heads * d if point == "heads" else SPEC.width
                assert (start, array.shape) == (first, (1, end - first, size))
            assert array.dtype == np.float32 and np.isfinite(array).all()


@pytest.mark.parametrize(
    "point", ["queries", "heads", "keys", "values", "mlp", "stream", "embedding"]
)
def test_only_what_is_wanted_is_shown(point):
    """Catches copies that nobody asked for, and one point that needs another to be right."""
    runner, alone = small_runner(SETS[0], "bfloat16"), Recorder(range(9), (point,))
    every = Recorder(range(9))
    for recorder in (alone, every):
        runner.prefill([TEXT[:9]], runner.new_state(), probe=recorder)
    assert {each[0] for each in alone.shown} == {point}
    same = [each for each in every.shown if each[0] == point]
    for mine, other in zip(alone.shown, same, strict=True):
        assert mine[:3] == other[:3] and np.array_equal(mine[3], other[3])


@pytest.mark.parametrize(("dtype", "bits"), [("bfloat16", 8), ("int4", 11)])
def test_keys_are_as_the_cache_rounds_them(dtype, bits):
    """Catches keys that are not those which the queries meet, or those of other positions."""
    exact, rounded = Recorder(range(40), ("keys",)), Recorder(range(40), ("keys",))
    model = small_runner(SETS[0], "float32").model
    for name, recorder in (("float32", exact), (dtype, rounded)):
        runner = KernelRunner(model, SPEC, name, SPEC.context)
        runner.prefill([TEXT[:40]], runner.new_state(), probe=recorder)
    first, other = exact.shown[0][3], rounded.shown[0][3]
    assert not np.array_equal(first, other)
    np.testing.assert_allclose(other, first, rtol=2.0**-bits, atol=2**-24)
    name = "BFLOAT16" if bits == 8 else "FLOAT16"
    assert np.array_equal(other, reference.stored(other, name))


@every_set
@pytest.mark.parametrize("dtype", KINDS)
def test_the_last_stream_reads_out_as_the_logits(dtype, instructions):
    """Catches streams that are read out by another head, or in another order."""
    runner, recorder = small_runner(instructions, dtype), Recorder(range(30), ("stream",))
    row = TEXT[:30]
    runner.prefill([row], runner.new_state(), probe=recorder)
    last = recorder.shown[-1][3][0]
    logits = runner.all_logits(row, runner.new_state())
    assert np.array_equal(runner.logits_of_streams(last), logits)
    assert np.array_equal(runner.logits_of_streams(last[::-3]), logits[::-3])
    assert np.array_equal(runner.all_logits(row, runner.new_state()), logits)


def test_what_does_not_fit_is_refused():
    """Catches memory that is written beyond its end."""
    runner = small_runner(SETS[0], "float32")
    with pytest.raises(ValueError, match="1 probes look on while 2 rows run"):
        runner.prefill([TEXT[:3]] * 2, runner.new_state(2), probe=Recorder(range(3)))
    with pytest.raises(ValueError, match="shape"):
        runner.logits_of_streams(np.zeros((2, SPEC.width + 1), np.float32))
    cache = runner.new_state()
    cache.reserve([4])
    given = [1, 2], [0, 0], [0, 1], cache.layers, [1]
    for first, end in ((-1, 2), (0, 3)):
        with pytest.raises(ValueError, match="outside"):
            runner.model.forward(*given, calls.Copies(first, end))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_embeddings_are_the_rows_of_the_table(dtype):
    """Catches rows of another kind, or of another section."""
    case = "gpt_oss/plain"
    exact, runner = runner_of(case), kernels_of(case)
    ids = [5, 0, 60]
    assert np.array_equal(runner.embeddings(ids), exact.embeddings(ids).numpy())
    assert np.array_equal(runner.embeddings(range(3, 9)), exact.embeddings(range(3, 9)).numpy())
    for layer in range(runner.spec.layers):
        assert np.array_equal(runner.sinks(layer), exact.sinks(layer).numpy())
    small = small_runner(SETS[0], dtype)
    whole = small_runner(SETS[0], "float32").embeddings(range(131))
    rtol = 0 if dtype == "float32" else 2**-8
    np.testing.assert_allclose(small.embeddings(range(131)), whole, rtol=rtol)
    assert small.sinks(0) is None


@pytest.mark.parametrize("case", ["llama/tied", "llama/head_dim"])
def test_values_of_codes_are_what_is_gathered(case):
    """Catches codes of other positions or features, and a scale that is another token's."""
    exact, row = kernels_of(case), rows_of(case)[0][:20]
    coded = KernelRunner(exact.model, exact.spec, "float32", 48, cache=np.dtype("int8"))
    recorders = [Recorder(range(20), ("values",)) for _ in range(2)]
    for runner, recorder in zip((exact, coded), recorders, strict=True):
        runner.prefill([row], runner.new_state(), probe=recorder)
    # Those of the first layer are made of the same stream.
    want, found = (recorder.by_place["values", 0] for recorder in recorders)
    np.testing.assert_allclose(found, rounded_values(want), rtol=0, atol=1e-6)
