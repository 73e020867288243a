"""A transformers checkpoint as GGUF, by the published rules of llama.cpp's convert_hf_to_gguf.py.

Names come from the gguf package's own map. Nothing here looks at gptcli's importer: what the two
agree on is what they both read in the converter's rules.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import load_file

from gptcli.engine.cpu.binding.abi import Form
from gptcli.engine.cpu.binding.library import open_library
from gptcli.engine.cpu.packing.quantise import quantise
from tests.models import gguf_experts, gguf_export_mamba, gguf_latents
from tests.models import gguf_export_mixers as mixers

Tensors = Iterator[tuple[str, np.ndarray]]
ARCHITECTURES = {
    "arcee": gguf.MODEL_ARCH.ARCEE,
    "bloom": gguf.MODEL_ARCH.BLOOM,
    "cohere": gguf.MODEL_ARCH.COMMAND_R,
    "cohere2": gguf.MODEL_ARCH.COHERE2,
    "ernie4_5": gguf.MODEL_ARCH.ERNIE4_5,
    "exaone4": gguf.MODEL_ARCH.EXAONE4,
    "deepseek_v2": gguf.MODEL_ARCH.DEEPSEEK2,
    "deepseek_v3": gguf.MODEL_ARCH.DEEPSEEK2,
    "ernie4_5_moe": gguf.MODEL_ARCH.ERNIE4_5_MOE,
    "falcon": gguf.MODEL_ARCH.FALCON,
    "gemma": gguf.MODEL_ARCH.GEMMA,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
    **dict.fromkeys(("gemma4_text", "gemma4_unified_text"), gguf.MODEL_ARCH.GEMMA4),
    "falcon_h1": gguf.MODEL_ARCH.FALCON_H1,
    "nemotron_h": gguf.MODEL_ARCH.NEMOTRON_H,
    "glm4": gguf.MODEL_ARCH.GLM4,
    "glm4_moe": gguf.MODEL_ARCH.GLM4_MOE,
    "gpt2": gguf.MODEL_ARCH.GPT2,
    "gpt_neox": gguf.MODEL_ARCH.GPTNEOX,
    "gpt_oss": gguf.MODEL_ARCH.GPT_OSS,
    "granite": gguf.MODEL_ARCH.GRANITE,
    "granitemoe": gguf.MODEL_ARCH.GRANITE_MOE,
    # Without Mamba layers and without experts.
    "granitemoehybrid": gguf.MODEL_ARCH.GRANITE,
    "hunyuan_v1_dense": gguf.MODEL_ARCH.HUNYUAN_DENSE,
    # Of which the package does not know yet; its tensors are named as those of this one.
    "laguna": gguf.MODEL_ARCH.DOTS1,
    "lfm2": gguf.MODEL_ARCH.LFM2,
    "lfm2_moe": gguf.MODEL_ARCH.LFM2MOE,
    "llama": gguf.MODEL_ARCH.LLAMA,
    "llama4_text": gguf.MODEL_ARCH.LLAMA4,
    "minicpm3": gguf.MODEL_ARCH.MINICPM3,
    "minimax_m2": gguf.MODEL_ARCH.MINIMAXM2,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "ministral3": gguf.MODEL_ARCH.MISTRAL3,
    "mistral3": gguf.MODEL_ARCH.MISTRAL3,
    "mixtral": gguf.MODEL_ARCH.LLAMA,
    "nemotron": gguf.MODEL_ARCH.NEMOTRON,
    "olmo2": gguf.MODEL_ARCH.OLMO2,
    "olmo3": gguf.MODEL_ARCH.OLMO2,
    "olmoe": gguf.MODEL_ARCH.OLMOE,
    "phi": gguf.MODEL_ARCH.PHI2,
    "phi3": gguf.MODEL_ARCH.PHI3,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen2_vl": gguf.MODEL_ARCH.QWEN2VL,
    "qwen2_moe": gguf.MODEL_ARCH.QWEN2MOE,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "qwen3_5_text": gguf.MODEL_ARCH.QWEN35,
    "qwen3_5_moe_text": gguf.MODEL_ARCH.QWEN35MOE,
    "qwen3_next": gguf.MODEL_ARCH.QWEN3NEXT,
    "qwen3_moe": gguf.MODEL_ARCH.QWEN3MOE,
    "qwen3_vl": gguf.MODEL_ARCH.QWEN3VL,
    "seed_oss": gguf.MODEL_ARCH.SEED_OSS,
    "smollm3": gguf.MODEL_ARCH.SMOLLM3,
    "stablelm": gguf.MODEL_ARCH.STABLELM,
    "starcoder2": gguf.MODEL_ARCH.STARCODER2,
}
#: Where that is not what a file says.
NAMED = {"laguna": "laguna"}
#: What llama-quantize takes where rows are not of whole blocks of 256.
OF_SHORT_ROWS = {Kind.Q4_K: Kind.Q5_0, Kind.Q6_K: Kind.Q8_0}
PERMUTED = {"llama", "mistral", "mixtral", "granite", "smollm3"}
PERMUTED |= {"arcee", "granitemoe", "granitemoehybrid", "mistral3", "ministral3"}


def export(
    directory: Path,
    path: Path,
    add_tokenizer: Callable[[gguf.GGUFWriter], None],
    kind: Kind | Callable[[str], Kind] = Kind.F32,
    largest: int = 0,
    *,
    as_numbers: bool = False,
) -> None:
    """Write a directory's model, matrices as `kind`, or as it says for each by the file's name.

    largest: tensors in a part, 0 for all. as_numbers: what blocks hold, as float32.
    """
    config = json.loads((directory / "config.json").read_text())
    stored = load(directory)
    if "text_config" in config:
        config, stored = text_alone(config), text_tensors(stored)
    # Falcon-H1's multipliers go into its weights: of those there are other numbers.
    bits = kind is Kind.BF16 and config["model_type"] != "falcon_h1"
    state = Numbers(stored, bits=bits)
    name = NAMED.get(config["model_type"]) or gguf.MODEL_ARCH_NAMES[architecture(config)]
    # A temporary file keeps tensors off the heap, but it cannot be cut into parts.
    on_disk = not largest and not bits
    writer = gguf.GGUFWriter(path, name, use_temp_file=on_disk, split_max_tensors=largest)
    settings(writer, config, state)
    if isinstance(kind, Kind):
        writer.add_file_type(
            gguf.LlamaFileType[f"{'ALL' if kind is Kind.F32 else 'MOSTLY'}_{kind.name}"]
        )
    add_tokenizer(writer)
    for ours, array in tensors(config, state):
        if array.dtype == np.uint8:
            writer.add_tensor(ours, array, raw_dtype=Kind.MXFP4)
            continue
        # The converter leaves vectors, norms and routers in float32.
        plain = array.ndim == 1 or "norm" in ours or "gate_inp" in ours or array.shape[-1] % 32
        wanted = kind if isinstance(kind, Kind) else kind(ours)
        if array.dtype == np.uint16 and not plain:
            writer.add_tensor(ours, array.view(np.uint8), raw_dtype=Kind.BF16)
        elif plain or wanted is Kind.F32:
            writer.add_tensor(ours, from_bits(array) if array.dtype == np.uint16 else array)
        else:
            wanted = wanted if array.shape[-1] % 256 == 0 else OF_SHORT_ROWS.get(wanted, wanted)
            data = quantised(array, wanted)
            if as_numbers:
                writer.add_tensor(ours, gguf.quants.dequantize(data, wanted))
            else:
                writer.add_tensor(ours, data, raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def architecture(config: dict[str, Any]) -> gguf.MODEL_ARCH:
    """Of a config; some kinds have several."""
    kind = config["model_type"]
    if kind == "granitemoehybrid" and any("linear" in each for each in config["layer_types"]):
        return gguf.MODEL_ARCH.GRANITE_HYBRID
    if kind == "nemotron_h" and "moe" in config["layers_block_type"]:
        return gguf.MODEL_ARCH.NEMOTRON_H_MOE
    return ARCHITECTURES[kind]


def text_alone(config: dict[str, Any]) -> dict[str, Any]:
    """A model of text and images as its text model; how many layers images are added to."""
    seen = config["vision_config"].get("deepstack_visual_indexes", [])
    text = config["text_config"] | {"model_type": config["model_type"]}
    return text | {"tie_word_embeddings": config["tie_word_embeddings"], "deepstack": len(seen)}


def text_tensors(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the text, without what stands before their names."""
    others = ("visual.", "vision_tower.", "multi_modal_projector.")
    return {
        name.replace("language_model.", ""): tensor
        for name, tensor in tensors.items()
        if not name.removeprefix("model.").startswith(others)
    }


