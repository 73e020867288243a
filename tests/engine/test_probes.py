"""What the probes see, against transformers' eager attention on every golden checkpoint."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from torch import Tensor

from gptcli.engine.attend import attend_written_out
from gptcli.engine.load import load
from gptcli.engine.probes import embeddings, together
from gptcli.engine.probes.attention import AttentionWeights, weights
from gptcli.engine.probes.parameters import parts
from gptcli.engine.probes.readout import read_out
from gptcli.engine.probes.streams import Streams
from gptcli.engine.runner import Runner
from tests.engine.helpers import CASES, GOLDENS, rows_of, runner_of, whole
from tests.golden_cases import CASES as MADE

NEAR = {"rtol": 0, "atol": 1e-5}
every_case = pytest.mark.parametrize("case", CASES)


@functools.cache
def oracle(case: str) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """transformers' attentions (heads, time, time) and hidden states (time, width), by layer.

    Where its eager attention is wrong, there are no attentions.
    """
    from transformers import AutoModelForCausalLM

    kind = MADE[case].attention
    model = AutoModelForCausalLM.from_pretrained(
        GOLDENS / case, dtype=torch.float32, attn_implementation=kind
    ).eval()
    eager = kind == "eager"
    with torch.no_grad():
        ids = torch.tensor([rows_of(case)[0]])
        out = model(ids, output_attentions=eager, output_hidden_states=True)
    attentions = tuple(each[0] for each in out.attentions) if eager else ()
    return attentions, tuple(each[0] for each in out.hidden_states)


@functools.cache
def opened(case: str) -> Runner:
    """The context in use is the length of the text, as transformers takes it."""
    return load(GOLDENS / case, device="cpu", dtype="float32", limit=len(rows_of(case)[0]))


def probed(runner: Runner, row, positions: range, chunk: int = 512):
    """Streams and attention weights of a prefill, and its logits."""
    streams, seen = Streams(positions), AttentionWeights(runner.decoder, positions)
    logits = runner.prefill([row], runner.new_cache(), chunk=chunk, probe=together(streams, seen))
    return streams, seen, logits


def test_four_kinds_of_attention_are_among_the_cases():
    """Catches goldens without what makes attention differ, with which the tests would say less."""
    specs = {case: runner_of(case).spec for case in CASES}
    assert any(spec.group > 1 for spec in specs.values())
    assert any(each.window for spec in specs.values() for each in spec.each_layer)
    assert any(spec.blocks != "serial" for spec in specs.values())
    assert any(spec.attention_softcap for spec in specs.values())
    assert any(spec.final_softcap for spec in specs.values())
    assert any(spec.sinks for spec in specs.values())
    assert any(spec.alibi for spec in specs.values())


@pytest.mark.parametrize("case", [case for case in CASES if MADE[case].attention == "eager"])
@pytest.mark.parametrize("chunk", [512, 7])
def test_attention_weights_equal_transformers(case, chunk):
    """Catches a wrong scale, mask, window, soft-cap or sink, heads in another order, and rows of
    a later chunk put in the wrong place."""
    runner, row = opened(case), rows_of(case)[0]
    _, seen, _ = probed(runner, row, range(len(row)), chunk)
    theirs, _ = oracle(case)
    assert len(theirs) == runner.spec.layers
    for layer, expected in enumerate(theirs):
        torch.testing.assert_close(seen.of(layer), expected, **NEAR)


@every_case
def test_streams_equal_transformers(case):
    """Catches an embedding without its scale, positions or norm, and layers that are off by one."""
    runner, row = opened(case), rows_of(case)[0]
    streams, _, _ = probed(runner, row, range(len(row)))
    _, theirs = oracle(case)
    for layer in range(-1, runner.spec.layers - 1):
        torch.testing.assert_close(streams.after(layer), theirs[layer + 1], **NEAR)
    # The last of theirs has been through the final norm.
    last = runner.decoder.final_norm(streams.after(runner.spec.layers - 1))
    torch.testing.assert_close(last, theirs[-1], **NEAR)


@every_case
@pytest.mark.parametrize("chunk", [512, 7])
def test_the_parts_add_up(case, chunk):
    """Catches an update that is told before its norm or its scale."""
    runner, row = runner_of(case), rows_of(case)[0]
    streams, _, _ = probed(runner, row, range(len(row)), chunk)
    total = streams.embedding
    for layer in range(runner.spec.layers):
        total = total + streams.attention(layer) + streams.mlp(layer)
    last = streams.after(runner.spec.layers - 1)
    torch.testing.assert_close(total, last, rtol=0, atol=1e-4)


@every_case
def test_the_last_read_out_is_what_the_model_says(case):
    """Catches a read-out without the final norm, the head's bias, the scale or the soft-cap."""
    runner, row = runner_of(case), rows_of(case)[0]
    streams, _, logits = probed(runner, row, range(len(row)))
    last = streams.after(runner.spec.layers - 1)
    target = torch.tensor(row)[:, None]
    found = read_out(runner.decoder, last, 5, target)
    chances = whole(case)[0].softmax(-1)
    torch.testing.assert_close(found.probabilities, chances.topk(5).values, **NEAR)
    torch.testing.assert_close(found.chances, chances.gather(-1, target), **NEAR)
    order = whole(case)[0].argsort(dim=-1, descending=True, stable=True)
    assert torch.equal(found.ids, order[:, :5])
    assert torch.equal(found.ranks, (order == target).nonzero()[:, 1:] + 1)
    assert torch.equal(logits, runner.prefill([row], runner.new_cache()))


