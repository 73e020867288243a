"""POST /v1/chat/completions: a conversation, and what the assistant answers."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from gptcli.errors import GptcliError
from gptcli.formats.openai.chat import chat
from gptcli.server.answering import answered
from gptcli.server.replies import ChatReply
from gptcli.server.sending import sending
from gptcli.server.service import Service, fields_of, service_of
from gptcli.server.tally import tally_of
from gptcli.types.chat import ChatDocumentRequest, ChatRequest, Message

#: What a template that has the model think leaves open at the document's end.
_THINKING = "<think>"


async def chats(request: HttpRequest) -> Response:
    """Answer one. Raises ProblemError, and what `problem_of` knows."""
    fields, service = await fields_of(request), service_of(request)
    service.check_kind(ChatRequest)
    asked = chat(fields)
    # Another server's name for it.
    plain = fields.word("reasoning_format", ("auto", "none")) == "none"
    how = sending(fields, asked.seed)
    fields.done()
    questions = [
        # After the last seed comes the first, as for samples of a completion.
        replace(asked.question, seed=(how.seed + sample) % 2**32)
        for sample in range(asked.samples)
    ]
    reply = ChatReply(
        service.model,
        how,
        tally_of(request.scope),
        answers=asked.samples,
        logprobs=asked.question.logprobs is not None,
        begun=None if plain else await _thinks(service),
    )
    return await answered(request, service.desk, questions, reply, stream=how.stream)


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
