"""Attention written out, and masks, against torch's kernels and against loops over every pair."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gptcli.engine.torch import attention as module
from gptcli.engine.torch.attention import attend, attend_written_out
from gptcli.engine.torch.masks import slopes, visible, with_distance


def tensors(t: int, total: int, *, heads: int = 6, kv_heads: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(t * 100 + total)
    shapes = [(2, heads, t, 8), (2, kv_heads, total, 8), (2, kv_heads, total, 8)]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def masks_of(t: int, total: int) -> list[Tensor | None]:
    """All kinds: none where none is needed, a window, ragged rows, a bias with distance."""
    at = torch.arange(total - t, total)
    ragged = torch.stack((at, torch.arange(t) + max(0, total - t - 3)))
    keys, steep = torch.arange(total), slopes(6, at.device)
    plain = visible(at, keys, None)
    bias = with_distance(plain, at, keys, steep, torch.float32)
    each = with_distance(visible(ragged, keys, 4), ragged, keys, steep, torch.float32)
    return [plain, visible(at, keys, 3), visible(ragged, keys, None), bias, each]


def one_by_one(
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None,
    scale: float,
    softcap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    """The definition: a loop over rows, heads, queries and keys."""
    b, heads, t, _ = q.shape
    total = keys.size(2)
    out = torch.zeros_like(q)
    for row in range(b):
        for head in range(heads):
            shared = head * keys.size(1) // heads
            for query in range(t):
                scores = []
                for key in range(total):
                    score = float(q[row, head, query] @ keys[row, shared, key]) * scale
                    if softcap is not None:
                        score = softcap * math.tanh(score / softcap)
                    if mask is None:
                        seen = key <= query or t == 1
                        scores.append(score if seen else -math.inf)
                        continue
                    entry = mask[min(row, mask.size(0) - 1), min(head, mask.size(1) - 1)]
                    entry = entry[query, key]
                    if mask.dtype == torch.bool:
                        scores.append(score if entry else -math.inf)
                    else:
                        scores.append(score + float(entry))
                if sinks is not None:
                    scores.append(float(sinks[head]))
                weights = torch.tensor(scores).softmax(-1)[:total]
                out[row, head, query] = weights @ values[row, shared]
    return out


@pytest.mark.parametrize(("t", "total"), [(1, 1), (1, 9), (5, 5), (4, 9)])
@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("scale", [None, 0.7])
def test_written_out_equals_torchs_kernels(t, total, kind, scale):
    """Catches a group of queries that meets another group's keys, or a mask laid out otherwise."""
    q, keys, values = tensors(t, total)
    mask = masks_of(t, total)[kind]
    ours = attend_written_out(q, keys, values, mask, scale)
    torch.testing.assert_close(ours, attend(q, keys, values, mask, scale), rtol=0, atol=2e-6)


@pytest.mark.parametrize(("t", "total"), [(1, 6), (4, 4), (3, 6)])
@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("sink", [False, True])
def test_written_out_equals_one_by_one(t, total, kind, softcap, sink):
    """Catches a cap after the mask, which would let the masked in, and a sink that gives a value
    or that is shared by heads.
    """
    q, keys, values = tensors(t, total)
    mask = masks_of(t, total)[kind]
    sinks = torch.linspace(-1, 2, 6) if sink else None
    ours = attend_written_out(q, keys, values, mask, 0.7, softcap=softcap, sinks=sinks)
    expected = one_by_one(q, keys, values, mask, 0.7, softcap, sinks)
    torch.testing.assert_close(ours, expected, rtol=0, atol=2e-6)


def test_many_queries_in_parts_equal_all_at_once(monkeypatch):
    """Catches queries that get the mask of another part once scores no longer fit at once."""
    q, keys, values = tensors(7, 9)
    for mask in masks_of(7, 9):
        whole = attend_written_out(q, keys, values, mask, softcap=2.0)
        with monkeypatch.context() as patch:
            patch.setattr(module, "SCORE_BYTES", 4 * 2 * 6 * 9 * 2)
            parts = attend_written_out(q, keys, values, mask, softcap=2.0)
        torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("heads", [1, 2, 6, 8, 12, 71, 112])
def test_slopes_equal_transformers(heads):
    """Catches the slopes of a head count that is no power of two (BLOOM has 112)."""
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    alibi = build_alibi_tensor(torch.ones(1, 2), heads, torch.float32)
    torch.testing.assert_close(slopes(heads, torch.device("cpu")), alibi[:, 0, 1])


def test_a_bias_falls_with_distance_for_each_row():
    """Catches a bias from the start of the row, which grows beyond what bfloat16 can tell apart."""
    at = torch.tensor([[2, 3], [0, 1]])
    keys = torch.arange(4)
    bias = with_distance(visible(at, keys, None), at, keys, torch.tensor([1.0, 0.5]), torch.float32)
    assert bias.shape == (2, 2, 2, 4)
    assert bias[0, 0].tolist() == [[-2, -1, 0, -math.inf], [-3, -2, -1, 0]]
    assert bias[1, 1].tolist() == [[0] + [-math.inf] * 3, [-0.5, 0, -math.inf, -math.inf]]
    far = torch.tensor([100_000])
    half = with_distance(None, far, torch.arange(100_001), torch.tensor([0.5]), torch.bfloat16)
    assert half[0, 0, 0, -4:].tolist() == [-1.5, -1, -0.5, 0]
