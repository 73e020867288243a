"""`--dtype int4` and `int8` of the default model, moved off the blocks that its numbers are in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gptcli.engine.arrays import log_softmax
from gptcli.engine.cpu.binding.library import open_library
from gptcli.engine.cpu.packing.chosen import kinds_of
from gptcli.engine.cpu.packing.grids import grids
from gptcli.engine.cpu.packing.memory import PackedWeights
from gptcli.engine.cpu.packing.pack import Parameter, pack
from gptcli.engine.cpu.run.calibration import rounding_for
from gptcli.engine.cpu.run.model import KernelModel
from gptcli.engine.model.spec import ModelSpec
from gptcli.text.tokenizer import Tokenizer
from tests.engine.cpu.helpers import F32, Session, needs_kernels
from tests.opening import parameters, spec_of

pytestmark = [needs_kernels, pytest.mark.slow]
TEXT = Path(__file__).parents[1] / "README.md"
#: Tokens of the text that are scored.
TOKENS = 256


@pytest.fixture(scope="module")
def spec(default_model: Path) -> ModelSpec:
    return spec_of(default_model)


@pytest.fixture(scope="module")
def weights(default_model: Path, spec: ModelSpec) -> dict[str, Parameter]:
    """The same model with its features in another order, so that blocks hold other numbers."""
    given, chance = parameters(default_model, exact=True), np.random.default_rng(0)
    width, hidden = chance.permutation(spec.width), chance.permutation(spec.hidden)
    found: dict[str, Parameter] = {}
    for name in given:
        array = np.asarray(given[name][:])
        if "norm" in name or name.endswith("out.weight"):
            found[name] = array[width]
        elif name.endswith("down.weight"):
            found[name] = array[width][:, hidden]
        else:
            array = array[hidden] if name.endswith(("gate.weight", "up.weight")) else array
            found[name] = array[:, width]
    return found


@pytest.fixture(scope="module")
def ids(default_model: Path) -> list[int]:
    return Tokenizer(default_model).encode(TEXT.read_text(encoding="utf-8"))[:TOKENS]


def logprobs(packed: PackedWeights, ids: list[int]) -> np.ndarray:
    model = KernelModel(packed, open_library(), threads=2)
    (found,) = Session(model, capacity=TOKENS).run([ids])
    model.close()
    return log_softmax(found.astype(np.float64))


@pytest.fixture(scope="module")
def exact(weights, spec, ids) -> np.ndarray:
    return logprobs(pack(spec, F32, weights, open_library(), threads=2), ids)


# Q4_1 between the smallest and the largest number, and a head of Q8_0, have 0.32 and 68 %; Q8_0 by
# the largest number alone 0.0018.
@pytest.mark.parametrize(("dtype", "most", "least"), [("int4", 0.03, 0.9), ("int8", 0.001, 0.96)])
def test_how_near_to_float32(weights, spec, ids, exact, tmp_path, dtype, most, least):
    """Catches scales that are not searched, and bits that go to the wrong matrices."""
    library = open_library()
    given = spec, kinds_of(dtype, spec, grids(weights, spec, library)), weights
    rounding = rounding_for(dtype, *given, threads=2, directory=tmp_path)
    found = logprobs(pack(*given, library, threads=2, rounding=rounding), ids)
    divergence = (np.exp(exact) * (exact - found)).sum(1).mean()
    agreement = (exact.argmax(1) == found.argmax(1)).mean()
    assert divergence < most and agreement > least
