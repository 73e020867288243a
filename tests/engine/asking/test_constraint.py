"""A constraint on what may be drawn: before the sampler, after the raw log-probabilities."""

from __future__ import annotations

import pytest
import torch

from gptcli.engine.asking.draws import only
from gptcli.types.sampling import Sampling
from tests.engine.helpers import generate, rows_of, runner_of

both = pytest.mark.parametrize("case", ["gpt2/tied", "llama/tied"])
WARM = Sampling(temperature=1.2, top_k=15)


@both
def test_no_constraint_is_no_change(case):
    """Catches a hook that costs a draw, or changes logits where everything is allowed."""
    runner, prompt = runner_of(case), rows_of(case)[0][:9]
    flags = {"max_new_tokens": 9, "seed": 4, "samples": 3, "logprobs": 2}
    free = list(generate(runner, prompt, WARM, **flags))
    assert list(generate(runner, prompt, WARM, fitting=lambda _: None, **flags)) == free
    assert all(drawn.allowed == 0 for step in free for drawn in step)


@both
def test_draws_are_of_the_raw_distribution_renormalised(case):
    """Catches a mask after the filters: top-k would then leave nothing that is allowed."""
    runner, prompt = runner_of(case), list(rows_of(case)[0][:9])
    raw = runner.all_logits(prompt, runner.new_state())[-1]
    # The least probable tokens, none of which would pass top-k on its own.
    ids = raw.topk(6, largest=False).indices.tolist()
    samples = 4000
    generation = generate(
        runner,
        prompt,
        Sampling(temperature=1, top_k=15),
        max_new_tokens=1,
        samples=samples,
        logprobs=1,
        fitting=lambda _: ids,
    )
    (step,) = list(generation)
    expected = raw[ids].softmax(dim=-1)
    for token, share in zip(ids, expected.tolist(), strict=True):
        drawn = sum(each.id == token for each in step) / samples
        assert drawn == pytest.approx(share, abs=5 * (share * (1 - share) / samples) ** 0.5 + 1e-9)
    logprobs = raw.log_softmax(dim=-1)
    for each in step[:50]:
        assert each.logprob == pytest.approx(float(logprobs[each.id]), abs=2e-5)
        assert each.allowed == pytest.approx(float(logprobs[ids].logsumexp(-1)), abs=2e-5)
        assert each.top[0].id == int(raw.argmax())


@both
def test_each_sample_is_asked_with_its_own_tokens(case):
    """Catches one answer for all rows, and a list that lags a token behind."""
    runner, prompt = runner_of(case), rows_of(case)[0][:9]
    asked: list[tuple[int, ...]] = []

    def constraint(drawn):
        asked.append(tuple(drawn))
        return None if len(drawn) == 1 else [len(drawn) + 1, len(drawn) + 2]

    steps = list(generate(runner, prompt, WARM, max_new_tokens=3, samples=2, fitting=constraint))
    texts = [[step[i].id for step in steps] for i in range(2)]
    assert asked == [(), ()] + [tuple(t[:1]) for t in texts] + [tuple(t[:2]) for t in texts]
    assert all(text[0] in (1, 2) and text[2] in (3, 4) for text in texts)


def test_only():
    """Catches allowed logits that are changed, and forbidden ones that are kept."""
    logits = torch.tensor([1.0, 2.0, 3.0, 4.0])
    inf = float("inf")
    assert only(logits, [2, 0]).tolist() == [1.0, -inf, 3.0, -inf]


@both
def test_a_forced_token_comes_whatever_the_logits_say(case):
    """Catches a token that is forced on the wrong sample, and one that costs others their draws."""
    runner, prompt = runner_of(case), rows_of(case)[0][:9]
    flags = {"max_new_tokens": 6, "seed": 4, "samples": 2, "logprobs": 1}
    free = list(generate(runner, prompt, WARM, **flags))
    asked: list[tuple[int, int]] = []

    def forced(sample, drawn):
        asked.append((sample, len(drawn)))
        return 3 if (sample, len(drawn)) in ((1, 2), (1, 3)) else None

    steps = list(generate(runner, prompt, WARM, forced=forced, **flags))
    assert asked == [(sample, step) for step in range(6) for sample in range(2)]
    assert [step[1].id for step in steps[2:4]] == [3, 3]
    assert [step[1] for step in steps[:2]] == [step[1] for step in free[:2]]
    # What follows is drawn with the chance of its place, after other tokens.
    for sides in zip(*([step[0] for step in each] for each in (steps, free)), strict=True):
        assert len({side.id for side in sides}) == 1
    raw = runner.all_logits([*prompt, *(step[1].id for step in steps[:2])], runner.new_state())
    assert steps[2][1].logprob == pytest.approx(float(raw[-1].log_softmax(-1)[3]), abs=2e-5)
