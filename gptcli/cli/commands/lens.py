"""`gptcli lens`: what the model would say after each layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, cast, get_args

from gptcli.cli.environment import Environment
from gptcli.cli.exports import Exports
from gptcli.cli.flags.groups import Given, but
from gptcli.cli.flags.inside import Inside
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.place import Here
from gptcli.cli.flags.rows import Rows
from gptcli.cli.flags.source import Source
from gptcli.cli.input.prompt import read_prompt
from gptcli.cli.opening import open_for
from gptcli.config import option
from gptcli.errors import UsageError
from gptcli.formats.tuned_lens import CONVERT
from gptcli.types.lens import LensRequest
from gptcli.types.parts import By, PartsRequest
from gptcli.ui.views import lens as view
from gptcli.ui.views import parts as parts_view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("Layer by layer, what would come next.", 'gptcli lens "The capital of France is"'),
    (
        "The rank of one token through the layers.",
        'gptcli lens --track " Paris" "The capital of France is"',
    ),
    (
        "Which heads and MLPs speak for one token rather than another.",
        'gptcli lens --parts head --target " Paris" --versus " London" "The capital of France is"',
    ),
    ("A page to look at in a browser.", 'gptcli lens --html lens.html "The capital of France is"'),
)


@dataclass(frozen=True)
class Tracking:
    """Whom to follow through the layers, and how they are read out."""

    track: str | None = option(
        None,
        'The rank of this token through the layers, as text: " Paris", with its space.',
        metavar="TOKEN",
        brief="The rank of this token through the layers.",
    )
    tuned: Path | None = option(
        None,
        "Read out by a tuned lens (arXiv:2303.08112) of this model: its translators in safetensors,"
        " named as in the params.pt that AlignmentResearch/tuned-lens writes. A pickle is not"
        f" loaded; to make a file of it: {CONVERT}",
        metavar="FILE",
        brief="Read out by a tuned lens, of a safetensors file.",
    )


@dataclass(frozen=True)
class Apart:
    """A logit taken apart."""

    parts: str | None = option(
        None,
        "Instead, what each part adds to the logit of the --target: head (each head and each MLP),"
        " mlp (attention and MLP of each layer) or layer. They add up to it.",
        metavar="BY",
        choices=get_args(By),
        brief="What each part adds to a logit: head, mlp, layer.",
    )
    target: str | None = option(
        None,
        "With --parts: whose logit, as the text of one token. Default: the likeliest.",
        metavar="TOKEN",
        brief="With --parts: whose logit.",
    )
    versus: str | None = option(
        None,
        "With --parts: the token whose logit is taken off.",
        metavar="TOKEN",
        brief="With --parts: less the logit of this token.",
    )
    position: int | None = option(
        None,
        "With --parts: after which token, from 0, or below 0 from the end. Default: the last.",
        metavar="N",
    )


def lens(
    environment: Environment,
    source: Source,
    tracking: Tracking,
    apart: Apart,
    rows: Annotated[
        Rows,
        but(
            rows={
                "help": "How many of the likeliest tokens at each place, in --json and on the page;"
                " of --parts how many are listed on a terminal. Default: 5, of parts 20.",
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
            " the likeliest tokens and the rank of the answer; with --parts: logit and parts."
        ),
    ],
    given: Given,
) -> None:
    """Show what the model would say after each layer.

    The logit lens: the residual stream at every position is read out after every layer as the
    model reads out the last one, through final norm and head. A terminal gets a grid of layers and
    positions with the likeliest token and its probability in percent; a pipe gets a tab-separated
    row for each. "embed" is the embedding, before the first layer. --tuned has
    every stream but the last translated first, as a tuned lens was trained to.

    --parts takes one logit apart instead (direct logit attribution): the last stream is the sum of
    what embedding, heads and MLPs have added, and with the scale of the final norm as it is, each
    adds its own part to the logit, or with --versus to the difference of two.
    """
    exports = Exports(environment, inside, json=output.json)
    messages = output.messages(environment)
    if apart.parts is not None:
        for name in ("track", "tuned", "window"):
            if name in given:
                raise UsageError(f"--{name}", "cannot be combined with --parts")
        parts = PartsRequest(
            prompt=read_prompt(environment, source, messages),
            by=cast(By, apart.parts),
            target=apart.target,
            versus=apart.versus,
            position=-1 if apart.position is None else apart.position,
            special=source.special,
        )
        listed = rows.rows if "rows" in given else parts_view.LISTED
        taken = open_for(compute, messages).answer(parts)
        show = partial(parts_view.show, found=taken, listed=listed)
        exports.present("parts", taken, messages, show, parts_view.as_json)
        return
    for name in ("target", "versus", "position"):
        if name in given:
            raise UsageError(f"--{name}", "needs --parts")
    request = LensRequest(
        prompt=read_prompt(environment, source, messages),
        rows=rows.rows,
        track=tracking.track,
        tuned=tracking.tuned,
        window=inside.window,
        special=source.special,
    )
    found = open_for(compute, messages).answer(request)
    exports.present("lens", found, messages, lambda stream: view.show(stream, found), view.as_json)
