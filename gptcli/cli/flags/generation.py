"""Options of the commands that generate text, with their checks."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated

import typer

from gptcli import config
from gptcli.cli.flags import common as options
from gptcli.config import Settings
from gptcli.errors import UsageError

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
        help="Generate at most N tokens; -1 goes on until the model ends or the context is full."
        f" Default: {config.DEFAULT_NEW_TOKENS}, in a chat {config.DEFAULT_ANSWER_TOKENS}.",
    ),
]
Stop = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        show_default=False,
        help="End before this text, which is not printed. Repeatable.",
    ),
]
Stream = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        rich_help_panel="Output",
        show_default=False,
        help="Print text as it comes, or when it is done. Text streams by itself; --json prints"
        " one object, and with --stream JSON lines.",
    ),
]
Logprobs = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        callback=options.limited("logprobs", "--logprobs"),
        rich_help_panel="Output",
        show_default=False,
        help="With --json: the log-probability of every token, and of the K likeliest there.",
    ),
]


def stops(given: Sequence[str] | None) -> tuple[str, ...]:
    """The stop strings. Raises UsageError for an empty one, which would end every text."""
    if any(not text for text in given or ()):
        raise UsageError("--stop", "must not be empty")
    return tuple(given or ())


def seed_of(settings: Settings) -> int:
    """The seed that was asked for, else another one each time."""
    return random.SystemRandom().randrange(2**32) if settings.seed is None else settings.seed
