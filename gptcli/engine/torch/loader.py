"""A model directory → a TorchRunner: which device, which dtype, and the weights put in place."""

from __future__ import annotations

import platform
from functools import partial

import torch
from torch import Tensor

from gptcli import units
from gptcli.engine.describe import Described
from gptcli.engine.host import memory
from gptcli.engine.runner import context_in_use
from gptcli.engine.torch import packed
from gptcli.engine.torch.adapters import attach, can_stand_apart
from gptcli.engine.torch.plan import plan
from gptcli.engine.torch.runner import TorchRunner
from gptcli.engine.weights.dequantised import dequantised_mxfp4
from gptcli.errors import ResourceError, UsageError
from gptcli.formats import ggml_blocks
from gptcli.types.compute import QUANTISED, Compute
from gptcli.types.events import Notice

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(name: str) -> torch.device:
    """`auto` is CUDA, else MPS, else the CPU. Raises UsageError for one that is not there."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    # Read here, since torch.device takes an index modulo 256: cuda:256 would be cuda:0.
    kind, _, number = name.partition(":")
    if kind == "cuda" and not cuda:
        raise UsageError("--device", f"{name} is not available: this torch sees no CUDA GPU")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise UsageError("--device", f"{name} is not available: {torch.cuda.device_count()} GPU(s)")
    if kind == "mps" and not mps:
        raise UsageError("--device", "mps is not available on this machine")
    return torch.device(kind, int(number)) if number else torch.device(kind)


def pick_dtype(
    name: str, stored: torch.dtype, device: torch.device, *, bits: str | None = None
) -> torch.dtype:
    """`auto` is what the file holds, where the device computes in it well, else float32.

    bits: beside weights of fewer, which a GPU meets in bfloat16.
    """
    if name != "auto":
        return _DTYPES[name]
    if bits is not None and _does_well(device, torch.bfloat16):
        return torch.bfloat16
    if stored == torch.float32 or _does_well(device, stored):
        return stored
    return torch.float32


def _does_well(device: torch.device, dtype: torch.dtype) -> bool:
    if device.type == "cuda":
        # Before Ampere, bfloat16 is emulated.
        return dtype == torch.float16 or torch.cuda.get_device_capability(device)[0] >= 8
    if device.type == "mps":
        return True
    # On a CPU, matrix products in float16 are several times slower than in float32; bfloat16 is
    # faster, but only where the CPU has instructions for it.
    if dtype != torch.bfloat16:
        return False
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    if supported is not None and supported():
        return True
    # On x86 this says yes to every AVX-512, which emulates bfloat16 where it has no instructions.
    arm = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    if arm is None or platform.machine().lower() not in {"aarch64", "arm64"}:
        return False
    return bool(torch.backends.mkldnn.is_available() and arm())


def load(described: Described, compute: Compute) -> TorchRunner:
    """Build the decoder that config.json describes, with the weights of its directory.

    On a CPU and in the file's own dtype, the weights stay where the system mapped them. Adapters
    are added to the weights that they change, or where they are to stand apart kept beside those of
    linear layers. Raises ModelError for anything wrong with a directory, UsageError for a device
    that is not there or a limit beyond the model's context, ResourceError where memory is, or
    becomes, too small.
    """
    planned = plan(described, compute.adapter)
    place = described.stored.place
    decoder, adapted = planned.decoder, planned.adapted
    limit = context_in_use(decoder.spec, compute.ctx_size)
    target = pick_device(compute.device)
    bits = compute.dtype if compute.dtype in QUANTISED else None
    _check_bits(bits, compute, target)
    kind = pick_dtype("auto" if bits else compute.dtype, planned.source.dtype, target, bits=bits)
    name = bits or str(kind).removeprefix("torch.")
    layers = {} if bits is None else packed.replace(decoder, bits, kind, target)
    tokens = memory.least_tokens(limit)
    shapes = dict(planned.shapes)
    if target.type == "cpu" and kind == planned.source.dtype:
        # It stays in the file, of which a token reads a row.
        shapes.pop("layer_inputs.table.weight", None)
    memory.check(
        str(place),
        decoder.spec,
        sum(
            shape.numel() * (layers[each].bits if each in layers else 8 * kind.itemsize) // 8
            for each, shape in shapes.items()
        ),
        scratch=memory.scratch_bytes(decoder.spec, tokens, kind.itemsize),
        dtype=name,
        item=kind.itemsize,
        context=limit,
        device=str(target),
    )
    state: dict[str, Tensor] = {}
    beside = []
    try:
        for placement in planned.placements:
            read = planned.source.read
            if compute.adapter_apart and adapted and can_stand_apart(decoder, placement):
                beside.append((placement, adapted.updates(placement.stored[0].name)))
                read = adapted.without_updates
            tensors = [read(stored.name) for stored in placement.stored]
            unpacked = partial(dequantised_mxfp4, placement.stored, kind)
            dtype = torch.float32 if placement.layout.rule.exact else kind
            for each, part in placement.layout.cut(tensors, planned.shapes, unpacked):
                if each in layers:
                    codes = layers[each].packed(part.to(target, torch.float32), kind)
                    state |= zip((each, f"{each.removesuffix('weight')}scales"), codes, strict=True)
                else:
                    state[each] = part.to(target, dtype)
        decoder.load_state_dict(state, assign=True)
        for placement, updates in beside:
            attach(decoder, placement, updates, planned.shapes)
        if target.type == "cuda":
            # Convolutions of float32 would be rounded to 10 bits, which nobody has asked for.
            torch.backends.cudnn.allow_tf32 = False
            decoder.join()
    except torch.OutOfMemoryError:
        raise ResourceError(str(place), f"does not fit into the memory of {target}") from None
    return TorchRunner(decoder.eval(), limit, _notices(described, kind, name))


def _check_bits(bits: str | None, compute: Compute, target: torch.device) -> None:
    """Raise UsageError where weights of so few bits cannot be."""
    if bits is None:
        return
    if compute.adapter and compute.adapter_apart:
        raise UsageError("--adapter-apart", f"stands beside no weights of {bits}")
    if not packed.is_there(bits, target):
        reason = f"{bits} is not available on {target}: this torch has no kernel for it there"
        raise UsageError("--dtype", reason)


def _notices(described: Described, kind: torch.dtype, name: str) -> list[Notice]:
    """What blocks of a GGUF file become, since torch computes with none."""
    stored = described.stored
    blocks = [each for each in stored.tensors.values() if ggml_blocks.are_blocks(each.kind)]
    if not blocks:
        return []
    before = units.size(sum(each.size for each in blocks))
    after = f"{units.size(kind.itemsize * sum(each.elements for each in blocks))} in {name}"
    after = f"become {name} of another form" if name in QUANTISED else f"take {after}"
    return [Notice(str(stored.files[0]), f"runs by torch, where {before} of blocks {after}")]
