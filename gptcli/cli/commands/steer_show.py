"""`gptcli steer show`: what the directions of a control vector say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from gptcli.cli.environment import Environment
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.place import Here
from gptcli.cli.flags.rows import Rows
from gptcli.cli.opening import open_for
from gptcli.config import option
from gptcli.plain import dataclass
from gptcli.types.steering import Direction, SteeringReadRequest
from gptcli.ui.views import steering as view


@dataclass(frozen=True)
class Shown:
    """Which control vector."""

    file: Path = option(
        ..., "A control vector, of steer make or of llama.cpp.", metavar="FILE", argument=True
    )


Few = Annotated[
    Rows,
    but(
        rows={
            "help": "How many of the likeliest tokens of each direction. Default: 5.",
            "default": 5,
        }
    ),
]
Printed = Annotated[
    Output,
    but(json="One JSON object: directions with their layer, norm, tokens and probabilities."),
]


def show(
    environment: Environment,
    shown: Shown,
    rows: Few,
    compute: Here,
    output: Printed,
) -> None:
    """Show the length of each direction, and what it says through the model's head.

    Each is read out as if it were the stream, through final norm and head, and so is its opposite.
    What it says so says what it adds; behind early layers, mostly nothing that can be read. A
    pipe gets a tab-separated row for each token.
    """
    from gptcli.formats.gguf import control_vector

    vector = control_vector.read(shown.file)
    directions = tuple(
        Direction(layer, tuple(numbers.tolist())) for layer, numbers in vector.directions.items()
    )
    messages = output.messages(environment)
    request = SteeringReadRequest(directions, rows.rows)
    found = open_for(compute, messages).answer(request)
    if output.json:
        environment.data().json(view.as_json(found, shown.file, vector.hint))
    else:
        view.show(environment.stdout, found)
