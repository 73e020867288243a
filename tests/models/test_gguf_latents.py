"""Latent attention in blocks of a GGUF file, which the kernels keep, against torch."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import torch
import transformers

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.describe import describe
from tests.engine.cpu.helpers import needs_kernels
from tests.golden_cases import DEEPSEEK
from tests.make_goldens import randomise
from tests.models import gguf_export
from tests.models.test_gguf_blocks import in_place
from tests.models.test_gguf_goldens import add_tokenizer
from tests.opening import load, open_kernels

IDS = list(range(1, 30))
#: Whole blocks of 32 everywhere.
SIZES = {"hidden_size": 64, "intermediate_size": 64, "moe_intermediate_size": 32}
SIZES |= {"kv_lora_rank": 64, "q_lora_rank": 32, "v_head_dim": 32, "num_hidden_layers": 1}
SIZES |= {"qk_nope_head_dim": 32, "qk_rope_head_dim": 32, "first_k_dense_replace": 1}


@needs_kernels
def test_what_comes_to_queries_stays_in_its_blocks(tmp_path: Path) -> None:
    """Catches heads that are cut within blocks, or dequantised where the file has them turned."""
    torch.manual_seed(3)
    fields = DEEPSEEK | SIZES | {"n_group": 1, "topk_group": 1}
    config = transformers.AutoConfig.for_model("deepseek_v3", **fields)
    model = transformers.AutoModelForCausalLM.from_config(config)
    randomise(model)
    model.float().save_pretrained(tmp_path / "published")
    kind = gguf.GGMLQuantizationType.Q8_0
    path = tmp_path / "x.gguf"
    gguf_export.export(tmp_path / "published", path, add_tokenizer, lambda _: kind)
    directory = in_place(path)
    assert describe(directory).spec.latents is not None
    runner = open_kernels(directory)
    kinds = runner.model.packed.kinds.own
    for name in ("query_latent", "query", "latent", "absorb", "value", "out"):
        assert kinds[f"layers.0.attention.{name}.weight"] is Kind.Q8_0, name
    torch_runner = load(directory, device="cpu", dtype="float32")
    theirs = torch_runner.all_logits(IDS, torch_runner.new_state()).numpy()
    ours = runner.all_logits(IDS, runner.new_state())
    # Keys of two bytes, activations of 16 bits.
    assert np.abs(ours - theirs).max() <= 5e-3 * np.abs(theirs).max()
