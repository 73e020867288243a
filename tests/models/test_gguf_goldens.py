"""The golden checkpoints as GGUF and back: our engine's logits are the golden ones."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gptcli import models
from gptcli.models.gguf.plan import OWN
from tests.cli.helpers import run
from tests.engine.helpers import GOLDENS, copy_case
from tests.golden_cases import CASES
from tests.models import gguf_export
from tests.models.test_gguf_families import BY_LOGITS, UNTESTED, imported
from tests.opening import load
from tests.tasks import ended

TOLERANCE = 3e-5
#: Cases that flip what a GGUF file cannot say: it is the same in all files of the architecture.
UNHELD = {
    "cohere2/options": "biases of attention",
    "ernie4_5/options": "biases",
    "granitemoehybrid/options": "no rotary positions, biases of attention",
    "hunyuan_v1_dense/options": "biases of attention",
    "nemotron/options": "another activation",
    "olmoe/options": "norm_topk_prob on",
    "seed_oss/options": "biases of the MLP",
    "cohere/options": "biases of attention",
    "deepseek_v2/lite": "biases of attention, cosines larger than scores are",
    "deepseek_v3/options": "biases of attention, rotations in halves",
    "ernie4_5_moe/options": "a mixture in none of the last layers",
    "falcon/alibi": "ALiBi",
    "falcon/grouped": "an MLP that is not four times as wide",
    "falcon/one_kv_head": "an MLP that is not four times as wide",
    "falcon/one_norm": "biases, another activation",
    "gemma/options": "biases of attention",
    "gemma2/capped": "a query_pre_attn_scalar of its own",
    "gemma2/options": "no soft-caps",
    "gemma3_text/options": "biases of attention",
    "gemma3_text/two_ropes": "a window in two layers of three",
    "gemma4_text/options": "biases of attention, stretched rotary positions",
    "gpt2/options": "an MLP that is not four times as wide",
    "gpt_neox/options": "no biases, another activation",
    "gpt_oss/mxfp4": "another swiglu_limit",
    "gpt_oss/options": "no biases of attention",
    "gpt_oss/plain": "another swiglu_limit",
    "laguna/options": "a bound of the router's numbers",
    "lfm2_moe/options": "biases of convolutions, no correction, another scale",
    "qwen3_next/options": "biases of attention, a mixture in some layers",
    "falcon_h1/multiplied": "no norm of memories before the gate",
    "falcon_h1/normed": "biases, a norm before the gate",
    "nemotron_h/mixture": "an MLP beside mixtures",
    "nemotron_h/options": "biases, a least step of its own",
    "lfm2/options": "biases of convolutions",
    "llama/dynamic": "dynamic rope scaling",
    "llama/llama3": "Llama 3's rope scaling of another context than 8192",
    "llama4_text/chunks": "chunks of another size, queries that are sharper sooner",
    "llama4_text/options": "no chunks, rotary positions in other layers, biases of attention",
    "minicpm3/options": "queries of the stream, other multipliers, biases",
    "minicpm3/plain": "other multipliers than MiniCPM3-4B's, another base of rotary positions",
    "mistral/window": "the window of a Mistral",
    "mixtral/window": "the window of a Mixtral",
    "olmo2/options": "biases of attention",
    "phi/options": "norms of queries and keys",
    "phi/plain": "an MLP that is not four times as wide",
    "qwen2/windows": "windows",
    "qwen3_5_text/options": "biases of attention",
    "qwen2_moe/options": "windows, and a mixture in some layers",
    "qwen3/options": "biases of attention",
    "qwen3_moe/options": "biases of attention",
    "qwen3_moe/untied": "norm_topk_prob off",
    "smollm3/no_rope": "no rotary positions in every second layer",
    "smollm3/options": "no rotary positions in some layers",
    "starcoder2/options": "a window",
}


def add_tokenizer(writer: gguf.GGUFWriter) -> None:
    """As many tokens as the goldens have."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(["a", "b", "ab", *(f"token {at}" for at in range(3, 61))])
    writer.add_token_types([1] * 61)
    writer.add_token_merges(["a b"])


HELD = [
    name
    for name, case in CASES.items()
    if case.kind in gguf_export.ARCHITECTURES and name not in UNHELD
]


@pytest.mark.parametrize("case", HELD)
def test_logits_are_the_golden_ones(tmp_path: Path, case: str) -> None:
    """Catches a setting or an order of rows that our engine reads otherwise than it was meant."""
    gguf_export.export(GOLDENS / case, tmp_path / "x.gguf", add_tokenizer)
    assert_golden(imported(tmp_path / "x.gguf", tmp_path / "out"), case)