def quantised(array: np.ndarray, kind: Kind) -> np.ndarray:
    """Rows as blocks of a kind: by the gguf package where it can."""
    if kind not in OF_SHORT_ROWS:
        return gguf.quants.quantize(array, kind)
    rows = np.ascontiguousarray(array, dtype=np.float32).reshape(-1, array.shape[-1])
    found = quantise(rows, Form[kind.name], open_library()).rows
    return found.reshape(*array.shape[:-1], -1)


def from_bits(array: np.ndarray) -> np.ndarray:
    """bfloat16, as uint16, as float32."""
    return (array.astype(np.uint32) << 16).view(np.float32)


class Numbers(Mapping[str, np.ndarray]):
    """Tensors as arrays, each made when it is asked for: a large model is never whole in memory.

    bits: matrices in bfloat16 as they lie in their file, as uint16, for changes that only move.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor], *, bits: bool = False) -> None:
        self._tensors = tensors
        self._bits = bits

    def __getitem__(self, name: str) -> np.ndarray:
        tensor = self._tensors[name]
        if self._bits and tensor.dtype == torch.bfloat16 and tensor.ndim > 1:
            return tensor.view(torch.uint16).numpy()
        # Bytes are numbers in MXFP4.
        return tensor.numpy() if tensor.dtype == torch.uint8 else tensor.float().numpy()

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def tensors(config: dict[str, Any], state: Mapping[str, np.ndarray]) -> Tensors:
    """Every tensor of the file: its name there, and its numbers in their order there."""
    kinds = config.get("layers_block_type") or ()
    layers = config.get("num_hidden_layers") or config.get("n_layer") or len(kinds)
    layers += config.get("num_nextn_predict_layers") or 0
    names = gguf.get_tensor_name_map(architecture(config), layers)
    for theirs, array in itertools.chain(extra(config), changed(config, state)):
        ours = names.get_name(theirs, try_suffixes=(".weight", ".bias")) or theirs
        # As all tensors are written: without axes of one.
        whole = ours.endswith(("ssm_a", "ssm_d", "ssm_norm.weight"))
        yield ours, np.ascontiguousarray(array if whole else np.atleast_1d(array.squeeze()))


def load(directory: Path) -> dict[str, Any]:
    """All tensors of a directory by their published names."""
    found: dict[str, Any] = {}
    for file in sorted(directory.glob("model*.safetensors")):
        found |= load_file(file)
    return found


def settings(writer: gguf.GGUFWriter, config: dict[str, Any], state: Mapping[str, Any]) -> None:
    """The metadata of each family: what `set_gguf_parameters` of its class writes."""
    kind = config["model_type"]
    if kind in OWN_SETTINGS:
        OWN_SETTINGS[kind](writer, config)
        return
    if kind == "llama4_text":
        hidden, all_hidden = config["intermediate_size"], config["intermediate_size_mlp"]
        config |= {"intermediate_size_moe": hidden, "intermediate_size": all_hidden}
    common(writer, scaled_once(config) if kind == "hunyuan_v1_dense" else config)
    if kind in PERMUTED:
        writer.add_vocab_size(config["vocab_size"])
        width, heads = config["hidden_size"], config["num_attention_heads"]
        writer.add_rope_dimension_count(config.get("head_dim") or width // heads)
    if kind in ("granite", "granitemoe", "granitemoehybrid"):
        writer.add_attention_scale(config["attention_multiplier"])
        writer.add_embedding_scale(config["embedding_multiplier"])
        writer.add_residual_scale(config["residual_multiplier"])
        writer.add_logit_scale(config["logits_scaling"])
    if kind == "granitemoehybrid":
        writer.add_expert_shared_feed_forward_length(config["shared_intermediate_size"])
        gguf_export_mamba.granite(writer, config)
    if kind in ("exaone4", "olmo3", "cohere2") and config["sliding_window"] is not None:
        writer.add_sliding_window(config["sliding_window"])
        if kind != "cohere2":
            near = [each == "sliding_attention" for each in config["layer_types"]]
            writer.add_sliding_window_pattern(near)
    if kind in ("qwen2_vl", "qwen3_vl"):
        sections = config["rope_parameters"]["mrope_section"]
        writer.add_rope_dimension_sections([*sections, 0])
    if kind == "qwen3_vl":
        writer.add_num_deepstack_layers(config["deepstack"])
    if kind == "glm4":
        writer.add_rope_dimension_count(int(_partial(config) * config["head_dim"]))
    if kind == "olmo3" and config["rope_parameters"]["full_attention"]["rope_type"] == "yarn":
        # As older converters did.
        factor = config["rope_parameters"]["full_attention"]["factor"]
        writer.add_rope_scaling_attn_factors(0.1 * math.log(factor) + 1)
    if kind == "ministral3":
        rope = config["rope_parameters"]
        writer.add_rope_scaling_yarn_log_mul(rope["mscale_all_dim"])
        writer.add_attn_temperature_scale(rope["llama_4_scaling_beta"])
    if kind in ("qwen3_5_text", "qwen3_5_moe_text", "qwen3_next"):
        mixers.qwen35(writer, config)
    if kind == "qwen3_moe":
        writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    if kind in gguf_experts.SETTINGS:
        gguf_experts.SETTINGS[kind](writer, config)
    if kind == "gpt_oss":
        writer.add_sliding_window(config["sliding_window"])
        writer.add_expert_feed_forward_length(config["intermediate_size"])
    if kind in ("cohere", "cohere2"):
        writer.add_logit_scale(config["logit_scale"])
        writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    if kind == "cohere2":
        writer.add_vocab_size(config["vocab_size"])
        writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    if kind == "gemma3_text":
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
        if config["sliding_window"] is not None:
            writer.add_sliding_window(config["sliding_window"])


def scaled_once(config: dict[str, Any]) -> dict[str, Any]:
    """Hunyuan's NTK scaling as a base."""
    rope, dim = config["rope_parameters"], config["head_dim"]
    theta = rope["rope_theta"] * rope.get("alpha", 1.0) ** (dim / (dim - 2))
    return config | {"rope_parameters": {"rope_type": "default", "rope_theta": theta}}


