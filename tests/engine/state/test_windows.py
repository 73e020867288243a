"""Layers that hold what they may yet see: the numbers of a state that holds all, in less memory."""

from __future__ import annotations

import numpy as np
import pytest

from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.model.sight import Sight
from gptcli.engine.prompts.kept_prompts import KeptPrompts
from gptcli.engine.prompts.prompt_file import Whose
from gptcli.engine.runner import CHUNK
from gptcli.engine.state.windowed import WindowedKeysValues
from gptcli.types.sampling import Sampling
from tests.engine.cpu.helpers import needs_kernels
from tests.engine.helpers import drawn
from tests.engine.state.windows import BACK, IDS, LIMIT, NEAR, RUNNERS, narrow, whole

pytestmark = needs_kernels
GREEDY = Sampling(temperature=0.0)
every_runner = pytest.mark.parametrize("name", RUNNERS)


@pytest.fixture(autouse=True)
def _narrow():
    with narrow():
        yield


def same(name: str, ours, expected: np.ndarray) -> None:
    """To the last bit in the kernels, whose sums have one order."""
    if name == "torch":
        np.testing.assert_allclose(ours, expected, atol=3e-5, rtol=0)
    else:
        np.testing.assert_array_equal(ours, expected)


@every_runner
def test_what_is_held_moves_and_changes_nothing(name):
    """Catches what is still seen let go of, a mask or a place that does not move along, and memory
    that goes on growing.
    """
    runner, state = RUNNERS[name](), RUNNERS[name]().new_state()
    assert [isinstance(each, WindowedKeysValues) for each in state.layers] == [1, 0, 1, 1]
    at, sizes = 0, set()
    for count in (1, 39, 1, 1, 40, 7, 200, 1, 13, *[1] * 90, 64):
        logits = runner.prefill([IDS[at : at + count]], state)
        at += count
        same(name, logits[0], whole(name)[at - 1])
        sizes.add(state.layers[0].keys.shape[2])
    held = state.layers[0]
    assert held.origins[0] > 300 and max(sizes) < 320 and held.keys.shape[2] == held.sight.most
    item = runner.facts.itemsize
    assert state.bytes <= NEAR.cache_bytes(state.capacity, item) < LIMIT * NEAR.token_bytes(item)


@every_runner
def test_rows_of_any_length_are_the_row_alone(name):
    """Catches rows that share where they begin, picked rows that share what they hold, and one that
    begins anew among long ones.
    """
    runner, state = RUNNERS[name](), RUNNERS[name]().new_state(3)
    texts = [IDS, IDS[50:], IDS[100:]]
    lengths = [0, 0, 0]
    for counts in [(300, 3, 40), (1, 90, 1), (1, 1, 1), (60, 70, 200), *[(1, 1, 1)] * 30]:
        rows = [text[n : n + k] for text, n, k in zip(texts, lengths, counts, strict=True)]
        logits = runner.prefill(rows, state)
        lengths = [n + k for n, k in zip(lengths, counts, strict=True)]
    expected = [whole(name, tuple(t[:n]))[-1] for t, n in zip(texts, lengths, strict=True)]
    close(logits, expected)
    state.pick([2, 0, 0])
    assert state.truncate([0, lengths[0] - 3, lengths[0]])
    logits = runner.prefill([IDS[:60], IDS[5:8], IDS[9:10]], state)
    ends = [IDS[:60], [*IDS[: lengths[0] - 3], *IDS[5:8]], [*IDS[: lengths[0]], IDS[9]]]
    close(logits, [whole(name, tuple(ids))[-1] for ids in ends])


def close(ours, expected) -> None:
    np.testing.assert_allclose(ours, np.stack(expected), atol=3e-5, rtol=0)


