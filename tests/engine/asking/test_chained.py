"""Draws on the device, a step ahead of Python, against those in Python: the same ids."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from gptcli.engine.asking.draws import Draws
from gptcli.engine.asking.generate import Generation
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.torch.runner import TorchRunner
from gptcli.errors import NonFiniteError
from gptcli.types.sampling import Sampling
from tests.engine.helpers import rows_of, runner_of
from tests.engine.torch.recording import Recording

CASE = "llama/tied"
WISHES = {
    "greedy": Sampling(temperature=0),
    "greedy, punished": Sampling(temperature=0, repeat_penalty=1.3, frequency_penalty=0.4),
    "plain": Sampling(),
    "usual": Sampling(min_p=0.05, repeat_penalty=1.3, repeat_last=5),
    "counted": Sampling(temperature=1.4, presence_penalty=0.5, frequency_penalty=0.3),
    "filtered": Sampling(temperature=1.3, top_k=30, top_p=0.8, typical_p=0.9, top_n_sigma=2.0),
    "in an order": Sampling(top_p=0.7, dynatemp_range=0.4, samplers=("top_p", "temperature")),
}


class Chainless(TorchRunner):
    """The same, drawn in Python."""

    def chain(self, state):
        return None


def pair() -> tuple[TorchRunner, TorchRunner]:
    decoder = runner_of(CASE).decoder
    return TorchRunner(decoder, capture=Recording()), Chainless(decoder, capture=Recording())


def ids_of(runner: TorchRunner, sampling: Sampling, ends: frozenset[int], samples: int = 3):
    """Of samples that end at unlike places, the ids; then those of a second text."""
    prefix, (a, b) = PrefixCache(runner), rows_of(CASE)
    found = []
    for prompt in (a[:8], [*a[:5], *b[:3]]):
        draws = Draws(sampling, 12, ends, seed=5)
        texts = [[] for _ in range(samples)]
        asked = Generation(prefix, [prompt] * samples, draws)
        for step in asked:
            for drawn in step:
                assert drawn.ends == (drawn.id in ends)
                texts[drawn.sample].append(drawn.id)
                if len(texts[drawn.sample]) == 7 and drawn.sample == 1:
                    asked.stop(1)
        found.append(texts)
    return found


@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES)
def test_draws_on_the_device_equal_those_in_python(wish, monkeypatch):
    """Catches a stage, a penalty or a random number that differs there, a token that is known too
    late to end its text, and rows that draw another's when some have ended."""
    chained, plain = pair()
    free = ids_of(plain, wish, frozenset())
    # Tokens that some samples draw on their way.
    ends = frozenset({free[0][0][3], free[0][2][6]})
    expected = [ids_of(plain, wish, each) for each in (frozenset(), ends)]
    assert len({len(text) for text in expected[1][0]}) > 1 or wish.temperature == 0
    monkeypatch.setattr("gptcli.engine.asking.generate.draw_rows", None)
    assert [ids_of(chained, wish, each) for each in (frozenset(), ends)] == expected


def test_one_text_after_another_holds_what_it_ran():
    """Catches ids that are noted of tokens which never ran, or a text that ended and left more."""
    chained, plain = pair()
    for runner in (chained, plain):
        assert ids_of(runner, WISHES["greedy"], frozenset(), 1)
    prefix, row = PrefixCache(chained), list(rows_of(CASE)[0])
    steps = iter(Generation(prefix, [row[:6]], Draws(WISHES["greedy"], 9)))
    first = [next(steps)[0].id for _ in range(4)]
    steps.close()
    assert prefix.ids == [*row[:6], *first]
    assert prefix.state.lengths[0] >= len(prefix.ids)
    after = prefix.prefill([*row[:6], *first[:2], *row[20:24]])
    fresh = PrefixCache(plain).prefill([*row[:6], *first[:2], *row[20:24]])
    torch.testing.assert_close(after, fresh, rtol=0, atol=2e-5)


def test_numbers_that_are_none_are_told_where_they_come():
    """Catches a NaN that is drawn from, as nobody waits to look at it."""
    runner = pair()[0]
    broken = torch.nn.Parameter(runner.decoder.final_norm.weight * torch.nan, requires_grad=False)
    steps = iter(Generation(PrefixCache(runner), [rows_of(CASE)[0][:4]], Draws(Sampling(), 9)))
    next(steps)
    kept, runner.decoder.final_norm.weight = runner.decoder.final_norm.weight, broken
    try:
        next(steps)  # was drawn before
        with pytest.raises(NonFiniteError, match="NaN"):
            for _ in range(2):
                next(steps)
    finally:
        runner.decoder.final_norm.weight = kept


@pytest.mark.parametrize(
    "asked",
    [
        {"logprobs": 2},
        {"fitting": lambda ids: None},
        {"forced": lambda sample, ids: None},
        {"drafts": 2},
        {"sampling": Sampling(xtc_probability=0.5)},
        {"sampling": Sampling(dry_multiplier=0.8)},
        {"sampling": Sampling(logit_bias=((3, 2.0),))},
    ],
    ids=lambda asked: "".join(asked) if "sampling" not in asked else str(asked["sampling"])[:0],
)
def test_what_python_has_a_say_in_is_drawn_there(asked, monkeypatch):
    """Catches a wish that is dropped where the device draws."""
    chained, plain = pair()
    monkeypatch.setattr("gptcli.engine.asking.chained.Chained.draw", None)
    draws = dataclasses.replace(Draws(Sampling(), 8, seed=3), **asked)
    found = [list(Generation(PrefixCache(each), [(3, 4, 5)], draws)) for each in (chained, plain)]
    assert found[0] == found[1]
