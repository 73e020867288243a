"""`gptcli few-shot`: answers to one query or many, as they come."""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.backends import Backend
from gptcli.cli.environment import Environment
from gptcli.cli.flags.output import TextOutput
from gptcli.cli.input.constraint import check_whole
from gptcli.types.events import Notice
from gptcli.types.few_shot import (
    Answer,
    FewShotEvent,
    FewShotQueries,
    FewShotRequest,
    FewShotUsage,
    Query,
)
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import few_shot as view


def answer(
    environment: Environment,
    backend: Backend,
    request: FewShotRequest,
    asked: Iterator[Query | None],
    model: str,
    output: TextOutput,
    *,
    many: bool,
) -> None:
    """Ask, and print each answer when it comes; many: of queries that are a line each."""
    messages = output.messages(environment)
    usage: list[FewShotUsage] = []
    answers = _answers(backend.answer(FewShotQueries(request, asked)), messages, usage)
    if output.json:
        writer = environment.data()
        for answer in answers:
            writer.json(view.as_json(answer, model, request.seed))
    else:
        view.show(answers, environment.stdout, many=many)
    if output.stats:
        messages.report(view.stats_lines(usage[0]))
    check_whole(usage[0].constraint, "answer")


def _answers(
    events: Iterator[FewShotEvent], messages: Messages, usage: list[FewShotUsage]
) -> Iterator[Answer]:
    """The answers among the events; notices are told, what it took is put aside."""
    for event in events:
        if isinstance(event, Answer):
            yield event
        elif isinstance(event, Notice):
            messages.notices([event])
        else:
            usage.append(event)
