"""Quantised checkpoints made from the golden ones, packed slowly, number by number.

Each packer is written from the published layout, for reading; what the weights then mean is
computed from the same numbers before they are packed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.engine.helpers import copy_case

Tensors = dict[str, Tensor]
#: A weight (out, in) → the tensors that stand for it, and what they mean.
Pack = Callable[[Tensor], tuple[Tensors, Tensor]]


def words(numbers: list[int], bits: int) -> list[int]:
    """Numbers → signed 32-bit words, the first number in the lowest bits."""
    found = []
    each = 32 // bits
    for start in range(0, len(numbers), each):
        word = 0
        for place, number in enumerate(numbers[start : start + each]):
            assert 0 <= number < 1 << bits
            word |= number << (bits * place)
        found.append(word - (1 << 32) if word >= 1 << 31 else word)
    return found


def pack_columns(matrix: Tensor, bits: int) -> Tensor:
    """Pack each row along its columns."""
    return torch.tensor([words(row, bits) for row in matrix.tolist()], dtype=torch.int32)


def pack_rows(matrix: Tensor, bits: int) -> Tensor:
    """Pack each column along its rows."""
    return pack_columns(matrix.t(), bits).t().contiguous()


def grouped(
    weight: Tensor,
    groups: Tensor,
    bits: int,
    *,
    symmetric: bool,
    dtype: torch.dtype = torch.float16,
) -> tuple[Tensor, ...]:
    """Numbers (in, out), zeros (groups, out) from 1 on, scales (groups, out) in a float dtype."""
    count = int(groups.max()) + 1
    top = (1 << bits) - 1
    numbers = torch.zeros(weight.shape[1], weight.shape[0], dtype=torch.int64)
    zeros = torch.full((count, weight.shape[0]), 1 << (bits - 1))
    scales = torch.zeros(count, weight.shape[0], dtype=dtype)
    for group in range(count):
        rows = weight.t()[groups == group]  # (inputs, out)
        low, high = rows.amin(0).clamp(max=0), rows.amax(0).clamp(min=0)
        if symmetric:
            high = torch.maximum(-low, high)
            low = -high
        scales[group] = ((high - low) / top).to(dtype)
        if not symmetric:
            zeros[group] = (-low / scales[group].float()).round().long().clamp(1, top)
        found = (rows / scales[group].float()).round().long() + zeros[group]
        numbers[groups == group] = found.clamp(0, top)
    return numbers, zeros, scales


def gptq(
    bits: int,
    size: int,
    *,
    sym: bool,
    version: int = 1,
    order: bool = False,
    dtype: torch.dtype = torch.float16,
) -> Pack:
    """GPTQ; `order`: inputs belong to groups in an order of their own; dtype: of the scales."""

    def pack(weight: Tensor) -> tuple[Tensors, Tensor]:
        inputs = weight.shape[1]
        groups = torch.arange(inputs) // (size if size > 0 else inputs)
        if order:
            groups = groups[torch.randperm(inputs, generator=torch.Generator().manual_seed(inputs))]
        numbers, zeros, scales = grouped(weight, groups, bits, symmetric=sym, dtype=dtype)
        meaning = torch.empty(inputs, weight.shape[0], dtype=dtype)
        for i in range(inputs):
            g = groups[i]
            meaning[i] = scales[g] * (numbers[i] - zeros[g]).to(dtype)
        return {
            "qweight": pack_rows(numbers, bits),
            "qzeros": pack_columns(zeros - (1 if version == 1 else 0), bits),
            "scales": scales,
            "g_idx": groups.int(),
        }, meaning.t()

    return pack


def awq(
    size: int, *, bits: int = 4, zero_point: bool = True, dtype: torch.dtype = torch.float16
) -> Pack:
    """AWQ's "gemm" layout."""

    def pack(weight: Tensor) -> tuple[Tensors, Tensor]:
        inputs = weight.shape[1]
        groups = torch.arange(inputs) // (size if size > 0 else inputs)
        numbers, zeros, scales = grouped(
            weight, groups, bits, symmetric=not zero_point, dtype=dtype
        )
        meaning = torch.stack(
            [scales[groups[i]] * (numbers[i] - zeros[groups[i]]).to(dtype) for i in range(inputs)]
        )
        found = {
            "qweight": pack_columns(_interleaved(numbers, bits), bits),
            "scales": scales,
        }
        if zero_point:
            found["qzeros"] = pack_columns(_interleaved(zeros, bits), bits)
        return found, meaning.t()

    return pack


def _interleaved(matrix: Tensor, bits: int) -> Tensor:
    places = {4: (0, 2, 4, 6, 1, 3, 5, 7), 8: (0, 2, 1, 3)}[bits]
    columns = []
    for start in range(0, matrix.shape[1], len(places)):
        columns += [start + place for place in places]
    return matrix[:, columns]


