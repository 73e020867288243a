"""What is written once over arrays, on numpy against torch; numpy's side imports no more."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gptcli.engine import arrays
from gptcli.engine.asking import drawing, filters, sampling
from gptcli.engine.asking.distribution import at_temperature, cuts, staged
from gptcli.engine.asking.draws import only
from gptcli.engine.asking.history import History
from gptcli.engine.asking.raw_logprobs import entropy_bits, logprobs_of
from gptcli.engine.asking.scoring import score_rows
from gptcli.errors import NonFiniteError
from gptcli.types.sampling import Sampling

INF = math.inf
#: float32, in a sum of as many numbers as a row here has.
NOISE = 1e-6
# Few values, so that ties are common, or any; -inf is a token that is forbidden.
_logit = st.sampled_from([-INF, -2.0, 0.0, 0.5, 3.0]) | st.floats(-30, 30, width=32)
_row = st.lists(_logit, min_size=12, max_size=12).filter(lambda row: max(row) > -INF)
_rows = st.lists(_row, min_size=1, max_size=3)
_ids = st.lists(st.integers(0, 11), max_size=8)
_wishes = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 1e-46, 1.0, 1e300]) | st.floats(0.2, 3),
    top_k=st.just(0) | st.integers(1, 14),
    min_p=st.just(0.0) | st.floats(0.001, 0.999),
    repeat_penalty=st.just(1.0) | st.floats(0.5, 2),
    presence_penalty=st.just(0.0) | st.floats(-2, 2),
    frequency_penalty=st.just(0.0) | st.floats(-2, 2),
    logit_bias=st.just(()) | st.just(((1, 2.5), (3, -INF), (1, -1.0))),
)
quick = settings(max_examples=50, deadline=None)


def both(rows: list[list[float]]) -> tuple[np.ndarray, torch.Tensor]:
    return np.array(rows, np.float32), torch.tensor(rows)


def close(ours: np.ndarray, theirs: torch.Tensor, atol: float = NOISE) -> None:
    assert isinstance(ours, np.ndarray | np.floating)
    assert isinstance(theirs, torch.Tensor)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=atol, rtol=NOISE)


@quick
@given(_rows)
def test_functions_that_the_standard_lacks(rows):
    """Catches another axis, order or shape than torch's, and NaN where a token is forbidden."""
    ours, theirs = both(rows)
    for name in ("softmax", "log_softmax", "logsumexp"):
        function = getattr(arrays, name)
        close(function(ours), function(theirs), atol=1e-5)
    assert arrays.ranked(ours).tolist() == arrays.ranked(theirs).tolist()


@quick
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 63, 64, 129, 700, 3000]),
    st.sampled_from([0, 1, 3]),
    st.integers(0, 100),
    st.sampled_from([1, 2, 10, 46, 3000]),
)
def test_the_largest_of_many(seed, size, decimals, forbidden, k):
    """Catches a bound from blocks that cuts off one of the largest, or one that ties with them."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((2, size)).astype(np.float32).round(decimals)
    rows[random.random(rows.shape) < forbidden / 100] = -INF
    k = min(k, size)
    order = np.argsort(-rows, axis=-1, stable=True)[:, :k]
    expected = np.take_along_axis(rows, order, axis=-1)
    for x in (rows, torch.from_numpy(rows)):
        assert np.array_equal(arrays.top(x, k), expected)
        assert np.array_equal(arrays.top_ids(x, k), order)


def test_the_logarithm_of_nothing_is_no_nan():
    """Catches -inf less -inf where a constraint leaves tokens that the model forbids."""
    nothing = [[-INF, -INF]]
    for x in both(nothing):
        assert arrays.logsumexp(x).tolist() == [-INF]


@quick
@given(_rows, _wishes, _ids, _ids)
def test_stages(rows, wish, prompt, generated):
    """Catches a stage that numpy computes otherwise, in place, or with a warning."""
    ours, theirs = both(rows)
    histories = [History(prompt, generated)] * len(rows)
    before = ours.copy()

    def run(x):
        try:
            return list(sampling.stages(x, wish, histories))
        except NonFiniteError:
            return None

    mine, other = run(ours), run(theirs)
    assert (mine is None) == (other is None)
    for (name, one), (theirs_name, two) in zip(mine or (), other or (), strict=True):
        assert name == theirs_name and one.dtype == np.float32
        close(one, two)
    assert np.array_equal(ours, before)


@quick
@given(_rows, st.floats(0.01, 0.999))
def test_top_p(rows, p):
    """Catches a mass that is summed in another order than that of the probabilities."""
    ours, theirs = both(rows)
    mass = arrays.top(theirs, 12).double().softmax(-1).cumsum(-1)
    assume(bool(((mass - p).abs() > 1e-5).all()))
    assert filters.top_p(ours, p).tolist() == filters.top_p(theirs, p).tolist()


@quick
@given(_rows, st.integers(0, 2**32 - 1))
def test_draws(rows, seed):
    """Catches a seed that draws another text on the CPU's kernels than through torch."""
    ours, theirs = both(rows)
    chances = theirs.double().softmax(-1).cumsum(-1)
    generators = drawing.generators(seed, len(rows))
    uniform = torch.tensor([[generator.random()] for generator in generators])
    # Where the number falls within a rounding of a border, either side is right.
    assume(bool(((chances - uniform).abs() > 1e-5).all()))
    found = [drawing.draw(x, drawing.generators(seed, len(rows))) for x in (ours, theirs)]
    assert found[0] == found[1] == (chances < uniform).sum(-1).tolist()


