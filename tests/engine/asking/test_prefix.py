"""A kept prefix against nothing kept: the same logits and draws, and less that is run."""

from __future__ import annotations

import pytest
import torch

from gptcli.engine.asking.prefix import PrefixCache, begin
from gptcli.engine.prompts.common import common_length
from gptcli.types.sampling import Sampling
from tests.engine.helpers import drawn, generate, rows_of, runner_of

every_case = pytest.mark.parametrize("case", ["gpt2/tied", "llama/tied", "mistral/window"])
WARM = Sampling(temperature=1.3, top_k=20)


def fresh(runner, ids):
    return runner.all_logits(ids, runner.new_state())[-1]


def close(one, other):
    torch.testing.assert_close(one, other, atol=2e-5, rtol=0)


@every_case
def test_prompts_one_after_another(case):
    """Catches stale keys after a shorter, longer, diverging or equal prompt, and a wrong count."""
    runner, (a, b) = runner_of(case), rows_of(case)
    prefix = PrefixCache(runner)
    prompts = [a[:6], a[:14], (*a[:9], *b[:4]), a[:3], a[:3], b[:7], (*b[:7], 1, 2)]
    for prompt, reused in zip(prompts, [0, 6, 9, 2, 2, 0, 7], strict=True):
        close(prefix.prefill(prompt)[0], fresh(runner, prompt))
        assert (prefix.reused, prefix.ids) == (reused, list(prompt))


@every_case
def test_an_answer_is_kept_too(case):
    """Catches an answer computed again for the next turn, and tokens noted that never ran."""
    runner, (a, b) = runner_of(case), rows_of(case)
    prefix, ids = PrefixCache(runner), list(a[:6])
    for turn in range(3):
        steps = list(drawn(prefix, [ids], WARM, max_new_tokens=5, seed=turn))
        assert steps == list(generate(runner, ids, WARM, max_new_tokens=5, seed=turn))
        assert prefix.state.lengths == [len(prefix.ids)]
        before = len(ids)
        ids += [step[0].id for step in steps]
        assert prefix.ids == ids[:-1]
        ids += b[turn : turn + 2]
        assert before < len(prefix.ids) < len(ids)
    prefix.prefill(ids)
    # The last token that was drawn has not been run, and the two after it are new.
    assert prefix.reused == len(ids) - 3


@every_case
@pytest.mark.parametrize("at", ["reserve", "append", "advance"])
def test_an_interruption_leaves_it_usable(case, at, monkeypatch):
    """Catches a cache that counts what was not stored, or is half grown, after Ctrl-C."""
    runner, (a, _) = runner_of(case), rows_of(case)
    monkeypatch.setattr("gptcli.engine.state.model_state.GROWTH", 2)
    for calls in range(1, 6):
        prefix = PrefixCache(runner)
        prefix.prefill(a[:5])
        of = prefix.state.layers[-1] if at == "append" else prefix.state
        kept, left = getattr(of, at), calls

        def interrupted(*given, kept=kept):
            nonlocal left
            left -= 1
            if left == 0:
                kept(*given)
                raise KeyboardInterrupt
            return kept(*given)

        with monkeypatch.context() as patch:
            patch.setattr(of, at, interrupted)
            with pytest.raises(KeyboardInterrupt):
                for _ in drawn(prefix, [a[:9]], WARM, max_new_tokens=20):
                    pass
        again = list(drawn(prefix, [a[:9]], WARM, max_new_tokens=4, seed=3))
        assert again == list(generate(runner, a[:9], WARM, max_new_tokens=4, seed=3))


@every_case
def test_growth_that_was_interrupted_goes_on(case, monkeypatch):
    """Catches layers of unlike size: some grown when the signal came, the others never."""
    runner, (a, _) = runner_of(case), rows_of(case)
    monkeypatch.setattr("gptcli.engine.state.model_state.GROWTH", 2)
    prefix = PrefixCache(runner)
    prefix.prefill(a[:5])
    last = prefix.state.layers[-1]

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(last, "reserve", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prefix.prefill(a[:20])
    assert last.keys.shape[2] < prefix.state.layers[0].keys.shape[2]
    for end in (4, 20):
        close(prefix.prefill(a[:end])[0], fresh(runner, a[:end]))
        assert len({layer.keys.shape[2] for layer in prefix.state.layers}) == 1


@every_case
def test_several_prompts_begin_as_each_alone(case):
    """Catches rows that see each other, and a shared part cut too long or run twice."""
    runner, (a, b) = runner_of(case), rows_of(case)
    prefix = PrefixCache(runner)
    for prompts in (
        [a[:8], (*a[:5], *b[:6]), a[:6]],
        [a[:5], a[:9]],
        [a[:4], b[:4]],
        [a[:7], a[:7], a[:7]],
        [a[:7]],
        [a[:1], a[:1], b[:1]],
    ):
        cache, logits = begin(prefix, prompts)
        assert cache.lengths == [len(prompt) for prompt in prompts]
        for row, prompt in zip(logits, prompts, strict=True):
            close(row, fresh(runner, prompt))


@every_case
def test_a_shared_prefix_runs_once_for_all_batches(case):
    """Catches examples that every batch of queries computes again."""
    runner, (a, b) = runner_of(case), rows_of(case)
    prefix, shared = PrefixCache(runner), list(a[:10])
    begin(prefix, [[*shared, *b[:3]], [*shared, *b[5:7]]])
    shapes: list[tuple[int, ...]] = []
    hook = runner.decoder.register_forward_pre_hook(lambda _, args: shapes.append(args[0].shape))
    try:
        begin(prefix, [[*shared, *b[8:11]], [*shared, *b[9:11]], [*shared, 3]])
    finally:
        hook.remove()
    assert shapes == [(3, 3)] and prefix.reused == 10


@every_case
def test_generation_of_several_prompts_is_each_alone(case):
    """Catches a sample that draws otherwise in company: seeds, padding, rows that leave."""
    runner, (a, b) = runner_of(case), rows_of(case)
    prompts = [[*a[:5], *b[:6]], list(a[:8]), list(a[:6])]
    together = list(drawn(PrefixCache(runner), prompts, WARM, max_new_tokens=7, seed=11))
    for row, prompt in enumerate(prompts):
        ours = [drawn.id for step in together for drawn in step if drawn.sample == row]
        alone = generate(runner, prompt, WARM, max_new_tokens=7, seed=11 + row)
        assert ours == [step[0].id for step in alone]


def test_common_length():
    """Catches an end that is stepped over."""
    assert common_length([1, 2, 3], [1, 2]) == 2
    assert common_length([], [1]) == 0
    assert common_length([1, 2], [1, 3, 4]) == 1
