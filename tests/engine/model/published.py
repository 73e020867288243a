"""Large models as they are published: config.json, and every tensor with its shape and dtype.

Written by hand from their model cards and technical reports; the sizes that their index files
state (`total_size`) prove the lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Tensors = Iterator[tuple[str, tuple[int, ...], str]]


@dataclass(frozen=True)
class Published:
    """A model: its config, its tensors, and the bytes of all of them that its index states.

    left_out: how the names begin of those that are not used.
    """

    config: dict[str, Any]
    tensors: Tensors
    total_size: int
    left_out: tuple[str, ...] = ()


def ends(width: int, vocab: int, prefix: str = "model.", *, head: bool = True) -> Tensors:
    """The embedding, the last norm and the head."""
    yield f"{prefix}embed_tokens.weight", (vocab, width), "BF16"
    yield f"{prefix}norm.weight", (width,), "BF16"
    if head:
        yield "lm_head.weight", (vocab, width), "BF16"


def attention(at: str, width: int, heads: int, kv_heads: int, head_dim: int) -> Tensors:
    """The four matrices of a layer, without biases."""
    for name, rows in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
        yield f"{at}.self_attn.{name}_proj.weight", (rows * head_dim, width), "BF16"
    yield f"{at}.self_attn.o_proj.weight", (width, heads * head_dim), "BF16"


def norms(at: str, size: int, *names: str) -> Tensors:
    """Weights of norms, all of one size."""
    for name in names:
        yield f"{at}.{name}.weight", (size,), "BF16"


def mlp(at: str, width: int, hidden: int) -> Tensors:
    """A gated MLP under the names of Llama's; at: the module's name."""
    yield f"{at}.gate_proj.weight", (hidden, width), "BF16"
    yield f"{at}.up_proj.weight", (hidden, width), "BF16"
    yield f"{at}.down_proj.weight", (width, hidden), "BF16"


BEFORE = ("input_layernorm", "post_attention_layernorm")


def llama_3_70b() -> Published:
    """Llama 3.1 70B."""
    config = {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": 128000,
        "hidden_act": "silu",
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "max_position_embeddings": 131072,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": 64,
        "num_hidden_layers": 80,
        "num_key_value_heads": 8,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_scaling": {
            "factor": 8.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
            "rope_type": "llama3",
        },
        "rope_theta": 500000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "vocab_size": 128256,
    }

    def tensors() -> Tensors:
        yield from ends(8192, 128256)
        for i in range(80):
            at = f"model.layers.{i}"
            yield from attention(at, 8192, 64, 8, 128)
            yield from norms(at, 8192, *BEFORE)
            yield from mlp(f"{at}.mlp", 8192, 28672)

    return Published(config, tensors(), 141107412992)


def qwen3_32b() -> Published:
    """Qwen3 32B."""
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "head_dim": 128,
        "hidden_act": "silu",
        "hidden_size": 5120,
        "intermediate_size": 25600,
        "max_position_embeddings": 40960,
        "max_window_layers": 64,
        "model_type": "qwen3",
        "num_attention_heads": 64,
        "num_hidden_layers": 64,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_sliding_window": False,
        "vocab_size": 151936,
    }

    def tensors() -> Tensors:
        yield from ends(5120, 151936)
        for i in range(64):
            at = f"model.layers.{i}"
            yield from attention(at, 5120, 64, 8, 128)
            yield from norms(f"{at}.self_attn", 128, "q_norm", "k_norm")
            yield from norms(at, 5120, *BEFORE)
            yield from mlp(f"{at}.mlp", 5120, 25600)

    return Published(config, tensors(), 65524246528)


def mixtral_8x7b() -> Published:
    """Mixtral 8x7B."""
    config = {
        "architectures": ["MixtralForCausalLM"],
        "hidden_act": "silu",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "max_position_embeddings": 32768,
        "model_type": "mixtral",
        "num_attention_heads": 32,
        "num_experts_per_tok": 2,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "num_local_experts": 8,
        "output_router_logits": False,
        "rms_norm_eps": 1e-05,
        "rope_theta": 1000000.0,
        "router_aux_loss_coef": 0.02,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "vocab_size": 32000,
    }

    def tensors() -> Tensors:
        yield from ends(4096, 32000)
        for i in range(32):
            at = f"model.layers.{i}"
            yield from attention(at, 4096, 32, 8, 128)
            yield from norms(at, 4096, *BEFORE)
            yield f"{at}.block_sparse_moe.gate.weight", (8, 4096), "BF16"
            for expert in range(8):
                name = f"{at}.block_sparse_moe.experts.{expert}"
                yield f"{name}.w1.weight", (14336, 4096), "BF16"
                yield f"{name}.w2.weight", (4096, 14336), "BF16"
                yield f"{name}.w3.weight", (14336, 4096), "BF16"

    return Published(config, tensors(), 93405585408)


def gemma_3_27b() -> Published:
    """Gemma 3 27B, with its vision tower (SigLIP, 896 by 896 pixels in patches of 14)."""
    config = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "boi_token_index": 255999,
        "eoi_token_index": 256000,
        "eos_token_id": [1, 106],
        "image_token_index": 262144,
        "initializer_range": 0.02,
        "mm_tokens_per_image": 256,
        "model_type": "gemma3",
        "text_config": {
            "head_dim": 128,
            "hidden_size": 5376,
            "intermediate_size": 21504,
            "model_type": "gemma3_text",
            "num_attention_heads": 32,
            "num_hidden_layers": 62,
            "num_key_value_heads": 16,
            "query_pre_attn_scalar": 168,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            "sliding_window": 1024,
        },
        "torch_dtype": "bfloat16",
        "vision_config": {
            "hidden_size": 1152,
            "image_size": 896,
            "intermediate_size": 4304,
            "model_type": "siglip_vision_model",
            "num_attention_heads": 16,
            "num_hidden_layers": 27,
            "patch_size": 14,
            "vision_use_head": False,
        },
    }

    def tensors() -> Tensors:
        yield from ends(5376, 262208, "language_model.model.", head=False)
        for i in range(62):
            at = f"language_model.model.layers.{i}"
            yield from attention(at, 5376, 32, 16, 128)
            yield from norms(f"{at}.self_attn", 128, "q_norm", "k_norm")
            inner = ("pre_feedforward_layernorm", "post_feedforward_layernorm")
            yield from norms(at, 5376, *BEFORE, *inner)
            yield from mlp(f"{at}.mlp", 5376, 21504)
        projector = "multi_modal_projector"
        yield f"{projector}.mm_input_projection_weight", (1152, 5376), "BF16"
        yield f"{projector}.mm_soft_emb_norm.weight", (1152,), "BF16"
        yield from _vision("vision_tower.vision_model", 1152, 4304, 27)

    return Published(
        config, tensors(), 2 * 27432406640, ("vision_tower.", "multi_modal_projector.")
    )


def _vision(at: str, width: int, hidden: int, layers: int) -> Tensors:
    def both(name: str, *shape: int) -> Tensors:
        yield f"{at}.{name}.weight", shape, "BF16"
        yield f"{at}.{name}.bias", shape[:1], "BF16"

    yield from both("embeddings.patch_embedding", width, 3, 14, 14)
    yield f"{at}.embeddings.position_embedding.weight", (64 * 64, width), "BF16"
    for i in range(layers):
        layer = f"encoder.layers.{i}"
        for name in ("q", "k", "v", "out"):
            yield from both(f"{layer}.self_attn.{name}_proj", width, width)
        yield from both(f"{layer}.layer_norm1", width)
        yield from both(f"{layer}.layer_norm2", width)
        yield from both(f"{layer}.mlp.fc1", hidden, width)
        yield from both(f"{layer}.mlp.fc2", width, hidden)
    yield from both("post_layernorm", width)


def gpt_oss_120b() -> Published:
    """gpt-oss 120B, its experts in MXFP4."""
    config = {
        "architectures": ["GptOssForCausalLM"],
        "attention_bias": True,
        "experts_per_token": 4,
        "head_dim": 64,
        "hidden_act": "silu",
        "hidden_size": 2880,
        "initial_context_length": 4096,
        "intermediate_size": 2880,
        "layer_types": ["sliding_attention", "full_attention"] * 18,
        "max_position_embeddings": 131072,
        "model_type": "gpt_oss",
        "num_attention_heads": 64,
        "num_experts_per_tok": 4,
        "num_hidden_layers": 36,
        "num_key_value_heads": 8,
        "num_local_experts": 128,
        "quantization_config": {
            "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"],
            "quant_method": "mxfp4",
        },
        "rms_norm_eps": 1e-05,
        "rope_scaling": {
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "factor": 32.0,
            "original_max_position_embeddings": 4096,
            "rope_type": "yarn",
            "truncate": False,
        },
        "rope_theta": 150000,
        "sliding_window": 128,
        "swiglu_limit": 7.0,
        "tie_word_embeddings": False,
        "vocab_size": 201088,
    }

    def tensors() -> Tensors:
        yield from ends(2880, 201088)
        for i in range(36):
            at = f"model.layers.{i}"
            yield from attention(at, 2880, 64, 8, 64)
            for name, rows in (("q", 4096), ("k", 512), ("v", 512), ("o", 2880)):
                yield f"{at}.self_attn.{name}_proj.bias", (rows,), "BF16"
            yield f"{at}.self_attn.sinks", (64,), "BF16"
            yield from norms(at, 2880, *BEFORE)
            yield f"{at}.mlp.router.weight", (128, 2880), "BF16"
            yield f"{at}.mlp.router.bias", (128,), "BF16"
            for name, rows in (("gate_up_proj", 5760), ("down_proj", 2880)):
                experts = f"{at}.mlp.experts.{name}"
                yield f"{experts}_blocks", (128, rows, 90, 16), "U8"
                yield f"{experts}_scales", (128, rows, 90), "U8"
                yield f"{experts}_bias", (128, rows), "BF16"

    return Published(config, tensors(), 65248815744)


PUBLISHED = {
    "Llama-3.1-70B": llama_3_70b,
    "Qwen3-32B": qwen3_32b,
    "Gemma-3-27B": gemma_3_27b,
    "Mixtral-8x7B": mixtral_8x7b,
    "gpt-oss-120b": gpt_oss_120b,
}
