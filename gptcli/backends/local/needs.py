"""What a model takes to run here, told from headers alone, without torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gptcli.engine.cpu import kv_dtypes
from gptcli.engine.describe import described
from gptcli.engine.host.gpu import may_be_there
from gptcli.engine.host.memory import available_bytes, least_tokens, scratch_bytes
from gptcli.engine.model.rules import Rules, next_tokens
from gptcli.errors import UsageError
from gptcli.formats import ggml_blocks, quantization
from gptcli.formats.model_files import ModelFiles
from gptcli.formats.stored import StoredFiles
from gptcli.models import quantised_facts as quantised

_WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
_STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


@dataclass(frozen=True)
class Dequantised:
    """What of weights in codes does not run as it is stored.

    matrices: how many, None for all of them; stored: their bytes in the files, weights: those
    that they take in their place.
    """

    matrices: int | None
    stored: int
    weights: int


@dataclass(frozen=True)
class LeftOut:
    """What of a checkpoint does not run: in words, how many tensors, and their bytes."""

    what: str
    tensors: int
    bytes: int


@dataclass(frozen=True)
class Needs:
    """A model as it would run: its shape, and bytes of memory.

    parameters: those that are used, each counted once however it is packed; longest: the most
    tokens it was made for.

    layers: all of them, of which `attending` have attention, and `carrying` a state in its place.

    weights and cache (the KV cache of `context` tokens, the context in use, each_token: of one) are
    in `dtype`, what is quantised for the CPU kernels as these have it; state: what a text has of
    states, however long it is; scratch: what it computes with beside both,
    from as many tokens as it has to have room for; available: bytes free in main memory, None
    where that is not known. dequantised: None where no weights are stored in codes, or all run so.
    left_out: what of the files does not run.
    """

    parameters: int
    layers: int
    attending: int
    carrying: int
    heads: int
    kv_heads: int
    width: int
    vocabulary: int
    longest: int
    context: int
    dtype: str
    weights: int
    cache: int
    each_token: int
    state: int
    scratch: int
    available: int | None
    dequantised: Dequantised | None = None
    left_out: tuple[LeftOut, ...] = ()


def needs(
    files: ModelFiles,
    *,
    dtype: str | None = None,
    limit: int | None = None,
    kv_dtype: str = "auto",
) -> Needs:
    """The needs of a model, whose files these are; without a dtype, or with `auto`, in its own.

    kv_dtype: as --kv-dtype names it.

    Raises ModelError for a model that cannot run, UsageError for a limit beyond its context, and
    for a dtype that needs the CPU kernels where they cannot be used.
    """
    model = described(files)
    config, spec = model.config, model.spec
    found = quantised.config_of(files.config)
    packed = found is not None
    if found is not None:
        # Only here, since it takes numpy.
        from gptcli.engine.weights.quantised import method_of

        method_of(config)
    if limit is not None and limit > spec.context:
        raise UsageError("--ctx-size", f"{limit} is more than the model's context, {spec.context}")
    rules = model.family.rules(spec)
    ignored = rules.left_out
    tensors = model.stored.tensors.values()
    used = [each for each in tensors if not ignored.fullmatch(rules.bare(each.name))]
    kinds = dict.fromkeys(_STORED, 0)
    for tensor in used:
        if ggml_blocks.are_blocks(tensor.kind):
            kinds["BF16"] += tensor.elements
        if tensor.kind in kinds and not (packed and quantised.is_beside(tensor.name)):
            kinds[tensor.kind] += tensor.elements
    numbers = quantised.parameters(used, files.config) if packed else sum(kinds.values())
    wanted, weights, scratch, changed = dtype or "auto", None, None, None
    context = limit or spec.context
    in_codes, kept = quantization.in_codes(config.get, model.stored), False
    as_stored = wanted == "auto" and (in_codes or model.stored.in_gguf) and not may_be_there()
    if as_stored or wanted not in ("auto", *_WIDTHS):
        # Only here, since it takes numpy.
        from gptcli.engine.cpu.binding.library import default_threads
        from gptcli.engine.cpu.choice import choose

        choice = choose(model, wanted)
        if choice is not None:
            wanted, weights = choice.name, choice.bytes(spec)
            scratch = choice.scratch(spec, context, default_threads())
            if choice.changed is not None:
                told = choice.changed
                kept, changed = True, Dequantised(told.matrices, told.stored, told.packed)
    if wanted == "auto":
        wanted = _STORED[max(kinds, key=lambda kind: kinds[kind])]
    # That of quantised weights has two bytes a number; on a CPU that of float16 is float32.
    item = _WIDTHS.get(wanted, 2)
    of_cache = 4 if wanted == "float16" and not may_be_there() else item
    if kv_dtype != "auto":
        kv_dtypes.check(spec, kv_dtype)
        of_cache = kv_dtypes.BYTES[kv_dtype]
    weights = numbers * item if weights is None else weights
    if scratch is None:
        scratch = scratch_bytes(spec, least_tokens(context), item)
    if in_codes and not kept:
        changed = Dequantised(None, sum(each.size for each in used), weights)
    return Needs(
        parameters=numbers,
        layers=spec.layers,
        attending=len(spec.attending),
        carrying=len(spec.carrying),
        heads=spec.heads,
        kv_heads=spec.kv_heads,
        width=spec.width,
        vocabulary=spec.vocab,
        longest=spec.context,
        context=context,
        dtype=wanted,
        weights=weights,
        cache=spec.cache_bytes(context, of_cache) - spec.row_bytes,
        each_token=spec.token_bytes(of_cache),
        state=spec.row_bytes,
        scratch=scratch,
        available=available_bytes("cpu"),
        dequantised=changed if changed and changed.stored else None,
        left_out=tuple(_left_out(rules, model.stored)),
    )


def _left_out(rules: Rules, stored: StoredFiles) -> Iterator[LeftOut]:
    if stored.further[0]:
        yield LeftOut(next_tokens("").what, *stored.further)
    for each in rules.beside:
        names = re.compile(each.stored)
        sizes = [t.size for t in stored.tensors.values() if names.fullmatch(rules.bare(t.name))]
        if sizes:
            yield LeftOut(each.what, len(sizes), sum(sizes))
