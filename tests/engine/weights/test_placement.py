"""Every way in which tensors are stored, against the plain sentence that describes it."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from gptcli.engine.model.rules import Rule
from gptcli.engine.weights.dequantised import dequantised_mxfp4
from gptcli.engine.weights.placement import Layout, layouts


def only(rule: Rule, layers: int = 1, names: tuple[str, ...] = ()) -> Layout:
    (found,) = layouts(rule, layers, dict.fromkeys(names))
    return found


def cut(layout: Layout, ours: dict[str, tuple[int, ...]], *tensors: torch.Tensor):
    """The parts by name; the stored shapes must be those that the layout asks for."""
    assert layout.shapes(ours) == tuple(tuple(t.shape) for t in tensors)
    return dict(layout.cut(tensors, ours))


def counted(*shape: int) -> torch.Tensor:
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).view(shape)


def test_groups_are_cut_one_by_one():
    """Catches a query that is given to another head, where a group has more queries than keys."""
    rule = Rule("qkv", ("q", "k", "v"), groups=2)
    stored = counted(2 * 5, 3)  # two groups of three queries, a key and a value
    parts = cut(only(rule), {"q": (6, 3), "k": (2, 3), "v": (2, 3)}, stored)
    assert torch.equal(parts["q"], stored[[0, 1, 2, 5, 6, 7]])
    assert torch.equal(parts["k"], stored[[3, 8]])
    assert torch.equal(parts["v"], stored[[4, 9]])
    biases = cut(only(rule), {"q": (6,), "k": (2,), "v": (2,)}, stored[:, 0].clone())
    assert torch.equal(biases["k"], stored[[3, 8], 0])


def test_rows_that_are_not_used_are_skipped():
    """Catches positions that begin at what stands for no position."""
    stored = counted(5, 2)
    assert torch.equal(cut(only(Rule("t", "p", skip=2)), {"p": (3, 2)}, stored)["p"], stored[2:])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("transpose", [False, True])
def test_a_stack_is_cut_into_members(count, transpose):
    """Catches an expert that gets another's matrix, or its own the wrong way round; also of one."""
    rule = Rule("up", ("e.{n}.gate", "e.{n}.up"), transpose, groups=2, members=count)
    ours = {f"e.{n}.{part}": (2, 3) for n in range(count) for part in ("gate", "up")}
    stored = counted(count, 4, 3)
    kept = stored.mT.contiguous() if transpose else stored
    parts = cut(only(rule), ours, kept)
    assert set(parts) == set(ours)
    for n in range(count):
        assert torch.equal(parts[f"e.{n}.gate"], stored[n, [0, 2]])
        assert torch.equal(parts[f"e.{n}.up"], stored[n, [1, 3]])
        assert all(1 in part.stride() for part in parts.values())


@pytest.mark.parametrize("count", [1, 3])
def test_members_are_gathered_into_a_stack(count):
    """Catches heads in another order, and a model with a single one."""
    layout = only(Rule("norms.{n}.weight", "norm", members=count))
    assert layout.stored == tuple(f"norms.{n}.weight" for n in range(count))
    stored = [counted(4) + n for n in range(count)]
    parts = cut(layout, {"norm": (count, 4)}, *stored)
    assert torch.equal(parts["norm"], torch.stack(stored))


def test_members_that_are_stored_and_kept_by_themselves():
    """Catches a layer too many, or one that has no experts."""
    rule = Rule("l.{i}.x.{n}", "m.{i}.y.{n}", layers=(0, 2), members=2)
    found = [(layout.stored, layout.targets) for layout in layouts(rule, 3, {})]
    assert found == [((f"l.{i}.x.{n}",), ((f"m.{i}.y.{n}",),)) for i in (0, 2) for n in (0, 1)]


@pytest.mark.parametrize("count", [1, 2])
def test_packed_or_plain_is_what_is_there(count):
    """Catches a plain checkpoint that is asked for blocks, and blocks that are transposed."""
    rule = Rule("w", "e.{n}", transpose=True, members=count, packed="mxfp4")
    plain = only(rule, names=("w",))
    packed = only(rule, names=("w_blocks", "w_scales"))
    ours = {f"e.{n}": (4, 32) for n in range(count)}
    assert plain.shapes(ours) == ((count, 32, 4),)
    blocks = torch.full((count, 4, 1, 16), 0x42, dtype=torch.uint8)  # 1 and 2, in turn
    scales = torch.full((count, 4, 1), 128, dtype=torch.uint8)  # times 2
    assert packed.shapes(ours) == (tuple(blocks.shape), tuple(scales.shape))
    unpacked = partial(dequantised_mxfp4, (), torch.float32)
    parts = dict(packed.cut([blocks, scales], ours, unpacked))
    assert all(part.tolist() == [[2.0, 4.0] * 16] * 4 for part in parts.values())
    assert len(parts) == count
