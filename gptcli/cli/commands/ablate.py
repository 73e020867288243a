"""`gptcli ablate`: on which parts of a model hangs what follows a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from gptcli.backends import Backend
from gptcli.cli.environment import Environment
from gptcli.cli.exports import Exports
from gptcli.cli.flags.generation import Generation
from gptcli.cli.flags.groups import but, only
from gptcli.cli.flags.inside import Inside
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.place import Here
from gptcli.cli.flags.rows import Rows
from gptcli.cli.flags.source import Source
from gptcli.cli.flags.switching import Switching
from gptcli.cli.flags.target import Target
from gptcli.cli.gathering import gathered
from gptcli.cli.input.prompt import read_file, read_prompt
from gptcli.cli.opening import open_for
from gptcli.errors import UsageError
from gptcli.types.ablate import (
    AblateAsked,
    Ablated,
    AblatedCompletionRequest,
    AblateRequest,
    Ablation,
    Off,
)
from gptcli.types.completion import Request
from gptcli.types.sampling import SamplingWish, seed_of
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import ablate as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    (
        "On which heads the answer hangs.",
        'gptcli ablate --target " Paris" "The capital of France is"',
    ),
    (
        "Which MLPs tell one from the other.",
        'gptcli ablate --each mlp --target " Paris" --versus " Rome" "The capital of France is"',
    ),
    (
        "Two heads by themselves and together.",
        'gptcli ablate --off 9.6,10.0 "The capital of France is"',
    ),
    ("Go on without them.", 'gptcli ablate --off 9.6,10.0 -n 20 "The capital of France is"'),
    (
        "What else takes over, once a layer is off.",
        'gptcli ablate --off 12 --each layer --with zero "The capital of France is"',
    ),
)

_Rows = Annotated[
    Rows,
    but(rows={"help": "How many rows a table has on a terminal. Default: 20.", "default": 20}),
]
_Further = Annotated[
    Generation,
    only(
        max_new_tokens={
            "help": "Go on with the text for N tokens while --off is off, and print that alone; -1"
            " until the model ends or the context is full.",
            "brief": "Go on for N tokens without them.",
            "setting": False,
        }
    ),
]
_Inside = Annotated[
    Inside,
    but(
        window={
            "help": "The positions at which parts are off, from 0, STOP left out; below 0 from the"
            " end. `1:` leaves the first alone, on which much rests in many models. Default: all.",
            "brief": "",
        }
    ),
]
_Sampling = Annotated[
    SamplingWish,
    only(
        *("top_k", "top_p"),
        temperature={"brief": ""},
        seed={
            "help": "The same seed draws the same text, and the same tokens for --with resample.",
            "brief": "",
        },
    ),
]
_Output = Annotated[
    Output,
    but(
        json="One JSON object of all numbers: target, versus, tokens, and steps, the strongest"
        " first, with parts, change, logprob and probability; with -n, as complete has it."
    ),
]


def ablate(
    environment: Environment,
    source: Source,
    switching: Switching,
    target: Target,
    rows: _Rows,
    generation: _Further,
    inside: _Inside,
    compute: Here,
    sampling: _Sampling,
    output: _Output,
) -> None:
    """Show on which parts of the model the answer hangs.

    Each part is switched off by itself, and the target's log-probability is computed anew:
    "change" is what became of it, in nats, below 0 where the target hangs on the part. A head is
    what one head of attention hands to the output projection, attention and mlp are what they add
    to the stream, a layer is all that it adds, an expert its share, a position the embedding that
    is read there.

    A terminal gets a map, layers down and heads across, and a table, the strongest first; a pipe
    gets a tab-separated row for each step. Ctrl-C prints what is known by then.
    """
    exports = Exports(environment, inside, json=output.json)
    target.check()
    messages = output.messages(environment)
    goes_on = generation.max_new_tokens is not None
    if goes_on and not switching.off:
        raise UsageError("-n", "goes on while parts are off: --off says which")
    if goes_on and (switching.each or target.target or target.versus or exports.any):
        raise UsageError("-n", "prints the text that comes: nothing else can be asked beside it")
    reference = switching.reference
    off = Off(
        parts=switching.off,
        put=switching.how,
        reference=None if reference is None else read_file(environment, reference),
        seed=seed_of(sampling),
        window=inside.window,
    )
    prompt = read_prompt(environment, source, messages)
    if goes_on:
        request = Request(
            prompt=prompt,
            sampling=sampling,
            max_new_tokens=generation.new_tokens(0),
            seed=off.seed,
            special=source.special,
        )
        asked = AblatedCompletionRequest(request, off)
        json = compute.model if output.json else None
        _go_on(environment, open_for(compute, messages), asked, messages, json)
        return
    question = AblateRequest(
        prompt=prompt,
        off=off,
        each=switching.kind,
        target=target.target,
        versus=target.versus,
        special=source.special,
    )

    def present(asked: AblateAsked, known: Sequence[Ablated]) -> None:
        found = Ablation(asked, tuple(known))
        exports.present(
            "ablation",
            found,
            messages,
            lambda stream: view.show(stream, found, rows.rows),
            view.as_json,
        )

    parts = open_for(compute, messages).answer(question)
    label = f"switching off {question.each}s" if question.each else "switching off"
    gathered(parts, label, messages, present)


def _go_on(
    environment: Environment,
    backend: Backend,
    asked: AblatedCompletionRequest,
    messages: Messages,
    json: str | None,
) -> None:
    """Print the text that comes; as JSON that names a model."""
    from gptcli.ui.views import completion

    shown: completion.CompletionView
    if json is not None:
        form = completion.CompletionObject(
            model=json, seed=asked.off.seed, lines=False, echo="", logprobs=False
        )
        shown = completion.AsJson(environment.data(), form, lines=False)
    elif environment.on_terminal:
        shown = completion.OnTerminal(environment.terminal(), samples=1, echo="")
    else:
        shown = completion.AsText(environment.data(), separator="", echo="")
    shown.show(completion.chunks(backend.answer(asked), messages))
