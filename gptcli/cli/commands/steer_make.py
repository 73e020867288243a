"""`gptcli steer make`: a control vector of texts of two manners."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

from gptcli.cli.environment import Environment
from gptcli.cli.exports import check_file, write
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.layers import Layers
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.place import Here
from gptcli.cli.flags.texts import TextFiles
from gptcli.cli.input.text_rows import text_rows
from gptcli.cli.opening import open_for
from gptcli.config import option
from gptcli.errors import UsageError
from gptcli.plain import dataclass
from gptcli.types.steering import METHODS, POSITIONS, Method, Position, Steering, SteeringRequest
from gptcli.ui.terminal.progress import watch_steps
from gptcli.ui.views import steering as view


@dataclass(frozen=True)
class Making:
    """The texts, and how a direction is made of them."""

    plus: Path = option(
        ...,
        "Texts that have it: JSONL, CSV or TSV by the name, else a line each; - is stdin.",
        metavar="FILE",
        brief="Texts that have it.",
        stdin=True,
    )
    minus: Path = option(
        ...,
        "Texts that have the opposite of it.",
        metavar="FILE",
        brief="Texts that have the opposite.",
        stdin=True,
    )
    output: Path = option(
        ..., "The control vector to write, .gguf.", *("-o", "--output"), metavar="FILE"
    )
    method: str = option(
        "mean",
        "mean: the mean of --plus less that of --minus, in its own length. pca: what the"
        " differences of pairs, the n-th text of each, have most in common (their first principal"
        " direction, their mean left in), of length 1. Default: mean.",
        metavar="HOW",
        brief="mean, or pca of the differences of pairs.",
        choices=METHODS,
    )
    position: str = option(
        "last",
        "last: the last token of each text. all: with mean, the mean of all its tokens but the"
        " first; with pca, every position of a pair is a difference, spaces behind the shorter"
        " text, as llama.cpp has it. Default: last.",
        metavar="WHICH",
        brief="The last token of each text, or all of them.",
        choices=POSITIONS,
    )
    unit: bool = option(
        False, "Scale each direction to length 1, as llama.cpp's cvector-generator does."
    )


Behind = Annotated[
    Layers,
    but(
        layers={
            "help": "Behind these layers, from 1: 10-20. Default: all but layer 0, behind which"
            " llama.cpp adds nothing.",
            "brief": "Behind these layers, from 1.",
        }
    ),
]
Printed = Annotated[
    Output, but(json="Print a JSON object of what was written: file, method, directions.")
]


def make(
    environment: Environment,
    making: Making,
    texts: TextFiles,
    layers: Behind,
    compute: Here,
    output: Printed,
) -> None:
    """Make a control vector of texts of two opposite manners.

    Every text is read, and the stream behind each layer kept; direction N, behind layer N, leads
    from --minus to --plus there. Added once to every stream (llama.cpp: --control-vector) one of
    "mean" takes a text of the one kind to where those of the other are; directions of length 1
    want a scale (--control-vector-scaled). Directions that llama.cpp's cvector-generator makes are
    those of the layer before each: its direction N is made behind layer N - 1, and added behind N.
    """
    check_file(making.output)
    if making.output.suffix != ".gguf":
        raise UsageError("--output", f"{making.output} does not end in .gguf")
    messages = output.messages(environment)
    plus, minus = (
        tuple(row.text for row in text_rows(environment, path, flag, texts))
        for path, flag in ((making.plus, "--plus"), (making.minus, "--minus"))
    )
    request = SteeringRequest(
        plus=plus,
        minus=minus,
        method=cast(Method, making.method),
        position=cast(Position, making.position),
        layers=layers.layers or None,
        unit=making.unit,
        special=texts.special,
    )
    found = watch_steps(open_for(compute, messages).answer(request), messages)
    write(making.output, _encoded(found))
    messages.info(view.line(found, making.output))
    if output.json:
        environment.data().json(view.made_as_json(request, found, making.output))


def _encoded(found: Steering) -> bytes:
    import numpy as np

    from gptcli.formats.gguf.control_vector import ControlVector, encode

    directions = {each.layer: np.array(each.vector, np.float32) for each in found.directions}
    return encode(ControlVector(found.hint, directions))
