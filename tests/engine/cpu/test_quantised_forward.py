"""Whole forwards in bfloat16, 8 and 4 bits, against the torch decoder with the same weights.

The reference is the float32 decoder whose linears hold what the stored numbers mean, and round
their input as the kernels do.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import nn

from gptcli.engine.cpu.binding.abi import Kind, Met
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.cpu.packing.sections import shapes
from gptcli.engine.model.rotations import Rope
from gptcli.engine.torch.latents import LatentAttention, OfHeads
from gptcli.engine.torch.runner import TorchRunner
from gptcli.formats.bfloat16 import as_float32
from tests.engine.cpu import reference
from tests.engine.cpu.helpers import (
    Session,
    every_set,
    in_order,
    model_of,
    needs_kernels,
    parameters_of,
)
from tests.engine.cpu.small import SPEC, small_model
from tests.engine.helpers import CASES, SPECS, WAYS, few_of, rows_of, runner_of
from tests.engine.mechanisms import cover, mechanisms, over_time
from tests.golden_cases import CASES as MADE

pytestmark = needs_kernels
#: The bodies and heads that are offered; tables stay float32, so that only one thing differs.
MIXTURES = {
    "bfloat16": Kinds(Kind.BFLOAT16, Kind.BFLOAT16, Kind.FLOAT32),
    "float16": Kinds(Kind.FLOAT16, Kind.FLOAT16, Kind.FLOAT32),
    "int8": Kinds(Kind.Q8_0, Kind.Q8_0, Kind.FLOAT32),
    "int4": Kinds(Kind.Q4_1, Kind.Q8_0, Kind.FLOAT32),
}

#: What is rounded to few bits there chooses the experts that it would choose in float32.
CLEAR = {case: spec for case, spec in SPECS.items() if not MADE[case].close}
CLEAR_WAYS = cover({case: mechanisms(spec) for case, spec in CLEAR.items()})
#: They have every matrix that there is: each kind is met there, and one kind in each way.
MATRICES = cover(
    {case: {re.sub(r"\d+", "", name) for name in shapes(spec)} for case, spec in CLEAR.items()}
)
#: Matrices that are of the tables' kind.
AS_TABLES = ("router", "shared_gate", "layer_inputs.project")


def stored(weight: torch.Tensor, kind: Kind) -> torch.Tensor:
    return torch.from_numpy(reference.stored(weight.numpy(), kind.name)).float()


def rounded(kind: Kind, instructions: str, met: Met):
    def hook(_, args):
        found = reference.met_by(args[0].numpy(), kind.name, instructions, met)
        return (torch.from_numpy(found).float(),)

    return hook


def expected(case: str, mixture: str, instructions: str, met: Met) -> torch.Tensor:
    """Logits after every token of the first golden row."""
    # Sets of instructions differ in one thing only: in this one bfloat16 meets bfloat16.
    alike = met is Met.FLOAT32 or instructions != "avx512bf16"
    return _expected(case, mixture, "" if alike else instructions, met)


@functools.cache
def _expected(case: str, mixture: str, instructions: str, met: Met) -> torch.Tensor:
    kinds = MIXTURES[mixture]
    decoder = copy.deepcopy(runner_of(case).decoder)
    for name, module in decoder.named_modules():
        if isinstance(module, LatentAttention):
            module.attend_expanded = module.attend_absorbed  # what a matrix meets is rounded
        if isinstance(module, nn.Linear | OfHeads) and not name.endswith(AS_TABLES):
            module.weight.data = stored(module.weight.data, kinds.body)
            module.register_forward_pre_hook(rounded(kinds.body, instructions, met))
    runner, row = TorchRunner(decoder), rows_of(case)[0]
    with torch.inference_mode():
        stream = runner._forward([row], [len(row)], runner.new_state(), None)[0]
    # Only now, as a tied embedding stays what it is.
    head = decoder.embedding if decoder.unembedding is None else decoder.unembedding
    head.weight.data = stored(head.weight.data, kinds.head)
    round_input = rounded(kinds.head, instructions, met)
    decoder.final_norm.register_forward_hook(
        lambda module, _, out: (round_input(module, (out,)) or (out,))[0]
    )
    with torch.inference_mode():
        return decoder.logits(stream)


def apart(case: str, mixtures: Sequence[str], instructions: str, met: Met) -> Iterator[np.ndarray]:
    """How far the logits of the first golden row are from those expected, mixture by mixture."""
    decoder = runner_of(case).decoder
    parameters = parameters_of(decoder)
    # One that is here for its mechanisms has all of them in any kind.
    for mixture in mixtures if case in MATRICES else mixtures[-1:]:
        model = model_of(decoder.spec, parameters, instructions, MIXTURES[mixture], met=met)
        (ours,) = Session(model).run([rows_of(case)[0]])
        yield np.abs(ours - expected(case, mixture, instructions, met).numpy())


@every_set
@few_of(CASES, {*WAYS, *MATRICES})
def test_stored_numbers_met_exactly(case, instructions):
    """Catches a matrix packed in another's place, kind or scale, in any family."""
    for each in apart(case, [*MIXTURES], instructions, Met.FLOAT32):
        assert each.max() <= 5e-5


