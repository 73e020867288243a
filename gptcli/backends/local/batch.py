"""Many questions at once: what can be runs side by side, the rest is answered in between."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from gptcli.backends.base import parts_of
from gptcli.backends.local import choose, few_shot, next_tokens, score
from gptcli.backends.local.chat import LocalChat
from gptcli.backends.local.completion import Completion
from gptcli.backends.local.drawing import PAUSE, Beside, Drawing, Pause
from gptcli.backends.local.memory import available_bytes
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import GptcliError
from gptcli.types.batch import Asked, BatchRequest, Ended, Gone, Told
from gptcli.types.chat import ChatRequest
from gptcli.types.choose import ChooseRequest
from gptcli.types.completion import Request
from gptcli.types.few_shot import FewShotQueries
from gptcli.types.next_tokens import NextTokensRequest
from gptcli.types.question import Question
from gptcli.types.score import ScoreEventsRequest, ScoreRequest

if TYPE_CHECKING:
    from gptcli.engine.asking.draws import Draws
    from gptcli.engine.asking.joined import Joined
    from gptcli.engine.asking.joining import Tell
    from gptcli.engine.asking.running_batch import RunningBatch

T = TypeVar("T")

#: How much of the memory that is left keys and values of all texts together may take.
_SHARE = 2
#: The same where nothing tells how much is left.
_UNKNOWN = 4 << 30


def answer(model: OpenModel, request: BatchRequest) -> Iterator[Told | Ended]:
    """See BatchRequest."""
    yield from _Batch(model, request).events()


def _completion(model: OpenModel, question: Request, beside: Beside) -> Iterator[Any]:
    return Completion(model, question, beside.draw).events()


def _chat(model: OpenModel, question: ChatRequest, beside: Beside) -> Iterator[Any]:
    return model.kept(LocalChat).events(question, beside.draw)


#: How the parts of an answer are made beside others, PAUSE where they go on, by the question.
_BESIDE: dict[type[Question[Any]], Callable[[OpenModel, Any, Beside], Iterator[Any]]] = {
    Request: _completion,
    ChatRequest: _chat,
    ScoreRequest: score.beside,
    ScoreEventsRequest: score.events_beside,
    NextTokensRequest: next_tokens.beside,
    ChooseRequest: choose.beside,
    FewShotQueries: few_shot.beside,
}


def _is_whole(question: FewShotQueries) -> bool:
    """Whether it is no text that is drawn: many run together by themselves, and labels after
    examples that are there take no longer one by one.
    """
    one = isinstance(question.queries, tuple) and len(question.queries) == 1
    return bool(question.request.labels) or not one


class _Place:
    """See Beside: what one question has in the running batch."""

    def __init__(self, running: RunningBatch) -> None:
        self._running = running
        self._joined: list[Joined[Any]] = []

    def draw(self, prompt: Sequence[int], draws: Draws, samples: int) -> Drawing:
        return self._noted(self._running.join(prompt, draws, samples))

    def look(self, ids: Sequence[int], first: int, tell: Tell[T]) -> Iterator[list[T]]:
        return self._noted(self._running.look(ids, first, tell)).reads()

    def after(
        self, prompt: Sequence[int], rows: Sequence[Sequence[int]]
    ) -> Iterator[list[tuple[int, float]]]:
        return self._noted(self._running.after(prompt, rows)).reads()

    def close(self) -> None:
        """Take out whatever is left."""
        for each in self._joined:
            each.close()

    def _noted(self, joined: Joined[T]) -> Joined[T]:
        self._joined.append(joined)
        return joined


@dataclass(eq=False)
class _Open:
    """A question under way: its events, and what they have in the batch."""

    key: int
    events: Generator[Any, None, None]
    place: _Place

    def close(self) -> None:
        """Stop the work."""
        self.events.close()
        self.place.close()


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
        while True:
            room = len(self._open) < self._most and not self._running.full
            came = self._incoming.take(wait=not self._open, room=room)
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
        question, place = asked.question, _Place(self._running)

        def events() -> Generator[Any, None, None]:
            # What is wrong with it shows at its first event, not here.
            answered = _BESIDE.get(type(question))
            if answered is None or (isinstance(question, FewShotQueries) and _is_whole(question)):
                yield from self._whole(question)
            else:
                yield from answered(self._model, question, place)

        return _Open(asked.key, events(), place)

    def _whole(self, question: Question[Any]) -> Iterator[Any]:
        """The answer to what does not run beside others, which go on after each part of it."""
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
    from gptcli.engine.state.page_memory import PAGE
    from gptcli.engine.state.paged_state import kept_states, pages_in

    facts, spec = model.runner.facts, model.runner.spec
    free = available_bytes(facts.device)
    room = _UNKNOWN if free is None else free // _SHARE
    # A text of the whole context always has room, as it has alone.
    least = -(-model.runner.limit // PAGE)
    room = max(0, room - (ROWS + kept_states(spec)) * spec.row_bytes)
    return max(pages_in(spec, facts.itemsize, room, model.runner.limit), least)
