"""POST /v1/chat/completions: a conversation, and what the assistant answers."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from gptcli.formats.openai.chat import chat
from gptcli.server.answering import answered
from gptcli.server.replies import ChatReply
from gptcli.server.sending import sending
from gptcli.server.service import fields_of, service_of
from gptcli.server.tally import tally_of
from gptcli.types.chat import ChatRequest


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
        replace(asked.question, seed=(how.seed + sample) % 2**32, apart=not plain)
        for sample in range(asked.samples)
    ]
    reply = ChatReply(
        service.model,
        how,
        tally_of(request.scope),
        answers=asked.samples,
        logprobs=asked.question.logprobs is not None,
    )
    return await answered(request, service.desk, questions, reply, stream=how.stream)
