"""`gptcli explain`: the walk through the model, from a prompt to its next token."""

from __future__ import annotations

from typing import Annotated

from gptcli.cli.commands import explain_modes
from gptcli.cli.environment import Environment
from gptcli.cli.exports import Exports
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.inside import Inside
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.place import Here
from gptcli.cli.flags.rows import Rows
from gptcli.cli.flags.source import Source
from gptcli.cli.flags.telling import Telling
from gptcli.cli.input.prompt import read_prompt
from gptcli.cli.opening import open_for
from gptcli.errors import UsageError
from gptcli.types.explain import ExplainRequest
from gptcli.types.sampling import SamplingWish, seed_of
from gptcli.ui.words import Words

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("How the next token comes about.", 'gptcli explain "The capital of France is"'),
    ("Page by page, with the arrow keys.", 'gptcli explain --step "The capital of France is"'),
    ("In Chinese.", 'gptcli explain --lang zh "The capital of France is"'),
    ("Three tokens, a few layers.", 'gptcli explain --steps 3 --layers 0,10,20 --seed 1 "I am"'),
    (
        "What another word would change.",
        'gptcli explain --what-if "machine learning=fashion" "She is a machine learning model"',
    ),
    (
        "Which heads and MLPs spoke for the answer.",
        'gptcli explain --temp 0 --only parts "The capital of France is"',
    ),
    ("What the model is made of.", 'gptcli explain --shapes "The capital of France is"'),
)


def explain(
    environment: Environment,
    source: Source,
    telling: Telling,
    rows: Annotated[
        Rows,
        but(
            rows={
                "help": "How many of the likeliest tokens, neighbours and so on. Default: 5.",
                "default": 5,
            }
        ),
    ],
    inside: Annotated[Inside, but(window={"brief": ""})],
    compute: Here,
    sampling: Annotated[SamplingWish, but(temperature={"brief": ""}, ban=None)],
    output: Annotated[
        Output,
        but(
            json="One JSON object of all numbers: rounds with tokens, blocks of each layer,"
            " distribution, drawn and parts; what_if with --what-if; with --shapes, parts and"
            " tensors."
        ),
    ],
) -> None:
    """Explain how the next token comes about.

    The walk from text to the next token, every stage with the numbers of this very prompt and
    three lines of plain words: tokens; vectors, and their nearest neighbours; what attention (or
    a state in its place) and MLP add in each layer, and what the stream would say there; logits;
    softmax at several temperatures; the draw; which parts spoke for it (direct logit attribution);
    and then it starts again (--steps). With --what-if, the walk of the prompt with a word replaced
    stands beside it. A pipe gets a tab-separated row for each number. A page (--html) has layers to
    step through and parts to switch off.
    """
    exports = Exports(environment, inside, json=output.json)
    if telling.step:
        _check_step(environment, telling, exports)
    if telling.shapes and inside.npz is not None:
        raise UsageError("--npz", "cannot be combined with --shapes, which has no arrays")
    messages = output.messages(environment)
    request = ExplainRequest(
        prompt=read_prompt(environment, source, messages),
        sampling=sampling,
        steps=telling.steps,
        layers=telling.layers or None,
        rows=rows.rows,
        window=inside.window,
        special=source.special,
        seed=seed_of(sampling),
    )
    telling.check(request.prompt, json=output.json)
    run = explain_modes.Run(
        environment, request, Words(telling.lang), telling, every=telling.layers is not None
    )
    backend = open_for(compute, messages)
    if telling.shapes:
        explain_modes.shapes(backend, run, exports, messages)
    else:
        explain_modes.walk(backend, run, exports, messages)


def _check_step(environment: Environment, telling: Telling, exports: Exports) -> None:
    others = {"--json": exports.json, "--shapes": telling.shapes}
    for flag, given in (others | {"a file on stdout": exports.to_stdout}).items():
        if given:
            raise UsageError("--step", f"cannot be combined with {flag}")
    environment.check_keys("--step")
