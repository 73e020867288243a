"""`gptcli tree`: the most probable continuations, branching."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gptcli.cli.flags import adapter as adapter_options
from gptcli.cli.flags import common as options
from gptcli.cli.flags import cpu as cpu_options
from gptcli.cli.input.prompt import read_prompt
from gptcli.cli.opening import open_for, settings_of
from gptcli.errors import UsageError
from gptcli.types.tree import MAX_NODES, TreeRequest
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
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


def tree(
    prompt: options.PromptArgument = None,
    prompt_option: options.PromptOption = None,
    file: options.PromptFile = None,
    verbatim: options.Verbatim = False,
    depth: Annotated[
        int,
        typer.Option(
            metavar="N",
            callback=options.limited("depth", "--depth"),
            show_default=False,
            help="How many tokens ahead. Default: 3.",
        ),
    ] = 3,
    width: Annotated[
        int,
        typer.Option(
            metavar="N",
            callback=options.limited("width", "--width"),
            show_default=False,
            help="How many tokens after each one, the most probable ones. Default: 3. The tree may"
            f" have {MAX_NODES:,} in all.",
        ),
    ] = 3,
    min_p: Annotated[
        float,
        typer.Option(
            metavar="P",
            callback=options.limited("joint_min_p", "--min-p"),
            show_default=False,
            help="Leave out paths whose joint probability, of all their tokens together, is"
            " under P.",
        ),
    ] = 0.0,
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
    json: options.Json = False,
    dot: Annotated[
        bool, typer.Option("--dot", rich_help_panel="Output", help="Print a graph for Graphviz.")
    ] = False,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Show the most probable continuations as a tree.

    Probabilities are the model's own, before any sampling: `next` of a token where it stands,
    `joint` of the whole path from the prompt to it. An end token is a leaf. To a pipe go
    tab-separated values, one line per token under a line of heads, parents before children.
    """
    settings = settings_of(locals())
    if json and dot:
        raise UsageError("--dot", "cannot be combined with --json")
    request = TreeRequest(
        prompt=read_prompt(prompt, prompt_option, file or (), verbatim=verbatim),
        depth=depth,
        width=width,
        min_p=min_p,
        special=special,
    )
    messages = Messages(sys.stderr, quiet=quiet)
    found = open_for(settings, messages).answer(request)
    messages.notices(found.notices)
    if json:
        DataWriter(sys.stdout).json(view.as_json(found))
    elif dot:
        DataWriter(sys.stdout).write("".join(f"{line}\n" for line in view.as_dot(found)))
    else:
        view.show(found, sys.stdout)
