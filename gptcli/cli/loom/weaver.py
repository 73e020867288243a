"""What each key does to the tree, whatever draws it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gptcli.cli.loom.grower import Heard, Over
from gptcli.cli.loom.keeper import Keeper
from gptcli.cli.loom.moves import Ask, Moves
from gptcli.errors import GptcliError
from gptcli.loom import Piece, Settled, Tale
from gptcli.loom.growth import Growth, Wish
from gptcli.types.question import Question
from gptcli.types.score import Score, ScoreRequest
from gptcli.units import counted


class Weaver(Moves):
    """The tree, what is said about it, what is asked for.

    start: has a model answer; stop_model: ends that answer; judges: it tells how probable what a
    person wrote is.
    """

    def __init__(self, tale: Tale, keeper: Keeper, wish: Wish, branches: int) -> None:
        super().__init__(tale)
        self.keeper = keeper
        self._wish, self._branches = wish, branches
        self.start: Callable[[Question[Any]], None] = lambda _: None
        self.stop_model: Callable[[], None] = lambda: None
        self.tokens = self.helping = self.over = False
        self._leaving = False
        self.judges = False
        self._growth: Growth | None = None
        self._judged: int | None = None

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
        if self.busy:
            self.say("stopping")
            self.stop_model()

    def heard(self, event: Heard) -> None:
        """What a model says, as it comes."""
        if isinstance(event, Over):
            self._ended(event)
        elif isinstance(event, Score):
            self._take_judgement(event)
        elif self._growth is not None and (notice := self._growth.take(event)) is not None:
            self.say(f"{notice.subject}: {notice.text}")

    def _take_judgement(self, score: Score) -> None:
        assert self._judged is not None
        known = [(each.token, each.logprob) for each in score.tokens]
        pieces = [Piece(token.bytes, value) for token, value in known if value is not None]
        self.tale.judge(self._judged, pieces, score.source)
        for notice in score.notices:
            self.say(f"{notice.subject}: {notice.text}")

    def _ended(self, event: Over) -> None:
        growth, self._growth, self._judged = self._growth, None, None
        settled = Settled(()) if growth is None else growth.settle()
        if event.error is not None and not isinstance(event.error, GptcliError):
            raise event.error
        greedy = self._wish.request.sampling.temperature == 0
        why = ", as all do at temperature 0" if greedy else ""
        words = [f"{counted(settled.repeated, 'text')} came out as before{why}"]
        words = words if settled.repeated else []
        words += ["nothing came"] if settled.empty and not settled.kept else []
        self.said = "" if self.said == "stopping" else self.said
        if event.error is not None:
            self.say(str(event.error))
        elif words:
            self.say("; ".join(words))
        self._keep()
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

    @property
    def busy(self) -> bool:
        """Whether a model is at work. Meanwhile nothing but where one is may be changed."""
        return bool(self.tale.growing) or self._judged is not None

    def show_tokens(self) -> None:
        """Each token's probability in the place of the text, or the text again.

        A model is asked for those of what a person wrote.
        """
        self.tokens = not self.tokens
        node = self.tale.here
        unknown = self.judges and node.parent is not None and node.text and not node.pieces
        if self.tokens and unknown and not self.busy:
            self._judged = node.id
            context = self.tale.text(node.parent or 0)
            special = self._wish.request.special
            self.start(ScoreRequest(node.text, context, special=special))

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
        self.stop() if self.busy else self.leave()

    def leave(self) -> None:
        """Stop, save, or ask where to; then it is over."""
        if self.busy:
            self._leaving = True
            self.stop()
            return
        self._leaving = False
        self._keep()
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
        self._keep()

    def _write(self, at: int, text: str) -> None:
        if text:
            self.go_to(self.tale.add(at, text))
            self._keep()

    def _save_as(self, name: str) -> None:
        if name:
            self.keeper.save_as(Path(name).expanduser())
            self.say(f"saved to {self.keeper.path}")

    def _save_and_leave(self, name: str) -> None:
        self._save_as(name) if name else self.keeper.forget()
        self.over = True

    def _free(self) -> bool:
        if self.busy:
            self.say("the model is at work; Esc stops it")
        return not self.busy

    def _keep(self) -> None:
        """What a model wrote or a person typed is in the file at once, where there is one."""
        if self.keeper.unsaved and self.keeper.path is not None:
            self._attempt(self.keeper.save)

    def _attempt(self, deed: Callable[[], None]) -> bool:
        try:
            deed()
        except GptcliError as error:
            self.say(str(error))
            return False
        return True
