"""softmax(q kᵀ) v, by torch's kernels, or written out where they lack what a model needs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

#: Bytes of scores that are held at once where they are written out.
SCORE_BYTES = 256 << 20


def attend(
    q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float | None = None
) -> Tensor:
    """softmax(q kᵀ · scale) v over (b, h, t, d), each key/value head shared by h / kv_heads.

    Values may have another number of features than keys.

    `mask` (b or 1, 1 or h, t, total) is True where a query may look, or a number that is added to
    its score; None means causal where the queries are all there is, and everything where a single
    query comes last. scale None is 1 / √d.
    """
    b, heads, t, d = q.shape
    kv_heads = keys.size(1)
    if t == 1:
        # A group's queries stand in the time axis: faster than repeating keys for one query.
        folded = q.reshape(b, kv_heads, heads // kv_heads, d)
        if mask is not None and mask.size(1) == heads:
            mask = mask.view(mask.size(0), kv_heads, heads // kv_heads, -1)
        out = F.scaled_dot_product_attention(folded, keys, values, attn_mask=mask, scale=scale)
        return out.reshape(b, heads, 1, -1)
    return F.scaled_dot_product_attention(
        q,
        keys,
        values,
        attn_mask=mask,
        is_causal=mask is None,
        enable_gqa=kv_heads != heads,
        scale=scale,
    )


def attend_written_out(
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None,
    scale: float | None = None,
    *,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """The same, with scores softly capped, or with a sink (h,) for each head.

    A capped score is softcap · tanh(score / softcap). A sink is a score more that takes its share
    of the softmax and gives no value, so what the tokens get may sum to less than 1.
    """
    b, heads, t, d = q.shape
    kv_heads, total = keys.size(1), keys.size(2)
    group = heads // kv_heads
    scale = d**-0.5 if scale is None else scale
    if mask is None and t > 1:
        mask = torch.ones(t, total, dtype=torch.bool, device=q.device).tril()[None, None]
    rows = max(1, SCORE_BYTES // (4 * b * heads * total))
    parts = []
    for start in range(0, t, rows):
        part = q[:, :, start : start + rows]
        folded = part.reshape(b, kv_heads, -1, d)  # a group's queries stand in the time axis
        scores = (folded @ keys.mT).float().view(b, heads, -1, total) * scale
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        if mask is not None:
            seen = mask[:, :, start : start + rows]
            scores = (
                scores.masked_fill(~seen, -torch.inf) if seen.dtype == torch.bool else scores + seen
            )
        if sinks is not None:
            sink = sinks.float().view(1, heads, 1, 1).expand(b, -1, scores.size(2), 1)
            scores = torch.cat((scores, sink), dim=-1)
        shares = scores.softmax(dim=-1)[..., :total].to(values.dtype)
        gathered = shares.reshape(b, kv_heads, group * shares.size(2), total) @ values
        parts.append(gathered.view(b, heads, -1, values.size(-1)))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
