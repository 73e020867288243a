"""Where the thoughts of a text that is being drawn have got to, and how they are ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gptcli.text.thinking_forms import Stage, ThinkingForm
from gptcli.text.thinking_reader import ThinkingReader


class Follower:
    """The tokens of one text as they are drawn, and where they have got to.

    bytes_of: what a token adds to the text, nothing for a control token.
    """

    def __init__(self, form: ThinkingForm, stage: Stage, bytes_of: Callable[[int], bytes]) -> None:
        self._form, self._first, self._bytes_of = form, stage, bytes_of
        self._begin()

    def _begin(self) -> None:
        self._reader = ThinkingReader(self._form, self._first)
        self._seen = 0
        #: Tokens that were drawn within thoughts, those of marks and headers not among them.
        self.count = 0

    @property
    def inside(self) -> bool:
        """See ThinkingReader, as of the last `stage`."""
        return self._reader.inside

    def stage(self, drawn: Sequence[int]) -> Stage:
        """Where all tokens drawn so far end: those of the last time and more, or fewer of them,
        where some were taken back.

        "before" as long as a thought may still begin, "after" or "saying" once it is over.
        """
        if len(drawn) < self._seen:
            self._begin()
        for token in drawn[self._seen :]:
            inside = self._reader.inside
            self._reader.feed(token, self._bytes_of(token))
            self.count += inside and self._reader.inside
        self._seen = len(drawn)
        return self._reader.stage


class Budget:
    """Ends the thoughts of one text once they have taken `most` tokens.

    Once: where what ended them is taken back, since a banned text was in it, they go on.
    """

    def __init__(self, follower: Follower, most: int, forced: Sequence[int]) -> None:
        self._follower, self._most = follower, most
        self._forced = tuple(forced)
        self._due: tuple[int, ...] = ()
        self._place: int | None = None  # of the first token that was due
        self._taken_back = False

    def next(self, drawn: Sequence[int]) -> int | None:
        """The token that comes next by force, None where the model draws it."""
        self._follower.stage(drawn)
        if self._place is not None and len(drawn) <= self._place:
            self._taken_back, self._due = True, ()
        over = self._follower.inside and self._follower.count >= self._most
        if over and not (self._due or self._taken_back):
            self._due, self._place = self._forced, len(drawn)
        if not self._due:
            return None
        token, self._due = self._due[0], self._due[1:]
        return token
