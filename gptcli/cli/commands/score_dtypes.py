"""`gptcli score --compare-dtype`: what dtypes cost against float32, over a text."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import typer

from gptcli import config
from gptcli.cli.flags.completers import complete_dtypes
from gptcli.cli.opening import open_for
from gptcli.config import Settings
from gptcli.errors import UsageError
from gptcli.types.dtype_comparison import Rounding, RoundingRequest
from gptcli.types.score import ScoreRequest
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import counting
from gptcli.ui.views import dtype_comparison as view

_FLAG = "--compare-dtype"


CompareDtype = Annotated[
    str | None,
    typer.Option(
        _FLAG,
        metavar="DTYPE,…",
        autocompletion=complete_dtypes,
        show_default=False,
        help="What these dtypes cost against float32 over the text of a file, which TEXT names"
        " then: KL divergence (mean and 99th percentile), perplexity, and how often both find the"
        " same token most probable.",
    ),
]


def dtypes_of(text: str | None) -> tuple[str, ...]:
    """The dtypes by their long names, none for None. Raises UsageError."""
    found: list[str] = []
    for part in () if text is None else text.split(","):
        try:
            name = str(config.check("dtype", part.strip()))
        except ValueError as error:
            raise UsageError(_FLAG, str(error)) from None
        if name in found:
            raise UsageError(_FLAG, f"names {name} twice")
        found.append(name)
    return tuple(found)


def check(others: Mapping[str, bool]) -> None:
    """Raise UsageError for the first of other flags that is given, and does not go with it."""
    given = next((flag for flag, on in others.items() if on), None)
    if given == "--dtype":
        reason = f"cannot be combined with {_FLAG}, which holds dtypes to float32"
        raise UsageError(given, reason)
    if given is not None:
        raise UsageError(given, f"cannot be combined with {_FLAG}")


def run(
    request: ScoreRequest,
    dtypes: Sequence[str],
    settings: Settings,
    messages: Messages,
    *,
    json: bool,
) -> None:
    """Compare each dtype and print what was found, also where one of them fails."""
    backend = open_for(replace(settings, dtype="float32"), messages)
    found: list[Rounding] = []
    try:
        with counting(f"comparing {', '.join(dtypes)}", len(dtypes), messages) as step:
            for dtype in dtypes:
                try:
                    found.append(backend.answer(RoundingRequest(request, dtype)))
                except UsageError as error:
                    if error.subject != "--dtype":
                        raise
                    raise UsageError(_FLAG, error.reason, error.hint) from None
                step()
    finally:
        if found:
            messages.notices(found[0].notices)
            if json:
                DataWriter(sys.stdout).json(view.as_json(found))
            else:
                view.show(sys.stdout, found)
