"""Examples in the prompt: where they come from, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gptcli.config import MOST, Limit, option
from gptcli.few_shot.presets import preset_names
from gptcli.types.few_shot import DEFAULT_TEMPLATE, ORDERS

_EXAMPLES, _FORM = "Examples", "Form"


@dataclass(frozen=True)
class Examples:
    """Which examples, from presets, files and the command line, in which order."""

    preset: str | None = option(
        None,
        f"Examples that come with gptcli: {', '.join(preset_names())}.",
        metavar="NAME",
        panel=_EXAMPLES,
        brief="Examples that come with gptcli.",
        completer="preset",
    )
    examples: tuple[Path, ...] = option(
        (),
        "Examples from JSONL, CSV, TSV or TOML. Repeatable.",
        metavar="FILE",
        panel=_EXAMPLES,
        brief="Examples from JSONL, CSV, TSV or TOML.",
    )
    #: Two texts each, one after the other: see `flags.pairs`.
    example: tuple[str, ...] = option(
        (),
        "An example of two texts. Repeatable.",
        metavar="INPUT OUTPUT",
        panel=_EXAMPLES,
        brief="An example of two texts. Repeatable.",
    )
    input_field: str | None = option(
        None,
        "The column of inputs, in examples and queries. Default: input.",
        metavar="NAME",
        panel=_EXAMPLES,
    )
    output_field: str | None = option(
        None, "The column of outputs. Default: output.", metavar="NAME", panel=_EXAMPLES
    )
    shots: int | None = option(
        None,
        "Use K of the examples; 0 is none. Default: all of them.",
        metavar="K",
        panel=_EXAMPLES,
        limit=Limit(0, MOST),
    )
    order: str = option(
        "given",
        "given; random, by the seed; or similar: those most like the query, the likest last."
        " Default: given.",
        metavar="ORDER",
        panel=_EXAMPLES,
        choices=ORDERS,
    )


@dataclass(frozen=True)
class ExampleWriting:
    """How an example, and what stands around it, is written."""

    instruction: str | None = option(
        None,
        "What stands before the examples; with --as-chat, the system prompt.",
        metavar="TEXT",
        panel=_FORM,
    )
    template: str | None = option(
        None,
        r"How an example is written, \n being a new line, or a file (a name without braces) with"
        f" that. Default: {DEFAULT_TEMPLATE!r}.",
        metavar="TEXT|FILE",
        panel=_FORM,
    )
    separator: str | None = option(
        None,
        r"What stands between examples. Default: a blank line, '\n\n'.",
        metavar="TEXT",
        panel=_FORM,
    )
    as_chat: bool = option(
        False,
        "Examples as turns of a conversation in the model's chat template; for instruct models.",
        panel=_FORM,
    )
