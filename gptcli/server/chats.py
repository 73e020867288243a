"""POST /v1/chat/completions: a conversation, and what the assistant answers."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from gptcli.config import Limit
from gptcli.errors import GptcliError
from gptcli.server.answering import answered
from gptcli.server.body import Fields
from gptcli.server.problems import invalid
from gptcli.server.replies import ChatReply
from gptcli.server.service import Service, fields_of, service_of
from gptcli.server.tally import tally_of
from gptcli.server.wishes import TOP, new_tokens, wishes
from gptcli.types.chat import ChatDocumentRequest, ChatRequest, Message, Role

#: How many messages a conversation may have, and parts a message.
MESSAGES, PARTS = 10_000, 1000
#: "developer" is what OpenAI's newer models call the system.
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
#: What a template that has the model think leaves open at the document's end.
_THINKING = "<think>"


async def chats(request: HttpRequest) -> Response:
    """Answer one. Raises ProblemError, and what `problem_of` knows."""
    fields, service = await fields_of(request), service_of(request)
    service.check_kind(ChatRequest)
    messages = _messages(fields)
    asked = wishes(fields)
    logprobs, top = fields.flag("logprobs"), fields.whole("top_logprobs", Limit(0, TOP))
    if top is not None and not logprobs:
        raise fields.invalid("top_logprobs", "needs logprobs")
    limit = new_tokens(fields, "max_completion_tokens", "max_tokens", default=None)
    # Another server's name for it.
    plain = fields.word("reasoning_format", ("auto", "none")) == "none"
    fields.done()
    questions = [
        ChatRequest(
            messages,
            sampling=asked.sampling,
            max_new_tokens=limit,
            stop=asked.stop,
            # After the last seed comes the first, as for samples of a completion.
            seed=(asked.seed + sample) % 2**32,
            logprobs=(top or 0) if logprobs else None,
        )
        for sample in range(asked.samples)
    ]
    reply = ChatReply(
        service.model,
        asked,
        tally_of(request.scope),
        logprobs=logprobs,
        begun=None if plain else await _thinks(service),
    )
    return await answered(request, service.desk, questions, reply, stream=asked.stream)


async def _thinks(service: Service) -> bool:
    """Whether the document ends within a thought, which the answer goes on with."""
    if not service.supports(ChatDocumentRequest):
        return False
    if service.begins_thinking is None:
        short = ChatRequest((Message("user", "Hello"),))
        try:
            document = await service.desk.ask(ChatDocumentRequest(short)).whole()
        except GptcliError:
            return False
        service.begins_thinking = document.text.rstrip().endswith(_THINKING)
    return service.begins_thinking


def _messages(fields: Fields) -> tuple[Message, ...]:
    given = fields.take("messages")
    if not isinstance(given, list) or not 0 < len(given) <= MESSAGES:
        raise fields.invalid("messages", f"must be a list of 1 to {MESSAGES} messages")
    found = tuple(_message(each, f"messages[{at}]") for at, each in enumerate(given))
    if any(each.role == "system" for each in found[1:]):
        raise invalid("messages", "messages: a system message can only be the first")
    if found[-1].role != "user":
        raise invalid("messages", "messages: the last must be the user's")
    return found


def _message(given: Any, at: str) -> Message:
    if not isinstance(given, dict):
        raise invalid(at, f"{at}: must be an object")
    fields = Fields(given, f"{at}.")
    said = fields.text("role")
    if said not in _ROLES:
        raise fields.invalid("role", f"must be one of {', '.join(_ROLES)}")
    content = fields.take("content")
    if isinstance(content, list) and len(content) <= PARTS:
        content = "".join(_part(each, f"{at}.content[{n}]") for n, each in enumerate(content))
    if not isinstance(content, str):
        raise fields.invalid("content", "must be a text, or a list of parts that are texts")
    # Templates leave out what was thought before earlier answers.
    for name in ("reasoning_content", "reasoning", "annotations"):
        fields.take(name)
    fields.only("tool_calls", ([],), "tools are not offered to the model")
    fields.done()
    return Message(_ROLES[said], content)


def _part(given: Any, at: str) -> str:
    fields = Fields(given if isinstance(given, dict) else {}, f"{at}.")
    kind, text = fields.text("type"), fields.text("text")
    if kind != "text" or text is None:
        raise invalid(at, f'{at}: only parts like {{"type": "text", "text": …}} can be read')
    fields.done()
    return text
