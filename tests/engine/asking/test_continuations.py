"""Continuations scored together against each scored alone, without a cache."""

from __future__ import annotations

import pytest
import torch

from gptcli.engine.asking import continuations
from gptcli.engine.asking.continuations import logprobs_after
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.torch.runner import TorchRunner
from gptcli.errors import NonFiniteError
from tests.engine.helpers import rows_of, runner_of

CASES = ["gpt2/tied", "llama/tied", "mistral/window"]
ROWS = [[5], [5, 6, 7], [9, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9], [5, 6, 8], [2]]


def alone(runner: TorchRunner, prompt: list[int], row: list[int]) -> list[float]:
    """One forward over prompt and row; the log-probability of each id of the row."""
    whole = runner.all_logits([*prompt, *row], runner.new_state()).log_softmax(dim=-1)
    return [float(whole[len(prompt) + i - 1, token]) for i, token in enumerate(row)]


@pytest.fixture(params=CASES)
def case(request) -> tuple[TorchRunner, list[int]]:
    return runner_of(request.param), list(rows_of(request.param)[0][:9])


def after(runner: TorchRunner, prompt: list[int], rows: list[list[int]]) -> list[list[float]]:
    """One prompt, nothing kept from before."""
    return logprobs_after(PrefixCache(runner), [prompt], [rows])[0]


def close(found: list[list[float]], expected: list[list[float]]) -> bool:
    return all(a == pytest.approx(b, abs=2e-5) for a, b in zip(found, expected, strict=True))


def test_together_equals_alone(case):
    """Catches padding that is seen, a logit of the wrong place, rows handed back out of order."""
    runner, prompt = case
    assert close(after(runner, prompt, ROWS), [alone(runner, prompt, r) for r in ROWS])


def test_bounds_change_nothing(case, monkeypatch):
    """Catches a batch, a piece of a row or a piece of the head that is lost, doubled or shifted."""
    runner, prompt = case
    expected = [alone(runner, prompt, row) for row in ROWS]
    for name, value in [("ROWS", 2), ("TOKENS", 5), ("HEAD_ROWS", 3), ("CACHE_BYTES", 1)]:
        monkeypatch.setattr(continuations, name, value)
        assert close(after(runner, prompt, ROWS), expected), name


def test_each_prompt_has_its_own_rows(case, monkeypatch):
    """Catches rows that ride on another prompt's keys, and unlike prompts padded wrong."""
    runner, prompt = case
    prompts = [prompt, prompt[:5], [*prompt[:5], 4], [8, 8]]
    sets = [[[5], [6, 7]], [[1, 2, 3], [9]], [[4], [4, 4, 4, 4]], [[2, 2], [3]]]
    expected = [[alone(runner, p, r) for r in rows] for p, rows in zip(prompts, sets, strict=True)]
    prefix = PrefixCache(runner)
    for rows in (32, 2):
        monkeypatch.setattr(continuations, "ROWS", rows)
        found = logprobs_after(prefix, prompts, sets)
        assert all(close(a, b) for a, b in zip(found, expected, strict=True))


def test_the_prompt_runs_once_and_batches_are_bounded(case, monkeypatch):
    """Catches a prompt computed for every choice, and a batch of more rows than are allowed."""
    runner, prompt = case
    shapes: list[tuple[int, ...]] = []
    hook = runner.decoder.register_forward_pre_hook(lambda _, args: shapes.append(args[0].shape))
    monkeypatch.setattr(continuations, "ROWS", 3)
    try:
        after(runner, prompt, ROWS)
    finally:
        hook.remove()
    assert shapes == [(1, len(prompt)), (3, 8), (3, 1)]


def test_a_full_context_is_enough(case):
    """Catches running the last token of a row, after which nothing is asked."""
    runner, prompt = case
    row = [i % 7 for i in range(runner.limit - len(prompt))]
    assert close(after(runner, prompt, [row, [3]]), [
        alone(runner, prompt, row), alone(runner, prompt, [3]),
    ])  # fmt: skip


def test_nan_is_an_error():
    """Catches a ranking made from NaN."""
    runner = runner_of("llama/tied")
    bad = TorchRunner(runner.decoder)
    weight = bad.decoder.final_norm.weight
    old = weight.detach().clone()
    try:
        with torch.no_grad():
            weight[0] = float("nan")
        with pytest.raises(NonFiniteError):
            after(bad, [1, 2], [[3], [4]])
    finally:
        with torch.no_grad():
            weight.copy_(old)
