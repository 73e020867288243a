"""What the kernels can keep keys and values in, by what --kv-dtype calls it."""

from __future__ import annotations

from gptcli.engine.model.spec import ModelSpec
from gptcli.errors import UsageError

#: Bytes of each number; those of one byte are codes, see source/codes.h.
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}


def check(spec: ModelSpec, name: str) -> None:
    """Raise UsageError where a model's keys and values cannot be kept so."""
    if name == "int8" and spec.latents is not None:
        reason = "int8 is not for this model: what its attention keeps are latents, not keys"
        raise UsageError("--kv-dtype", reason)