def assert_golden(directory: Path, case: str) -> None:
    runner = load(directory, device="cpu", dtype="float32")
    golden = load_file(GOLDENS / case / "golden.safetensors")
    for ids, wanted in zip(golden["ids"].tolist(), golden["logits"], strict=True):
        found = runner.all_logits(ids, runner.new_state())
        assert (found - wanted).abs().max() <= TOLERANCE


def test_blocks_that_guess_further_tokens_are_left_out(tmp_path: Path) -> None:
    """Catches a last block that is taken for one more layer, or refused as a stranger."""
    case = "glm4_moe/dense_first"
    model = copy_case(case, tmp_path / "m", lambda each: each.update(num_nextn_predict_layers=1))
    tensors = load_file(model / "model.safetensors")
    last = {name: each for name, each in tensors.items() if ".layers.2." in name}
    more = {name.replace(".2.", ".3.", 1): each.clone() for name, each in last.items()}
    more["model.layers.3.eh_proj.weight"] = torch.zeros(16, 32)
    more["model.layers.3.shared_head.head.weight"] = torch.zeros(61, 16)
    save_file(tensors | more, model / "model.safetensors")
    gguf_export.export(model, tmp_path / "x.gguf", add_tokenizer)
    names = {each.name for each in gguf.GGUFReader(tmp_path / "x.gguf").tensors}
    assert {"blk.3.nextn.eh_proj.weight", "blk.3.exp_probs_b.bias"} <= names
    assert_golden(imported(tmp_path / "x.gguf", tmp_path / "out"), case)
    ended(models.obtain(str(tmp_path / "x.gguf")))
    done = run("models", "show", str(tmp_path / "x.gguf"), "--json")
    assert done.code == 0, done.err
    (told,) = json.loads(done.out)["left_out"]
    assert told["what"] == "what guesses more than the next token" and told["tensors"] == 18
    assert told["bytes"] > 4 * 61 * 16


def test_a_block_of_nemotron_s_that_guesses_is_left_out(tmp_path: Path) -> None:
    """Catches a last block, with heads and a width, that is taken for one more layer."""

    def guessing(writer: gguf.GGUFWriter) -> None:
        add_tokenizer(writer)
        fields = writer.kv_data[0]
        fields["nemotron_h_moe.block_count"].value = 4
        fields["nemotron_h_moe.attention.head_count_kv"].value.append(2)
        fields["nemotron_h_moe.feed_forward_length"].value.append(12)
        writer.add_nextn_predict_layers(1)
        writer.add_tensor("blk.3.nextn.eh_proj.weight", np.zeros((16, 32), np.float32))

    gguf_export.export(GOLDENS / "nemotron_h/latent", tmp_path / "x.gguf", guessing)
    assert_golden(imported(tmp_path / "x.gguf", tmp_path / "out"), "nemotron_h/latent")


def test_what_is_left_out_is_a_case() -> None:
    """Catches a reason that outlives its case, and an architecture that is left out altogether."""
    assert UNHELD.keys() <= CASES.keys()
    untested = set(gguf_export.ARCHITECTURES) - {CASES[name].kind for name in HELD}
    # Their round trips are those of test_gguf_families.
    assert untested == UNTESTED
    assert {CASES[name].kind for name in HELD} >= BY_LOGITS


def test_experts_stay_in_mxfp4(tmp_path: Path) -> None:
    """Catches nibbles in another order, gate and up exchanged, experts blown up to bfloat16."""
    case = "gpt_oss/mxfp4"
    gguf_export.export(GOLDENS / case, tmp_path / "x.gguf", add_tokenizer)
    back = imported(tmp_path / "x.gguf", tmp_path / "out")
    found, wanted = gguf_export.load(back), gguf_export.load(GOLDENS / case)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor), name
    config = json.loads((back / "config.json").read_text())
    (back / "config.json").write_text(json.dumps(config | {"swiglu_limit": 1.0}))
    assert_golden(back, case)


@pytest.mark.parametrize("case", ["qwen3_5_text/plain", "qwen3_5_moe_text/alone"])
def test_what_is_converted_is_as_published(tmp_path: Path, case: str) -> None:
    """Catches heads by turns, or a word of gptcli's own, in what transformers reads as well."""
    gguf_export.export(GOLDENS / case, tmp_path / "x.gguf", add_tokenizer)
    back = imported(tmp_path / "x.gguf", tmp_path / "out")
    found, wanted = gguf_export.load(back), gguf_export.load(GOLDENS / case)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.allclose(found[name], tensor, rtol=0, atol=1e-6), name
    assert not OWN & json.loads((back / "config.json").read_text()).keys()
