"""Evaluating few-shot answers: which runs are made, and what comes of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gptcli.backends import Backend
from gptcli.cli.input.few_shot_queries import Expected
from gptcli.errors import GptcliError, UsageError
from gptcli.evaluation.accuracy import evaluate
from gptcli.types.evaluation import Match, Outcome, Spread
from gptcli.types.events import Notice
from gptcli.types.few_shot import (
    Answer,
    Example,
    FewShotQueries,
    FewShotRequest,
    FewShotUsage,
    Judged,
    LeftOut,
    Report,
)
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import counting


@dataclass(frozen=True)
class Plan:
    """The run that is asked for, and the variations of it that show what it depends on.

    orders: the same examples in other orders; without: for each example, the run that lacks it.
    """

    request: FewShotRequest
    orders: tuple[FewShotRequest, ...] = ()
    without: tuple[tuple[Example, FewShotRequest], ...] = ()

    @property
    def runs(self) -> int:
        """How often all rows are answered."""
        return 1 + len(self.orders) + len(self.without)


def plan(request: FewShotRequest, *, orders: int | None, leave_one_out: bool) -> Plan:
    """Raises UsageError where there is nothing to vary."""
    flag = "--orders" if orders else "--leave-one-out"
    if (orders or leave_one_out) and request.order == "similar":
        raise UsageError(flag, "needs the same examples for all queries, not --order similar")
    used = list(request.examples)
    if request.order == "random":
        random.Random(request.order_seed).shuffle(used)
    used = used[: request.shots]
    if (orders or leave_one_out) and len(used) < 2:
        raise UsageError(flag, f"needs at least two examples, not {len(used)}")
    fixed = replace(request, examples=tuple(used), shots=None, order="given")
    shuffled = tuple(
        replace(fixed, order="random", order_seed=request.seed + 1 + number)
        for number in range(orders or 0)
    )
    without = tuple(
        (each, replace(fixed, examples=tuple(used[:place] + used[place + 1 :])))
        for place, each in enumerate(used)
    )
    return Plan(request, shuffled, without if leave_one_out else ())


def run(
    backend: Backend, plan: Plan, rows: Sequence[Expected], match: Match, messages: Messages
) -> Report:
    """Answer all rows in every run.

    An error after the first answers is part of the report, one before them is raised.
    """
    with counting("evaluating", plan.runs * len(rows), messages) as count:
        judged: list[Judged] = []
        usages: list[FewShotUsage] = []

        def outcomes(request: FewShotRequest, found: list[Judged]) -> list[Outcome]:
            for answer in _answers(backend, request, rows, messages, usages):
                found.append(_judged(answer, rows[answer.index]))
                count()
            return [each.outcome for each in found]

        stopped: GptcliError | None = None
        try:
            outcomes(plan.request, judged)
        except GptcliError as error:
            if not judged:
                raise
            stopped = error
        labels = plan.request.labels
        whole = evaluate([each.outcome for each in judged], match=match, labels=labels)

        def again(request: FewShotRequest) -> tuple[float, float | None]:
            found = evaluate(outcomes(request, []), match=match)
            return found.accuracy, found.log_loss

        varied = stopped is None
        orders = [again(request)[0] for request in plan.orders if varied]
        left_out = []
        for example, request in plan.without if varied else ():
            accuracy, loss = again(request)
            added = None if loss is None or whole.log_loss is None else loss - whole.log_loss
            left_out.append(LeftOut(example, accuracy, whole.accuracy - accuracy, added))
    return Report(
        evaluation=whole,
        match=match,
        rows=tuple(judged),
        orders=Spread(tuple(orders)) if orders else None,
        left_out=tuple(left_out),
        usage=_sum(usages),
        stopped_by=stopped,
    )


def _answers(
    backend: Backend,
    request: FewShotRequest,
    rows: Sequence[Expected],
    messages: Messages,
    usages: list[FewShotUsage],
) -> Iterator[Answer]:
    for event in backend.answer(FewShotQueries(request, rows)):
        if isinstance(event, Answer):
            yield event
        elif isinstance(event, Notice):
            messages.notices([event])
        else:
            usages.append(event)


def _judged(answer: Answer, row: Expected) -> Judged:
    shares = {each.label: each.share for each in answer.shares}
    outcome = Outcome(row.output, answer.text, shares.get(answer.text), shares.get(row.output))
    return Judged(row.text, outcome, answer.shares)


def _sum(usages: Sequence[FewShotUsage]) -> FewShotUsage:
    """What all runs took together."""
    return replace(
        usages[0],
        queries=sum(each.queries for each in usages),
        prompt_tokens=sum(each.prompt_tokens for each in usages),
        computed_tokens=sum(each.computed_tokens for each in usages),
        completion_tokens=sum(each.completion_tokens for each in usages),
        seconds=sum(each.seconds for each in usages),
    )
