"""Questions that are answered side by side: each as if nobody else had asked."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import ContextError, GptcliError, InputError
from gptcli.types.batch import Asked, BatchRequest, Ended, Gone, Told
from gptcli.types.chat import ChatForm, ChatRequest, Message, TranscriptForm
from gptcli.types.choose import ChooseRequest
from gptcli.types.completion import Chunk, PromptPiece, Request, Usage
from gptcli.types.compute import Compute
from gptcli.types.few_shot import (
    Answer,
    Example,
    FewShotQueries,
    FewShotRequest,
    FewShotUsage,
    Query,
)
from gptcli.types.models import ModelDir
from gptcli.types.next_tokens import NextTokensRequest
from gptcli.types.question import Question
from gptcli.types.sampling import SamplingWish
from gptcli.types.score import ScoreEventsRequest, ScoreRequest

GREEDY, WARM = SamplingWish(temperature=0), SamplingWish(temperature=1.3, repeat_penalty=1.2)


@pytest.fixture(scope="module")
def backend(chat_model: Path) -> LocalBackend:
    return LocalBackend(OpenModel(ModelDir("tiny", chat_model, "test"), Compute(device="cpu")))


class Coming:
    """Some at a time; None between them, as where nobody asks for a moment."""

    def __init__(self, *coming: Asked | Gone | None) -> None:
        self._coming = deque(coming)

    def take(self, *, wait: bool, room: bool = True) -> Asked | Gone | None:
        while self._coming and (room or not isinstance(self._coming[0], Asked)):
            came = self._coming.popleft()
            if came is not None or not wait:
                return came
        return None


def text(number: int) -> str:
    chance = random.Random(number)
    return "".join(chance.choices("ab cd\n", k=chance.randrange(1, 60)))


def few_shot(text: str, many: int = 1, **more: Any) -> FewShotQueries:
    """One query after examples."""
    examples = tuple(Example(f"a{i} b", f"b{i}") for i in range(many))
    request = FewShotRequest(examples, **{"max_new_tokens": 9} | more)
    return FewShotQueries(request, (Query("q", text),))


QUESTIONS: dict[str, Question[Any]] = {
    **{
        f"text {i}": Request(text(i % 7), sampling=WARM, max_new_tokens=9 + i, seed=i)
        for i in range(12)
    },
    "greedy": Request("abc", sampling=GREEDY, max_new_tokens=30),
    "samples": Request("some words", sampling=WARM, max_new_tokens=12, samples=3, logprobs=2),
    "stops": Request("some words", sampling=WARM, max_new_tokens=40, stop=("a", "b"), seed=4),
    "until full": Request("x" * 300, sampling=WARM, max_new_tokens=None),
    "prompt told": Request("some words", sampling=GREEDY, max_new_tokens=3, prompt_logprobs=2),
    "only told": Request("some words", max_new_tokens=0, prompt_logprobs=0),
    "nothing": Request("some words", max_new_tokens=0),
    "ids": Request("", ids=(70, 71, 72, 73), sampling=GREEDY, max_new_tokens=4),
    "unsure": Request("abc", sampling=WARM, max_new_tokens=30, fail_below=0.002, seed=2),
    "healed": Request("some wor", sampling=WARM, max_new_tokens=5, heal=True, seed=8),
    "chat": ChatRequest((Message("user", "hello there"),), sampling=WARM, max_new_tokens=20),
    "long chat": ChatRequest(
        tuple(Message(("user", "assistant")[i % 2], text(i)) for i in range(5)),  # type: ignore[arg-type]
        sampling=WARM,
        max_new_tokens=20,
        seed=3,
    ),
    "transcript": ChatRequest(
        (Message("user", "hello"),), ChatForm(transcript=TranscriptForm()), WARM, 15
    ),
    "score": ScoreRequest("a text to be scored"),
    "after a context": ScoreRequest(" and more of it", "some words " * 12),
    "windows": ScoreRequest("x y " * 300, stride=100),
    "as it is scored": ScoreEventsRequest(ScoreRequest("some words")),
    "nothing to score": ScoreRequest("x"),
    "top": NextTokensRequest("abc"),
    "top drawn": NextTokensRequest("some words", WARM, 5, (0.5,), by_drawn=True, whole=True),
    "too many": NextTokensRequest("abc", rows=99999),
    "choice": ChooseRequest("some words", (" of", " or not", "s", " of many more letters")),
    "calibrated": ChooseRequest("some words ", ("of", "or"), "byte", "N/A"),
    "after examples": few_shot("q1", sampling=WARM, seed=5),
    "longer examples": few_shot("a b c", many=12, sampling=GREEDY),
    "label": few_shot("q1", labels=("b", "d, and more", "zz")),
    "calibrated label": few_shot("q2", labels=("b", "d"), calibrate=True),
    "label of others": few_shot("q2", many=3, labels=("b", "d"), calibrate=True, order="similar"),
    "no room": few_shot("q" * 600),
    "no choice": ChooseRequest("x" * 510, (" of", " or not")),
    "empty": Request(""),
    "too long": Request("x" * 600),
    "no token": Request("", ids=(5, 999)),
    "no user": ChatRequest((Message("assistant", "hello"),)),
}


def outcome(answer: Any) -> list[Any]:
    """Everything that an answer gives, but how long it took and what it found computed."""
    try:
        parts = answer()
        told = list(parts) if hasattr(parts, "__next__") else [parts]
    except GptcliError as error:
        return [type(error), str(error)]
    return [timeless(each) for each in told]


def timeless(part: Any) -> Any:
    if isinstance(part, Usage):
        own = {"peak_memory": 0, "reused_tokens": 0, "drafts": None}
        return replace(part, prompt_seconds=0, decode_seconds=0, **own)
    if isinstance(part, Answer):
        return replace(part, reused_tokens=0)
    if isinstance(part, FewShotUsage):
        # Calibration is counted once more by whoever asks again with the same examples.
        return replace(part, prompt_tokens=0, computed_tokens=0, seconds=0, drafts=None)
    return part


def by_sample(parts: list[Any]) -> tuple[Any, ...]:
    """Chunks of several samples, one sample after the other: in turn they come as they come."""
    chunks = [each for each in parts if isinstance(each, Chunk)]
    # How many tokens of a prompt are told at once depends on what is read beside it.
    told = tuple(one for each in parts if isinstance(each, PromptPiece) for one in each.tokens)
    rest = [each for each in parts if not isinstance(each, Chunk | PromptPiece)]
    return sorted(chunks, key=lambda chunk: chunk.index), told, rest


@pytest.mark.parametrize("most", [None, 2])
def test_each_is_answered_as_alone(backend, most):
    """Catches whatever one question leaves for another: seeds, prefixes, stops, an error."""
    as_alone(backend, most)


def test_each_is_answered_as_alone_where_states_cannot_go_back(hybrid_model):
    """Catches a state that a row takes from another, or that is kept for another text."""
    model = OpenModel(ModelDir("tiny", hybrid_model, "test"), Compute(device="cpu"))
    as_alone(LocalBackend(model), 3)


def as_alone(backend: LocalBackend, most: int | None) -> None:
    asked = list(QUESTIONS.items())
    random.Random(most).shuffle(asked)
    coming: list[Any] = []
    for key, (_, question) in enumerate(asked):
        coming += [Asked(key, question), *([None] * (key % 3))]
    parts: dict[int, list[Any]] = {key: [] for key in range(len(asked))}
    ended: dict[int, Ended] = {}
    for each in backend.answer(BatchRequest(Coming(*coming), most)):
        assert each.key not in ended
        if isinstance(each, Told):
            parts[each.key].append(timeless(each.part))
        else:
            ended[each.key] = each
    for key, (name, question) in enumerate(asked):
        alone = outcome(lambda question=question: backend.answer(question))
        error = ended[key].error
        if error is not None:
            parts[key] = [type(error), str(error)]
        assert by_sample(parts[key]) == by_sample(alone), name


def test_the_prompt_is_told_token_by_token(backend):
    """Catches a place that is one off, and a prompt whose pieces do not make it up."""
    request = QUESTIONS["prompt told"]
    told = [each for each in backend.answer(request) if isinstance(each, PromptPiece)]
    tokens = [token for piece in told for token in piece.tokens]
    assert b"".join(token.bytes for token in tokens) == b"some words"
    scored = backend.answer(ScoreRequest("some words")).tokens
    assert [t.id for t in tokens] == [each.token.id for each in scored]
    for token, each in zip(tokens, scored, strict=True):
        assert (token.logprob is None) == (each.logprob is None)
        if token.logprob is not None:
            assert abs(token.logprob - each.logprob) < 1e-5
            assert token.top_logprobs[0].id == each.best.id


def test_who_left_is_told_nothing_more(backend):
    """Catches an answer that goes on for nobody, and one that takes another's place along."""
    long = Request("abc", sampling=WARM, max_new_tokens=400)
    short = Request("some words", sampling=WARM, max_new_tokens=20)
    coming = Coming(Asked(0, long), Asked(1, short), None, None, None, Gone(0), Gone(7))
    told = list(backend.answer(BatchRequest(coming)))
    assert 0 < sum(each.key == 0 for each in told) < 8
    assert Ended(0) not in told and told[-1] == Ended(1)
    ours = [timeless(each.part) for each in told if isinstance(each, Told) and each.key == 1]
    assert ours == outcome(lambda: backend.answer(short))


