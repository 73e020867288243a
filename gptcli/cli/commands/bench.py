"""`gptcli bench`: how fast a model is on this machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gptcli.cli.flags import common as options
from gptcli.cli.flags import cpu as cpu_options
from gptcli.cli.flags import inside as inside_options
from gptcli.cli.opening import open_for, settings_of
from gptcli.errors import UsageError
from gptcli.evaluation.bench_process import processes
from gptcli.types.bench import BATCH_NEW, BATCH_PROMPT, MEASURES, Benchmark, BenchRequest
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import watch_steps
from gptcli.ui.views import bench as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("How fast the default model is here.", "gptcli bench"),
    ("With weights of four bits, on one thread.", "gptcli bench --dtype int4 --threads 1"),
    (
        "How decoding slows down as the text grows.",
        "gptcli bench --measure decode --depth 16,500,1000,4000,8000",
    ),
    ("One figure, for a script.", "gptcli bench --measure start --json | jq .first_token_seconds"),
)


def bench(
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    exact_activations: cpu_options.ExactActivations = None,
    cpu_features: cpu_options.CpuFeatures = None,
    ctx_size: options.CtxSize = None,
    measure: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME,…",
            show_default=False,
            help=f"Only these: {', '.join(MEASURES)}. Default: all.",
        ),
    ] = None,
    prompt_tokens: Annotated[
        int,
        typer.Option(
            metavar="N",
            callback=options.limited("tokens", "--prompt-tokens"),
            show_default=False,
            help="Tokens of the prompt of prefill. Default: 512.",
        ),
    ] = 512,
    depth: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…",
            show_default=False,
            help="How many tokens stand before those that are decoded. Default: 16,1000, where the"
            " context has room for it.",
        ),
    ] = None,
    new_tokens: Annotated[
        int,
        typer.Option(
            "-n",
            "--max-new-tokens",
            "--n-predict",
            "--max-tokens",
            metavar="N",
            callback=options.limited("tokens", "--max-new-tokens"),
            show_default=False,
            help="How many tokens are decoded at each depth. Default: 128.",
        ),
    ] = 128,
    batch: Annotated[
        int,
        typer.Option(
            metavar="N",
            callback=options.limited("samples", "--batch"),
            show_default=False,
            help=f"Prompts at once, of {BATCH_PROMPT} tokens each, with {BATCH_NEW} new ones."
            " Default: 16.",
        ),
    ] = 16,
    rounds: Annotated[
        int,
        typer.Option(
            metavar="N",
            callback=options.limited("rounds", "--rounds"),
            show_default=False,
            help="How often all is measured, after a round that does not count. Default: 3.",
        ),
    ] = 3,
    json: inside_options.JsonNumbers = False,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Measure how fast a model is on this machine.

    Tokens are generated greedily after random ones, by the very steps that complete a text.
    prefill: tokens of a prompt per second of a call that draws one new token; decode: new tokens
    per second after a context of each depth; batch: new tokens of all texts together per second of
    the whole call; start, memory: a process that completes one token of a short prompt, from its
    start to its end. Each figure is the median of the rounds, beside the least and the most.

    The share tells how much of the read bandwidth decoding needs: what a token has to read, the
    weights and the keys and values before it, against what as many threads read in the same
    rounds.
    """
    settings = settings_of(locals())
    request = BenchRequest(
        measures=_measures(measure),
        depths=_depths(depth),
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        batch=batch,
        rounds=rounds,
    )
    messages = Messages(sys.stderr, quiet=quiet)
    # The model is let go of before the processes begin, which open it for themselves.
    speeds = watch_steps(open_for(settings, messages).answer(request), messages)
    found = Benchmark(request, speeds, watch_steps(processes(settings, request), messages))
    if json:
        DataWriter(sys.stdout).json(view.as_json(found))
    else:
        view.show(found, sys.stdout)


def _measures(text: str | None) -> tuple[str, ...]:
    """Those that are named, in their own order. Raises UsageError for a name that is none."""
    if text is None:
        return MEASURES
    names = [name.strip() for name in text.split(",")]
    for name in names:
        options.one_of("--measure", MEASURES)(name)
    return tuple(name for name in MEASURES if name in names)


def _depths(text: str | None) -> tuple[int, ...] | None:
    """Numbers with commas between them, each once. Raises UsageError for anything else."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
        reason = f"must be whole numbers with commas between them, not {text!r}"
        raise UsageError("--depth", reason)
    found = tuple(dict.fromkeys(map(int, parts)))
    for depth in found:
        options.limited("tokens", "--depth")(depth)
    return found
