"""What a model takes to run here, told from headers alone, without torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gptcli.engine.host.gpu import may_be_there
from gptcli.engine.host.memory import available_bytes
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import read_spec
from gptcli.engine.model.stored_blocks import keeps_blocks
from gptcli.errors import UsageError
from gptcli.formats import json as jsonfile
from gptcli.formats.safetensors import header as weights_header
from gptcli.formats.safetensors import shards
from gptcli.models import local
from gptcli.models import quantised_facts as quantised
from gptcli.types.models import ModelDir

_WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
_STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


@dataclass(frozen=True)
class Needs:
    """A model as it would run: its shape, and bytes of memory.

    parameters: those that are used, each counted once however it is packed; longest: the most
    tokens it was made for.

    weights and cache (the KV cache of `context` tokens, the context in use) are in `dtype`, what
    is quantised for the CPU kernels as these have it; available: bytes free in main memory, None
    where that is not known.
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
    """The needs of a model; without a dtype, or with `auto`, in what it runs in.

    Raises ModelError for a model that cannot run, UsageError for a limit beyond its context, and
    for a dtype that needs the CPU kernels where they cannot be used.
    """
    config = ConfigFields.read(model.path)
    family, spec = read_spec(config)
    settings = jsonfile.read(model.path / local.CONFIG)
    found = quantised.config_of(settings)
    packed = found is not None
    kept = keeps_blocks(config)
    if found is not None and not kept and found.get("quant_method") != "mxfp4":
        # Only here, since the formats are read by what needs torch; MXFP4 is the families' own.
        from gptcli.engine.weights.quantised import method_of

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
    wanted, weights = dtype or "auto", None
    if wanted not in ("auto", *_WIDTHS) or (wanted == "auto" and kept and not may_be_there()):
        # Only here, since it takes numpy.
        from gptcli.engine.cpu.opening import choose

        choice = choose(model.path, spec, wanted)
        if choice is not None:
            wanted, weights = choice.name, choice.bytes(spec)
    if wanted == "auto":
        wanted = _STORED[max(kinds, key=lambda kind: kinds[kind])]
    # The cache of quantised weights is bfloat16.
    item = _WIDTHS.get(wanted, 2)
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
        dtype=wanted,
        weights=numbers * item if weights is None else weights,
        cache=spec.cache_bytes(context, item),
        available=available_bytes("cpu"),
    )
