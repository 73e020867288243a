"""`gptcli why`: on which parts of a prompt hangs what follows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, cast

from gptcli.cli.environment import Environment
from gptcli.cli.exports import Exports
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.inside import Inside
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.place import Here
from gptcli.cli.flags.rows import Rows
from gptcli.cli.flags.source import Source, checked
from gptcli.cli.flags.target import Target
from gptcli.cli.gathering import gathered
from gptcli.cli.input.prompt import read_prompt
from gptcli.cli.opening import open_for
from gptcli.config import option
from gptcli.errors import UsageError
from gptcli.plain import dataclass
from gptcli.types.why import Asked, By, Why, WhyRequest, Without
from gptcli.ui.views import why as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    (
        "On which tokens the answer hangs.",
        'gptcli why --target " Paris" "The capital of France is"',
    ),
    (
        "Why this one and not that one.",
        'gptcli why --target " Paris" --versus " Rome" "The capital of France is"',
    ),
    ("Which sentences of a file.", "gptcli why --by sentence -f notes.txt"),
    (
        "Which words of a question an answer hangs on.",
        'gptcli why --as-chat --by word --target "The" "What is the capital of France?"',
    ),
    (
        "Which two words do together what neither does.",
        'gptcli why --by word --pairs "The capital of France is"',
    ),
)


@dataclass(frozen=True)
class Leaving:
    """What is left out together, and what stands in its place."""

    by: str = option(
        "token",
        "What is left out together: a token, word, sentence or line. A token is of that in which"
        " its first letter is. Default: token.",
        metavar="WHAT",
        brief="Leave out a token, word, sentence or line.",
        choices=("token", "word", "sentence", "line"),
    )
    replace: str | None = option(
        None,
        'Put this token in the place of each that would be left out (" _", " something"), so that'
        " all others keep theirs.",
        metavar="TOKEN",
        brief="Replace by this token instead.",
    )
    as_chat: bool = option(
        False,
        "The prompt is a message of the user, in the model's chat template, which is never left"
        " out; the target begins the answer.",
        brief="The prompt is a message in a chat.",
    )
    pairs: bool = option(
        False,
        "Each two together as well, and by how much that is more than the two by themselves.",
        brief="Each two together as well.",
    )


_Rows = Annotated[
    Rows,
    but(rows={"help": "How many rows a table has on a terminal. Default: 20.", "default": 20}),
]
_Output = Annotated[
    Output,
    but(
        json="One JSON object of all numbers: target, versus, tokens, and parts, the strongest"
        " first, with change, logprob and probability; pairs with interaction."
    ),
]


def why(
    environment: Environment,
    source: Source,
    target: Target,
    leaving: Leaving,
    rows: _Rows,
    inside: Annotated[Inside, but(window=None)],
    compute: Here,
    output: _Output,
) -> None:
    """Show on which parts of a prompt the answer hangs.

    Each part is left out of the prompt, by itself, and the target's log-probability is computed
    anew (occlusion): "change" is what became of it, in nats, below 0 where the target hangs on the
    part. Control tokens are never left out. With --pairs, "interaction" is the change without both
    less the two changes without one of them. This is an experiment on the prompt; maps of
    attention tell where the model looks, and are no attributions.

    A terminal gets the prompt in colours and a table, the strongest first; a pipe gets a
    tab-separated row for each part. Ctrl-C prints what is known by then.
    """
    exports = Exports(environment, inside, json=output.json)
    target.check()
    if leaving.as_chat and source.special:
        raise UsageError(
            "--special", "cannot be combined with --as-chat: a message gives no orders"
        )
    messages = output.messages(environment)
    request = WhyRequest(
        prompt=read_prompt(environment, source, messages),
        target=target.target,
        versus=target.versus,
        by=cast(By, leaving.by),
        replace=None if leaving.replace is None else checked(leaving.replace, "--replace"),
        pairs=leaving.pairs,
        special=source.special,
        as_chat=leaving.as_chat,
    )

    def present(asked: Asked, without: Sequence[Without]) -> None:
        found = Why(asked, tuple(without))
        exports.present(
            "why", found, messages, lambda stream: view.show(stream, found, rows.rows), view.as_json
        )

    parts = open_for(compute, messages).answer(request)
    gathered(parts, f"leaving out {request.by}s", messages, present)
