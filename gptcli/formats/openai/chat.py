"""A body of /v1/chat/completions: a conversation, and how to answer it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from gptcli.config import MOST, Limit
from gptcli.formats.openai.constraint import constraint
from gptcli.formats.openai.drawing import BOUNDS, Bounds, Drawing, drawing, new_tokens
from gptcli.formats.openai.fields import Fields
from gptcli.types.chat import EFFORTS, ChatRequest, Message, Role

#: As OpenAI's has it: until the model ends.
DEFAULT = ChatRequest((), max_new_tokens=None)
#: How many messages a conversation may have, and parts a message.
MESSAGES, PARTS = 10_000, 1000
#: The fields of `thinking`.
THINKING = ("reasoning_effort", "chat_template_kwargs", "enable_thinking", "thinking_budget")
#: How many variables a body may give to a template.
VARIABLES = 64
#: "developer" is what OpenAI's newer models call the system.
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


@dataclass(frozen=True)
class Chat:
    """A conversation, and how many answers to it. seed: as of `completion.Completions`."""

    question: ChatRequest
    samples: int
    seed: int | None


def chat(fields: Fields, default: ChatRequest = DEFAULT) -> Chat:
    """What a body asks; `default` has what it does not say: its messages go before, unless the body
    has a system message. Raises FieldError. Fields of how answers are sent are left, as is `done`.
    """
    found = messages(fields)
    logprobs, top = fields.flag("logprobs"), fields.whole("top_logprobs", Limit(0, BOUNDS.top))
    if top is not None and not logprobs:
        raise fields.invalid("top_logprobs", "needs logprobs")
    asked = answered(fields, default, "max_completion_tokens", "max_tokens")
    question = replace(asked.question, messages=after(default, found))
    question = thinking(fields, question)
    if logprobs:
        question = replace(question, logprobs=top or 0)
    return replace(asked, question=question)


def answered(fields: Fields, default: ChatRequest, *limits: str, bounds: Bounds = BOUNDS) -> Chat:
    """How a conversation is answered; limits: names of the most tokens. Raises FieldError."""
    found = drawing(fields, Drawing(default.sampling, None, 1, default.stop), bounds)
    asked = replace(
        default,
        sampling=found.sampling,
        max_new_tokens=new_tokens(fields, *limits, default=default.max_new_tokens),
        stop=found.stop,
        seed=found.seed or 0,
        constraint=constraint(fields, default.constraint),
    )
    return Chat(asked, found.samples, found.seed)


def thinking(fields: Fields, default: ChatRequest) -> ChatRequest:
    """With how the model is to think, by the names that servers have for it. Raises FieldError.

    `reasoning_effort` is OpenAI's, `chat_template_kwargs` vLLM's and llama.cpp's, `enable_thinking`
    and `thinking_budget` (in tokens) are what others call the same.
    """
    form = default.form
    effort = fields.text("reasoning_effort")
    if effort is not None and effort not in EFFORTS:
        raise fields.invalid("reasoning_effort", f"must be one of {', '.join(EFFORTS)}")
    given = fields.take("chat_template_kwargs")
    if given is not None and not (isinstance(given, dict) and len(given) <= VARIABLES):
        reason = f"must be an object of at most {VARIABLES} variables"
        raise fields.invalid("chat_template_kwargs", reason)
    variables = tuple((name, json.dumps(value)) for name, value in (given or {}).items())
    think = fields.flag("enable_thinking") if fields.has("enable_thinking") else form.think
    budget = fields.whole("thinking_budget", Limit(0, MOST))
    return replace(
        default,
        form=replace(
            form,
            think=think,
            effort=effort or form.effort,
            variables=(*form.variables, *variables),
        ),
        think_budget=default.think_budget if budget is None else budget,
    )


def after(default: ChatRequest, said: tuple[Message, ...]) -> tuple[Message, ...]:
    """Messages with those that go before, unless they begin with a system's of their own."""
    return said if said[0].role == "system" else (*default.messages, *said)


def messages(fields: Fields) -> tuple[Message, ...]:
    """The conversation, of which the last message is the user's. Raises FieldError."""
    given = fields.take("messages")
    if not isinstance(given, list) or not 0 < len(given) <= MESSAGES:
        raise fields.invalid("messages", f"must be a list of 1 to {MESSAGES} messages")
    found = tuple(_message(fields, each, f"messages[{at}]") for at, each in enumerate(given))
    if any(each.role == "system" for each in found[1:]):
        raise fields.invalid("messages", "a system message can only be the first")
    if found[-1].role != "user":
        raise fields.invalid("messages", "the last must be the user's")
    if not found[-1].content.strip():
        raise fields.invalid("messages", "the last is empty")
    return found


def _message(body: Fields, given: Any, at: str) -> Message:
    if not isinstance(given, dict):
        raise body.invalid(at, "must be an object")
    fields = body.within(given, at)
    said = fields.text("role")
    if said not in _ROLES:
        raise fields.invalid("role", f"must be one of {', '.join(_ROLES)}")
    content = fields.take("content")
    if isinstance(content, list) and len(content) <= PARTS:
        parts = enumerate(content)
        content = "".join(_part(body, each, f"{at}.content[{n}]") for n, each in parts)
    if not isinstance(content, str):
        raise fields.invalid("content", "must be a text, or a list of parts that are texts")
    # Clients send back what they were told, by the one name or the other.
    thoughts = [fields.text(name) for name in ("reasoning_content", "reasoning")]
    fields.take("annotations")
    fields.only("tool_calls", ([],), "tools are not offered to the model")
    fields.done()
    role = _ROLES[said]
    thought = next(filter(None, thoughts), "") if role == "assistant" else ""
    return Message(role, content, thinking=thought)


def _part(body: Fields, given: Any, at: str) -> str:
    fields = body.within(given if isinstance(given, dict) else {}, at)
    kind, text = fields.text("type"), fields.text("text")
    if kind != "text" or text is None:
        raise body.invalid(at, 'only parts like {"type": "text", "text": …} can be read')
    fields.done()
    return text
