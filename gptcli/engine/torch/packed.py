"""Linear layers whose weights have 8 or 4 bits, by torch's own kernels for these.

Of 8 bits a row of weights shares a scale; of 4 bits 32 in a row share one and an offset. What they
stand for is exact in the dtype that they are computed in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Weights that share a scale, of 4 bits; rows and columns of both come in as many.
GROUP = 32
#: Tokens up to which the kernel of 8 bits is used, which reads all weights anew for each.
FEW = 8


class Packed(nn.Module, ABC):
    """In place of a linear layer (columns → rows). scales: see below."""

    weight: nn.Parameter
    scales: nn.Parameter
    bits: int

    def __init__(self, rows: int, columns: int, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        """(…, columns) → (…, rows)."""
        found = self.product(x.reshape(-1, self.columns).contiguous()).to(x.dtype)
        found = found.view(*x.shape[:-1], self.rows)
        return found if self.bias is None else found + self.bias

    @abstractmethod
    def product(self, x: Tensor) -> Tensor:
        """(n, columns) → (n, rows), without the bias."""

    def widened(self) -> Tensor:
        """What the weights stand for, (rows, columns)."""
        ones = torch.eye(self.columns, dtype=self.scales.dtype, device=self.scales.device)
        return self.product(ones).T


class Packed8(Packed):
    """weight: (rows, columns), int8; scales: (rows,)."""

    bits = 8

    def __init__(self, layer: nn.Linear, dtype: torch.dtype, device: torch.device) -> None:
        rows, columns = layer.weight.shape
        super().__init__(rows, columns, layer.bias)
        self.weight = _parameter((rows, columns), torch.int8)
        self.scales = _parameter((rows,), dtype)

    @staticmethod
    def packed(weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Weights (rows, columns), float32, as they are kept, and their scales."""
        scales = _at_least(weight.abs().amax(dim=1) / 127, dtype)
        codes = (weight / scales.float()[:, None]).round().clamp(-127, 127)
        return codes.to(torch.int8), scales

    def product(self, x: Tensor) -> Tensor:
        """See Packed."""
        if len(x) <= FEW:
            return torch._weight_int8pack_mm(x, self.weight, self.scales)
        return F.linear(x, self.weight.to(x.dtype)) * self.scales

    def widened(self) -> Tensor:
        """See Packed."""
        return self.weight.float() * self.scales.float()[:, None]


class Packed4(Packed):
    """weight: as the device wants it; scales: (columns / GROUP, rows, 2), of each group a scale and
    what its middle stands for: code c is (c - 8) · scale + middle.
    """

    bits = 4

    def __init__(self, layer: nn.Linear, dtype: torch.dtype, device: torch.device) -> None:
        rows, columns = layer.weight.shape
        super().__init__(rows, columns, layer.bias)
        shape, kind = (rows // 8, columns // 32, 32, 1), torch.int32
        if device.type == "cpu":
            shape, kind = (rows, columns // 2), torch.uint8  # type: ignore[assignment]
        self.weight = _parameter(shape, kind)
        self.scales = _parameter((columns // GROUP, rows, 2), dtype)

    @staticmethod
    def packed(weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """See Packed8."""
        groups = weight.unflatten(1, (-1, GROUP))
        least, most = groups.amin(dim=2), groups.amax(dim=2)
        scales = _at_least((most - least) / 15, dtype)
        middles = (least + 8 * scales.float()).to(dtype)
        apart = (groups - middles.float()[..., None]) / scales.float()[..., None]
        codes = (apart.round() + 8).clamp(0, 15).flatten(1).to(torch.int32)
        both = torch.stack((scales, middles), dim=-1).transpose(0, 1).contiguous()
        if weight.device.type == "cpu":
            return torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 2), both
        pairs = (codes[:, ::2] << 4 | codes[:, 1::2]).to(torch.uint8)
        return torch.ops.aten._convert_weight_to_int4pack(pairs, 2), both

    def product(self, x: Tensor) -> Tensor:
        """See Packed."""
        name = "_weight_int4pack_mm_for_cpu" if x.device.type == "cpu" else "_weight_int4pack_mm"
        found: Tensor = getattr(torch.ops.aten, name)(x, self.weight, GROUP, self.scales)
        return found


KINDS: dict[str, type[Packed8] | type[Packed4]] = {"int8": Packed8, "int4": Packed4}
_OPS = {
    "int8": ("_weight_int8pack_mm", "_weight_int8pack_mm"),
    "int4": ("_weight_int4pack_mm_for_cpu", "_weight_int4pack_mm"),
}


def is_there(name: str, device: torch.device) -> bool:
    """Whether this torch has a kernel for weights of that name on a device."""
    op = _OPS[name][device.type != "cpu"]
    if not hasattr(torch.ops.aten, op):
        return False
    key = device.type.upper()
    if not torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{op}", key):
        return False
    # Its tensor cores came with Ampere.
    needs = name == "int4" and device.type == "cuda"
    return not needs or torch.cuda.get_device_capability(device)[0] >= 8


def replace(
    decoder: nn.Module, name: str, dtype: torch.dtype, device: torch.device
) -> dict[str, type[Packed8] | type[Packed4]]:
    """Put packed layers, on no device yet, in place of linear ones; by the names of their weights.

    A router decides, and stays as it is, as does what has rows or columns in no groups.
    """
    found = {}
    for at, layer in list(_linear(decoder)):
        parent, _, own = at.rpartition(".")
        with torch.device("meta"):
            made = KINDS[name](layer, dtype, device)
        setattr(decoder.get_submodule(parent), own, made)
        found[f"{at}.weight"] = KINDS[name]
    return found


def _linear(decoder: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    for at, layer in decoder.named_modules():
        if isinstance(layer, nn.Linear) and not at.endswith(".router"):
            rows, columns = layer.weight.shape
            if rows % GROUP == 0 and columns % GROUP == 0:
                yield at, layer


def _parameter(shape: tuple[int, ...], dtype: torch.dtype) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape, dtype=dtype), requires_grad=False)


def _at_least(scales: Tensor, dtype: torch.dtype) -> Tensor:
    """Scales rounded up to a dtype, so that no code passes its end; never 0."""
    limits = torch.finfo(dtype)
    return (scales.clamp(min=limits.tiny) * (1 + limits.eps / 2)).to(dtype)
