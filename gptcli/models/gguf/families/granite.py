"""Granite 3, and Granite 4 in its dense sizes: Llama with factors on embeddings, scores, residuals
and logits.
"""

from __future__ import annotations

from dataclasses import replace

from gptcli.models.gguf import sizes
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes

#: The file's names → those of config.json.
FACTORS = {
    "attention.scale": "attention_multiplier",
    "embedding_scale": "embedding_multiplier",
    "residual_scale": "residual_multiplier",
    "logit_scale": "logits_scaling",
}


#: Of Mamba layers and of experts, which files of Granite 4 tell of where they have none: their
#: tensors would be told of.
_SPARE = frozenset(f"ssm.{name}" for name in ("conv_kernel", "state_size", "group_count"))
_SPARE |= {"ssm.inner_size", "ssm.time_step_rank", "expert_shared_feed_forward_length"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `granite` file. Raises ModelError for what is not supported, by name."""
    size, factors = read(fields, llama.KEYS - {"expert_count", "expert_used_count"} | _SPARE)
    # The MLP of Granite 4 is what its sizes with experts have beside these.
    if fields.get("expert_shared_feed_forward_length"):
        size = replace(size, hidden=fields.count("expert_shared_feed_forward_length"))
    return llama.dense(fields, size, "granite", "GraniteForCausalLM", factors)


def read(fields: Fields, keys: frozenset[str]) -> tuple[Sizes, dict[str, float]]:
    """The sizes and factors of a file with these keys beside those of the factors."""
    fields.only(keys | FACTORS.keys())
    # llama.cpp takes this for a switch of the rotary positions.
    fields.fixed("rope.scaling.finetuned", True)
    size = sizes.read(fields)
    if size.head_dim != size.width // size.heads:
        raise fields.error(f"{fields.arch}.attention.key_length is not supported")
    return size, {name: fields.real(key) for key, name in FACTORS.items()}
