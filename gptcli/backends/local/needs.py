"""What a model takes to run here, told from headers alone, without torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gptcli.engine.describe import described
from gptcli.engine.host.gpu import may_be_there
from gptcli.engine.host.memory import available_bytes, least_tokens, scratch_bytes
from gptcli.errors import UsageError
from gptcli.formats import ggml_blocks
from gptcli.formats.model_files import ModelFiles
from gptcli.models import quantised_facts as quantised

_WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
_STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


@dataclass(frozen=True)
class Needs:
    """A model as it would run: its shape, and bytes of memory.

    parameters: those that are used, each counted once however it is packed; longest: the most
    tokens it was made for.

    weights and cache (the KV cache of `context` tokens, the context in use) are in `dtype`, what
    is quantised for the CPU kernels as these have it; scratch: what it computes with beside both,
    from as many tokens as it has to have room for; available: bytes free in main memory, None
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
    scratch: int
    available: int | None


def needs(files: ModelFiles, *, dtype: str | None = None, limit: int | None = None) -> Needs:
    """The needs of a model, whose files these are; without a dtype, or with `auto`, in its own.

    Raises ModelError for a model that cannot run, UsageError for a limit beyond its context, and
    for a dtype that needs the CPU kernels where they cannot be used.
    """
    model = described(files)
    config, spec = model.config, model.spec
    found = quantised.config_of(files.config)
    packed = found is not None
    kept = model.stored.in_gguf
    if found is not None and found.get("quant_method") != "mxfp4":
        # Only here, since the formats are read by what needs torch; MXFP4 is the families' own.
        from gptcli.engine.weights.quantised import method_of

        method_of(config)
    if limit is not None and limit > spec.context:
        raise UsageError("--ctx-size", f"{limit} is more than the model's context, {spec.context}")
    rules = model.family.rules(spec)
    ignored = re.compile("|".join(rules.ignored) or r"(?!)")
    tensors = model.stored.tensors.values()
    used = [each for each in tensors if not ignored.fullmatch(rules.bare(each.name))]
    kinds = dict.fromkeys(_STORED, 0)
    for tensor in used:
        if ggml_blocks.are_blocks(tensor.kind):
            kinds["BF16"] += tensor.elements
        if tensor.kind in kinds and not (packed and quantised.is_beside(tensor.name)):
            kinds[tensor.kind] += tensor.elements
    numbers = quantised.parameters(used, files.config) if packed else sum(kinds.values())
    wanted, weights, scratch = dtype or "auto", None, None
    context = limit or spec.context
    if wanted not in ("auto", *_WIDTHS) or (wanted == "auto" and kept and not may_be_there()):
        # Only here, since it takes numpy.
        from gptcli.engine.cpu.binding.library import default_threads
        from gptcli.engine.cpu.opening import choose

        choice = choose(model, wanted)
        if choice is not None:
            wanted, weights = choice.name, choice.bytes(spec)
            scratch = choice.scratch(spec, context, default_threads())
    if wanted == "auto":
        wanted = _STORED[max(kinds, key=lambda kind: kinds[kind])]
    # The cache of quantised weights is bfloat16.
    item = _WIDTHS.get(wanted, 2)
    if scratch is None:
        scratch = scratch_bytes(spec, least_tokens(context), item)
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
        scratch=scratch,
        available=available_bytes("cpu"),
    )
