"""Rows of numbers, of which a token reads its own."""

from __future__ import annotations

import torch
from torch import nn


class Table(nn.Module):
    """A row of features for every index: an embedding, or its reverse."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width))
