"""How much an error in each column weighs: what the columns meet."""

from __future__ import annotations

import numpy as np
import pytest

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.packing.quantise import Rounding
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.cpu.packing.sections import sections
from gptcli.engine.cpu.run import calibration
from gptcli.engine.cpu.run.calibration import (
    LEAST,
    LEAST_OF_TIED,
    column_weights,
    drawn,
    rounding_for,
)
from tests.engine.cpu.helpers import model_of, needs_kernels, parameters_of
from tests.engine.cpu.small import SPEC, small_parameters
from tests.engine.helpers import runner_of

pytestmark = needs_kernels


def weights(parameters=None, spec=SPEC, instructions: str = "portable", texts=(), **flags):
    model = model_of(spec, parameters or small_parameters(spec), instructions, **flags)
    return column_weights(model, texts or drawn(spec))


def test_what_the_first_layer_meets():
    """Catches sums of other tokens, of numbers before the norm, or of one thread's columns."""
    parameters = small_parameters()
    table, weight = parameters["embedding.weight"], parameters["layers.0.attention_norm.weight"]
    total = np.zeros(SPEC.width)
    for text in drawn(SPEC):
        x = table[text].astype(np.float64)
        x = x / np.sqrt((x**2).mean(1, keepdims=True) + SPEC.norm.eps) * weight
        total += (x**2).sum(0)
    found = weights(parameters)
    for name in ("query", "key", "value"):
        expected = total / total.mean() + LEAST
        np.testing.assert_allclose(found[f"layers.0.attention.{name}.weight"], expected, rtol=1e-5)


def test_what_each_matrix_meets():
    """Catches the columns of one matrix that are weighed by what another one meets.

    A feature that is always zero has the least weight, and only where it is read.
    """
    dead = small_parameters()
    dead["layers.1.mlp_norm.weight"][3] = 0
    dead["layers.1.mlp.up.weight"][5] = 0
    dead["layers.0.attention.value.weight"][7] = 0
    dead["final_norm.weight"][11] = 0
    found = weights(dead)
    least = {
        name: [
            int(i) for i in np.flatnonzero(each < (0.11 if name == "embedding.weight" else 2e-3))
        ]
        for name, each in found.items()
    }
    # Three queries' heads share one of values.
    out = [7, 27, 47]
    assert {name: columns for name, columns in least.items() if columns} == {
        "layers.0.attention.out.weight": out,
        "layers.1.mlp.gate.weight": [3],
        "layers.1.mlp.up.weight": [3],
        "layers.1.mlp.down.weight": [5],
        "embedding.weight": [11],
    }
    assert found["embedding.weight"][11] == pytest.approx(LEAST_OF_TIED)


@pytest.mark.parametrize("case", ["qwen3_moe/untied", "gpt2/tied", "phi/plain", "gemma2/capped"])
def test_every_matrix_has_weights(case):
    """Catches experts, a head of its own, or blocks in parallel that are forgotten."""
    decoder = runner_of(case).decoder
    found = weights(parameters_of(decoder), decoder.spec)
    matrices = {
        section.name: section
        for section in sections(decoder.spec, Kinds.all(Kind.FLOAT32))
        if section.form == "matrix" and "router" not in section.name
    }
    if not decoder.spec.tied:
        del matrices["embedding.weight"]
    assert found.keys() == matrices.keys()
    for name, each in found.items():
        assert each.shape == (matrices[name].columns,) and each.dtype == np.float32
        assert 1 <= each.mean() <= 1.2 and (each > 0).all(), name


@pytest.mark.parametrize("length", [1, 16, 100, 127])
def test_texts_of_any_length(length):
    """Catches a cache whose positions are not whole groups, and weights of another text."""
    texts = [list(range(length)), [5] * length]
    given = small_parameters()
    table, weight = given["embedding.weight"], given["layers.0.attention_norm.weight"]
    x = table[np.concatenate(texts)].astype(np.float64)
    squares = (x / np.sqrt((x**2).mean(1, keepdims=True) + SPEC.norm.eps) * weight) ** 2
    expected = squares.sum(0) / squares.sum(0).mean() + LEAST
    found = weights(texts=texts)["layers.0.attention.query.weight"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_same_with_any_number_of_threads():
    """Catches packed weights that depend on how many threads packed them."""
    one, three = (weights(threads=threads) for threads in (1, 3))
    assert all(np.array_equal(each, three[name]) for name, each in one.items())


def test_ids_of_every_length():
    """Catches ids beyond the vocabulary, and texts beyond the context."""
    for text in drawn(SPEC):
        assert len(text) == 128 and 0 <= min(text) <= max(text) < SPEC.vocab
    assert drawn(SPEC) == drawn(SPEC)


def test_a_model_that_overflows_is_rounded_all_the_same():
    """Catches weights of columns that are not numbers."""
    broken = small_parameters()
    broken["layers.0.mlp_norm.weight"][:] = 3e38
    assert all(np.isfinite(each).all() for each in weights(broken).values())


@pytest.mark.parametrize("dtype", ["int4", "int8"])
def test_what_is_rounded_is_weighed(tmp_path, monkeypatch, dtype):
    """Catches a text that is not read, floats packed twice for nothing, a file left behind."""
    parameters, kinds = small_parameters(), Kinds.all(Kind.Q8_0)
    given = (SPEC, kinds, parameters)
    made = rounding_for(dtype, *given, threads=1, directory=tmp_path)
    assert made.weights and not list(tmp_path.iterdir())
    memory = rounding_for(dtype, *given, threads=1, directory=tmp_path / "none")
    assert all(np.array_equal(each, memory.weights[name]) for name, each in made.weights.items())
    text = rounding_for(dtype, *given, threads=1, directory=tmp_path, texts=[[1, 2, 3]])
    assert text.weights.keys() == made.weights.keys()
    assert not np.array_equal(text.weights["embedding.weight"], made.weights["embedding.weight"])
    monkeypatch.setattr(calibration, "column_weights", None)
    assert rounding_for("bfloat16", *given, threads=1, directory=tmp_path) == Rounding()
