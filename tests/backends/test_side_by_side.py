"""Questions that are answered at once, each in a thread, are answered each as if it came alone."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gptcli.backends.echo import EchoBackend
from gptcli.backends.side_by_side import side_by_side
from gptcli.errors import InputError
from gptcli.types.batch import Asked, BatchRequest, Ended, Gone, Told
from gptcli.types.completion import Chunk, Request
from tests.backends.test_one_by_one import next_of


class Coming:
    """What comes, and what is called before each look for more."""

    def __init__(self, *coming: Asked | Gone, look: Callable[[], None] = lambda: None) -> None:
        self.coming, self._look = deque(coming), look

    def take(self, *, wait: bool, room: bool = True) -> Asked | Gone | None:
        """See Incoming."""
        self._look()
        return next_of(self.coming, room)


def told_of(answer: Callable[[Any], Any], coming: Coming, most: int = 4) -> list[Told | Ended]:
    return list(side_by_side(answer, BatchRequest(coming), most))


def test_each_is_answered_as_alone_and_ends():
    """Catches an answer given under another's key, in another order, or one that never ends."""
    answer = EchoBackend().answer
    questions = {n: Request(f"a{n} b{n}", max_new_tokens=9) for n in range(20)}
    told = told_of(answer, Coming(*(Asked(*each) for each in questions.items())))
    for key, question in questions.items():
        own = [each for each in told if each.key == key]
        assert [each.part for each in own[:-1]] == list(answer(question))
        assert own[-1] == Ended(key)


def test_an_error_ends_its_own_answer_only_and_a_bug_ends_all():
    told = told_of(EchoBackend().answer, Coming(Asked(1, Request("")), Asked(2, Request("a"))))
    ends = {each.key: each.error for each in told if isinstance(each, Ended)}
    assert isinstance(ends[1], InputError) and ends[2] is None

    def broken(_: Any) -> Iterator[Chunk]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        told_of(broken, Coming(Asked(1, Request("a"))))


def test_no_more_are_asked_at_once_than_may_be():
    """Catches a flood of threads, and questions that wait for one another without need."""
    most, lock, open_now, seen = 3, threading.Lock(), [0], []
    together = threading.Barrier(most)

    def answer(_: Any) -> Iterator[Chunk]:
        with lock:
            open_now[0] += 1
            seen.append(open_now[0])
        # Passed by so many at a time alone.
        together.wait(5)
        with lock:
            open_now[0] -= 1
        yield Chunk("a")

    told = told_of(answer, Coming(*(Asked(n, Request("a")) for n in range(9))), most)
    assert len([each for each in told if isinstance(each, Ended)]) == 9
    assert max(seen) == most


@pytest.mark.parametrize("beside", [0, 100], ids=["none waits", "as many wait as may"])
def test_who_leaves_is_told_no_more_and_worked_for_no_more(beside):
    """Work that goes on for nobody, also where a long queue is not looked at."""
    begun, closed, go_on = threading.Event(), threading.Event(), threading.Semaphore(0)
    others = [Asked(3 + i, Request("c")) for i in range(beside)]
    coming = Coming(Asked(1, Request("a")), Asked(2, Request("b")), *others)

    def answer(question: Request) -> Iterator[Chunk]:
        if question.prompt != "a":
            assert closed.wait(5)
            yield Chunk(question.prompt)
            return
        try:
            for _ in range(100):
                yield Chunk("a")
                begun.set()
                assert go_on.acquire(timeout=5)
        finally:
            closed.set()

    run = side_by_side(answer, BatchRequest(coming), 2)
    assert next(run) == Told(1, Chunk("a"))
    assert begun.wait(5)
    coming.coming.append(Gone(1))
    threading.Timer(0.1, lambda: go_on.release(2)).start()
    told = list(run)
    assert {each.key for each in told} == {2, *range(3, 3 + beside)}
    assert [each for each in told if each.key == 2] == [Told(2, Chunk("b")), Ended(2)]
