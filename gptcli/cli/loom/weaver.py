"""What each key does to the tree, whatever draws it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gptcli.cli.loom.grower import Over
from gptcli.cli.loom.keeper import Keeper
from gptcli.cli.loom.moves import Ask, Moves
from gptcli.errors import GptcliError
from gptcli.loom import Tale
from gptcli.loom.growth import Growth, Wish
from gptcli.types.completion import Event, Request
from gptcli.units import counted


class Weaver(Moves):
    """The tree, what is said about it, what is asked for.

    start: has a model answer; stop: ends that answer.
    """

    def __init__(self, tale: Tale, keeper: Keeper, wish: Wish, branches: int) -> None:
        super().__init__(tale)
        self.keeper = keeper
        self._wish, self._branches = wish, branches
        self.start: Callable[[Request], None] = lambda _: None
        self.stop_model: Callable[[], None] = lambda: None
        self.tokens = self.helping = self.over = False
        self._leaving = False
        self._growth: Growth | None = None

    # What a model adds.

    def take(self) -> None:
        """Go on from here."""
        self._grow(self.tale.at, 1)

    def beside(self) -> None:
        """Another way on from what this goes on from; of the prompt, one more way on."""
        parent = self.tale.here.parent
        self._grow(self.tale.at if parent is None else parent, 1)

    def branch(self) -> None:
        """Several ways on from here at once."""
        self._grow(self.tale.at, self._branches)

    def stop(self) -> None:
        """End what is being written; what came stays."""
        if self.tale.growing:
            self.say("stopping")
            self.stop_model()

    def heard(self, event: Event | Over) -> None:
        """What a model writes, as it comes."""
        growth = self._growth
        assert growth is not None
        if not isinstance(event, Over):
            notice = growth.take(event)
            if notice is not None:
                self.say(f"{notice.subject}: {notice.text}")
            return
        self._growth, settled = None, growth.settle()
        if event.error is not None and not isinstance(event.error, GptcliError):
            raise event.error
        words = [f"{counted(settled.repeated, 'text')} came out as before"]
        words = words if settled.repeated else []
        words += ["nothing came"] if settled.empty and not settled.kept else []
        self.said = "" if self.said == "stopping" else self.said
        if event.error is not None:
            self.say(str(event.error))
        elif words:
            self.say("; ".join(words))
        if self.keeper.path is not None:
            self._attempt(self.keeper.save)
        if self._leaving:
            self.leave()

    # What a person changes.

    def edit(self) -> None:
        """Ask for another text here."""
        if self._free():
            at = self.tale.at
            self.asked = Ask("edit", self.tale.here.text, lambda text: self._edit(at, text), True)

    def write(self) -> None:
        """Ask for a text that goes on from here."""
        if self._free():
            at = self.tale.at
            self.asked = Ask("write", "", lambda text: self._write(at, text), True)

    def mark(self) -> None:
        """Mark, or take the mark off."""
        if self._free():
            self.tale.mark(self.tale.at)

    def remove(self) -> None:
        """Remove this, and all that goes on from it."""
        if self._free():
            gone = self.tale.remove(self.tale.at)
            self.say(f"removed {counted(gone, 'text')}; u brings back" if gone else "")

    def undo(self) -> None:
        """Take the last change back."""
        if self._free():
            name = self.tale.undo()
            self.say(f"undone: {name}" if name else "nothing to undo")

    def redo(self) -> None:
        """Do it again."""
        if self._free():
            name = self.tale.redo()
            self.say(f"done again: {name}" if name else "nothing to do again")

    # The rest.

    def show_tokens(self) -> None:
        """Each token's probability in the place of the text, or the text again."""
        self.tokens = not self.tokens

    def help(self) -> None:
        """What the keys do."""
        self.helping = not self.helping

    def save(self) -> None:
        """To its file, or to one that is asked for."""
        if self.keeper.path is None:
            self.save_as()
        elif self._attempt(self.keeper.save):
            self.say(f"saved to {self.keeper.path}")

    def save_as(self) -> None:
        """To a file that is asked for."""
        self.asked = Ask("save to: ", "", self._save_as)

    def interrupt(self) -> None:
        """Ctrl-C: stop what is being written, else leave."""
        self.stop() if self.tale.growing else self.leave()

    def leave(self) -> None:
        """Stop, save, or ask where to; then it is over."""
        if self.tale.growing:
            self._leaving = True
            self.stop()
            return
        self._leaving = False
        if self.keeper.unsaved and self.keeper.path is not None:
            self._attempt(self.keeper.save)
        if self.keeper.unsaved:
            label = "save to (nothing typed: leave without; Esc: stay): "
            self.asked = Ask(label, "", self._save_and_leave)
        else:
            self.over = True

    def _grow(self, parent: int, count: int) -> None:
        if self._free():
            self._growth = Growth(self.tale, parent, count, self._wish)
            self.go_to(self.tale.at)
            self.start(self._growth.request)

    def _edit(self, at: int, text: str) -> None:
        found = self.tale.edit(at, text)
        self.say("what follows stays with the old text; yours is beside it" if found != at else "")

    def _write(self, at: int, text: str) -> None:
        if text:
            self.go_to(self.tale.add(at, text))

    def _save_as(self, name: str) -> None:
        if name:
            self.keeper.save_as(Path(name).expanduser())
            self.say(f"saved to {self.keeper.path}")

    def _save_and_leave(self, name: str) -> None:
        self._save_as(name) if name else self.keeper.forget()
        self.over = True

    def _free(self) -> bool:
        if self.tale.growing:
            self.say("the model is writing; Esc stops it")
        return not self.tale.growing

    def _attempt(self, deed: Callable[[], None]) -> bool:
        try:
            deed()
        except GptcliError as error:
            self.say(str(error))
            return False
        return True
