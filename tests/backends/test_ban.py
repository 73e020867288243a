"""--ban through everything that draws a text: what is shown never holds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.types.chat import ChatRequest, Message
from gptcli.types.completion import Chunk, Request
from gptcli.types.compute import Compute
from gptcli.types.few_shot import Answer, Example, FewShotQueries, FewShotRequest, Query
from gptcli.types.models import ModelDir
from gptcli.types.sampling import SamplingWish

WISH = SamplingWish(temperature=1.2)


@pytest.fixture(scope="module")
def backend(chat_model: Path) -> LocalBackend:
    return LocalBackend(OpenModel(ModelDir("tiny", chat_model, "test"), Compute(device="cpu")))


def text_of(backend, question):
    chunks = [each for each in backend.answer(question) if isinstance(each, Chunk)]
    return "".join(each.text for each in chunks), chunks


@pytest.mark.parametrize(
    "question",
    [
        Request("the cat", WISH, 16, seed=3),
        Request("the ca", WISH, 16, seed=3, heal=True),
        ChatRequest((Message("user", "hi"),), sampling=WISH, max_new_tokens=16, seed=3),
    ],
    ids=["completion", "healed", "chat"],
)
def test_what_is_banned_never_comes(backend, question):
    """Catches a way to a text that forgets the ban, and a count that what was taken back is in."""
    free, _ = text_of(backend, question)
    # Of half a character nothing but its sign is text.
    pieces = {free[at : at + 2] for at in range(len(free) - 1)}
    pieces = {each for each in pieces if "\ufffd" not in each}
    assert pieces
    for piece in sorted(pieces)[:6]:
        wish = replace(WISH, ban=(piece,))
        found, chunks = text_of(backend, replace(question, sampling=wish))
        assert piece not in found
        assert found.startswith(free[: free.find(piece)][:-20])
        usage = list(backend.answer(replace(question, sampling=wish)))[-1]
        assert usage.completion_tokens <= 16 and usage.sampling.banned == (piece,)
        assert chunks[-1].finish_reason in ("length", "stop")


def test_an_answer_after_examples(backend):
    """Catches examples after which a banned text still comes."""
    request = FewShotRequest(
        (Example("a", "the cat"), Example("b", "the dog")), sampling=WISH, max_new_tokens=12
    )

    def answer(asked):
        events = backend.answer(FewShotQueries(asked, (Query("q", "c"),)))
        return next(each.text for each in events if isinstance(each, Answer))

    free = answer(request)
    piece = next(each for each in free if each != "\ufffd")
    assert piece not in answer(replace(request, sampling=replace(WISH, ban=(piece,))))
