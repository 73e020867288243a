"""Many questions at once: texts are drawn side by side, other questions are answered in between."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gptcli.backends.base import parts_of
from gptcli.backends.local.chat import LocalChat
from gptcli.backends.local.completion import Completion
from gptcli.backends.local.drawing import PAUSE, Drawing, Pause
from gptcli.backends.local.memory import available_bytes
from gptcli.backends.local.open_model import OpenModel
from gptcli.engine.asking.joined import Joined
from gptcli.errors import GptcliError
from gptcli.types.batch import Asked, BatchRequest, Ended, Gone, Told
from gptcli.types.chat import ChatRequest
from gptcli.types.completion import Request
from gptcli.types.question import Question

if TYPE_CHECKING:
    from gptcli.engine.asking.draws import Draws
    from gptcli.engine.asking.joined import Joined

#: How much of the memory that is left keys and values of all texts together may take.
_SHARE = 2
#: The same where nothing tells how much is left.
_UNKNOWN = 4 << 30


def answer(model: OpenModel, request: BatchRequest) -> Iterator[Told | Ended]:
    """See BatchRequest."""
    yield from _Batch(model, request).events()


@dataclass(eq=False)
class _Open:
    """A question under way: its events, and what draws them."""

    key: int
    events: Generator[Any, None, None]
    joined: list[Joined]

    def close(self) -> None:
        """Stop the work."""
        self.events.close()
        for each in self.joined:
            each.close()


class _Batch:
    def __init__(self, model: OpenModel, request: BatchRequest) -> None:
        from gptcli.engine.asking.running_batch import ROWS, RunningBatch

        self._model = model
        self._incoming = request.incoming
        self._most = request.most or ROWS
        self._running = RunningBatch(model.runner, pages=pages(model), most=self._most)
        self._open: dict[int, _Open] = {}

    def events(self) -> Iterator[Told | Ended]:
        """Everything, as it comes."""
        try:
            while True:
                yield from self._take()
                if not self._open:
                    return
                self._running.step()
                for each in list(self._open.values()):
                    yield from self._go_on(each)
        finally:
            for each in self._open.values():
                each.close()

    def _take(self) -> Iterator[Told | Ended]:
        """What has come, as far as there is room; waits where there is nothing else to do."""
        while len(self._open) < self._most and not self._running.full:
            came = self._incoming.take(wait=not self._open)
            if came is None:
                return
            if isinstance(came, Gone):
                if came.key in self._open:
                    self._open.pop(came.key).close()
                continue
            begun = self._open[came.key] = self._opened(came)
            # As far as it gets by itself: notices, and errors of the prompt.
            yield from self._go_on(begun)

    def _opened(self, asked: Asked) -> _Open:
        question, joined = asked.question, list[Joined]()

        def begin(prompt: Sequence[int], draws: Draws, samples: int) -> Drawing:
            joined.append(self._running.join(prompt, draws, samples))
            return joined[0]

        def events() -> Generator[Any, None, None]:
            if isinstance(question, ChatRequest):
                yield from self._model.kept(LocalChat).events(question, begin)
            elif isinstance(question, Request):
                yield from Completion(self._model, question, begin).events()
            else:
                yield from self._parts(question)

        return _Open(asked.key, events(), joined)

    def _parts(self, question: Question[Any]) -> Iterator[Any]:
        """The answer to what draws no text beside others, which go on after each part of it."""
        from gptcli.backends.local import LocalBackend

        yield PAUSE
        for part in parts_of(LocalBackend(self._model).answer(question)):
            yield part
            yield PAUSE

    def _go_on(self, each: _Open) -> Iterator[Told | Ended]:
        """What a question can be told now."""
        error: GptcliError | None = None
        try:
            for event in each.events:
                if isinstance(event, Pause):
                    return
                yield Told(each.key, event)
        except GptcliError as failed:
            error = failed
        each.close()
        del self._open[each.key]
        yield Ended(each.key, error)


def pages(model: OpenModel) -> int:
    """How many pages of keys and values all texts may take together."""
    from gptcli.engine.asking.running_batch import ROWS
    from gptcli.engine.state.pages import PAGE

    facts, spec = model.runner.facts, model.runner.spec
    free = available_bytes(facts.device)
    room = _UNKNOWN if free is None else free // _SHARE
    # A text of the whole context always has room, as it has alone.
    least = -(-model.runner.limit // PAGE)
    room = max(0, room - ROWS * spec.row_bytes)
    return max(room // max(1, spec.cache_bytes(PAGE, facts.itemsize) - spec.row_bytes), least)
