"""Forwards from the blocks of a GGUF file, of one kind or several, against slow references.

The references take the numbers that the gguf package makes of the blocks, and round what meets
them as the kernels do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from torch import nn

from gptcli.engine.cpu.binding.abi import Kind as Packing
from gptcli.engine.cpu.binding.abi import Met
from gptcli.engine.cpu.choice import choose
from gptcli.engine.cpu.packing.pack import pack
from gptcli.engine.cpu.packing.sections import sections
from gptcli.engine.cpu.run.model import KernelModel
from gptcli.engine.describe import describe
from gptcli.engine.torch.runner import TorchRunner
from gptcli.models.gguf import in_place
from tests.engine.cpu.helpers import Session, every_set, library, needs_kernels
from tests.engine.cpu.test_quantised_forward import rounded, stored
from tests.models import gguf_export
from tests.models.conftest import VOCABULARY, add_tokenizer
from tests.models.test_gguf_blocks import mixed
from tests.models.test_gguf_families import checkpoint
from tests.opening import load, parameters, spec_of

pytestmark = needs_kernels
IDS = [int(token) for token in np.random.default_rng(3).integers(0, VOCABULARY, 24)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A family's directory with a file of blocks of a kind in it, made once."""

    @functools.cache
    def make(case: str, kind: Kind) -> Path:
        directory = tmp_path_factory.mktemp("blocks")
        model = checkpoint(case, directory / "published")
        model.bfloat16().float().save_pretrained(directory / "published")
        path = directory / "x.gguf"
        gguf_export.export(directory / "published", path, add_tokenizer, kind)
        in_place.write(path, [path], directory, "tiny", "a test")
        return directory

    return make


@functools.cache
def expected(directory: Path, instructions: str, met: Met) -> np.ndarray:
    """Logits after every token, by torch's decoder in float32."""
    decoder = load(directory, device="cpu", dtype="float32").decoder
    spec = decoder.spec
    kinds = choose(describe(directory), "auto").kinds
    of = {each.parameter: each.kind for each in sections(spec, kinds) if each.form == "matrix"}

    def number(weight: torch.Tensor, kind: Packing) -> torch.Tensor:
        return stored(weight, kind) if kind is Packing.BFLOAT16 else weight

    for name, module in decoder.named_modules():
        if isinstance(module, nn.Linear) and module is not decoder.unembedding:
            kind = of[f"{name}.weight"]
            module.weight.data = number(module.weight.data, kind)
            module.register_forward_pre_hook(rounded(kind, instructions, met))
    head = decoder.embedding if decoder.unembedding is None else decoder.unembedding
    weight = head.weight.data
    runner = TorchRunner(decoder)
    with torch.inference_mode():
        stream = runner._forward([IDS], [len(IDS)], runner.new_state(), None)[0]
    # Only now, as a tied embedding is a table before.
    head.weight.data = number(weight, kinds.head)
    round_input = rounded(kinds.head, instructions, met)
    decoder.final_norm.register_forward_hook(
        lambda module, _, out: (round_input(module, (out,)) or (out,))[0]
    )
    with torch.inference_mode():
        return decoder.logits(stream).numpy()


@every_set
@pytest.mark.parametrize("met", list(Met))
@pytest.mark.parametrize(
    ("case", "kind"),
    [("llama", mixed), ("mixtral", Kind.Q4_0), ("gpt2", Kind.Q4_1), ("neox", Kind.Q8_0)],
)
def test_forwards_of_kept_blocks(kept, case, kind, met, instructions):
    """Catches a matrix that is read as another kind than it has, in layers whose kinds differ.

    Numbers at the border between two roundings fall to either side, see test_quantised_forward;
    in bfloat16 and in 8 bits one after the other, where the kinds are mixed.
    """
    directory = kept(case, kind)
    spec = spec_of(directory)
    choice = choose(describe(directory), "auto")
    packed = pack(spec, choice.kinds, parameters(directory, exact=True), library(instructions))
    model = KernelModel(packed, library(instructions), threads=2, met=met)
    (ours,) = Session(model).run([IDS])
    # See test_quantised_forward.
    alike = met is Met.FLOAT32 or instructions != "avx512bf16"
    wanted = expected(directory, "" if alike else instructions, met)
    apart = np.abs(ours - wanted)
    if met is Met.FLOAT32:
        assert apart.max() <= 5e-5
    elif met is Met.INT16 and alike:
        assert np.median(apart) <= 1e-4 and apart.max() <= 5e-3
    else:
        assert np.median(apart) <= 1e-3 * np.abs(ours).max()
        assert apart.max() <= 0.1
