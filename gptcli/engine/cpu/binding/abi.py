"""The structs of source/model.h, for ctypes: same names, same order."""

from __future__ import annotations

import ctypes as c
from enum import IntEnum


class Kind(IntEnum):
    """How the numbers of a matrix are stored; source/pack.h has the layouts."""

    FLOAT32 = 0
    BFLOAT16 = 1
    FLOAT16 = 2
    INT8 = 3
    INT4 = 4


class Form(IntEnum):
    """What packing takes: floats, or GGUF's blocks of 32 numbers."""

    FLOAT32 = 0
    BFLOAT16 = 1
    FLOAT16 = 2
    Q8_0 = 3
    Q4_0 = 4
    Q4_1 = 5


ACTIVATIONS = {"gelu": 0, "gelu_tanh": 1, "quick_gelu": 2, "relu": 3, "silu": 4}
OVER_HEADS = {"head": 1, "each_head": 2, "width": 3}
PARALLEL = {"serial": 0, "parallel": 1, "parallel_one_norm": 2}


class Matrix(c.Structure):
    """Rows in blocks of 16."""

    _fields_ = (
        ("data", c.c_void_p),
        ("bias", c.c_void_p),
        ("kind", c.c_int32),
        ("rows", c.c_int32),
        ("columns", c.c_int32),
        ("unused", c.c_int32),
    )


class Norm(c.Structure):
    """A weight, and perhaps a bias."""

    _fields_ = (("weight", c.c_void_p), ("bias", c.c_void_p))


class LayerWeights(c.Structure):
    """All of one layer."""

    _fields_ = (
        *((f"{name}_norm", Norm) for name in ("attention", "attention_post", "mlp", "mlp_post")),
        *((f"{name}_norm", Norm) for name in ("query", "key")),
        *((name, Matrix) for name in ("qkv", "out", "into_mlp", "down", "router")),
        *((name, c.c_void_p) for name in ("experts_into", "experts_down", "sinks", "cos", "sin")),
        *((name, c.c_int32) for name in ("rope_dim", "interleaved", "window", "unused")),
    )


class Model(c.Structure):
    """All of a model."""

    _fields_ = (
        *(
            (name, c.c_int32)
            for name in (
                *("width", "heads", "kv_heads", "head_dim", "hidden", "vocab", "layers"),
                *("layernorm", "activation", "gated", "norm_over_heads"),
                *("experts", "chosen", "expert_hidden", "normalised", "parallel"),
                *("embedding_kind", "positions_count", "exact_activations", "head_layernorm"),
            )
        ),
        *(
            (name, c.c_float)
            for name in (
                *("eps", "head_eps", "attention_scale", "attention_softcap", "gate_limit"),
                *("up_offset", "residual_scale", "embedding_scale", "logit_scale"),
                "final_softcap",
            )
        ),
        *((name, c.c_void_p) for name in ("embedding", "positions", "slopes")),
        ("embedding_norm", Norm),
        ("final_norm", Norm),
        ("head", Matrix),
        ("layer", c.c_void_p),
    )


class ProbeLayer(c.Structure):
    """What a probe is shown of one layer."""

    _fields_ = tuple((name, c.c_void_p) for name in ("queries", "attention", "mlp", "stream"))


class Probe(c.Structure):
    """What a probe is shown of a forward."""

    _fields_ = (
        *(("first", c.c_int32), ("end", c.c_int32)),
        *(("embedding", c.c_void_p), ("layer", c.c_void_p)),
    )


class Call(c.Structure):
    """One forward."""

    _fields_ = (
        *(
            (name, c.c_int32)
            for name in ("count", "wanted_count", "batch", "capacity", "bfloat16_cache", "angles")
        ),
        *(
            (name, c.c_void_p)
            for name in ("tokens", "rows", "positions", "wanted", "keys", "values", "logits")
        ),
        ("probe", c.POINTER(Probe)),
    )


class Reading(c.Structure):
    """Rows of activations, as a matrix reads them."""

    _fields_ = (
        *((name, c.c_void_p) for name in ("values", "bytes", "halves", "scales", "starts", "sums")),
        ("stride", c.c_int64),
    )
