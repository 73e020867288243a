"""The compiled forward against the torch decoder, on the golden checkpoints."""

from __future__ import annotations

import numpy as np

from tests.engine.cpu.helpers import (
    SETS,
    Session,
    every_set,
    model_of,
    needs_kernels,
    parameters_of,
)
from tests.engine.helpers import every_state, every_way, rows_of, runner_of, whole

pytestmark = needs_kernels


def session(case: str, instructions: str, batch: int = 1, **flags) -> Session:
    decoder = runner_of(case).decoder
    model = model_of(decoder.spec, parameters_of(decoder), instructions, **flags)
    return Session(model, batch)


def near(ours: np.ndarray, expected) -> None:
    np.testing.assert_allclose(ours, expected.numpy(), rtol=0, atol=2e-5)


@every_set
@every_way
def test_all_positions_equal_torch(case, instructions):
    """Catches any slip in the maths of a stage, or a parameter in another's place."""
    for number, row in enumerate(rows_of(case)):
        (ours,) = session(case, instructions).run([row])
        near(ours, whole(case)[number])


@every_set
@every_state
def test_chunks_equal_the_whole(case, instructions):
    """Catches wrong positions or windows where earlier tokens are in the cache."""
    row = rows_of(case)[0]
    # One by one, and across key groups; each set is the same code, so that one of them does all.
    for chunk in (1, 3, 16, 17) if instructions == SETS[-1] else (17,):
        run = session(case, instructions)
        parts = [run.run([row[at : at + chunk]])[0] for at in range(0, len(row), chunk)]
        near(np.concatenate(parts), whole(case)[0])


@every_set
@every_state
def test_rows_of_unequal_length_equal_rows_alone(case, instructions):
    """Catches rows that see each other's keys, in prefills, decoding, and both in one call."""
    a, b = rows_of(case)
    texts, expected = [a, b, b, a], [whole(case)[n] for n in (0, 1, 1, 0)]
    run = session(case, instructions, batch=4)
    at = [0] * 4
    for counts in ([9, 0, 17, 5], [1, 1, 1, 1], [1, 12, 0, 1], [1, 1, 1, 1], [2, 3, 4, 5]):
        pieces = [text[n : n + c] for text, n, c in zip(texts, at, counts, strict=True)]
        for row, logits in enumerate(run.run(pieces)):
            near(logits, expected[row][at[row] : at[row] + counts[row]])
            at[row] += counts[row]


def test_weights_that_move_are_pointed_to_where_they_are():
    """Catches a pointer to where weights were, and all structs filled anew at each step."""
    decoder = runner_of("mixtral/all").decoder
    model = model_of(decoder.spec, parameters_of(decoder), "portable")
    packed, weights, row = model.packed, model._weights, rows_of("mixtral/all")[0]
    (still,) = Session(model).run([row])
    elsewhere = packed.memory.copy()
    before = [bytes(each) for each in (weights.layers, *weights._experts)]
    for name in packed.places:
        packed.moved[name] = elsewhere
        if name == "layers.0.mlp.experts.1.up.weight":
            weights.move([name])
            after = [bytes(each) for each in (weights.layers, *weights._experts)]
            assert sum(one != other for one, other in zip(before, after, strict=True)) == 1
    weights.move(packed.places)
    packed.memory[:] = 0xFF
    np.testing.assert_array_equal(Session(model).run([row])[0], still)
    assert len(weights._experts) == 3 * decoder.spec.layers
