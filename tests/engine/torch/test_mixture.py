"""A mixture of experts against the obvious loop over tokens."""

from __future__ import annotations

import pytest
import torch

from gptcli.engine.torch.mlp import Mixture
from tests.engine.helpers import CASES, rows_of, runner_of

MIXTURES = [case for case in CASES if any(each.mixture for each in runner_of(case).spec.each_layer)]


def mixture_of(case: str) -> Mixture:
    found = [m for m in runner_of(case).decoder.modules() if isinstance(m, Mixture)]
    return found[-1]


def one_token_at_a_time(mixture: Mixture, x: torch.Tensor) -> torch.Tensor:
    out = torch.zeros_like(x)
    for row in range(x.size(0)):
        for at in range(x.size(1)):
            token = x[row, at]
            chances = mixture.router(token).softmax(-1)
            shares, experts = chances.sort(descending=True)
            shares, experts = shares[: mixture.chosen], experts[: mixture.chosen]
            if mixture.normalised:
                shares = shares / shares.sum()
            for share, expert in zip(shares, experts.tolist(), strict=True):
                out[row, at] += share * mixture.experts[expert](token)
    return out


def test_there_are_mixtures():
    """Catches a list that finds none."""
    families = {case.split("/")[0] for case in MIXTURES}
    assert families == {"mixtral", "qwen3_moe", "gpt_oss"}


@pytest.mark.parametrize("case", MIXTURES)
@pytest.mark.parametrize(("b", "t"), [(1, 1), (3, 1), (2, 17)])
def test_equals_one_token_at_a_time(case, b, t):
    """Catches shares that go to another token or another expert once they are sorted."""
    mixture = mixture_of(case)
    width = runner_of(case).spec.width
    x = torch.randn(b, t, width, generator=torch.Generator().manual_seed(t))
    torch.testing.assert_close(mixture(x), one_token_at_a_time(mixture, x), rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("case", MIXTURES)
def test_a_step_runs_the_chosen_experts_only(case):
    """Catches a step that reads every expert's weights, which are most of a large model."""
    mixture, ran = mixture_of(case), []
    hooks = [
        expert.register_forward_hook(lambda *_, number=number: ran.append(number))
        for number, expert in enumerate(mixture.experts)
    ]
    x = torch.randn(1, 1, runner_of(case).spec.width, generator=torch.Generator().manual_seed(0))
    mixture(x)
    for hook in hooks:
        hook.remove()
    _, chosen = mixture.route(x[0])
    assert sorted(ran) == sorted(chosen[0].tolist()) and len(ran) == mixture.chosen


@pytest.mark.parametrize("case", MIXTURES)
def test_goldens_choose_clearly(case):
    """Catches goldens in which rounding decides who is chosen: they would prove nothing, or fail
    on another machine.
    """
    runner, margins = runner_of(case), []

    def note(module: Mixture, args: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
        chances = module.router(args[0]).float().sort(descending=True).values
        margins.append((chances[..., module.chosen - 1] - chances[..., module.chosen]).min())

    mixtures = [m for m in runner.decoder.modules() if isinstance(m, Mixture)]
    hooks = [m.register_forward_hook(note) for m in mixtures]
    for row in rows_of(case):
        runner.all_logits(row, runner.new_state())
    for hook in hooks:
        hook.remove()
    assert len(margins) == 2 * len(mixtures)
    assert min(margins) > 1e-4
