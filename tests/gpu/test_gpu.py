"""A GPU's numbers against the CPU's."""

from __future__ import annotations

import pytest
import torch

from tests.gpu.checks import CHECKS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU"),
]


@pytest.mark.parametrize("name", CHECKS)
def test_a_gpu_computes_what_a_cpu_does(name):
    """Catches what only a GPU shows: a graph that is not recorded, codes in another order."""
    assert not list(CHECKS[name]("cuda"))
