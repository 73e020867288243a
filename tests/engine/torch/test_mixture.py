"""A mixture of experts against the obvious loop over tokens."""

from __future__ import annotations

import pytest
import torch

from gptcli.engine.torch.mlp import Mixture
from tests.engine.helpers import SPECS, WAYS, few_of, rows_of, runner_of

MIXTURES = [case for case, spec in SPECS.items() if spec.mixtures]
some_mixtures = few_of(MIXTURES, WAYS)


def mixture_of(case: str) -> Mixture:
    found = [m for m in runner_of(case).decoder.modules() if isinstance(m, Mixture)]
    return found[-1]


def asked(mixture: Mixture, token: torch.Tensor) -> torch.Tensor:
    """What the router reads."""
    if not mixture.spec.apart:
        return token
    return mixture.router_norm(token) / token.size(-1) ** 0.5


def ranked(mixture: Mixture, token: torch.Tensor) -> tuple[list[float], list[float]]:
    """The chances of every expert, and what they are chosen by, groups that are not left out."""
    spec = mixture.spec
    scores = mixture.router(asked(mixture, token)).double()
    if spec.router_softcap is not None:
        scores = spec.router_softcap * (scores / spec.router_softcap).tanh()
    powers = scores.exp()
    softmax = spec.score == "softmax"
    chances = powers / powers.sum() if softmax else powers / (1 + powers)
    correction = torch.zeros(spec.count) if mixture.correction is None else mixture.correction
    return chances.tolist(), (chances + correction).tolist()


def best_of(ranks: dict[int, float], count: int) -> tuple[list[int], float]:
    """The so many best, and by how much the last of them is better than the next, 1 where none."""
    order = sorted(ranks, key=ranks.__getitem__, reverse=True)
    rest = order[count:]
    return order[:count], ranks[order[count - 1]] - ranks[rest[0]] if rest else 1.0


def choice(mixture: Mixture, token: torch.Tensor) -> tuple[list[int], list[float], float]:
    """The experts of a token, their shares, and how close it was."""
    spec = mixture.spec
    chances, ranks = ranked(mixture, token)
    left, margin = dict(enumerate(ranks)), 1.0
    if spec.groups is not None:
        inside = spec.count // spec.groups.count
        groups = {
            n: sum(sorted(ranks[n * inside : (n + 1) * inside])[-spec.groups.best :])
            for n in range(spec.groups.count)
        }
        kept, margin = best_of(groups, spec.groups.chosen)
        left = {n: rank for n, rank in left.items() if n // inside in kept}
    chosen, close = best_of(left, spec.chosen)
    shares = [chances[n] for n in chosen]
    total = sum(shares) if spec.normalised else 1.0
    shares = [spec.scale * share / total for share in shares]
    if spec.apart:
        shares = [
            share * float(mixture.expert_scales[n]) for n, share in zip(chosen, shares, strict=True)
        ]
    return chosen, shares, min(margin, close)


def one_token_at_a_time(mixture: Mixture, x: torch.Tensor) -> torch.Tensor:
    out, spec = torch.zeros_like(x), mixture.spec
    for row in range(x.size(0)):
        for at in range(x.size(1)):
            token = x[row, at]
            read = token if mixture.latent_in is None else mixture.latent_in(token)
            read = mixture.experts_norm(token) if spec.apart else read
            said = torch.zeros_like(read)
            chosen, shares, _ = choice(mixture, token)
            for share, expert in zip(shares, chosen, strict=True):
                each = mixture.experts[expert]
                said += each(share * read) if spec.on_input else share * each(read)
            out[row, at] = said if mixture.latent_out is None else mixture.latent_out(said)
            if spec.apart:
                beside = mixture.shared_post_norm(mixture.shared(token))
                out[row, at] = mixture.experts_post_norm(said) + beside
            elif mixture.shared is not None:
                gate = 1.0 if mixture.shared_gate is None else mixture.shared_gate(token).sigmoid()
                out[row, at] += gate * mixture.shared(token)
    return out


def test_there_are_mixtures():
    """Catches a list that finds none."""
    families = {case.split("/")[0] for case in MIXTURES}
    assert families >= {"mixtral", "qwen3_moe", "gpt_oss", "qwen2_moe", "glm4_moe", "minimax_m2"}


@some_mixtures
def test_equals_one_token_at_a_time(case):
    """Catches shares that go to another token or another expert once they are sorted."""
    mixture = mixture_of(case)
    width = runner_of(case).spec.width
    for b, t in ((1, 1), (3, 1), (2, 17)):
        x = torch.randn(b, t, width, generator=torch.Generator().manual_seed(t))
        expected = one_token_at_a_time(mixture, x)
        torch.testing.assert_close(mixture(x, x), expected, rtol=1e-6, atol=2e-6)


@some_mixtures
def test_a_step_runs_the_chosen_experts_only(case):
    """Catches a step that reads every expert's weights, which are most of a large model."""
    mixture, ran = mixture_of(case), []
    hooks = [
        expert.register_forward_hook(lambda *_, number=number: ran.append(number))
        for number, expert in enumerate(mixture.experts)
    ]
    x = torch.randn(1, 1, runner_of(case).spec.width, generator=torch.Generator().manual_seed(0))
    mixture(x, x)
    for hook in hooks:
        hook.remove()
    _, chosen = mixture.route(asked(mixture, x[0]))
    assert sorted(ran) == sorted(chosen[0].tolist()) and len(ran) == mixture.spec.chosen


@pytest.mark.parametrize("case", MIXTURES)
def test_goldens_choose_clearly(case):
    """Catches goldens in which rounding decides who is chosen: they would prove nothing, or fail
    on another machine.
    """
    runner, margins = runner_of(case), []

    def note(module: Mixture, args: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
        read = args[1] if module.spec.apart else args[0]
        margins.extend(choice(module, token)[2] for token in read.flatten(0, 1))

    mixtures = [m for m in runner.decoder.modules() if isinstance(m, Mixture)]
    hooks = [m.register_forward_hook(note) for m in mixtures]
    for row in rows_of(case):
        runner.all_logits(row, runner.new_state())
    for hook in hooks:
        hook.remove()
    assert len(margins) == sum(map(len, rows_of(case))) * len(mixtures)
    assert min(margins) > 1e-4
