"""`gptcli score`: how surprising each token of a text is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from gptcli import config
from gptcli.backends import Backend
from gptcli.cli.commands import score_dtypes
from gptcli.cli.flags import adapter as adapter_options
from gptcli.cli.flags import common as options
from gptcli.cli.flags import cpu as cpu_options
from gptcli.cli.input.prompt import checked, read_file, read_prompt
from gptcli.cli.input.text_lines import TextLine, read_text_lines
from gptcli.cli.opening import open_for, settings_of
from gptcli.errors import UsageError
from gptcli.evaluation.difference import difference
from gptcli.types.score import Score, ScoreRequest
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.tables import pairs
from gptcli.ui.views import difference as difference_view
from gptcli.ui.views import score as view
from gptcli.ui.views import scored

#: (what it is for, the command), for the man page.
EXAMPLES = (
    (
        "Which words the model did not expect.",
        'gptcli score "The capital of France is Paris, and that of Italy is bananas."',
    ),
    ("In numbers, with what it would have said.", 'gptcli score --table "I am what I am"'),
    ("The perplexity of a file.", "gptcli score --totals -f README.md"),
    (
        "An answer alone, after its question.",
        'gptcli score --context "Q: What is the capital of France? A:" " Paris"',
    ),
    ("Two wordings side by side.", 'gptcli score "He go home." --diff "He goes home."'),
    (
        "Many texts, one JSON object for each.",
        'echo \'{"text": "to be or not to be"}\' | gptcli score --jsonl --totals',
    ),
    (
        "What weights of 8 and of 4 bits cost against float32.",
        "gptcli score --compare-dtype int8,int4 README.md",
    ),
)
_EXAMPLE = 'gptcli score "To be or not to be"'


def score(
    text: options.TextArgument = None,
    prompt_option: options.PromptOption = None,
    file: options.PromptFile = None,
    verbatim: options.Verbatim = False,
    context: Annotated[
        str,
        typer.Option(
            metavar="PREFIX",
            show_default=False,
            help="What stands before the text: it is read, and not scored. Spaces at its end"
            " belong to the text.",
        ),
    ] = "",
    diff: Annotated[
        str | None,
        typer.Option(
            metavar="OTHER", show_default=False, help="Line the text up with another one."
        ),
    ] = None,
    diff_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="Line it up with the text of a file."
        ),
    ] = None,
    jsonl: Annotated[
        bool,
        typer.Option(
            "--jsonl",
            help='Read JSON lines, objects with "text" and perhaps "context", from -f or stdin, and'
            " print one object for each.",
        ),
    ] = False,
    compare_dtype: score_dtypes.CompareDtype = None,
    stride: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            callback=options.limited("stride", "--stride"),
            show_default=False,
            help="Where a text is longer than the context, begin each window N tokens after the"
            " one before. Default: half the context.",
        ),
    ] = None,
    model: options.Model = None,
    adapter: adapter_options.Adapter = None,
    adapter_apart: adapter_options.Apart = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    exact_activations: cpu_options.ExactActivations = None,
    cpu_features: cpu_options.CpuFeatures = None,
    ctx_size: options.CtxSize = None,
    special: options.SpecialInText = False,
    table: Annotated[
        bool,
        typer.Option("--table", rich_help_panel="Output", help="Numbers instead of coloured text."),
    ] = False,
    totals: Annotated[
        bool,
        typer.Option(
            "--totals",
            rich_help_panel="Output",
            help="Only perplexity and the other totals; with JSON, no tokens.",
        ),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", rich_help_panel="Output", help="Print JSON.")
    ] = False,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Show how surprising each token of a text is.

    Surprisal is -log2 of the probability that the model gave a token from all that stands before
    it, in bits; rank 1 is the token that it thought most probable. The first token of a text has
    nothing before it and is not scored, unless there is a --context or the model begins every text
    with a token of its own. Bits per byte and per character are those of the scored tokens.

    A terminal shows the text, coloured; characters of several tokens have the bits of all of
    them. Without colours, or with --table, a table. To a pipe goes the table, tab-separated under
    a line of heads; --totals prints name and value, tab-separated, and --json everything.

    A text longer than the context is scored in windows that overlap. Each scores the tokens that
    the one before did not hold, so each token is scored once, and has at least the context less
    the stride before it.

    --compare-dtype runs float32 and another dtype side by side, in the same windows; two models
    are in memory, and never all logits. The divergence is KL(float32 || dtype) in nats, over the
    whole vocabulary at every token that is scored. --exact-activations and --cpu-features hold
    for what is compared.
    """
    settings = settings_of(locals())
    _check(diff, diff_file, jsonl=jsonl, context=context, table=table, json=json, totals=totals)
    messages = Messages(sys.stderr, quiet=quiet)
    dtypes = score_dtypes.dtypes_of(compare_dtype)
    if dtypes:
        others = {"--jsonl": jsonl, "--diff": diff is not None, "--diff-file": bool(diff_file)}
        others |= {"--table": table, "--totals": totals, "--dtype": dtype is not None}
        score_dtypes.check(others)
        # A text that is long enough to tell something is in a file.
        text, file = None, [*(file or ()), *([] if text is None else [Path(text)])]
    if jsonl:
        if prompt_option is not None:
            raise UsageError("--prompt", "is a text, but --jsonl reads files or stdin")
        lines = read_text_lines(text, file or ())
        _score_lines(lines, settings, messages, stride=stride, special=special, totals=totals)
        return
    first = ScoreRequest(
        text=read_prompt(
            text, prompt_option, file or (), verbatim=verbatim, what="text", example=_EXAMPLE
        ),
        context=checked(context, "--context"),
        stride=stride,
        special=special,
    )
    if dtypes:
        score_dtypes.run(first, dtypes, settings, messages, json=json)
        return
    second = None
    if diff is not None or diff_file is not None:
        subject = "--diff" if diff_file is None else str(diff_file)
        other = diff if diff_file is None else read_file(diff_file, verbatim=verbatim)
        second = ScoreRequest(
            checked(other or "", subject), first.context, stride, special, subject
        )
    backend = open_for(settings, messages)
    a = _scored(backend, first, messages)
    if second is None:
        _print_score(a, table=table, totals=totals, json=json)
        return
    both = difference(a, _scored(backend, second, messages))
    if json:
        DataWriter(sys.stdout).json(scored.difference_json(both, tokens=not totals))
    else:
        difference_view.show(sys.stdout, both)


