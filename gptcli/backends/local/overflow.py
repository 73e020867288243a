"""What of a conversation to leave out where the context is full."""

from __future__ import annotations

from gptcli.backends.local.open_model import OpenModel
from gptcli.text.chat_document import DocumentForm
from gptcli.types.chat import ChatRequest, Message


def oldest_left_out(
    model: OpenModel, form: DocumentForm, request: ChatRequest
) -> tuple[Message, ...]:
    """The messages that fit with room for an answer: the system's, and the latest turns.

    The same messages always lose the same ones, however they came: the conversation is gone
    through from its beginning, and where a turn does not fit, as many of the oldest go as leave a
    quarter of the context free, so that the turns after it keep what is computed already.
    """
    system, turns = _turns(request.messages)
    limit = model.runner.limit
    wanted = limit // 4 if request.max_new_tokens is None else request.max_new_tokens
    most = limit - min(max(wanted, 1), limit // 2)
    always, around = _overhead(model, form, system)
    sizes = [around + sum(_size(model, message) for message in turn) for turn in turns]
    first = 0
    for last in range(len(turns)):
        if always + sum(sizes[first : last + 1]) > most:
            while first < last and always + sum(sizes[first : last + 1]) > most - limit // 4:
                first += 1
    while first < len(turns) - 1 and _tokens(form, system, turns[first:]) > most:
        first += 1
    return (*system, *(message for turn in turns[first:] for message in turn))


def _turns(messages: tuple[Message, ...]) -> tuple[list[Message], list[list[Message]]]:
    """The system's messages, and the others cut before each of the user's."""
    system = [message for message in messages if message.role == "system"]
    turns: list[list[Message]] = []
    for message in messages:
        if message.role == "user" or (message.role == "assistant" and not turns):
            turns.append([message])
        elif message.role == "assistant":
            turns[-1].append(message)
    return system, turns


def _overhead(model: OpenModel, form: DocumentForm, system: list[Message]) -> tuple[int, int]:
    """Tokens of a document without any turn, and those that the form puts around one, nearly.

    Near enough to choose by: the document itself is counted at the end.
    """
    said, answer = Message("user", "a"), Message("assistant", "b")
    one = _tokens(form, system, [[said]])
    two = _tokens(form, system, [[said, answer], [said]])
    return one - _size(model, said), two - one - _size(model, said) - _size(model, answer)


def _size(model: OpenModel, message: Message) -> int:
    return len(model.tokenizer.encode(message.content))


def _tokens(form: DocumentForm, system: list[Message], turns: list[list[Message]]) -> int:
    messages = [*system, *(message for turn in turns for message in turn)]
    return len(form.document(messages).ids)
