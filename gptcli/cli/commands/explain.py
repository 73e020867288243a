"""`gptcli explain`: the walk through the model, from a prompt to its next token."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from gptcli.cli.commands import explain_modes
from gptcli.cli.exports import Exports
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
    inside as inside_options,
)
from gptcli.cli.flags.generation import seed_of
from gptcli.cli.input.prompt import read_prompt
from gptcli.cli.opening import open_for, settings_of
from gptcli.errors import UsageError
from gptcli.types.explain import ExplainRequest
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.words import LANGUAGES, Words

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("How the next token comes about.", 'gptcli explain "The capital of France is"'),
    ("Page by page, with the arrow keys.", 'gptcli explain --step "The capital of France is"'),
    ("In Chinese.", 'gptcli explain --lang zh "The capital of France is"'),
    ("Three tokens, a few layers.", 'gptcli explain --steps 3 --layers 0,10,20 --seed 1 "I am"'),
    ("What the model is made of.", 'gptcli explain --shapes "The capital of France is"'),
)


def _language(value: str) -> str:
    if value not in LANGUAGES:
        raise UsageError("--lang", f"must be {' or '.join(LANGUAGES)}, not {value!r}")
    return value


def explain(
    prompt: options.PromptArgument = None,
    prompt_option: options.PromptOption = None,
    file: options.PromptFile = None,
    verbatim: options.Verbatim = False,
    steps: Annotated[
        int,
        typer.Option(
            metavar="N",
            callback=options.limited("steps", "--steps"),
            show_default=False,
            help="Go on with the token that is drawn, N times in all. Default: 1.",
        ),
    ] = 1,
    step: Annotated[
        bool,
        typer.Option("--step", help="One page at a time: arrow keys, space; q or Esc leaves."),
    ] = False,
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="L,L,…",
            show_default=False,
            help="The layers to tell of, from 0, or `all`. Default: all in --json, some elsewhere.",
        ),
    ] = None,
    lang: Annotated[
        str,
        typer.Option(
            metavar="LANG",
            callback=_language,
            show_default=False,
            help=f"The language of the words: {' or '.join(LANGUAGES)}. Default: en.",
        ),
    ] = "en",
    shapes: Annotated[
        bool,
        typer.Option(
            "--shapes",
            help="Show instead the model's tensors and how many parameters each has, and the"
            " tensors that the prompt makes.",
        ),
    ] = False,
    rows: Annotated[
        int,
        typer.Option(
            "-k",
            "--rows",
            metavar="K",
            callback=options.limited("rows", "--rows"),
            show_default=False,
            help="How many of the likeliest tokens, neighbours and so on. Default: 5.",
        ),
    ] = 5,
    window: inside_options.WindowOption = None,
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
    json: inside_options.JsonNumbers = False,
    npz: inside_options.Npz = None,
    html: inside_options.Html = None,
    png: inside_options.Png = None,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Explain how the next token comes about.

    The walk from text to the next token, every stage with the numbers of this very prompt and
    three lines of plain words: tokens; vectors, and their nearest neighbours; what attention and
    MLP add in each layer, and what the stream would say there; logits; softmax at several
    temperatures; the draw; and then it starts again (--steps). A pipe gets a tab-separated row for
    each number.
    """
    settings = settings_of(locals())
    exports = Exports(html, png, npz, json)
    exports.check()
    if step:
        _check_step(json=json, shapes=shapes, to_stdout=exports.to_stdout)
    if shapes and npz is not None:
        raise UsageError("--npz", "cannot be combined with --shapes, which has no arrays")
    text = read_prompt(prompt, prompt_option, file or (), verbatim=verbatim)
    wished = _layers(layers)
    messages = Messages(sys.stderr, quiet=quiet)
    words = Words(lang)
    request = ExplainRequest(
        prompt=text,
        sampling=options.wish(settings, logit_bias),
        steps=steps,
        layers=wished,
        rows=rows,
        window=inside_options.window_of(window),
        special=special,
    )
    run = explain_modes.Run(request, words, seed_of(settings), every=layers is not None)
    backend = open_for(settings, messages)
    if shapes:
        explain_modes.shapes(backend, run, exports, messages)
    else:
        explain_modes.walk(backend, run, exports, messages, step=step)


def _check_step(*, json: bool, shapes: bool, to_stdout: bool) -> None:
    for flag, given in (("--json", json), ("--shapes", shapes), ("a file on stdout", to_stdout)):
        if given:
            raise UsageError("--step", f"cannot be combined with {flag}")
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("--step", "needs a terminal")
    if os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        raise UsageError("--step", "needs a terminal that can move its cursor")


def _layers(text: str | None) -> tuple[int, ...] | None:
    """Raises UsageError for anything but whole numbers with commas between them, or `all`."""
    if text is None or text == "all":
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
        reason = f"must be whole numbers with commas between them, or all, not {text!r}"
        raise UsageError("--layers", reason)
    return tuple(sorted(set(map(int, parts))))
