"""Banned texts never come, and what comes instead depends on nothing but the text itself."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from gptcli.engine.asking.draws import Draws
from gptcli.engine.asking.generate import Generation
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.asking.running_batch import RunningBatch
from gptcli.errors import NonFiniteError
from gptcli.text.banned import Banned
from gptcli.types.sampling import Sampling
from tests.engine.cpu.helpers import kernels_of, needs_kernels
from tests.engine.helpers import rows_of

pytestmark = needs_kernels
CASE, OTHER = "llama/tied", "lfm2/plain"
FEW = Sampling(temperature=1.5, top_k=4)
WARM = Sampling(temperature=1.2, top_k=6, repeat_penalty=1.1, xtc_probability=0.4)
GREEDY = Sampling(temperature=0)


#: Tokens that come twice, so that something is drafted.
PROMPT = [*rows_of(CASE)[0][:9], *rows_of(CASE)[0][2:8]]


def letter(token: int) -> bytes:
    """Few letters, so that many tokens spell the same."""
    return b"abcd"[token % 4 : token % 4 + 1]


#: One of a token, and some that are whole only after two or three.
BANNED = ("a", "bc", "dbd")
BAN = Banned(BANNED, letter)


def drawn(case, samples=1, *, ban=BAN, runner=None, comes_back=True, **flags):
    given = {"sampling": FEW, "max_new_tokens": 24, "logprobs": 1} | flags
    prefix = PrefixCache(runner or kernels_of(case), comes_back=comes_back)
    found = [[] for _ in range(samples)]
    generation = Generation(prefix, [PROMPT] * samples, Draws(ban=ban, **given))
    for step in generation:
        for each in step:
            found[each.sample].append(each)
    return found, generation


def text(sample):
    return b"".join(letter(each.id) for each in sample if not each.ends).decode()


def naively(case, sampling, count):
    """Greedy, each token from a state of its own; which are taken back is found in the text."""
    runner = kernels_of(case)
    ids: list[int] = []
    forbidden: dict[tuple[int, ...], set[int]] = {}
    while len(ids) < count:
        logits = np.array(PrefixCache(runner).prefill([*PROMPT, *ids])[0])
        logits[sorted(forbidden.get(tuple(ids), ()))] = -np.inf
        ids.append(int(logits.argmax()))
        places = [
            at for each in BANNED if (at := b"".join(map(letter, ids)).decode().find(each)) >= 0
        ]
        if places:
            token = ids[min(places)]
            del ids[min(places) :]
            forbidden.setdefault(tuple(ids), set()).add(token)
    return ids


@pytest.mark.parametrize("case", [CASE, OTHER])
@pytest.mark.parametrize("comes_back", [True, False])
def test_it_is_what_a_naive_search_finds(case, comes_back):
    """Catches a state that still holds what was taken back, a token that is forbidden elsewhere or
    not any more, and logits of another place.
    """
    (found,), _ = drawn(case, sampling=GREEDY, comes_back=comes_back)
    assert [each.id for each in found] == naively(case, GREEDY, 24)


@pytest.mark.parametrize("case", [CASE, OTHER])
@pytest.mark.parametrize("wish", [FEW, WARM, GREEDY], ids=["few", "warm", "greedy"])
def test_it_is_the_same_alone_beside_others_and_with_drafts(case, wish):
    """Catches a random number more or less, another order of forbidding, rows that are cut in the
    wrong place, and what is given though it may yet be taken back.
    """
    taken_back, drafts = False, 0
    for seed in range(2):
        alone = [drawn(case, sampling=wish, seed=seed + i)[0][0] for i in range(3)]
        for sample in alone:
            assert len(sample) == 24 and not any(each in text(sample) for each in BANNED)
        free, _ = drawn(case, sampling=wish, seed=seed, ban=None)
        taken_back |= free[0] != alone[0]
        together = [[replace(each, sample=i) for each in one] for i, one in enumerate(alone)]
        assert drawn(case, 3, sampling=wish, seed=seed)[0] == together
        if case == CASE:
            (drafted,), generation = drawn(case, sampling=wish, seed=seed, drafts=5)
            assert drafted == alone[0]
            drafts += generation.drafts.drafted
        assert batched(case, wish, seed) == together
    assert taken_back and bool(drafts) == (case == CASE)


def batched(case, wish, seed):
    """Three samples in a running batch, beside another question."""
    running = RunningBatch(kernels_of(case), pages=40)
    draws = Draws(wish, 24, seed=seed, logprobs=1, ban=BAN)
    mine = running.join(PROMPT, draws, 3)
    running.join(rows_of(case)[1][:5], Draws(FEW, 30, seed=9))
    found = [[], [], []]
    steps = iter(mine)
    while True:
        running.step()
        for step in steps:
            if not step:
                break
            for each in step:
                found[each.sample].append(each)
        else:
            return found


def test_what_is_given_is_never_taken_back():
    """Catches text that is shown too early: each step's beginning stays, and a text that no banned
    one can follow waits for nothing.
    """
    shown = ""
    for step in Generation(
        PrefixCache(kernels_of(CASE)), [PROMPT], Draws(FEW, 30, ban=BAN, seed=1)
    ):
        shown += text(step)
        assert not any(each in shown for each in BANNED)
    (whole,), _ = drawn(CASE, seed=1, max_new_tokens=30)
    assert shown == text(whole) and re.fullmatch("[bcd]{30}", shown)
    never, _ = drawn(CASE, ban=Banned(("zz",), letter))
    assert never == drawn(CASE, ban=None)[0]


def test_an_end_lets_go_of_what_is_held():
    """Catches the last letters lost where the text ends within a beginning, and an end that counts
    as text.
    """
    free, _ = drawn(CASE, ban=None, sampling=GREEDY)
    ids = [each.id for each in free[0]]
    ban = Banned([(letter(ids[1]) + letter(ids[2])).decode()], letter)
    ends = frozenset([ids[2]])
    (found,), _ = drawn(CASE, ban=ban, sampling=GREEDY, end_ids=ends)
    if ids[2] not in ids[:2]:
        assert [each.id for each in found] == ids[:3]
    (cut,), _ = drawn(CASE, ban=ban, sampling=GREEDY, max_new_tokens=2)
    assert [each.id for each in cut] == ids[:2]


def test_where_nothing_else_can_come():
    """Catches a search without an end, and a text that is banned and comes all the same."""
    with pytest.raises(NonFiniteError, match="--ban: leaves no token"):
        drawn(CASE, ban=Banned(("a", "b", "c", "d"), letter))
    with pytest.raises(NonFiniteError, match="--ban"):
        drawn(CASE, fitting=lambda drawn: (0, 4))
    # Behind a "b" only a "c" may come, which goes back to before the "b".
    (found,), _ = drawn(CASE, fitting=lambda d: (2, 6) if d and d[-1] % 4 == 1 else None)
    assert "b" not in text(found)[:-1]
