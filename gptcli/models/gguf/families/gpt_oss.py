"""gpt-oss: a mixture in every layer, attention sinks, every other layer with a window.

Experts are stored as a stack, input features first, with the rows of gate and up taking turns.
"""

from __future__ import annotations

from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import PATTERN, Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take, Woven
from gptcli.models.gguf.tensors import BLOCK, LAYER

_KEYS = sizes.KEYS | rope.KEYS | rope.YARN_KEYS
_KEYS |= {"attention.layer_norm_rms_epsilon", "attention.sliding_window"}
_KEYS |= {"expert_count", "expert_used_count", "expert_feed_forward_length", PATTERN}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `gpt-oss` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    fields.period(2)
    size = sizes.read(fields)
    experts, used = sizes.experts(fields)
    hidden = fields.count("expert_feed_forward_length", size.hidden)
    config = llama.common(fields, size, "gpt_oss", "GptOssForCausalLM")
    if config.get("rope_scaling", {}).get("rope_type") == "yarn":
        # As published; the file does not say it.
        config["rope_scaling"]["truncate"] = False
    elif "rope_scaling" not in config:
        # Without a word, readers take this family for stretched.
        config["rope_scaling"] = {"rope_type": "default"}
    kinds = ("sliding_attention", "full_attention")
    config |= {
        "attention_bias": True,
        "intermediate_size": hidden,
        "layer_types": [kinds[layer % 2] for layer in range(size.layers)],
        "num_experts_per_tok": used,
        "num_local_experts": experts,
        "sliding_window": fields.count("attention.sliding_window"),
    }
    norms = {"input_layernorm": "attn_norm", "post_attention_layernorm": "post_attention_norm"}
    parts: list[Take | Woven] = [
        *layout.attention(size, qkv_bias=True, out_bias=True),
        Take(f"{LAYER}.self_attn.sinks", f"{BLOCK}.attn_sinks.weight", (size.heads,)),
        *layout.norms(size.width, norms),
        *_mixture(size, experts, hidden),
    ]
    return ConversionPlan(config, layout.whole(size, parts))


def _mixture(size: Sizes, experts: int, hidden: int) -> list[Take | Woven]:
    theirs = f"{LAYER}.mlp"
    router = f"{BLOCK}.ffn_gate_inp"
    found: list[Take | Woven] = [
        *layout.linear(f"{theirs}.router", router, experts, size.width, bias=True)
    ]
    gate_up, down = ("ffn_gate_exps", "ffn_up_exps"), ("ffn_down_exps",)
    for name, parts, shape in (
        ("gate_up_proj", gate_up, (experts, hidden, size.width)),
        ("down_proj", down, (experts, size.width, hidden)),
    ):
        stored = f"{theirs}.experts.{name}"
        weights = tuple(f"{BLOCK}.{part}.weight" for part in parts)
        biases = tuple(f"{BLOCK}.{part}.bias" for part in parts)
        found.append(Woven(stored, weights, shape, transpose=True, packs=True))
        found.append(Woven(f"{stored}_bias", biases, shape[:2]))
    return found
