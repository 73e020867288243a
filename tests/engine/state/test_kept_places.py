"""How much is run again of a text to which a state comes back that cannot go back by itself."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gptcli.engine.asking import kept_places
from gptcli.engine.asking import prefix as module
from gptcli.engine.asking.prefix import PrefixCache, begin
from tests.engine.helpers import GOLDENS
from tests.engine.state.recurrent import RecurrentKernels

#: In place of those that are in use: the golden's context is 48 tokens.
CHUNK, LEAST, TAIL = 8, 6, 2
CONTEXT = 48


class Counted:
    """A prefix cache, and how many tokens ran since it was last asked."""

    def __init__(self) -> None:
        self.runner = RecurrentKernels(GOLDENS / "llama/tied")
        assert self.runner.limit == CONTEXT
        self.prefix = PrefixCache(self.runner)

    def ran(self) -> int:
        count = sum(tokens for tokens, _ in self.runner.model.calls)
        self.runner.model.calls.clear()
        return count

    def says(self, prompt: list[int], answer: list[int] = ()) -> int:
        """Tokens that run for a prompt, whose logits must be those of a fresh run."""
        self.ran()
        logits = self.prefix.prefill(prompt)
        count = self.ran()
        fresh = RecurrentKernels(GOLDENS / "llama/tied")
        expected = fresh.prefill([prompt], fresh.new_state())
        np.testing.assert_allclose(logits, expected, atol=3e-5, rtol=0)
        # What was given must not be what is kept.
        logits[:] = 0
        for token in answer:
            self.prefix.decode(token)
        return count


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    for name, value in (("CHUNK", CHUNK), ("LEAST", LEAST), ("TAIL", TAIL)):
        monkeypatch.setattr(module, name, value)
    return Counted()


def ids(count: int, seed: int) -> list[int]:
    return random.Random(seed).choices(range(3, 60), k=count)


def test_the_same_prompt_again_runs_nothing(counted):
    """Catches logits that are computed again for /regen, and those kept that a sampler changed."""
    text = ids(20, 1)
    assert counted.says(text, [4, 5, 6]) == 20
    assert [counted.says(text, [9]), counted.says(text, [4, 5])] == [0, 0]
    assert counted.prefix.reused == 20


def test_turns_and_undo(counted):
    """Catches an answer that is run again in the next turn, and /undo that runs turns again."""
    said: list[int] = []
    ends = []
    for turn in range(6):
        new, answer = ids(4, turn), ids(3, 50 + turn)
        assert counted.says(said + new, answer) == 4
        said += new + answer
        ends.append(len(said))
    # Three turns back, to where the third answer ended.
    assert counted.says([*said[: ends[2]], 7, 8, 9]) == 3
    assert counted.prefix.reused == ends[2]
    # And one more: its text is still there.
    assert counted.says([*said[: ends[1]], 5, 5]) == 2


def test_an_edited_prompt(counted):
    """Catches a long prompt that is run again from its beginning, wherever it was changed."""
    text = ids(44, 2)
    assert counted.says(text) == 44
    for place, kept in ((41, 40), (43, 40), (27, 24), (9, 8), (5, 0)):
        edited = [*text[:place], text[place] % 50 + 3, *text[place + 1 :]]
        assert edited[place] != text[place]
        assert counted.says(edited) == 44 - kept
        text = edited


def test_what_stands_before_an_answer_may_differ(counted):
    """Catches templates that write the beginning of an answer otherwise once it is there, after
    which all of the prompt was run again."""
    question, opening = ids(20, 3), [11]
    counted.says([*question, *opening], ids(3, 4))
    again = [*question, 12, *ids(2, 4), *ids(4, 5)]
    assert counted.says(again) == len(again) - (len(question) + 1 - TAIL)


def test_rows_after_the_same_examples(counted):
    """Catches examples that each row computes again."""
    shared, counts = ids(22, 6), []
    for seed in range(3):
        rows = [[*shared, 3 + row, *ids(3, 10 * seed + row)] for row in range(2)]
        counted.ran()
        begin(counted.prefix, rows)
        counts.append(counted.ran())
    assert counts == [22 + 8, 8, 8]


def test_a_long_answer_has_places_too(counted):
    """Catches an answer of any length that is all run again where its end is changed."""
    counted.says(ids(4, 7), answer := ids(30, 8))
    # To the last of the places 12, 20 and 28.
    assert counted.says([*ids(4, 7), *answer[:25], 3]) == 2


@pytest.mark.parametrize("most", [1, 3, 6])
def test_few_places_go_far(counted, most, monkeypatch):
    """Catches memory that grows with the text, and places that are all near one another."""
    monkeypatch.setattr(kept_places, "PLACES", most)
    text = ids(46, 9)
    for end in range(2, 47, 2):
        counted.says(text[:end])
        assert len(counted.prefix.places) <= most
    kept = [each.length for each in counted.prefix.places._places]
    assert kept[-1] == 46
    if most == 6:
        # Going back runs no more again than one goes back, and the near past is whole.
        for place in range(1, 46):
            behind = max((each for each in kept if each <= place), default=0)
            assert place - behind <= max(2, 46 - place)


def test_bytes_bound_them(counted, monkeypatch):
    """Catches a bound on how many alone, where a single one may have hundreds of MiB."""
    counted.says(ids(4, 1))
    one = counted.prefix.places.bytes
    monkeypatch.setattr(kept_places, "PLACE_BYTES", 3 * one)
    counted.prefix = PrefixCache(counted.runner)
    for end in range(5, 40):
        counted.says(ids(40, 2)[:end])
        assert 0 < counted.prefix.places.bytes <= 3 * one
    assert kept_places.KeptPlaces(1000 * one)._most_bytes == 1000 * one // kept_places.SHARE


def test_who_does_not_come_back_keeps_nothing(counted):
    """Catches the memory of places, and a prompt in pieces, where nothing follows the answer."""
    prefix = PrefixCache(counted.runner, comes_back=False)
    counted.runner.model.calls.clear()
    prefix.prefill(ids(40, 1))
    assert counted.runner.model.calls == [(40, 1)] and len(prefix.places) == 0
    prefix.decode(5)
    assert len(prefix.places) == 0
