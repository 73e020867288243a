"""Where one goes in the tree, and what is looked for there."""

from __future__ import annotations

from collections.abc import Callable

from gptcli.loom import Tale
from gptcli.plain import dataclass

#: By how many lines a page moves.
_PAGE = 10


@dataclass(frozen=True)
class Ask:
    """Something to be typed, and what is done with it. lines: it may have several."""

    label: str
    text: str
    then: Callable[[str], None]
    lines: bool = False


class Moves:
    """A tree that one goes about in. said: to the person, until the next key; asked: of him."""

    def __init__(self, tale: Tale) -> None:
        self.tale, self.said = tale, ""
        self.asked: Ask | None = None
        self._wanted = ""
        self._came_from: dict[int, int] = {}

    def up(self) -> None:
        """The line above."""
        self._by(-1)

    def down(self) -> None:
        """The line below."""
        self._by(1)

    def page_up(self) -> None:
        """Some lines up."""
        self._by(-_PAGE)

    def page_down(self) -> None:
        """Some lines down."""
        self._by(_PAGE)

    def first(self) -> None:
        """The prompt."""
        self.go_to(0)

    def last(self) -> None:
        """The last line."""
        self.go_to(self.tale.order()[-1])

    def left(self) -> None:
        """What this goes on from."""
        if (parent := self.tale.here.parent) is not None:
            self.go_to(parent)

    def right(self) -> None:
        """What goes on from here: where one was last, else the first."""
        children = self.tale.here.children
        known = self._came_from.get(self.tale.at)
        if children:
            self.go_to(known if known in children else children[0])

    def sibling(self, step: int = 1) -> None:
        """The next way on from the same text, around the end."""
        siblings = self.tale.siblings(self.tale.at)
        self.go_to(siblings[(siblings.index(self.tale.at) + step) % len(siblings)])

    def previous_sibling(self) -> None:
        """The one before."""
        self.sibling(-1)

    def to_marked(self) -> None:
        """The next marked text."""
        found = self.tale.marked()
        self.go_to(found) if found is not None else self.say("nothing is marked; m marks")

    def search(self) -> None:
        """Ask what to look for."""
        self.asked = Ask("find: ", "", self._find)

    def again(self) -> None:
        """The next that has it."""
        self._found(backwards=False)

    def back(self) -> None:
        """The one before that has it."""
        self._found(backwards=True)

    def _by(self, lines: int) -> None:
        order = self.tale.order()
        place = order.index(self.tale.at) + lines
        self.go_to(order[min(max(place, 0), len(order) - 1)])

    def go_to(self, at: int) -> None:
        """Be there, and know the way back."""
        self.tale.go(at)
        if (parent := self.tale.here.parent) is not None:
            self._came_from[parent] = at

    def _find(self, wanted: str) -> None:
        self._wanted = wanted
        self._found(backwards=False)

    def _found(self, *, backwards: bool) -> None:
        found = self.tale.search(self._wanted, backwards=backwards) if self._wanted else None
        self.go_to(found) if found is not None else self.say(f"not found: {self._wanted}")

    def say(self, text: str) -> None:
        """Tell it until the next key."""
        self.said = text
