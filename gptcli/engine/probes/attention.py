"""Attention weights: how much of each token's value a query takes, head by head."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from gptcli.engine.decoder import Decoder


class AttentionWeights:
    """A probe that computes the weights of some positions of one row, beside the pass.

    torch's fused kernels keep the weights to themselves, so they are computed once more from the
    queries and keys of the pass. positions: whose queries; layers: which layers, None for all;
    first_key: what goes to keys before that position is only summed up.
    """

    def __init__(
        self,
        decoder: Decoder,
        positions: range,
        layers: Collection[int] | None = None,
        *,
        first_key: int = 0,
    ) -> None:
        self._decoder = decoder
        self._positions = positions
        self._layers = range(decoder.spec.layers) if layers is None else layers
        self._now: dict[str, Tensor] = {}
        self._first_key = first_key
        self._parts: dict[int, list[Tensor]] = {}
        self._sums: dict[int, list[Tensor]] = {}

    def __call__(self, point: str, layer: int, tensor: Tensor) -> None:
        """See `layers.Probe`."""
        if point in ("queries", "keys", "mask"):
            self._now[point] = tensor
        elif point == "attention":
            if layer in self._layers:
                self._compute(layer)
            self._now.clear()

    def of(self, layer: int) -> Tensor:
        """The weights of a layer, (heads, positions, keys), float32; 0 where none may look.

        keys are all tokens from the first key up to the last that ran. A row and what goes before
        it sum to 1, less what a sink takes.
        """
        parts = self._parts[layer]
        total = max(part.size(-1) for part in parts)
        whole = [torch.nn.functional.pad(part, (0, total - part.size(-1))) for part in parts]
        return torch.cat(whole, dim=1)

    def before(self, layer: int) -> Tensor:
        """What goes to tokens before the first key, (heads, positions)."""
        return torch.cat(self._sums[layer], dim=1)

    def _compute(self, layer: int) -> None:
        q, keys, mask = self._now["queries"], self._now["keys"], self._now.get("mask")
        total, time = keys.size(2), q.size(2)
        start = total - time
        first = max(self._positions.start - start, 0)
        end = min(self._positions.stop - start, time)
        if first >= end:
            return
        spec = self._decoder.spec
        attention = self._decoder.get_submodule(f"layers.{layer}.attention")
        if mask is None:
            at = torch.arange(start, total, device=q.device)
            mask = (torch.arange(total, device=q.device) <= at[:, None])[None, None]
        found = weights(
            q[:, :, first:end],
            keys,
            mask[:, :, first:end],
            spec.head_dim**-0.5 if spec.attention_scale is None else spec.attention_scale,
            softcap=spec.attention_softcap,
            sinks=getattr(attention, "sinks", None),
        )
        # Copied, so that the rest of a long row is let go.
        part = found[0, :, :, self._first_key :].clone()
        self._parts.setdefault(layer, []).append(part)
        self._sums.setdefault(layer, []).append(found[0, :, :, : self._first_key].sum(dim=-1))


def weights(
    q: Tensor,
    keys: Tensor,
    mask: Tensor,
    scale: float,
    *,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """softmax(q kᵀ · scale) in float32: (b, h, t, d), (b, kv_heads, total, d) → (b, h, t, total).

    mask, (b or 1, h or 1, t, total), is as in `attend`; softcap and sinks are as in
    `attend_written_out`.
    """
    b, heads, time, d = q.shape
    folded = q.float().reshape(b, keys.size(1), -1, d)  # a group's queries stand in the time axis
    scores = (folded @ keys.float().mT).view(b, heads, time, -1) * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    seen = mask.dtype == torch.bool
    scores = scores.masked_fill(~mask, -torch.inf) if seen else scores + mask
    if sinks is not None:
        sink = sinks.float().view(1, heads, 1, 1).expand(b, -1, time, 1)
        scores = torch.cat((scores, sink), dim=-1)
    return scores.softmax(dim=-1)[..., : keys.size(2)]
