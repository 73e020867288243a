"""Floats that become blocks: how near they come, where their bytes lie, and what is refused."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
from gguf import quants

from gptcli.engine.cpu.binding.abi import Form
from gptcli.engine.cpu.binding.library import open_library
from gptcli.engine.cpu.packing.quantise import SEARCHED, Rounding, quantise
from gptcli.formats import ggml_blocks
from tests.engine.cpu import slow_search
from tests.engine.cpu.helpers import SETS, needs_kernels

pytestmark = needs_kernels
every_form = pytest.mark.parametrize("form", SEARCHED, ids=lambda form: form.name)
#: What the gguf package rounds to, number by number.
ROUNDED = [Form.Q4_0, Form.Q4_1, Form.Q5_0, Form.Q5_1, Form.Q8_0]
#: The mean square of what is left of normal random numbers.
LEFT = {
    Form.Q4_0: 6.7e-3,
    Form.Q4_1: 4.9e-3,
    Form.IQ4_NL: 5.5e-3,
    Form.Q5_0: 1.7e-3,
    Form.Q5_1: 1.15e-3,
    Form.Q8_0: 2.5e-5,
    Form.Q4_K: 5.0e-3,
    Form.Q5_K: 1.25e-3,
    Form.Q6_K: 2.9e-4,
}


def found(numbers: np.ndarray, form: Form, weights: np.ndarray | None = None):
    return quantise(numbers, form, open_library(), weights=weights, threads=2)


def read(rows: np.ndarray, form: Form, columns: int) -> np.ndarray:
    """Blocks as the gguf package reads them."""
    numbers = quants.dequantize(rows, gguf.GGMLQuantizationType[form.name])
    return numbers[:, :columns].astype(np.float64)


def numbers(seed: int, rows: int, columns: int, shape: str = "normal") -> np.ndarray:
    random = np.random.default_rng(seed)
    drawn = {
        "normal": lambda: random.normal(size=(rows, columns)),
        "heavy": lambda: random.standard_t(3, size=(rows, columns)),
        "positive": lambda: random.exponential(size=(rows, columns)) + 1,
        "one": lambda: (
            np.where(random.random((rows, columns)) < 0.02, 30, 0.1)
            * random.normal(size=(rows, columns))
        ),
    }[shape]()
    return (drawn * 10.0 ** random.integers(-3, 2, (rows, 1))).astype(np.float32)


@every_form
@pytest.mark.parametrize("columns", [256, 512, 300])
def test_the_bytes_are_what_the_search_found(form, columns):
    """Catches a code, scale or minimum that is put where ggml has another, or another row's."""
    x, weights = numbers(1, 37, columns, "heavy"), np.random.default_rng(2).uniform(0.1, 4, columns)
    made = found(x, form, weights.astype(np.float32))
    blocks = -(-columns // ggml_blocks.NUMBERS[form.name])
    assert made.rows.shape == (37, blocks * ggml_blocks.SIZES[form.name])
    left = (x - read(made.rows, form, columns)) ** 2
    np.testing.assert_allclose(made.errors, left @ weights, rtol=2e-3)


@every_form
def test_what_is_left_of_normal_numbers(form):
    """Catches a search that stops at the first scale, or begins where nothing good is near."""
    x = np.random.default_rng(0).normal(size=(256, 1024)).astype(np.float32)
    left = ((x - read(found(x, form).rows, form, 1024)) ** 2).mean()
    assert left < LEFT[form]


@pytest.mark.parametrize("form", [*slow_search.LEVELS, *slow_search.MOST], ids=lambda f: f.name)
@pytest.mark.parametrize("shape", ["normal", "heavy"])
def test_the_search_finds_what_the_slow_one_does(form, shape):
    """Catches beginnings that miss the best, which trying a fine grid of scales does not.

    Of 8 bits each scale has a best of its own near by. Groups that share a scale of their scales
    lose something by that.
    """
    columns = ggml_blocks.NUMBERS[form.name]
    x, weights = numbers(12, 3072 // columns, columns, shape), np.linspace(0.2, 2, 32)
    alike = np.tile(weights, columns // 32).astype(np.float32)
    fast = found(x, form, alike).errors
    slow = slow_search.errors(x.reshape(-1, 32), weights, form).reshape(len(x), -1).sum(1)
    # Each row by its own size.
    most = {Form.Q8_0: 1.1, Form.Q4_K: 1.03, Form.Q5_K: 1.08}.get(form, 1.005)
    assert (fast / slow).mean() < most


@pytest.mark.parametrize("form", ROUNDED, ids=lambda form: form.name)
@pytest.mark.parametrize("shape", ["normal", "heavy", "positive", "one"])
def test_a_search_is_never_worse_than_rounding(form, shape):
    """Catches numbers at the edge that a searched scale cuts off for nothing."""
    x = numbers(3, 2048, 32, shape)
    rounded = quants.quantize(x, gguf.GGMLQuantizationType[form.name])
    before = ((x - read(rounded, form, 32)) ** 2).sum(1)
    after = ((x - read(found(x, form).rows, form, 32)) ** 2).sum(1)
    assert (after <= before * 1.0001).all()
    assert after.sum() < before.sum()


@every_form
def test_what_was_in_blocks_is_found_again(form):
    """Catches a grid that numbers lie on, and that a search misses."""
    x = numbers(4, 256, 512)
    once = quants.dequantize(found(x, form).rows, gguf.GGMLQuantizationType[form.name])
    again = read(found(once, form).rows, form, 512)
    left = ((once - again) ** 2).sum() / (once.astype(np.float64) ** 2).sum()
    assert left <= {Form.Q4_K: 2e-6, Form.Q5_K: 1e-5, Form.Q6_K: 2e-6}.get(form, 1e-7)


@pytest.mark.parametrize("form", ROUNDED, ids=lambda form: form.name)
def test_what_others_rounded_is_found_again(form):
    """Catches a scale that others take, and that the search does not think of."""
    x = numbers(4, 256, 512, "heavy")
    kind = gguf.GGMLQuantizationType[form.name]
    once = quants.dequantize(quants.quantize(x, kind), kind)
    left = ((once - read(found(once, form).rows, form, 512)) ** 2).sum()
    assert left <= 1e-7 * (once.astype(np.float64) ** 2).sum()


@every_form
def test_columns_that_weigh_more_come_nearer(form):
    """Catches weights that are not asked, or those of other columns."""
    x = numbers(5, 128, 512)
    weights = np.exp(2 * np.random.default_rng(6).normal(size=512)).astype(np.float32)
    blind = (x - read(found(x, form).rows, form, 512)) ** 2 @ weights
    aware = (x - read(found(x, form, weights).rows, form, 512)) ** 2 @ weights
    assert aware.sum() < 0.9 * blind.sum()


@every_form
def test_a_quick_search_is_not_far_off(form):
    """Catches one that takes the first scale it meets, or the other search in its place."""
    x = numbers(10, 256, 512)
    slow, quick = (quantise(x, form, open_library(), quick=each) for each in (False, True))
    assert slow.errors.sum() < quick.errors.sum() < 1.3 * slow.errors.sum()
    left = ((x - read(quick.rows, form, 512)) ** 2).sum()
    assert left == pytest.approx(quick.errors.sum(), rel=2e-3)


@every_form
def test_the_same_bytes_everywhere(form):
    """Catches sums whose order depends on the processor or on how the rows are shared out."""
    x, weights = numbers(7, 45, 768, "heavy"), np.linspace(0.1, 2, 768, dtype=np.float32)
    made = [
        quantise(x, form, open_library(each), weights=weights, threads=threads)
        for each in SETS
        for threads in (1, 3)
    ]
    assert all(np.array_equal(each.rows, made[0].rows) for each in made)
    assert all(np.array_equal(each.errors, made[0].errors) for each in made)


@every_form
@pytest.mark.parametrize("size", [0.0, 1e-42, 1e-9, 1e-3, 60000.0])
def test_any_size_has_a_block(form, size):
    """Catches scales that are infinite or no numbers, where all are zero, denormal or huge."""
    x = (size * np.random.default_rng(8).uniform(-1, 1, (20, 256))).astype(np.float32)
    x[3] = 0
    x[5, 1:] = 0
    x[7] = size
    numbers = read(found(x, form).rows, form, 256)
    assert np.isfinite(numbers).all() and not numbers[3].any()
    # Halves that are scales are whole multiples of 2^-24.
    step = max(size / 7, 2.0**-24 * 8)
    assert (np.abs(numbers - x).max(1) <= 1.3 * step).all()


@every_form
@pytest.mark.parametrize(("bad", "why"), [(np.nan, "finite"), (-np.inf, "finite"), (7e4, "65504")])
def test_what_has_no_block_is_refused(form, bad, why):
    """Catches a broken weight that becomes an ordinary one, or spoils the 255 beside it."""
    x = numbers(9, 20, 256)
    x[13, 200] = bad
    with pytest.raises(ValueError, match=why):
        found(x, form)


def test_no_weights_for_other_columns():
    """Catches memory that is read beyond its end."""
    with pytest.raises(ValueError, match="weights"):
        found(numbers(0, 4, 64), Form.Q8_0, np.ones(63, np.float32))
    with pytest.raises(ValueError, match="Q2_K"):
        found(numbers(0, 4, 256), Form.Q2_K)


def test_what_rounding_has_cost():
    """Catches a loss that forgets the weights, or all rows but the last ones."""
    x, weights = numbers(1, 40, 512), np.linspace(0, 2, 512, dtype=np.float32)
    rounding = Rounding({"a": weights})
    library = open_library()
    made = [rounding.rows("a", part, Form.Q4_K, library, 1) for part in (x[:16], x[16:])]
    left = (x - read(np.concatenate(made), Form.Q4_K, 512)) ** 2 @ weights
    whole = (x.astype(np.float64) ** 2) @ weights
    assert rounding.changed == pytest.approx(np.sqrt(left.sum() / whole.sum()), rel=1e-3)
    assert Rounding().changed == 0.0
