"""Chat on the engine: what turns reuse, and that nothing of it changes an answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.chat import LocalChat
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.overflow import oldest_left_out
from gptcli.errors import ContextError, InputError
from gptcli.types.chat import (
    ChatDocument,
    ChatDocumentRequest,
    ChatForm,
    ChatNextTokensRequest,
    ChatRequest,
    Message,
    TranscriptForm,
)
from gptcli.types.completion import Chunk, Usage
from gptcli.types.compute import Compute
from gptcli.types.events import Notice
from gptcli.types.models import ModelDir
from gptcli.types.sampling import SamplingWish

WARM = SamplingWish(temperature=1.2, logit_bias=(("<|end|>", float("-inf")),))
TRANSCRIPT = ChatForm(transcript=TranscriptForm())
FORMS = pytest.mark.parametrize("form", [ChatForm(), TRANSCRIPT], ids=["template", "transcript"])


def open_(directory: Path, limit: int | None = None) -> LocalBackend:
    return LocalBackend(
        OpenModel(ModelDir("tiny", directory, "test"), Compute(device="cpu", ctx_size=limit))
    )


@pytest.fixture
def backend(chat_model: Path) -> LocalBackend:
    """A model that nothing was asked of yet."""
    return open_(chat_model)


def user(text: str) -> Message:
    return Message("user", text)


def answered(backend: LocalBackend, request: ChatRequest) -> tuple[str, Usage]:
    events = list(backend.answer(request))
    text = "".join(event.text for event in events if isinstance(event, Chunk))
    (usage,) = (event for event in events if isinstance(event, Usage))
    assert events[-1] == usage
    return text, usage


def ids_of(document: ChatDocument) -> list[int]:
    return [token.id for turn in document.turns for token in turn.tokens]


def common(one: list[int], other: list[int]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


@pytest.mark.slow
@FORMS
def test_turns_reuse_the_cache_and_answers_are_those_of_a_fresh_model(form, chat_model, backend):
    """Catches a turn computed again, and one that reads keys of what was taken back.

    Turns, an undo, a regen, another system prompt, and a form's other end: each is held to the
    longest beginning that its document shares with what has run, and to a model of its own.
    """
    request = ChatRequest((), form=form, sampling=WARM, max_new_tokens=7)
    messages: tuple[Message, ...] = (user("the cat sat on the mat"),)
    ran: list[int] = []
    steps = ["say", "say", "say", "undo", "say", "regen", "regen", "scene", "say"]
    last: tuple[Message, ...] = ()
    for seed, step in enumerate(steps):
        if step == "undo":
            messages = last
            continue
        if step == "regen":
            messages = messages[:-2]
        if step == "scene":
            messages = (Message("system", "Be brief."), *messages)
        asked = replace(request, messages=messages, seed=seed)
        ids = ids_of(open_(chat_model).answer(ChatDocumentRequest(asked)))
        text, usage = answered(backend, asked)
        assert usage.prompt_tokens == len(ids)
        assert usage.reused_tokens == min(common(ran, ids), len(ids) - 1), step
        assert text == answered(open_(chat_model), asked)[0], step
        ran = list(backend._open.kept(LocalChat)._prefix.ids)
        last = messages
        messages = (*messages, Message("assistant", text), user(f"and the dog {seed}"))


def test_looking_at_the_document_does_not_cost_the_next_turn_its_cache(chat_model, backend):
    """Catches /show and /top that throw away what turns have computed, or leave wrong keys."""
    request = ChatRequest((user("the cat"),), sampling=WARM, max_new_tokens=5)
    text, _ = answered(backend, request)
    said = (user("the cat"), Message("assistant", text))
    backend.answer(ChatDocumentRequest(replace(request, messages=said)))
    backend.answer(ChatNextTokensRequest(replace(request, messages=said), 5))
    asked = replace(request, messages=(*said, user("the dog")), seed=3)
    found, usage = answered(backend, asked)
    first = ids_of(open_(chat_model).answer(ChatDocumentRequest(request)))
    assert usage.reused_tokens >= len(first)
    assert found == answered(open_(chat_model), asked)[0]


def test_an_answer_that_is_broken_off_leaves_a_good_cache(chat_model, backend):
    """Catches keys of tokens that nobody noted, after the caller has stopped listening."""
    request = ChatRequest((user("the cat"),), sampling=WARM, max_new_tokens=30)
    events = backend.answer(request)
    head = [next(events) for _ in range(4)]
    events.close()
    text = "".join(event.text for event in head if isinstance(event, Chunk))
    said = (user("the cat"), Message("assistant", text), user("the dog"))
    asked = replace(request, messages=said, max_new_tokens=9)
    assert answered(backend, asked)[0] == answered(open_(chat_model), asked)[0]


def test_the_probability_of_ending_each_turn(chat_model, backend):
    """Catches a probability of another place or token than the one that ends the turn."""
    said = (Message("system", "S"), user("the cat"), Message("assistant", "sat"), user("more"))
    document = backend.answer(ChatDocumentRequest(ChatRequest(said)))
    ids = ids_of(document)
    runner = open_(chat_model)._open.runner
    probabilities = torch.as_tensor(runner.all_logits(ids, runner.new_state())).softmax(dim=-1)
    at = 0
    for turn in document.turns[:-1]:
        assert turn.ending is not None and turn.ending_at is not None
        place = at + turn.ending_at
        assert ids[place] == turn.ending.id == 0
        expected = probabilities[place - 1, 0].item()
        assert turn.ending_probability == pytest.approx(expected, rel=1e-5)
        at += len(turn.tokens)
    # The open turn: saying nothing at all.
    assert document.turns[-1].ending_probability == pytest.approx(
        probabilities[-1, 0].item(), rel=1e-5
    )


@FORMS
def test_top_stands_where_the_conversation_ends(form, chat_model, backend):
    """Catches a distribution of the place before the last token, or after the turn's end."""
    said = (user("the cat"), Message("assistant", "sat on"))
    request = ChatRequest(said, form=form)
    before = ids_of(backend.answer(ChatDocumentRequest(replace(request, messages=said[:1]))))
    tokenizer = backend._open.tokenizer
    ids = [*before, *tokenizer.encode(" sat on" if form == TRANSCRIPT else "sat on")]
    runner = open_(chat_model)._open.runner
    expected = torch.as_tensor(runner.all_logits(ids, runner.new_state()))[-1].softmax(dim=-1)
    found = backend.answer(ChatNextTokensRequest(request, 5)).candidates
    values, order = torch.topk(expected, 5)
    assert [each.token.id for each in found] == order.tolist()
    assert [each.probability for each in found] == pytest.approx(values.tolist(), rel=1e-4)
    awaited = backend.answer(
        ChatNextTokensRequest(replace(request, messages=said[:1]), 1)
    ).candidates[0]
    logits = runner.all_logits(before, runner.new_state())[-1]
    assert awaited.token.id == logits.argmax().item()


