"""Prompts with something left out, together on what they share, against each by itself."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from gptcli.engine.asking import edits as editing
from gptcli.engine.asking.continuations import logprobs_after
from gptcli.engine.asking.edits import Edit, logprobs_of_edits
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.runner import Runner
from tests.engine.cpu.helpers import kernels_of, needs_kernels
from tests.engine.helpers import CASES, few_of, rows_of, runner_of

#: Positions in a table, by rotation and by distance; windows; latents; states of each kind.
FEW = [
    *("gpt2/tied", "llama/tied", "bloom/six_heads", "gemma3_text/two_ropes", "deepseek_v3/groups"),
    *("qwen3_5_text/plain", "lfm2/plain", "nemotron_h/mixture", "falcon_h1/gate_first"),
]
ROWS = [[5], [5, 6, 7]]


def prompt_of(case: str) -> list[int]:
    return list(rows_of(case)[0][:13])


def edits_of(prompt: list[int], put: int | None = None) -> list[Edit]:
    """Each token, and some longer parts, in the order in which they begin."""
    alone = [Edit(at, at + 1, put) for at in range(len(prompt))]
    longer = [Edit(at, end, put) for at, end in pairwise([0, 2, 5, 9, len(prompt)])]
    return sorted([*alone, *longer], key=lambda edit: (edit.start, edit.stop))


def together(runner: Runner, prompt: list[int], edits: list[Edit]) -> list[Any]:
    prefix = PrefixCache(runner, comes_back=False)
    prefix.prefill(prompt)
    return [each for batch in logprobs_of_edits(prefix, prompt, edits, ROWS) for each in batch]


def alone(runner: Runner, prompt: list[int], edits: list[Edit]) -> list[Any]:
    """The slow way: each in a state of its own, from its first token on."""
    lefts = [edit.of(prompt) for edit in edits]
    return [logprobs_after(PrefixCache(runner), [left], [ROWS])[0] for left in lefts]


def flat(found: list[Any]) -> list[float]:
    return [value for each in found for row in each for value in row]


@needs_kernels
@few_of(CASES, FEW)
@pytest.mark.parametrize("put", [None, 3])
def test_together_equals_alone_bit_for_bit(case, put):
    """Catches a state that holds more than what is shared, a token lost at a border, and sums
    that depend on who runs beside."""
    runner, prompt = kernels_of(case), prompt_of(case)
    edits = edits_of(prompt, put)
    assert together(runner, prompt, edits) == alone(runner, prompt, edits)


@few_of(CASES, FEW)
def test_together_equals_alone_by_torch(case):
    """Catches padding that is seen where rows begin at places of their own."""
    runner, prompt = runner_of(case), prompt_of(case)
    edits = edits_of(prompt)
    found, expected = together(runner, prompt, edits), alone(runner, prompt, edits)
    assert flat(found) == pytest.approx(flat(expected), abs=5e-5)


@needs_kernels
@pytest.mark.parametrize("case", ["llama/tied", "qwen3_5_text/plain"])
def test_bounds_change_nothing(case, monkeypatch):
    """Catches an edit that is lost, doubled or out of order between two batches."""
    runner, prompt = kernels_of(case), prompt_of(case)
    edits = edits_of(prompt)
    expected = alone(runner, prompt, edits)
    for name, value in [("ROWS", 2), ("_ABREAST", 3), ("CHUNK", 20), ("CACHE_BYTES", 1)]:
        monkeypatch.setattr(editing, name, value)
        assert together(runner, prompt, edits) == expected, name


@needs_kernels
@pytest.mark.parametrize(
    ("case", "most"), [("llama/tied", 1.0), ("nemotron_h/mixture", 1.5), ("lfm2/plain", 1.5)]
)
def test_what_is_shared_is_not_computed_again(case, most, monkeypatch):
    """Catches prompts that are run from their first token on, one by one."""
    runner, prompt = kernels_of(case), (prompt_of(case) * 3)[:36]
    edits = [Edit(at, at + 1) for at in range(len(prompt))]
    prefix = PrefixCache(runner, comes_back=False)
    prefix.prefill(prompt)
    counts: list[int] = []
    forward = type(runner).prefill

    def counted(self: Runner, rows: Any, state: Any, **more: Any) -> Any:
        counts.append(sum(map(len, rows)))
        return forward(self, rows, state, **more)

    monkeypatch.setattr(type(runner), "prefill", counted)
    batches = list(logprobs_of_edits(prefix, prompt, edits, [[5]]))
    assert len(batches) <= 5
    # The last has to run a token though nothing is behind it.
    least = sum(range(len(prompt))) + 1
    assert least <= sum(counts) <= most * least