def _check(
    diff: str | None,
    diff_file: Path | None,
    *,
    jsonl: bool,
    context: str,
    table: bool,
    json: bool,
    totals: bool,
) -> None:
    """Raise UsageError where flags contradict each other."""
    other = diff is not None or diff_file is not None
    if diff is not None and diff_file is not None:
        raise UsageError("--diff-file", "cannot be combined with --diff")
    if str(diff_file) == "-":
        raise UsageError("--diff-file", "must be a file: stdin is for the first text")
    if jsonl and other:
        raise UsageError("--jsonl", "cannot be combined with --diff")
    if jsonl and context:
        raise UsageError("--context", 'is a key of each line with --jsonl: {"context": "…"}')
    if jsonl and table:
        raise UsageError("--table", "cannot be combined with --jsonl")
    if json and table:
        raise UsageError("--table", "cannot be combined with --json")
    if table and totals:
        raise UsageError("--table", "cannot be combined with --totals")
    if other and totals and not json:
        raise UsageError("--totals", "cannot be combined with --diff, but for --json")


def _scored(backend: Backend, request: ScoreRequest, messages: Messages) -> Score:
    found = backend.answer(request)
    messages.notices(found.notices)
    return found


def _print_score(found: Score, *, table: bool, totals: bool, json: bool) -> None:
    if json:
        DataWriter(sys.stdout).json(scored.score_json(found, tokens=not totals))
    elif totals and sys.stdout.isatty():
        view.show_totals(sys.stdout, found)
    elif totals:
        pairs(sys.stdout, scored.totals_of(found))
    else:
        view.show(sys.stdout, found, table=table)


def _score_lines(
    lines: Iterator[TextLine],
    settings: config.Settings,
    messages: Messages,
    *,
    stride: int | None,
    special: bool,
    totals: bool,
) -> None:
    writer = DataWriter(sys.stdout)
    backend = None
    for line in lines:
        # Not before the first line is known to be good: a model takes a while to open.
        backend = backend or open_for(settings, messages)
        request = ScoreRequest(line.text, line.context, stride, special, line.subject)
        found = _scored(backend, request, messages)
        writer.json({"line": line.number} | scored.score_json(found, tokens=not totals))
