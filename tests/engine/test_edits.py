"""Edits: what is changed inside a pass, through torch and through the kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from gptcli.engine.arrays import host
from gptcli.engine.edits import Edit, digest
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.points import EDITED, Point, features, is_there
from gptcli.engine.runner import Runner
from gptcli.engine.state.pages import PagedRow
from tests.engine.cpu.helpers import SETS, every_set, kernels_of, needs_kernels
from tests.engine.cpu.test_probed import KINDS, small_runner
from tests.engine.helpers import Recorder, every_state, every_way, rows_of, runner_of


def places(spec: ModelSpec) -> list[tuple[Point, int]]:
    """Every point of every layer that can be changed."""
    layers = range(-1, spec.layers)
    return [(point, at) for at in layers for point in EDITED if is_there(point, spec, at)]


def said(runner: Runner, rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Logits (rows, vocab) after each row: all together, in two calls."""
    state = runner.new_state(len(rows))
    runner.prefill([row[:4] for row in rows], state)
    return host(runner.prefill([row[4:] for row in rows], state))


def shown(runner: Runner, row: Sequence[int]) -> dict[tuple[str, int], np.ndarray]:
    """What stands at each point, (time, features)."""
    recorder = Recorder(range(len(row)))
    runner.prefill([row], runner.new_state(), probe=recorder)
    return {(point, at): host(array)[0] for point, at, _, array in recorder.shown}


