"""`gptcli patch`: where a model keeps what tells two prompts apart."""

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
from gptcli.cli.flags.source import Special, checked
from gptcli.cli.flags.target import Target
from gptcli.cli.gathering import gathered
from gptcli.cli.opening import open_for
from gptcli.config import option
from gptcli.errors import InputError
from gptcli.plain import dataclass
from gptcli.types.patch import Align, At, Direction, PatchAsked, Patched, Patching, PatchRequest
from gptcli.ui.views import patch as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    (
        "Where two prompts part, with the token that is likeliest after the first.",
        'gptcli patch --clean "2 + 2 =" --corrupt "2 + 3 ="',
    ),
    (
        "Which heads tell one from the other.",
        'gptcli patch --at head --clean "2 + 2 =" --corrupt "2 + 3 ="',
    ),
    (
        "Where the country is, layer by layer and token by token.",
        'gptcli patch --clean "The capital of France is" --corrupt "The capital of Italy is"'
        ' --target " Paris" --versus " Rome"',
    ),
    (
        "Which heads bring it to the end.",
        'gptcli patch --at head --clean "The capital of France is"'
        ' --corrupt "The capital of Italy is" --target " Paris" --versus " Rome"',
    ),
    (
        "One direction, all positions at once.",
        'gptcli patch --at mlp --together --direction denoise --clean "2 + 2 ="'
        ' --corrupt "2 + 3 ="',
    ),
)

_DIRECTIONS: dict[str, tuple[Direction, ...]] = {
    "both": ("denoise", "noise"),
    "denoise": ("denoise",),
    "noise": ("noise",),
}


@dataclass(frozen=True)
class Patches:
    """The two prompts, and what of one is put into the other."""

    clean: str = option(
        ..., "The prompt whose answer is explained.", metavar="TEXT", brief="A prompt."
    )
    corrupt: str = option(
        ...,
        "Another one, best of as many tokens, that has another answer.",
        metavar="TEXT",
        brief="Another, with another answer.",
    )
    at: str = option(
        "stream",
        "What is put into the other run: the stream behind each layer, what attention or the MLP of"
        " a layer adds to it, or what each head hands on: stream, attention, mlp or head. Default:"
        " stream.",
        metavar="POINT",
        brief="stream, attention, mlp or head.",
        choices=("stream", "attention", "mlp", "head"),
    )
    align: str = option(
        "tokens",
        "Which positions belong together where the prompts differ in length. tokens: what both"
        " begin with and what both end with, and what is between from its beginning on, as far as"
        " both have it. left, right: those at the same position, from the beginning or from the"
        " end. Default: tokens.",
        metavar="HOW",
        brief="tokens, left or right.",
        choices=("tokens", "left", "right"),
    )
    direction: str = option(
        "both",
        "denoise puts clean activations into the corrupt run, noise corrupt ones into the clean"
        " run. Default: both.",
        metavar="WHICH",
        brief="denoise, noise or both.",
        choices=("both", "denoise", "noise"),
    )
    together: bool = option(
        False,
        "Those of all positions at once, where each is by itself otherwise.",
    )


_Rows = Annotated[
    Rows,
    but(rows={"help": "How many rows a table has on a terminal. Default: 10.", "default": 10}),
]
_Inside = Annotated[
    Inside,
    but(
        window={
            "help": "Positions of the clean prompt, from 0, STOP left out; below 0 from the end."
            " Default: all from the first on that can differ.",
            "brief": "",
        }
    ),
]
_Output = Annotated[
    Output,
    but(
        json="One JSON object of all numbers: clean and corrupt with value, pairs of positions, and"
        " patches with direction, layer, pair, head, normalized, value and logprob; with_target:"
        " tokens of the target are patched along with the last pair."
    ),
]


def patch(
    environment: Environment,
    patches: Patches,
    target: Target,
    rows: _Rows,
    special: Special,
    inside: _Inside,
    compute: Here,
    output: _Output,
) -> None:
    """Put activations of one prompt into the run of another.

    Activation patching: the model runs the corrupt prompt, but for one place, at which it has what
    it had in the clean run, or the other way round. "normalized" is the target's log-probability,
    or with --versus the difference, on a scale on which the corrupt run is 0 and the clean run is
    1. Without --target the token is asked about that is likeliest after the clean prompt. Where a
    target has several tokens, their log-probabilities are summed up, each after those before it;
    what the other run has at them is put in along with that of the last position, as each of them
    is where the next one is read.

    A terminal gets a map, layers down and positions or heads across, and a table for each
    direction; a pipe gets a tab-separated row for each patch. Ctrl-C prints what is known by then.
    """
    exports = Exports(environment, inside, json=output.json)
    target.check()
    messages = output.messages(environment)
    for flag, text in (("--clean", patches.clean), ("--corrupt", patches.corrupt)):
        if not checked(text, flag):
            raise InputError(flag, "is empty")
    request = PatchRequest(
        clean=patches.clean,
        corrupt=patches.corrupt,
        target=target.target,
        versus=target.versus,
        at=cast(At, patches.at),
        align=cast(Align, patches.align),
        directions=_DIRECTIONS[patches.direction],
        together=patches.together,
        window=inside.window,
        special=special.special,
    )

    def present(asked: PatchAsked, known: Sequence[Patched]) -> None:
        found = Patching(asked, tuple(known))
        exports.present(
            "patching",
            found,
            messages,
            lambda stream: view.show(stream, found, rows.rows),
            view.as_json,
        )

    parts = open_for(compute, messages).answer(request)
    gathered(parts, f"patching {request.at}", messages, present)