@every_runner
def test_back_a_bit_by_itself_and_further_by_places(name):
    """Catches a way back to where keys are gone, and a place that what is held moved away from."""
    runner, state = RUNNERS[name](), RUNNERS[name]().new_state()
    runner.prefill([IDS[:200]], state)
    place, before = state.snapshot(), state.snapshot([195])
    for at in range(200, 400):
        runner.decode([IDS[at]], state)
        assert state.can_truncate([at - BACK])
    assert not state.can_truncate([200]) and not state.truncate([200]) and state.lengths == [400]
    assert state.truncate([393])
    same(name, runner.prefill([IDS[393:410]], state)[0], whole(name)[409])
    for _ in range(2):
        assert state.restore(place) and state.lengths == [200]
        same(name, runner.prefill([IDS[200:290]], state)[0], whole(name)[289])
    assert state.restore(before) and not place.fits
    other = [*IDS[:195], *IDS[:80]]
    same(name, runner.prefill([IDS[:80]], state)[0], whole(name, tuple(other))[-1])
    state.clear()
    same(name, runner.prefill([IDS[:90]], state)[0], whole(name)[89])


@every_runner
def test_prompts_one_after_another(name):
    """Catches a prompt that rides on keys of another text, and one that runs all again."""
    prefix = PrefixCache(RUNNERS[name]())
    prefix.prefill(IDS[:300])
    for token in IDS[300:450]:
        prefix.decode(token)
    prompts = [(*IDS[:446], 5, 6), (*IDS[:298], 5, 6), (*IDS[:290], *IDS[:150]), IDS[:280], IDS[:9]]
    for prompt, reused in zip(prompts, [446, 284, 290, 279, 0], strict=True):
        found = np.asarray(prefix.prefill(prompt)[0])
        close([found], [whole(name, tuple(prompt))[-1]])
        assert prefix.reused == reused and prefix.ids == list(prompt)


@pytest.mark.parametrize("name", ["float32", "int8"])
def test_drafts_and_bans_change_nothing(name):
    """Catches a draft that is taken back to where what is held has moved on from."""
    prompt = IDS[:40] * 5
    found = []
    for drafts in (0, 3):
        prefix = PrefixCache(RUNNERS[name]())
        steps = list(drawn(prefix, [prompt], GREEDY, max_new_tokens=150, drafts=drafts))
        found.append([each.id for step in steps for each in step])
    assert found[0] == found[1] and len(found[0]) == 150


@every_runner
@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interruption_leaves_it_usable(name, at, monkeypatch):
    """Catches layers of which some have moved on and others not, and that do not go together."""
    runner = RUNNERS[name]()
    prefix, left = PrefixCache(runner), at
    prefix.prefill(IDS[:100])
    kept = WindowedKeysValues.hold

    def interrupted(*given):
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        kept(*given)

    with monkeypatch.context() as patch:
        patch.setattr(WindowedKeysValues, "hold", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prefix.prefill(IDS[:250])
    for prompt in (IDS[:260], (*IDS[:97], *IDS[:20])):
        close(prefix.prefill(prompt), [whole(name, tuple(prompt))[-1]])


@pytest.mark.parametrize("sight", [Sight(7), Sight(200), Sight(chunk=50), Sight(300, 64)])
def test_room_is_enough_for_every_text(sight):
    """Catches a length at which what has to be held does not fit, or begins behind what is seen."""
    for length in range(3000):
        origin = sight.origin(length)
        assert origin <= sight.first(max(length - BACK, 0)) and origin % 64 == 0
        assert length - origin + 40 <= sight.most


def test_a_short_context_is_held_whole():
    """Catches a bounded state where that saves nothing, and costs the way back."""
    spec = RUNNERS["float32"]().spec
    assert spec.near(128) == () and spec.near(CHUNK) == (0, 2, 3)


def test_what_is_kept_on_the_disk_goes_on_as_from_nothing(tmp_path):
    """Catches a window that is left out of a file, read to another place, or of another prompt."""
    runner = RUNNERS["float32"]()
    whose = Whose(str(runner.fingerprint), tmp_path / "model")

    def store() -> KeptPrompts:
        return KeptPrompts(whose, runner.new_state, LIMIT, tmp_path / "kept", most=1 << 30)

    prefix = PrefixCache(runner, comes_back=False, kept=store())
    prefix.prefill(IDS[:600])
    assert prefix.keep() is None
    for prompt, read in ((IDS[:650], 600), ((*IDS[:590], 5, 6), 584), ((*IDS[:530], 7), 512)):
        kept = store()
        prefix = PrefixCache(runner, kept=kept)
        same("float32", prefix.prefill(prompt)[0], whole("float32", tuple(prompt))[-1])
        assert kept.used().read == read
        same("float32", prefix.decode(9)[0], whole("float32", (*prompt, 9))[-1])
