"""Structs of source/model.h of what a forward shows besides logits; see abi.py."""

from __future__ import annotations

import ctypes as c


class LayerCopies(c.Structure):
    """What a probe is shown of one layer."""

    _fields_ = tuple(
        (name, c.c_void_p) for name in ("queries", "attention", "mlp", "told", "stream")
    )


class Copies(c.Structure):
    """What a probe is shown of a forward."""

    _fields_ = (
        *(("first", c.c_int32), ("end", c.c_int32)),
        *(("embedding", c.c_void_p), ("layer", c.c_void_p)),
    )


class LayerSquares(c.Structure):
    """Sums of squares of what the matrices of one layer read."""

    _fields_ = tuple(
        (name, c.c_void_p)
        for name in (
            *("attention", "out", "mlp", "down", "shared", "latent", "latent_sum"),
            *("told", "told_out"),
        )
    )


class Squares(c.Structure):
    """Sums of squares of what all matrices read."""

    _fields_ = (("layer", c.c_void_p), ("head", c.c_void_p))
