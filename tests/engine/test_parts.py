"""What each part adds to a logit: the sum is the logit, through torch and the kernels."""

from __future__ import annotations

import numpy as np
import pytest

from gptcli.engine.arrays import host
from gptcli.engine.edits import Edit
from gptcli.engine.points import heads_of
from gptcli.engine.probes import parts as module
from gptcli.engine.probes.parts import By, Parts, parts_of
from gptcli.engine.probes.streams import Streams
from gptcli.engine.runner import Runner
from tests.engine.cpu.helpers import SETS, kernels_of
from tests.engine.helpers import every_way, rows_of, runner_of

WAYS: tuple[By, ...] = ("head", "mlp", "layer")


def runners(case: str) -> list[Runner]:
    return [runner_of(case), *[kernels_of(case)] * bool(SETS)]


def found(runner: Runner, row, token: int, versus: int | None = None, by: By = "head") -> Parts:
    at = len(row) - 1
    streams = Streams(range(at, at + 1), heads=True)
    runner.prefill([row], runner.new_state(), probe=streams)
    return parts_of(runner, streams, token, versus, by=by)


@every_way
def test_parts_add_up_to_the_logit(case):
    """Catches a scale, a norm, a bias or a part that is left out or counted twice, heads that are
    multiplied by columns of others, and what one runner has otherwise than the other."""
    row, token, versus = rows_of(case)[0][:9], 5, 17
    every = []
    for runner in runners(case):
        logits = host(runner.prefill([row], runner.new_state()))[0].astype(float)
        cap = runner.spec.final_softcap
        for by in WAYS:
            one, two = found(runner, row, token, by=by), found(runner, row, token, versus, by=by)
            alone = found(runner, row, versus, by=by)
            said = [each.logit if cap is None else cap * np.tanh(each.logit / cap)
                    for each in (one, alone)]  # fmt: skip
            assert said == pytest.approx([logits[token], logits[versus]], abs=3e-5)
            assert two.logit == pytest.approx(one.logit - alone.logit, abs=1e-5)
            for each in (one, two):
                # The rest is one part more: with it any sum would hold.
                *all_else, rounding = each.parts
                assert rounding.name == "rounding"
                assert sum(part.adds for part in all_else) == pytest.approx(each.logit, abs=1e-4)
            every.append({(p.name, p.layer, p.head): p.adds for p in two.parts})
    for by, one in enumerate(every):
        other = every[by % 3]
        assert one.keys() == other.keys()
        for place, adds in one.items():
            assert adds == pytest.approx(other[place], abs=1e-4), place
    spec = runners(case)[0].spec
    heads = {at: heads_of(spec, at)[0] for at in range(spec.layers)}
    apart = [place[1] for place in every[0] if place[0] == "head"]
    assert all(apart.count(at) == count for at, count in heads.items())


@every_way
def test_a_part_is_what_goes_with_it(case):
    """Catches heads in another order: without a head in the last layer, the stream lacks what it
    was told to add, where the scale of norms stays as it was."""
    runner, row = runner_of(case), rows_of(case)[0][:9]
    spec = runner.spec
    layers = [at for at in range(spec.layers) if heads_of(spec, at)[0] > 1]
    if not layers or spec.norms != "before" or spec.each_layer[layers[-1]].beside:
        pytest.skip("no head's update is added as it is")
    layer = layers[-1]
    count, size = heads_of(spec, layer)
    before = Streams(range(8, 9), heads=True)
    runner.prefill([row], runner.new_state(), probe=before)
    told = {p.head: p.adds for p in parts_of(runner, before, 5).parts if p.layer == layer}
    attention = next(
        p.adds
        for p in parts_of(runner, before, 5, by="mlp").parts
        if (p.name, p.layer) == ("attention", layer)
    )
    for head in (0, count - 1):
        off = Edit("heads", layer, part=range(head * size, (head + 1) * size), factor=0.0)
        after = Streams(range(8, 9), heads=True)
        runner.edited([off]).prefill([row], runner.new_state(), probe=after)
        # Read out by the stream that was: only this layer's update is another.
        mixed = _Mixed(before, after, layer)
        without = next(
            p.adds
            for p in parts_of(runner, mixed, 5, by="mlp").parts
            if (p.name, p.layer) == ("attention", layer)
        )
        assert attention - without == pytest.approx(told[head], abs=1e-5)


class _Mixed(Streams):
    """Streams of one pass, with the attention of one layer out of another."""

    def __init__(self, base: Streams, other: Streams, layer: int) -> None:
        super().__init__(base.positions)
        self._parts = dict(base._parts)
        self._parts["attention", layer] = other._parts["attention", layer]


@pytest.mark.parametrize("case", ["llama/tied", "gemma2/capped"])
def test_projections_are_read_in_pieces(case, monkeypatch):
    """Catches rows of a projection that are lost or doubled between two pieces."""
    runner, row = runner_of(case), rows_of(case)[0][:9]
    whole = found(runner, row, 5)
    monkeypatch.setattr(module, "_BYTES", 4 * 7 * runner.spec.gathered(runner.spec.shape))
    for one, other in zip(whole.parts, found(runner, row, 5).parts, strict=True):
        assert one.adds == pytest.approx(other.adds, abs=1e-5)
