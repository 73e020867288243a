"""One token more, recorded once and done again, against caches that grow."""

from __future__ import annotations

import copy

import pytest
import torch

from gptcli.engine.asking.draws import Draws
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.asking.running_batch import RunningBatch
from gptcli.engine.edits import Edit
from gptcli.engine.torch.runner import TorchRunner
from gptcli.engine.torch.step import as_it_is
from gptcli.types.sampling import Sampling
from tests.engine.helpers import Recorder, every_way, rows_of, runner_of
from tests.engine.torch.recording import Recording

#: Of the same sums over more places, of which the others are nothing; and of many tokens at once.
NEAR, WHOLE = 1e-5, 2e-5
PLAIN = "llama/tied"


def near(ours: torch.Tensor, expected: torch.Tensor, atol: float = WHOLE) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=atol)


def static(case: str) -> tuple[TorchRunner, Recording]:
    """The same model as a GPU has it."""
    runner, recording = runner_of(case), Recording()
    capture = as_it_is if runner.spec.mixtures else recording
    decoder = copy.deepcopy(runner.decoder)
    decoder.join()
    return TorchRunner(decoder, runner.limit, capture=capture), recording


@every_way
def test_recorded_steps_equal_those_of_a_cache_that_grows(case):
    """Catches a length, place or mask that Python told while a step was recorded, and what looks
    where nobody stands: rows of unequal length, then back to shorter ones."""
    runner, (a, b) = runner_of(case), rows_of(case)
    fixed, recording = static(case)
    states = runner.new_state(2), fixed.new_state(2)
    for state, one in zip(states, (runner, fixed), strict=True):
        one.prefill([a[:9], b[:4]], state)
    ends = [(a[9 + step], b[4 + step]) for step in range(4)]
    for ids in ends:
        near(fixed.decode(ids, states[1]), runner.decode(ids, states[0]), NEAR)
    assert states[1].lengths == [13, 8]
    if states[0].rewinds:
        for state in states:
            assert state.truncate([3, 7])
        for ids in ends[:2]:
            near(fixed.decode(ids, states[1]), runner.decode(ids, states[0]), NEAR)
    if not runner.spec.mixtures:
        assert [made.times for made in recording.made] == [5 if states[0].rewinds else 3]


def test_a_step_is_recorded_anew_where_its_room_has_grown_or_its_rows_have_changed(monkeypatch):
    """Catches a recording of memory that is no longer the state's, and one for every length."""
    monkeypatch.setattr("gptcli.engine.state.static_state.GROWTH", 8)
    runner, (a, b) = runner_of(PLAIN), rows_of(PLAIN)
    fixed, recording = static(PLAIN)
    state = fixed.new_state(2)
    fixed.prefill([a[:6], b[:6]], state)
    rooms = set()
    for at in range(6, 36):
        logits = fixed.decode([a[at], b[at]], state)
        rooms.add(state.capacity)
    assert rooms == {8, 16, 32, fixed.limit}
    assert len(recording.made) == len(rooms)
    near(logits[1], runner.all_logits(b[:36], runner.new_state())[-1])
    state.pick([1])
    for at in range(36, 39):
        logits = fixed.decode([b[at]], state)
    assert recording.made[-1].times == 2
    near(logits[0], runner.all_logits(b[:39], runner.new_state())[-1])


def test_room_comes_in_few_sizes():
    """Catches a graph for every few tokens, or room for twice a very long text."""
    state = static(PLAIN)[0].new_state()
    rooms = [state.room(needed) for needed in (1, 256, 257, 5000, 8192, 8193, 20_000)]
    assert rooms == [256, 256, 512, 8192, 8192, 16_384, 24_576]


def test_what_a_text_left_behind_its_end_poisons_no_other():
    """Catches NaN of a forgotten text that stands where this one looks, though nothing is seen."""
    fixed, _ = static(PLAIN)
    row = rows_of(PLAIN)[0]
    state = fixed.new_state()
    fixed.prefill([row[:20]], state)
    with torch.inference_mode():
        for layer in state.layers:
            layer.keys[:, :, 12:] = layer.values[:, :, 12:] = torch.nan
    assert state.truncate([10])
    for at in range(10, 13):
        logits = fixed.decode([row[at]], state)
    near(logits[0], runner_of(PLAIN).all_logits(row[:13], runner_of(PLAIN).new_state())[-1])


