"""A model whose state cannot go back, asked as people ask: the answers of one that keeps none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.state.model_state import ModelState
from gptcli.types.chat import (
    ChatDocumentRequest,
    ChatForm,
    ChatNextTokensRequest,
    ChatRequest,
    Message,
    TranscriptForm,
)
from gptcli.types.choose import ChooseRequest
from gptcli.types.completion import Chunk, Request, Usage
from gptcli.types.compute import Compute
from gptcli.types.few_shot import (
    Answer,
    Example,
    FewShotForm,
    FewShotQueries,
    FewShotRequest,
    Query,
)
from gptcli.types.models import ModelDir
from gptcli.types.next_tokens import NextTokensRequest, WalkRequest
from gptcli.types.sampling import SamplingWish
from tests.conftest import CHAT_TEMPLATE
from tests.engine.state.recurrent import RecurrentRunner
from tests.hybrids import hybrid

WARM = SamplingWish(temperature=1.2, logit_bias=(("<|end|>", float("-inf")),))
EXAMPLES = (Example("the cat", "sat"), Example("the dog", "on the log"), Example("they", "all"))
#: Asked two at a time: the first two have more in common than any of the others.
TEXTS = ("the mat on the mat", "the mat on the log", "a", "the dog", "together, then", "the mat")
FORMS = pytest.mark.parametrize(
    "form", [ChatForm(), ChatForm(transcript=TranscriptForm())], ids=["template", "transcript"]
)

HYBRIDS = ("qwen3_5_text/plain", "lfm2/plain")

Asked = Callable[[LocalBackend], Iterator[Any]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Matrices this small gain nothing from threads, which wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["sums", *HYBRIDS])
def opened(request, chat_model: Path, tiny_model: Path, tmp_path: Path) -> Callable[[], OpenModel]:
    """A model with a sum in its last layer, through torch, or hybrids in the kernels."""

    def sums() -> OpenModel:
        model = ModelDir("tiny", chat_model, "test")
        found = OpenModel(model, Compute(device="cpu", cpu_features="none"))
        found.__dict__["runner"] = RecurrentRunner(chat_model)
        return found

    if request.param == "sums":
        return sums
    directory = tmp_path / "hybrid"
    hybrid(request.param, tiny_model, directory, context=512, template=CHAT_TEMPLATE)
    model = ModelDir("tiny", directory, "test")
    return lambda: OpenModel(model, Compute(device="cpu", dtype="float32", threads=1))


@pytest.fixture
def same(opened, monkeypatch) -> Callable[[Asked], tuple[list[Any], list[int]]]:
    """Asks such a model, and one that computes every prompt from its first token on.

    What came is compared, but for times and what was reused, and given with the latter.
    """

    def run(asked: Asked) -> list[Any]:
        return list(asked(LocalBackend(opened())))

    def from_nothing(prefix: PrefixCache, _length: int) -> None:
        prefix.ids, prefix.reused = [], 0
        prefix.state.clear()

    def copies_of_nothing_kept(prefix: PrefixCache, ids: list[int], rows: int) -> ModelState:
        from_nothing(prefix, 0)
        prefix._go_on(ids, None, 0)
        return prefix.state.picked([0] * rows)

    def both(asked: Asked) -> tuple[list[Any], list[int]]:
        kept = run(asked)
        with monkeypatch.context() as patch:
            patch.setattr(PrefixCache, "_go_back", from_nothing)
            patch.setattr(PrefixCache, "copies", copies_of_nothing_kept)
            fresh = run(asked)
        assert _alike(list(map(_bare, kept)), list(map(_bare, fresh)))
        reused = [event.reused_tokens for event in kept if isinstance(event, Usage | Answer)]
        return kept, reused

    return both


def _bare(event: Any) -> Any:
    """Without times, and without counts of what was reused."""
    if isinstance(event, Usage):
        return event.prompt_tokens, event.completion_tokens
    if isinstance(event, Answer):
        shares = [(each.label, each.logprob) for each in event.shares]
        return event.text, event.finish_reason, event.completion_tokens, shares
    return event


def _alike(one: Any, other: Any) -> bool:
    """Numbers as far as sums in another order leave them the same."""
    if isinstance(one, float):
        return one == pytest.approx(other, abs=1e-4)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)


@FORMS
def test_chat(form, same):
    """Catches turns, an undo, a regen and a look that ride on what was taken back."""

    def asked(backend: LocalBackend) -> Iterator[Any]:
        request = ChatRequest((), form=form, sampling=WARM, max_new_tokens=7)
        messages: tuple[Message, ...] = (Message("user", "the cat sat on the mat"),)
        last = messages
        for seed, step in enumerate(("say", "say", "look", "undo", "say", "regen", "scene")):
            if step == "undo":
                messages = last
                continue
            if step == "regen":
                messages = messages[:-2]
            if step == "scene":
                messages = (Message("system", "Be brief."), *messages)
            turn = dataclasses.replace(request, messages=messages, seed=seed)
            if step == "look":
                found = backend.answer(ChatDocumentRequest(turn))
                yield [(t.tokens, t.ending_probability) for t in found.turns]
                top = backend.answer(ChatNextTokensRequest(turn, 5))
                yield [(c.token.id, c.logprob) for c in top.candidates]
                continue
            events = list(backend.answer(turn))
            yield from events
            text = "".join(event.text for event in events if isinstance(event, Chunk))
            last = messages
            messages = (
                *messages,
                Message("assistant", text),
                Message("user", f"and the dog {seed}"),
            )

    events, reused = same(asked)
    # What is said next follows what was held; what was taken back is restored from a turn's end.
    assert sum(count > 0 for count in reused) >= 3
    # Nothing runs again of what is only answered otherwise.
    usages = [event for event in events if isinstance(event, Usage)]
    assert usages[-2].reused_tokens == usages[-2].prompt_tokens


@pytest.mark.parametrize("labels", [(), ("sat", "the log", "all of them")])
@pytest.mark.parametrize("order", ["given", "similar"])
def test_few_shot(labels, order, same, monkeypatch):
    """Catches examples whose state a query has gone on with, and the next one takes for theirs."""
    monkeypatch.setattr("gptcli.backends.local.few_shot.ROWS", 2)

    def asked(backend: LocalBackend) -> Iterator[Any]:
        request = FewShotRequest(
            examples=EXAMPLES,
            form=FewShotForm(),
            sampling=WARM,
            max_new_tokens=6,
            labels=labels,
            calibrate=bool(labels),
            order=order,
        )
        queries = [Query(f"q: line {place}", text) for place, text in enumerate(TEXTS, 1)]
        events = backend.answer(FewShotQueries(request, iter(queries)))
        return (event for event in events if isinstance(event, Answer))

    answers, reused = same(asked)
    assert len(answers) == len(TEXTS) and sum(reused) > 0


def test_completions_choices_and_walks(same):
    """Catches healing, samples of one prompt, choices and a walk that mix what they leave."""

    def asked(backend: LocalBackend) -> Iterator[Any]:
        for heal in (False, True):
            yield from backend.answer(
                Request("the dog sa", sampling=WARM, max_new_tokens=6, samples=3, heal=heal)
            )
        chosen = backend.answer(ChooseRequest("the cat", (" sat on", " sat", " the log")))
        yield [(c.text, c.logprob) for c in chosen.ranked]
        walk = backend.answer(WalkRequest(NextTokensRequest("the cat", WARM), seed=1))
        for _ in range(5):
            walk.look()
            walk.take(walk.draw().token.id)
        yield walk.taken

    same(asked)