def some(spec: ModelSpec, place: tuple[Point, int], row: int) -> Edit:
    """A change of some features at some positions, different for each place."""
    point, at = place
    count = features(point, spec, at)
    part = range(count // 3, count // 3 + max(1, count // 4))
    numbers = np.random.default_rng([at + 1, row]).normal(size=(7, len(part))).astype(np.float32)
    add = None if point == "shares" else numbers
    return Edit(point, at, row, range(2, 9), part, 0.25 * row, add)


@every_way
def test_the_kernels_change_what_torch_changes(case):
    """Catches a point that is changed in one alone, in other rows, places, features or layers."""
    runners: list[Runner] = [runner_of(case), *[kernels_of(case)] * bool(SETS)]
    spec = runners[0].spec
    a, b = (row[:9] for row in rows_of(case)[:2])
    plain = said(runners[0], [a])[0]
    for place in places(spec):
        # The second row alone is changed; a third is changed otherwise.
        edits = [some(spec, place, 1), some(spec, place, 2)]
        found = [said(runner.edited(edits), [a, a, b]) for runner in runners]
        for logits in found:
            np.testing.assert_allclose(logits[0], plain, rtol=0, atol=3e-5, err_msg=str(place))
            np.testing.assert_allclose(logits, found[0], rtol=0, atol=1e-4, err_msg=str(place))
        if place[0] != "shares":
            assert np.abs(found[0][1] - plain).max() > 1e-4, place


@needs_kernels
@every_state
def test_what_is_put_in_its_own_place_changes_no_bit(case):
    """Catches an update that is rounded otherwise where it is changed, and what is not changed."""
    runner, row = kernels_of(case), rows_of(case)[0][:9]
    spec, plain, there = runner.spec, said(runner, [row]), shown(runner, row)
    for point, at in places(spec):
        part, positions = range(features(point, spec, at)), range(len(row))
        add = None if point == "shares" else np.ascontiguousarray(there[point, at])
        own = Edit(point, at, positions=positions, part=part, factor=float(add is None), add=add)
        assert np.array_equal(said(runner.edited([own]), [row]), plain), (point, at)


@every_state
def test_a_probe_sees_what_was_changed(case):
    """Catches a point that is shown before it is changed, and numbers that are others at it."""
    runners: list[Runner] = [runner_of(case), *[kernels_of(case)] * bool(SETS)]
    row = rows_of(case)[0][:9]
    for runner in runners:
        spec, before = runner.spec, shown(runner, row)
        for point, at in places(spec):
            edit = Edit(point, at, positions=range(1, 4), factor=-0.5)
            want = np.array(before[point, at])
            want[1:4] *= np.float32(-0.5)
            found = shown(runner.edited([edit]), row)
            np.testing.assert_allclose(found[point, at], want, rtol=0, atol=1e-6, err_msg=str(edit))


@needs_kernels
@every_set
@pytest.mark.parametrize("dtype", KINDS)
def test_rows_together_are_as_alone(instructions, dtype):
    """Catches an edit that reaches a neighbour, whatever the weights are and how many run."""
    runner = small_runner(instructions, dtype)
    texts = [[(5 * at + row) % 131 for at in range(12)] for row in range(9)]
    there = places(runner.spec)
    edits = [some(runner.spec, there[row % len(there)], row) for row in range(9)]
    together = said(runner.edited(edits), texts)
    for row, text in enumerate(texts):
        edit = edits[row]
        own = Edit(edit.point, edit.layer, 0, edit.positions, edit.part, edit.factor, edit.add)
        assert np.array_equal(said(runner.edited([own]), [text])[0], together[row])


@pytest.mark.parametrize("through", ["torch", *["kernels"] * bool(SETS)])
def test_steps_are_changed_as_prompts_are(through):
    """Catches tokens that are drawn, run in pages or read for all logits without the edits."""
    case = "llama/tied"
    plain = runner_of(case) if through == "torch" else kernels_of(case)
    row = rows_of(case)[0][:8]
    width = plain.spec.width
    edits = [
        Edit("stream", 0, add=np.linspace(-1, 1, width, dtype=np.float32)),
        Edit("heads", 1, positions=range(5, 7), factor=0.0),
    ]
    runner = plain.edited(edits)
    want = said(runner, [row])[0]
    assert np.abs(want - said(plain, [row])[0]).max() > 1e-3
    state = runner.new_state()
    runner.prefill([row[:5]], state)
    for token in row[5:]:
        stepped = host(runner.decode([token], state))[0]
    pages = runner.new_pages(9)
    pages.rows = [PagedRow(), PagedRow()]
    paged = host(runner.run([row[:3], row], pages, [2, 10]))[1]
    every = host(runner.all_logits(row, runner.new_state()))[-1]
    parts = [host(each) for each in runner.logits_in_parts(row, runner.new_state())]
    rows = [host(each) for each in runner.logits_of_rows([row], runner.new_state())]
    for found in (stepped, paged, every, parts[-1][-1], rows[-1][-1]):
        np.testing.assert_allclose(found, want, rtol=0, atol=2e-5)


@pytest.mark.parametrize("through", ["torch", *["kernels"] * bool(SETS)])
def test_edits_come_behind_others_and_at_their_places_alone(through):
    """Catches edits that take others away, and no position that is read as all of them."""
    plain = runner_of("llama/tied") if through == "torch" else kernels_of("llama/tied")
    row = rows_of("llama/tied")[0][:8]
    first = Edit("mlp", 0, positions=range(8), factor=0.5)
    second = Edit("mlp", 0, part=range(3), factor=0.0)
    nowhere = plain.edited([Edit("stream", 0, positions=range(0), factor=0.0)])
    assert np.array_equal(said(nowhere, [row]), said(plain, [row]))
    one_by_one = plain.edited([first]).edited([second])
    assert one_by_one.edits == (first, second)
    assert np.array_equal(said(one_by_one, [row]), said(plain.edited([first, second]), [row]))
    assert not np.array_equal(said(one_by_one, [row]), said(plain.edited([second]), [row]))


def test_no_change_is_no_edit():
    """Catches an edit that only costs time, and one that is forgotten in the fingerprint."""
    runner = runner_of("llama/tied")
    add = np.ones(runner.spec.width, np.float32)
    assert not runner.edited([Edit("stream", 0)]).edits
    once, twice = Edit("stream", 0, add=add), Edit("stream", 0, add=2 * add)
    assert runner.edited([once]).edits == (once,) and runner.edits == ()
    assert len({digest([once]), digest([twice]), digest([Edit("stream", 1, add=add)])}) == 3
    if SETS:
        kernels = kernels_of("llama/tied")
        assert kernels.edited([]).fingerprint == kernels.fingerprint


@pytest.mark.parametrize(
    "edit",
    [
        Edit("stream", 99),
        Edit("stream", -1),
        Edit("shares", 0, factor=0.0),
        Edit("keys", 0),
        Edit("mlp", 0, part=range(10**6)),
        Edit("mlp", 0, part=range(3, 1)),
        Edit("mlp", 0, add=np.zeros(3, np.float32)),
        Edit("mlp", 0, positions=range(2), part=range(4), add=np.zeros((3, 4), np.float32)),
        Edit("mlp", 0, part=range(4), add=np.zeros(4)),
    ],
)
def test_what_a_model_does_not_have_is_refused(edit):
    """Catches a kernel that writes where there is no number."""
    with pytest.raises(ValueError):
        runner_of("llama/tied").edited([edit])
