"""Every way to choose experts, and all that stands beside them, in the kernels against torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gptcli.engine.cpu.packing.sections import shapes
from gptcli.engine.cpu.run.calibration import column_weights, drawn
from gptcli.engine.model.experts import Experts, Groups, SharedExpert
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.torch.runner import TorchRunner
from tests.engine.cpu.helpers import Session, every_set, model_of, needs_kernels
from tests.engine.cpu.small import SPEC, small_parameters

pytestmark = needs_kernels
PLAIN = Experts(12, 3, 20, normalised=True)
WAYS = {
    "sigmoid": replace(PLAIN, score="sigmoid"),
    "correction": replace(PLAIN, score="sigmoid", correction=True, scale=2.5),
    "softmax, correction": replace(PLAIN, correction=True, normalised=False),
    "groups": replace(PLAIN, score="sigmoid", correction=True, groups=Groups(4, 2, 2)),
    "groups by the best": replace(PLAIN, groups=Groups(3, 1, 1), normalised=False, scale=16.0),
    "softcap": replace(PLAIN, score="sigmoid", router_softcap=0.5, router_bias=True),
    "on input": replace(PLAIN, chosen=1, score="sigmoid", normalised=False, on_input=True),
    "shared": replace(PLAIN, shared=SharedExpert(36)),
    "shared, gated": replace(PLAIN, shared=SharedExpert(130, gated=True)),
    "latent": replace(PLAIN, latent=24),
    "all": Experts(
        *(12, 5, 20, True),
        score="sigmoid",
        correction=True,
        groups=Groups(3, 2, 2),
        scale=0.7,
        latent=40,
        shared=SharedExpert(36, gated=True),
    ),
}
TEXT = [int(i) for i in np.random.default_rng(1).integers(0, SPEC.vocab, 40)]


def spec_of(way: str, **changes) -> ModelSpec:
    """A dense layer, then one with a mixture, in which other widths are the largest."""
    dense, mixed = SPEC.each_layer
    layers = (dense, replace(mixed, mixture=True))
    return replace(SPEC, hidden=52, each_layer=layers, experts=WAYS[way], **changes)


def parameters_of(spec: ModelSpec) -> dict[str, np.ndarray]:
    found = small_parameters(spec)
    for name in found:
        if name.endswith("correction"):
            found[name] = 3 * (found[name] - 1)
    return found


def torch_logits(spec: ModelSpec, parameters: dict[str, np.ndarray]) -> np.ndarray:
    decoder = Decoder(spec)
    assert {n: tuple(p.shape) for n, p in decoder.named_parameters()} == shapes(spec)
    decoder.load_state_dict({n: torch.tensor(p) for n, p in parameters.items()})
    runner = TorchRunner(decoder.requires_grad_(False), spec.context)
    return runner.all_logits(TEXT, runner.new_state()).numpy()


CHANGES = {
    "serial": {},
    "parallel": {"blocks": "parallel_one_norm"},
    "ungated": {"gated": False, "activation": "relu"},
}


@every_set
@pytest.mark.parametrize(
    ("way", "changes"),
    [*((way, "serial") for way in WAYS), ("all", "parallel"), ("all", "ungated")],
)
def test_equals_torch(way, changes, instructions):
    """Catches experts, groups or shares that are others, and what is beside them left out.

    In chunks: of one token, which each thread reads by itself, and of several.
    """
    spec = spec_of(way, **CHANGES[changes])
    parameters = parameters_of(spec)
    expected = torch_logits(spec, parameters)
    apart = 12 * 2**-23 * np.abs(expected).max()
    for threads in (1, 2):
        session = Session(model_of(spec, parameters, instructions, threads=threads))
        parts = [session.run([TEXT[at : at + n]])[0] for at, n in ((0, 17), (17, 1), (18, 22))]
        np.testing.assert_allclose(np.concatenate(parts), expected, rtol=0, atol=apart)


def test_columns_of_each_matrix_are_weighed_by_what_it_meets():
    """Catches what a shared expert or latents meet that is added to what others do.

    A feature that is always zero has the least weight, and only where it is read.
    """
    spec = spec_of("all")
    dead = parameters_of(spec)
    dead["layers.1.mlp_norm.weight"][3] = 0
    dead["layers.1.mlp.shared.up.weight"][5] = 0
    dead["layers.1.mlp.latent_in.weight"][7] = 0
    for n in range(PLAIN.count):
        dead[f"layers.1.mlp.experts.{n}.up.weight"][9] = 0
        dead[f"layers.1.mlp.experts.{n}.down.weight"][11] = 0
    found = column_weights(model_of(spec, dead, "portable"), drawn(spec))
    at, expected = "layers.1.mlp", {}
    for read, column in ((3, "latent_in"), (3, "shared.gate"), (3, "shared.up")):
        expected[f"{at}.{column}.weight"] = read
    expected |= {f"{at}.shared.down.weight": 5, f"{at}.latent_out.weight": 11}
    for n in range(PLAIN.count):
        expected |= {f"{at}.experts.{n}.{name}.weight": 7 for name in ("gate", "up")}
        expected[f"{at}.experts.{n}.down.weight"] = 9
    least = {name: np.flatnonzero(each < 2e-3).tolist() for name, each in found.items()}
    assert {name: columns for name, columns in least.items() if columns} == {
        name: [column] for name, column in expected.items()
    }
