"""The tree itself: what is changed, found, and taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcli.errors import InputError
from gptcli.loom import Node, Piece, Tale, Way, as_json
from gptcli.types.token import Source

WAY = Way(Source("m", "cpu", "float32"), {"temperature": 0.5})
PIECE = Piece(b"x", -0.5)


def grown(tale: Tale, parent: int, *texts: str) -> tuple[int, ...]:
    """Children of these texts, drawn by nobody; those that stay."""
    ids = tale.begin(parent, len(texts), WAY)
    for each, text in zip(ids, texts, strict=True):
        tale.grow(each, text, [PIECE] if text else [], "length")
    return tale.settle().kept


def state(tale: Tale) -> dict[str, Any]:
    """All of it but what is never given back: ids that were used."""
    return {name: value for name, value in as_json(tale).items() if name != "next"}


#: What may be done, each with a number that chooses a node.
DEEDS: dict[str, Callable[[Tale, int], object]] = {
    "grow": lambda tale, at: grown(tale, at, f" g{tale.next}"),
    "twice": lambda tale, at: grown(tale, at, " same", " same", ""),
    "edit": lambda tale, at: None if at == 0 else tale.edit(at, f" e{tale.version}"),
    "write": lambda tale, at: tale.add(at, " mine"),
    "mark": lambda tale, at: tale.mark(at),
    "remove": lambda tale, at: tale.remove(at),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(DEEDS)), st.integers(0, 99)), max_size=12))
def test_everything_is_undone_and_done_again(deeds):
    """Catches a change that undo forgets a part of: children, the place one was at, a mark."""
    tale = Tale("a", 3)
    for name, number in deeds:
        order = tale.order()
        tale.go(order[number % len(order)])
        DEEDS[name](tale, tale.at)
    assert set(tale.order()) == set(tale.nodes)
    after, was_at = state(tale), tale.at
    steps = 0
    while tale.undo():
        steps += 1
        assert set(tale.order()) == set(tale.nodes) and tale.at in tale.nodes
    assert tale.nodes.keys() == {0} and tale.here.text == "a" and not tale.here.children
    while tale.redo():
        steps -= 1
        assert tale.at in tale.nodes
    assert steps == 0
    tale.go(was_at)
    assert state(tale) == after


def test_a_new_change_forgets_what_was_undone():
    """Catches a redo that puts back nodes whose parent has gone another way."""
    tale = Tale("a", 0)
    tale.add(0, " b")
    tale.undo()
    tale.add(0, " c")
    assert tale.redo() is None
    assert [tale.nodes[each].text for each in tale.order()] == ["a", " c"]


def test_each_node_has_a_seed_of_its_own():
    """Catches a branch that draws the same once more after an undo, and seeds past the last."""
    tale = Tale("a", 2**32 - 1)
    kept = grown(tale, 0, " b", " c")
    assert [tale.nodes[each].seed for each in kept] == [2**32 - 1, 0]
    tale.undo()
    (third,) = grown(tale, 0, " d")
    assert tale.nodes[third].seed == 1


def test_what_came_out_the_same_is_there_once():
    """Catches twins, an older one that goes, and a growth of nothing that leaves a step."""
    tale = Tale("a", 0)
    (first,) = grown(tale, 0, " b")
    ids = tale.begin(0, 3, WAY)
    for each, text in zip(ids, (" b", " c", ""), strict=True):
        tale.grow(each, text, [PIECE] if text else [])
    settled = tale.settle()
    assert settled.kept == (ids[1],) and (settled.repeated, settled.empty) == (1, 1)
    assert tale.here.children == () and tale.at == first
    assert tale.nodes[0].children == (first, ids[1])
    assert tale.nodes[ids[1]].ended == "stopped"
    before = state(tale)
    assert not grown(tale, 0, " b") and tale.at == first
    assert state(tale) == before
    assert tale.undo() == "growth" and tale.nodes[0].children == (first,)


def test_an_end_is_a_leaf():
    """Catches an end token that is lost since it has no text, and texts that go on after it."""
    tale = Tale("a", 0)
    (at,) = tale.begin(0, 1, WAY)
    tale.grow(at, "", [Piece(b"<end>", -1.0, ends=True)], "stop")
    assert tale.settle().kept == (at,) and tale.here.over
    with pytest.raises(InputError, match="ended the text here"):
        tale.begin(at, 1, WAY)


def test_an_edit_leaves_what_was_written_after_the_old_text():
    """Catches children that stand after a text they were not written after, and old numbers."""
    tale = Tale("a", 0)
    (first,) = grown(tale, 0, " b")
    assert tale.edit(first, " B") == first
    assert tale.here.edited and tale.here.mean is None and tale.here.seed == 0
    grown(tale, first, " c")
    other = tale.edit(first, " z")
    assert tale.nodes[first].text == " B" and tale.nodes[0].children == (first, other)
    assert tale.here.text == " z" and tale.here.way is None
    with pytest.raises(InputError, match="what follows it"):
        tale.edit(0, "b")


def test_a_judgement_is_no_change():
    """Catches an undo that takes back what a model said, and numbers of a text that is no more."""
    tale = Tale("a", 0)
    at = tale.add(0, " b")
    version = tale.version
    tale.judge(at, [PIECE], WAY.source)
    assert tale.here.mean is not None and tale.version > version
    assert tale.edit(at, " c") == at
    assert tale.here.judge is None and tale.here.mean is None
    assert tale.undo() == "edit" and tale.here.judge == WAY.source
    assert tale.undo() == "text"


def test_removal_goes_to_the_neighbour():
    """Catches a place in nothing, and a prompt that can be removed."""
    tale = Tale("a", 0)
    one, two, three = grown(tale, 0, " b", " c", " d")
    grown(tale, two, " e")
    assert tale.remove(two) == 2 and tale.at == three
    assert tale.remove(three) == 1 and tale.at == one
    assert tale.remove(one) == 1 and tale.at == 0
    tale.add(0, " f")
    assert tale.remove(0) == 1 and tale.order() == [0]


def test_search_goes_around_and_knows_capitals():
    """Catches a search that stays where it is while there are others, or stops at the end."""
    tale = Tale("the cat", 0)
    one, two = grown(tale, 0, " A cat", " dog")
    tale.go(one)
    assert tale.search("cat") == 0 and tale.search("a") == 0
    assert tale.search("A") == one
    assert tale.search("dog") == two and tale.search("o", backwards=True) == two
    assert tale.search("bird") is None
    tale.mark(two)
    assert tale.marked() == two


def test_depth_is_no_recursion_and_has_an_end():
    """Catches a walk that ends at Python's own limit, and a tree that no file may hold."""
    count = 4999
    nodes = {i: Node(i, i - 1 if i else None, "b", (i + 1,)) for i in range(count)}
    nodes[count - 1] = Node(count - 1, count - 2, "b")
    tale = Tale.of(nodes, seed=0, at=count - 1, following=count)
    tale.add(tale.at, "b")
    assert len(tale.order()) == 5000 and len(tale.text(tale.at)) == 5000
    with pytest.raises(InputError, match="full"):
        tale.add(tale.at, "b")
