"""Rows of score, top-k, choose, ask, embed and few-shot: looked at, or answered in a manner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gptcli.batches.asked import Dialect
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
    more = {"--totals": totals, **said_by(request, "text", "subject")}
    return _looked_at(
        "score",
        compute,
        Scores(request),
        lambda part: score_view.as_json(part, tokens=not totals),
        more,
    )


def looks(request: NextTokensRequest, compute: Compute, *, stages: bool) -> Job:
    """Prompts, behind each of which is looked as the request says."""
    more = {"--stages": stages, **said_by(request, "prompt", "subject", "sampling")}
    return _looked_at(
        "top-k",
        compute,
        NextTokens(request),
        lambda part: next_tokens_view.as_json(part, stages=stages),
        more,
        request.sampling,
    )


def choices(request: ChooseRequest, compute: Compute) -> Job:
    """Prompts, for each of which is chosen as the request says."""
    more = said_by(request, "prompt")
    return _looked_at("choose", compute, Chosen(request), choose_view.as_json, more)


def values(request: AskRequest, compute: Compute) -> Job:
    """Questions, each answered with a value of the request's type."""
    more = said_by(request, "question", "rated")
    return _looked_at("ask", compute, Questions(request), ask_view.as_json, more)


def embeddings(request: EmbeddingRequest, compute: Compute) -> Job:
    """Texts, each turned into a vector as the request says."""
    more = said_by(request, "text", "ids", "subject")
    return _looked_at(
        "embed", compute, Embeddings(request), lambda part: embedding_view.as_json([part]), more
    )


def _looked_at(
    command: str,
    compute: Compute,
    dialect: Dialect,
    as_json: Callable[[Any], dict[str, Any]],
    more: dict[str, Any],
    sampling: SamplingWish | None = None,
) -> Job:
    """Rows of which nothing is drawn; as_json: of the one part of an answer."""
    return Job(
        command=command,
        compute=compute,
        sampling=sampling or SamplingWish(),
        dialect=lambda _: dialect,
        body=lambda _, parts: as_json(parts[0]),
        more=more,
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
