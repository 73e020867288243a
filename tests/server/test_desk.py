"""The desk: many askers, one engine's thread, and nobody waits for nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from gptcli.backends.echo import EchoBackend
from gptcli.errors import InputError
from gptcli.server.answers import News, SlowError
from gptcli.server.crossing import Line, Mailbox
from gptcli.server.desk import BrokenError, BusyError, Desk
from gptcli.types.batch import Asked, BatchRequest, Ended, Gone, Told
from gptcli.types.completion import Chunk, Request, Usage


class Stepwise:
    """A backend that tells a number at a time to all that are open, one step when it is let."""

    def __init__(self) -> None:
        self.steps = threading.Semaphore(0)
        self.open: dict[int, int] = {}
        self.gone: list[tuple[int, int]] = []

    def answer(self, question: BatchRequest) -> Iterator[Told | Ended]:
        while True:
            while (came := question.incoming.take(wait=not self.open)) is not None:
                if isinstance(came, Asked):
                    self.open[came.key] = 0
                else:
                    self.gone.append((came.key, self.open.pop(came.key)))
            if not self.open:
                return
            assert self.steps.acquire(timeout=5)
            for key in self.open:
                self.open[key] += 1
                yield Told(key, self.open[key])

    def supports(self, kind: type) -> bool:
        return True

    def close(self) -> None:
        pass


class Faulty(EchoBackend):
    """An engine with a bug: a prompt that it cannot bear."""

    def answer(self, question: Any) -> Any:
        if isinstance(question, Request) and question.prompt == "bug":
            raise ZeroDivisionError("the bug")
        return super().answer(question)


def at(backend: Any, work: Callable[[Desk], Coroutine[Any, Any, Any]], **more: Any) -> Any:
    """What `work` gives at an open desk, within ten seconds."""

    async def run() -> Any:
        desk = Desk(backend, **more)
        desk.start()
        try:
            return await asyncio.wait_for(work(desk), 10)
        finally:
            await asyncio.wait_for(desk.close(), 10)

    return asyncio.run(run())


async def text(desk: Desk, prompt: str, **more: Any) -> str:
    parts = [part async for part in desk.ask(Request(prompt, **more))]
    assert isinstance(parts[-1], Usage)
    return "".join(part.text for part in parts if isinstance(part, Chunk))


def test_every_asker_gets_its_own_answer_whole():
    """Catches parts that get lost, or into another's answer."""

    async def work(desk: Desk) -> list[str]:
        return await asyncio.gather(
            *(text(desk, f"word{i} and", max_new_tokens=50) for i in range(40))
        )

    told = at(EchoBackend(), work)
    assert told == [f" word{i} and" * 25 for i in range(40)]


def test_the_engines_steps_wake_the_loop_only_where_somebody_waits():
    """Catches a wake-up for each token, which takes a core from the engine, and lost ones."""

    async def work() -> None:
        came: list[int] = []
        box = Mailbox(came.append)
        box.loop = asyncio.get_running_loop()
        for number in range(100):
            await asyncio.to_thread(box.put, number)
        assert came == []
        with box.awaited():
            assert came == list(range(100))
            await asyncio.to_thread(box.put, 100)
            await asyncio.sleep(0)
            assert came[-1] == 100
        await asyncio.to_thread(box.put, 101)
        await asyncio.to_thread(box.put, 102, urgent=True)
        await asyncio.sleep(0)
        assert came == list(range(103))
        await asyncio.to_thread(lambda: [box.put(number) for number in range(103, 4000)])
        assert len(came) > 1000
        assert came == list(range(len(came)))

    asyncio.run(work())


def test_who_rests_wakes_with_others_and_at_the_end(monkeypatch):
    """Catches a loop that wakes for each stream by itself, and a rest that outlasts its answers."""

    async def work() -> None:
        loop, woken = asyncio.get_running_loop(), list[float]()
        timed = loop.call_at
        with monkeypatch.context() as patch:
            patch.setattr(loop, "call_at", lambda at, *how: woken.append(at) or timed(at, *how))
            for _ in range(3):
                await News(Mailbox(print), 1).rest(0.02)
                time.sleep(0.003)
        assert len(woken) == 3
        for at in woken:
            assert at / 0.02 == pytest.approx(round(at / 0.02), abs=1e-3)
        news = News(Mailbox(print), 2)
        resting = asyncio.create_task(news.rest(1000))
        for _ in range(2):
            await asyncio.sleep(0.01)
            assert not resting.done()
            news.end()
        await asyncio.wait_for(resting, 5)
        await asyncio.wait_for(news.rest(1000), 5)

    asyncio.run(work())


def test_an_error_is_its_askers_alone():
    """Catches an error that ends others' answers, or the desk."""

    async def work(desk: Desk) -> str:
        with pytest.raises(InputError, match="is empty"):
            await text(desk, "")
        return await text(desk, "go on", max_new_tokens=1)

    assert at(EchoBackend(), work) == " go"


