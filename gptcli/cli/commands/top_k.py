"""`gptcli top-k`: what may come next, and how probable it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gptcli.cli.commands import top_k_modes
from gptcli.cli.flags import adapter as adapter_options
from gptcli.cli.flags import common as options
from gptcli.cli.flags import cpu as cpu_options
from gptcli.cli.flags.completers import complete_model
from gptcli.cli.input.prompt import read_prompt
from gptcli.cli.opening import settings_of
from gptcli.errors import UsageError
from gptcli.types.limits import LIMITS
from gptcli.types.next_tokens import NextTokensRequest

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("The ten most probable next tokens.", 'gptcli top-k "The capital of France is"'),
    (
        "What each stage of the sampler does to them.",
        'gptcli top-k --stages --top-k 40 --top-p 0.9 "Once upon a"',
    ),
    ("The same at several temperatures.", 'gptcli top-k --temperatures 0.2,0.7,1,1.5 "I am"'),
    ("Walk on, always with the most probable one.", 'gptcli top-k --steps 8 --greedy -k 5 "I am"'),
    ("Walk on by hand, with the arrow keys.", 'gptcli top-k --pick "Once upon a time"'),
    (
        "How far apart two prompts are.",
        'gptcli top-k --compare "The capital of Spain is" "The capital of France is"',
    ),
    (
        "Many prompts, a JSON object for each.",
        "printf '%s\\n' 'I am' 'You are' | gptcli top-k --lines --json -k 3",
    ),
)

_WALK, _COMPARE = "Walking on", "Comparing"


def _temperatures(text: str | None) -> tuple[float, ...]:
    found = []
    for part in text.split(",") if text is not None else ():
        try:
            value = float(part)
        except ValueError:
            raise UsageError("--temperatures", f"must be numbers, not {part!r}") from None
        reason = LIMITS["temperature"].reason(value)
        if reason:
            raise UsageError("--temperatures", reason)
        found.append(value)
    return tuple(found)


def top_k(
    prompt: options.PromptArgument = None,
    prompt_option: options.PromptOption = None,
    file: options.PromptFile = None,
    verbatim: options.Verbatim = False,
    rows: Annotated[
        int,
        typer.Option(
            "-k",
            "--rows",
            metavar="K",
            callback=options.limited("rows", "--rows"),
            show_default=False,
            help="How many tokens to show. Default: 10.",
        ),
    ] = 10,
    by_drawn: Annotated[
        bool,
        typer.Option(
            "--by-drawn",
            help="Show those that the sampler draws most often, which a bias or a penalty may"
            " lift, not those that are most probable to the model.",
        ),
    ] = False,
    stages: Annotated[
        bool,
        typer.Option(
            "--stages", help="A column for each stage of the sampler: the probability after it."
        ),
    ] = False,
    temperatures: Annotated[
        str | None,
        typer.Option(
            metavar="T,T,…",
            show_default=False,
            help="The model's own probabilities at these temperatures, side by side.",
        ),
    ] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Each line of the input is a prompt of its own.")
    ] = False,
    jsonl: Annotated[
        bool,
        typer.Option(
            "--jsonl", help='Each line of the input is a JSON object with a "prompt" of its own.'
        ),
    ] = False,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            callback=options.limited("steps", "--steps"),
            rich_help_panel=_WALK,
            show_default=False,
            help="Draw a token, append it, look again, N times or to the end of the text.",
        ),
    ] = None,
    pick: Annotated[
        bool,
        typer.Option(
            "--pick",
            rich_help_panel=_WALK,
            help="Choose each token with the arrow keys and Enter; q or Esc leaves.",
        ),
    ] = False,
    greedy: Annotated[
        bool,
        typer.Option(
            "--greedy",
            rich_help_panel=_WALK,
            help="Always draw the most probable token: the same as --temperature 0.",
        ),
    ] = False,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PROMPT",
            rich_help_panel=_COMPARE,
            show_default=False,
            help="Set what follows this prompt beside it, with divergences in bits (in a pipe these"
            " are in --json only). Repeatable.",
        ),
    ] = None,
    compare_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            autocompletion=complete_model,
            rich_help_panel=_COMPARE,
            show_default=False,
            help="Set what another model says to the prompt beside it.",
        ),
    ] = None,
    model: options.Model = None,
    adapter: adapter_options.Adapter = None,
    adapter_apart: adapter_options.Apart = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    exact_activations: cpu_options.ExactActivations = None,
    cpu_features: cpu_options.CpuFeatures = None,
    ctx_size: options.CtxSize = None,
    special: options.Special = False,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    min_p: options.MinP = None,
    repeat_penalty: options.RepeatPenalty = None,
    presence_penalty: options.PresencePenalty = None,
    frequency_penalty: options.FrequencyPenalty = None,
    logit_bias: options.LogitBias = None,
    seed: options.Seed = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Show the distribution over the next token.

    Two probabilities stand beside each other: the model's own ("probability", a softmax of the
    raw logits) and that with which complete would draw the token ("drawn", after its sampler with
    the same flags and settings). -k says how many rows; --top-k is a filter of the sampler.

    A terminal gets a table, and below it entropies and sums; a pipe gets tab-separated rows under
    heads; --json has everything.
    """
    settings = settings_of(locals() | ({"temperature": 0.0} if greedy else {}))
    if greedy and temperature is not None:
        raise UsageError("--greedy", "cannot be combined with --temperature")
    modes = top_k_modes.Modes(
        stages=stages,
        temperatures=_temperatures(temperatures),
        lines=lines,
        jsonl=jsonl,
        steps=steps,
        pick=pick,
        compare=tuple(compare or ()),
        compare_model=compare_model,
        json=json,
    )
    modes.check()
    request = NextTokensRequest(
        prompt=read_prompt(prompt, prompt_option, file or (), verbatim=verbatim),
        sampling=options.wish(settings, logit_bias),
        rows=rows,
        temperatures=modes.temperatures,
        by_drawn=by_drawn,
        whole=modes.comparing,
        special=special,
    )
    top_k_modes.run(modes, request, settings, subject=_subject(file), quiet=quiet)


def _subject(files: list[Path] | None) -> str:
    """What the lines of the input belong to, in an error."""
    return str(files[0]) if files and len(files) == 1 and str(files[0]) != "-" else "prompt"
