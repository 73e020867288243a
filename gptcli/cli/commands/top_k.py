"""`gptcli next`: what may come next, and how probable it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from gptcli.cli.commands.top_k_modes import Look
from gptcli.cli.environment import Environment
from gptcli.cli.flags.batch import Batch
from gptcli.cli.flags.constraints import Constraints
from gptcli.cli.flags.groups import Given, but
from gptcli.cli.flags.modes import Modes
from gptcli.cli.flags.output import CountedOutput
from gptcli.cli.flags.place import Reading
from gptcli.cli.flags.rows import Rows
from gptcli.cli.flags.source import Source
from gptcli.cli.input.constraint import constraint_of
from gptcli.cli.input.prompt import read_prompt
from gptcli.errors import UsageError
from gptcli.types.next_tokens import NextTokensRequest
from gptcli.types.sampling import SamplingWish

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("The ten most probable next tokens.", 'gptcli next "The capital of France is"'),
    (
        "What each stage of the sampler does to them.",
        'gptcli next --stages --top-k 40 --top-p 0.9 "Once upon a"',
    ),
    ("The same at several temperatures.", 'gptcli next --temperatures 0.2,0.7,1,1.5 "I am"'),
    ("Walk on, always with the most probable one.", 'gptcli next --steps 8 --greedy -k 5 "I am"'),
    ("Walk on by hand, with the arrow keys.", 'gptcli next --pick "Once upon a time"'),
    (
        "How far apart two prompts are.",
        'gptcli next --compare "The capital of Spain is" "The capital of France is"',
    ),
    (
        "Many prompts, a JSON object for each.",
        "printf '%s\\n' 'I am' 'You are' | gptcli next --lines --json -k 3",
    ),
)


def top_k(
    environment: Environment,
    given: Given,
    source: Source,
    rows: Rows,
    modes: Modes,
    constraints: Annotated[Constraints, but(repair=None, json_schema={"brief": ""})],
    compute: Reading,
    sampling: Annotated[SamplingWish, but(ban=None)],
    batch: Annotated[Batch, but(batch={"brief": ""})],
    output: Annotated[
        CountedOutput,
        but(
            json="One JSON object: top_logprobs with logit, rank and drawn, raw and drawn"
            " entropy; with --steps, the steps of a walk; with --compare, tokens and"
            " divergences."
        ),
    ],
) -> None:
    """Show the distribution over the next token.

    Two probabilities stand beside each other: the model's own ("probability", a softmax of the
    raw logits) and that with which complete would draw the token ("drawn", after its sampler with
    the same flags and settings). -k says how many rows; --top-k is a filter of the sampler.
    gptcli top-k is the same command.

    A terminal gets a table, and below it entropies and sums; a pipe gets tab-separated rows under
    heads; --json has everything.
    """
    if modes.greedy:
        if "temperature" in given:
            raise UsageError("--greedy", "cannot be combined with --temperature")
        sampling = replace(sampling, temperature=0.0)
    modes.check(environment, json=output.json)
    messages = output.messages(environment)
    request = NextTokensRequest(
        prompt="" if batch.wanted else read_prompt(environment, source, messages),
        sampling=sampling,
        rows=rows.rows,
        temperatures=modes.temperatures,
        by_drawn=modes.by_drawn,
        whole=modes.comparing,
        special=source.special,
        constraint=constraint_of(environment, constraints),
    )
    if batch.wanted:
        from gptcli.cli.batching import looks, running

        modes.check_many("--batch")
        batch.refuse(source)
        job = looks.looks(request, compute, stages=modes.stages)
        running.run_batch(environment, batch, job, messages, stats=output.stats)
        return
    if output.stats:
        modes.check_many("--stats")
    look = Look(
        environment, modes, request, compute, messages, json=output.json, stats=output.stats
    )
    look.run(subject=_subject(source.file))


def _subject(files: Sequence[Path]) -> str:
    """What the lines of the input belong to, in an error."""
    return str(files[0]) if len(files) == 1 and str(files[0]) != "-" else "prompt"
