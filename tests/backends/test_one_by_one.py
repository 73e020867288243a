"""Questions that come in together are answered each as if it came alone."""

from __future__ import annotations

from collections import deque

import pytest

from gptcli.backends.echo import EchoBackend
from gptcli.backends.one_by_one import one_by_one
from gptcli.errors import InputError
from gptcli.types.batch import Asked, BatchRequest, Ended, Gone, Told
from gptcli.types.completion import Chunk, Request, Usage


class Listed:
    """All at once."""

    def __init__(self, *coming: Asked | Gone) -> None:
        self._coming = deque(coming)

    def take(self, *, wait: bool, room: bool = True) -> Asked | Gone | None:
        """See Incoming."""
        return next_of(self._coming, room)


def next_of(coming: deque[Asked | Gone], room: bool) -> Asked | Gone | None:
    """The first of them, or where there is no room the first who left."""
    found = next((each for each in coming if room or isinstance(each, Gone)), None)
    if found is not None:
        coming.remove(found)
    return found


def test_each_is_answered_as_alone_and_ends():
    """An answer given under another's key, or one that never ends."""
    backend = EchoBackend()
    questions = {7: Request("a b"), 3: Request("c", samples=2)}
    told = list(backend.answer(BatchRequest(Listed(*(Asked(*e) for e in questions.items())))))
    for key, question in questions.items():
        parts = [each.part for each in told if isinstance(each, Told) and each.key == key]
        assert parts == list(backend.answer(question))
        assert isinstance(parts[-1], Usage)
    assert [each for each in told if isinstance(each, Ended)] == [Ended(7), Ended(3)]


def test_an_error_ends_its_own_answer_only():
    """A bad row that takes those after it with it."""
    told = list(
        EchoBackend().answer(BatchRequest(Listed(Asked(0, Request("")), Asked(1, Request("a")))))
    )
    first, *rest = told
    assert isinstance(first, Ended) and isinstance(first.error, InputError)
    assert {each.key for each in rest} == {1}


@pytest.mark.parametrize("beside", [1, 100], ids=["few wait", "as many wait as may"])
@pytest.mark.parametrize("when", [0, 1, 2])
def test_who_left_is_told_nothing_more(when, beside):
    """Work that goes on for nobody, also where a long queue is not looked at."""
    closed = []

    def answer(question):
        try:
            for word in question.prompt.split():
                yield Chunk(word)
        finally:
            closed.append(question.prompt)

    class Leaving:
        def __init__(self) -> None:
            others = (Asked(1 + i, Request("e")) for i in range(beside))
            self.coming: deque[Asked | Gone] = deque([Asked(0, Request("a b c d")), *others])
            self.asked = 0

        def take(self, *, wait: bool, room: bool = True) -> Asked | Gone | None:
            if room and self.coming:
                return self.coming.popleft()
            self.asked += 1
            return Gone(0) if self.asked == when + 1 else None

    told = list(one_by_one(answer, BatchRequest(Leaving())))
    assert Ended(0) not in told
    assert sum(each.key == 0 for each in told) == max(when - 1, 0)
    assert told[-2:] == [Told(beside, Chunk("e")), Ended(beside)]
    assert "e" in closed and ("a b c d" in closed or when == 0)
