"""Many variants of a pass together, against each by itself; what is kept to be put elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gptcli.engine.asking import variants as editing
from gptcli.engine.asking.continuations import logprobs_after
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.edits import Edit
from gptcli.engine.points import EDITED, Point, features, is_there
from gptcli.engine.probes.effects import Variant, effects
from gptcli.engine.probes.kept import drawn, kept, means
from gptcli.engine.runner import Runner
from tests.engine.cpu.helpers import SETS, kernels_of, needs_kernels
from tests.engine.helpers import CASES, few_of, rows_of, runner_of

FEW = ["gpt2/tied", "llama/tied", "qwen3_5_text/plain", "nemotron_h/mixture", "mixtral/all"]
ROWS = [[5], [5, 6, 7]]


def variants_of(runner: Runner) -> list[Variant]:
    """Everywhere, from a position on, at one position; those that begin first stand first."""
    spec, found = runner.spec, list[Variant]()
    for point in EDITED:
        for at in range(-1, spec.layers):
            if is_there(point, spec, at):
                count = features(point, spec, at)
                add = np.random.default_rng(at + 1).normal(size=count).astype(np.float32)
                own = None if point == "shares" else add
                where = [None, range(4, 99), range(7, 8)]
                found += [Variant((Edit(point, at, None, p, None, 0.0, own),)) for p in where]
                # Beside it, what is changed while the second row follows, in its first token.
                more = Edit(point, at, None, range(13, 14), None, 0.0, own)
                found.append(Variant(found[-1].edits, ((), (more,))))
    return sorted(found, key=lambda each: each.start)


def together(runner: Runner, prompt: list[int], variants: list[Variant]) -> list[Any]:
    prefix = PrefixCache(runner, comes_back=False)
    prefix.prefill(prompt)
    return [each for batch in effects(prefix, prompt, ROWS, variants) for each in batch]


def alone(runner: Runner, prompt: list[int], variants: list[Variant]) -> list[Any]:
    """The slow way: each in a state of its own, from its first token on."""
    return [
        logprobs_after(PrefixCache(runner.edited([*each.edits, *more])), [prompt], [[row]])[0][0]
        for each in variants
        for row, more in zip(ROWS, each.after or ((), ()), strict=True)
    ]


def flat(found: list[Any]) -> list[Any]:
    return [row for each in found for row in each]


@needs_kernels
@few_of(CASES, FEW)
@pytest.mark.parametrize("small", [False, True])
def test_together_equals_alone_bit_for_bit(case, small, monkeypatch):
    """Catches an edit in a neighbour's row, one that later tokens lose or that another text after
    the same prompt gets, and a shared beginning that is longer than what is the same."""
    if small:
        for name, value in [("ROWS", 3), ("CHUNK", 30)]:
            monkeypatch.setattr(editing, name, value)
    runner = kernels_of(case)
    base = runner.edited([Edit("stream", 0, factor=0.5, positions=range(2, 99))])
    prompt, variants = list(rows_of(case)[0][:13]), variants_of(runner)
    for each in (runner, base):
        assert flat(together(each, prompt, variants)) == alone(each, prompt, variants)


@few_of(CASES, FEW)
def test_together_equals_alone_by_torch(case):
    """Catches rows that are numbered otherwise by torch."""
    runner, prompt = runner_of(case), list(rows_of(case)[0][:13])
    variants = variants_of(runner)
    found = flat(together(runner, prompt, variants))
    expected = alone(runner, prompt, variants)
    pairs = zip(found, expected, strict=True)
    assert all(one == pytest.approx(other, abs=5e-5) for one, other in pairs)


def test_they_come_as_they_are_known(monkeypatch):
    """Catches variants that are all computed before the first is told."""
    monkeypatch.setattr(editing, "ROWS", 2)
    runner, prompt = runner_of("llama/tied"), list(rows_of("llama/tied")[0][:6])
    asked = 0

    def variants():
        nonlocal asked
        for each in variants_of(runner):
            asked += 1
            yield each

    assert len(next(effects(PrefixCache(runner), prompt, ROWS, variants()))) == 2
    assert asked == 3


@pytest.mark.parametrize("through", ["torch", *["kernels"] * bool(SETS)])
def test_what_is_kept_is_what_stood_there(through):
    """Catches means that count a text's first token, and draws of another token at each place."""
    case = "llama/tied"
    runner = runner_of(case) if through == "torch" else kernels_of(case)
    rows = [list(row[:count]) for row, count in zip(rows_of(case), (9, 6), strict=False)]
    places: list[tuple[Point, int]] = [("embedding", -1), ("heads", 0), ("mlp", 1), ("stream", 1)]
    texts = [(rows[0], 1), (rows[1], 2)]
    every = {
        place: np.concatenate(
            [kept(runner, ids, places)[0].of(place)[first:] for ids, first in texts]
        )
        for place in places
    }
    for place, found in means(runner, texts, places).items():
        np.testing.assert_allclose(found, every[place].mean(axis=0), rtol=0, atol=1e-6)
    picks = drawn(runner, texts, places, 40, seed=3)
    which = [(picks["stream", 1][at] == every["stream", 1]).all(axis=1) for at in range(40)]
    tokens = [int(row.argmax()) for row in which]
    assert all(row.any() for row in which) and len(set(tokens)) > 6
    for place in places:
        assert np.array_equal(picks[place], every[place][tokens])
    other = drawn(runner, texts, places, 40, seed=4)
    assert not np.array_equal(other["mlp", 1], picks["mlp", 1])


def test_a_row_of_an_edit_says_nothing():
    """Catches a variant that changes what a row of its edits names, and not its own."""
    runner, prompt = runner_of("llama/tied"), list(rows_of("llama/tied")[0][:6])
    plain = Variant((Edit("mlp", 0, factor=0.0),))
    named = Variant(tuple(replace(edit, row=7) for edit in plain.edits))
    first, second = together(runner, prompt, [plain, named])
    assert first == second
