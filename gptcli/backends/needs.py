"""What a model takes to run here, told from headers alone, without torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gptcli import jsonfile, shards
from gptcli.engine.config_fields import ConfigFields
from gptcli.engine.families import read_spec
from gptcli.engine.memory import available_bytes
from gptcli.errors import UsageError
from gptcli.models import local, quantised, weights_header
from gptcli.types import ModelDir

_WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
_STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


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
    config = ConfigFields.read(model.path)
    family, spec = read_spec(config)
    settings = jsonfile.read(model.path / local.CONFIG)
    found = quantised.config_of(settings)
    packed = found is not None
    if found is not None and found.get("quant_method") != "mxfp4":
        # Only here, since the formats are read by what needs torch; MXFP4 is the families' own.
        from gptcli.engine.quantised import method_of

        method_of(config)
    if limit is not None and limit > spec.context:
        raise UsageError("--ctx-size", f"{limit} is more than the model's context, {spec.context}")
    rules = family.rules(spec)
    ignored = re.compile("|".join(rules.ignored) or r"(?!)")
    numbers, kinds = 0, dict.fromkeys(_STORED, 0)
    for path in shards.files(model.path):
        tensors = weights_header.read(path)
        used = {n: t for n, t in tensors.items() if not ignored.fullmatch(rules.bare(n))}
        for name, tensor in used.items():
            if tensor.dtype in kinds and not (packed and quantised.is_beside(name)):
                kinds[tensor.dtype] += tensor.elements
                numbers += 0 if packed else tensor.elements
        numbers += quantised.parameters(path, used, settings) if packed else 0
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