@pytest.mark.parametrize("how", ["close", "cancel"])
def test_who_leaves_frees_the_place_within_two_parts(how):
    """Catches work that goes on for nobody: at most one part more is computed."""
    backend = Stepwise()

    async def work(desk: Desk) -> None:
        leaver, stayer = desk.ask(Request("a")), desk.ask(Request("b"))

        async def take() -> None:
            async with leaver:
                async for part in leaver:
                    if part == 3 and how == "close":
                        return

        taking = asyncio.create_task(take())
        backend.steps.release(3)
        for _ in range(3):
            last = await anext(stayer)
        assert last == 3
        await asyncio.sleep(0.05)
        if how == "cancel":
            taking.cancel()
        await asyncio.wait([taking])
        assert desk.open == 1
        for _ in range(3):
            backend.steps.release()
            await anext(stayer)
        await stayer.aclose()
        backend.steps.release(9)

    at(backend, work)
    (key, parts), *_ = backend.gone
    assert key == 1
    assert parts <= 5


def test_a_full_desk_says_so_and_who_leaves_makes_room():
    """Catches a queue without end, and places that are never free again."""
    backend = Stepwise()

    async def work(desk: Desk) -> None:
        first, second = desk.ask_all([Request("a"), Request("b")]).each
        with pytest.raises(BusyError):
            desk.ask_all([Request("c"), Request("d")])
        third = desk.ask(Request("c"))
        with pytest.raises(BusyError, match="3 requests are open"):
            desk.ask(Request("d"))
        await second.aclose()
        backend.steps.release(9)
        assert await anext(first) == 1
        assert await anext(third) == 1
        fourth = desk.ask(Request("d"))
        backend.steps.release(9)
        assert await anext(fourth) == 1
        for answer in (first, third, fourth):
            await answer.aclose()
        backend.steps.release(99)

    at(backend, work, places=3)


def test_a_bug_fails_what_is_open_and_nothing_after():
    """Catches a thread that dies unseen: every asker would wait for ever."""
    bugs: list[BaseException] = []

    async def work(desk: Desk) -> str:
        asked = desk.ask_all([Request("bug"), Request("waits behind it")])
        for answer in asked.each:
            with pytest.raises(BrokenError):
                await anext(answer)
        return await text(desk, "on again", max_new_tokens=2)

    assert at(Faulty(), work, report=bugs.append) == " on again"
    assert [type(bug) for bug in bugs] == [ZeroDivisionError]


def test_an_engine_that_stops_is_a_bug_too():
    """Catches an answer that ends while its questions are open."""

    class Stops(EchoBackend):
        def answer(self, question: Any) -> Any:
            question.incoming.take(wait=True)
            return iter(())

    async def work(desk: Desk) -> None:
        with pytest.raises(BrokenError):
            await anext(desk.ask(Request("a")))

    bugs: list[BaseException] = []
    at(Stops(), work, report=bugs.append)
    assert [str(bug) for bug in bugs] == ["the engine stopped answering"]


def test_who_does_not_take_is_stopped():
    """Catches an answer that piles up for somebody who does not read."""

    async def work(desk: Desk) -> None:
        slow = desk.ask(Request("much", max_new_tokens=100_000))
        await asyncio.sleep(0.05)
        assert await text(desk, "quick", max_new_tokens=3) == " quick" * 3
        with pytest.raises(SlowError):
            await anext(slow)
        assert desk.open == 0

    at(EchoBackend(), work, unread=100)


def test_closing_ends_what_is_open_and_takes_nothing_more():
    """Catches a server that cannot end, or one that hangs its last askers."""

    async def run() -> None:
        desk = Desk(EchoBackend())
        desk.start()
        answer = desk.ask(Request("on and on", max_new_tokens=10**9))
        await anext(answer)
        await asyncio.wait_for(desk.close(), 10)
        with pytest.raises(BusyError):
            await anext(answer)
        with pytest.raises(BusyError, match="closing"):
            desk.ask(Request("more"))

    asyncio.run(run())


def test_a_question_left_before_it_was_taken_is_never_seen():
    """Catches a queue that fills with the requests of those who gave up."""
    seen: list[Asked | Gone] = []
    gate = threading.Event()

    class Late(EchoBackend):
        def answer(self, question: Any) -> Any:
            gate.wait(10)
            while (came := question.incoming.take(wait=True)) is not None:
                seen.append(came)
                yield Ended(came.key)

    async def work(desk: Desk) -> None:
        for _ in range(1000):
            await desk.ask(Request("a")).aclose()
        kept = desk.ask(Request("b"))
        gate.set()
        with pytest.raises(StopAsyncIteration):
            await anext(kept)

    at(Late(), work, places=1)
    assert [each.key for each in seen] == [1001]


@pytest.mark.parametrize("connected", [0, 1, 3])
def test_a_first_question_waits_for_those_at_the_door(connected, monkeypatch):
    """Catches one that runs before others that come with it, and one that waits for nobody."""
    monkeypatch.setattr("gptcli.server.crossing.GATHER", 30.0)
    line = Line(lambda: connected)

    def ask() -> None:
        for key in range(max(connected, 1)):
            line.put(Asked(key, Request("a")))
            time.sleep(0.02)

    asking, start = threading.Thread(target=ask), time.monotonic()
    asking.start()
    came = [line.take(wait=at == 0) for at in range(connected + 1)]
    assert [each and each.key for each in came] == [*range(max(connected, 1)), None][: len(came)]
    assert time.monotonic() - start < 20
    asking.join()
