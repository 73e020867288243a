"""The tree against a naive recursion that keeps nothing."""

from __future__ import annotations

import math

import pytest

from gptcli.engine.asking import tree
from gptcli.engine.asking.tree import Branch, TooManyNodesError, TreeGrower
from gptcli.engine.torch.runner import TorchRunner
from tests.engine.helpers import rows_of, runner_of

both = pytest.mark.parametrize("case", ["gpt2/tied", "llama/tied"])


def naive(
    runner: TorchRunner,
    ids: list[int],
    depth: int,
    width: int,
    least: float,
    ends: set[int],
    joint=0.0,
) -> list[Branch]:
    """Every prefix run from nothing."""
    if depth == 0:
        return []
    best = runner.all_logits(ids, runner.new_state())[-1].log_softmax(dim=-1).topk(width)
    found = []
    for token, logprob in zip(best.indices.tolist(), best.values.tolist(), strict=True):
        both = joint + logprob
        if both < least:
            continue
        is_end = token in ends
        below = (
            []
            if is_end
            else naive(runner, [*ids, token], depth - 1, width, least, ends, joint=both)
        )
        found.append(Branch(token, logprob, both, is_end, below))
    return found


def same(ours: list[Branch], theirs: list[Branch]) -> bool:
    return len(ours) == len(theirs) and all(
        a.id == b.id
        and a.ends == b.ends
        and a.logprob == pytest.approx(b.logprob, abs=5e-5)
        and a.joint == pytest.approx(b.joint, abs=2e-4)
        and same(a.children, b.children)
        for a, b in zip(ours, theirs, strict=True)
    )


def grow(
    runner: TorchRunner, ids, *, depth=3, width=3, least=-math.inf, ends=(), most=10_000
) -> list[Branch]:
    grower = TreeGrower(runner, depth=depth, width=width, least=least, end_ids=ends, most=most)
    return grower.grow(ids)


@both
@pytest.mark.parametrize(("depth", "width"), [(1, 4), (3, 3), (5, 2), (4, 1)])
def test_equals_the_naive_tree(case, depth, width):
    """Catches a child that follows another branch's keys and values, and a level too many."""
    runner, ids = runner_of(case), list(rows_of(case)[0][:7])
    expected = naive(runner, ids, depth, width, -math.inf, set())
    assert same(grow(runner, ids, depth=depth, width=width), expected)


@both
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_batches_change_nothing(case, rows, monkeypatch):
    """Catches rows of the cache that are taken from the wrong batch."""
    runner, ids = runner_of(case), list(rows_of(case)[0][:7])
    monkeypatch.setattr(tree, "ROWS", rows)
    assert same(grow(runner, ids), naive(runner, ids, 3, 3, -math.inf, set()))
    monkeypatch.setattr(tree, "CACHE_BYTES", 1)
    assert same(grow(runner, ids), naive(runner, ids, 3, 3, -math.inf, set()))


@both
def test_joint_threshold_and_end_tokens(case):
    """Catches pruning by a token's own probability, and a leaf that goes on."""
    runner, ids = runner_of(case), list(rows_of(case)[0][:7])
    whole = naive(runner, ids, 3, 4, -math.inf, set())
    ends = {whole[1].id, whole[0].children[0].id}
    joints = sorted(c.joint for b in whole for c in b.children)
    least = sum(joints[len(joints) // 2 - 1 :][:2]) / 2
    found = grow(runner, ids, width=4, least=least, ends=ends)
    expected = naive(runner, ids, 3, 4, least, ends)
    assert same(found, expected)
    assert 0 < sum(len(b.children) for b in expected) < sum(len(b.children) for b in whole)
    assert found[1].ends and found[1].children == []


def test_nodes_are_counted_as_they_grow():
    """Catches a count that is looked at when memory is already full, or off by one."""
    runner, ids = runner_of("llama/tied"), list(rows_of("llama/tied")[0][:7])
    assert grow(runner, ids, depth=2, width=3, most=12)
    with pytest.raises(TooManyNodesError):
        grow(runner, ids, depth=2, width=3, most=11)


def test_more_branches_than_tokens():
    """Catches a width beyond the vocabulary."""
    runner, ids = runner_of("llama/tied"), list(rows_of("llama/tied")[0][:7])
    assert len(grow(runner, ids, depth=1, width=9_999)) == runner.spec.vocab


@both
def test_one_decode_for_the_nodes_of_a_level(case):
    """Catches a prompt that is run again, and nodes that are run one by one."""
    runner, ids = runner_of(case), list(rows_of(case)[0][:7])
    shapes: list[tuple[int, ...]] = []
    hook = runner.decoder.register_forward_pre_hook(lambda _, args: shapes.append(args[0].shape))
    try:
        grow(runner, ids)
    finally:
        hook.remove()
    assert shapes == [(1, 7), (3, 1), (9, 1)]


def test_picked_rows_leave_the_cache_alone():
    """Catches a copy that shares its lists or lengths with what it was copied from."""
    runner, ids = runner_of("gpt2/tied"), list(rows_of("gpt2/tied")[0][:7])
    cache = runner.new_state()
    runner.prefill([ids], cache)
    before = [layer.keys.clone() for layer in cache.layers]
    other = cache.picked([0, 0])
    runner.decode([1, 2], other)
    assert (cache.lengths, other.lengths) == ([7], [8, 8])
    assert all(a.keys.equal(b) for a, b in zip(cache.layers, before, strict=True))
