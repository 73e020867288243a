"""POST /v1/completions: prompts, as texts or ids, and what continues them."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from gptcli.config import Limit
from gptcli.server.answering import answered
from gptcli.server.prompts import Prompt, prompts
from gptcli.server.replies import CompletionReply
from gptcli.server.service import Service, fields_of, service_of
from gptcli.server.tally import tally_of
from gptcli.server.wishes import TOP, new_tokens, wishes
from gptcli.types.completion import Request
from gptcli.types.tokens import DecodeRequest

#: How many texts an answer may hold.
CHOICES = 1024
#: As OpenAI's has it.
DEFAULT_NEW_TOKENS = 16


async def completions(request: HttpRequest) -> Response:
    """Answer one. Raises ProblemError, and what `problem_of` knows."""
    fields, service = await fields_of(request), service_of(request)
    given = prompts(fields, "prompt")
    asked = wishes(fields)
    if len(given) * asked.samples > CHOICES:
        raise fields.invalid("n", f"{CHOICES} texts at once are the most")
    if (fields.whole("best_of", Limit(1, CHOICES)) or asked.samples) != asked.samples:
        raise fields.invalid("best_of", "must be n: all texts are told")
    fields.only("suffix", ("",), "nothing is written between two texts")
    logprobs = fields.whole("logprobs", Limit(0, TOP))
    echo = fields.flag("echo")
    special = fields.flag("special")
    # vLLM's word for it.
    by_id = fields.flag("return_tokens_as_token_ids")
    limit = new_tokens(fields, "max_tokens", default=DEFAULT_NEW_TOKENS)
    fields.done()
    questions = [
        Request(
            prompt=prompt if isinstance(prompt, str) else "",
            ids=None if isinstance(prompt, str) else prompt,
            sampling=asked.sampling,
            max_new_tokens=limit,
            stop=asked.stop,
            seed=asked.seed,
            samples=asked.samples,
            logprobs=logprobs,
            prompt_logprobs=logprobs if echo else None,
            special=special,
        )
        for prompt in given
    ]
    reply = CompletionReply(
        service.model,
        asked,
        tally_of(request.scope),
        questions=len(questions),
        echo=await _texts(service, given) if echo else None,
        logprobs=logprobs is not None,
        by_id=by_id,
    )
    return await answered(request, service.desk, questions, reply, stream=asked.stream)


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
