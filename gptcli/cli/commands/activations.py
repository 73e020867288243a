"""`gptcli activations`: a model's numbers for many texts, in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

from gptcli.cli.commands.activations_file import Writing, write
from gptcli.cli.environment import Environment
from gptcli.cli.exports import check_file
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.layers import Layers
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.place import Here
from gptcli.cli.flags.texts import TextFiles
from gptcli.cli.input.text_rows import text_rows
from gptcli.cli.opening import open_for
from gptcli.config import option
from gptcli.errors import UsageError
from gptcli.formats.growing.growing_file import KINDS as ENDINGS
from gptcli.plain import dataclass
from gptcli.types.activations import POINTS, POOLS, ActivationsRequest, At, Pool
from gptcli.ui.views import activations as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    (
        "The stream behind each layer, a row for each token of each line.",
        "gptcli activations --prompts texts.txt -o acts.npz",
    ),
    (
        "What the MLPs of some layers add, a row for each text.",
        "gptcli activations --prompts texts.jsonl --at mlp --layers 0,5-8 --pool mean"
        " -o acts.safetensors",
    ),
    (
        "Of the default model, as NumPy reads them.",
        'python -c \'import numpy; numpy.load("acts.npz")["activations"].shape\'',
    ),
)


@dataclass(frozen=True)
class Looking:
    """The texts, which numbers of theirs, and where these go."""

    prompts: Path = option(
        ...,
        "The texts: JSONL, CSV or TSV by the name, else a line each; - is stdin.",
        metavar="FILE",
        stdin=True,
    )
    output: Path = option(
        ...,
        f"The file to write: {' or '.join(ENDINGS)} by its name.",
        *("-o", "--output"),
        metavar="FILE",
    )
    at: str = option(
        "stream",
        "stream, behind a layer; attention or mlp, what a layer's adds to it; head, what its heads"
        " have gathered, one after another, before the output projection; or embedding, before the"
        " first layer. Default: stream.",
        metavar="POINT",
        brief="stream, attention, mlp, head or embedding.",
        choices=POINTS,
    )
    pool: str = option(
        "none",
        "A row for each token (none), or one for each text: the mean of its tokens', or that of the"
        " last. Default: none.",
        metavar="HOW",
        brief="A row for each token, or one for each text.",
        choices=POOLS,
    )


Printed = Annotated[
    Output, but(json="Print a JSON object of what was written: file, rows, texts, layers.")
]


def activations(
    environment: Environment,
    looking: Looking,
    texts: TextFiles,
    layers: Layers,
    compute: Here,
    output: Printed,
) -> None:
    """Write a model's numbers inside, for many texts, to a file.

    "activations", (rows, layers, width) in float32, has a row for each token, text after text.
    "ids" are the tokens, "texts" and "positions" say for each row in which text it stands and
    where, both from 0; "offsets" has for each text the first row, and behind all of them how many
    rows there are; "lines" has the line of the file on which the text begins, from 1; "layers" has
    the layers' numbers, -1 for the embedding. Where --pool makes a text one row, rows are texts,
    "offsets" are places in "ids", and "texts" and "positions" are not there. Model, dtype, point
    and pooling are in it as words (of safetensors in __metadata__).

    Rows are on the disk as soon as they are there, and memory does not grow with them. The file
    gets its name when it is whole: after all texts, or after Ctrl-C or an error with the texts that
    were done, which is said. Where not one was done, there is none.
    """
    path = looking.output
    if path.suffix not in ENDINGS:
        raise UsageError("--output", f"{path} ends in neither {' nor '.join(ENDINGS)}")
    check_file(path)
    messages = output.messages(environment)
    rows = text_rows(environment, looking.prompts, "--prompts", texts)
    request = ActivationsRequest(
        texts=(),
        at=cast(At, looking.at),
        layers=layers.layers or None,
        pool=cast(Pool, looking.pool),
        special=texts.special,
    )
    writing = Writing(path, request, open_for(compute, messages))
    stopped = write(writing, rows, messages)
    found = writing.found()
    messages.info(view.line(found))
    if output.json:
        environment.data().json(view.as_json(found))
    if stopped is not None:
        raise stopped
