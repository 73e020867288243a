"""The structs of source/model.h and quantising.h that one call hands over; see abi.py."""

from __future__ import annotations

import ctypes as c


class LayerCopies(c.Structure):
    """What a probe is shown of one layer."""

    _NAMES = ("queries", "attention", "mlp", "told", "stream", "heads", "shares", "state")
    _fields_ = tuple((name, c.c_void_p) for name in _NAMES)


class Copies(c.Structure):
    """What a probe is shown of a forward."""

    _fields_ = (
        *(("first", c.c_int32), ("end", c.c_int32)),
        *(("embedding", c.c_void_p), ("layer", c.c_void_p)),
    )


class Edit(c.Structure):
    """A change of some numbers of one token, or of all."""

    _fields_ = (
        ("add", c.c_void_p),
        *((name, c.c_int32) for name in ("token", "first", "count")),
        ("factor", c.c_float),
    )


class Edits(c.Structure):
    """Changes at one point."""

    _fields_ = (("edits", c.c_void_p), ("count", c.c_int64))


class LayerEdits(c.Structure):
    """Changes in one layer."""

    _fields_ = tuple(
        (name, Edits) for name in ("heads", "attention", "mlp", "told", "stream", "shares")
    )


class CallEdits(c.Structure):
    """Changes of a forward."""

    _fields_ = (("embedding", Edits), ("layer", c.c_void_p))


class LayerSquares(c.Structure):
    """Sums of squares of what the matrices of one layer read."""

    _fields_ = tuple(
        (name, c.c_void_p)
        for name in (
            *("attention", "out", "mlp", "down", "shared", "latent", "latent_sum"),
            *("beside", "told", "told_out"),
        )
    )


class Squares(c.Structure):
    """Sums of squares of what all matrices read."""

    _fields_ = (("layer", c.c_void_p), ("head", c.c_void_p))


class Kept(c.Structure):
    """Keys and values of one layer."""

    _fields_ = (
        *((name, c.c_void_p) for name in ("keys", "values", "origins")),
        *((name, c.c_int32) for name in ("batch", "capacity", "near")),
    )


class Call(c.Structure):
    """One forward."""

    _fields_ = (
        *(
            (name, c.c_int32)
            for name in ("count", "wanted_count", "row_count", "row_pages", "cache_kind", "angles")
        ),
        *(
            (name, c.c_void_p)
            for name in ("tokens", "rows", "positions", "wanted", "kept", "table", "near", "logits")
        ),
        ("probe", c.POINTER(Copies)),
        ("squares", c.POINTER(Squares)),
        *((name, c.c_void_p) for name in ("inputs", "memory", "slots")),
        ("slot_count", c.c_int32),
        ("edits", c.POINTER(CallEdits)),
    )


class Quantising(c.Structure):
    """Rows of floats that become blocks; see source/quantising.h."""

    _fields_ = (
        ("block", c.c_char_p),
        ("numbers", c.c_void_p),
        ("rows", c.c_int64),
        ("columns", c.c_int64),
        ("weights", c.c_void_p),
        ("out", c.c_void_p),
        ("errors", c.c_void_p),
        ("quick", c.c_int32),
    )


STRUCTS = (
    *(LayerCopies, Copies, Edit, Edits, LayerEdits, CallEdits),
    *(LayerSquares, Squares, Kept, Call, Quantising),
)
