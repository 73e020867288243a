"""Looking and walking on a tiny model: cache, draws, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gptcli.backends import open_backend
from gptcli.backends.echo import EchoBackend
from gptcli.engine.state.model_state import ModelState
from gptcli.errors import UsageError
from gptcli.types.completion import Chunk, Request
from gptcli.types.compute import Compute
from gptcli.types.next_tokens import NextTokensRequest, WalkRequest
from gptcli.types.sampling import SamplingWish
from tests.tasks import ended

PROMPT = "the cat sat on"


@pytest.fixture(scope="module")
def backend(tiny_model: Path):
    return ended(open_backend(Compute(str(tiny_model), device="cpu", dtype="float32")))


def test_a_walk_draws_what_complete_draws(backend):
    """Catches other probabilities, another generator or another history than complete has."""
    wish = SamplingWish(temperature=2.0, top_k=40, repeat_penalty=1.3, presence_penalty=0.4)
    request = Request(PROMPT, wish, max_new_tokens=12, seed=5, logprobs=0, special=True)
    chunks = [event for event in backend.answer(request) if isinstance(event, Chunk)]
    expected = [token for chunk in chunks for token in chunk.tokens]
    walk = backend.answer(WalkRequest(NextTokensRequest(PROMPT, wish, special=True), seed=5))
    for token in expected:
        taken = walk.draw()
        assert taken.token.id == token.id
        assert taken.logprob == token.logprob
        walk.take(taken.token.id)
    assert len(expected) >= 5


def test_a_walk_looks_as_if_it_began_there(backend):
    """Catches a cache that is one token behind, or a look that changes the place."""
    wish = SamplingWish(temperature=1.0)
    walk = backend.answer(WalkRequest(NextTokensRequest(PROMPT, wish, rows=287), seed=1))
    text = PROMPT
    for _ in range(6):
        # A space begins a token here, so that the text is cut as the walk was walked.
        best = next(c for c in walk.look().candidates if c.token.bytes == b" the")
        walk.take(best.token.id)
        text += " the"
        fresh = backend.answer(NextTokensRequest(text, wish, rows=287))
        again = walk.look()
        assert walk.look() == again
        theirs = {c.token.id: c.logprob for c in fresh.candidates}
        assert {c.token.id: c.logprob for c in again.candidates} == pytest.approx(theirs, abs=1e-4)
    assert walk.taken == b" the" * 6


def test_a_step_is_one_forward_of_one_token(backend, monkeypatch):
    """Catches a walk that reads the whole prompt again, or runs a forward that nobody sees."""
    seen = []
    advance = ModelState.advance

    def counted(state, counts):
        seen.append(counts[0])
        advance(state, counts)

    monkeypatch.setattr(ModelState, "advance", counted)
    walk = backend.answer(WalkRequest(NextTokensRequest(PROMPT), seed=1))
    for _ in range(4):
        walk.look()
        walk.take(walk.draw().token.id)
    assert seen[1:] == [1, 1, 1]


def test_the_room_is_what_complete_has(backend):
    """Catches a walk that runs past the last position, or stops a token early."""
    walk = backend.answer(WalkRequest(NextTokensRequest("a"), seed=1))
    count = 0
    while walk.room:
        walk.look()
        walk.take(5)
        count += 1
    assert count == 63
    with pytest.raises(ValueError, match="full"):
        walk.take(5)


def test_every_token_can_be_told_and_none_beyond(backend):
    """Catches -k over the vocabulary that gives fewer rows in silence."""
    size = backend.answer(NextTokensRequest(PROMPT)).vocabulary
    found = backend.answer(NextTokensRequest(PROMPT, rows=size))
    assert sorted(c.token.id for c in found.candidates) == list(range(size))
    assert [c.rank for c in found.candidates] == list(range(1, size + 1))
    assert found.raw_mass == pytest.approx(1)
    assert found.drawn_mass == pytest.approx(1)
    with pytest.raises(UsageError, match=f"at most {size}"):
        backend.answer(NextTokensRequest(PROMPT, rows=size + 1))


def test_by_drawn_shows_what_a_bias_lifts(backend):
    """Catches a lifted token that no row shows, and a rank that is the row's number."""
    wish = SamplingWish(logit_bias=(("17", 200.0),))
    found = backend.answer(NextTokensRequest(PROMPT, wish, rows=1, by_drawn=True))
    (best,) = found.candidates
    assert best.token.id == 17
    assert best.drawn == 1
    plain = backend.answer(NextTokensRequest(PROMPT, rows=287)).candidates
    assert best.rank == next(c.rank for c in plain if c.token.id == 17) > 1


def test_echo_refuses():
    """Catches made-up numbers from a backend without a model."""
    with pytest.raises(UsageError, match="echo: cannot tell probabilities"):
        EchoBackend().answer(NextTokensRequest("a"))
    with pytest.raises(UsageError, match="echo: cannot"):
        EchoBackend().answer(WalkRequest(NextTokensRequest("a"), seed=0))