def common(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    """The base class's part, for configs with the names of Llama's."""
    further = config.get("num_nextn_predict_layers") or 0
    writer.add_block_count(config["num_hidden_layers"] + further)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    rope = config.get("rope_parameters") or {}
    near = rope.get("sliding_attention", {}).get("rope_theta")
    rope = rope.get("full_attention", rope)
    if rope.get("rope_type") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    elif rope.get("rope_type") == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        for key, add in (
            ("attention_factor", writer.add_rope_scaling_yarn_attn_factor),
            ("beta_fast", writer.add_rope_scaling_yarn_beta_fast),
            ("beta_slow", writer.add_rope_scaling_yarn_beta_slow),
        ):
            if rope.get(key) is not None:
                add(rope[key])
    elif rope.get("rope_type") == "default":
        writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    if "rope_theta" in rope:
        writer.add_rope_freq_base(rope["rope_theta"])
    if near is not None:
        writer.add_float32(f"{writer.arch}.rope.freq_base_swa", near)
    for key, add in (
        ("rms_norm_eps", writer.add_layer_norm_rms_eps),
        ("layer_norm_eps", writer.add_layer_norm_eps),
        ("norm_epsilon", writer.add_layer_norm_eps),
        ("num_local_experts", writer.add_expert_count),
        ("num_experts", writer.add_expert_count),
        ("n_routed_experts", writer.add_expert_count),
        ("n_group", writer.add_expert_group_count),
        ("topk_group", writer.add_expert_group_used_count),
        ("num_experts_per_tok", writer.add_expert_used_count),
    ):
        if config.get(key) is not None:
            add(config[key])
    if config.get("head_dim") is not None and config["model_type"] != "granite":
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])


