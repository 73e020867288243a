"""The structs of source/model.h, for ctypes: same names, same order.

`Library` compares their sizes, and the names of kinds and forms, with those that it was built with.
"""

from __future__ import annotations

import ctypes as c
from enum import IntEnum, IntFlag

from gptcli.engine.cpu.binding import calls

#: Grows whenever a struct's fields, or what they mean, change; library.cpp has it too.
VERSION = 18


class Kind(IntEnum):
    """How the numbers of a matrix are stored, in the order of source/kinds.h."""

    FLOAT32 = 0
    BFLOAT16 = 1
    FLOAT16 = 2
    Q8_0 = 3
    Q4_0 = 4
    Q4_1 = 5
    Q5_0 = 6
    Q5_1 = 7
    Q2_K = 8
    Q3_K = 9
    Q4_K = 10
    Q5_K = 11
    Q6_K = 12
    IQ4_NL = 13
    IQ4_XS = 14
    MXFP4 = 15
    NVFP4 = 16
    AFFINE4_32 = 17
    AFFINE4_64 = 18
    AFFINE4_128 = 19
    AFFINE5_64 = 20
    AFFINE6_64 = 21
    AFFINE8_32 = 22
    AFFINE8_64 = 23
    AFFINE8_128 = 24
    FLOAT8 = 25


#: What packing takes, in the order of source/forms.h: floats, and ggml's blocks, which stay what
#: they are in the kind of their name.
Form = Kind
#: The kinds that are floats, and what numpy calls their numbers.
FLOATS = {Kind.FLOAT32: "float32", Kind.BFLOAT16: "uint16", Kind.FLOAT16: "float16"}


class CacheKind(IntEnum):
    """What keys and values are kept as; see source/cache.h. Floats are named as their `Kind`."""

    FLOAT32 = 0
    BFLOAT16 = 1
    FLOAT16 = 2
    INT8 = 3


class Met(IntEnum):
    """What weights of 8 and fewer bits meet activations as; see source/activations.h."""

    INT8 = 0
    INT16 = 1
    FLOAT32 = 2


class Needs(IntFlag):
    """What weights meet in place of float32; see source/activations.h."""

    BYTES = 1
    WORDS = 2
    HALVES = 4
    SUMS = 8


_ACTIVATIONS = ("gelu", "gelu_tanh", "quick_gelu", "relu", "silu", "relu_squared")
ACTIVATIONS = {name: number for number, name in enumerate(_ACTIVATIONS)}
OVER_HEADS = {"head": 1, "each_head": 2, "width": 3}
GATES = {"sigmoid": 0, "softplus": 1}
PARALLEL = {"serial": 0, "parallel": 1, "parallel_one_norm": 2}


class Matrix(c.Structure):
    """Rows in panels of 16."""

    _fields_ = (
        ("data", c.c_void_p),
        ("bias", c.c_void_p),
        ("order", c.c_void_p),
        ("kind", c.c_int32),
        ("rows", c.c_int32),
        ("columns", c.c_int32),
        ("scale", c.c_float),
    )


class Norm(c.Structure):
    """A weight, and perhaps a bias."""

    _fields_ = (("weight", c.c_void_p), ("bias", c.c_void_p))


class Mixer(IntEnum):
    """What mixes tokens in a layer; see source/model.h."""

    NO_MIXER = 0
    ATTENTION = 1
    SHORT_CONV = 2
    BY_STEP = 3
    DELTA = 4


#: How many parts tokens are projected to, and tokens that a convolution goes over at most.
PARTS, MOST_TAPS = 6, 8


class Recurrent(c.Structure):
    """What a mixer has that carries a state."""

    _fields_ = (
        *((name, c.c_int32) for name in ("heads", "key_heads", "key_dim", "value_dim")),
        *((name, c.c_int32) for name in ("by_turns", "taps", "norm_size")),
        *((name, c.c_int32) for name in ("norm_shared", "gate_first")),
        *((name, c.c_float) for name in ("step_least", "step_most", "eps")),
        *((f"{name}_filter", c.c_void_p) for name in ("query", "key", "value")),
        *((f"{name}_bias", c.c_void_p) for name in ("query", "key", "value")),
        *((name, c.c_void_p) for name in ("step_bias", "decay_log", "skip")),
        ("norm", Norm),
    )


