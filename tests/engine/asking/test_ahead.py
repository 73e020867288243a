"""Drafts: texts that are the same to the last bit, whatever is drafted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest

from gptcli.engine.asking.drafter import Drafter
from gptcli.engine.asking.draws import Drawn, Draws
from gptcli.engine.asking.generate import Generation
from gptcli.engine.asking.looked_up import LookedUp
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.types.drafts import ALONE, STATES, Drafts
from gptcli.types.sampling import Sampling
from tests.engine.cpu.helpers import kernels_of, needs_kernels
from tests.engine.helpers import rows_of, runner_of

pytestmark = needs_kernels
#: Few tokens to draw from, so that much comes again, and not always in the same order.
FEW = Sampling(temperature=1.5, top_k=3)
WISHES = [
    Sampling(temperature=0),
    FEW,
    Sampling(temperature=2.0, top_p=0.5, min_p=0.02),
    Sampling(temperature=0, repeat_penalty=1.2, presence_penalty=0.3, frequency_penalty=0.2),
    Sampling(temperature=1.2, top_k=4, repeat_penalty=1.05, repeat_last=8, logit_bias=((3, 2.0),)),
    Sampling(temperature=1.4, top_k=4, xtc_probability=0.5, dry_multiplier=0.5, typical_p=0.9),
]
CASE = "llama/tied"


def prompt_of(case: str) -> list[int]:
    """Tokens that come twice."""
    return [*rows_of(case)[0][:9], *rows_of(case)[0][2:8]]


def generation(drafts: int, case: str = CASE, **flags: object) -> Generation:
    given = {"sampling": FEW, "max_new_tokens": 24, "drafts": drafts} | flags
    samples = given.pop("samples", 1)
    prefix = PrefixCache(kernels_of(case))
    return Generation(prefix, [prompt_of(case)] * samples, Draws(**given))


def text(drafts: int, case: str = CASE, **flags: object) -> tuple[list[list[Drawn]], Drafts]:
    found = generation(drafts, case, **flags)
    return list(found), found.drafts or Drafts()


@pytest.mark.parametrize(
    "case", [CASE, "mixtral/window", "gemma2/capped", "deepseek_v3/groups", "llama4_text/chunks"]
)
def test_every_bit_is_the_same(case):
    """Catches a place that is drawn with another's logits, random number or history, a draft that
    is kept though it was not drawn, keys of rejected tokens that are still seen, and numbers of a
    token that depend on those beside it: with windows, mixtures and latents, however is drawn.
    """
    all_of_them = Drafts()
    for wish, seed in product(WISHES, (0, 7) if case == CASE else (7,)):
        expected, _ = text(0, case, sampling=wish, seed=seed, logprobs=2)
        for count in (1, 2, 7):
            found, drafts = text(count, case, sampling=wish, seed=seed, logprobs=2)
            assert found == expected, (wish, seed, count)
            all_of_them += drafts
    assert 0 < all_of_them.kept < all_of_them.drafted


def test_a_rejection_that_keeps_a_token_is_noticed(monkeypatch):
    """Catches texts here that would be the same if rejected tokens stayed: the test above is only
    worth what this one shows.
    """
    flags = {"sampling": WISHES[0], "max_new_tokens": 14, "logprobs": 2}
    expected, _ = text(0, **flags)
    right = PrefixCache.cut
    monkeypatch.setattr(PrefixCache, "cut", lambda self, length: right(self, length + 1))
    assert any(text(count, **flags)[0] != expected for count in (1, 2, 7))


@pytest.mark.parametrize("wish", [FEW, Sampling(temperature=0)])
def test_a_limit_within_a_draft(wish):
    """Catches a token beyond the limit, one too few, and tokens that are run beyond the context."""
    case = CASE
    whole, _ = text(0, sampling=wish, max_new_tokens=20)
    for limit in range(1, 20):
        assert text(5, sampling=wish, max_new_tokens=limit)[0] == whole[:limit]
    prompt = prompt_of(case)
    short = kernels_of(case, len(prompt) + 12)
    draws = Draws(wish, 12, drafts=40)
    assert list(Generation(PrefixCache(short), [prompt], draws)) == whole[:12]


def test_an_end_within_a_draft():
    """Catches a text that goes on behind its end, and a draft that goes beyond one."""
    whole, _ = text(0)
    for end in {step[0].id for step in whole[4:]}:
        ends = frozenset([end])
        assert text(6, end_ids=ends)[0] == text(0, end_ids=ends)[0]


def test_a_constraint_is_asked_at_each_place():
    """Catches a constraint that is not asked again for the second token of a draft."""

    def odd_then_even(drawn: Sequence[int]) -> range:
        return range(len(drawn) % 2, 6, 2)

    flags = {"fitting": odd_then_even, "logprobs": 0}
    expected, _ = text(0, **flags)
    found, drafts = text(4, **flags)
    assert found == expected and drafts.kept


def test_a_forced_token_ends_a_draft():
    """Catches a draft that goes on behind a token that it does not have."""

    def forced(_sample: int, drawn: Sequence[int]) -> int | None:
        return 3 if len(drawn) % 5 == 4 else None

    expected, _ = text(0, forced=forced)
    assert text(4, forced=forced)[0] == expected
    assert [step[0].id for step in expected[4::5]] == [3] * len(expected[4::5])


def test_what_is_left_behind_is_the_text():
    """Catches a state that holds a draft which nobody drew, where the text is stopped within it
    and another prompt begins like it.
    """
    expected, _ = text(0, sampling=WISHES[0])
    ids = [step[0].id for step in expected]
    for stop in range(1, 16):
        first = generation(7, sampling=WISHES[0])
        for _ in zip(range(stop), first, strict=False):
            pass
        prefix = first._prefix
        longer = [*prompt_of(CASE), *ids[:stop]]
        rest = Generation(prefix, [longer], Draws(WISHES[0], 24 - stop, drafts=7))
        assert [step[0].id for step in rest] == ids[stop:]
        assert prefix.reused >= len(longer) - 1 - 1


def test_the_last_of_several_is_drafted():
    """Catches a batch that is cut back in the wrong row, or drafts of one text for another."""
    few = {"fitting": lambda _: (4, 9, 12), "samples": 3}
    expected, _ = text(0, **few)
    drawing, found = generation(5, **few), list[list[Drawn]]()
    for step in drawing:
        found.append(step)
        for sample in (0, 2) if len(found) == 6 else ():
            drawing.stop(sample)
    assert [step[1 if len(step) > 1 else 0] for step in found] == [step[1] for step in expected]
    assert drawing.drafts is not None and drawing.drafts.kept


def test_where_nothing_is_drafted():
    """Catches drafts of a state that cannot go back, which would be part of it for good; and of a
    runner whose numbers may differ, where nobody asked for it.
    """
    expected, _ = text(0, "lfm2/plain")
    found, drafts = text(5, "lfm2/plain")
    assert found == expected and drafts == Drafts(why_not=STATES)
    torch = Generation(PrefixCache(runner_of(CASE)), [prompt_of(CASE)], Draws(FEW, 9, drafts=None))
    assert len(list(torch)) == 9 and torch.drafts == Drafts(why_not=ALONE)


@pytest.mark.parametrize("draft", [CASE, "llama/linear", "mistral/window"])
def test_drafts_of_a_model(draft):
    """Catches a draft of a model that is kept though it was not drawn, a state of that model which
    holds what nobody drew, and drafts that are never tried where nothing came before.
    """
    all_of_them = Drafts()
    for wish, seed in product(WISHES[:4], (0, 7)):
        draws = Draws(wish, 24, seed=seed, drafts=0, logprobs=2)
        alone = list(Generation(PrefixCache(kernels_of(CASE)), [prompt_of(CASE)[:5]], draws))
        for count in (1, 4, None):
            prefix = PrefixCache(kernels_of(CASE), drafter=Drafter(kernels_of(draft), 61))
            found = Generation(prefix, [prompt_of(CASE)[:5]], replace(draws, drafts=count))
            assert list(found) == alone, (wish, seed, count)
            all_of_them += found.drafts or Drafts()
    assert 0 < all_of_them.kept <= all_of_them.drafted
    assert draft == CASE or all_of_them.kept < all_of_them.drafted


def test_the_same_model_is_always_right(monkeypatch):
    """Catches a model that goes on from another text than the one that is written."""
    monkeypatch.setattr(LookedUp, "draft", lambda self, room: [])
    prefix = PrefixCache(kernels_of(CASE), drafter=Drafter(kernels_of(CASE), 61))
    draws = Draws(Sampling(temperature=0), 16, drafts=3)
    found = Generation(prefix, [[9, 4, 31, 17]], draws)
    assert len(list(found)) == 16
    assert found.drafts is not None and found.drafts.kept == found.drafts.drafted >= 9
