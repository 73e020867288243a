"""Keys out of the blocks of the KV cache, against the layout written out number by number."""

from __future__ import annotations

import numpy as np
import pytest

from gptcli.engine.cpu.run.key_groups import keys_of
from gptcli.formats.bfloat16 import as_float32
from tests.engine.cpu import helpers


@pytest.mark.parametrize("dtype", [np.float32, np.uint16, np.float16])
@pytest.mark.parametrize("head_dim", [1, 2, 5, 8])
@pytest.mark.parametrize("length", [1, 16, 19, 48])
def test_keys_stand_position_by_position(dtype, head_dim, length):
    """Catches pairs that are torn apart, an odd last feature, and a block that is cut."""
    cache = np.arange(2 * 3 * 48 * head_dim).reshape(2, 3, 48, head_dim).astype(dtype)
    found = keys_of(cache, length)
    assert found.shape == (2, 3, length, head_dim)
    assert np.array_equal(found, as_float32(helpers.in_order(cache)[:, :, :length]))