def test_what_looks_on_or_changes_something_is_not_recorded():
    """Catches a recorded step in place of one that a probe sees, or that is changed on its way."""
    fixed, recording = static(PLAIN)
    row = rows_of(PLAIN)[0]
    edit = Edit("stream", 0, factor=0.5)
    state, other = fixed.new_state(), fixed.edited([edit]).new_state()
    fixed.prefill([row[:5]], state)
    for at in range(5, 9):
        probe = Recorder(range(99), ("stream",))
        fixed.decode([row[at]], state, probe=probe)
        assert len(probe.shown) == fixed.spec.layers
    edited, plainly = fixed.edited([edit]), runner_of(PLAIN).edited([edit])
    edited.prefill([row[:5]], other)
    for at in range(5, 9):
        logits = edited.decode([row[at]], other)
    near(logits[0], plainly.all_logits(row[:9], plainly.new_state())[-1])
    assert not recording.made


def test_what_cannot_be_recorded_runs_as_it_is():
    """Catches a model that does not run because its step cannot be recorded."""

    def fails(function):
        raise RuntimeError("operation not permitted when stream is capturing")

    runner, row = runner_of(PLAIN), rows_of(PLAIN)[0]
    fixed = TorchRunner(runner.decoder, capture=fails)
    state = fixed.new_state()
    steps = [fixed.decode([token], state) for token in row[:6]]
    near(torch.cat(steps), runner.all_logits(row[:6], runner.new_state()))


def ids_of(runner: TorchRunner, prompts: list[list[int]]) -> list[list[int]]:
    """Greedy texts of prompts that run together and end one after another."""
    batch = RunningBatch(runner, pages=40, page_size=8)
    draws = [Draws(Sampling(temperature=0), 6 + 5 * at) for at in range(len(prompts))]
    asked = [batch.join(prompt, each) for prompt, each in zip(prompts, draws, strict=True)]
    while not batch.idle:
        batch.step()
    return [[drawn.id for step in each for drawn in step] for each in asked]


@pytest.mark.parametrize("case", [PLAIN, "mistral/window", "bloom/tied"])
def test_rows_in_pages_are_recorded_by_their_number(case):
    """Catches rows that are none and write into others' pages, pages that moved when there came to
    be more, and tables of rows that have gone."""
    (a, b), runner = rows_of(case), runner_of(case)
    fixed, recording = static(case)
    prompts = [list(row) for row in (a[:9], b[:4], b[:17], a[:9], b[5:7])]
    assert ids_of(fixed, prompts) == ids_of(runner, prompts)
    assert recording.made and sum(made.times for made in recording.made) > 10


def test_a_prefix_is_kept_and_gone_back_to():
    """Catches a step of a state that its owner has cut, and what comes after it."""
    runner, row = runner_of(PLAIN), rows_of(PLAIN)[0]
    fixed, _ = static(PLAIN)
    prefix = PrefixCache(fixed)
    for text in (row[:12], [*row[:7], *row[20:26]], row[:9]):
        prefix.prefill(text)
        for token in row[30:33]:
            logits = prefix.decode(token)
        near(logits[0], runner.all_logits([*text, *row[30:33]], runner.new_state())[-1])


@pytest.mark.slow
# Of torch about itself, while its compiler begins.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("case", [PLAIN, "gemma2/capped"])
def test_a_compiled_step_equals_an_eager_one_and_is_compiled_once(case):
    """Catches what a compiler bakes in, and one graph more for each position of a text."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    runner, row = runner_of(case), rows_of(case)[0]
    compiled = TorchRunner(
        copy.deepcopy(runner.decoder),
        runner.limit,
        capture=lambda function: torch.compile(function, backend="inductor", fullgraph=True),
    )
    states = runner.new_state(), compiled.new_state()
    for token in row[:20]:
        near(compiled.decode([token], states[1]), runner.decode([token], states[0]))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
