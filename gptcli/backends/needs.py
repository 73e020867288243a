"""What a model takes to run here, told from headers alone, without torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gptcli import shards
from gptcli.engine.config_fields import ConfigFields
from gptcli.engine.families import read_spec
from gptcli.engine.memory import available_bytes
from gptcli.errors import UsageError
from gptcli.models import weights_header
from gptcli.types import ModelDir

_WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
_STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
#: Numbers that are stored packed: how many there are in each stored element, by the name's end.
_PACKED = {"_blocks": 2, "_scales": 0}


@dataclass(frozen=True)
class Needs:
    """A model as it would run: its shape, and bytes of memory.

    parameters: those that are used, each counted once however it is packed; longest: the most
    tokens it was made for.

    weights and cache (the KV cache of `context` tokens, the context in use) are in `dtype`;
    available: bytes free in main memory, None where that is not known.
    """

    parameters: int
    layers: int
    heads: int
    kv_heads: int
    width: int
    vocabulary: int
    longest: int
    context: int
    dtype: str
    weights: int
    cache: int
    available: int | None


def needs(model: ModelDir, *, dtype: str | None = None, limit: int | None = None) -> Needs:
    """The needs of a model; without a dtype, or with `auto`, in that of the file.

    Raises ModelError for a model that cannot run, UsageError for a limit beyond its context.
    """
    family, spec = read_spec(ConfigFields.read(model.path))
    if limit is not None and limit > spec.context:
        raise UsageError("--ctx-size", f"{limit} is more than the model's context, {spec.context}")
    rules = family.rules(spec)
    ignored = re.compile("|".join(rules.ignored) or r"(?!)")
    numbers, kinds = 0, dict.fromkeys(_STORED, 0)
    for path in shards.files(model.path):
        for name, tensor in weights_header.read(path).items():
            if ignored.fullmatch(rules.bare(name)):
                continue
            if tensor.dtype in kinds:
                kinds[tensor.dtype] += tensor.elements
                numbers += tensor.elements
            elif tensor.dtype == "U8":
                numbers += tensor.elements * _PACKED.get(name[name.rfind("_") :], 0)
    if dtype in (None, "auto"):
        dtype = _STORED[max(kinds, key=lambda kind: kinds[kind])]
    item = _WIDTHS[dtype]
    context = limit or spec.context
    return Needs(
        parameters=numbers,
        layers=spec.layers,
        heads=spec.heads,
        kv_heads=spec.kv_heads,
        width=spec.width,
        vocabulary=spec.vocab,
        longest=spec.context,
        context=context,
        dtype=dtype,
        weights=numbers * item,
        cache=spec.cache_bytes(context, item),
        available=available_bytes("cpu"),
    )
