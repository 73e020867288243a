"""Options of `gptcli few-shot`: examples, how they are written, queries, labels, evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from gptcli.cli.flags import common as options
from gptcli.cli.input.presets import preset_names
from gptcli.types.evaluation import Match as EvaluationMatch
from gptcli.types.few_shot import DEFAULT_TEMPLATE, ORDERS
from gptcli.types.few_shot import Order as FewShotOrder

_OUTPUT, _SAMPLING = "Output", "Sampling"
_EXAMPLES, _FORM, _LABELS, _EVALUATION = "Examples", "Form", "Labels", "Evaluation"
KINDS = ("jsonl", "csv", "tsv", "lines")
MATCHES = ("exact", "loose")


Query = Annotated[
    str | None,
    typer.Argument(
        metavar="QUERY", show_default=False, help="The input to be answered; - is all of stdin."
    ),
]
QueryOption = Annotated[
    str | None,
    typer.Option(
        "-p", "--prompt", metavar="TEXT", show_default=False, help="The input, for scripts."
    ),
]
QueryFile = Annotated[
    list[Path] | None,
    typer.Option(
        "-f",
        "--file",
        metavar="FILE",
        show_default=False,
        help="Read the input, one for all of it, from a file; - is stdin. Repeatable.",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=preset_names,
        rich_help_panel=_EXAMPLES,
        show_default=False,
        help=f"Examples that come with gptcli: {', '.join(preset_names())}.",
    ),
]
Examples = Annotated[
    list[Path] | None,
    typer.Option(
        "--examples",
        metavar="FILE",
        rich_help_panel=_EXAMPLES,
        show_default=False,
        help="Examples from JSONL, CSV, TSV or TOML. Repeatable.",
    ),
]
OneExample = Annotated[
    list[str] | None,
    typer.Option(
        "--example",
        metavar="INPUT OUTPUT",
        rich_help_panel=_EXAMPLES,
        show_default=False,
        help="An example of two texts. Repeatable.",
    ),
]
InputField = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_EXAMPLES,
        show_default=False,
        help="The column of inputs, in examples and queries. Default: input.",
    ),
]
OutputField = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_EXAMPLES,
        show_default=False,
        help="The column of outputs. Default: output.",
    ),
]
Shots = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        callback=options.limited("shots", "--shots"),
        rich_help_panel=_EXAMPLES,
        show_default=False,
        help="Use K of the examples; 0 is none. Default: all of them.",
    ),
]
Order = Annotated[
    str,
    typer.Option(
        metavar="ORDER",
        callback=options.one_of("--order", ORDERS),
        autocompletion=lambda: list(ORDERS),
        rich_help_panel=_EXAMPLES,
        show_default=False,
        help="given; random, by the seed; or similar: those most like the query, the likest last."
        " Default: given.",
    ),
]
Instruction = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        rich_help_panel=_FORM,
        show_default=False,
        help="What stands before the examples; with --as-chat, the system prompt.",
    ),
]
Template = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT|FILE",
        rich_help_panel=_FORM,
        show_default=False,
        help=r"How an example is written, \n being a new line, or a file (a name without braces)"
        f" with that. Default: {DEFAULT_TEMPLATE!r}.",
    ),
]
Separator = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        rich_help_panel=_FORM,
        show_default=False,
        help=r"What stands between examples. Default: a blank line, '\n\n'.",
    ),
]
AsChat = Annotated[
    bool,
    typer.Option(
        "--as-chat",
        rich_help_panel=_FORM,
        help="Examples as turns of a conversation in the model's chat template; for instruct"
        " models.",
    ),
]
Queries = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        show_default=False,
        help="Many queries: JSONL, CSV or TSV by the name, else a line each; - is stdin.",
    ),
]
QueriesFormat = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        callback=options.one_of("--queries-format", KINDS),
        autocompletion=lambda: list(KINDS),
        show_default=False,
        help="What --queries, --evaluate or stdin holds, whatever the name says:"
        f" {', '.join(KINDS)}.",
    ),
]
Label = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        rich_help_panel=_LABELS,
        show_default=False,
        help="Answer with one of these: their probabilities are compared. Repeatable.",
    ),
]
Classify = Annotated[
    bool,
    typer.Option(
        "--classify",
        rich_help_panel=_LABELS,
        help="The same, the labels being the outputs of the examples.",
    ),
]
Calibrate = Annotated[
    bool,
    typer.Option(
        "--calibrate",
        rich_help_panel=_LABELS,
        help="Divide by what each label is worth for inputs without content (N/A, [MASK], none);"
        " with --order similar that is asked anew for each query.",
    ),
]
Evaluate = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=_EVALUATION,
        show_default=False,
        help="Answer the inputs of a file and compare with its outputs.",
    ),
]
Match = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        callback=options.one_of("--match", MATCHES),
        autocompletion=lambda: list(MATCHES),
        rich_help_panel=_EVALUATION,
        show_default=False,
        help="exact, or loose: without regard to case, spaces and final punctuation."
        " Default: exact.",
    ),
]
Orders = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        callback=options.limited("orders", "--orders"),
        rich_help_panel=_EVALUATION,
        show_default=False,
        help="Evaluate with N random orders of the examples, and show how far they spread.",
    ),
]
LeaveOneOut = Annotated[
    bool,
    typer.Option(
        "--leave-one-out",
        rich_help_panel=_EVALUATION,
        help="Evaluate without each example in turn, and show what each adds.",
    ),
]
MaxNewTokens = Annotated[
    int | None,
    typer.Option(
        "-n",
        "--max-new-tokens",
        "--n-predict",
        "--max-tokens",
        metavar="N",
        callback=options.limited("max_new_tokens", "--max-new-tokens"),
        show_default=False,
        help="Generate at most N tokens for an answer; -1 for as many as fit. Default: 64.",
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        "--temp",
        metavar="T",
        callback=options.limited("temperature", "--temperature"),
        rich_help_panel=_SAMPLING,
        show_default=False,
        help="How boldly to draw an answer. Default: 0, always the most probable token.",
    ),
]
ShowPrompt = Annotated[
    bool,
    typer.Option(
        "--show-prompt",
        rich_help_panel=_OUTPUT,
        help="Print the document that the model would continue for the first query, and no answer.",
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        rich_help_panel=_OUTPUT,
        help="Print a JSON line for each answer; with --evaluate, one object.",
    ),
]


def order_of(given: str) -> FewShotOrder:
    """The order that --order names; its callback has refused all other words."""
    return cast(FewShotOrder, given)


def match_of(given: str) -> EvaluationMatch:
    """The same for --match."""
    return cast(EvaluationMatch, given)
