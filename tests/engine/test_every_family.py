"""Adapters and quantised weights by the rules of every family: none of them knows of either."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gptcli.backends.local.merging import merge
from gptcli.engine.model.families import supported
from gptcli.types.models import AdapterRef, ModelDir
from tests.engine.helpers import CASES, GOLDENS, by_rules, few_of, rules_of, whole
from tests.engine.mechanisms import cover, storing
from tests.engine.weights import adapters, packed
from tests.engine.weights.test_lora import apart_by, logits
from tests.engine.weights.test_quantised import CASES as FORMS
from tests.engine.weights.test_quantised import assert_same_model

pytestmark = pytest.mark.slow

#: Families of which another checkpoint than the first is taken, and why.
_CHOSEN = {
    # Written out as PEFT's models are here, transformers adds the bias of ALiBi twice.
    "falcon": "falcon/grouped",
}


def _is_tied(case: str) -> bool:
    config = json.loads((GOLDENS / case / "config.json").read_text())
    return bool(config.get("tie_word_embeddings"))


_WHOLE = [case for case in CASES if (GOLDENS / case / "model.safetensors").exists()]
BY_FAMILY = {case.split("/")[0]: case for case in sorted(_WHOLE, key=_is_tied)} | _CHOSEN
#: What names and cuts tensors is all that either has to do with.
OWN_RULES = by_rules(BY_FAMILY)
#: They have every way to store a matrix: names are other data in the same places.
FEW = cover({name: storing(rules_of(BY_FAMILY[name])) for name in OWN_RULES if name != "llama4"})
ATTENTION = ["q_proj", "v_proj"]
LATENTS = ("kv_a_proj_with_mqa", "kv_b_proj")
#: Where all linear layers are more than those of the text, or are no layers in transformers.
_TEXT = r".*language_model.*\.(q_proj|o_proj)"
TARGETS: dict[str, Any] = {
    "gemma3": r".*language_model.*\.(q_proj|up_proj)",
    **dict.fromkeys(("mistral3", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe"), _TEXT),
    **dict.fromkeys(("gemma4", "gemma4_unified"), _TEXT),
    **dict.fromkeys(("mixtral", "qwen3_moe", "olmoe", "minimax_m2"), ATTENTION),
    "laguna": r".*(self_attn\.[qgo]_proj|layers\.0\.mlp\.up_proj)",
    **dict.fromkeys(("ernie4_5_moe", "glm4_moe", "lfm2_moe", "qwen3_next"), ATTENTION),
    **dict.fromkeys(("llama4_text", "qwen3_5_moe_text"), ATTENTION),
    "qwen3_5_moe": r".*language_model.*(self_attn|linear_attn)\..*_proj\w*",
    **dict.fromkeys(("deepseek_v2", "deepseek_v3", "glm4_moe_lite"), LATENTS),
    "kimi_k25": r".*language_model.*\.(kv_b_proj|o_proj)",
    "qwen2_moe": r".*(self_attn\.v_proj|shared_expert\.up_proj|shared_expert_gate)",
    "qwen3_5": r".*language_model.*_proj\w*",
    # PEFT refuses what projects a mixer's sums back.
    **dict.fromkeys(("falcon_h1", "nemotron_h"), r".*\.(q_proj|o_proj|in_proj|up_proj)"),
}


def test_there_is_a_checkpoint_of_every_family():
    """Catches a family that the tests below leave out."""
    assert set(BY_FAMILY) == set(supported())


# transformers 5.24 runs no text through Llama 4 with its vision model.
@few_of((name for name in OWN_RULES if name != "llama4"), FEW, of="family")
def test_adapters_equal_peft(tmp_path, monkeypatch, family):
    """Catches an update that lands on other rows than those of its module: cut, turned, fused.

    The head is stored whole, which in most of these models shared the embedding's weights; the
    model is then written with the adapter in it, and read again.
    """
    pytest.importorskip("peft")
    case = BY_FAMILY[family]
    fields = {"target_modules": TARGETS.get(family, "all-linear"), "r": 2}
    fields["modules_to_save"] = ["embed_out" if family == "gpt_neox" else "lm_head"]
    monkeypatch.setitem(adapters.ADAPTERS, case, (case, fields))
    ref = AdapterRef(adapters.make(case, tmp_path / "a"))
    theirs = adapters.logits_of_peft(case, ref.path)
    assert apart_by(theirs, torch.stack(whole(case))) > 0.1
    assert apart_by(logits(GOLDENS / case, case, ref), theirs) <= 3e-5
    assert apart_by(logits(GOLDENS / case, case, ref, apart=True), theirs) <= 3e-5
    for _ in merge(ModelDir(case, GOLDENS / case, case), [ref], tmp_path / "merged"):
        pass
    assert apart_by(logits(tmp_path / "merged", case), theirs) <= 3e-5


@pytest.mark.parametrize("family", OWN_RULES)
def test_quantised_weights(tmp_path: Path, family):
    """Catches a family whose names or shapes the formats do not meet."""
    pack, config = FORMS["gptq-one-group"]
    case = BY_FAMILY[family]
    meaning = packed.quantise(case, tmp_path / "m", pack, config, transposed=family == "gpt2")
    halves = [name for name, tensor in meaning.items() if tensor.dtype == torch.float16]
    assert len(halves) >= 8, "too little was packed to show anything"
    assert_same_model(tmp_path / "m", meaning, case, tmp_path)