@every_set
@few_of(CLEAR, {*CLEAR_WAYS, *MATRICES})
def test_rounded_activations(case, instructions):
    """Catches rounding that differs from the reference's, or is left out before some matrix.

    A value at the border between two roundings may fall to either side, and shifts what follows
    by a step of 1/254 of its group: so the median is held tightly, and the largest loosely.
    """
    for each in apart(case, ["bfloat16", "int8", "int4"], instructions, Met.INT8):
        assert np.median(each) <= 1e-3
        assert each.max() <= 0.1


@every_set
@few_of(CLEAR, MATRICES)
def test_activations_of_16_bits(case, instructions):
    """Catches a matrix that meets what another one was to meet, or a sum over the wrong columns.

    As above, with steps that are 258 times smaller.
    """
    for each in apart(case, ["int8", "int4"], instructions, Met.INT16):
        assert np.median(each) <= 1e-4
        assert each.max() <= 5e-3


@every_set
@few_of(CLEAR, cover({case: over_time(spec) for case, spec in CLEAR.items()}))
def test_keys_and_values_in_two_bytes(case, instructions):
    """Catches keys and values read or written as another type, or at another place.

    Those in float16 are held eight times as tightly, since they have three more bits.
    """
    decoder, row = runner_of(case).decoder, rows_of(case)[0]
    parameters = parameters_of(decoder)
    model = model_of(decoder.spec, parameters, instructions)
    whole = Session(model)
    (theirs,) = whole.run([row])
    # What enters the first layer with keys is the same in both.
    at, latents = decoder.spec.attending[0], decoder.spec.latents is not None
    for dtype, name, middle, most in (
        (np.uint16, "BFLOAT16", 0.02, 0.05),
        (np.float16, "FLOAT16", 0.0025, 0.00625),
    ):
        short = Session(model, dtype=dtype)
        ours = np.concatenate([short.run([row[:11]])[0], short.run([row[11:]])[0]])
        kept = [each.layers[at].keys for each in (whole, short)]
        exact, rounded_ = kept if latents else map(in_order, kept)
        first = reference.stored(exact.reshape(-1, decoder.spec.head_dim), name)
        wide = as_float32(rounded_)
        np.testing.assert_array_equal(wide.reshape(first.shape), first)
        apart = np.abs(ours - theirs)
        assert np.median(apart) <= middle
        assert apart.max() <= most * np.abs(theirs).max()


@every_set
@pytest.mark.parametrize("head_dim", [20, 7])
@pytest.mark.parametrize("dtype", [np.uint16, np.float16], ids=["bfloat16", "float16"])
def test_chunks_and_rows_of_a_cache_of_two_bytes(head_dim, dtype, instructions):
    """Catches a number that depends on what else is in a call: on chunks, or on other rows."""
    spec = dataclasses.replace(SPEC, head_dim=head_dim)
    each_layer = tuple(
        dataclasses.replace(each, rope=Rope(1e4, head_dim - head_dim % 2))
        for each in SPEC.each_layer
    )
    spec = dataclasses.replace(spec, each_layer=each_layer)
    model = small_model(instructions, spec=spec, threads=2)
    texts = [[7 * at % 131 for at in range(length)] for length in (130, 41, 90)]

    def run(rows: list[list[int]], chunk: int) -> list[np.ndarray]:
        session = Session(model, batch=len(rows), capacity=144, dtype=dtype)
        parts = [
            session.run([row[at : at + chunk] for row in rows])
            for at in range(0, max(map(len, rows)), chunk)
        ]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    alone = [run([text], 512)[0] for text in texts]
    for chunk in (1, 13, 64, 512):
        for ours, theirs in zip(run(texts, chunk), alone, strict=True):
            np.testing.assert_array_equal(ours, theirs)