def _gpt2(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_block_count(config["n_layer"])
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])


def _neox(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    head = config["hidden_size"] // config["num_attention_heads"]
    writer.add_rope_dimension_count(int(_partial(config) * head))
    writer.add_head_count(config["num_attention_heads"])
    writer.add_parallel_residual(config["use_parallel_residual"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])


def _bloom(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_context_length(config["seq_length"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(4 * config["hidden_size"])
    writer.add_block_count(config["n_layer"])
    writer.add_head_count(config["n_head"])
    writer.add_head_count_kv(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])


def _falcon(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_context_length(2048)
    writer.add_tensor_data_layout("jploski")
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(4 * config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(_falcon_groups(config))
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])


def _stablelm(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    head = config["hidden_size"] // config["num_attention_heads"]
    writer.add_rope_dimension_count(int(_partial(config) * head))
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_parallel_residual(config["use_parallel_residual"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])


def _phi(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    width, heads = config["hidden_size"], config["num_attention_heads"]
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(4 * width)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_rope_dimension_count(int(_partial(config) * width) // heads)


def _phi3(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    width, heads = config["hidden_size"], config["num_attention_heads"]
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_rope_scaling_orig_ctx_len(config["original_max_position_embeddings"])
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(int(_partial(config) * width) // heads)
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_sliding_window(config["sliding_window"] or 0)
    if config["rope_parameters"].get("rope_type") == "longrope":
        original = config["original_max_position_embeddings"]
        scale = config["max_position_embeddings"] / original
        factor = math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 else 1.0
        writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
        writer.add_rope_scaling_attn_factors(factor)


def _nemotron(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    common(writer, config)
    width, heads = config["hidden_size"], config["num_attention_heads"]
    writer.add_vocab_size(config["vocab_size"])
    writer.add_layer_norm_eps(config["norm_eps"])
    writer.add_rope_dimension_count(int(_partial(config) * width) // heads)


def own_sizes(config: dict[str, Any]) -> dict[int, dict[str, int]]:
    """What layers of Gemma 4 have otherwise, by their numbers, before which there may be zeros."""
    return {int(layer): sizes for layer, sizes in config["per_layer_config"].items()}


def _gemma4(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    used = config.get("top_k_experts")
    common(writer, {**config, "head_dim": None, "num_experts_per_tok": used})
    near = [each == "sliding_attention" for each in config["layer_types"]]
    full = own_sizes(config)[near.index(False)]
    writer.add_shared_kv_layers(config["num_kv_shared_layers"])
    writer.add_embedding_length_per_layer_input(config.get("hidden_size_per_layer_input", 0))
    writer.add_sliding_window_pattern(near)
    writer.add_sliding_window(config["sliding_window"])
    writer.add_final_logit_softcapping(config["final_logit_softcapping"] or 0.0)
    for add in (writer.add_key_length, writer.add_value_length, writer.add_rope_dimension_count):
        add(full["head_dim"])
    writer.add_key_length_swa(config["head_dim"])
    writer.add_value_length_swa(config["head_dim"])
    if config.get("moe_intermediate_size") is not None:
        writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    writer.add_rope_dimension_count_swa(config["head_dim"])
    if config["use_double_wide_mlp"]:
        hidden, shared = config["intermediate_size"], config["num_kv_shared_layers"]
        first = config["num_hidden_layers"] - shared
        writer.add_feed_forward_length([hidden] * first + [2 * hidden] * shared)
    heads = full.get("num_key_value_heads", config["num_key_value_heads"])
    writer.add_head_count_kv([config["num_key_value_heads"] if n else heads for n in near])


def _gemma(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    if config["model_type"] == "gemma2":
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
        writer.add_sliding_window(config["sliding_window"])


def _deepseek(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    common(writer, gguf_latents.common(config))
    gguf_latents.sizes(writer, config)


OWN_SETTINGS = {
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "bloom": _bloom,
    "falcon": _falcon,
    "gemma": _gemma,
    **dict.fromkeys(("gemma4_text", "gemma4_unified_text"), _gemma4),
    "gemma2": _gemma,
    "gpt2": _gpt2,
    "gpt_neox": _neox,
    "minicpm3": gguf_latents.minicpm3,
    "lfm2": mixers.lfm2,
    "lfm2_moe": mixers.lfm2,
    "falcon_h1": gguf_export_mamba.falcon,
    "nemotron_h": gguf_export_mamba.nemotron,
    "nemotron": _nemotron,
    "phi": _phi,
    "phi3": _phi3,
    "stablelm": _stablelm,
}


def _partial(config: dict[str, Any]) -> float:
    return float(config["rope_parameters"].get("partial_rotary_factor", 1.0))


def _falcon_groups(config: dict[str, Any]) -> int:
    return int(config["num_kv_heads"]) if config["new_decoder_architecture"] else 1


def extra(config: dict[str, Any]) -> Tensors:
    """What `generate_extra_tensors` adds: factors of the rotary frequencies."""
    rope = config.get("rope_parameters") or {}
    if rope.get("rope_type") == "longrope":
        for name in ("long", "short"):
            factors = np.array(rope[f"{name}_factor"], np.float32)
            yield f"rope_factors_{name}.weight", factors
    full = rope.get("full_attention", {})
    if full.get("rope_type") == "proportional":
        layer = config["layer_types"].index("full_attention")
        half = own_sizes(config)[layer]["head_dim"] // 2
        turning = int(half * full["partial_rotary_factor"])
        yield "rope_freqs.weight", np.array([1.0] * turning + [1e30] * (half - turning), np.float32)
    if rope.get("rope_type") == "llama3":
        dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        factors = []
        for freq in 1.0 / rope["rope_theta"] ** (np.arange(0, dim, 2, dtype=np.float32) / dim):
            most = rope["high_freq_factor"]
            wave, low, high = 2 * math.pi / freq, 8192 / 1.0, 8192 / most
            if low >= wave >= high:
                smooth = (8192 / wave - 1.0) / (most - 1.0)
                factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
            else:
                factors.append(1 if wave < high else rope["factor"])
        yield "rope_freqs.weight", np.array(factors, np.float32)


def changed(config: dict[str, Any], state: Mapping[str, np.ndarray]) -> Tensors:
    """Each tensor as `modify_tensors` leaves it, under a name that the gguf package knows."""
    kind = config["model_type"]
    change = CHANGES.get(kind, lambda config, name, array: [(name, array)])
    stacks: dict[str, list[np.ndarray]] = {}
    yield from _mxfp4(state)
    for name in sorted(state, key=_natural):
        if name.endswith(("_blocks", "_scales")):
            continue
        array = state[name]
        one_of_many = re.fullmatch(r"(.+\.(?:experts|norms))\.\d+\.?(.*)weight", name)
        if one_of_many:
            stacks.setdefault(f"{one_of_many[1]}.{one_of_many[2]}weight", []).append(array)
            continue
        yield from change(config, name.replace("_correction_bias", "_correction.bias"), array)
    for name, arrays in stacks.items():
        name = name.replace("_layernorm.norms.", "_layernorm.")
        name = name.replace("backbone", "model").replace(".mixer.experts", ".mlp.experts")
        name = (
            name.replace("model.layers", "layers").replace("block_sparse_moe", "feed_forward")
            if kind == "mixtral"
            else name.removeprefix("model.")
            if kind == "lfm2_moe"
            else name
        )
        yield name, np.stack(arrays)


def _mxfp4(state: Mapping[str, np.ndarray]) -> Tensors:
    """Blocks as ggml has them: the scale, then numbers 0 and 16, 1 and 17, … two to a byte."""
    for name in (name for name in state if name.endswith("_blocks")):
        blocks, scales = state[name], state[name.replace("_blocks", "_scales")]
        numbers = np.stack([blocks & 15, blocks >> 4], axis=-1).reshape(*blocks.shape[:-1], 32)
        packed = numbers[..., :16] | numbers[..., 16:] << 4
        whole = np.concatenate([scales[..., None], packed], axis=-1).astype(np.uint8)
        rows = whole.reshape(*whole.shape[:2], -1)
        base = name.removesuffix("_blocks")
        if base.endswith("gate_up_proj"):
            yield base.replace("gate_up_proj", "gate_proj.weight"), rows[:, ::2]
            yield base.replace("gate_up_proj", "up_proj.weight"), rows[:, 1::2]
        else:
            yield f"{base}.weight", rows


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _permuted(config: dict[str, Any], name: str, array: np.ndarray) -> list[tuple[str, np.ndarray]]:
    for part, key in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
        if name.endswith((f"{part}.weight", f"{part}.bias")):
            halves = array.reshape(
                config[key], 2, array.shape[0] // config[key] // 2, *array.shape[1:]
            )
            array = halves.swapaxes(1, 2).reshape(array.shape)
    return [(name, array)]


def _shifted(config: dict[str, Any], name: str, array: np.ndarray) -> list[tuple[str, np.ndarray]]:
    return [(name, array + np.float32(1) if name.endswith("norm.weight") else array)]


def _turned(config: dict[str, Any], name: str, array: np.ndarray) -> list[tuple[str, np.ndarray]]:
    linear = name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight"))
    return [(name, array.T if linear else array)]


def _headwise(config: dict[str, Any], name: str, array: np.ndarray) -> list[tuple[str, np.ndarray]]:
    heads = config.get("n_head") or config["num_attention_heads"]
    if "query_key_value" in name:
        split = array.reshape(heads, 3, config["hidden_size"] // heads, *array.shape[1:])
        rest = (config["hidden_size"], *array.shape[1:])
        array = np.concatenate([split[:, part].reshape(rest) for part in range(3)])
    return [(name.removeprefix("transformer."), array)]


def _grouped(config: dict[str, Any], name: str, array: np.ndarray) -> list[tuple[str, np.ndarray]]:
    if "query_key_value" in name:
        heads, groups = config["num_attention_heads"], _falcon_groups(config)
        width, head = config["hidden_size"], config["hidden_size"] // heads
        split = array.reshape(groups, heads // groups + 2, head, width)
        parts = (split[:, :-2], split[:, [-2]], split[:, [-1]])
        array = np.concatenate([part.reshape(-1, width) for part in parts])
    return [(name, array)]


def _woven(config: dict[str, Any], name: str, array: np.ndarray) -> list[tuple[str, np.ndarray]]:
    if name.endswith("sinks"):
        return [(f"{name}.weight", array)]
    if name.endswith("down_proj_bias"):
        return [(name.replace("down_proj_bias", "down_proj.bias"), array)]
    if name.endswith("gate_up_proj_bias"):
        base = name.replace("gate_up_proj_bias", "{}_proj.bias")
        return [(base.format("gate"), array[..., ::2]), (base.format("up"), array[..., 1::2])]
    if name.endswith("down_proj"):
        return [(f"{name}.weight", array.swapaxes(-1, -2))]
    if name.endswith("gate_up_proj"):
        base, turned = name.replace("gate_up_proj", "{}_proj.weight"), array.swapaxes(-1, -2)
        return [(base.format("gate"), turned[:, ::2, :]), (base.format("up"), turned[:, 1::2, :])]
    return [(name, array)]


def _split(config: dict[str, Any], name: str, array: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Granite's pairs of gate and up, of its experts and of the MLP beside them."""
    layer = re.search(r"layers\.(\d+)\.", name)
    if ".mamba." in name:
        return gguf_export_mamba.memories(config, name, array)
    if layer is None or "_linear" not in name:
        return _permuted(config, name, array)
    beside = "_shexp" if config.get("num_local_experts") else ""
    kind = "_exps" if "sparse" in name else beside
    at = f"blk.{layer[1]}.ffn_{{}}{kind}.weight"
    if "output_linear" in name:
        return [(at.format("down"), array)]
    gate, up = np.split(array, 2, axis=-2)
    return [(at.format("gate"), gate), (at.format("up"), up)]


CHANGES = {
    "bloom": _headwise,
    "deepseek_v3": gguf_latents.split,
    "falcon": _grouped,
    "gemma": _shifted,
    "gemma2": _shifted,
    "gemma3_text": _shifted,
    **dict.fromkeys(("gemma4_text", "gemma4_unified_text"), gguf_experts.gemma4_names),
    "gpt2": _turned,
    "gpt_neox": _headwise,
    "gpt_oss": _woven,
    "laguna": gguf_experts.laguna_names,
    "lfm2": mixers.short_conv,
    "llama4_text": gguf_experts.unstacked,
    "qwen3_5_text": mixers.delta,
    "qwen3_5_moe_text": mixers.delta,
    "qwen3_next": mixers.next_delta,
    "lfm2_moe": mixers.short_conv,
    "falcon_h1": gguf_export_mamba.multiplied,
    "nemotron_h": gguf_export_mamba.memories,
    "nemotron": _shifted,
    **dict.fromkeys(PERMUTED, _permuted),
    "granitemoe": _split,
    "granitemoehybrid": _split,
}