@pytest.mark.parametrize("most", [2, None], ids=["as many questions", "as many samples"])
def test_who_leaves_a_full_batch_is_noticed(backend, most):
    """Catches a batch that looks for those who left only where there is room for others."""
    samples = 1 if most else 100
    long = Request("abc", sampling=WARM, max_new_tokens=400, samples=samples)
    short = Request("some words", sampling=WARM, max_new_tokens=20)
    coming = Coming(Asked(1, short), Asked(0, long), None, None, None, Gone(0))
    told = list(backend.answer(BatchRequest(coming, most)))
    assert 0 < sum(each.key == 0 for each in told) < 8 * samples
    assert Ended(0) not in told and told[-1] == Ended(1)


def test_a_stranger_kind_of_question_goes_on_part_by_part(backend):
    """Catches texts that wait until a long answer of another kind is over."""
    examples = FewShotRequest((Example("a", "b"),), max_new_tokens=4)
    queries = FewShotQueries(examples, [Query(str(i), f"q{i}" * 30) for i in range(40)])
    text = Request("abc", sampling=WARM, max_new_tokens=5)
    told = list(backend.answer(BatchRequest(Coming(Asked(0, queries), Asked(1, text)))))
    ends = [each.key for each in told if isinstance(each, Ended)]
    assert ends == [1, 0] and not any(each.error for each in told if isinstance(each, Ended))


def test_closing_ends_all(backend):
    """Catches a batch that cannot be left while it runs."""
    coming = Coming(*(Asked(i, Request("abc", max_new_tokens=300)) for i in range(4)))
    answer = backend.answer(BatchRequest(coming))
    assert isinstance(next(answer), Told)
    answer.close()
    assert isinstance(outcome(lambda: backend.answer(QUESTIONS["greedy"]))[-1], Usage)


def test_ids_that_are_none_are_refused(backend):
    """Catches ids of another model that reach the kernels."""
    with pytest.raises(InputError, match="999 is no token; the vocabulary has"):
        list(backend.answer(QUESTIONS["no token"]))
    with pytest.raises(InputError, match="has no tokens"):
        list(backend.answer(Request("", ids=())))
    with pytest.raises(ContextError):
        list(backend.answer(Request("", ids=(70,) * 600)))
