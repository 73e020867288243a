"""Every mechanism in the types that people have, against transformers on the dequantised weights.

Blocks are read back by the gguf package and put into a file of floats, which transformers gets as a
checkpoint; the kernels run the file of blocks itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from transformers import AutoModelForCausalLM

from gptcli.engine.cpu.binding.abi import Met
from gptcli.engine.cpu.choice import choose
from gptcli.engine.cpu.packing.pack import pack
from gptcli.engine.cpu.run.model import KernelModel
from gptcli.engine.describe import describe
from tests.engine.cpu.helpers import Session, library, needs_kernels
from tests.engine.helpers import few_of
from tests.models import gguf_export
from tests.models.conftest import VOCABULARY, add_tokenizer
from tests.models.test_gguf_blocks import in_place
from tests.models.test_gguf_families import CASES, FEW, checkpoint, imported
from tests.opening import parameters, spec_of

pytestmark = needs_kernels
WIDTHS = ("hidden_size", "n_embd", "intermediate_size", "moe_intermediate_size")
HEADS = ("num_attention_heads", "num_key_value_heads", "n_head")
#: Of weights: a matrix makes vectors about half as long as what it is given, as in real models.
SPREAD = 1 / 32
IDS = [int(token) for token in np.random.default_rng(5).integers(0, VOCABULARY, 40)]


def q4_k_m(name: str) -> Kind:
    """As llama-quantize mixes it: what matters most has six bits, in some layers."""
    if name.endswith(".bias"):
        return Kind.F32
    more = name.startswith("blk.0.") and ("attn_v" in name or "ffn_down" in name)
    return Kind.Q6_K if more or name.startswith(("token_embd", "output")) else Kind.Q4_K


def q8_0(name: str) -> Kind:
    return Kind.F32 if name.endswith(".bias") else Kind.Q8_0


@pytest.mark.slow
@few_of(CASES, FEW)
def test_every_family(tmp_path: Path, case: str) -> None:
    """Catches a kind, an order of rows or a scale that is wrong in one family alone."""
    fields = CASES[case][1]
    # Rows of whole blocks of 256 numbers, in heads as large as they were.
    sizes = {name: -(-4 * fields[name] // 256) * 256 for name in WIDTHS if name in fields}
    sizes |= {name: 4 * fields[name] for name in HEADS if name in fields}
    checkpoint(case, tmp_path / "published", sizes, SPREAD)
    for kind in (q4_k_m, q8_0):
        check(case, kind, tmp_path)


def check(case: str, kind: Callable[[str], Kind], path: Path) -> None:
    directories = []
    for name, numbers in ((kind.__name__, False), ("numbers", True)):
        file = path / f"{name}.gguf"
        gguf_export.export(path / "published", file, add_tokenizer, kind, as_numbers=numbers)
        directories.append(
            imported(file, path / f"{kind.__name__} {name}") if numbers else in_place(file)
        )
    directory, dequantised = directories
    theirs = AutoModelForCausalLM.from_pretrained(
        dequantised, attn_implementation="eager", dtype=torch.float32
    )
    with torch.no_grad():
        wanted = theirs(torch.tensor([IDS])).logits[0].numpy()
    choice = choose(describe(directory), "auto")
    spec, lib = spec_of(directory), library("auto")
    packed = pack(spec, choice.kinds, parameters(directory, exact=True), lib)
    # Rounding grows from layer to layer where what each adds is as long as the stream.
    for met, tolerance in ((Met.FLOAT32, 1e-5), (Met.INT16, 1e-4 if spec.layers < 7 else 1e-3)):
        (ours,) = Session(KernelModel(packed, lib, threads=2, met=met)).run([IDS])
        apart = np.abs(ours - wanted).max()
        assert apart <= tolerance * np.abs(wanted).max(), (case, kind.__name__, met)
