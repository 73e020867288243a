"""The tree as it is looked at: where one is, what stands before it, what is found in it."""

from __future__ import annotations

from gptcli.loom.node import Node


class Tree:
    """Nodes by their ids, 0 the prompt; one is at one of them."""

    def __init__(self, nodes: dict[int, Node], at: int) -> None:
        self.nodes, self.at = nodes, at

    @property
    def here(self) -> Node:
        """The node one is at."""
        return self.nodes[self.at]

    def path(self, at: int) -> list[Node]:
        """The nodes from the prompt to this one."""
        found = [self.nodes[at]]
        while (parent := found[-1].parent) is not None:
            found.append(self.nodes[parent])
        return found[::-1]

    def text(self, at: int) -> str:
        """All of the text from the prompt to the end of this node."""
        return "".join(node.text for node in self.path(at))

    def siblings(self, at: int) -> tuple[int, ...]:
        """The children of its parent, itself among them."""
        parent = self.nodes[at].parent
        return (at,) if parent is None else self.nodes[parent].children

    def order(self, top: int = 0) -> list[int]:
        """Every node from this one down, as they are drawn: parents before children."""
        found, left = [], [top]
        while left:
            found.append(left.pop())
            left += reversed(self.nodes[found[-1]].children)
        return found

    def search(self, wanted: str, *, backwards: bool = False) -> int | None:
        """The next node whose text has this, around the end; None where none has.

        Capitals are told apart where there is one in what is wanted.
        """
        after = self._after()
        if backwards:
            after = [*reversed(after[:-1]), after[-1]]
        exact = wanted != wanted.lower()
        texts = ((each, self.nodes[each].text) for each in after)
        found = (each for each, text in texts if wanted in (text if exact else text.lower()))
        return next(found, None)

    def marked(self) -> int | None:
        """The next marked node after this one, around the end."""
        return next((each for each in self._after() if self.nodes[each].marked), None)

    def go(self, at: int) -> None:
        """Be at another node."""
        assert at in self.nodes
        self.at = at

    def _after(self) -> list[int]:
        """Every node from the next one on, around the end; this one is the last."""
        order = self.order()
        start = order.index(self.at) + 1
        return order[start:] + order[:start]