@every_case
@pytest.mark.parametrize("chunk", [512, 4])
def test_a_window_is_a_part_of_the_whole(case, chunk):
    """Catches positions that are counted from the chunk, or from the window."""
    runner, row = runner_of(case), rows_of(case)[0]
    window = range(9, 23)
    streams, seen, _ = probed(runner, row, window, chunk)
    every, all_seen, _ = probed(runner, row, range(len(row)), chunk)
    for layer in range(runner.spec.layers):
        part, all_of_it = seen.of(layer), all_seen.of(layer)[:, 9:23]
        torch.testing.assert_close(part, all_of_it[..., : part.size(-1)], **NEAR)
        assert not all_of_it[..., part.size(-1) :].any()
        assert torch.equal(streams.mlp(layer), every.mlp(layer)[9:23])
        assert torch.equal(streams.after(layer), every.after(layer)[9:23])


@every_case
def test_decode_steps_are_probed_as_well(case):
    """Catches a step whose mask or place is that of a prefill."""
    runner, row = runner_of(case), rows_of(case)[0]
    cache = runner.new_cache()
    runner.prefill([row[:-1]], cache)
    at = range(len(row) - 1, len(row))
    streams, seen = Streams(at, start=at.start), AttentionWeights(runner.decoder, at)
    runner.decode([row[-1]], cache, probe=together(streams, seen))
    every, all_seen, _ = probed(runner, row, range(len(row)))
    for layer in range(runner.spec.layers):
        torch.testing.assert_close(seen.of(layer), all_seen.of(layer)[:, -1:], **NEAR)
        torch.testing.assert_close(streams.after(layer), every.after(layer)[-1:], **NEAR)


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
    found = weights(q, keys, mask, 0.7, softcap=softcap, sinks=sinks)
    gathered = found @ values.repeat_interleave(3, dim=1)
    expected = attend_written_out(q, keys, values, mask, 0.7, softcap=softcap, sinks=sinks)
    torch.testing.assert_close(gathered, expected, **NEAR)
    assert (found.sum(-1) < 1 - 1e-4).all() == with_sinks


@every_case
def test_parts_hold_every_parameter(case):
    """Catches a tensor that is left out or counted twice, experts and tied tables among them."""
    runner = runner_of(case)
    found = parts(runner.decoder)
    total = sum(parameter.numel() for parameter in runner.decoder.parameters())
    assert sum(part.parameters for part in found) == total
    names = {part.name for part in found}
    assert {"embedding.weight", "final_norm.weight", "attention.query.weight"} <= names
    query = next(part for part in found if part.name == "attention.query.weight")
    assert query.layers == tuple(range(runner.spec.layers)) and query.times == runner.spec.layers
    assert math.prod(query.shape) == runner.spec.width * runner.spec.heads * runner.spec.head_dim


def test_cosines_are_those_of_the_rows():
    """Catches blocks of the table in the wrong order, and a vector of length 0 that gives NaN."""
    runner = runner_of("llama/tied")
    table = runner.decoder.embedding.weight
    wanted = torch.cat((embeddings.vectors(runner.decoder, [3, 60]), torch.zeros(1, 24)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embeddings, "ROWS", 7)
        found = embeddings.cosines(runner.decoder, wanted)
    expected = torch.nn.functional.cosine_similarity(wanted[:, None], table[None], dim=-1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert found[0].argmax() == 3 and found[1].argmax() == 60 and not found[2].any()