class Latents(c.Structure):
    """What latent attention has."""

    _fields_ = (
        *(("rank", c.c_int32), ("plain", c.c_int32), ("query_rank", c.c_int32), ("eps", c.c_float)),
        *(("norm", Norm), ("query_norm", Norm)),
        *((name, Matrix) for name in ("query", "absorb", "value")),
    )


class LayerWeights(c.Structure):
    """All of one layer."""

    _fields_ = (
        *((name, c.c_int32) for name in ("heads", "kv_heads", "head_dim", "hidden")),
        *((name, c.c_int32) for name in ("value_dim", "mixer", "thinks")),
        *(("parts", c.c_int32 * PARTS), ("gathered", c.c_int32)),
        *(("part_scales", c.c_float * PARTS), ("out_scale", c.c_float), ("mlp_scale", c.c_float)),
        ("beside", c.c_void_p),
        *((f"{name}_norm", Norm) for name in ("attention", "attention_post", "mlp", "mlp_post")),
        *((f"{name}_norm", Norm) for name in ("query", "key")),
        *((name, Matrix) for name in ("query", "key", "value", "out")),
        *((name, Matrix) for name in ("output_gate", "step", "strength")),
        *(("recurrent", Recurrent), ("latents", Latents)),
        *((name, Matrix) for name in ("gate", "up", "down", "router")),
        *((name, Matrix) for name in ("latent_in", "latent_out", "shared_gate")),
        *((f"experts_{name}", c.c_void_p) for name in ("gate", "up", "down")),
        *((name, c.c_void_p) for name in ("correction", "expert_scales", "sinks", "slopes")),
        *((f"told_{name}", Matrix) for name in ("gate", "out")),
        ("told_norm", Norm),
        *((f"{name}_norm", Norm) for name in ("router", "experts", "experts_post", "shared_post")),
        *(("cache", c.c_int32), ("values_are_keys", c.c_int32), ("scale", c.c_float)),
        *(("cos", c.c_void_p), ("sin", c.c_void_p)),
        *((name, c.c_int32) for name in ("rope_dim", "interleaved", "window", "chunk")),
        *((name, c.c_int32) for name in ("sharpened_first", "sharpened_length")),
        *((name, c.c_float) for name in ("attention_scale", "sharpened_scale")),
    )


class Model(c.Structure):
    """All of a model."""

    _fields_ = (
        *(
            (name, c.c_int32)
            for name in (
                *("width", "vocab", "layers"),
                *("layernorm", "activation", "gated", "norm_over_heads"),
                *("experts", "chosen", "expert_hidden", "normalised"),
                *("sigmoid", "groups", "groups_chosen", "group_best", "on_input", "latent"),
                *("parallel", "positions_count", "met", "head_layernorm"),
                *("gate_activation", "norm_after_rope"),
            )
        ),
        *(
            (name, c.c_float)
            for name in (
                *("eps", "head_eps", "attention_softcap", "gate_limit"),
                *("up_offset", "router_softcap", "share_scale"),
                *("gate_scale", "embedding_scale", "logit_scale"),
                *("final_softcap", "value_eps"),
            )
        ),
        *(("apart", c.c_int32), ("router_scale", c.c_float)),
        *(("told_size", c.c_int32), ("told_scale", c.c_float)),
        *((f"told_{name}", Matrix) for name in ("table", "project")),
        ("told_norm", Norm),
        ("embedding", Matrix),
        ("positions", c.c_void_p),
        ("embedding_norm", Norm),
        ("final_norm", Norm),
        ("head", Matrix),
        ("layer", c.c_void_p),
    )


#: Those that cross the border, in the order in which the library tells their sizes.
STRUCTS = (*(Matrix, Norm, Recurrent, Latents, LayerWeights, Model, *calls.STRUCTS),)
