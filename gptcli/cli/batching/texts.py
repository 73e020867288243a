"""Rows of complete and chat: texts that are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gptcli.batches.dialects.chat import Chats
from gptcli.batches.dialects.completion import Completions
from gptcli.batches.keys import digest
from gptcli.cli.batching.job import Job
from gptcli.types.chat import ChatRequest
from gptcli.types.completion import Request
from gptcli.types.compute import Compute
from gptcli.ui.views.batch import alone
from gptcli.ui.views.completion import ChatObject, CompletionObject


def completions(request: Request, groups: Sequence[Any], compute: Compute, *, echo: bool) -> Job:
    """Prompts, each continued as the request says."""

    def body(question: Request, parts: tuple[Any, ...]) -> dict[str, Any]:
        form = CompletionObject(
            model=compute.model,
            seed=question.seed,
            echo=question.prompt if echo else "",
            logprobs=question.logprobs is not None,
        )
        return alone(form, parts)

    return Job(
        command="complete",
        compute=compute,
        sampling=request.sampling,
        dialect=lambda _: Completions(request),
        body=body,
        groups=groups,
        more={"--special": request.special, "--logprobs": request.logprobs},
    )


def chats(request: ChatRequest, groups: Sequence[Any], compute: Compute) -> Job:
    """Conversations, each answered as the request says; its messages are the system's."""

    def body(question: ChatRequest, parts: tuple[Any, ...]) -> dict[str, Any]:
        logprobs = question.logprobs is not None
        form = ChatObject(model=compute.model, seed=question.seed, logprobs=logprobs)
        return alone(form, parts)

    return Job(
        command="chat",
        compute=compute,
        sampling=request.sampling,
        dialect=lambda _: Chats(request),
        body=body,
        groups=groups,
        more={
            "--logprobs": request.logprobs,
            "--system": [each.content for each in request.messages],
            "the form": digest(request.form),
        },
    )