@quick
@given(_rows, st.integers(1, 14))
def test_what_is_told_of_logits(rows, count):
    """Catches a score, a rank or a list of the likeliest that depends on the library."""
    ours, theirs = both(rows)
    ids = [sum(map(math.isfinite, row)) % 12 for row in rows]
    for one, two in zip(score_rows(ours, ids), score_rows(theirs, ids), strict=True):
        assert (one.id, one.rank, one.best) == (two.id, two.rank, two.best)
        assert one.logprob == pytest.approx(two.logprob, abs=1e-5)
        assert one.best_logprob == pytest.approx(two.best_logprob, abs=1e-5)
    assert (
        sampling.likeliest(ours, count)[1].tolist() == sampling.likeliest(theirs, count)[1].tolist()
    )
    (mine, my_top), (other, their_top) = (logprobs_of(x, ids, count) for x in (ours, theirs))
    assert mine == pytest.approx(other, abs=1e-5)
    assert [len(top) for top in my_top] == [len(top) for top in their_top]
    assert only(ours[0], [2, 7]).tolist() == only(theirs[0], [2, 7]).tolist()
    assert entropy_bits(ours[0]) == pytest.approx(entropy_bits(theirs[0]), abs=1e-9)
    for value in (0, 0.7):
        close(at_temperature(ours[0], value), at_temperature(theirs[0], value))
    wish = Sampling(top_k=3, temperature=0.5)
    told = [staged(x, wish, History()) for x in (ours[0], theirs[0])]
    assert cuts(told[0], range(12)) == cuts(told[1], range(12))
    close(told[0][-1].probabilities, told[1][-1].probabilities)


def test_generators_go_on_from_0_after_the_last_seed():
    """Catches a sample whose seed cannot be given by hand."""
    last, first = drawing.generators(2**32 - 1, 2)
    assert last.random() == Random(2**32 - 1).random()
    assert first.random() == Random(0).random()


def test_draws_of_a_seed_stay_the_same():
    """Catches another generator, with which a seed that somebody kept draws another text."""
    logits = np.zeros((1, 1000), np.float32)
    (generator,) = drawing.generators(6, 1)
    assert [drawing.draw(logits, [generator])[0] for _ in range(4)] == [793, 821, 485, 261]


ASKING = Path(arrays.__file__).parent / "asking"
LIGHT = (
    *sorted(f"gptcli.engine.asking.{path.stem}" for path in ASKING.glob("[a-z]*.py")),
    "gptcli.engine.open",
    "gptcli.engine.weights.matching",
    "gptcli.engine.state.model_state",
    "gptcli.engine.cpu.opening",
    "gptcli.engine.cpu.run.runner",
    "gptcli.formats.mapping",
)


def test_none_of_it_imports_torch():
    """Catches an import for which a short text of the kernels would wait seconds.

    numpy.f2py stands for all of numpy that numpy itself leaves alone until it is asked for.
    """
    assert len(LIGHT) > 10
    script = f"import sys, {', '.join(LIGHT)}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy = {"torch", "safetensors", "array_api_compat", "numpy.f2py", "numpy.random"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 700, 64), (1, 0, 9)])
def test_zeros(shape):
    """Catches large arrays, which have pages of their own, of another kind or not to be written."""
    for like in (np.empty(0, np.float32), np.empty(0, np.uint16), torch.empty(0)):
        found = arrays.zeros(shape, like)
        assert (tuple(found.shape), found.dtype) == (shape, like.dtype)
        assert not found.any()
        found[...] = 1
        assert found.sum() == math.prod(shape)
