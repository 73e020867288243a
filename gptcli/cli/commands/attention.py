"""`gptcli attention`: who looks at whom."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, cast, get_args

from gptcli.cli.environment import Environment
from gptcli.cli.exports import Exports
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.inside import Inside
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.place import Here
from gptcli.cli.flags.source import Source
from gptcli.cli.input.prompt import read_prompt
from gptcli.cli.opening import open_for
from gptcli.config import option
from gptcli.errors import InputError, UsageError
from gptcli.types.attention import Attention, AttentionRequest, Over, Weigh
from gptcli.ui.views import attention as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("All heads of all layers, small.", 'gptcli attention "The cat sat on the mat"'),
    ("One head in full.", 'gptcli attention --layer 3 --head 5 "The cat sat on the mat"'),
    (
        "Where one token looks, the mean over a layer's heads.",
        'gptcli attention --layer 3 --mean --token " mat" "The cat sat on the mat"',
    ),
    (
        "The same by what comes of it, so that the first token is no sink.",
        'gptcli attention --layer 3 --mean --weigh values "The cat sat on the mat"',
    ),
    ("A page on which to go through all heads.", 'gptcli attention --html a.html "I am what I am"'),
)


@dataclass(frozen=True)
class Heads:
    """Which layers and heads, and whose view."""

    layer: int | None = option(
        None,
        "Only this layer, from 0. Default: all of them.",
        metavar="L",
        brief="Only this layer, from 0.",
    )
    head: int | None = option(
        None,
        "Only this head, from 0; of a --layer without attention, this memory. Default: all of"
        " them.",
        metavar="H",
        brief="Only this head, from 0.",
    )
    mean: bool = option(
        False,
        "One map: the mean over the heads (and layers with attention) chosen.",
        brief="One map: the mean over the heads chosen.",
    )
    largest: bool = option(
        False,
        "One map: the largest over the heads (and layers with attention) chosen.",
        "--max",
    )
    weigh: str = option(
        "attention",
        "Multiply each weight by the length of what the value gives: values, behind the head's part"
        " of the output projection (arXiv:2004.10102). A token that is looked at and gives next to"
        " nothing then is no more than that; told are shares of a row's lengths.",
        metavar="BY",
        choices=get_args(Weigh),
        brief="By values: weights times what they bring.",
    )
    token: str | None = option(
        None,
        "Only where this token looks, as bars: its text (the last one of several), or its position,"
        " below 0 from the end.",
        metavar="TOKEN",
        brief="Only where this token looks, as bars.",
    )

    @property
    def over(self) -> Over | None:
        """What is made of several heads. Raises UsageError for two things at once."""
        if self.mean and self.largest:
            raise UsageError("--max", "cannot be combined with --mean")
        if self.token is not None and (self.layer is None or self.head is None):
            return "max" if self.largest else "mean"
        return "mean" if self.mean else "max" if self.largest else None


def attention(
    environment: Environment,
    source: Source,
    heads: Heads,
    inside: Inside,
    compute: Here,
    output: Annotated[
        Output,
        but(
            json="One JSON object of all numbers: tokens, maps with layer, head and weights, a row"
            " for each token that looks, and states with layer, kind and lengths."
        ),
    ],
) -> None:
    """Show which tokens attention looks at.

    Each row of a map is a token that looks, each column one that is looked at; a row shares 100 %
    out. One head is shown in full, several as small maps, a line for each layer; --mean and --max
    make one map of them. A pipe gets a tab-separated row for each weight that is not 0. Where a
    model looks is not what its answer hangs on: gptcli why measures that. --weigh values tells how
    much comes of a look in place of the look alone.

    A layer that carries a state from token to token in place of attention has no map: told is how
    long its state is behind each token, memory by memory (the Frobenius norm; of a short
    convolution, of the inputs that it keeps). There --head is one of its memories.
    """
    exports = Exports(environment, inside, json=output.json)
    messages = output.messages(environment)
    request = AttentionRequest(
        layer=heads.layer,
        head=heads.head,
        over=heads.over,
        weigh=cast(Weigh, heads.weigh),
        prompt=read_prompt(environment, source, messages),
        window=inside.window,
        special=source.special,
    )
    found = open_for(compute, messages).answer(request)
    place = None if heads.token is None else _place(found, heads.token)
    exports.present(
        "attention",
        found,
        messages,
        lambda stream: view.show(stream, found, token=place),
        view.as_json,
        place,
    )


def _place(found: Attention, token: str) -> int:
    """Where in the window a token stands. Raises InputError where it does not."""
    count = len(found.tokens)
    if re.fullmatch(r"-?[0-9]{1,9}", token):
        position = int(token)
        place = position + count if position < 0 else position - found.first
        if 0 <= place < count:
            return place
        last = found.first + count - 1
        raise InputError("--token", f"position {token} is not among {found.first} to {last}")
    texts = [each.text for each in found.tokens]
    bare = [text.strip() for text in texts]
    for wanted, among in ((token, texts), (token.strip(), bare)):
        if wanted in among:
            return count - 1 - among[::-1].index(wanted)
    hint = "gptcli tokens shows how the prompt is cut"
    raise InputError("--token", f"{token!r} is no token among those looked at", hint)
