"""Evaluating few-shot answers: which runs are made, and what comes of them."""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

from gptcli.backends import Backend
from gptcli.errors import GptcliError, UsageError
from gptcli.evaluation.accuracy import evaluate
from gptcli.types.evaluation import Accuracies, Match, Outcome
from gptcli.types.events import Notice, Progress
from gptcli.types.few_shot import (
    Answer,
    Example,
    Expected,
    FewShotQueries,
    FewShotRequest,
    FewShotUsage,
    Judged,
    LeftOut,
    Report,
)

_LABEL = "evaluating"


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
    backend: Backend, plan: Plan, rows: Sequence[Expected], match: Match
) -> Generator[Progress | Notice, None, Report]:
    """Answer all rows in every run, yielding how many are answered, and what should be told.

    An error after the first answers is part of the report, one before them is raised.
    """
    runs = _Runs(backend, rows, plan.runs * len(rows))
    yield runs.progress
    judged: list[Judged] = []
    stopped: GptcliError | None = None
    try:
        yield from runs.answer(plan.request, judged)
    except GptcliError as error:
        if not judged:
            raise
        stopped = error
    labels = plan.request.labels
    whole = evaluate([each.outcome for each in judged], match=match, labels=labels)
    orders, left_out = [], []
    # What a run that was stopped depends on cannot be told.
    for request in plan.orders if stopped is None else ():
        again: list[Judged] = []
        yield from runs.answer(request, again)
        orders.append(evaluate([each.outcome for each in again], match=match).accuracy)
    for example, request in plan.without if stopped is None else ():
        again = []
        yield from runs.answer(request, again)
        found = evaluate([each.outcome for each in again], match=match)
        lost = found.log_loss
        added = None if lost is None or whole.log_loss is None else lost - whole.log_loss
        left_out.append(LeftOut(example, found.accuracy, whole.accuracy - found.accuracy, added))
    return Report(
        evaluation=whole,
        match=match,
        rows=tuple(judged),
        orders=Accuracies(tuple(orders)) if orders else None,
        left_out=tuple(left_out),
        usage=_sum(runs.usages),
        stopped_by=stopped,
    )


@dataclass
class _Runs:
    """The rows, and how far all runs over them have come."""

    backend: Backend
    rows: Sequence[Expected]
    total: int
    done: int = 0
    usages: list[FewShotUsage] = field(default_factory=list)

    @property
    def progress(self) -> Progress:
        return Progress(_LABEL, self.done, self.total)

    def answer(
        self, request: FewShotRequest, judged: list[Judged]
    ) -> Generator[Progress | Notice, None, None]:
        """One run over all rows; each answer joins `judged` as it comes."""
        for event in self.backend.answer(FewShotQueries(request, self.rows)):
            if isinstance(event, Answer):
                judged.append(_judged(event, self.rows[event.index]))
                self.done += 1
                yield self.progress
            elif isinstance(event, Notice):
                yield event
            else:
                self.usages.append(event)


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