def test_a_conversation_ends_with_the_user(backend):
    """Catches an answer to an answer, and one to nothing."""
    for messages in ((), (user("a"), Message("assistant", "b")), (Message("system", "a"),)):
        with pytest.raises(InputError, match="does not end with a message of the user"):
            list(backend.answer(ChatRequest(messages)))


def conversation(turns: int, words: int) -> tuple[Message, ...]:
    said = [Message("system", "Be brief.")]
    for turn in range(turns):
        said += [user(f"{turn} " + "the cat " * words), Message("assistant", "sat " * words)]
    return (*said[:-1],)


@pytest.mark.parametrize("limit", [96, 128, 200, 512])
def test_what_is_left_out_of_a_full_context(chat_model, limit):
    """Catches a turn cut in two, a hole in the middle, a lost system prompt or last message,
    and a document that does not fit or could have held another turn by far.
    """
    backend = open_(chat_model, limit)
    form = backend._open.kept(LocalChat).form(ChatForm())
    for turns in range(1, 14):
        request = ChatRequest(conversation(turns, 4), max_new_tokens=8, drop_oldest=True)
        kept = oldest_left_out(backend._open, form, request)
        count = len(kept) - 1
        assert kept[0] == request.messages[0]
        assert kept[1:] == request.messages[len(request.messages) - count :]
        assert kept[1].role == "user"
        size = len(form.document(kept).ids)
        assert size <= limit - 8
        if len(kept) < len(request.messages):
            # At most a quarter, and a turn, are left free on purpose.
            assert size > limit / 2 - 60
        else:
            assert size == len(form.document(request.messages).ids)


def test_what_is_left_out_stays_out_for_a_while(chat_model):
    """Catches a window that moves with every turn, with which no turn could reuse the cache."""
    backend = open_(chat_model, 512)
    form = backend._open.kept(LocalChat).form(ChatForm())
    firsts = []
    for turns in range(1, 40):
        request = ChatRequest(conversation(turns, 1), max_new_tokens=8, drop_oldest=True)
        firsts.append(oldest_left_out(backend._open, form, request)[1])
    moves = sum(one != other for one, other in pairwise(firsts))
    # A quarter of the context is room for some four of these turns.
    assert 0 < moves <= len(firsts) // 4


def test_overflow_is_an_error_or_a_notice(chat_model):
    """Catches silence in either case, and an error that counts wrong."""
    backend = open_(chat_model, 128)
    request = ChatRequest(conversation(8, 4), max_new_tokens=8)
    whole = len(backend._open.kept(LocalChat).form(ChatForm()).document(request.messages).ids)
    with pytest.raises(ContextError, match=f"has {whole} tokens, .* context of 128") as caught:
        list(backend.answer(request))
    assert caught.value.hint is not None
    first = next(iter(backend.answer(replace(request, drop_oldest=True))))
    assert isinstance(first, Notice) and "left out the" in first.text
    with pytest.raises(ContextError) as caught:
        list(backend.answer(replace(request, messages=(user("x " * 200),), drop_oldest=True)))
    assert caught.value.hint is None
