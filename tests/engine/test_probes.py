"""What the probes see, against transformers' eager attention on every golden checkpoint.

Through torch, and through the kernels in float32.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from gptcli.engine.arrays import host
from gptcli.engine.probe import Together
from gptcli.engine.probes import embeddings
from gptcli.engine.probes.attention import AttentionWeights, weights
from gptcli.engine.probes.parameters import parts
from gptcli.engine.probes.readout import read_out
from gptcli.engine.probes.streams import Streams
from gptcli.engine.runner import Runner
from gptcli.engine.torch.attention import attend_written_out
from tests.engine.cpu.helpers import SETS, kernels_of
from tests.engine.helpers import (
    GOLDENS,
    SPECS,
    STATES,
    WAYS,
    every_state,
    every_way,
    exact_runner_of,
    few_of,
    rows_of,
    runner_of,
    whole,
)
from tests.golden_cases import CASES as MADE
from tests.opening import load

NEAR = {"rtol": 0, "atol": 1e-5}
both = pytest.mark.parametrize("through", ["torch", *["kernels"] * bool(SETS)])


def near(ours, expected, atol: float = 1e-5) -> None:
    """No number further apart than 1e-5, whichever library has them."""
    np.testing.assert_allclose(host(ours), host(expected), rtol=0, atol=atol)


def equal(ours, expected) -> bool:
    """Bit by bit."""
    return np.array_equal(host(ours), host(expected))


@functools.cache
def oracle(case: str) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """transformers' attentions (heads, time, time) and hidden states (time, width), by layer.

    Where its eager attention is wrong, there are no attentions.
    """
    from tests.oracle import open_model, that_reads

    kind = MADE[case].attention
    model = that_reads(open_model(GOLDENS / case, kind))
    eager = kind == "eager"
    with torch.no_grad():
        ids = torch.tensor([rows_of(case)[0]])
        out = model(ids, output_attentions=eager, output_hidden_states=True)
    attentions = tuple(each[0] for each in out.attentions) if eager else ()
    return attentions, tuple(each[0] for each in out.hidden_states)


@functools.cache
def opened(case: str, through: str) -> Runner:
    """The context in use is the length of the text, as transformers takes it."""
    limit = len(rows_of(case)[0])
    if through == "kernels":
        return kernels_of(case, limit=limit)
    return load(GOLDENS / case, device="cpu", dtype="float32", ctx_size=limit)


def runner_through(through: str, case: str) -> Runner:
    """The golden checkpoint, with all of its context."""
    return kernels_of(case) if through == "kernels" else runner_of(case)


def probed(runner: Runner, row, positions: range, chunk: int = 512):
    """Streams and attention weights of a prefill, and its logits."""
    streams, seen = Streams(positions), AttentionWeights(runner, positions)
    logits = runner.prefill([row], runner.new_state(), chunk=chunk, probe=Together(streams, seen))
    return streams, seen, logits


def test_four_kinds_of_attention_are_among_the_cases():
    """Catches goldens without what makes attention differ, with which the tests would say less."""
    specs = {case: SPECS[case] for case in WAYS}
    assert any(spec.group > 1 for spec in specs.values())
    assert any(each.window for spec in specs.values() for each in spec.each_layer)
    assert any(spec.blocks != "serial" for spec in specs.values())
    assert any(spec.attention_softcap for spec in specs.values())
    assert any(spec.final_softcap for spec in specs.values())
    assert any(spec.sinks for spec in specs.values())
    assert any(spec.alibi for spec in specs.values())


@few_of((case for case in MADE if MADE[case].attention == "eager"), STATES)
@pytest.mark.parametrize("chunk", [7])
@both
def test_attention_weights_equal_transformers(case, chunk, through):
    """Catches a wrong scale, mask, window, soft-cap or sink, heads in another order, and rows of
    a later chunk put in the wrong place."""
    runner, row = opened(case, through), rows_of(case)[0]
    _, seen, _ = probed(runner, row, range(len(row)), chunk)
    theirs, _ = oracle(case)
    for layer, expected in zip(runner.spec.attending, theirs, strict=True):
        near(seen.of(layer), expected)


@every_way
@both
def test_streams_equal_transformers(case, through):
    """Catches an embedding without its scale, positions or norm, and layers that are off by one.

    transformers' own float32 is up to 1.3e-5 from its float64, where streams hold numbers of 19
    (llama/llama3). torch adds up as it does; the kernels, in another order, get the last places,
    and so does torch with a mixer that goes token by token where theirs goes by stretches.
    """
    runner, row = opened(case, through), rows_of(case)[0]
    streams, _, _ = probed(runner, row, range(len(row)))
    _, theirs = oracle(case)
    largest = max(each.abs().max().item() for each in theirs)
    same_order = through == "torch" and not runner.spec.row_bytes
    atol = 1e-5 if same_order else max(1e-5, 12 * 2**-23 * largest)
    for layer in range(-1, runner.spec.layers - 1):
        near(streams.after(layer), theirs[layer + 1], atol)
    # The last of theirs has been through the final norm.
    near(runner.normed(streams.after(runner.spec.layers - 1)), theirs[-1], atol)


@every_way
@pytest.mark.parametrize("chunk", [7])
@both
def test_the_parts_add_up(case, chunk, through):
    """Catches an update that is told before its norm or its scale, and a layer's own scale."""
    runner, row = runner_through(through, case), rows_of(case)[0]
    streams, _, _ = probed(runner, row, range(len(row)), chunk)
    last = streams.after(runner.spec.layers - 1)
    near(streams.added_up(runner), last, 1e-5)


