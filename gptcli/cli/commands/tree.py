"""`gptcli tree`: the most probable continuations, branching."""

from __future__ import annotations

from typing import Annotated

from gptcli.cli.environment import Environment
from gptcli.cli.flags.graph import Graph
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.place import Reading
from gptcli.cli.flags.source import Source
from gptcli.cli.input.prompt import read_prompt
from gptcli.cli.opening import open_for
from gptcli.config import Limit, option
from gptcli.errors import UsageError
from gptcli.plain import dataclass
from gptcli.types.tree import MAX_NODES, TreeRequest
from gptcli.ui.views import tree as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("Three tokens ahead, three ways each.", 'gptcli tree "The capital of France is"'),
    (
        "Every continuation of up to eight tokens that is at least 2 % probable.",
        'gptcli tree --depth 8 --width 20 --min-p 0.02 "Once upon a"',
    ),
    ("A picture of it.", 'gptcli tree --dot "I am" | dot -Tsvg > tree.svg'),
)


@dataclass(frozen=True)
class Branching(Graph):
    """How far the tree reaches, and whether it is drawn by Graphviz."""

    depth: int = option(
        3,
        "How many tokens ahead. Default: 3.",
        metavar="N",
        brief="How many tokens ahead.",
        limit=Limit(1, 100),
    )
    width: int = option(
        3,
        "How many tokens after each one, the most probable ones. Default: 3. The tree may have"
        f" {MAX_NODES:,} in all.",
        metavar="N",
        brief="How many tokens after each one.",
        limit=Limit(1, 10_000),
    )
    min_p: float = option(
        0.0,
        "Leave out paths whose joint probability, of all their tokens together, is under P.",
        metavar="P",
        brief="Leave out paths less probable than P.",
        limit=Limit(0, 1),
    )


def tree(
    environment: Environment,
    source: Source,
    branching: Branching,
    compute: Reading,
    output: Annotated[
        Output,
        but(
            json="One JSON object: children, the likeliest first, with logprob, joint_logprob"
            " and children of their own."
        ),
    ],
) -> None:
    """Show the most probable continuations as a tree.

    Probabilities are the model's own, before any sampling: `next` of a token where it stands,
    `joint` of the whole path from the prompt to it. An end token is a leaf. To a pipe go
    tab-separated values, one line per token under a line of heads, parents before children.
    """
    if output.json and branching.dot:
        raise UsageError("--dot", "cannot be combined with --json")
    messages = output.messages(environment)
    request = TreeRequest(
        prompt=read_prompt(environment, source, messages),
        depth=branching.depth,
        width=branching.width,
        min_p=branching.min_p,
        special=source.special,
    )
    found = open_for(compute, messages).answer(request)
    messages.notices(found.notices)
    if output.json:
        environment.data().json(view.as_json(found))
    elif branching.dot:
        environment.data().write("".join(f"{line}\n" for line in view.as_dot(found)))
    else:
        view.show(found, environment.stdout)
