"""The tree as it is changed, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gptcli.errors import InputError
from gptcli.loom.node import Node, Piece, Way
from gptcli.loom.tree import Tree
from gptcli.plain import dataclass
from gptcli.types.token import Source

#: More than anyone reads, and little enough that every key is answered at once.
MOST_NODES, DEEPEST, MOST_PIECES, LONGEST = 20_000, 5_000, 500_000, 16 << 20
#: Steps that can be undone.
_STEPS = 1000
_SEEDS = 2**32


@dataclass(frozen=True)
class _Step:
    """What a change was called, the nodes it touched, and where one was; None is no node."""

    name: str
    before: Mapping[int, Node | None]
    after: dict[int, Node | None]
    was_at: int
    is_at: int


@dataclass(frozen=True)
class Settled:
    """What came of a growth: the new nodes, how many came out as one that was there, how many
    stayed empty.
    """

    kept: tuple[int, ...]
    repeated: int = 0
    empty: int = 0


class Tale(Tree):
    """A prompt and what came of it, to be changed. Node 0 is the prompt; no id is given twice.

    seed: that of node 1; node i has seed + i - 1, so that a text is drawn again by telling its
    prompt and its own seed. version: another number after each change.
    """

    def __init__(self, prompt: str, seed: int) -> None:
        """Raises InputError for a prompt that is too long to be kept."""
        if len(prompt) > LONGEST:
            raise InputError("prompt", f"is longer than the {LONGEST:,} characters of a tree")
        super().__init__({0: Node(0, None, prompt)}, 0)
        self.seed, self.next, self.version = seed, 1, 0
        self._done: list[_Step] = []
        self._undone: list[_Step] = []
        self._growing: tuple[int, ...] = ()

    @classmethod
    def of(cls, nodes: Mapping[int, Node], *, seed: int, at: int, following: int) -> Tale:
        """One that was kept: nodes that hang together, and the id that comes next."""
        found = cls(nodes[0].text, seed)
        found.nodes, found.at, found.next = dict(nodes), at, following
        return found

    @property
    def growing(self) -> tuple[int, ...]:
        """The nodes that a model is writing. Meanwhile nothing else may be changed."""
        return self._growing

    def begin(self, parent: int, count: int, way: Way) -> tuple[int, ...]:
        """New nodes to be filled by a model, `count` after `parent`; one is at the first.

        Raises InputError where the tree is full, or where nothing can follow.
        """
        self._check_room(parent, count)
        first = self.next
        ids = tuple(range(first, first + count))
        nodes = [Node(i, parent, "", seed=(self.seed + i - 1) % _SEEDS, way=way) for i in ids]
        self._add("growth", nodes)
        self._growing = ids
        return ids

    def grow(
        self, at: int, text: str, pieces: Sequence[Piece] = (), ended: str | None = None
    ) -> None:
        """More of a node that is being written."""
        assert at in self._growing
        node = self.nodes[at]
        pieces = (*node.pieces, *pieces)
        self._amend(replace(node, text=node.text + text, pieces=pieces, ended=ended or node.ended))

    def settle(self, way: Way | None = None) -> Settled:
        """End a growth, stopped ones included. way: how it really was drawn.

        Nodes in which nothing came go, and those that came out as an older sibling did. Where none
        is left there was no growth, and nothing to undo.
        """
        ids, self._growing = self._growing, ()
        step = self._done[-1]
        nodes = [self.nodes[each] for each in ids]
        parent = self.nodes[nodes[0].parent or 0]
        known = {self._said(self.nodes[each]): each for each in parent.children if each not in ids}
        kept, repeated, at = [], 0, self.at
        for node in nodes:
            same = known.get(self._said(node))
            empty = not node.text and not node.over
            if same is None and not empty:
                kept.append(node.id)
                known[self._said(node)] = node.id
                ended = node.ended or "stopped"
                self._amend(replace(node, ended=ended, way=way or node.way))
            else:
                repeated += not empty
                del self.nodes[node.id]
                step.after[node.id] = None
                if self.at == node.id:
                    at = parent.id if same is None else same
        left = tuple(each for each in parent.children if each in self.nodes)
        self._amend(replace(parent, children=left))
        self.at = at
        if kept:
            self._done[-1] = replace(step, is_at=kept[0])
        else:
            self._done.pop()
        return Settled(tuple(kept), repeated, len(ids) - len(kept) - repeated)

    def edit(self, at: int, text: str) -> int:
        """Another text for a node: in its place where nothing follows, else in a node beside it,
        since what follows was written after the old one. The node that has it.

        Raises InputError for a prompt that something follows.
        """
        node = self.nodes[at]
        if text == node.text:
            return at
        if not node.children:
            drawn = node.way is not None
            changed = replace(node, text=text, pieces=(), judge=None, edited=drawn, ended=None)
            self._change("edit", {at: changed}, at)
            return at
        if node.parent is None:
            raise InputError("prompt", "what follows it was written after this one; d removes it")
        return self.add(node.parent, text, name="edit")

    def add(self, parent: int, text: str, *, name: str = "text") -> int:
        """A person's own text after a node; the node that has it. Raises InputError as `begin`."""
        self._check_room(parent, 1)
        node = Node(self.next, parent, text)
        self._add(name, [node])
        return node.id

    def judge(self, at: int, pieces: Sequence[Piece], source: Source) -> None:
        """How probable a text is that a person wrote. It is no change of his, and not undone."""
        assert not self._growing
        self._put({at: replace(self.nodes[at], pieces=tuple(pieces), judge=source)})

    def mark(self, at: int) -> bool:
        """Mark a node, or take the mark off it; whether it has one now."""
        node = self.nodes[at]
        self._change("mark", {at: replace(node, marked=not node.marked)}, self.at)
        return not node.marked

    def remove(self, at: int) -> int:
        """Take a node out with all that follows, and be at its neighbour; how many went.

        Of the prompt only what follows goes.
        """
        node = self.nodes[at]
        gone: dict[int, Node | None] = dict.fromkeys(self.order(at))
        if node.parent is None:
            del gone[at]
            self._change("removal", {**gone, at: replace(node, children=())}, at)
            return len(gone)
        parent, place = self.nodes[node.parent], self.siblings(at).index(at)
        left = tuple(each for each in parent.children if each != at)
        near = left[min(place, len(left) - 1)] if left else parent.id
        is_at = near if self.at in gone else self.at
        self._change("removal", {**gone, parent.id: replace(parent, children=left)}, is_at)
        return len(gone)

    def undo(self) -> str | None:
        """Take back the last change; what it was called, None where there is none."""
        return self._move(self._done, self._undone, back=True)

    def redo(self) -> str | None:
        """Do again what was undone last, as `undo`."""
        return self._move(self._undone, self._done, back=False)

    def _move(self, source: list[_Step], to: list[_Step], *, back: bool) -> str | None:
        assert not self._growing
        if not source:
            return None
        step = source.pop()
        to.append(step)
        self._put(step.before if back else step.after)
        self.at = step.was_at if back else step.is_at
        return step.name

    def _add(self, name: str, nodes: Sequence[Node]) -> None:
        parent = self.nodes[nodes[0].parent or 0]
        children = (*parent.children, *(each.id for each in nodes))
        self.next += len(nodes)
        added: dict[int, Node | None] = {each.id: each for each in nodes}
        added[parent.id] = replace(parent, children=children)
        self._change(name, added, nodes[0].id)

    def _change(self, name: str, after: dict[int, Node | None], at: int) -> None:
        assert not self._growing
        before = {each: self.nodes.get(each) for each in after}
        self._done = [*self._done[1 - _STEPS :], _Step(name, before, after, self.at, at)]
        self._undone.clear()
        self._put(after)
        self.at = at

    def _amend(self, node: Node) -> None:
        """A node of the last change as it is by now."""
        self._done[-1].after[node.id] = node
        self._put({node.id: node})

    def _put(self, nodes: Mapping[int, Node | None]) -> None:
        self.version += 1
        for each, node in nodes.items():
            if node is None:
                self.nodes.pop(each, None)
            else:
                self.nodes[each] = node

    @staticmethod
    def _said(node: Node) -> tuple[str, bool]:
        return node.text, node.over

    def _check_room(self, parent: int, count: int) -> None:
        path = self.path(parent)
        if path[-1].over:
            raise InputError("loom", "the model ended the text here; b goes on beside it")
        pieces = sum(len(node.pieces) for node in self.nodes.values())
        full = len(self.nodes) + count > MOST_NODES or pieces > MOST_PIECES
        if full or len(path) >= DEEPEST or not _holds(node.text for node in self.nodes.values()):
            raise InputError("loom", "the tree is full; d makes room")


def _holds(texts: Iterable[str]) -> bool:
    return sum(map(len, texts)) <= LONGEST