@every_way
@both
def test_the_last_read_out_is_what_the_model_says(case, through):
    """Catches a read-out without the final norm, the head's bias, the scale or the soft-cap."""
    runner, row = runner_through(through, case), rows_of(case)[0]
    streams, _, logits = probed(runner, row, range(len(row)))
    last = streams.after(runner.spec.layers - 1)
    target = np.array(row)[:, None]
    found = read_out(runner, last, 5, torch.tensor(target) if through == "torch" else target)
    every = torch.as_tensor(runner.all_logits(row, runner.new_state()))
    chances = whole(case)[0].softmax(-1)
    near(found.probabilities, chances.topk(5).values)
    near(found.chances, chances.gather(-1, torch.tensor(target)))
    order = every.argsort(dim=-1, descending=True, stable=True)
    assert equal(found.ids, order[:, :5])
    assert equal(found.ranks, (order == torch.tensor(target)).nonzero()[:, 1:] + 1)
    assert equal(runner.logits_of_streams(last), every)
    assert equal(logits, runner.prefill([row], runner.new_state()))


@every_state
@pytest.mark.parametrize("chunk", [4])
@both
def test_a_window_is_a_part_of_the_whole(case, chunk, through):
    """Catches positions that are counted from the chunk, or from the window."""
    runner, row = runner_through(through, case), rows_of(case)[0]
    window = range(9, 23)
    streams, seen, _ = probed(runner, row, window, chunk)
    every, all_seen, _ = probed(runner, row, range(len(row)), chunk)
    for layer in runner.spec.attending:
        part, all_of_it = seen.of(layer), all_seen.of(layer)[:, 9:23]
        near(part, all_of_it[..., : part.shape[-1]])
        assert not all_of_it[..., part.shape[-1] :].any()
    for layer in range(runner.spec.layers):
        if (update := streams.mlp(layer)) is not None:
            assert equal(update, every.mlp(layer)[9:23])
        assert equal(streams.after(layer), every.after(layer)[9:23])


@every_state
@both
def test_decode_steps_are_probed_as_well(case, through):
    """Catches a step whose mask or place is that of a prefill.

    The kernels add up a token alone as among others. torch does not, and its last place in
    float32 may grow elevenfold in a single MLP (olmo3/mixed): in float64 that shows no more.
    """
    runner = kernels_of(case) if through == "kernels" else exact_runner_of(case)
    row = rows_of(case)[0]
    cache = runner.new_state()
    runner.prefill([row[:-1]], cache)
    at = range(len(row) - 1, len(row))
    streams, seen = Streams(at), AttentionWeights(runner, at)
    runner.decode([row[-1]], cache, probe=Together(streams, seen))
    every, all_seen, _ = probed(runner, row, range(len(row)))
    for layer in range(runner.spec.layers):
        if layer in runner.spec.attending:
            near(seen.of(layer), all_seen.of(layer)[:, -1:])
        near(streams.after(layer), every.after(layer)[-1:], 0 if through == "kernels" else 1e-5)


