"""Options of a conversation: who says what, in which form, and where it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gptcli.cli.flags import common as options
from gptcli.cli.flags.completers import complete_session

#: What may happen where the context is full.
OVERFLOWS = ("error", "drop-oldest")


Message = Annotated[
    str | None,
    typer.Argument(metavar="MESSAGE", show_default=False, help="The message; - reads stdin."),
]
MessageOption = Annotated[
    str | None,
    typer.Option(
        "-p", "--prompt", metavar="TEXT", show_default=False, help="The message, for scripts."
    ),
]
System = Annotated[
    str | None,
    typer.Option(
        "-s",
        "--system",
        metavar="TEXT",
        show_default=False,
        help="The system prompt. Default: the one of the model's template, if it has one.",
    ),
]
SystemFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", show_default=False, help="Read the system prompt from a file."),
]
SessionName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=complete_session,
        show_default=False,
        help="Go on with the conversation of this name, and keep it after every turn.",
    ),
]
OnOverflow = Annotated[
    str,
    typer.Option(
        metavar="WHAT",
        callback=options.one_of("--on-overflow", OVERFLOWS),
        autocompletion=lambda: list(OVERFLOWS),
        show_default=False,
        help="Where the context is full: error, or drop-oldest, which leaves out the oldest"
        " turns (never the system prompt) and says so. Default: error.",
    ),
]
ChatTemplate = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        rich_help_panel="Form",
        show_default=False,
        help="Another of the model's chat templates, or a Jinja file. Default: its own.",
    ),
]
Transcript = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel="Form",
        show_default=False,
        help='A transcript instead of a template; TOML such as user = "{user}: {content}\\n".',
    ),
]
UserName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel="Form",
        show_default=False,
        help="A transcript, as for models without a template, in which you have this name."
        " Default: User.",
    ),
]
AssistantName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel="Form",
        show_default=False,
        help="The same for the model. Default: Assistant.",
    ),
]
ShowPrompt = Annotated[
    bool,
    typer.Option(
        "--show-prompt",
        rich_help_panel="Output",
        help="Print the document that the model would continue, and no answer.",
    ),
]
