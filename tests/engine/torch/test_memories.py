"""Memories in chunks against the same token by token, which is how they are defined."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gptcli.engine.torch.memories import Tokens, by_chunk, by_token

TIME = 70


def drawn(dtype: torch.dtype) -> tuple[Tokens, Tensor]:
    """Two rows, three heads of keys, two memories of each."""
    random = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64).to(dtype)

    query, key = normal(2, TIME, 3, 5), F.normalize(normal(2, TIME, 3, 5), dim=-1)
    decay = -F.softplus(normal(2, TIME, 3, 2))
    strength = normal(2, TIME, 3, 2).sigmoid()
    tokens = Tokens(query, key, normal(2, TIME, 3, 2, 7), decay, strength)
    return tokens, normal(2, 3, 2, 5, 7)


@pytest.mark.parametrize("corrects", [False, True])
@pytest.mark.parametrize("chunk", [1, 9, 64, 100])
def test_chunks_equal_token_by_token(corrects, chunk):
    """Catches a token that is decayed once too often, seen by itself, or lost between chunks."""
    tokens, memory = drawn(torch.float64)
    for ours, expected in zip(
        by_chunk(tokens, memory, corrects=corrects, chunk=chunk),
        by_token(tokens, memory, corrects=corrects),
        strict=True,
    ):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("corrects", [False, True])
def test_a_token_that_forgets_all_costs_no_digits(corrects):
    """Catches what remains between two tokens as the difference of sums since the beginning."""
    tokens, memory = drawn(torch.float32)
    tokens = tokens._replace(decay=tokens.decay / 100)
    tokens.decay[:, 3] = -1e6
    exact = by_token(
        Tokens(*(each.double() for each in tokens)), memory.double(), corrects=corrects
    )
    for ours, expected in zip(by_chunk(tokens, memory, corrects=corrects), exact, strict=True):
        assert ours.isfinite().all()
        torch.testing.assert_close(ours.double(), expected, rtol=0, atol=1e-5)


def test_padding_leaves_no_trace():
    """Catches a token of no strength that still decays what is remembered."""
    tokens, memory = drawn(torch.float32)
    for each in (tokens.decay, tokens.strength):
        each[:, 40:] = 0
    whole = by_chunk(tokens, memory, corrects=True)[1]
    short = by_chunk(Tokens(*(each[:, :40] for each in tokens)), memory, corrects=True)[1]
    torch.testing.assert_close(whole, short, rtol=0, atol=1e-6)
