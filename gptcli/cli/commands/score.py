"""`gptcli score`: how surprising each token of a text is."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from gptcli.backends import Backend
from gptcli.cli.commands import score_dtypes, score_lines
from gptcli.cli.environment import Environment
from gptcli.cli.flags.batch import Batch
from gptcli.cli.flags.groups import Given, but
from gptcli.cli.flags.output import CountedOutput
from gptcli.cli.flags.place import Reading
from gptcli.cli.flags.scoring import Scoring
from gptcli.cli.flags.source import Source, checked
from gptcli.cli.input.prompt import read_file, read_prompt
from gptcli.cli.input.prompt_rows import texts
from gptcli.cli.opening import Clock, open_for
from gptcli.errors import UsageError
from gptcli.evaluation.difference import difference
from gptcli.types.score import Score, ScoreRequest, ScoreRows, ScoreRowsRequest
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import difference as difference_view
from gptcli.ui.views import score as view
from gptcli.ui.views.printing import pairs

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
    environment: Environment,
    given: Given,
    source: Annotated[
        Source,
        but(
            prompt={"metavar": "TEXT"},
            special="Read control tokens such as <|im_end|> in the text as tokens, not as text.",
        ),
    ],
    scoring: Scoring,
    compute: Reading,
    batch: Batch,
    output: Annotated[
        CountedOutput,
        but(
            json="One JSON object: totals, and tokens with bits and rank; with --diff, a, b and"
            " pairs; with --compare-dtype, each dtype."
        ),
    ],
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
    the stride before it. Where the model begins its texts with a BOS token, each window does.

    --compare-dtype runs float32 and another dtype side by side, in the same windows; two models
    are in memory, and never all logits. The divergence is KL(float32 || dtype) in nats, over the
    whole vocabulary at every token that is scored. --activations, --cpu-features and --kv-dtype
    hold for what is compared; float32 keeps its keys and values in float32, and --kv-dtype int8
    --compare-dtype float32 tells what that cache costs alone.
    """
    scoring.check(json=output.json)
    messages = output.messages(environment)
    if batch.wanted:
        from gptcli.cli.batching import looks, running

        scoring.check_many("--batch")
        batch.refuse(source)
        context = checked(scoring.context, "--context")
        plain = ScoreRequest("", context, scoring.stride, source.special)
        job = looks.scores(plain, compute, totals=scoring.totals)
        running.run_batch(environment, batch, job, messages, stats=output.stats)
        return
    if output.stats:
        scoring.check_one("--stats")
    dtypes = scoring.compare_dtype
    if dtypes:
        others = {"--jsonl": scoring.jsonl, "--diff": scoring.diff is not None}
        others |= {"--diff-file": bool(scoring.diff_file), "--table": scoring.table}
        score_dtypes.check(others | {"--totals": scoring.totals, "--dtype": "dtype" in given})
        # A text that is long enough to tell something is in a file.
        named = () if source.prompt is None else (Path(source.prompt),)
        source = replace(source, prompt=None, file=(*source.file, *named))
    if scoring.jsonl:
        if source.prompt_option is not None:
            raise UsageError("--prompt", "is a text, but --jsonl reads files or stdin")
        plain = ScoreRequest("", "", scoring.stride, source.special)
        lines = texts(environment, source)
        score_lines.run(environment, lines, plain, compute, messages, totals=scoring.totals)
        return
    first = ScoreRequest(
        text=read_prompt(environment, source, messages, what="text", example=_EXAMPLE),
        context=checked(scoring.context, "--context"),
        stride=scoring.stride,
        special=source.special,
    )
    if dtypes:
        score_dtypes.run(environment, first, dtypes, compute, messages, json=output.json)
        return
    second = None
    if scoring.paired:
        file = scoring.diff_file
        subject = "--diff" if file is None else str(file)
        other = (
            scoring.diff if file is None else read_file(environment, file, verbatim=source.verbatim)
        )
        second = replace(first, text=checked(other or "", subject), subject=subject)
    clock = Clock()
    backend = clock.opened(open_for(compute, messages))
    if second is None:
        rows = backend.answer(ScoreRowsRequest(first))
        messages.notices(rows.notices)
        _print_score(environment, rows, scoring, json=output.json)
        if output.stats:
            messages.report(clock.stats(rows.source, rows.read_tokens))
        return
    both = difference(*(_scored(backend, each, messages) for each in (first, second)))
    if output.json:
        environment.data().json(difference_view.as_json(both, tokens=not scoring.totals))
    else:
        difference_view.show(environment.stdout, both)


def _scored(backend: Backend, request: ScoreRequest, messages: Messages) -> Score:
    found = backend.answer(request)
    messages.notices(found.notices)
    return found


def _print_score(
    environment: Environment, found: ScoreRows, scoring: Scoring, *, json: bool
) -> None:
    if scoring.totals:
        # Nothing of a token is wanted but what is summed up.
        deque(found.tokens, maxlen=0)
    if json:
        environment.data().json(view.as_json(found, tokens=not scoring.totals))
    elif scoring.totals and environment.on_terminal:
        view.show_totals(environment.stdout, found)
    elif scoring.totals:
        pairs(environment.stdout, view.totals_of(found))
    else:
        view.show(environment.stdout, found, table=scoring.table)
