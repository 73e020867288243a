"""`gptcli lens`: what the model would say after each layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from gptcli.cli.environment import Environment
from gptcli.cli.exports import Exports
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.inside import Inside
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.place import Here
from gptcli.cli.flags.rows import Rows
from gptcli.cli.flags.source import Source
from gptcli.cli.input.prompt import read_prompt
from gptcli.cli.opening import open_for
from gptcli.config import option
from gptcli.types.lens import LensRequest
from gptcli.ui.views import lens as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("Layer by layer, what would come next.", 'gptcli lens "The capital of France is"'),
    (
        "The rank of one token through the layers.",
        'gptcli lens --track " Paris" "The capital of France is"',
    ),
    ("A page to look at in a browser.", 'gptcli lens --html lens.html "The capital of France is"'),
)


@dataclass(frozen=True)
class Tracking:
    """Whom to follow through the layers."""

    track: str | None = option(
        None,
        'The rank of this token through the layers, as text: " Paris", with its space.',
        metavar="TOKEN",
        brief="The rank of this token through the layers.",
    )


def lens(
    environment: Environment,
    source: Source,
    tracking: Tracking,
    rows: Annotated[
        Rows,
        but(
            rows={
                "help": "How many of the likeliest tokens at each place, in --json and on the page."
                " Default: 5.",
                "default": 5,
            }
        ),
    ],
    inside: Inside,
    compute: Here,
    output: Annotated[
        Output,
        but(
            json="One JSON object of all numbers: tokens, and grid, a row for each layer, with"
            " the likeliest tokens and the rank of the answer."
        ),
    ],
) -> None:
    """Show what the model would say after each layer.

    The logit lens: the residual stream at every position is read out after every layer as the
    model reads out the last one, through final norm and head. A terminal gets a grid of layers and
    positions with the likeliest token and its probability in percent; a pipe gets a tab-separated
    row for each. "embed" is the embedding, before the first layer.
    """
    exports = Exports(environment, inside, json=output.json)
    messages = output.messages(environment)
    request = LensRequest(
        prompt=read_prompt(environment, source, messages),
        rows=rows.rows,
        track=tracking.track,
        window=inside.window,
        special=source.special,
    )
    found = open_for(compute, messages).answer(request)
    exports.present("lens", found, messages, lambda stream: view.show(stream, found), view.as_json)
