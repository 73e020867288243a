"""`gptcli few-shot`: answers to one query or many, as they come."""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.backends import Backend
from gptcli.cli.answer_log import AnswerLog
from gptcli.cli.environment import Environment
from gptcli.cli.flags.output import TextOutput
from gptcli.cli.input.constraint import check_whole
from gptcli.types.events import Notice
from gptcli.types.few_shot import (
    Answer,
    FewShotDocumentRequest,
    FewShotEvent,
    FewShotQueries,
    FewShotRequest,
    FewShotUsage,
    Query,
)
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import chat_document as document_view
from gptcli.ui.views import few_shot as view


def answer(
    environment: Environment,
    backend: Backend,
    request: FewShotRequest,
    asked: Iterator[Query | None],
    model: str,
    output: TextOutput,
    log: AnswerLog,
    *,
    many: bool,
) -> None:
    """Ask, and print each answer when it comes; many: of queries that are a line each."""
    messages = output.messages(environment)
    usage: list[FewShotUsage] = []
    found = _answers(backend.answer(FewShotQueries(request, asked)), messages, usage)
    answers = _logged(found, request, model, log)
    if output.json:
        writer = environment.data()
        for answer in answers:
            writer.json(view.as_json(answer, model, request.seed))
    else:
        view.show(answers, environment.stdout, many=many)
    if output.stats:
        messages.report(view.stats_lines(usage[0]))
    check_whole(usage[0].constraint, "answer")


def show_document(
    environment: Environment,
    backend: Backend,
    request: FewShotRequest,
    asked: Iterator[Query | None],
    output: TextOutput,
) -> None:
    """Print the document that would be continued for the first query."""
    first = next(query for query in asked if query is not None)
    document = backend.answer(FewShotDocumentRequest(request, first))
    output.messages(environment).notices(document.notices)
    if output.json:
        environment.data().json(document_view.as_json(document))
    else:
        document_view.show(document, environment.stdout)


def _logged(
    answers: Iterator[Answer], request: FewShotRequest, model: str, log: AnswerLog
) -> Iterator[Answer]:
    """The answers, each of which is in the log by the time that it is printed."""
    for each in answers:
        log.add(
            request,
            model=model,
            prompt=each.input,
            answer=each.text,
            examples=len(request.examples),
            reasoning_content=each.thinking or None,
            finish_reason=each.finish_reason,
            seed=request.seed,
        )
        yield each


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
