"""LFM2-2.6B as published.

Its card states the 2,569,272,320 parameters, the vocabulary and 8 of 30 layers with attention; the
headers of its GGUF files state widths, heads and taps, and by how many heads of keys each layer has
which layers attend. Names of tensors are those of transformers' module.
"""

from __future__ import annotations

from tests.engine.model.published import Published, Tensors, norms

_ATTENDING = (2, 5, 9, 13, 17, 21, 24, 27)
_WIDTH, _HIDDEN, _VOCABULARY = 2048, 10752, 65536


def lfm2_2_6b() -> Published:
    """LFM2-2.6B: the width inside the MLP is stated as it is, not to be adjusted."""
    kinds = ["full_attention" if i in _ATTENDING else "conv" for i in range(30)]
    config = {
        "architectures": ["Lfm2ForCausalLM"],
        "block_auto_adjust_ff_dim": False,
        "block_dim": _WIDTH,
        "block_ff_dim": _HIDDEN,
        "bos_token_id": 1,
        "conv_L_cache": 3,
        "conv_bias": False,
        "eos_token_id": 7,
        "hidden_size": _WIDTH,
        "intermediate_size": _HIDDEN,
        "layer_types": kinds,
        "max_position_embeddings": 128000,
        "model_type": "lfm2",
        "norm_eps": 1e-05,
        "num_attention_heads": 32,
        "num_hidden_layers": 30,
        "num_key_value_heads": 8,
        "rope_theta": 1000000.0,
        "tie_embedding": True,
        "torch_dtype": "bfloat16",
        "vocab_size": _VOCABULARY,
    }
    return Published(config, _tensors(), 2 * 2_569_272_320)


def _tensors() -> Tensors:
    yield "model.embed_tokens.weight", (_VOCABULARY, _WIDTH), "BF16"
    yield from norms("model", _WIDTH, "embedding_norm")
    for i in range(30):
        at = f"model.layers.{i}"
        yield from norms(at, _WIDTH, "operator_norm", "ffn_norm")
        for name, shape in (("w1", (_HIDDEN, _WIDTH)), ("w2", (_WIDTH, _HIDDEN))):
            yield f"{at}.feed_forward.{name}.weight", shape, "BF16"
        yield f"{at}.feed_forward.w3.weight", (_HIDDEN, _WIDTH), "BF16"
        if i in _ATTENDING:
            for name, rows in (("q", 2048), ("k", 512), ("v", 512), ("out", 2048)):
                yield f"{at}.self_attn.{name}_proj.weight", (rows, _WIDTH), "BF16"
            yield from norms(f"{at}.self_attn", 64, "q_layernorm", "k_layernorm")
        else:
            yield f"{at}.conv.in_proj.weight", (3 * _WIDTH, _WIDTH), "BF16"
            yield f"{at}.conv.conv.weight", (_WIDTH, 1, 3), "BF16"
            yield f"{at}.conv.out_proj.weight", (_WIDTH, _WIDTH), "BF16"


LFM2 = {"LFM2-2.6B": lfm2_2_6b}
