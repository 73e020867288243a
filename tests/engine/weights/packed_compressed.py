"""The compressed-tensors format, packed slowly, for scales whose numbers torch does not round.

test_compressed.py holds its reader to the library; these are for what else reads it.
"""

from __future__ import annotations

from typing import Any

import torch

from tests.engine.weights.packed import FLOAT4, Pack, Tensors, grouped, pack_columns, pack_rows


def config(form: str, **weights: Any) -> dict[str, Any]:
    """What config.json says of linear layers that are all stored alike."""
    group = {"targets": ["Linear"], "weights": {"symmetric": True, "type": "int"} | weights}
    return {
        "quantization_config": {
            "quant_method": "compressed-tensors",
            "format": form,
            "quantization_status": "compressed",
            "config_groups": {"group_0": group},
            "ignore": ["lm_head"],
        }
    }


def whole(
    bits: int, size: int, *, sym: bool, words: bool = True, order: bool = False
) -> tuple[Pack, dict[str, Any]]:
    """Whole numbers, in words or (8 bits) bytes, with a scale in float32 for `size` inputs.

    size -1: for all of them. order: inputs belong to groups in an order of their own.
    """
    middle = 1 << (bits - 1)

    def pack(weight: torch.Tensor) -> tuple[Tensors, torch.Tensor]:
        inputs = weight.shape[1]
        groups = torch.arange(inputs) // (size if size > 0 else inputs)
        if order:
            groups = groups[torch.randperm(inputs, generator=torch.Generator().manual_seed(inputs))]
        numbers, zeros, scales = grouped(weight, groups, bits, symmetric=sym, dtype=torch.float32)
        found = {"weight_scale": scales.t()}
        if words:
            found["weight_packed"] = pack_columns(numbers.t(), bits)
            found["weight_shape"] = torch.tensor(weight.shape)
        else:
            found["weight"] = (numbers.t() - middle).to(torch.int8)
        if not sym and words:
            found["weight_zero_point"] = pack_rows(zeros.t(), bits)
        elif not sym:
            found["weight_zero_point"] = (zeros.t() - middle).to(torch.int8)
        if order:
            found["weight_g_idx"] = groups.int()
        return found, (scales[groups] * (numbers - zeros[groups])).t()

    said: dict[str, Any] = {"num_bits": bits, "symmetric": sym}
    said |= {"strategy": "group", "group_size": size} if size > 0 else {"strategy": "channel"}
    said |= {"actorder": "group"} if order else {}
    return pack, config("pack-quantized" if words else "int-quantized", **said)


def nvfp4(factor: float = 87.5) -> tuple[Pack, dict[str, Any]]:
    """NVFP4, the global scale of which divides."""

    def pack(weight: torch.Tensor) -> tuple[Tensors, torch.Tensor]:
        groups = weight.unflatten(1, (-1, 16))
        scales = (groups.abs().amax(2) / 6 * factor).to(torch.float8_e4m3fn)
        codes, meaning = _nearest(groups, scales.float() / factor)
        found = {"weight_packed": codes, "weight_scale": scales}
        return found | {"weight_global_scale": torch.tensor([factor])}, meaning

    said = {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}
    return pack, config("nvfp4-pack-quantized", **said)


def mxfp4() -> tuple[Pack, dict[str, Any]]:
    """MXFP4."""

    def pack(weight: torch.Tensor) -> tuple[Tensors, torch.Tensor]:
        groups = weight.unflatten(1, (-1, 32))
        exponents = (groups.abs().amax(2) / 6).log2().ceil()
        codes, meaning = _nearest(groups, exponents.exp2())
        return {"weight_packed": codes, "weight_scale": (exponents + 127).to(torch.uint8)}, meaning

    said = {"num_bits": 4, "type": "float", "strategy": "group", "group_size": 32}
    return pack, config("mxfp4-pack-quantized", **said)


def _nearest(groups: torch.Tensor, scales: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(out, groups, n) → codes, two in a byte, and what they mean, (out, in)."""
    values = torch.tensor(FLOAT4)
    codes = ((groups / scales.unsqueeze(2)).unsqueeze(-1) - values).abs().argmin(-1)
    flat = codes.flatten(1)
    pairs = (flat[:, ::2] | flat[:, 1::2] << 4).to(torch.uint8)
    return pairs, (values[codes] * scales.unsqueeze(2)).flatten(1)
