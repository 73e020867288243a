"""One model, many ways through it: the numbers must not depend on the way.

Every test runs on golden checkpoints that have every mechanism of the decoder between them, and
on all of them where `-m families` asks.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gptcli.engine.probe import EachRow
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.torch.mlp import Mixture
from gptcli.engine.torch.runner import TorchRunner
from tests.engine.helpers import (
    GOLDENS,
    Recorder,
    every_state,
    every_way,
    rows_of,
    runner_of,
    whole,
)
from tests.opening import load

#: float32 sums in another order. The largest seen is 1.1e-5, on logits of up to seven.
NEAR = {"rtol": 0, "atol": 2e-5}

#: What is added up.
POINTS = ("embedding", "attention", "mlp", "told", "stream")


def places_of(case: str) -> list[tuple[str, int]]:
    """Where a probe that wants these is called, in order: not for a block that a layer lacks."""
    found = [("embedding", -1)]
    spec = runner_of(case).spec
    told = spec.layer_inputs is not None
    for layer, this in enumerate(spec.each_layer):
        there = {"attention": this.mixes, "mlp": this.thinks, "told": told, "stream": True}
        found += [(point, layer) for point in POINTS[1:] if there[point]]
    return found


def near(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, **NEAR)


@every_way
def test_token_by_token_equals_whole(case):
    """Catches wrong positions, masks or windows when a cache is decoded from."""
    runner, row = runner_of(case), rows_of(case)[0]
    cache = runner.new_state()
    steps = [runner.decode([token], cache) for token in row]
    near(torch.cat(steps), whole(case)[0])
    assert cache.lengths == [len(row)]


@every_state
@pytest.mark.parametrize("chunk", [1, 7, 39])
def test_chunked_prefill_equals_whole(case, chunk):
    """Catches a later chunk that is masked or placed as if it were the first."""
    runner, rows = runner_of(case), rows_of(case)
    cache = runner.new_state(len(rows))
    near(runner.prefill(rows, cache, chunk=chunk), torch.stack([w[-1] for w in whole(case)]))
    assert cache.lengths == [len(row) for row in rows]


@every_state
@pytest.mark.parametrize("chunk", [4, 512])
def test_row_of_a_ragged_batch_equals_row_alone(case, chunk):
    """Catches padding that is seen, or rows that read each other's slots, during and after it.

    The longest row is first, in the middle and last; one row is a single token.
    """
    runner, (a, b) = runner_of(case), rows_of(case)
    texts = [(a, 9), (b, 1), (b, 17), (a, 5), (b, 17)]
    expected = [whole(case)[0 if row is a else 1] for row, _ in texts]
    cache = runner.new_state(len(texts))
    logits = runner.prefill([row[:n] for row, n in texts], cache, chunk=chunk)
    for step in range(12):
        near(
            logits,
            torch.stack([e[n + step - 1] for e, (_, n) in zip(expected, texts, strict=True)]),
        )
        logits = runner.decode([row[n + step] for row, n in texts], cache)
    assert cache.lengths == [n + 12 for _, n in texts]


@every_state
def test_row_of_an_equal_batch_equals_row_alone(case):
    """Catches the faster way for equal rows mixing rows or heads up."""
    runner, rows = runner_of(case), rows_of(case)
    cache = runner.new_state(len(rows))
    logits = runner.prefill([row[:20] for row in rows], cache)
    for at in range(20, 40):
        near(logits, torch.stack([w[at - 1] for w in whole(case)]))
        logits = runner.decode([row[at] for row in rows], cache)
    near(logits, torch.stack([w[39] for w in whole(case)]))


@every_state
def test_selected_rows_go_on_as_if_alone(case):
    """Catches a pick that moves keys without lengths, or lets copies of a row share memory."""
    runner, (a, b) = runner_of(case), rows_of(case)
    cache = runner.new_state(3)
    runner.prefill([a[:4], b[:11], a[:8]], cache)
    cache.pick([2, 1, 1, 0, 2])
    assert cache.lengths == [8, 11, 11, 4, 8]
    alone = [(a, 8), (b, 11), (b, 11), (a, 4), (a, 8)]
    # The copies of a row go on differently: each must see its own past only.
    ends = [a[8:14], b[11:17], a[20:26], b[30:36], b[2:8]]
    for step in range(6):
        logits = runner.decode([end[step] for end in ends], cache)
    for row, ((text, n), end) in enumerate(zip(alone, ends, strict=True)):
        ids = [*text[:n], *end]
        near(logits[row], runner.all_logits(ids, runner.new_state())[-1])
    cache.pick([1])
    near(
        runner.decode([5], cache)[0],
        runner.all_logits([*b[:17], 5], runner.new_state())[-1],
    )


@every_state
def test_expanded_rows_equal_separate_rows(case):
    """Catches copies of one prefill that write into each other."""
    runner, (a, b) = runner_of(case), rows_of(case)
    cache = runner.new_state()
    runner.prefill([a[:10]], cache)
    cache.pick([0] * 3)
    assert cache.batch == 3
    ends = [a[10:16], b[10:16], b[20:26]]
    for step in range(6):
        logits = runner.decode([end[step] for end in ends], cache)
    for row, end in enumerate(ends):
        near(logits[row], runner.all_logits([*a[:10], *end], runner.new_state())[-1])


@every_state
@pytest.mark.parametrize("ragged", [False, True])
def test_truncate_and_continue_equals_fresh(case, ragged):
    """Catches keys of a forgotten text that are still seen."""
    runner, (a, b) = runner_of(case), rows_of(case)
    cache = runner.new_state(2)
    runner.prefill([a[:30], b[:6] if ragged else b[:30]], cache)
    if not cache.rewinds:
        # A state that cannot go back says so, stays as it is, and can be emptied.
        lengths = list(cache.lengths)
        assert not cache.truncate([8, 8]) and cache.lengths == lengths
        assert cache.truncate([0, 0])
        runner.prefill([a[:8], b[: 6 if ragged else 8]], cache)
    assert cache.truncate([8, 8])
    lengths = [8, 6 if ragged else 8]
    assert cache.lengths == lengths
    logits = runner.prefill([b[20:29], a[20:29]], cache)
    near(logits[0], runner.all_logits([*a[:8], *b[20:29]], runner.new_state())[-1])
    near(logits[1], runner.all_logits([*b[: lengths[1]], *a[20:29]], runner.new_state())[-1])


@every_state
def test_restore_and_continue_equals_fresh(case):
    """Catches a snapshot that copies keys which still stand there, or is taken once they do not."""
    runner, (a, b) = runner_of(case), rows_of(case)
    cache = runner.new_state(2)
    runner.prefill([a[:12], b[:7]], cache)
    snapshot = cache.snapshot()
    assert snapshot.bytes == 2 * runner.spec.row_bytes
    runner.prefill([a[12:20], b[7:9]], cache)
    assert cache.restore(snapshot) and cache.lengths == [12, 7]
    logits = runner.prefill([b[20:29], a[20:29]], cache)
    near(logits[0], runner.all_logits([*a[:12], *b[20:29]], runner.new_state())[-1])
    near(logits[1], runner.all_logits([*b[:7], *a[20:29]], runner.new_state())[-1])
    if cache.rewinds:
        assert cache.truncate([3, 9]) and cache.lengths == [3, 9]
        assert not cache.restore(snapshot) and cache.lengths == [3, 9]


@every_way
def test_probed_equals_unprobed_and_the_stream_is_the_sum_of_its_updates(case):
    """Catches a probe point that is missing, doubled, misplaced, or that changes the result."""
    runner, row = runner_of(case), rows_of(case)[0]
    probe = Recorder(range(len(row)), POINTS)
    logits = runner.all_logits(row, runner.new_state(), probe=probe)
    seen = probe.by_place
    assert len(seen) == len(probe.shown)
    assert torch.equal(logits, whole(case)[0])
    assert list(seen) == places_of(case)
    assert {tuple(t.shape) for t in seen.values()} == {(1, len(row), runner.spec.width)}
    stream = seen["embedding", -1]
    layers = range(runner.spec.layers)
    for layer in layers:
        for point in ("attention", "mlp", "told"):
            if (point, layer) in seen:
                stream = stream + seen[point, layer]
        stream = stream * runner.layer_scale(layer)
        # The very same additions in the same order.
        assert torch.equal(stream, seen["stream", layer])
    # What a layer leaves is scaled by every later one as well.
    scales = [math.prod(map(runner.layer_scale, layers[at:])) for at in layers]
    total = sum(t * scales[max(at, 0)] for (point, at), t in seen.items() if point != "stream")
    torch.testing.assert_close(total, stream, rtol=0, atol=1e-5)
    assert torch.equal(runner.decoder.logits(stream)[0], logits)


@every_state
def test_probed_prefill_and_decode_equal_unprobed(case):
    """Catches a probe that is dropped on the way, or that takes another way through the maths."""
    runner, rows = runner_of(case), rows_of(case)
    one, other = (Recorder(range(10), POINTS) for _ in range(2))
    probe = EachRow([one, other])
    caches = runner.new_state(2), runner.new_state(2)
    ragged = [rows[0][:9], rows[1][:5]]
    probed = runner.prefill(ragged, caches[0], chunk=4, probe=probe)
    assert torch.equal(probed, runner.prefill(ragged, caches[1], chunk=4))
    begun = [
        [(at, t.size(1)) for point, _, at, t in each.shown if point == "embedding"]
        for each in (one, other)
    ]
    assert begun == [[(0, 4), (4, 4), (8, 1)], [(0, 4), (4, 1)]]
    probed = runner.decode([3, 4], caches[0], probe=probe)
    assert torch.equal(probed, runner.decode([3, 4], caches[1]))
    assert [len(each.shown) / len(places_of(case)) for each in (one, other)] == [4, 3]


@every_state
def test_growth_changes_nothing(case, monkeypatch):
    """Catches a cache that loses, moves or shows the wrong slots when it grows."""
    runner, (a, b) = runner_of(case), rows_of(case)
    texts = [a[:7], b[:3]]

    def run() -> tuple[Tensor, list[int]]:
        cache = runner.new_state(2)
        logits, capacities = [runner.prefill(texts, cache, chunk=3)], []
        for at in range(10, 30):
            logits.append(runner.decode([a[at], b[at]], cache))
            capacities.append(cache.capacity)
        return torch.stack(logits), capacities

    ungrown, capacities = run()
    assert set(capacities) == {runner.limit}
    monkeypatch.setattr("gptcli.engine.state.model_state.GROWTH", 4)
    grown, capacities = run()
    assert len(set(capacities)) >= 5 and capacities == sorted(capacities)
    assert torch.equal(grown, ungrown)


@every_state
def test_full_context_works_and_one_more_is_refused(case):
    """Catches an off-by-one at the end of the context, where positions run out."""
    runner = runner_of(case)
    context = runner.spec.context
    ids = [(7 * i) % runner.spec.vocab for i in range(context)]
    cache = runner.new_state()
    whole_text = runner.all_logits(ids, cache)
    with pytest.raises(ValueError, match=f"{context + 1} tokens do not fit .* {context}"):
        runner.decode([1], cache)
    assert cache.lengths == [context]
    prefilled = runner.new_state()
    near(runner.prefill([ids], prefilled, chunk=13)[0], whole_text[-1])
    stepped = runner.new_state()
    runner.prefill([ids[:-2]], stepped)
    near(runner.decode(ids[-2:-1], stepped)[0], whole_text[-2])
    near(runner.decode(ids[-1:], stepped)[0], whole_text[-1])


@every_state
def test_ragged_rows_up_to_the_full_context(case):
    """Catches padding of a short row that is refused, or looked up, beyond the last position."""
    runner, (a, b) = runner_of(case), rows_of(case)
    context = runner.spec.context
    ids = [*a, *b][:context]
    cache = runner.new_state(2)
    runner.prefill([ids[:-1], b[:2]], cache)
    logits = runner.prefill([ids[-1:], b[2:30]], cache)
    near(logits[0], runner.all_logits(ids, runner.new_state())[-1])
    near(logits[1], whole(case)[1][29])


@pytest.mark.parametrize("limit", [1, 11, 48])
def test_reserve_refuses_beyond_a_smaller_limit(limit):
    """Catches a --ctx-size that is read but not held to."""
    runner = load(GOLDENS / "llama/tied", device="cpu", dtype="float32", ctx_size=limit)
    cache = runner.new_state(2)
    assert cache.limit == limit
    cache.reserve([limit, 1])
    assert cache.capacity == limit
    with pytest.raises(ValueError, match=f"{limit + 1} tokens do not fit"):
        cache.reserve([1, limit + 1])


@functools.cache
def experts_of(case: str) -> list[Tensor]:
    """Which experts each mixture chooses for each token of the first row, in float32."""
    runner, found = runner_of(case), []
    choose = Mixture.choose

    def noted(self: Mixture, chances: Tensor) -> Tensor:
        found.append(choose(self, chances))
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Mixture, "choose", noted)
        runner.all_logits(rows_of(case)[0], runner.new_state())
    return found


def chosen_again(case: str, runner: TorchRunner) -> Callable[[Mixture, Tensor], Tensor]:
    """A `Mixture.choose` for the first row, read once from its first token to its last."""
    mixtures = [each for each in runner.decoder.modules() if isinstance(each, Mixture)]
    left = {id(mixture): found for mixture, found in zip(mixtures, experts_of(case), strict=True)}

    def choose(self: Mixture, chances: Tensor) -> Tensor:
        chosen, left[id(self)] = left[id(self)].tensor_split([len(chances)])
        return chosen

    return choose


@pytest.mark.slow
@every_way
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_types_stay_near_float32(case, dtype, monkeypatch):
    """Catches sums or norms that lose a half type's few bits, logits in it, or a dtype ignored.

    Rounding may choose another expert, which is no matter of degree: the same ones are chosen here.

    Each of the 2 layers adds some ten roundings of relative size eps / 2 to what the logits are
    made of. Errors of many roundings add up as their root: a few eps on the scale of the logits
    are due (the largest seen is 5), and 10 are allowed.
    """
    runner, row = runner_of(case, dtype), rows_of(case)[0]
    assert runner.dtype == getattr(torch, dtype)
    exact = whole(case)[0]
    monkeypatch.setattr(Mixture, "choose", chosen_again(case, runner))
    ours = runner.all_logits(row, runner.new_state())
    assert ours.dtype == torch.float32
    eps = torch.finfo(runner.dtype).eps
    error = (ours - exact).square().mean().sqrt() / exact.std()
    assert 0 < error < 10 * eps
    # Decoding in the half type agrees with itself as closely as it does with float32.
    cache = runner.new_state()
    monkeypatch.setattr(Mixture, "choose", chosen_again(case, runner))
    stepped = torch.cat([runner.decode([token], cache) for token in row])
    assert stepped.dtype == torch.float32
    assert ((stepped - exact).square().mean().sqrt() / exact.std()) < 10 * eps


def one_of_each_layer(case: str) -> TorchRunner:
    """The golden checkpoint without its second layer where that is as the first one is."""
    runner = runner_of(case)
    each_layer = tuple(dict.fromkeys(runner.spec.each_layer))
    decoder = Decoder(dataclasses.replace(runner.spec, each_layer=each_layer))
    decoder.load_state_dict(runner.decoder.state_dict(), strict=False)
    return TorchRunner(decoder.requires_grad_(False).eval())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "counts", "backend"),
    [
        pytest.param("gpt2/tied", (5, 5), "eager", marks=pytest.mark.families),
        ("mistral/window", (9, 3), "aot_eager"),
        pytest.param("bloom/tied", (5, 2), "eager", marks=pytest.mark.families),
        ("gemma2/capped", (9, 3), "eager"),
    ],
)
def test_compiled_equals_eager(case, counts, backend):
    """Catches Python in the forward pass that a compiler bakes in: lengths, masks, the cache.

    One graph each for a prefill and a decode step, of equal and of ragged rows; with these backends
    the operations are the same, so the numbers are. Few cases, as each graph takes seconds; the
    second backend, which also writes what happens in place another way, takes thrice as many.
    """
    runner, rows = one_of_each_layer(case), rows_of(case)
    torch._dynamo.reset()
    compiled = torch.compile(runner.decoder, backend=backend, dynamic=True, fullgraph=True)
    caches = runner.new_state(2), runner.new_state(2)
    widest = max(counts)
    with torch.inference_mode():
        for start, time, taken in [(0, widest, list(counts)), (widest, 1, [1, 1])]:
            ids = torch.tensor([row[start : start + time] for row in rows])
            streams = []
            for decoder, cache in zip((compiled, runner.decoder), caches, strict=True):
                cache.reserve(taken)
                streams.append(decoder(ids, cache, taken))
            assert torch.equal(*streams)
            assert caches[0].lengths == caches[1].lengths
    assert caches[0].lengths == [count + 1 for count in counts]
    for ours, theirs in zip(caches[0].layers, caches[1].layers, strict=True):
        assert torch.equal(ours.keys, theirs.keys)
