"""`gptcli complete`: a prompt in, its continuation out."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from gptcli import config
from gptcli.cli.flags import (
    adapter as adapter_options,
)
from gptcli.cli.flags import (
    common as options,
)
from gptcli.cli.flags import (
    cpu as cpu_options,
)
from gptcli.cli.flags import (
    generation as generation_options,
)
from gptcli.cli.input.prompt import read_prompt
from gptcli.cli.opening import open_for, settings_of
from gptcli.errors import UncertainError, UsageError
from gptcli.types.completion import Request, Uncertain
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.visible import visible
from gptcli.ui.terminal.writer import TerminalWriter
from gptcli.ui.views import stats as stats_lines
from gptcli.ui.views.completion import AsJson, AsText, CompletionView, OnTerminal, chunks
from gptcli.ui.views.completion import at_once as when_done

#: (what it is for, the command), for the man page.
EXAMPLES = (
    (
        "Continue a text with the default model.",
        'gptcli complete "The most effective way to learn computer science is"',
    ),
    ("The most probable text, always the same.", 'gptcli complete --temp 0 "Once upon a time"'),
    (
        "From a pipe: stdin comes first, then the argument, on a line of its own.",
        'git log -5 | gptcli complete "In short:"',
    ),
    ("Up to the end of the line.", "gptcli complete --stop $'\\n' -n 40 \"My favourite word is\""),
    ("Three ways on, from one reading of the prompt.", 'gptcli complete --samples 3 -n 20 "I am"'),
    (
        "JSON, with the five likeliest tokens at each place.",
        'gptcli complete --json --logprobs 5 -n 3 "The capital of France is"',
    ),
    (
        "Only what the model is sure of: exit code 9 where it is not.",
        'gptcli complete --temp 0 --fail-below 0.3 "The capital of France is"',
    ),
    ("A prompt that ends within a word.", 'gptcli complete --heal -n 5 "The capital of Fran"'),
    ("Another model.", 'gptcli complete -m gpt2 "In a shocking finding,"'),
)


def complete(
    prompt: options.PromptArgument = None,
    prompt_option: options.PromptOption = None,
    file: options.PromptFile = None,
    verbatim: options.Verbatim = False,
    max_new_tokens: generation_options.MaxNewTokens = None,
    stop: generation_options.Stop = None,
    samples: Annotated[
        int,
        typer.Option(
            metavar="N",
            callback=options.limited("samples", "--samples"),
            show_default=False,
            help="How many completions of the prompt. Default: 1.",
        ),
    ] = 1,
    heal: Annotated[
        bool,
        typer.Option(
            "--heal",
            help='Where the prompt ends within a token ("The capital of Fran"), go back to where'
            " that begins and draw it anew to fit.",
        ),
    ] = False,
    fail_below: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            callback=options.limited("fail_below", "--fail-below"),
            show_default=False,
            help="End with exit code 9 before a token whose probability, by the model before any"
            " sampling, is under P.",
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
    echo: Annotated[
        bool, typer.Option("--echo", rich_help_panel="Output", help="Print the prompt first.")
    ] = False,
    stream: generation_options.Stream = None,
    json: options.Json = False,
    logprobs: generation_options.Logprobs = None,
    null: Annotated[
        bool,
        typer.Option(
            "-0", "--null", rich_help_panel="Output", help="End each completion with a NUL byte."
        ),
    ] = False,
    stats: options.Stats = False,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Continue a text.

    The prompt is the argument, -p, -f FILE, or stdin. Where several are given they are joined by
    newlines in this order: files, stdin, argument. Output to a pipe or a file is exactly the
    completion; several samples each end with a newline there, or with NUL (-0).
    """
    settings = settings_of(locals())
    if logprobs is not None and not json:
        raise UsageError("--logprobs", "needs --json")
    if null and json:
        raise UsageError("--null", "cannot be combined with --json")
    request = Request(
        prompt=read_prompt(prompt, prompt_option, file or (), verbatim=verbatim),
        sampling=options.wish(settings, logit_bias),
        max_new_tokens=settings.new_tokens(config.DEFAULT_NEW_TOKENS),
        stop=generation_options.stops(stop),
        seed=generation_options.seed_of(settings),
        samples=samples,
        logprobs=logprobs,
        special=special,
        heal=heal,
        fail_below=fail_below,
    )
    messages = Messages(sys.stderr, quiet=quiet)
    echoed = request.prompt if echo else ""
    view: CompletionView
    if json:
        view = AsJson(
            DataWriter(sys.stdout),
            model=settings.model,
            seed=request.seed,
            lines=bool(stream),
            echo=echoed,
            logprobs=logprobs is not None,
        )
    elif sys.stdout.isatty() and not null:
        view = OnTerminal(TerminalWriter(sys.stdout), samples=samples, echo=echoed)
    else:
        separator = "\0" if null else "\n" if samples > 1 else ""
        view = AsText(DataWriter(sys.stdout), separator=separator, echo=echoed)
    _run(view, request, settings, messages, wait=stream is False and not json, stats=stats)


def _run(
    view: CompletionView,
    request: Request,
    settings: config.Settings,
    messages: Messages,
    *,
    wait: bool,
    stats: bool,
) -> None:
    begun = time.perf_counter()
    backend = open_for(settings, messages)
    ready = time.perf_counter() - begun
    events = chunks(backend.answer(request), messages)
    usage = view.show(when_done(events) if wait else events)
    if stats and usage is not None:
        for line in stats_lines.lines(usage, ready):
            messages.always(line)
    if usage is not None and usage.uncertain:
        raise _uncertain(request, usage.uncertain)


def _uncertain(request: Request, found: Sequence[Uncertain]) -> UncertainError:
    """The error for completions that ended at an improbable token: the first one is named."""
    first = found[0]
    where = f" of sample {first.index + 1}" if request.samples > 1 else ""
    reason = (
        f"token {first.position}{where} ({visible(first.token.bytes)}) has a probability of"
        f" {first.probability:.3g}"
    )
    more = f"and {len(found) - 1} more of {request.samples} samples" if len(found) > 1 else None
    return UncertainError(f"--fail-below {request.fail_below:g}", reason, more)