@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("with_sinks", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_weights_times_values_are_what_attention_gathers(softcap, with_sinks, biased):
    """Catches weights that are not those of the kernel that completes text."""
    torch.manual_seed(1)
    q, keys, values = torch.randn(2, 6, 5, 4), torch.randn(2, 2, 9, 4), torch.randn(2, 2, 9, 4)
    mask = torch.ones(5, 9, dtype=torch.bool).tril(4)[None, None]
    if biased:
        mask = torch.randn(1, 6, 5, 9).masked_fill(~mask, -torch.inf)
    sinks = torch.randn(6) if with_sinks else None
    bias = mask[0] if biased else torch.zeros(1, 5, 9).masked_fill(~mask[0], -torch.inf)
    found = weights(q, keys, bias, 0.7, softcap=softcap, sinks=sinks)
    gathered = found @ values.repeat_interleave(3, dim=1)
    expected = attend_written_out(q, keys, values, mask, 0.7, softcap=softcap, sinks=sinks)
    torch.testing.assert_close(gathered, expected, **NEAR)
    assert (found.sum(-1) < 1 - 1e-4).all() == with_sinks
    given = [each.numpy() for each in (q, keys, bias)]
    arrays = weights(*given, 0.7, softcap=softcap, sinks=sinks.numpy() if with_sinks else None)
    near(arrays, found, 1e-6)


@every_way
def test_parts_hold_every_parameter(case):
    """Catches a tensor that is left out or counted twice, experts and tied tables among them."""
    runner = runner_of(case)
    found = parts(runner.shapes())
    total = sum(parameter.numel() for parameter in runner.decoder.parameters())
    assert sum(part.parameters for part in found) == total
    names = {part.name for part in found}
    assert {"embedding.weight", "final_norm.weight", "attention.query.weight"} <= names
    queries = [part for part in found if part.name == "attention.query.weight"]
    sizes = runner.spec.latents
    for part in queries:
        shape = runner.spec.shapes[part.layers[0]]
        wanted = shape.heads * shape.head_dim, runner.spec.width
        if sizes is not None:
            read = sizes.query_rank or runner.spec.width
            wanted = shape.heads * (sizes.plain + sizes.turned), read
        assert math.prod(part.shape) == math.prod(wanted)
        assert part.times == len(part.layers)
    assert sorted(at for part in queries for at in part.layers) == list(runner.spec.attending)


@pytest.mark.skipif(not SETS, reason="the kernels were not built")
@every_way
def test_both_runners_list_the_same_parameters(case):
    """Catches a parameter that the kernels' list lacks, or tells in another shape."""
    assert dict(kernels_of(case).shapes()) == dict(runner_of(case).shapes())


@both
@pytest.mark.parametrize("case", ["llama/tied", "gpt2/tied"])
def test_cosines_are_those_of_the_rows(case, through):
    """Catches blocks of the table in the wrong order, and a vector of length 0 that gives NaN."""
    runner = runner_through(through, case)
    table = runner_of(case).decoder.embedding.weight.detach()
    width = table.size(1)
    wanted = np.concatenate((host(runner.embeddings([3, 60])), np.zeros((1, width), np.float32)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embeddings, "ROWS", 7)
        found = embeddings.cosines(runner, torch.tensor(wanted) if through == "torch" else wanted)
    vectors = torch.tensor(wanted)
    expected = torch.nn.functional.cosine_similarity(vectors[:, None], table[None], dim=-1)
    near(found, expected, 1e-6)
    assert found[0].argmax() == 3 and found[1].argmax() == 60 and not found[2].any()
    tokens, values = embeddings.nearest(runner, [3, 60], 4)
    expected[[0, 1], [3, 60]] = -torch.inf
    near(values, expected[:2].topk(4).values, 1e-6)
    assert equal(tokens, expected[:2].topk(4).indices)
