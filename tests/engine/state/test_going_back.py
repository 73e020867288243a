"""Models whose state cannot go back: the same answers as from nothing, and no more run than due."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

from gptcli.engine.arrays import host, log_softmax, softmax
from gptcli.engine.asking import kept_places, scoring
from gptcli.engine.asking.continuations import logprobs_after
from gptcli.engine.asking.place_scoring import score_places
from gptcli.engine.asking.prefix import PrefixCache, begin
from gptcli.engine.asking.tree import TreeGrower
from gptcli.engine.runner import Runner
from gptcli.types.sampling import Sampling
from tests.engine.helpers import GOLDENS, drawn, rows_of
from tests.engine.state.recurrent import RecurrentKernels, RecurrentRunner

MODELS = {
    "gpt2": lambda: RecurrentRunner(GOLDENS / "gpt2/tied"),
    "llama": lambda: RecurrentRunner(GOLDENS / "llama/tied"),
    "mistral": lambda: RecurrentRunner(GOLDENS / "mistral/window"),
    "kernels": lambda: RecurrentKernels(GOLDENS / "llama/tied"),
}
every_model = pytest.mark.parametrize("name", MODELS)
WARM = Sampling(temperature=1.3, top_k=20)
A, B = rows_of("llama/tied")


@functools.cache
def model(name: str) -> Runner:
    return MODELS[name]()


@functools.cache
def whole(name: str, ids: tuple[int, ...]) -> np.ndarray:
    """Logits after every token, in one piece and from nothing."""
    return host(model(name).all_logits(ids, model(name).new_state()))


def close(ours, expected) -> None:
    np.testing.assert_allclose(host(ours), expected, atol=3e-5, rtol=0)


@every_model
def test_the_layer_matters(name):
    """Catches a stand-in whose running sum changes no logits, so that nothing here could fail."""
    runner = model(name)
    state = runner.new_state()
    runner.prefill([A[:9]], state)
    state.layers[-1].sums[:] = 0
    assert np.abs(host(runner.decode([A[9]], state)) - whole(name, A[:10])[-1]).max() > 0.1


@every_model
@pytest.mark.parametrize("chunk", [1, 4])
def test_rows_and_chunks_are_the_whole(name, chunk):
    """Catches padding that a layer takes in, and rows picked that share what they keep."""
    runner, state = model(name), model(name).new_state(3)
    logits = runner.prefill([A[:9], B[:2], A[:6]], state, chunk=chunk)
    close(logits, np.stack([whole(name, A)[8], whole(name, B)[1], whole(name, A)[5]]))
    state.pick([1, 0, 0])
    other = state.picked([2, 1])
    close(runner.decode([B[2], A[9], A[9]], state)[0], whole(name, B)[2])
    close(runner.decode([A[9], 5], other)[1], whole(name, (*A[:9], 5))[-1])
    assert (state.lengths, other.lengths) == ([3, 10, 10], [10, 10])


@every_model
def test_what_cannot_go_back_says_so_and_stays(name):
    """Catches some layers that have gone back when another cannot, and a no that is a yes."""
    runner, state = model(name), model(name).new_state(2)
    runner.prefill([A[:7], B[:9]], state)
    assert not state.rewinds
    for lengths in ([6, 9], [7, 3], [0, 8]):
        assert not state.can_truncate(lengths) and not state.truncate(lengths)
    assert state.lengths == [7, 9]
    assert state.truncate([7, 20])
    logits = runner.decode([A[7], B[9]], state)
    close(logits, np.stack([whole(name, A)[7], whole(name, B)[9]]))
    # To nothing, a row by itself.
    assert state.truncate([0, 30]) and state.lengths == [0, 10]
    logits = runner.prefill([B[:4], B[10:12]], state)
    close(logits, np.stack([whole(name, B)[3], whole(name, B)[11]]))
    state.clear()
    close(runner.prefill([B[:3], A[:3]], state)[1], whole(name, A)[2])


@every_model
def test_restore_and_continue_is_fresh(name):
    """Catches a snapshot that goes on with the state, can be used once, or outlives its text."""
    runner, state = model(name), model(name).new_state(2)
    runner.prefill([A[:5], B[:8]], state)
    first = state.snapshot()
    assert 0 < first.bytes < state.bytes
    runner.prefill([A[5:9], B[8:9]], state)
    second = state.snapshot()
    for length in (1, 6):
        assert state.restore(first) and state.lengths == [5, 8]
        rows = [A[20 : 20 + length], B[20:24]]
        logits = runner.prefill(rows, state)
        for row, ids in enumerate(((*A[:5], *rows[0]), (*B[:8], *rows[1]))):
            close(logits[row], whole(name, ids)[-1])
    lengths = state.lengths
    assert not second.fits and not state.restore(second) and state.lengths == lengths
    assert not runner.new_state(2).restore(first)
    assert state.restore(first)
    state.pick([0, 1])
    assert not state.restore(first)


@every_model
def test_prompts_one_after_another(name):
    """Catches a prompt that rides on a state of another text, and snapshots that are not used."""
    prefix = PrefixCache(model(name))
    prompts = [A[:6], A[:14], (*A[:9], *B[:4]), (*A[:9], *B[:7]), A[:6], A[:12], B[:7], B[:9]]
    # Back to the end of a prompt that this one begins with, or is.
    for prompt, reused in zip(prompts, [0, 6, 6, 13, 6, 6, 0, 7], strict=True):
        close(prefix.prefill(prompt)[0], whole(name, prompt)[-1])
        assert (prefix.reused, prefix.ids) == (reused, list(prompt))


@every_model
@pytest.mark.parametrize(("most", "size"), [(0, 1 << 30), (1, 1 << 30), (3, 1 << 30), (9, 0)])
def test_snapshots_are_bounded_and_change_nothing(name, most, size, monkeypatch):
    """Catches memory that grows with a conversation."""
    monkeypatch.setattr(kept_places, "PLACES", most)
    monkeypatch.setattr(kept_places, "PLACE_BYTES", size)
    monkeypatch.setattr(kept_places, "SHARE", 1 << 60)
    prefix = PrefixCache(model(name))
    for end in range(2, 14, 2):
        prefix.prefill(A[:end])
    assert len(prefix.places) == (min(most, 6) if size else 0)
    close(prefix.prefill((*A[:11], 3))[0], whole(name, (*A[:11], 3))[-1])
    assert prefix.reused == (10 if most > 1 and size else 0)


@every_model
def test_turns_and_several_prompts(name):
    """Catches answers that differ from those of a model to which nothing was said before."""
    runner, ids = model(name), list(A[:6])
    prefix = PrefixCache(runner)

    def generated(held: PrefixCache, prompts, seed: int):
        found = drawn(held, prompts, WARM, max_new_tokens=4, seed=seed, logprobs=0)
        return [[(d.sample, d.id) for d in step] for step in found]

    turns = [
        lambda said: [*said, *B[:3]],
        # Taken back, and said otherwise.
        lambda said: [*said[:-4], *B[5:8]],
        lambda said: [*said, 1],
        lambda said: said[:5],
    ]
    for seed, turn in enumerate(turns):
        steps = generated(prefix, [ids], seed)
        assert steps == generated(PrefixCache(runner), [ids], seed)
        several = [ids, [*ids[:4], 9, 8], ids[:5]]
        if seed != 1:
            assert generated(prefix, several, seed) == generated(PrefixCache(runner), several, seed)
        ids = turn([*ids, *(step[0][1] for step in steps)])


@every_model
def test_batches_after_the_same_examples(name):
    """Catches examples that every batch computes again, though a snapshot stands at their end."""
    runner, shared = model(name), A[:10]
    prefix, found = PrefixCache(runner), []
    for ends in ([B[:3], B[5:7]], [B[8:11], (*B[8:9], 3)], [B[1:2], B[3:8]], [B[:1], B[:1]]):
        prompts = [(*shared, *end) for end in ends]
        state, logits = begin(prefix, prompts)
        close(logits, np.stack([whole(name, prompt)[-1] for prompt in prompts]))
        assert state.lengths == [len(prompt) for prompt in prompts]
        found.append((prefix.shared, prefix.reused))
    # The second batch shares a token more than the examples; the last one is all the same.
    assert found == [(10, 0), (11, 10), (10, 10), (11, 10)]


@every_model
def test_continuations_scores_and_trees(name):
    """Catches a branch that rides on what its sister left, and a window on the one before it."""
    runner, prefix = model(name), PrefixCache(model(name))
    rows = [[[5], [5, 6, 7]], [[9, 3], [2]]]
    for prompts in ([A[:7], B[:4]], [A[:7], (*A[:5], 3)], [A[:6], A[:4]]):
        found = logprobs_after(prefix, prompts, rows)
        for prompt, row, ours in zip(prompts, rows, found, strict=True):
            for ids, values in zip(row, ours, strict=True):
                logprobs = log_softmax(whole(name, (*prompt, *ids)))
                at = range(len(prompt) - 1, len(prompt) + len(ids) - 1)
                close(np.array(values), [logprobs[i, t] for i, t in zip(at, ids, strict=True)])
    plan = scoring.windows(len(A), 1, 12, 5)
    for window in plan:
        scored = list(scoring.score(runner, A, plan))
        logprobs = log_softmax(whole(name, A[window.start : window.end]))
        for at in range(window.first, window.end):
            assert scored[at - 1].logprob == pytest.approx(
                float(logprobs[at - window.start - 1, A[at]]), abs=3e-5
            )
    for _ in range(2):
        ends = score_places(prefix, A[:12], [2, 7], [0, 5])
        chances = softmax(whole(name, A[:12]))
        close(np.array(ends.after), [chances[2, A[3]], chances[7, A[8]]])
        assert ends.ends == pytest.approx(float(chances[-1, [0, 5]].sum()), abs=1e-6)
    grower = TreeGrower(runner, depth=3, width=2, least=-math.inf, end_ids=(), most=99)
    todo = [((*A[:5], each.id), each) for each in grower.grow(A[:5])]
    while todo:
        ids, branch = todo.pop()
        logprob = log_softmax(whole(name, ids[:-1])[-1])[ids[-1]]
        assert branch.logprob == pytest.approx(float(logprob), abs=5e-5)
        todo += [((*ids, each.id), each) for each in branch.children]


@every_model
@pytest.mark.parametrize("at", ["reserve", "advance", "take", "snapshot", "restore"])
def test_an_interruption_leaves_it_usable(name, at, monkeypatch):
    """Catches tokens that some layers have taken in and others not, taken for a good state."""
    runner = model(name)
    for calls in range(1, 5):
        prefix = PrefixCache(runner)
        prefix.prefill(A[:3])
        prefix.prefill(A[:5])
        of = prefix.state.layers[-1] if at == "take" else prefix.state
        kept, left = getattr(of, at), calls

        def interrupted(*given, kept=kept):
            nonlocal left
            left -= 1
            found = kept(*given)
            if left == 0:
                raise KeyboardInterrupt
            return found

        with monkeypatch.context() as patch:
            patch.setattr(of, at, interrupted)
            try:
                prefix.prefill((*A[:4], *B[:2]))
                for _ in drawn(prefix, [A[:9]], WARM, max_new_tokens=8):
                    pass
            except KeyboardInterrupt:
                pass
            else:
                assert left > 0 and at in ("snapshot", "restore", "take")
        for prompt in (A[:9], (*A[:5], 7)):
            close(prefix.prefill(prompt)[0], whole(name, prompt)[-1])


def test_a_restore_that_was_interrupted_is_no_state(monkeypatch):
    """Catches layers of which some were brought back, taken for a place that can be gone on from.

    With room for less than the state has grown to since.
    """
    runner = model("llama")
    monkeypatch.setattr("gptcli.engine.state.model_state.GROWTH", 2)
    prefix = PrefixCache(runner)
    prefix.prefill(A[:5])
    prefix.prefill(A[:12])
    snapshot = prefix.places.last(5).snapshot

    def broken(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(snapshot.layers[-1], "picked", broken)
        with pytest.raises(KeyboardInterrupt):
            prefix.prefill((*A[:6], 3))
    assert prefix.state.under_way is not None
    close(prefix.prefill((*A[:6], 3))[0], whole("llama", (*A[:6], 3))[-1])
    assert prefix.reused == 5
