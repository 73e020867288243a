"""POST /v1/completions: prompts, as texts or ids, and what continues them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from gptcli.formats.openai.completion import completions as questions_of
from gptcli.formats.openai.prompts import Prompt
from gptcli.server.answering import answered
from gptcli.server.replies import CompletionReply
from gptcli.server.sending import sending
from gptcli.server.service import Service, fields_of, service_of
from gptcli.server.tally import tally_of
from gptcli.types.tokens import DecodeRequest

#: How many texts an answer may hold.
CHOICES = 1024


async def completions(request: HttpRequest) -> Response:
    """Answer one. Raises ProblemError, and what `problem_of` knows."""
    fields, service = await fields_of(request), service_of(request)
    asked = questions_of(fields)
    first = asked.questions[0]
    if len(asked.questions) * first.samples > CHOICES:
        raise fields.invalid("n", f"{CHOICES} texts at once are the most")
    echo = fields.flag("echo")
    # vLLM's word for it.
    by_id = fields.flag("return_tokens_as_token_ids")
    if echo and first.suffix is not None:
        raise fields.invalid("echo", "cannot be combined with suffix")
    how = sending(fields, asked.seed)
    fields.done()
    questions = [
        replace(each, seed=how.seed, prompt_logprobs=each.logprobs if echo else None)
        for each in asked.questions
    ]
    reply = CompletionReply(
        service.model,
        how,
        tally_of(request.scope),
        questions=len(questions),
        samples=first.samples,
        echo=await _texts(service, [each.ids or each.prompt for each in questions])
        if echo
        else None,
        logprobs=first.logprobs is not None,
        by_id=by_id,
    )
    return await answered(request, service.desk, questions, reply, stream=how.stream)


async def _texts(service: Service, given: Sequence[Prompt]) -> list[str]:
    """The prompts as they are told back."""
    found = []
    for prompt in given:
        if isinstance(prompt, str):
            found.append(prompt)
            continue
        tokens = await service.desk.ask(DecodeRequest(prompt, "prompt")).whole()
        found.append(tokens.data.decode(errors="replace"))
    return found
