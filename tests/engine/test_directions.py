"""What rows have in common, against the decomposition of the whole matrix; one point, copied."""

from __future__ import annotations

import numpy as np
import pytest

from gptcli.engine.arrays import host
from gptcli.engine.probes import activations as module
from gptcli.engine.probes.activations import activations, layers_with
from gptcli.engine.probes.directions import principal
from gptcli.engine.probes.streams import Streams
from gptcli.engine.runner import Runner
from tests.engine.cpu.helpers import SETS, kernels_of
from tests.engine.helpers import SPECS, rows_of, runner_of

#: Where texts begin in a longer one, how many tokens they have, and from which on one looks.
_TEXTS = [(0, 3, 0), (2, 4, 3), (1, 1, 0), (0, 19, 2), (4, 5, 1), (3, 7, 0), (0, 2, 0), (6, 2, 1)]


@pytest.mark.parametrize("count", [1, 5, 40])
def test_the_principal_direction_is_the_first_right_singular_vector(count: int) -> None:
    """Catches a mean that is taken away, a matrix of the wrong products (there are more rows than
    numbers, and fewer), a length, and a sign that is the library's whim."""
    rng = np.random.default_rng(count)
    rows = (rng.standard_normal((count, 12)) + 0.5).astype(np.float32)
    found = principal(lambda: iter(np.array_split(rows, 3)) if count > 1 else iter([rows]), count)
    first = np.linalg.svd(rows.astype(np.float64))[2][0]
    first *= np.sign((rows @ first).sum())
    np.testing.assert_allclose(found, first, atol=1e-6)


def test_rows_of_zeros_have_no_direction() -> None:
    """Catches a division by nothing."""
    assert not principal(lambda: iter([np.zeros((3, 5), np.float32)]), 3).any()


@pytest.mark.parametrize("case", ["llama/tied", "nemotron_h/dense", "gpt_neox/parallel"])
@pytest.mark.parametrize("through", ["torch", *["kernels"] * bool(SETS)])
@pytest.mark.parametrize("point", ["stream", "attention", "mlp", "embedding"])
def test_one_point_of_some_layers_is_what_a_probe_of_all_sees(case, through, point, monkeypatch):
    """Catches rows of a later part or of another layer in the wrong place, and a layer without
    the point that is said to have it."""
    case = next(each for each in SPECS if each.startswith(case.partition("/")[0] + "/"))
    runner = kernels_of(case) if through == "kernels" else runner_of(case)
    row, streams = rows_of(case)[0], Streams(range(2, len(rows_of(case)[0])))
    runner.prefill([row], runner.new_state(), chunk=4, probe=streams)
    layers = layers_with(runner.spec, point)
    seen = {
        "stream": streams.after,
        "attention": streams.attention,
        "mlp": streams.mlp,
        "embedding": lambda _: streams.embedding,
    }[point]
    every = range(runner.spec.layers)
    assert [layer for layer in every if point != "embedding" and seen(layer) is not None] == [
        layer for layer in layers if layer >= 0
    ]
    wanted = layers[:1] + layers[-1:] if len(layers) > 1 else layers
    monkeypatch.setattr(module, "CHUNK", 4)
    parts = list(activations(runner, row, point, wanted, first=2))
    assert len(parts[0]) == 2
    expected = np.stack([host(seen(layer)) for layer in wanted], axis=1)
    np.testing.assert_array_equal(np.concatenate(parts), expected)


@pytest.mark.parametrize("through", ["torch", *["kernels"] * bool(SETS)])
def test_texts_together_have_the_numbers_of_each_alone(through, monkeypatch):
    """Catches numbers of a neighbour, texts in another order, and a batch whose keys and values, or
    whose numbers, grow with the texts."""
    case = "llama/tied"
    runner = kernels_of(case) if through == "kernels" else runner_of(case)
    row = list(rows_of(case)[0])
    texts = [(row[at : at + count], first) for at, count, first in _TEXTS]
    sizes, prefill = list[list[int]](), type(runner).prefill

    def counted(self: Runner, rows, *more, **named):
        sizes.append([len(each) for each in rows])
        return prefill(self, rows, *more, **named)

    monkeypatch.setattr(type(runner), "prefill", counted)
    monkeypatch.setattr(module, "CHUNK", 12)
    found = list(module.of_texts(runner, texts, "stream", (0, 1)))
    if through == "torch":
        assert max(map(len, sizes)) == 1
    else:
        assert max(map(len, sizes)) > 2
        assert all(sum(each) <= 12 and len(each) * max(each) <= 24 for each in sizes)
    expected = [
        (number, part)
        for number, (ids, first) in enumerate(texts)
        for part in activations(runner, ids, "stream", (0, 1), first=first)
    ]
    assert [number for number, _ in found] == [number for number, _ in expected]
    for (_, one), (_, other) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
