"""Answers as they come: a line each, the shares of labels, JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from gptcli.types.few_shot import Answer, FewShotUsage, LabelShare
from gptcli.ui.data.values import finite
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.bars import bar
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import isolated, one_line, plainly, shortened
from gptcli.ui.terminal.writer import TerminalWriter, width_of
from gptcli.ui.views import sampling, source
from gptcli.ui.views.printing import fitted
from gptcli.ui.views.sampling import as_json as sampling_json
from gptcli.ui.views.stats import of_prompt_cache
from gptcli.units import counted, percent, seconds

_BAR = 12


def show(answers: Iterable[Answer], stream: TextIO, *, many: bool) -> None:
    """Each answer when it comes.

    One answer is printed whole, with the shares of its labels on a terminal. Of many, each is a
    line: on a terminal after its query, elsewhere alone, new lines in it spelled out.
    """
    for answer in answers:
        if stream.isatty():
            if many:
                TerminalWriter(stream).line(_line(answer, width_of(stream)))
            else:
                _whole(answer, stream)
        else:
            text = one_line(answer.text) if many else answer.text
            DataWriter(stream).write(f"{text}\n")


def _whole(answer: Answer, stream: TextIO) -> None:
    if answer.shares:
        _shares(answer, stream)
    else:
        TerminalWriter(stream).write(f"{answer.text}\n")


def _shares(answer: Answer, stream: TextIO) -> None:
    """The labels, the likeliest first."""
    calibrated = any(each.calibrated is not None for each in answer.shares)
    columns = [
        Column("label", shrink=True, least=8),
        Column("share", right=True),
        *([Column("calibrated", right=True)] if calibrated else []),
        Column("", keep=2, style="cyan"),
        Column("logprob", right=True, keep=1),
    ]
    ranked = sorted(answer.shares, key=lambda each: -each.share)
    rows = [list(_cells(each, calibrated, best=each is ranked[0])) for each in ranked]
    fitted(stream, columns, rows)


def _cells(share: LabelShare, calibrated: bool, *, best: bool) -> Iterator[Cell]:
    style = "bold green" if best else ""
    yield Cell(share.label, style)
    yield Cell(percent(share.probability), style)
    if calibrated:
        yield Cell(percent(share.share), style)
    yield Cell(bar(share.share, _BAR))
    yield Cell(f"{share.logprob:.3f}")


def _line(answer: Answer, width: int) -> paint.Text:
    room = max(width // 2 - 2, 8)
    query = shortened(plainly(answer.input), room)
    line = paint.Text(no_wrap=True, end="")
    line.append(isolated(query), style="dim")
    line.append(" " * (room - paint.cell_len(query)) + "  ")
    left = max(width - room - 2, 1)
    share = next((each.share for each in answer.shares if each.label == answer.text), None)
    note = "" if share is None else f"  {percent(share)}"
    line.append(isolated(shortened(plainly(answer.text), max(left - len(note), 1))), style="bold")
    line.append(note, style="cyan")
    return line


def as_json(answer: Answer, model: str, seed: int) -> dict[str, Any]:
    """One answer; `labels` is null where there are none, -inf becomes null."""
    return {
        "object": "few_shot.answer",
        "model": model,
        "seed": seed,
        "index": answer.index,
        "input": answer.input,
        "answer": answer.text,
        **({"reasoning_content": answer.thinking} if answer.thinking else {}),
        "finish_reason": answer.finish_reason,
        "labels": [label_json(each) for each in answer.shares] or None,
        "usage": {
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "total_tokens": answer.prompt_tokens + answer.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": answer.reused_tokens},
        },
    }


def label_json(share: LabelShare) -> dict[str, Any]:
    """A label and what it is worth, as JSON."""
    return {
        "label": share.label,
        "logprob": finite(share.logprob),
        "probability": share.probability,
        "calibrated": share.calibrated,
    }


def stats_lines(usage: FewShotUsage) -> list[str]:
    """What it took, for `--stats`."""
    rate = usage.queries / usage.seconds if usage.seconds else 0.0
    saved = usage.prompt_tokens - usage.computed_tokens
    cache = usage.prompt_cache
    return [
        f"model: {source.named(usage.source)} ({source.precision(usage.source)})",
        f"queries: {usage.queries} in {seconds(usage.seconds)} ({rate:.1f} a second)",
        f"prompts: {counted(usage.prompt_tokens, 'token')}, {saved} shared and computed once",
        *([] if cache is None else [of_prompt_cache(cache)]),
        f"generated: {counted(usage.completion_tokens, 'token')}, seed {usage.seed}",
        f"sampler: {sampling.in_words(usage.sampling)}",
        *([] if usage.drafts is None else [usage.drafts.in_words]),
        *([usage.constraint.in_words] if usage.constraint and usage.constraint.steps else []),
    ]


def usage_json(usage: FewShotUsage) -> dict[str, Any]:
    """What it took, as JSON."""
    return {
        "queries": usage.queries,
        "prompt_tokens": usage.prompt_tokens,
        "computed_tokens": usage.computed_tokens,
        "completion_tokens": usage.completion_tokens,
        "seconds": usage.seconds,
        **source.run(usage.source),
        "sampling": sampling_json(usage.sampling),
    }
