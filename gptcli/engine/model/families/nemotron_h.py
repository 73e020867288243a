"""Nemotron-H and Nemotron 3: one block a layer, Mamba-2, attention without positions, an MLP that
bends by the square of ReLU or a mixture of such, each behind one norm.
"""

from __future__ import annotations

import math
from collections.abc import Sized
from dataclasses import replace

from gptcli.engine.model import llama_names, mamba
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.expert_fields import corrected
from gptcli.engine.model.experts import Experts, SharedExpert
from gptcli.engine.model.llama_names import OURS, where
from gptcli.engine.model.mixers import Recurrence
from gptcli.engine.model.rules import Rule, Rules, linear, next_tokens
from gptcli.engine.model.size_fields import ACTIVATIONS, sizes
from gptcli.engine.model.spec import LayerSpec, ModelSpec, NormSpec

SUPPORTS = "Nemotron-H 4B to 56B, Nemotron Nano 2, Nemotron 3"
OTHER_NAMES = {
    "layer_types": "layers_block_type",
    "num_local_experts": "n_routed_experts",
    "mamba_n_groups": "n_groups",
    "mamba_d_conv": "conv_kernel",
    "mamba_dt_min": "time_step_min",
    "mamba_conv_bias": "use_conv_bias",
}
MLP, MIXTURE = "mlp", "moe"
#: There is no gate.
NAMES = ("", "up_proj", "down_proj")
#: How `hybrid_override_pattern` spells them.
LETTERS = {"M": mamba.MAMBA[0], "*": mamba.ATTENTION[0], "-": MLP, "E": MIXTURE}
DEFAULTS = {
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 21504,
    "vocab_size": 131072,
    "max_position_embeddings": 4096,
}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' NemotronHConfig."""
    config = config.over(DEFAULTS)
    config.refuse_unless("sliding_window")
    size = sizes(config)
    eps = config.number("layer_norm_epsilon", 1e-5)
    config.refuse_unless("attention_bias", False)
    kinds, experts = _kinds(config), None
    if MIXTURE in kinds:
        # Experts have no biases in any case.
        config.refuse_unless("mlp_bias", False)
        experts = _experts(config)
    block_of = {kind: LayerSpec(thinks=False) for kind in mamba.ATTENTION}
    block_of |= {MLP: LayerSpec(mixes=False), MIXTURE: LayerSpec(mixes=False, mixture=True)}
    block_of |= {kind: LayerSpec(mixer=_mixer(config, eps), thinks=False) for kind in mamba.MAMBA}
    return ModelSpec(
        **size,
        each_layer=tuple(block_of[kind] for kind in kinds),
        norm=NormSpec("rmsnorm", eps),
        activation=config.one_of("mlp_hidden_act", ACTIVATIONS, "relu2"),
        gated=False,
        tied=config.flag("tie_word_embeddings", False),
        mlp_bias=config.flag("mlp_bias", False),
        experts=experts,
    )


def _experts(config: ConfigFields) -> Experts:
    """Those of DeepSeek-V3's routing, of latents perhaps, and one shared expert of its own size."""
    found = corrected(config, count=8, chosen=2, hidden=7688, normalised=True, scale=1.0, shared=1)
    shared = SharedExpert(config.count("moe_shared_expert_intermediate_size", 7688))
    return replace(found, latent=config.optional_count("moe_latent_size"), shared=shared)


def _kinds(config: ConfigFields) -> tuple[str, ...]:
    """What each layer is: `layers_block_type`, else a letter each in `hybrid_override_pattern`."""
    known = (*mamba.MAMBA, *mamba.ATTENTION, MLP, MIXTURE)
    stated = config.get("layers_block_type")
    if stated:
        count = _counted(config, stated) if isinstance(stated, list) else 1
        return config.words("layers_block_type", count, known) or ()
    pattern = config.word("hybrid_override_pattern", "ME*-")
    _counted(config, pattern)
    if not pattern or set(pattern) - set(LETTERS):
        raise config.bad("hybrid_override_pattern", f"must be made of {' '.join(LETTERS)}")
    return tuple(LETTERS[letter] for letter in pattern)


def _counted(config: ConfigFields, each: Sized) -> int:
    """How many layers there are, whatever `num_hidden_layers` says."""
    name = "layers_block_type"
    return ConfigFields(config.subject, {name: len(each)}).layers(name)


def _mixer(config: ConfigFields, eps: float) -> Recurrence:
    config.refuse_unless("mamba_hidden_act", "silu")
    bias = config.flag("use_bias", False)
    least = config.get("time_step_min")
    return mamba.memories(
        config,
        heads=config.count("mamba_num_heads", 128),
        groups=("n_groups", config.count("n_groups", 8)),
        key_dim=config.count("ssm_state_size", 128),
        value_dim=config.count("mamba_head_dim", 64),
        taps=config.count("conv_kernel", 4),
        eps=eps,
        bias=bias,
        filter_bias=config.flag("use_conv_bias", True),
        out_bias=bias,
        # Its `time_step_limit` is not used.
        steps=(0.0 if least == 0 else config.number("time_step_min", 0.001), math.inf),
    )


def _latents(layers: tuple[int, ...] | None) -> list[Rule]:
    theirs, ours = "layers.{i}.mixer", f"{OURS}.mlp"
    return [
        *linear(f"{theirs}.fc1_latent_proj", f"{ours}.latent_in", bias=False, layers=layers),
        *linear(f"{theirs}.fc2_latent_proj", f"{ours}.latent_out", bias=False, layers=layers),
    ]


def rules(spec: ModelSpec) -> Rules:
    """All blocks are called a mixer, and each layer's norm by the same name."""
    mixes, thinks = where(spec, lambda each: each.mixes), where(spec, lambda each: each.thinks)
    mixed = where(spec, lambda each: each.thinks and each.mixture)
    dense = where(spec, lambda each: each.thinks and not each.mixture)
    norm = "layers.{i}.norm"
    found = [
        Rule("embeddings.weight", "embedding.weight"),
        *linear(norm, f"{OURS}.attention_norm", bias=False, layers=mixes),
        *linear(norm, f"{OURS}.mlp_norm", bias=False, layers=thinks),
        *llama_names.attention_rules(spec, block="mixer"),
        *mamba.rules(spec, "mixer"),
        *llama_names.mlp_rules(spec, block="mixer", layers=dense),
        *llama_names.mixture_rules(spec, "mixer", NAMES, mixed, exact=True),
        *(_latents(mixed) if spec.experts is not None and spec.experts.latent else []),
        *linear("norm_f", "final_norm", bias=False),
        *llama_names.head(spec),
    ]
    ignored = llama_names.spare_head(spec)
    # As transformers names them, and as they are stored.
    return Rules(tuple(found), "model.", ignored, ("backbone.",), (next_tokens(r"mtp\..*"),))