def fp8(block: tuple[int, int] | None, *, name: str = "weight_scale_inv") -> Pack:
    """float8; one scale for each block, row (block[1] = 0) or tensor (None)."""

    def pack(weight: Tensor) -> tuple[Tensors, Tensor]:
        rows, columns = weight.shape
        down, across = (rows, columns) if block is None else (block[0], block[1] or columns)
        scales = torch.zeros(-(-rows // down), -(-columns // across))
        numbers = torch.zeros(rows, columns, dtype=torch.float8_e4m3fn)
        meaning = torch.zeros(rows, columns)
        for i in range(scales.shape[0]):
            for j in range(scales.shape[1]):
                where = slice(i * down, (i + 1) * down), slice(j * across, (j + 1) * across)
                scales[i, j] = weight[where].abs().max() / 448
                numbers[where] = (weight[where] / scales[i, j]).to(torch.float8_e4m3fn)
                meaning[where] = numbers[where].float() * scales[i, j]
        stored = scales.view(()) if block is None else scales
        return {"weight": numbers, name: stored}, meaning

    return pack


def quantise(
    case: str,
    to: Path,
    pack: Pack,
    config: Mapping[str, Any] | None,
    *,
    transposed: bool = False,
    skip: tuple[str, ...] = ("lm_head",),
) -> Tensors:
    """A copy of a golden checkpoint whose linear layers are packed; what they mean.

    The meaning is by stored name, as the plain checkpoint would hold it; `transposed`: that is
    (in, out).
    """
    if config is None:
        copy_case(case, to)
    else:
        copy_case(case, to, lambda c: c.update({"quantization_config": dict(config)}))
    stored = load_file(to / "model.safetensors")
    meaning: Tensors = {}
    for name, tensor in list(stored.items()):
        module = name.removesuffix(".weight")
        inside = any(f".{word}." in name for word in ("layers", "h", "blocks"))
        linear = tensor.dim() == 2 and name.endswith(".weight") and "norm" not in module
        # Words are whole: what is not a multiple of their numbers cannot be packed.
        fits = linear and tensor.shape[0 if transposed else 1] % 8 == 0
        if not fits or not inside or any(s in name for s in skip):
            meaning[name] = tensor
            continue
        parts, weight = pack(tensor.t() if transposed else tensor)
        meaning[name] = (weight.t() if transposed else weight).contiguous()
        del stored[name]
        stored |= {f"{module}.{part}": t.contiguous() for part, t in parts.items()}
    (to / "model.safetensors").unlink()
    save_file(stored, to / "model.safetensors")
    return meaning


def plain(case: str, to: Path, meaning: Tensors) -> Path:
    """The golden checkpoint with these weights, in float32."""
    copy_case(case, to)
    (to / "model.safetensors").unlink()
    # Bytes are MXFP4 of the family's own.
    found = {n: t if t.dtype == torch.uint8 else t.float() for n, t in meaning.items()}
    save_file(
        {name: tensor.contiguous() for name, tensor in found.items()}, to / "model.safetensors"
    )
    return to


def rewrite(directory: Path, change: Callable[[Tensors], object]) -> None:
    """Change the stored tensors."""
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    (directory / "model.safetensors").unlink()
    save_file(tensors, directory / "model.safetensors")


def reconfigure(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the quantization_config."""
    config = json.loads((directory / "config.json").read_text())
    change(config["quantization_config"])
    (directory / "config.json").write_text(json.dumps(config))


#: What the sixteen codes of four-bit floats stand for.
FLOAT4 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
FLOAT4 += [-value for value in FLOAT4]


def mlx(bits: int, size: int, dtype: torch.dtype = torch.bfloat16) -> Pack:
    """MLX's affine mode; a stream of bits, so that numbers of 5 and 6 bits cross words."""

    def pack(weight: Tensor) -> tuple[Tensors, Tensor]:
        top = (1 << bits) - 1
        groups = weight.unflatten(1, (-1, size))
        low, high = groups.amin(2), groups.amax(2)
        scales, biases = ((high - low) / top).to(dtype), low.to(dtype)
        steps = (groups - biases.float().unsqueeze(2)) / scales.float().unsqueeze(2)
        numbers = steps.round().clamp(0, top).long()
        rows = []
        for row in numbers.flatten(1).tolist():
            stream = sum(number << (bits * i) for i, number in enumerate(row))
            rows.append([stream >> (32 * i) & 0xFFFFFFFF for i in range(len(row) * bits // 32)])
        exact = numbers.double() * scales.double().unsqueeze(2) + biases.double().unsqueeze(2)
        return {
            "weight": torch.tensor(rows, dtype=torch.int64).to(torch.uint32),
            "scales": scales,
            "biases": biases,
        }, exact.float().to(dtype).flatten(1)

    return pack


def nvfp4(factor: float = 0.0123) -> Pack:
    """NVFP4 as NVIDIA's Model Optimizer stores it."""

    def pack(weight: Tensor) -> tuple[Tensors, Tensor]:
        second = torch.tensor(factor)
        groups = weight.unflatten(1, (-1, 16))
        scales = (groups.abs().amax(2) / 6 / second).to(torch.float8_e4m3fn)
        whole = scales.float() * second
        values = torch.tensor(FLOAT4)
        steps = groups / whole.unsqueeze(2)
        codes = (steps.unsqueeze(-1) - values).abs().argmin(-1)
        meaning = values[codes] * whole.unsqueeze(2)
        flat = codes.flatten(1)
        pairs = (flat[:, ::2] | flat[:, 1::2] << 4).to(torch.uint8)
        return {
            "weight": pairs,
            "weight_scale": scales,
            "weight_scale_2": second,
            "input_scale": torch.tensor(0.5),
        }, meaning.flatten(1)

    return pack
