"""Rows of score, top-k, choose, ask, embed and few-shot: looked at, or answered in a manner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gptcli.batches.dialects.others import (
    Chosen,
    Embeddings,
    NextTokens,
    Queries,
    Questions,
    Scores,
)
from gptcli.cli.batching.job import Job
from gptcli.cli.batching.settings import said_by
from gptcli.types.ask import AskRequest
from gptcli.types.choose import ChooseRequest
from gptcli.types.compute import Compute
from gptcli.types.embedding import EmbeddingRequest
from gptcli.types.few_shot import Answer, FewShotQueries, FewShotRequest
from gptcli.types.next_tokens import NextTokensRequest
from gptcli.types.sampling import SamplingWish
from gptcli.types.score import ScoreRequest
from gptcli.ui.views import ask as ask_view
from gptcli.ui.views import choose as choose_view
from gptcli.ui.views import embedding as embedding_view
from gptcli.ui.views import few_shot as few_shot_view
from gptcli.ui.views import next_tokens as next_tokens_view
from gptcli.ui.views import score as score_view


def scores(request: ScoreRequest, compute: Compute, *, totals: bool) -> Job:
    """Texts, each scored as the request says."""
    return Job(
        command="score",
        compute=compute,
        sampling=SamplingWish(),
        dialect=lambda _: Scores(request),
        body=lambda _, parts: score_view.as_json(parts[0], tokens=not totals),
        more={"--totals": totals, **said_by(request, "text", "subject")},
        draws=False,
    )


def looks(request: NextTokensRequest, compute: Compute, *, stages: bool) -> Job:
    """Prompts, behind each of which is looked as the request says."""
    return Job(
        command="top-k",
        compute=compute,
        sampling=request.sampling,
        dialect=lambda _: NextTokens(request),
        body=lambda _, parts: next_tokens_view.as_json(parts[0], stages=stages),
        more={"--stages": stages, **said_by(request, "prompt", "subject", "sampling")},
        draws=False,
    )


def choices(request: ChooseRequest, compute: Compute) -> Job:
    """Prompts, for each of which is chosen as the request says."""
    return Job(
        command="choose",
        compute=compute,
        sampling=SamplingWish(),
        dialect=lambda _: Chosen(request),
        body=lambda _, parts: choose_view.as_json(parts[0]),
        more=said_by(request, "prompt"),
        draws=False,
    )


def values(request: AskRequest, compute: Compute) -> Job:
    """Questions, each answered with a value of the request's type."""
    return Job(
        command="ask",
        compute=compute,
        sampling=SamplingWish(),
        dialect=lambda _: Questions(request),
        body=lambda _, parts: ask_view.as_json(parts[0]),
        more=said_by(request, "question", "rated"),
        draws=False,
    )


def embeddings(request: EmbeddingRequest, compute: Compute) -> Job:
    """Texts, each turned into a vector as the request says."""
    return Job(
        command="embed",
        compute=compute,
        sampling=SamplingWish(),
        dialect=lambda _: Embeddings(request),
        body=lambda _, parts: embedding_view.as_json(parts),
        more=said_by(request, "text", "ids", "subject"),
        draws=False,
    )


def queries(
    request: FewShotRequest,
    field: str,
    output: str,
    wish: SamplingWish,
    groups: Sequence[Any],
    compute: Compute,
) -> Job:
    """Inputs, each answered after the request's examples. field, output: what rows call an input,
    and what would be due for it, which is not read. wish: with the seed that was said.
    """

    def body(question: FewShotQueries, parts: tuple[Any, ...]) -> dict[str, Any]:
        answer = next(part for part in parts if isinstance(part, Answer))
        seed = question.request.seed
        found = few_shot_view.as_json(replace(answer, reused_tokens=0), compute.model, seed)
        # It is the only one of its question.
        del found["index"]
        return found

    def dialect(seed: int) -> Queries:
        # Only a random order depends on it, and all rows have the same.
        order_seed = seed if request.order == "random" else 0
        return Queries(replace(request, order_seed=order_seed), field, output)

    return Job(
        command="few-shot",
        compute=compute,
        sampling=wish,
        dialect=dialect,
        body=body,
        groups=groups,
        more=said_by(request, "seed", "order_seed", "sampling"),
    )
